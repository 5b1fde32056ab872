//! A PUT never stores what only stands for a secret: cipher text, a mask, a `null` in place of a
//! file. Whether a secret can be read is a fact of the answers of this pass.

use apinizer_gitops::testing::profile::Mask;
use apinizer_gitops::testing::sandbox::{OnMasked, Options, SecretsOnGet};
use axum::http::Method;
use serde_json::{Value, json};

use crate::world::{CANARY, PROJECT, SandboxOptions as _, World, email, email_body, refusal};

const UNDECLARED: &str = "type: email\nname: a\nhost: smtp.example.com\nusername: u\n";
const IGNORED: &str = "x-gitops: {ignore: [password]}\n";

/// A server that shows secrets, with a connection `a` and a second one whose password git declares,
/// so that the password of the type is proven readable.
fn readable(document_of_a: &str, keys: &str) -> World {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.target(&format!("verify_secrets: 0s\n{keys}"));
    world.make(email_body("a"));
    world.write("connections/a.yaml", document_of_a);
    world.settle(&["proves"]);
    world.apply().code(0);
    assert_eq!(world.live("a")["password"], json!(CANARY));
    world.forget_calls();
    world
}

/// The server is upgraded: it answers each read with other cipher text.
fn upgraded(world: &World) {
    world.control().alter(|options| options.show(SecretsOnGet::FreshCipher));
}

/// Asserts that nothing but git's value was ever stored as the password of `a`.
#[track_caller]
fn keeps_the_password(world: &World) {
    assert_eq!(world.live("a")["password"], json!(CANARY));
}

#[test]
fn cipher_text_is_not_sent_back_for_a_password_that_git_does_not_declare() {
    for document in [UNDECLARED.to_owned(), email("a", IGNORED)] {
        let world = readable(&document, "");
        upgraded(&world);
        world.write("connections/a.yaml", &format!("{document}port: 2525\n"));
        world.commit("another port");
        world.apply().code(1).says("would wipe it");
        keeps_the_password(&world);
        assert!(!world.writes().contains(&"PUT a".to_owned()));
    }
}

#[test]
fn cipher_text_that_stays_the_same_is_not_sent_back_either() {
    let world = readable(UNDECLARED, "");
    world.control().alter(|options| options.show(SecretsOnGet::Cipher));
    world.write("connections/a.yaml", &format!("{UNDECLARED}port: 2525\n"));
    world.commit("another port");
    world.apply().code(1).says("would wipe it");
    keeps_the_password(&world);
}

#[test]
fn a_password_that_this_pass_shows_to_be_readable_is_sent_back() {
    let world = readable(UNDECLARED, "");
    world.write("connections/a.yaml", &format!("{UNDECLARED}port: 2525\n"));
    world.commit("another port");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(2525));
    keeps_the_password(&world);
}

#[test]
fn a_password_that_this_pass_is_the_first_to_show_as_readable_is_sent_back() {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.target("verify_secrets: 0s");
    world.make(email_body("a"));
    world.make(email_body("proves"));
    world.write("connections/a.yaml", &format!("{UNDECLARED}port: 2525\n"));
    world.commit_email("proves", "");
    world.run(&["plan", "--verify-secrets"]).code(2).says("2525");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(2525));
    keeps_the_password(&world);
}

#[test]
fn a_connection_that_the_same_run_creates_proves_that_a_password_is_readable() {
    let world = readable(UNDECLARED, "");
    world.commit_without(&["proves"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    world.write("connections/a.yaml", &format!("{UNDECLARED}port: 2525\n"));
    world.commit_email("another", "");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(2525));
    keeps_the_password(&world);
}

/// No other connection proves any more that the type's password is shown in clear.
#[test]
fn a_rename_keeps_what_was_proven_of_a_password_that_git_does_not_declare() {
    let world = readable(UNDECLARED, "");
    world.remove("connections/a.yaml");
    let renamed = UNDECLARED.replace("name: a", "name: b");
    world.write("connections/b.yaml", &format!("{renamed}x-gitops: {{renamedFrom: a}}\n"));
    world.commit("b, and no longer a");
    world.apply().code(0);
    world.commit_without(&["proves"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    world.write("connections/b.yaml", &format!("{renamed}port: 2525\n"));
    world.commit("another port");
    world.plan().code(2);
    world.apply().code(0);
    assert_eq!(world.live("b")["password"], json!(CANARY));
}

#[test]
fn a_plan_says_that_a_put_would_wipe_a_password_that_is_masked_by_now() {
    let world = readable(UNDECLARED, "");
    world.control().alter(|options| options.show(SecretsOnGet::Masked));
    world.write("connections/a.yaml", &format!("{UNDECLARED}port: 2525\n"));
    world.commit("another port");
    world.plan().code(1).says("would wipe it");
}

/// The document takes the password out of git's hands, so nothing but the value that was sent can
/// prove that it is shown in clear.
#[test]
fn a_plan_reads_a_connection_before_it_says_that_a_put_would_wipe_its_password() {
    let world = World::with(Options::showing(SecretsOnGet::Shown));
    world.settle(&["a"]);
    world.apply().code(0);
    world.commit_email("a", &format!("port: 2525\n{IGNORED}"));
    world.run(&["plan"]).code(2).says("2525");
    upgraded(&world);
    world.run(&["plan"]).code(1).says("would wipe it");
    world.control().alter(|options| options.show(SecretsOnGet::Shown));
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(2525));
    keeps_the_password(&world);
}

#[test]
fn the_way_back_of_a_replace_stores_no_cipher_text() {
    let world = readable(UNDECLARED, "");
    world.control().alter(|options| options.show(SecretsOnGet::Cipher));
    world.write("connections/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
    world.commit("a is syslog now");
    world.control().fail_next(Some(Method::POST), "/a/", refusal("no syslog here"), 1);
    world.apply().code(1);
    keeps_the_password(&world);
    assert!(!world.writes().contains(&"DELETE a".to_owned()), "blocked before the delete");
}

#[test]
fn a_declared_password_is_sent_as_git_has_it_after_puts_that_did_not_stick() {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.target("verify_secrets: 0s");
    world.settle(&["a"]);
    world.apply().code(0);
    upgraded(&world);
    // Alone of its type, so that no other one is sent to look first.
    for round in 0..5 {
        world.commit_email("a", &format!("port: {}\n", 2525 + round));
        world.apply();
        world.apply();
        world.apply();
        assert_eq!(world.live("a")["port"], json!(2525 + round));
        keeps_the_password(&world);
    }
}

#[test]
fn a_declared_password_is_sent_as_git_has_it_where_drift_is_only_reported() {
    let world = readable(&email("a", ""), "drift: report\nadopt: always");
    upgraded(&world);
    world.apply();
    keeps_the_password(&world);
    world.commit_email("a", "port: 2525\n");
    world.apply();
    assert_eq!(world.live("a")["port"], json!(2525));
    keeps_the_password(&world);
}

#[test]
fn a_drifted_password_is_replaced_by_the_next_put_where_drift_is_only_reported() {
    let world = readable(&email("a", ""), "drift: report\nadopt: always");
    world.edit("a", "password", json!("typed in the console"));
    world.run(&["plan", "--verify-secrets"]).code(2);
    world.commit_email("a", "port: 2525\n");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(2525));
    keeps_the_password(&world);
}

const GRAYLOG: &str = "type: graylog\nname: a\nhostname: logs.example.com\ntlsEnabled: true\n";

/// A graylog connection whose certificates the server has and masks.
fn with_certificates(mask: Mask) -> World {
    let world = World::new();
    world.control().alter(|options| {
        options.mask("graylog", "tlsTrustCertChainFile", mask);
    });
    world.make(json!({
        "type": "graylog", "name": "a", "hostname": "logs.example.com", "tlsEnabled": true,
        "tlsTrustCertChainFile": "Y2VydGlmaWNhdGVz", "tlsTrustCertChainFileName": "chain.pem",
    }));
    world.write("connections/a.yaml", GRAYLOG);
    world.commit("declare it");
    world.apply().code(0);
    world
}

#[test]
fn a_certificate_that_the_server_hides_is_not_wiped() {
    for mask in [Mask::Nothing, Mask::Asterisks] {
        let world = with_certificates(mask);
        world.write("connections/a.yaml", &format!("{GRAYLOG}port: 12202\n"));
        world.commit("another port");
        world.plan().code(1).says("tlsTrustCertChainFile");
        world.apply().code(1).says("tlsTrustCertChainFile").says("or declare it `null`");
        assert_eq!(world.live("a")["tlsTrustCertChainFile"], json!("Y2VydGlmaWNhdGVz"));
        assert!(world.writes().is_empty());
    }
}

#[test]
fn a_certificate_that_git_declares_null_is_emptied() {
    let world = with_certificates(Mask::Nothing);
    let document = format!("{GRAYLOG}port: 12202\ntlsTrustCertChainFile: null\n");
    world.write("connections/a.yaml", &document);
    world.commit("another port, and no certificates");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(12202));
    let stored = world.live("a").get("tlsTrustCertChainFile").cloned().unwrap_or_default();
    assert_eq!(stored, Value::Null);
}

#[test]
fn a_certificate_that_git_declares_is_sent_as_git_has_it() {
    for mask in [Mask::Nothing, Mask::Asterisks] {
        let mut world = with_certificates(mask);
        world.env.insert("CHAIN".into(), "bmV3ZXI=".into());
        let document = format!("{GRAYLOG}port: 12202\ntlsTrustCertChainFile: ${{env:CHAIN}}\n");
        world.write("connections/a.yaml", &document);
        world.commit("another port, and other certificates");
        world.apply().code(0);
        assert_eq!(world.live("a")["tlsTrustCertChainFile"], json!("bmV3ZXI="));
        world.plan().code(0);
    }
}

/// A server that shows asterisks in the place of a whole field.
fn masking(type_name: &str, field: &str) -> World {
    let world = World::new();
    world.control().alter(|options| {
        options.mask(type_name, field, Mask::Asterisks);
    });
    world
}

#[test]
fn a_mask_in_the_place_of_a_field_that_git_does_not_declare_is_not_sent_back() {
    let world = masking("syslog", "syslogMessageHostname");
    let document = "type: syslog\nname: a\nsyslogServerHostname: h\nsyslogPort: 514\n";
    world.make(json!({
        "type": "syslog", "name": "a", "syslogServerHostname": "h", "syslogPort": 514,
        "syslogMessageHostname": "from the console",
    }));
    world.write("connections/a.yaml", document);
    world.commit("declare it");
    world.apply().code(0);
    world.write("connections/a.yaml", &document.replace("514", "515"));
    world.commit("another port");
    world.apply().code(1).says("syslogMessageHostname");
    assert_eq!(world.live("a")["syslogMessageHostname"], json!("from the console"));
}

const DATABASE: &str = "type: database\nname: db\ndbType: POSTGRES\nusername: u\n\
    password: '${env:SMTP_PASSWORD}'\njdbcUrl: 'jdbc:postgresql://h/db?password=${env:URL_PASSWORD}'\n";

#[test]
fn a_mask_in_the_place_of_a_declared_field_is_not_kept_as_drift() {
    for keys in ["drift: report\nadopt: always", ""] {
        let mut world = masking("database", "jdbcUrl");
        world.target(keys);
        world.env.insert("URL_PASSWORD".into(), "s3cret-in-the-url".into());
        world.write("connections/db.yaml", DATABASE);
        world.commit("a database");
        for _ in 0..4 {
            world.apply();
        }
        world.write("connections/db.yaml", &format!("{DATABASE}description: another\n"));
        world.commit("another description");
        world.apply().code(0);
        let live = world.live("db");
        assert_eq!(live["description"], json!("another"));
        assert_eq!(live["jdbcUrl"], json!("jdbc:postgresql://h/db?password=s3cret-in-the-url"));
    }
}

#[test]
fn the_way_back_of_a_replace_stores_no_mask_of_a_whole_field() {
    let mut world = masking("database", "jdbcUrl");
    world.env.insert("URL_PASSWORD".into(), "s3cret-in-the-url".into());
    world.write("connections/db.yaml", DATABASE);
    world.settle(&["keep"]);
    world.apply().code(0);
    world.write("connections/db.yaml", "type: syslog\nname: db\nsyslogServerHostname: h\n");
    world.commit("db is syslog now");
    world.control().fail_next(Some(Method::POST), "/db/", refusal("no syslog here"), 1);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(1);
    let live = world.live("db");
    assert_eq!(live["jdbcUrl"], json!("jdbc:postgresql://h/db?password=s3cret-in-the-url"));
}

const WEBHOOK: &str = "type: webhook\nname: hook\nfullUrl: 'https://h.example.com/x'\n";

fn header(value: &Value) -> Value {
    json!([{"name": "Authorization", "value": value}])
}

/// Some servers show nothing in the place of a secret inside a list.
#[test]
fn a_header_of_which_live_shows_nothing_is_not_wiped() {
    for shown in [json!(null), json!(""), json!("*****")] {
        let world = World::new();
        let url = "https://h.example.com/x";
        world.make(json!({
            "type": "webhook", "name": "hook", "fullUrl": url, "headerList": header(&shown)
        }));
        let of_live = "x-gitops: {ignore: [/headerList/0/value]}\n";
        let header = "headerList: [{name: Authorization, value: '${env:SMTP_PASSWORD}'}]\n";
        for document in [WEBHOOK.to_owned(), format!("{WEBHOOK}{header}{of_live}")] {
            world.write("connections/hook.yaml", &document);
            world.commit("declare it");
            world.apply();
            world.write("connections/hook.yaml", &format!("{document}description: another\n"));
            world.commit("another description");
            world.apply().code(1).says("headerList");
        }
        assert_eq!(world.live("hook")["headerList"][0]["value"], shown);
    }
}

#[test]
fn a_declared_header_of_which_live_shows_nothing_is_sent_as_git_has_it() {
    for shown in [json!(null), json!(""), json!("some cipher text")] {
        let mut world = World::new();
        world.target("drift: report");
        let document = format!(
            "{WEBHOOK}headerList: [{{name: Authorization, value: '${{env:SMTP_PASSWORD}}'}}]\n"
        );
        world.write("connections/hook.yaml", &document);
        world.settle(&["keep"]);
        world.edit("hook", "headerList", header(&shown));
        world.write("connections/hook.yaml", &format!("{document}description: another\n"));
        world.commit("another description");
        world.apply().code(0);
        assert_eq!(world.live("hook")["headerList"], header(&json!(CANARY)));
    }
}

#[test]
fn a_certificate_is_left_out_where_the_server_was_seen_to_keep_what_is_left_out() {
    for (mask, says, code) in
        [(Mask::Asterisks, "asterisks", 0), (Mask::Nothing, "nothing", 1), (Mask::Asterisks, "", 1)]
    {
        let mut world = with_certificates(mask);
        world.control().alter(|options| {
            options.of_type("graylog").omitted_secret = Some(OnMasked::Keep);
        });
        let own = format!("{{masked: {{tlsTrustCertChainFile: {says}}}, omitted_secret: keeps}}");
        let own = if says.is_empty() { "{omitted_secret: keeps}" } else { &own };
        let profile = format!("apinizer_gitops_profile: 1\ntypes:\n  graylog: {own}\n");
        std::fs::write(world.path("p.yaml"), profile).unwrap();
        world.target("profile: p.yaml");
        world.write("connections/a.yaml", &format!("{GRAYLOG}port: 12202\n"));
        world.commit("another port");
        world.apply().code(code);
        assert_eq!(world.live("a")["tlsTrustCertChainFile"], json!("Y2VydGlmaWNhdGVz"));
        assert_eq!(world.live("a").get("port") == Some(&json!(12202)), code == 0, "{says}");
    }
}

/// What the server has under a name that says secret may be masked like any secret.
#[test]
fn an_unknown_secret_of_which_live_shows_nothing_is_not_wiped() {
    for shown in [json!(null), json!(""), json!("**")] {
        let world = World::settled(&["a"]);
        world.edit("a", "relayToken", shown.clone());
        world.commit_email("a", "port: 2525\n");
        world.plan().code(1).says("relayToken");
        world.apply().code(1).says("would wipe it");
        assert_eq!(world.live("a")["relayToken"], shown);
        world.commit_email("a", "port: 2525\nrelayToken: null\n");
        world.apply().code(0);
        assert_eq!(world.live("a")["port"], json!(2525));
    }
}

/// A server may show nothing of a field that it has.
#[test]
fn an_unknown_secret_that_git_drops_is_not_emptied() {
    let of_env = "'${env:SMTP_PASSWORD}'";
    for (field, shown) in [
        ("ownSecret", Some(json!(CANARY))),
        ("ownSecret", Some(json!(null))),
        ("ownSecret", None),
        ("relay", None),
        ("relay", Some(json!(null))),
        ("relay", Some(json!(CANARY))),
    ] {
        let world = World::new();
        world.write("connections/hook.yaml", &format!("{WEBHOOK}{field}: {of_env}\n"));
        world.commit("a secret of its own");
        world.apply().code(0);
        world.control().edit(PROJECT, "hook", |body| {
            body.shift_remove(field);
            body.extend(shown.clone().map(|shown| (field.to_owned(), shown)));
        });
        world.write("connections/hook.yaml", WEBHOOK);
        world.commit("without it");
        world.apply().code(0);
        world.plan().code(0);
        assert_eq!(world.live("hook").get(field), shown.as_ref());
        let document = format!("{WEBHOOK}description: another\n");
        world.write("connections/hook.yaml", &document);
        world.commit("another description");
        let is_shown = shown == Some(json!(CANARY));
        world.plan().code(if is_shown { 2 } else { 1 });
        let ran = world.apply();
        assert_eq!(world.live("hook").get(field), shown.as_ref(), "{field}");
        if is_shown {
            ran.code(0);
            continue;
        }
        ran.code(1).says(field).says("would wipe it");
        world.write("connections/hook.yaml", &format!("{document}{field}: null\n"));
        world.commit("emptied on purpose");
        world.apply().code(0);
        assert_eq!(world.live("hook")["description"], json!("another"));
    }
}

const WITH_HEADER: &str = "headerList: [{name: Authorization, value: 'Bearer ${env:SMTP_PASSWORD}'}, \
    {name: X-A, value: '1'}]\n";

/// Live as a server shows it that masks the secret of a header.
fn masked_headers(mask: &Value) -> Value {
    json!([{"name": "Authorization", "value": mask, "id": 1}, {"name": "X-A", "value": "1", "id": 2}])
}

#[test]
fn a_masked_header_is_sent_when_its_value_changes_and_not_before() {
    for mask in [json!(null), json!("*****")] {
        let mut world = World::new();
        world.write("connections/hook.yaml", &format!("{WEBHOOK}{WITH_HEADER}"));
        world.commit("a header");
        world.apply().code(0);
        world.edit("hook", "headerList", masked_headers(&mask));
        world.plan().code(0);
        world.run(&["plan", "--resend-secrets"]).code(2).says("headerList");
        world.env.insert("SMTP_PASSWORD".into(), "rotated-secret".into());
        world.plan().code(2).says("git  headerList");
        world.apply().code(0);
        let sent = &world.live("hook")["headerList"][0];
        assert_eq!(sent["value"], json!("Bearer rotated-secret"));
        assert_eq!(sent["id"], json!(1));
        world.edit("hook", "headerList", masked_headers(&mask));
        world.plan().code(0);
        world.edit("hook", "headerList", json!([{"name": "Authorization", "value": mask}]));
        world.plan().code(2).says("drift  headerList");
    }
}

#[test]
fn a_masked_header_that_is_adopted_is_unverified_and_no_change() {
    let world = World::new();
    world.make(json!({
        "type": "webhook", "name": "hook", "fullUrl": "https://h.example.com/x",
        "headerList": masked_headers(&json!(null)),
    }));
    world.write("connections/hook.yaml", &format!("{WEBHOOK}{WITH_HEADER}"));
    world.commit("a header");
    world.apply().code(0);
    assert!(world.writes().is_empty());
    let plan = world.plan_json(&[]);
    assert_eq!((&plan["summary"]["unverified"], &plan["changes"]), (&json!(1), &json!([])));
}

#[test]
fn a_masked_header_is_sent_again_as_often_as_somebody_asks() {
    let world = World::new();
    world.write("connections/hook.yaml", &format!("{WEBHOOK}{WITH_HEADER}"));
    world.commit("a header");
    world.apply().code(0);
    for _ in 0..4 {
        world.edit("hook", "headerList", masked_headers(&json!("*****")));
        world.run(&["apply", "--yes", "--resend-secrets"]).code(0);
        let sent = format!("Bearer {CANARY}");
        assert_eq!(world.live("hook")["headerList"][0]["value"], json!(sent));
    }
}

/// The value is a text with a secret in it, so a mask does not look like one.
#[test]
fn a_jaas_configuration_of_which_live_shows_nothing_is_not_wiped() {
    let world = World::new();
    let shown = |value: Value, id: Value| json!({"sasl.jaas.config": {"value": value, "valueType": "STRING", "id": id}});
    let (masked, id) =
        (shown(json!(null), json!(1)), shown(json!("a.Module required;"), json!(null)));
    let kafka = "type: kafka\nname: k\ntopicName: t\npropertiesMap: {acks: {value: all}}\n\
        x-gitops: {ignore: [propertiesMap]}\n";
    world.make(json!({
        "type": "kafka", "name": "k", "topicName": "t", "propertiesMap": masked.clone(),
    }));
    world.write("connections/k.yaml", kafka);
    world.commit("a topic");
    world.apply().code(0);
    world.write("connections/k.yaml", &format!("{kafka}description: another\n"));
    world.commit("another description");
    world.apply().code(1).says("propertiesMap");
    assert_eq!(world.live("k")["propertiesMap"], masked);
    // Nothing beside the value is a secret.
    world.edit("k", "propertiesMap", id.clone());
    world.apply().code(0);
    assert_eq!(world.live("k")["propertiesMap"], id);
}

#[test]
fn a_list_that_held_a_secret_and_that_git_drops_is_noted() {
    let world = World::new();
    world.write("connections/hook.yaml", &format!("{WEBHOOK}{WITH_HEADER}"));
    world.commit("a header");
    world.apply().code(0);
    world.write("connections/hook.yaml", WEBHOOK);
    world.commit("no header");
    let note = "git no longer declares `headerList` of `hook`, which held a secret";
    world.plan().code(0).says(note);
    world.apply().code(0).says(note);
    assert_eq!(world.live("hook")["headerList"][1]["name"], json!("X-A"));
    world.write("connections/hook.yaml", &format!("{WEBHOOK}headerList: null\n"));
    world.commit("no header at all");
    world.apply().code(0);
    assert_eq!(world.live("hook")["headerList"], json!(null));
}
