//! Ending at any moment: what was begun is finished and remembered, and a second signal ends at
//! once with a state that is whole.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::faults::{Fault, Moment};
use crate::running::{Applying, Running, eventually};
use crate::world::{CANARY, World, ftp};

fn three_one_by_one() -> World {
    let mut world = World::new();
    world.target("concurrency: 1");
    for name in ["a", "b", "c"] {
        world.write_email(name, "");
    }
    world.commit("three");
    world
}

#[test]
fn the_first_ctrl_c_finishes_the_calls_in_flight() {
    for (moment, signal_name) in [(Moment::Before, "-INT"), (Moment::After, "-TERM")] {
        let world = three_one_by_one();
        let gate = world.control().gate(Some(Method::POST), "/b/", moment);
        let mut applying = Applying::until(&world, &gate);
        applying.ask_to_end(signal_name);
        gate.open();
        let ran = applying.ends().code(1).says("2 done").says("1 not started");
        assert!(!ran.stdout.contains("failed"), "{ran:?}");
        assert_eq!(world.names(), ["a", "b"]);
        assert_eq!(world.remembered("owned").as_object().unwrap().len(), 2, "{moment:?}");
        world.apply().code(0);
        assert_eq!(world.names(), ["a", "b", "c"]);
    }
}

#[test]
fn a_single_reconcile_ends_too_whatever_the_server_does() {
    let mut world = World::settled(&["a"]);
    world.target("timeout: 10m");
    world.commit_email("b", "");
    let gate = world.control().gate(Some(Method::GET), "type=email", Moment::Before);
    let mut command = world.command(&["run", "--once"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    world.block_on(async { gate.wait_for(1).await });
    let id = running.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ran = world.ended(running.wait_with_output().unwrap());
    ran.code(1).says("did not end within 20 s");
    gate.open();
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_wait_for_another_try_ends_at_the_first_ctrl_c() {
    let world = World::new();
    world.commit_email("a", "");
    let slow = Fault::RateLimited { after: 55 };
    world.control().fail_next(Some(Method::POST), "/a/", slow, 1000);
    let applying = Applying::start(&world);
    eventually("a refusal", || world.control().struck() > 0);
    let began = Instant::now();
    applying.signal("-INT");
    let ran = applying.ends().code(1);
    // Not a measurement: the pause that the server asked for is far longer.
    assert!(began.elapsed() < Duration::from_secs(40), "{ran:?}");
    world.control().clear_faults();
    world.apply().code(0);
}

#[test]
fn the_second_ctrl_c_ends_at_once_and_the_next_run_makes_it_good() {
    for moment in [Moment::Before, Moment::After] {
        let world = three_one_by_one();
        let gate = world.control().gate(Some(Method::POST), "/b/", moment);
        let mut applying = Applying::until(&world, &gate);
        applying.ask_to_end("-INT");
        applying.signal("-INT");
        // The gate still holds the call.
        applying.ends().code(1);
        gate.open();
        world.apply().code(0);
        assert_eq!(world.names(), ["a", "b", "c"]);
        assert_eq!(world.live("b")["password"], json!(CANARY));
        assert_eq!(world.remembered("owned").as_object().unwrap().len(), 3, "{moment:?}");
    }
}

#[test]
fn the_daemon_ends_at_once_on_a_second_signal() {
    let world = three_one_by_one();
    let gate = world.control().gate(Some(Method::POST), "/b/", Moment::After);
    let mut daemon = Running::start(&world, &[]);
    world.block_on(gate.wait_for(1));
    daemon.ask_to_end();
    daemon.signal("-TERM");
    assert_eq!(daemon.ends(), 1);
    gate.open();
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn the_daemon_ends_while_the_api_is_down_or_silent() {
    let world = World::new();
    world.commit_email("a", "");
    world.control().fail_next(None, "", Fault::Error, usize::MAX);
    let mut daemon = Running::start(&world, &[]);
    eventually("a failure", || world.control().call_count() > 0);
    daemon.signal("-TERM");
    assert_eq!(daemon.ends(), 0);
    world.control().clear_faults();
    // A server that never answers: what is under way is given up after a while, and told.
    let gate = world.control().gate(Some(Method::POST), "/connections/", Moment::After);
    let mut daemon = Running::start(&world, &[]);
    world.block_on(gate.wait_for(1));
    daemon.signal("-TERM");
    assert_eq!(daemon.ends(), 0);
    let said = "the run ends before it is answered: whether it was carried out is not known \
                target=\"default\" call=\"POST connection `a`\"";
    assert!(daemon.logs().contains(said), "{}", daemon.logs());
}

#[test]
fn a_replace_whose_delete_was_sent_is_finished() {
    let world = World::settled(&["a", "b"]);
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("a is of another type");
    let gate = world.control().gate(Some(Method::DELETE), "/a/", Moment::After);
    let mut applying = Applying::until(&world, &gate);
    applying.ask_to_end("-TERM");
    gate.open();
    applying.ends().code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
    assert_eq!(world.live("a")["password"], json!(CANARY));
}

#[test]
fn a_newer_commit_ends_the_reconcile_of_an_older_one() {
    let mut world = World::new();
    world.target("resync: 10m");
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    eventually("created", || world.names() == ["a"]);
    world.control().fail_next(Some(Method::PUT), "/a/", Fault::Error, 1000);
    world.commit_email("a", "port: 1\n");
    let struck = || world.control().struck();
    eventually("some retries", || struck() > 2);
    world.commit_email("a", "port: 2\n");
    let interrupted = || -> Vec<String> {
        let history = daemon.status(&world)["targets"][0]["history"].clone();
        let entries = history.as_array().unwrap().iter();
        let interrupted = entries.filter(|entry| entry["outcome"] == json!("interrupted"));
        interrupted.map(|entry| entry["error"].as_str().unwrap_or_default().to_owned()).collect()
    };
    eventually("told", || interrupted().iter().any(|e| e.contains("the server answered 50")));
    // That the reconcile ended is said once, by the newer commit.
    let said_once = || {
        for error in interrupted() {
            assert_eq!(error.matches("ended the reconcile").count(), 1, "{error}");
            let others = ["the run is ending", "not sent"];
            assert!(others.iter().all(|words| !error.contains(words)), "{error}");
        }
    };
    said_once();
    eventually("logged", || {
        daemon.logs().contains("a newer commit ended the reconcile of this one")
    });
    world.control().clear_faults();
    eventually("the newer commit", || world.live("a")["port"] == json!(2));
    let puts = || -> Vec<_> {
        (world.control().calls().iter())
            .filter(|call| call.method == "PUT" && call.status == Some(200))
            .map(|call| call.body().unwrap().expose()["port"].clone())
            .collect()
    };
    // What is stored is seen before its answer is logged.
    eventually("the answer", || !puts().is_empty());
    assert_eq!(puts(), [json!(2)], "the older one is not written any more");
    // So it is where lists fail. A reconcile may give up before the next commit comes.
    world.control().fail_next(Some(Method::GET), "/connections", Fault::Error, 10_000);
    for port in 3..30 {
        if interrupted().len() > 1 {
            break;
        }
        let before = struck();
        world.commit_email("a", &format!("port: {port}\n"));
        eventually("some retries", || struck() > before + 2);
    }
    eventually("told", || interrupted().len() > 1);
    said_once();
}

#[test]
fn a_terminal_that_hangs_up_ends_the_daemon_and_a_sent_sighup_does_not() {
    let mut world = World::new();
    world.target("resync: 24h\nvars: {port: 1}");
    world.write("connections/a.yaml", "type: email\nname: a\nhost: h\nport: ${var:port}\n");
    world.commit("a");
    let Some(mut daemon) = Running::at_terminal(&world, &[]) else { return };
    eventually("created", || world.names() == ["a"]);
    world.target("resync: 24h\nvars: {port: 2}");
    daemon.signal("-HUP");
    eventually("the new config", || world.live("a")["port"] == json!(2));
    daemon.hang_up();
    daemon.is_gone();
    // Had it been killed, the call would not have come to its end.
    assert!(world.remembered("intent").as_object().unwrap().is_empty());
}

#[test]
fn a_terminal_that_hangs_up_lets_the_calls_in_flight_end() {
    let world = World::new();
    world.commit_email("a", "");
    let gate = world.control().gate(Some(Method::POST), "/a/", Moment::After);
    let Some(mut daemon) = Running::at_terminal(&world, &[]) else { return };
    world.block_on(gate.wait_for(1));
    daemon.hang_up();
    std::thread::sleep(Duration::from_secs(1));
    gate.open();
    daemon.is_gone();
    assert!(world.remembered("owned").get("a").is_some());
    assert!(world.remembered("intent").as_object().unwrap().is_empty());
}

#[test]
fn nohup_keeps_the_daemon_when_the_terminal_hangs_up() {
    let world = World::new();
    world.commit_email("a", "");
    let Some(mut daemon) = Running::at_terminal(&world, &["nohup"]) else { return };
    eventually("created", || world.names() == ["a"]);
    daemon.hang_up();
    std::thread::sleep(Duration::from_secs(1));
    world.commit_email("b", "");
    eventually("it goes on", || world.names() == ["a", "b"]);
}
