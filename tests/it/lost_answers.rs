//! A write whose answer never came, or came broken: what is there decides, in both dialects.

use apinizer_gitops::testing::profile::Mask;
use apinizer_gitops::testing::sandbox::{Dialect, Ids, Options, SecretsOnGet};
use reqwest::Method;
use serde_json::json;

use crate::crashes::kill_at_first_write;
use crate::faults::{Fault, Moment};
use crate::probe::profiled;
use crate::running::Applying;
use crate::world::{CANARY, PROJECT, World, ftp};

const PLAIN: &str = "type: email\nname: plain\nhost: smtp.example.com\n";

/// The fault strikes the next call of this kind; the apply that meets it succeeds all the same.
fn struck(world: &World, method: Method, path: &str, fault: &Fault, writes: &[&str]) {
    world.control().fail_next(Some(method), path, fault.clone(), 1);
    world.forget_calls();
    world.apply().code(0);
    assert_eq!(world.writes(), writes, "{fault:?} at {path}");
    world.forget_calls();
    world.apply().code(0);
    assert_eq!(world.writes(), [""; 0], "{fault:?} at {path}: all was remembered");
}

/// Loses one answer of every kind of write. Masked secrets whose acknowledgement was lost are
/// sent again.
fn lose_every_answer(options: Options, fault: &Fault) {
    let world = World::with(options);
    world.settle(&["anchor"]);

    world.commit_email("a", "");
    struck(&world, Method::POST, "/a/", fault, &["POST a", "PUT a"]);
    world.commit_email("a", "port: 26\n");
    struck(&world, Method::PUT, "/a/", fault, &["PUT a", "PUT a"]);
    assert_eq!(world.live("a")["port"], json!(26));

    world.write("connections/plain.yaml", PLAIN);
    world.commit("a connection without a secret");
    struck(&world, Method::POST, "/plain/", fault, &["POST plain"]);
    world.write("connections/plain.yaml", &format!("{PLAIN}port: 27\n"));
    world.commit("move its port");
    struck(&world, Method::PUT, "/plain/", fault, &["PUT plain"]);

    world.remove("connections/a.yaml");
    world.write_email("b", "port: 26\nx-gitops: {renamedFrom: a}\n");
    world.commit("a becomes b");
    struck(&world, Method::PUT, "/a/", fault, &["PUT a", "PUT b"]);
    assert_eq!(world.names(), ["anchor", "b", "plain"], "{fault:?}");
    assert_eq!(world.live("b")["password"], json!(CANARY), "{fault:?}");

    world.write("connections/b.yaml", &ftp("b", ""));
    world.commit("b is of another type");
    struck(&world, Method::DELETE, "/b/", fault, &["DELETE b", "POST b"]);
    world.write_email("b", "");
    world.commit("and back");
    struck(&world, Method::POST, "/b/", fault, &["DELETE b", "POST b", "PUT b"]);
    assert_eq!(world.live("b")["type"], json!("email"), "{fault:?}");
    assert_eq!(world.live("b")["password"], json!(CANARY), "{fault:?}");

    world.commit_without(&["b"]);
    struck(&world, Method::DELETE, "/b/", fault, &["DELETE b"]);
    assert_eq!(world.names(), ["anchor", "plain"], "{fault:?}");
    let owned: Vec<String> =
        world.remembered("owned").as_object().unwrap().keys().cloned().collect();
    assert_eq!(owned, ["anchor", "plain"], "{fault:?}");
}

fn in_dialect(dialect: Dialect) {
    for (number, fault) in
        [Fault::Lost, Fault::Truncated, Fault::LateError, Fault::LateHtml].into_iter().enumerate()
    {
        // Without an id of the server, the old name tells whether a rename was done.
        let secrets = if number == 1 { SecretsOnGet::Shown } else { SecretsOnGet::Masked };
        let ids = if number % 2 == 0 { Ids::Everywhere } else { Ids::Nowhere };
        let options = Options::showing(secrets).in_dialect(dialect);
        lose_every_answer(Options { ids, ..options }, &fault);
    }
}

#[test]
fn current_servers_lose_every_kind_of_answer() {
    in_dialect(Dialect::Current);
}

#[test]
fn older_servers_lose_every_kind_of_answer() {
    in_dialect(Dialect::Older);
}

/// Kills an apply whose first write never arrives.
fn kill_before_it_is_done(world: &World) -> bool {
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        world.control().fail_next(Some(method), "/connections/", Fault::Reset, 1);
    }
    let is_killed = kill_at_first_write(world, false);
    world.control().clear_faults();
    is_killed
}

#[test]
fn a_field_that_the_profile_says_is_masked_does_not_tell_that_a_create_was_not_made() {
    let mut world = World::new();
    world.control().alter(|options| {
        options.of_type("email").masked.insert("username".to_owned(), Mask::Nothing);
    });
    profiled(&mut world, "email: {masked: {username: nothing}}");
    world.write("connections/plain.yaml", &format!("{PLAIN}username: of-git\n"));
    world.commit("a masked user name");
    // It is sent again, since live does not show whether it arrived.
    struck(&world, Method::POST, "/plain/", &Fault::Lost, &["POST plain", "PUT plain"]);
    assert_eq!(world.live("plain")["username"], json!("of-git"));
}

#[test]
fn a_write_that_was_not_done_is_sent_again() {
    let world = World::new();
    world.commit_email("a", "");
    struck(&world, Method::POST, "/a/", &Fault::Reset, &["POST a", "POST a"]);
    world.commit_email("a", "port: 26\n");
    struck(&world, Method::PUT, "/a/", &Fault::Error, &["PUT a", "PUT a"]);
}

#[test]
fn a_deployment_whose_answer_was_lost_is_asked_for_again() {
    let world = World::new();
    world.write("connections/plain.yaml", PLAIN);
    world.commit("plain");
    world.control().fail_next(Some(Method::POST), "/plain/", Fault::Undeployed, 1);
    world.apply().code(1);
    // Live is as git has it before this PUT, so finding it so afterwards proves nothing.
    struck(&world, Method::PUT, "/plain/", &Fault::Lost, &["PUT plain", "PUT plain"]);
}

#[test]
fn a_rotated_secret_that_was_taken_back_is_sent_again_after_a_kill() {
    let mut world = World::with(Options::showing(SecretsOnGet::Masked));
    world.settle(&["a", "b"]);
    let before = world.env.insert("SMTP_PASSWORD".into(), "rotated".into()).unwrap();
    assert!(kill_at_first_write(&world, true));
    world.env.insert("SMTP_PASSWORD".into(), before);
    world.apply().code(0);
    for name in ["a", "b"] {
        assert_eq!(world.live(name)["password"], json!(CANARY), "{name}");
    }
}

#[test]
fn fields_that_git_takes_back_after_a_lost_update_go_back() {
    for keys in ["", "drift: report"] {
        let mut world = World::new();
        world.target(keys);
        world.settle(&["a", "b"]);
        world.commit_email("a", "port: 99\nenableStartTls: true\n");
        assert!(kill_at_first_write(&world, true));
        world.commit_email("a", "");
        world.apply().code(0);
        let live = world.live("a");
        assert_eq!(
            (&live["port"], &live["enableStartTls"]),
            (&json!(587), &json!(false)),
            "{keys}"
        );
        world.plan().code(0);
    }
}

/// Makes a connection by hand that is like another one in all but its host.
fn make_by_hand(world: &World, name: &str, like: &str) {
    let mut body = world.live(like);
    (body["name"], body["host"]) = (json!(name), json!("by.hand"));
    world.make(body);
}

#[test]
fn a_connection_that_somebody_makes_after_our_lost_delete_is_not_ours() {
    for had_drifted in [false, true] {
        let world = World::with(Options { ids: Ids::Nowhere, ..Options::default() });
        world.settle(&["a", "b"]);
        if had_drifted {
            world.edit("a", "host", json!("drifted"));
        }
        world.commit_without(&["a"]);
        assert!(kill_at_first_write(&world, true));
        make_by_hand(&world, "a", "b");
        world.apply().code(0);
        assert_eq!(world.names(), ["a", "b"], "{had_drifted}");
    }
}

#[test]
fn a_connection_that_somebody_makes_in_place_of_a_drifted_one_is_not_the_renamed_one() {
    let mut world = World::with(Options { ids: Ids::Nowhere, ..Options::default() });
    world.target("drift: report\nadopt: never");
    world.settle(&["a", "other"]);
    world.edit("a", "host", json!("drifted"));
    world.commit_rename("a", "b");
    assert!(kill_before_it_is_done(&world));
    world.control().remove(PROJECT, "a");
    make_by_hand(&world, "b", "other");
    world.apply().code(1).says("it was made outside git");
    world.commit_without(&["b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "other"]);
}

#[test]
fn a_drifted_connection_whose_replace_was_never_sent_is_replaced() {
    let world = World::with(Options { ids: Ids::Nowhere, ..Options::default() });
    world.settle(&["a", "b"]);
    world.edit("a", "host", json!("drifted"));
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("a is of another type");
    assert!(kill_before_it_is_done(&world));
    world.apply().code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
}

#[test]
fn the_second_step_of_a_chain_of_equal_renames_leaves_the_first_to_us() {
    let world = World::with(Options { ids: Ids::Nowhere, ..Options::default() });
    world.settle(&["a", "b", "other"]);
    world.remove("connections/a.yaml");
    world.write_email("b", "x-gitops: {renamedFrom: a}\n");
    world.write_email("c", "x-gitops: {renamedFrom: b}\n");
    world.commit("b is called c, and a is called b");
    let gate = world.control().gate(Some(Method::PUT), "/connections/a/", Moment::After);
    assert!(Applying::until(&world, &gate).kill());
    drop(gate);
    assert_eq!(world.names(), ["b", "c", "other"]);
    world.commit_without(&["c"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "other"]);
}

#[test]
fn drift_that_is_listed_in_another_form_is_still_ours() {
    let (one, other) = (json!({"key": "k", "value": "1"}), json!({"key": "l", "value": "2"}));
    let forms = [
        ("additionalProperties", json!([one, other]), json!([other, one])),
        ("description", json!(""), json!(null)),
        ("port", json!(99), json!("99")),
    ];
    for (field, then, now) in forms {
        let world = World::with(Options { ids: Ids::Nowhere, ..Options::default() });
        let declared = "additionalProperties: [{key: k, value: v}]\ndescription: d\n";
        world.commit_email("a", declared);
        world.settle(&["b"]);
        world.edit("a", field, then);
        world.commit_without(&["a"]);
        assert!(kill_before_it_is_done(&world));
        world.edit("a", field, now);
        world.apply().code(0);
        assert_eq!(world.names(), ["b"], "{field}");
    }
}

#[test]
fn a_copy_of_a_drifted_connection_is_not_the_renamed_one() {
    for drift in ["report", "correct"] {
        let mut world = World::with(Options { ids: Ids::Nowhere, ..Options::default() });
        world.target(&format!("drift: {drift}\nadopt: never"));
        world.settle(&["a", "other"]);
        let copied = if drift == "report" { "a" } else { "other" };
        world.edit("a", "host", json!("drifted"));
        world.commit_rename("a", "b");
        assert!(kill_before_it_is_done(&world));
        let mut copy = world.live(copied);
        copy["name"] = json!("b");
        world.make(copy);
        world.apply().code(1).says("both names are live");
        world.commit_without(&["b"]);
        world.apply();
        assert!(world.names().contains(&"b".to_owned()));
    }
}

#[test]
fn what_a_rename_was_to_write_is_written_though_somebody_renamed_it_by_hand() {
    let mut world = World::new();
    world.target("drift: report");
    world.settle(&["a", "other"]);
    world.remove("connections/a.yaml");
    world.commit_email("b", "port: 99\nx-gitops: {renamedFrom: a}\n");
    assert!(kill_before_it_is_done(&world));
    world.edit("a", "name", json!("b"));
    world.apply().code(0);
    assert_eq!(world.live("b")["port"], json!(99));
}

#[test]
fn what_another_key_cannot_tell_is_not_ours() {
    let mut world = World::settled(&["b"]);
    world.env.insert("SENDER".into(), "shop@example.com".into());
    world.commit_email("a", "from: ${env:SENDER}\n");
    assert!(kill_at_first_write(&world, false));
    let mut by_hand = world.live("b");
    (by_hand["name"], by_hand["from"]) = (json!("a"), json!("somebody@example.com"));
    world.make(by_hand);
    world.env.insert("APINIZER_TOKEN".into(), "rotated".into());
    world.commit_without(&["a"]);
    world.apply().code(0).says("the fingerprint key changed");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_write_that_is_found_done_is_told_with_the_commit_that_asked_for_it() {
    let world = World::settled(&["a", "b"]);
    let asked_by = world.commit_email("a", "port: 99\n");
    assert!(kill_at_first_write(&world, true));
    world.commit_email("a", "");
    world.apply().code(0);
    let history = world.run(&["history", "--name", "a"]).code(0).stdout;
    let found = history.lines().find(|line| line.contains("found done")).unwrap();
    assert!(found.contains(&asked_by[..12]), "{history}");
}

#[test]
fn a_connection_that_git_declares_again_after_its_lost_delete_is_made() {
    let mut world = World::new();
    world.target("drift: report");
    world.settle(&["a", "b"]);
    world.commit_without(&["a"]);
    assert!(kill_at_first_write(&world, true));
    world.commit_email("a", "");
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
    let ran = world.run(&["history", "--name", "a"]).code(0);
    ran.says("was deleted").says("found done: no run saw the answer");
}

#[test]
fn a_masked_part_that_a_lost_update_carried_is_sent_again() {
    let world = World::new();
    let declare = |token: &str| {
        let header = format!("{{name: Authorization, value: '{token}'}}");
        let document = "type: webhook\nname: hook\nfullUrl: 'https://h.example.com/x'\n";
        world.write("connections/hook.yaml", &format!("{document}headerList: [{header}]\n"));
        world.commit("another token");
    };
    declare("${TOKEN_A}");
    world.settle(&["a"]);
    declare("${TOKEN_B}");
    assert!(kill_at_first_write(&world, true));
    // The server masks it from now on.
    world.edit("hook", "headerList", json!([{"name": "Authorization", "value": "*****"}]));
    declare("${TOKEN_A}");
    world.apply().code(0);
    assert_eq!(world.live("hook")["headerList"][0]["value"], json!("${TOKEN_A}"));
}

#[test]
fn an_edit_of_one_field_after_a_lost_update_is_drift() {
    let mut world = World::new();
    world.target("drift: report");
    world.settle(&["a", "b"]);
    world.commit_email("a", "port: 99\ndescription: ours\n");
    assert!(kill_at_first_write(&world, true));
    world.edit("a", "port", json!(1));
    world.apply().code(0).says("only reported");
    assert_eq!(world.live("a")["port"], json!(1));
    world.commit_email("a", "port: 99\n");
    world.apply().code(0);
    assert_eq!(world.live("a")["description"], json!(null));
}

#[test]
fn a_dropped_field_that_had_drifted_goes_back_though_its_update_was_never_sent() {
    let world = World::new();
    world.commit_email("a", "description: ours\n");
    world.settle(&["b"]);
    world.edit("a", "description", json!("by hand"));
    world.commit_email("a", "");
    assert!(kill_before_it_is_done(&world));
    world.apply().code(0);
    assert_eq!(world.live("a")["description"], json!(null));
    world.plan().code(0);
}

#[test]
fn a_field_that_stands_as_before_a_lost_update_is_written() {
    let mut world = World::new();
    world.target("drift: report");
    world.settle(&["a", "b"]);
    world.commit_email("a", "port: 99\ndescription: ours\n");
    assert!(kill_before_it_is_done(&world));
    world.edit("a", "port", json!(99));
    world.apply().code(0);
    assert_eq!(world.live("a")["description"], json!("ours"));
}

#[test]
fn a_connection_like_the_one_that_a_killed_run_was_to_make_is_not_ours() {
    let mut world = World::new();
    world.target("adopt: never");
    world.commit_email("b", "");
    world.apply().code(0);
    world.commit_email("a", "");
    assert!(kill_before_it_is_done(&world));
    let mut by_hand = world.live("b");
    by_hand["name"] = json!("a");
    by_hand["enableStartTls"] = json!(true);
    world.make(by_hand);
    world.apply().code(1).says("it was made outside git");
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}
