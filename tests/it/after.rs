//! Targets in an order: `after` and `soak`.

mod histories;

use axum::http::Method;
use serde_json::{Value, json};

use crate::faults::{Fault, Moment};
use crate::running::{Running, eventually};
use crate::world::{CHECKOUT, World, refusal};

/// A world with the target `staging`, and another one whose server is that of the target `prod`.
struct Two {
    staging: World,
    prod: World,
}

impl Two {
    fn new(soak: &str) -> Self {
        let mut two = Self { staging: World::new(), prod: World::new() };
        two.configure(&format!("{{target: staging, soak: {soak}}}"));
        two
    }

    fn configure(&mut self, after: &str) {
        let token = "'${env:APINIZER_TOKEN}'";
        let prod = self.prod.url();
        self.staging.env.insert("APINIZER_GITOPS_TOKEN".into(), "admin".into());
        self.staging.config(&format!(
            "source: {{{CHECKOUT}}}\nserver: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\ntargets:\n  \
             - {{name: staging, url: '{{url}}', project: demo, token: {token}}}\n  \
             - {{name: prod, url: '{prod}', project: demo, token: {token}, after: {after}, resync: 1s}}\n"
        ));
    }

    fn start(&self) -> Running {
        Running::start(&self.staging, &[])
    }

    /// The status of the target `prod`.
    fn prod_in(&self, daemon: &Running) -> Value {
        daemon.status(&self.staging)["targets"][1].clone()
    }

    /// Waits until `prod` waits to be given a commit.
    fn waits(&self, daemon: &Running, commit: &str) {
        eventually("prod waits", || self.prod_in(daemon)["waits_for"]["commit"] == json!(commit));
    }

    fn has_soaked(&self, commit: &str) -> bool {
        self.soaks().as_array().unwrap().iter().any(|soak| soak["commit"] == json!(commit))
    }

    fn state_of_staging(&self) -> std::path::PathBuf {
        let files = std::fs::read_dir(self.staging.state_dir()).unwrap();
        let mut files = files.map(|entry| entry.unwrap().path());
        let is_it = |path: &std::path::PathBuf| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            path.extension().is_some_and(|end| end == "json") && text.contains(&self.staging.url())
        };
        files.find(is_it).unwrap_or_default()
    }

    fn soaks(&self) -> Value {
        let text = std::fs::read_to_string(self.state_of_staging()).unwrap_or_default();
        let state: Value = serde_json::from_str(&text).unwrap_or_default();
        state["record"]["soaks"].as_array().cloned().unwrap_or_default().into()
    }

    fn two_hours_pass(&self) {
        self.minutes_pass(120);
    }

    /// Lets time pass for what `staging` has applied. No daemon may run meanwhile.
    fn minutes_pass(&self, minutes: usize) {
        let seconds = i64::try_from(minutes).unwrap() * 60;
        self.edit_staging(|state| {
            for soak in state["record"]["soaks"].as_array_mut().into_iter().flatten() {
                for key in ["since", "seen"] {
                    let moved = soak[key].as_i64().map(|then| then - seconds);
                    moved.into_iter().for_each(|then| soak[key] = json!(then));
                }
            }
        });
    }

    /// Edits the state of `staging`; whether there is one.
    fn edit_staging(&self, edit: impl FnOnce(&mut Value)) -> bool {
        let path = self.state_of_staging();
        let Ok(text) = std::fs::read_to_string(&path) else { return false };
        let mut state: Value = serde_json::from_str(&text).unwrap();
        edit(&mut state);
        std::fs::write(path, state.to_string()).unwrap();
        true
    }
}

#[test]
fn a_target_gets_a_commit_once_the_one_before_has_applied_it_for_long_enough() {
    let two = Two::new("1h");
    let first = two.staging.commit_email("a", "port: 25\n");
    let daemon = two.start();
    eventually("staging has it", || two.has_soaked(&first));
    two.waits(&daemon, &first);
    eventually("its time is known", || two.prod_in(&daemon)["waits_for"]["until"].is_string());
    let prod = two.prod_in(&daemon);
    assert_eq!(
        (&prod["waits_for"]["target"], &prod["state"]),
        (&json!("staging"), &json!("pending"))
    );
    assert!(two.prod.names().is_empty() && two.prod.writes().is_empty());
    let page = daemon.get(&two.staging, "/").1;
    assert!(page.contains("Waits") && page.contains("for staging, since"), "{page}");
    let metrics = daemon.get(&two.staging, "/metrics").1;
    assert!(metrics.contains("waits_since_timestamp_seconds{target=\"prod\"} 1"), "{metrics}");
    assert!(metrics.contains("waits_since_timestamp_seconds{target=\"staging\"} 0"), "{metrics}");
    let said = |line: &&str| line.contains("waits until `staging` has applied it whole for 1h");
    assert_eq!(daemon.logs().lines().filter(said).count(), 1, "{}", daemon.logs());
    drop(daemon);
    two.two_hours_pass();
    let daemon = two.start();
    eventually("prod has it", || two.prod.names() == ["a"]);
    eventually("it waits no more", || two.prod_in(&daemon).get("waits_for").is_none());
    // What drifts is corrected while the next commit waits.
    let second = two.staging.commit_email("b", "");
    two.waits(&daemon, &second);
    two.prod.edit("a", "port", json!(99));
    eventually("it is corrected", || two.prod.live("a")["port"] == json!(25));
    assert_eq!(two.prod.names(), ["a"]);
    let wait = |target: &str| {
        let server = ["--server", &daemon.address, "--target", target];
        two.staging.run(&[&["reconcile", "--wait"], &server[..]].concat())
    };
    let held_back = format!("prod: in sync, but commit {} waits until", &second[..12]);
    wait("prod").code(1).says(&held_back);
    wait("staging").code(0).says("staging: in sync");
    let since = two.prod_in(&daemon)["waits_for"]["since"].clone();
    let third = two.staging.commit_email("c", "");
    two.waits(&daemon, &third);
    assert_eq!(two.prod_in(&daemon)["waits_for"]["since"], since, "a newer commit ends no wait");
}

#[test]
fn without_a_soak_a_target_follows_at_once() {
    let two = Two::new("0s");
    let commit = two.staging.commit_email("a", "");
    let gate = two.staging.control().gate(Some(Method::POST), "/a/", Moment::Before);
    let daemon = two.start();
    two.staging.block_on(gate.wait_for(1));
    two.waits(&daemon, &commit);
    assert!(two.prod.names().is_empty());
    gate.open();
    eventually("prod has it", || two.prod.names() == ["a"]);
}

#[test]
fn a_commit_that_the_first_target_cannot_apply_goes_no_further() {
    let two = Two::new("0s");
    two.staging.commit_email("a", "port: 25\n");
    let daemon = two.start();
    eventually("prod has it", || two.prod.names() == ["a"]);
    let posts = Some(Method::POST);
    two.staging.control().fail_next(posts, "/b/", refusal("no b here"), usize::MAX);
    let second = two.staging.commit_email("b", "");
    two.waits(&daemon, &second);
    eventually("staging fails", || daemon.status(&two.staging)["targets"][0]["state"] == "failing");
    two.prod.edit("a", "port", json!(99));
    eventually("drift is corrected", || two.prod.live("a")["port"] == json!(25));
    assert_eq!(two.prod.names(), ["a"]);
    two.staging.control().clear_faults();
    daemon.signal("-HUP");
    eventually("prod has both", || two.prod.names() == ["a", "b"]);
}

#[test]
fn a_commit_that_is_overtaken_while_it_soaks_is_left_out() {
    let two = Two::new("1h");
    let first = two.staging.commit_email("a", "");
    let daemon = two.start();
    eventually("staging has it", || two.has_soaked(&first));
    let second = two.staging.commit_email("b", "");
    eventually("staging has the next", || two.has_soaked(&second));
    drop(daemon);
    two.two_hours_pass();
    let daemon = two.start();
    eventually("prod has what has soaked", || two.prod.names() == ["a", "b"]);
    let soaks = two.soaks();
    assert_eq!((&soaks[0]["commit"], &soaks[0]["is_over"]), (&json!(first), &json!(true)));
    assert_eq!(soaks[0]["seen"], soaks[0]["since"], "the first never soaked: {soaks}");
    let third = two.staging.commit_email("c", "");
    two.waits(&daemon, &third);
    assert_eq!(two.prod.names(), ["a", "b"]);
}

#[test]
fn warnings_of_a_commit_are_logged_once_while_newer_ones_wait() {
    let two = Two::new("1h");
    let first = two.staging.commit_email("a", "colour: red\n");
    let daemon = two.start();
    eventually("staging has it", || two.has_soaked(&first));
    drop(daemon);
    two.two_hours_pass();
    let daemon = two.start();
    eventually("prod has what has soaked", || two.prod.names() == ["a"]);
    for port in [1, 2] {
        let newer = two.staging.commit_email("a", &format!("port: {port}\n"));
        two.waits(&daemon, &newer);
    }
    let logs = daemon.logs();
    let of_prod = |line: &&str| line.contains("prod") && line.contains("colour");
    assert_eq!(logs.lines().filter(of_prod).count(), 1, "{logs}");
}

/// Nobody looked meanwhile, and nobody can now.
#[test]
fn time_in_which_nobody_looked_counts_only_once_somebody_has() {
    let two = Two::new("1h");
    let commit = two.staging.commit_email("a", "");
    let daemon = two.start();
    eventually("staging has it", || two.has_soaked(&commit));
    drop(daemon);
    two.two_hours_pass();
    two.staging.control().fail_next(Some(Method::GET), "type=", refusal("not now"), usize::MAX);
    let daemon = two.start();
    two.waits(&daemon, &commit);
    eventually("staging fails", || daemon.status(&two.staging)["targets"][0]["state"] == "failing");
    assert!(two.prod.names().is_empty());
}

#[test]
fn a_commit_that_a_force_push_takes_away_is_waited_for_no_more() {
    let two = Two::new("1h");
    let base = two.staging.commit_email("a", "port: 25\n");
    let daemon = two.start();
    eventually("staging has it", || two.has_soaked(&base));
    drop(daemon);
    two.two_hours_pass();
    let daemon = two.start();
    eventually("prod has it", || two.prod.names() == ["a"]);
    let taken_away = two.staging.commit_email("b", "");
    eventually("staging has it", || two.has_soaked(&taken_away));
    drop(daemon);
    two.two_hours_pass();
    two.staging.git(&["reset", "-q", "--hard", &base]);
    let instead = two.staging.commit_email("c", "");
    let daemon = two.start();
    two.waits(&daemon, &instead);
    assert_eq!(two.prod.names(), ["a"]);
}

#[test]
fn a_suspended_first_target_holds_the_second() {
    let two = Two::new("0s");
    two.staging.commit_email("a", "port: 25\n");
    let daemon = two.start();
    eventually("prod has it", || two.prod.names() == ["a"]);
    let order = |verb: &str| {
        let server = ["--server", &daemon.address, "--target", "staging"];
        two.staging.run(&[&[verb], &server[..]].concat()).code(0);
    };
    order("suspend");
    eventually("it is suspended", || {
        daemon.status(&two.staging)["targets"][0]["suspended"] == json!(true)
    });
    let second = two.staging.commit_email("b", "");
    two.waits(&daemon, &second);
    assert_eq!(two.prod.names(), ["a"]);
    order("resume");
    eventually("prod has both", || two.prod.names() == ["a", "b"]);
}

#[test]
fn commands_are_not_bound_by_the_order_and_say_so() {
    let two = Two::new("1h");
    two.staging.commit_email("a", "port: 25\n");
    let note = "`after` binds the daemon alone";
    for output in ["text", "json", "markdown"] {
        two.staging.run(&["plan", "--target", "prod", "--output", output]).code(2).says(note);
    }
    let once = || two.staging.run(&["run", "--once", "--listen", "none"]);
    once()
        .code(3)
        .says("waits until")
        .says("`apinizer-gitops apply --target 'prod'` does not wait");
    assert_eq!((two.staging.names(), two.prod.names()), (vec!["a".to_owned()], vec![]));
    two.staging.run(&["apply", "--target", "prod", "--yes"]).code(0).says(note);
    assert_eq!(two.prod.names(), ["a"]);
}

#[test]
fn a_single_reconcile_keeps_the_order() {
    let mut two = Two::new("0s");
    two.staging.commit_email("a", "port: 25\n");
    let once = |two: &Two| two.staging.run(&["run", "--once", "--listen", "none"]);
    once(&two).code(0);
    assert_eq!((two.staging.names(), two.prod.names()), (vec!["a".into()], vec!["a".into()]));
    two.staging.control().fail_next(Some(Method::POST), "/b/", refusal("no b here"), 1);
    two.staging.commit_email("b", "");
    once(&two).code(1).says("waits until `staging` has applied it whole");
    assert_eq!(two.prod.names(), ["a"]);
    two.configure("{target: staging, soak: 1h}");
    once(&two).code(3).says("waits until");
    two.staging.run(&["run", "--once", "--dry-run", "--listen", "none"]).code(3);
    assert_eq!((two.staging.names().len(), two.prod.names().len()), (2, 1));
}

#[test]
fn a_commit_that_is_not_deployed_goes_no_further() {
    let two = Two::new("0s");
    two.staging.control().fail_next(None, "/a/", Fault::Undeployed, usize::MAX);
    let commit = two.staging.commit_email("a", "");
    let daemon = two.start();
    two.waits(&daemon, &commit);
    let staging = || daemon.status(&two.staging)["targets"][0].clone();
    for passes in 1..=2 {
        eventually("it is looked at", || {
            staging()["history"].as_array().is_some_and(|all| all.len() == passes)
        });
        assert_eq!(staging()["state"], json!("degraded"));
        daemon.signal("-HUP");
    }
    assert!(!two.has_soaked(&commit) && two.prod.names().is_empty());
}

#[test]
fn a_run_of_one_target_knows_the_names_of_the_others() {
    let two = Two::new("0s");
    two.staging.commit_email("a", "x-gitops: {targets: [staging, prod]}\n");
    let plan = two.staging.run(&["plan", "--target", "staging"]).code(2);
    assert!(!(plan.stdout.clone() + &plan.stderr).contains("AG110"), "{}", plan.stdout);
}

#[test]
fn an_order_that_cannot_be_is_an_error_of_the_config() {
    let mut two = Two::new("1h");
    two.staging.commit_email("a", "port: 25\n");
    two.configure("{target: stagin}");
    two.staging.run(&["plan"]).code(1).says("no target is called `stagin`").says("`staging`");
    two.configure("{target: prod}");
    two.staging.run(&["plan"]).code(1).says("the target `prod` comes after itself");
    two.configure("{soak: 1h}");
    two.staging.run(&["plan"]).code(1).says("target");
}
