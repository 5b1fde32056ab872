//! Rules of the user: documents that are denied, changes that are denied or held, and consents.

use serde_json::json;

use axum::http::Method;

use crate::faults::{Fault, Moment};
use crate::running::{Applying, Running, eventually};
use crate::world::{CANARY, CHECKOUT, World, one_target, refusal};

/// Uses a config with rules, one a line as `name|effect|expression`, and further keys of the target.
pub(crate) fn with_rules(world: &mut World, keys: &str, rules: &[&str]) {
    let rules = rules.iter().map(|rule| {
        let mut parts = rule.splitn(3, '|');
        let mut part = || parts.next().unwrap();
        let (name, effect, when) = (part(), part(), part());
        format!("  - {{name: {name}, {effect}: 'as {name} says', when: \"{when}\"}}\n")
    });
    let rules: String = rules.collect();
    world.config(&format!("{}rules:\n{rules}", one_target(CHECKOUT, keys)));
}

fn consent(world: &World, message: &str) {
    world.commit(&format!("consent\n\n{message}"));
}

#[test]
fn a_document_that_is_denied_refuses_its_commit() {
    let mut world = World::settled(&["a"]);
    let rules = [
        "tls|deny|!connection.?enableStartTls.orValue(false) && connection.?port.orValue(0) == 25",
        "odd|warn|connection.password.startsWith('${env:SMTP_') && connection.?description.orValue('') == 'x'",
    ];
    with_rules(&mut world, "", &rules);
    world.commit_email("b", "port: 25\n");
    let said = world.run(&["validate"]).code(1);
    let said = said.says("connections/b.yaml:7:7").says("AG701").says("port: 25");
    said.says("denied by the rule `tls`: as tls says");
    let problems = world.run(&["validate", "--output", "json"]).stdout;
    assert!(problems.contains("\"rule\": \"tls\""), "{problems}");
    world
        .apply()
        .code(1)
        .says("has 1 error in its documents, at connections/")
        .says("by the rule `tls`");
    assert!(world.writes().is_empty());
    // A revision of the past is no matter of today's rules.
    world.commit_email("b", "port: 25\nenableStartTls: true\ndescription: x\n");
    world.run(&["plan", "--base", "HEAD~1"]).code(2);
    for output in ["text", "json", "markdown"] {
        world.run(&["plan", "--output", output]).code(2).says("warning of the rule `odd`: as odd");
    }
    world.apply().code(0).says("warning of the rule `odd`");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_denied_document_among_valid_ones_is_blocked_with_its_rule_and_place() {
    let mut world = World::settled(&["a"]);
    let rule = ["odd|deny|connection.?port.orValue(0) == 25"];
    with_rules(&mut world, "on_invalid: isolate", &rule);
    world.commit_email("b", "port: 25\n");
    world.commit_email("c", "");
    let plan = world.plan_json(&[]);
    let changes = plan["changes"].as_array().unwrap();
    let blocked = changes.iter().find(|change| change["action"] == "blocked").unwrap();
    assert_eq!((&blocked["type"], &blocked["name"]), (&json!("email"), &json!("b")));
    assert_eq!((&blocked["file"], &blocked["line"]), (&json!("connections/b.yaml"), &json!(1)));
    assert_eq!(blocked["rules"][0]["name"], "odd", "{blocked}");
    world.plan().says("email  b");
    world.apply().code(1);
    assert_eq!(world.names(), ["a", "c"]);
}

#[test]
fn a_change_that_is_denied_is_blocked_and_one_that_is_held_waits() {
    let mut world = World::settled(&["a", "b", "c"]);
    let rules = [
        "ports|hold|change.fields.exists(f, f.path == '/port')",
        "b-stays|deny|connection.name == 'b' && change.action == 'delete' && connection.auth",
        "moved|warn|change.action == 'update' && change.origin == 'git'",
        "touched|warn|change.action != 'create'",
    ];
    with_rules(&mut world, "", &rules);
    world.remove("connections/b.yaml");
    world.write_email("c", "description: y\n");
    world.commit_email("a", "port: 26\n");
    assert_eq!(world.changes(&[]), ["update a (held)", "update c", "blocked b"]);
    let plan = world.plan_json(&[]);
    let rule = |change: usize| plan["changes"][change]["rules"][0]["name"].clone();
    assert_eq!([rule(0), rule(1), rule(2)], [json!("ports"), json!("moved"), json!("b-stays")]);
    let notices = plan["notes"].to_string();
    for said in [
        "warning of the rule `moved`: as moved says; it is about the update of `a`, the update of `c`",
        "as touched says; it is about the update of `a`, the blocked change of `b`, the update of `c`",
    ] {
        assert!(notices.contains(said), "{plan}");
    }
    for output in ["text", "json", "markdown"] {
        let said = world.run(&["plan", "--output", output]).code(1);
        said.says("held by the rule `ports`: as ports says").says("denied by the rule `b-stays`");
    }
    world.run(&["plan", "--allow", "prots"]).code(1).says("did you mean `ports`?");
    world.run(&["plan", "--allow", "b-stays"]).code(1).says("the rule `b-stays` holds nothing");
    world.apply().code(1).says("apply --allow ports");
    assert_eq!(world.writes(), ["PUT c"]);
    // A saved plan carries its consents, and is held where a rule has come since.
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file, "--allow", "ports"]).code(1).says("met by --allow ports");
    let more = [rules[0], rules[1], rules[2], rules[3], "all|hold|change.action == 'update'"];
    with_rules(&mut world, "", &more);
    world.run(&["apply", &file, "--yes"]).code(3).says("is held: held by the rule `all`");
    with_rules(&mut world, "", &rules);
    world.forget_calls();
    world.run(&["apply", &file, "--yes"]).code(1);
    assert_eq!(world.writes(), ["PUT a"]);
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn each_hold_is_consented_to_by_itself() {
    let mut world = World::settled(&["a", "b", "c"]);
    let rules = ["one|hold|change.action == 'delete'", "two|hold|change.held"];
    with_rules(&mut world, "max_deletes: 0", &rules);
    world.commit_without(&["a"]);
    let said = world.apply().code(3).says("held by max_deletes").says("held by the rule `one`");
    said.says("held by the rule `two`");
    for some in [
        &["--allow-deletes"][..],
        &["--allow", "one", "--allow", "two"],
        &["--allow-deletes", "--allow", "two"],
        &["--allow", "one"],
        &["--allow-delete", "a"],
    ] {
        world.run(&[&["apply", "--yes"], some].concat()).code(3);
    }
    assert_eq!(world.names(), ["a", "b", "c"]);
    // Consents of several kinds meet in one change.
    consent(&world, "Allow-Rule: two\nAllow-Deletes: true");
    world.apply().code(3).says("held by the rule `one`");
    world.run(&["apply", "--yes", "--allow", "one"]).code(0);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn a_rule_on_holds_of_the_tool_is_consented_to_by_itself() {
    let mut world = World::settled(&["a", "b", "c", "d", "e"]);
    let rule = "looked-at|hold|change.held && connection.name in ['a', 'e']";
    with_rules(&mut world, "max_deletes: 2", &[rule]);
    world.commit_without(&["a", "b", "c"]);
    world.apply().code(3).says("held by max_deletes").says("held by the rule `looked-at`");
    world.run(&["plan", "--allow-deletes"]).code(3).says("held by the rule `looked-at`");
    world.run(&["apply", "--yes", "--allow", "looked-at"]).code(3).says("held by max_deletes");
    world.run(&["apply", "--yes", "--allow-deletes"]).code(3);
    assert_eq!(world.names(), ["a", "d", "e"]);
    // Alone it is below the limit, and was held by it all the same.
    world.apply().code(3).says("held by the rule `looked-at`");
    world.run(&["apply", "--yes", "--allow", "looked-at"]).code(0);
    assert_eq!(world.names(), ["d", "e"]);
    // The consent of a trailer frees no rule of the user either, nor does that to one name.
    with_rules(&mut world, "max_deletes: 0", &[rule]);
    world.commit_without(&["e"]);
    consent(&world, "Allow-Deletes: true");
    world.apply().code(3).says("held by the rule `looked-at`");
    world.run(&["apply", "--yes", "--allow-delete", "e"]).code(3);
    world.run(&["apply", "--yes", "--allow", "looked-at"]).code(0);
    assert_eq!(world.names(), ["d"]);
}

#[test]
fn a_rule_on_the_number_of_changes_is_one_answer_for_all_of_them() {
    let mut world = World::settled(&["a", "b", "c"]);
    let other = "other|hold|connection.name == 'b'";
    let keys = "max_deletes: 0\nresync: 1s";
    world.remove("connections/c.yaml");
    world.write_email("a", "port: 26\n");
    world.write_email("b", "port: 26\n");
    world.commit_email("d", "");
    // Another rule of the user holds `b`, which counts; `max_deletes` holds `c`, which does not.
    let free = ["create d", "update a", "update b (held)", "delete c (held)"];
    let held = ["create d (held)", "update a (held)", "update b (held)", "delete c (held)"];
    for (number, changes) in [("> 2", held), ("> 3", free), ("!= 3", free)] {
        let number = format!("number|hold|change.count {number}");
        for rules in [[&*number, other], [other, &*number]] {
            with_rules(&mut world, keys, &rules);
            assert_eq!(world.changes(&[]), changes, "{rules:?}");
        }
    }
    with_rules(&mut world, keys, &["number|hold|change.count > 2", other]);
    assert_eq!(world.changes(&["--name", "a"]), ["update a"]);
    let daemon = Running::start(&world, &[]);
    for _ in 0..3 {
        let last = |daemon: &Running| daemon.status(&world)["targets"][0]["last_reconcile"].clone();
        let before = last(&daemon);
        eventually("another round", || last(&daemon) != before && !last(&daemon).is_null());
    }
    assert_eq!(daemon.status(&world)["targets"][0]["connections"][0]["state"], "held");
    drop(daemon);
    assert!(world.writes().is_empty());
    // A change that is compared again is judged by the number of the plan.
    with_rules(&mut world, keys, &["number|hold|change.count != 3", other]);
    world.apply().code(3);
    assert_eq!(world.writes(), ["POST d", "PUT a"]);
    world.run(&["apply", "--yes", "--allow", "number", "--allow", "other"]).code(3);
    assert_eq!(world.writes(), ["PUT b"]);
    assert_eq!(world.names(), ["a", "b", "c", "d"]);
}

#[test]
fn the_trailer_consents_once_and_to_what_its_commit_changed() {
    let mut world = World::new();
    with_rules(&mut world, "", &["r|hold|change.action != 'delete'"]);
    world.write_email("b", "");
    world.commit_email("a", "");
    consent(&world, "Allow-Rule: other");
    world.apply().code(3).says("`Allow-Rule: r`");
    consent(&world, "Allow-Rule: r");
    world.apply().code(0).says("met by the commit");
    assert_eq!(world.names(), ["a", "b"]);
    world.commit_email("a", "port: 26\n");
    world.apply().code(3);
    // A commit below the tip consents to what it changed, as long as no later one changes that.
    world.write_email("a", "port: 27\n");
    world.write_email("b", "port: 27\n");
    world.write_email("c", "port: 27\n");
    consent(&world, "Allow-Rule: r");
    world.commit_email("b", "port: 28\n");
    world.forget_calls();
    world.apply().code(3);
    assert_eq!(world.writes(), ["POST c", "PUT a"]);
    // A consent lasts until its change is made, and no longer.
    world.commit_email("c", "port: 29\n");
    consent(&world, "Allow-Rule: r");
    world.control().fail_next(Some(Method::PUT), "/c/", refusal("not now"), 1);
    world.apply().code(1);
    world.commit("something else");
    world.apply().code(0);
    world.plan().code(0);
    assert!(world.remembered("allowed").as_object().unwrap().is_empty());
    world.edit("c", "port", json!(1));
    world.apply().code(3).says("held by the rule `r`");
}

#[test]
fn a_consent_lasts_for_the_redeploy_of_its_change_and_for_nothing_else() {
    let mut world = World::settled(&["a"]);
    with_rules(&mut world, "", &["r|hold|change.action == 'update'"]);
    world.write_email("a", "port: 26\n");
    consent(&world, "Allow-Rule: r");
    world.control().fail_next(Some(Method::PUT), "/a/", Fault::Undeployed, 1);
    world.apply().code(1).says("saved but not deployed");
    world.edit("a", "port", json!(1));
    world.forget_calls();
    world.apply().code(3).says("held by the rule `r`");
    assert_eq!(world.writes(), [""; 0], "drift is another change");
    world.edit("a", "port", json!(26));
    world.apply().code(0);
    assert_eq!(world.writes(), ["PUT a"]);
    assert!(world.remembered("allowed").as_object().unwrap().is_empty());
}

#[test]
fn the_trailer_frees_nothing_in_a_run_that_looks_at_a_part() {
    let mut world = World::settled(&["a", "b"]);
    with_rules(&mut world, "on_invalid: isolate", &["r|hold|change.action == 'update'"]);
    world.write_email("a", "port: 26\n");
    consent(&world, "Allow-Rule: r");
    world.run(&["apply", "--yes", "--name", "a"]).code(3).says("held by the rule `r`");
    world.apply().code(0);
    world.write_email("a", "port: 27\n");
    world.write("connections/b.yaml", "type: emial\nname: b\n");
    consent(&world, "Allow-Rule: r");
    world.apply().code(1).says("held by the rule `r`");
}

#[test]
fn consent_to_a_rename_is_no_consent_to_a_delete() {
    let mut world = World::settled(&["a", "b"]);
    with_rules(&mut world, "", &["r|hold|true"]);
    world.remove("connections/a.yaml");
    world.write_email("c", "x-gitops: {renamedFrom: a}\n");
    consent(&world, "Allow-Rule: r");
    world.commit_email("c", "");
    world.apply().code(3).says("held by the rule `r`");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_rename_that_is_held_keeps_its_names() {
    let mut world = World::settled(&["a", "b"]);
    with_rules(&mut world, "", &["r|hold|change.action == 'rename'"]);
    world.commit_rename("a", "new");
    world.commit_email("a", "port: 26\n");
    world.apply().code(1).says("held by the rule `r`");
    assert!(world.writes().is_empty());
    world.run(&["apply", "--yes", "--allow", "r"]).code(0);
    assert_eq!(world.names(), ["a", "b", "new"]);
}

#[test]
fn a_change_that_grew_since_the_plan_is_judged_again() {
    let mut world = World::settled(&["a"]);
    with_rules(&mut world, "", &["hosts|hold|change.fields.exists(f, f.path == '/host')"]);
    world.commit_email("a", "port: 26\n");
    let gate = world.control().gate(Some(Method::GET), "/connections/a/", Moment::Before);
    let applying = Applying::until(&world, &gate);
    world.edit("a", "host", json!("typed.meanwhile"));
    gate.open();
    applying.ends().code(3).says("held by the rule `hosts`");
    assert_eq!(world.live("a")["host"], json!("typed.meanwhile"));
}

#[test]
fn a_rule_sees_no_value_of_the_environment() {
    let mut world = World::new();
    let seen = format!("'{}' in [target.name, target.project]", "demo-of-env");
    let rules = [&*format!("leak|deny|{seen}"), "text|warn|connection.password.contains('c4nary')"];
    with_rules(&mut world, "", &rules);
    let file = world.path("apinizer-gitops.yaml");
    let config = std::fs::read_to_string(&file).unwrap();
    let config = config.replace("name: default", "name: ${env:NAME_OF_IT}");
    std::fs::write(&file, config.replace("as text says", "see ${env:SMTP_PASSWORD}")).unwrap();
    world.env.insert("NAME_OF_IT".to_owned(), "demo-of-env".to_owned());
    world.env.insert("SMTP_PASSWORD".to_owned(), format!("c4nary {CANARY}"));
    world.commit_email("a", "");
    let ran = world.plan().code(2);
    assert!(!ran.stdout.contains("of the rule") && !ran.stderr.contains("by the rule"));
}

#[test]
fn a_rule_that_cannot_be_used_is_an_error_of_the_config() {
    let mut world = World::settled(&["a"]);
    with_rules(&mut world, "", &["r|deny|conection.type == 'x'", "r|hold|change.x == 1"]);
    let said = world.run(&["validate"]).code(1).says("AG619").says("did you mean `connection`?");
    said.says("`change` has no key `x`");
    let never = [
        "r|hold|change.held == 'true'",
        "s|deny|connection.hostPortList.exists(n, n.prt == 1)",
        "t|deny|target.project == 'Rx'",
        "u|hold|change.fields.exists(f, f.path == '/prot')",
    ];
    with_rules(&mut world, "", &never);
    let said = world.run(&["validate"]).code(1).says("`change.held` is never `true`");
    let said = said.says("it is `true` or `false`, without quotes").says("`n` has no key `prt`");
    let said = said.says("did you mean `port`?").says("`target.project` is never `Rx`");
    said.says("`f.path` is never `/prot`")
        .says("did you mean `/port`?")
        .says("apinizer-gitops.yaml:");
    with_rules(&mut world, "", &["r|deny|connection.from == 'x'"]);
    world.run(&["validate"]).code(1).says("cannot be evaluated here: it reads a key");
    world.run(&["explain", "rules"]).code(0).says("`action` is create").says("\"port\": 587");
}

#[test]
fn the_daemon_shows_its_rules() {
    let mut world = World::settled(&["a"]);
    with_rules(
        &mut world,
        "resync: 1s",
        &[
            "r|hold|change.origin == 'drift'",
            "no|warn|now > timestamp(0)",
            "smtp|deny|connection.?port.orValue(0) == 25",
        ],
    );
    world.edit("a", "host", json!("typed.by.hand"));
    let daemon = Running::start(&world, &[]);
    eventually("held", || daemon.status(&world)["targets"][0]["connections"][0]["state"] == "held");
    let page = daemon.get(&world, "/").1;
    for said in ["held by the rule `r`: as r says", "warning of the rule `no`: as no says"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let series = "apinizer_gitops_rule_matches{target=\"default\",rule=\"r\",effect=\"hold\"} 1";
    let metrics = daemon.get(&world, "/metrics").1;
    assert!(metrics.contains(series), "{metrics}");
    assert!(metrics.contains("rule=\"no\",effect=\"warn\"} 1"), "{metrics}");
    // The drift of the last good commit is still looked at while a newer one is refused.
    world.commit_email("b", "port: 25\n");
    let series = "rule=\"smtp\",effect=\"deny\"} 1";
    eventually("denied", || daemon.get(&world, "/metrics").1.contains(series));
    assert!(daemon.get(&world, "/").1.contains("held by the rule `r`: as r says"));
}
