//! Replicas in a cluster: exactly one acts for a target, another takes over, and the one that
//! lost it writes nothing more.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apinizer_gitops::testing::sandbox::Options;
use apinizer_gitops::testing::state::StateFile;
use serde_json::{Value, json};

use crate::cluster::{Cluster, NAMESPACE, Trouble};
use crate::faults::Moment;
use crate::running::listens_on;
use crate::world::{CANARY, PROJECT, World, email};

mod told;

/// How long anything may take; far more than it does.
const PATIENCE: Duration = Duration::from_secs(60);

/// As short as can be.
const LEASE: &str = "lease: 2s";

struct Replica {
    child: Child,
    address: String,
    logs: Arc<Mutex<String>>,
}

/// The config of a replica with its own state folder and service account.
fn config(
    world: &World,
    cluster: &Cluster,
    name: &str,
    targets: &str,
    lease: &str,
) -> std::path::PathBuf {
    let folder = world.path(name);
    std::fs::create_dir_all(folder.join("account")).unwrap();
    std::fs::write(folder.join("account/token"), format!("{name}-token\n")).unwrap();
    std::fs::write(folder.join("account/namespace"), NAMESPACE).unwrap();
    cluster.allow(&format!("{name}-token"));
    let path = folder.join("apinizer-gitops.yaml");
    let in_secret = if lease.contains("state: volume") { "" } else { "state: secret, " };
    let state_dir = if in_secret.is_empty() { "../volume" } else { "state" };
    let text = format!(
        "source: {{path: '{}'}}\nstate_dir: {state_dir}\nserver: {{token: '${{env:ADMIN_TOKEN}}'}}\n\
         kubernetes: {{{lease}, {in_secret}service_account: account, api: '{}'}}\ntargets:\n{targets}",
        world.repo().display(),
        cluster.url()
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn target(world: &World, name: &str, project: &str, keys: &str) -> String {
    let url = world.url();
    format!(
        "  - {{name: {name}, url: '{url}', project: {project}, token: '${{env:APINIZER_TOKEN}}', timeout: 1s, \
         resync: 1s{keys}}}\n"
    )
}

fn command(world: &World, config: &std::path::Path, pod: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apinizer-gitops"));
    command
        .env_clear()
        .envs(&world.env)
        .env("ADMIN_TOKEN", "admin-token")
        .env("POD_NAME", pod)
        .env("HOME", world.path(""))
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .args(arguments)
        .arg("--config")
        .arg(config);
    command
}

impl Replica {
    /// Starts a replica of one target with what its config has besides.
    fn start(world: &World, cluster: &Cluster, name: &str, keys: &str) -> Self {
        Self::of(world, cluster, name, &target(world, "default", PROJECT, keys))
    }

    fn of(world: &World, cluster: &Cluster, name: &str, targets: &str) -> Self {
        Self::with(world, cluster, name, targets, LEASE)
    }

    fn with(world: &World, cluster: &Cluster, name: &str, targets: &str, lease: &str) -> Self {
        let config = config(world, cluster, name, targets, lease);
        let mut command = command(world, &config, name, &["run", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the daemon ended");
            if let Some(address) = listens_on(&line) {
                break address;
            }
        };
        let logs = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&logs);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                assert!(!line.contains(CANARY), "the canary is in the log");
                *kept.lock().unwrap() += &(line + "\n");
            }
        });
        Self { child, address, logs }
    }

    /// Its stderr so far.
    fn logs(&self) -> String {
        self.logs.lock().unwrap().clone()
    }

    fn get(&self, world: &World, path: &str) -> (u16, String) {
        world.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = client.get(format!("{}{path}", self.address)).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    fn post(&self, world: &World, path: &str) -> u16 {
        world.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client.post(format!("{}{path}", self.address)).bearer_auth("admin-token");
            request.send().await.unwrap().status().as_u16()
        })
    }

    fn target(&self, world: &World) -> Value {
        let status: Value = serde_json::from_str(&self.get(world, "/api/v1/status").1).unwrap();
        status["targets"][0].clone()
    }

    fn error(&self, world: &World) -> String {
        self.target(world)["error"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn comes_to(&self, world: &World, state: &str) {
        eventually(state, || self.target(world)["state"] == json!(state));
    }

    fn terminate(&mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn port(world: &World, name: &str) -> Value {
    world.control().get(PROJECT, name).map_or(Value::Null, |body| body["port"].clone())
}

fn writes(world: &World) -> Vec<(String, Value)> {
    let calls = world.control().take_calls();
    let writes = calls.iter().filter(|call| call.method != "GET");
    writes
        .map(|call| {
            let who = call.body().map(|body| body.expose()["description"].clone());
            (format!("{} {}", call.method, call.path), who.unwrap_or_default())
        })
        .collect()
}

#[test]
fn one_replica_acts_and_the_other_follows_when_it_dies() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("keep", "");
    world.commit_email("a", "port: 1\n");
    let mut first = Replica::start(&world, &cluster, "first", "");
    first.comes_to(&world, "in_sync");
    let second = Replica::start(&world, &cluster, "second", "");
    second.comes_to(&world, "standby");
    // One that stands by is ready: a rolling update goes on.
    assert_eq!(second.get(&world, "/readyz").0, 200);
    assert_eq!(second.get(&world, "/healthz").0, 200);
    // Tokens of service accounts rotate: only the new one is answered.
    std::fs::write(world.path("first/account/token"), "rotated").unwrap();
    cluster.allow("rotated");
    cluster.cut_off("first-token");
    world.commit_email("a", "port: 2\n");
    eventually("the first acts", || port(&world, "a") == json!(2));
    assert_eq!(cluster.holders(), ["first"]);
    first.child.kill().unwrap();
    world.commit_email("a", "port: 3\n");
    eventually("the second acts", || port(&world, "a") == json!(3));
    assert_eq!(cluster.holders(), ["second"]);
    second.comes_to(&world, "in_sync");
    // The second knows what the first made: it takes nothing over, and may delete it.
    world.commit_without(&["a"]);
    eventually("deleted", || world.names() == ["keep"]);
    // Two creates, two updates, a delete: nothing was made twice.
    let lines: Vec<String> = writes(&world).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
}

#[test]
fn a_replica_that_ends_gives_its_targets_back_at_once() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "port: 1\n");
    let mut first = Replica::start(&world, &cluster, "first", "");
    first.comes_to(&world, "in_sync");
    assert_eq!(first.terminate(), 0);
    assert_eq!(cluster.holders(), [""; 0]);
    // A command acts where nobody else does, and gives the target back too.
    let one_target = target(&world, "default", PROJECT, "");
    let config = config(&world, &cluster, "command", &one_target, LEASE);
    world.commit_email("a", "port: 2\n");
    let done = command(&world, &config, "command", &["apply", "--yes"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!((port(&world, "a"), cluster.holders()), (json!(2), Vec::new()));
    // Beside a replica that acts it does not.
    let second = Replica::start(&world, &cluster, "second", "");
    second.comes_to(&world, "in_sync");
    for arguments in
        [&["apply", "--yes", "--lock-timeout", "1s"][..], &["forget", "a", "--lock-timeout", "1s"]]
    {
        let refused = command(&world, &config, "command", arguments).output().unwrap();
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        let text = String::from_utf8_lossy(&refused.stderr);
        assert!(text.contains("second_") && text.contains("acts for the target"), "{text}");
        assert!(!text.contains("suspend"), "a suspension keeps the lease: {text}");
    }
}

#[test]
fn replicas_share_the_targets() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "");
    // Whether a project is there has no say in who looks after it.
    let targets: String =
        (1..=6).map(|n| target(&world, &format!("t{n}"), &format!("p{n}"), "")).collect();
    // With it the first would need 2.5 s to take all of them: the second starts sooner.
    let of = |name| Replica::with(&world, &cluster, name, &targets, "lease: 20s");
    let _replicas = ["first", "second"].map(of);
    eventually("all are held", || cluster.holders().len() == 6);
    let of = |name: &str| cluster.holders().iter().filter(|holder| *holder == name).count();
    assert!(of("first") > 0 && of("second") > 0, "{:?}", cluster.holders());
    let leases = cluster.names("leases");
    assert!(leases.iter().all(|name| name.starts_with("apinizer-gitops-p")), "{leases:?}");
}

/// No replica tells another what it applied; neither a resync nor a commit comes to help.
#[test]
fn a_target_follows_the_one_before_it_that_another_replica_holds() {
    let (world, prod) = (World::new(), World::new());
    let cluster = Cluster::start(&world);
    let targets = |project: &str| {
        let with = "token: '${env:APINIZER_TOKEN}', timeout: 1s, resync: 10m";
        format!(
            "  - {{name: prod, url: '{}', project: {project}, {with}, after: {{target: staging, soak: 4s}}}}\n  \
             - {{name: staging, url: '{}', project: {PROJECT}, {with}}}\n",
            prod.url(),
            world.url()
        )
    };
    world.commit_email("a", "");
    let first = Replica::of(&world, &cluster, "first", &targets("another"));
    eventually("the first holds both", || cluster.holders().len() == 2);
    let second = Replica::of(&world, &cluster, "second", &targets(PROJECT));
    let waits_for = || second.target(&world)["waits_for"].clone();
    eventually("it has the first commit", || prod.names() == ["a"]);
    world.commit_email("b", "");
    eventually("it is told until when", || waits_for()["until"].is_string());
    assert_eq!(prod.names(), ["a"]);
    eventually("it has the second commit", || prod.names() == ["a", "b"]);
    let logs = second.logs();
    assert!(logs.contains("waits until `staging`") && !logs.contains("worktree"), "{logs}");
    assert_eq!(first.post(&world, "/api/v1/suspend"), 202);
    world.commit_email("c", "");
    eventually("it says why", || {
        let wait = waits_for();
        wait["reason"].to_string().contains("is suspended") && wait["until"].is_null()
    });
    assert_eq!(prod.names(), ["a", "b"]);
}

#[test]
fn targets_of_a_replica_that_ends_or_is_killed_are_shared_by_the_others() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "");
    let target = |n| target(&world, &format!("t{n}"), &format!("p{n}"), "");
    let targets: String = (1..=12).map(target).collect();
    let of = |name: &str| Replica::with(&world, &cluster, name, &targets, "lease: 9s");
    let holds = |name: &str| cluster.holders().iter().filter(|holder| *holder == name).count();
    let mut replicas = ["first", "second", "third"].map(of);
    let all = |of: &[&str]| of.iter().map(|name| holds(name)).sum::<usize>() == 12;
    eventually("all are held", || all(&["first", "second", "third"]));
    assert_eq!(replicas[0].terminate(), 0);
    eventually("two hold all", || all(&["second", "third"]));
    let third = holds("third");
    assert!((4..=8).contains(&third), "{third} of 12 after SIGTERM");
    let mut first = of("first");
    // Each has looked at all Leases since they were renewed last.
    std::thread::sleep(Duration::from_secs(8));
    replicas[1].child.kill().unwrap();
    eventually("the first and the third hold all", || all(&["first", "third"]));
    first.child.kill().unwrap();
    let third = holds("third");
    assert!((6..=9).contains(&third), "{third} of 12 after a kill");
}

/// The heart of it: whatever the loser had begun is over before the next one begins.
#[test]
fn one_that_loses_its_lease_in_mid_apply_stops_before_another_begins() {
    let world = World::with(Options { latency: Duration::from_millis(30), ..Options::default() });
    let cluster = Cluster::start(&world);
    let names: Vec<String> = (0..150).map(|n| format!("c{n:03}")).collect();
    for name in &names {
        world.write_email(name, "description: ${var:who}\n");
    }
    world.commit("many");
    let keys = |who: &str| format!(", concurrency: 1, vars: {{who: {who}}}");
    let first = Replica::start(&world, &cluster, "first", &keys("first"));
    eventually("the first has begun", || world.names().len() > 5);
    let second = Replica::start(&world, &cluster, "second", &keys("second"));
    second.comes_to(&world, "standby");
    cluster.cut_off("first-token");
    eventually("the second has done all", || {
        let of_second = |name: &String| {
            world.control().get(PROJECT, name).is_some_and(|body| body["description"] == "second")
        };
        names.iter().all(of_second)
    });
    assert_ne!(first.target(&world)["state"], json!("in_sync"));
    let writes = writes(&world);
    let begins = begin_of_second(&writes);
    assert!(begins > 5 && begins < names.len(), "it was in the middle: {begins}");
    // Every name was made once, by one of the two: what the first made was remembered.
    let made = writes.iter().filter(|(line, _)| line.starts_with("POST")).count();
    assert_eq!(made, names.len());
}

/// The Lease alone, without the state that would stop it too: its Secret can be written all along.
#[test]
fn one_that_cannot_renew_its_lease_stops_by_itself() {
    let world = World::with(Options { latency: Duration::from_millis(30), ..Options::default() });
    let cluster = Cluster::start(&world);
    let all = 400;
    for n in 0..all {
        world.write(&format!("connections/c{n}.yaml"), &email(&format!("c{n}"), ""));
    }
    world.commit("many");
    let first = Replica::start(&world, &cluster, "first", ", concurrency: 1");
    eventually("it has begun", || world.names().len() > 5);
    cluster.forbid(&["leases"]);
    first.comes_to(&world, "failing");
    let made = world.names().len();
    assert!(made < all, "it wrote on without a lease");
    let posts = writes(&world).len();
    std::thread::sleep(Duration::from_secs(1));
    assert!(writes(&world).is_empty());
    assert_eq!((world.names().len(), posts), (made, made));
    // The next one goes on where it stopped.
    cluster.cut_off("first-token");
    cluster.forbid(&[]);
    let second = Replica::start(&world, &cluster, "second", ", concurrency: 16");
    second.comes_to(&world, "in_sync");
    assert_eq!(writes(&world).len(), all - made);
}

/// Takes the Lease from the first in the middle of an apply, and checks that it writes nothing once the
/// second has begun.
fn second_begins_after_first_has_ended(take_lease: impl Fn(&Cluster)) {
    let world = World::with(Options { latency: Duration::from_millis(30), ..Options::default() });
    let cluster = Cluster::start(&world);
    for n in 0..150 {
        world.write_email(&format!("c{n:03}"), "description: ${var:who}\n");
    }
    world.commit("many");
    let keys = |who: &str| format!(", concurrency: 1, vars: {{who: {who}}}");
    let first = Replica::start(&world, &cluster, "first", &keys("first"));
    eventually("the first has begun", || world.names().len() > 5);
    let second = Replica::start(&world, &cluster, "second", &keys("second"));
    second.comes_to(&world, "standby");
    take_lease(&cluster);
    eventually("the second acts", || cluster.holders() == ["second"]);
    second.comes_to(&world, "in_sync");
    begin_of_second(&writes(&world));
    drop(first);
}

/// The first write of the second replica, after which there is none of the first.
fn begin_of_second(writes: &[(String, Value)]) -> usize {
    let begins = writes.iter().position(|(_, who)| who == "second").unwrap();
    let after: Vec<_> = writes[begins..].iter().filter(|(_, who)| who == "first").collect();
    assert!(after.is_empty(), "{after:?}");
    begins
}

/// The worst case: the first cannot even ask for its Lease.
#[test]
fn a_lease_that_is_deleted_by_hand_makes_no_second_writer() {
    second_begins_after_first_has_ended(|cluster| {
        cluster.cut_off("first-token");
        cluster.delete("leases");
    });
}

/// The second never saw the Lease: the state on the volume tells that another acted.
#[test]
fn a_lease_that_was_deleted_unseen_is_waited_out_where_the_state_is_on_a_volume() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "port: 1\n");
    let targets = target(&world, "default", PROJECT, "");
    let of = |name| Replica::with(&world, &cluster, name, &targets, "lease: 4s, state: volume");
    let mut first = of("first");
    first.comes_to(&world, "in_sync");
    first.child.kill().unwrap();
    cluster.delete("leases");
    let second = of("second");
    let in_its_place = "a replica whose lease was deleted";
    eventually("a Lease in its place", || cluster.holders() == [in_its_place]);
    assert_eq!(second.target(&world)["state"], json!("standby"));
    second.comes_to(&world, "in_sync");
    assert_eq!(cluster.holders(), ["second"]);
}

/// Only the Lease is out of reach, so that the state does not stop the first.
#[test]
fn calls_that_hang_on_the_lease_stop_the_writes_in_time() {
    second_begins_after_first_has_ended(|cluster| cluster.let_leases_hang("first-token"));
}

/// A target whose Lease is as long as here leaves 2.4 s for the begin of writes after a renewal, and is
/// renewed after 4.2 s.
#[test]
fn a_write_after_an_idle_time_begins_with_a_renewal() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "port: 1\n");
    let targets = target(&world, "default", PROJECT, "").replace("timeout: 1s", "timeout: 3s");
    let lease = "lease: 6s";
    let first = Replica::with(&world, &cluster, "first", &targets, lease);
    first.comes_to(&world, "in_sync");
    let renewed = || cluster.take_calls().iter().any(|call| call == "update leases");
    let mut port_now = 1;
    for may_renew in [true, false] {
        renewed();
        eventually("it is renewed", renewed);
        if !may_renew {
            cluster.forbid(&["update leases"]);
        }
        std::thread::sleep(Duration::from_millis(2700));
        assert!(!renewed(), "an idle holder renews late");
        world.commit_email("a", &format!("port: {}\n", port_now + 1));
        if may_renew {
            port_now += 1;
            eventually("it writes", || port(&world, "a") == json!(port_now));
            assert!(renewed(), "the write waited for it");
        }
    }
    first.comes_to(&world, "failing");
    assert_eq!(port(&world, "a"), json!(port_now));
    assert!(first.logs().contains("it could not be renewed in time"), "{}", first.logs());
    cluster.forbid(&[]);
    eventually("it acts again", || port(&world, "a") == json!(port_now + 1));
}

#[test]
fn idle_replicas_make_few_calls() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "");
    let target = |n| target(&world, &format!("t{n}"), &format!("p{n}"), "");
    let targets: String = (1..=10).map(target).collect();
    let replicas = ["first", "second"].map(|name| Replica::of(&world, &cluster, name, &targets));
    eventually("all are held", || cluster.holders().len() == 10);
    std::thread::sleep(Duration::from_secs(2));
    let started = Instant::now();
    cluster.take_calls();
    std::thread::sleep(Duration::from_secs(6));
    let calls = cluster.take_calls();
    let leases = started.elapsed().as_secs_f64() / 2.0;
    let count = |name: &str| calls.iter().filter(|call| *call == name).count() as f64;
    // In each duration a Lease is renewed 1.4 times, and one watch shows all to a replica.
    let renewals = count("update leases");
    assert!(renewals <= 10.0 * (1.43 * leases + 1.0), "{renewals} in {leases}");
    let reads = ["watch leases", "list leases", "get leases"].map(count);
    assert!(reads.iter().sum::<f64>() <= 4.0, "{reads:?}");
    drop(replicas);
}

#[test]
fn a_busy_cluster_and_a_deleted_state_are_told_and_lose_nothing() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "port: 1\n");
    let targets = target(&world, "default", PROJECT, "");
    let first = Replica::with(&world, &cluster, "first", &targets, "lease: 15s");
    first.comes_to(&world, "in_sync");
    cluster.trouble("update secrets", Trouble::Busy, 3);
    world.commit_email("a", "port: 2\n");
    eventually("it waits and goes on", || port(&world, "a") == json!(2));
    first.comes_to(&world, "in_sync");
    assert!(!first.logs().contains("cannot answer now"), "{}", first.logs());
    cluster.delete("secrets");
    eventually("the state is written again", || !cluster.names("secrets").is_empty());
    eventually("it is logged", || first.logs().contains("the target lost its state"));
    assert_eq!(world.names(), ["a"]);
    let is_told = || first.target(&world)["notices"].to_string().contains("found to be gone");
    eventually("it is told", is_told);
    let told_in = first.target(&world)["last_reconcile"].clone();
    eventually("another look", || first.target(&world)["last_reconcile"] != told_in);
    assert!(is_told(), "until the next commit is applied: {}", first.target(&world));
    world.commit_email("a", "port: 3\n");
    eventually("it is told no more", || port(&world, "a") == json!(3) && !is_told());
    first.comes_to(&world, "in_sync");
}

fn first_and_second() -> (World, Cluster, [Replica; 2]) {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "port: 1\n");
    let first = Replica::start(&world, &cluster, "first", "");
    first.comes_to(&world, "in_sync");
    let second = Replica::start(&world, &cluster, "second", "");
    second.comes_to(&world, "standby");
    (world, cluster, [first, second])
}

#[test]
fn a_suspension_reaches_the_replica_that_acts() {
    let (world, _cluster, [first, second]) = first_and_second();
    assert_eq!(second.post(&world, "/api/v1/suspend"), 202);
    first.comes_to(&world, "suspended");
    assert_eq!(second.post(&world, "/api/v1/resume"), 202);
    first.comes_to(&world, "in_sync");
}

#[test]
fn a_suspension_that_waits_for_the_state_holds_up_no_election() {
    let (world, cluster, [mut first, second]) = first_and_second();
    let state = StateFile::of(&world.path("second/state"), &world.url(), PROJECT);
    let lock = std::fs::File::create(state.path().with_extension("lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(second.post(&world, "/api/v1/suspend"), 202);
    first.child.kill().unwrap();
    eventually("the second has the lease", || cluster.holders() == ["second"]);
    world.commit_email("a", "port: 2\n");
    lock.unlock().unwrap();
    second.comes_to(&world, "suspended");
    assert_eq!(port(&world, "a"), json!(1));
}
