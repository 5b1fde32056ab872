//! Secrets: sent, compared, rotated, concealed, and never wiped.

use apinizer_gitops::testing::sandbox::{Options, SecretsOnGet};
use axum::http::Method;
use serde_json::json;

use crate::faults::Moment;
use crate::rules::with_rules;
use crate::running::Applying;
use crate::world::{CANARY, World, email, email_body, refusal};

pub(crate) fn masked() -> Options {
    Options::showing(SecretsOnGet::Masked)
}

#[test]
fn a_rotated_secret_is_written_without_a_commit() {
    for secrets in [SecretsOnGet::Masked, SecretsOnGet::Shown, SecretsOnGet::Cipher] {
        let mut world = World::with(Options::showing(secrets));
        world.settle(&["orders"]);
        world.apply().code(0);
        assert_eq!(world.writes(), Vec::<String>::new());
        world.env.insert("SMTP_PASSWORD".into(), "another".into());
        assert_eq!(world.changes(&[]), ["update orders"]);
        world.apply().code(0);
        assert_eq!(world.live("orders")["password"], json!("another"));
        assert_eq!(world.writes(), ["PUT orders"]);
        world.apply().code(0);
        assert!(world.writes().is_empty());
    }
}

#[test]
fn an_adopted_masked_secret_is_unverified_and_no_change() {
    let mut world = World::with(masked());
    world.make(email_body("orders"));
    world.commit_email("orders", "");
    world.apply().code(0);
    assert!(world.writes().is_empty());
    let plan = world.plan_json(&[]);
    assert_eq!(plan["summary"]["unverified"], json!(1));
    assert_eq!(plan["changes"], json!([]));
    world.env.insert("SMTP_PASSWORD".into(), "rotated".into());
    world.apply().code(0);
    assert_eq!(world.live("orders")["password"], json!("rotated"));
    assert_eq!(world.plan_json(&[])["summary"]["unverified"], json!(0));
}

#[test]
fn resend_secrets_sends_them() {
    let world = World::with(masked());
    world.make(email_body("orders"));
    world.commit_email("orders", "");
    world.apply().code(0);
    world.run(&["apply", "--yes", "--resend-secrets"]).code(0);
    assert_eq!(world.writes(), ["PUT orders"]);
    assert_eq!(world.plan_json(&[])["summary"]["unverified"], json!(0));
}

#[test]
fn a_put_never_wipes_a_secret_that_git_does_not_declare() {
    let world = World::with(masked());
    world.make(email_body("orders"));
    world.write("connections/o.yaml", "type: email\nname: orders\nhost: other\nusername: u\n");
    world.commit("without auth");
    assert_eq!(world.changes(&[]), ["blocked orders"]);
    world.plan().code(1).says("declare it as");
    world.apply().code(1).says("password");
    assert!(world.writes().is_empty());
    assert_eq!(world.live("orders")["password"], json!(CANARY));
    world.write("connections/o.yaml", "type: email\nname: orders\nhost: other\nauth: false\n");
    world.commit("auth: false gives it no use");
    world.apply().code(0);
    assert_eq!(world.live("orders")["host"], json!("other"));
}

#[test]
fn a_readable_secret_that_drifted_is_corrected() {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.target("verify_secrets: 0s");
    world.settle(&["orders"]);
    world.apply().code(0);
    world.edit("orders", "password", json!("typed-in-the-console"));
    let ran = world.run(&["plan", "--verify-secrets"]).code(2);
    assert!(!ran.stdout.contains("typed-in-the-console"));
    world.apply().code(0);
    assert_eq!(world.live("orders")["password"], json!(CANARY));
}

#[test]
fn a_server_that_begins_to_hide_secrets_costs_one_put() {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.target("verify_secrets: 0s");
    world.settle(&["a", "b", "c"]);
    world.apply().code(0);
    world.control().alter(|options| options.show(SecretsOnGet::Cipher));
    world.forget_calls();
    world.apply().code(0);
    assert_eq!(world.writes().len(), 1);
    world.apply().code(0);
    assert!(world.writes().is_empty());
}

#[test]
fn values_of_the_environment_are_never_shown_whatever_the_field() {
    let mut world = World::new();
    world.env.insert("HOST".into(), "s3cret.example.com".into());
    world.write("connections/a.yaml", "type: email\nname: a\nhost: ${env:HOST}\n");
    world.commit("a");
    for output in ["text", "json", "markdown"] {
        let ran = world.run(&["plan", "-vvv", "--output", output]);
        assert!(!format!("{ran:?}").contains("s3cret"), "{ran:?}");
    }
    world.apply().code(0);
    assert_eq!(world.live("a")["host"], json!("s3cret.example.com"));
    assert!(!world.state().contains("s3cret"));
    world.edit("a", "host", json!("drifted.example.com"));
    let ran = world.run(&["plan", "-vvv"]).code(2).says("${env:HOST}");
    assert!(!format!("{ran:?}").contains("drifted"), "{ran:?}");
    world.env.insert("HOST".into(), "r0tated.example.com".into());
    world.apply().code(0);
    assert_eq!(world.live("a")["host"], json!("r0tated.example.com"));
}

#[test]
fn a_secret_in_an_answer_is_not_shown() {
    let world = World::new();
    world.commit_email("a", "");
    let refusal = refusal(&format!("bad {CANARY} here"));
    world.control().fail_next(Some(Method::POST), "/a/", refusal, 1);
    world.run(&["apply", "--yes", "-vvv"]).code(1).says("(sensitive)");
}

#[test]
fn a_secret_in_the_answer_of_a_list_is_not_shown() {
    let world = World::new();
    world.commit_email("a", "");
    let refusal = refusal(&format!("bad {CANARY} here"));
    world.control().fail_next(Some(Method::GET), "/connections/", refusal, 1);
    world.run(&["plan", "-vvv"]).code(1).says("(sensitive)");
}

#[test]
fn a_secret_of_another_field_in_an_answer_is_not_shown() {
    let world = World::settled(&["a"]);
    let properties = json!([{"key": "mail.smtp.password", "value": "typed-in-the-console"}]);
    world.edit("a", "additionalProperties", properties);
    world.commit_email("a", "port: 26\n");
    let refusal = refusal("cannot connect with typed-in-the-console");
    world.control().fail_next(Some(Method::PUT), "/a/", refusal, 1);
    let ran =
        world.run(&["apply", "--yes", "-vvv"]).code(1).says("cannot connect with (sensitive)");
    assert!(!format!("{ran:?}{}", world.state()).contains("typed-in"), "{ran:?}");
}

#[test]
fn a_server_that_begins_to_answer_null_costs_no_secret() {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.target("verify_secrets: 0s");
    world.commit_email("proves", "");
    world.apply().code(0);
    world.apply().code(0);
    world.make(email_body("orders"));
    let text = "type: email\nname: orders\nhost: smtp.example.com\nusername: u\n";
    world.write("connections/o.yaml", text);
    world.commit("without its password");
    world.apply().code(0);
    world.control().alter(|options| options.show(SecretsOnGet::Masked));
    world.write("connections/o.yaml", &format!("{text}port: 2525\n"));
    world.commit("another port");
    world.forget_calls();
    world.apply().code(1).says("would wipe it");
    assert!(world.writes().is_empty());
    assert_eq!(world.live("orders")["password"], json!(CANARY));
}

#[test]
fn another_reference_is_sent_under_another_key_too() {
    for declared in ["${env:OTHER}", "null"] {
        let mut world = World::with(masked());
        world.settle(&["orders", "mails"]);
        world.env.insert("OTHER".into(), "another".into());
        // The key of the fingerprints comes from the token.
        world.env.insert("APINIZER_TOKEN".into(), "a-token-that-was-rotated".into());
        let document = email("orders", "").replace("${env:SMTP_PASSWORD}", declared);
        world.write("connections/orders.yaml", &document);
        world.commit("another password");
        assert_eq!(world.changes(&[]), ["update orders"], "{declared}");
        world.apply().code(0);
        let sent = if declared == "null" { json!(null) } else { json!("another") };
        assert_eq!(world.live("orders").get("password").unwrap_or(&json!(null)), &sent);
        world.forget_calls();
        world.apply().code(0);
        assert!(world.writes().is_empty());
    }
}

#[test]
fn a_run_of_a_part_under_another_key_has_no_secret_of_the_rest_sent() {
    let mut world = World::with(masked());
    world.settle(&["orders", "mails"]);
    world.env.insert("APINIZER_TOKEN".into(), "a-token-that-was-rotated".into());
    world.run(&["apply", "--yes", "--name", "orders"]).code(0);
    world.forget_calls();
    world.apply().code(0);
    assert!(world.writes().is_empty());
}

#[test]
fn an_update_that_was_not_sent_after_a_read_back_is_not_counted_as_done() {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.target("verify_secrets: 0s");
    world.settle(&["a", "b", "c", "d", "e"]);
    world.apply().code(0);
    world.control().alter(|options| options.show(SecretsOnGet::Cipher));
    world.forget_calls();
    let ran = world.run(&["apply", "--yes", "--output", "json"]).code(0);
    assert_eq!(world.writes().len(), 1);
    let outcome: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(outcome["targets"][0]["summary"]["done"], json!(1), "{outcome}");
}

/// Connections whose passwords all read back as another text than git's.
fn with_other_passwords(names: &[&str], rule: &str) -> World {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.target("verify_secrets: 0s");
    world.settle(names);
    world.apply().code(0);
    with_rules(&mut world, "verify_secrets: 0s\nconcurrency: 1", &[rule]);
    for name in names {
        world.edit(name, "password", json!("typed-in-the-console"));
    }
    world.forget_calls();
    world
}

#[test]
fn a_held_update_of_a_secret_holds_up_no_other_one() {
    let rule = "a-waits|hold|connection.name == 'a'";
    let world = with_other_passwords(&["a", "b"], rule);
    world.apply().code(3).says("held by the rule `a-waits`");
    assert_eq!(world.writes(), ["PUT b"]);
    assert_eq!(world.live("b")["password"], json!(CANARY));
}

#[test]
fn a_denied_update_of_a_secret_does_not_end_the_check_of_the_others() {
    let rule = "a-stays|deny|connection.name == 'a' && change.action == 'update'";
    let world = with_other_passwords(&["a", "b", "c", "d"], rule);
    world.control().alter(|options| options.show(SecretsOnGet::Cipher));
    world.apply().code(1).says("denied by the rule `a-stays`");
    assert_eq!(world.writes(), ["PUT b"]);
}

#[test]
fn updates_that_would_wait_for_a_check_are_not_started_in_a_run_that_ends() {
    let world = with_other_passwords(&["a", "b"], "new|warn|connection.name == 'new'");
    world.commit_email("new", "");
    let gate = world.control().gate(Some(Method::POST), "/connections/new/", Moment::Before);
    let mut applying = Applying::until(&world, &gate);
    applying.ask_to_end("-TERM");
    gate.open();
    let ran = applying.ends().code(1).says("2 not started");
    assert!(!ran.stdout.contains("failed"), "{ran:?}");
}

#[test]
fn a_secret_that_git_declares_null_is_emptied() {
    let world = World::with(masked());
    world.settle(&["orders"]);
    let document = email("orders", "").replace("${env:SMTP_PASSWORD}", "null");
    world.write("connections/orders.yaml", &document);
    world.commit("no password any more");
    world.apply().code(0);
    assert!(world.live("orders")["password"].is_null());
}
