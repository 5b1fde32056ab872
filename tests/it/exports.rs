//! `export`: what it writes passes `validate` and plans to nothing, for every type.

use std::fs;
use std::path::Path;

use apinizer_gitops::testing::sandbox::{Dialect, Mask, Options, SecretsOnGet, Unset};
use axum::http::Method;
use serde_json::json;

use crate::faults::Fault;
use crate::world::{Ran, SandboxOptions as _, World, email_body};

const SECRET: &str = "Zk3v9Qw7Xb2Lm5Np8Rt4Yc6Hd1Jf0Gs";

/// Copies the examples of the repository into the world's one.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn names_in(text: &str) -> Vec<String> {
    let tail = text.split("${env:").skip(1);
    tail.filter_map(|rest| Some(rest.split('}').next()?.to_owned())).collect()
}

fn texts(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all += &if path.is_dir() { texts(&path) } else { fs::read_to_string(&path).unwrap() };
    }
    all
}

fn round_trip(options: Options) {
    let what = format!("{options:?}");
    let mut world = World::with(options);
    let vars = "vars: {domain: example.com, smtp_host: smtp.example.com, kafka_brokers: 'k:9092', db_pool: 5}";
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/connections"),
        &world.repo().join("connections"),
    );
    for name in names_in(&texts(&world.repo().join("connections"))) {
        world.env.insert(name, SECRET.to_owned());
    }
    world.target(vars);
    world.commit("all types");
    world.apply().code(0);
    let before = world.names();
    world.target("paths: [exported]");
    fs::remove_dir_all(world.state_dir()).unwrap();
    let folder = world.repo().join("exported");
    let ran = world.run(&["export", "--dir", &folder.display().to_string()]).code(0);
    let written = format!("{}{}", ran.stdout, texts(&folder));
    let leaks: Vec<&str> = written.lines().filter(|line| line.contains(SECRET)).collect();
    assert!(leaks.is_empty(), "{what}: {leaks:?}");
    world.run(&["validate", &folder.display().to_string()]).code(0);
    for name in names_in(&texts(&folder)) {
        world.env.insert(name, SECRET.to_owned());
    }
    world.commit("what is live");
    let plan = world.plan_json(&[]);
    assert_eq!(plan["changes"].as_array().map(Vec::len), Some(0), "{what}\n{plan:#}");
    assert_eq!(plan["errors"].as_array().map(Vec::len), Some(0), "{what}\n{plan:#}");
    world.forget_calls();
    world.apply().code(0);
    assert!(world.writes().is_empty(), "{what}");
    world.plan().code(0);
    assert_eq!(world.names(), before);
}

#[test]
fn an_export_plans_to_nothing_in_both_dialects() {
    for dialect in [Dialect::Current, Dialect::Older] {
        for secrets in [SecretsOnGet::ByGuide, SecretsOnGet::Masked, SecretsOnGet::Shown] {
            round_trip(Options::showing(secrets).in_dialect(dialect));
        }
    }
}

#[test]
fn and_from_servers_that_show_less_or_more() {
    for unset in [Unset::Default, Unset::LeftOut] {
        let options = Options::with(|options| options.read_unset_as(unset));
        round_trip(Options { bookkeeping: true, ..options });
    }
    let mut asterisks = Options::showing(SecretsOnGet::Asterisks);
    asterisks.read_unset_as(Unset::LeftOut);
    round_trip(asterisks);
}

/// Exports what is live and asserts that it passes `validate` and plans to nothing; what was said
/// with it, and the exit code.
fn valid_export(world: &mut World) -> (Ran, String) {
    world.target("paths: [exported]");
    let folder = world.repo().join("exported");
    let ran = world.run(&["export", "--dir", &folder.display().to_string()]);
    world.run(&["validate", &folder.display().to_string()]).code(0);
    let written = texts(&folder);
    for name in names_in(&written) {
        world.env.entry(name).or_insert_with(|| SECRET.to_owned());
    }
    world.commit("what is live");
    world.plan().code(0);
    world.forget_calls();
    world.apply().code(0);
    assert_eq!(world.writes(), [""; 0]);
    (ran, written)
}

#[test]
fn fields_that_no_document_may_hold_are_left_out() {
    let mut world = World::new();
    let mut odd = email_body("odd");
    odd["port"] = json!(0);
    odd["auth"] = json!(true);
    odd["username"] = json!(null);
    odd["a\nhost: elsewhere\n#"] = json!("${");
    world.make(odd);
    let types = json!({
        "type": "elasticsearch", "name": "search", "elasticHostList": [{"host": "h", "port": 9200}],
        "indexLifecyclePolicy": {"policyName": "p", "enableHotPhase": "sometimes"},
    });
    world.make(types);
    let (ran, written) = valid_export(&mut world);
    ran.code(0)
        .says("`port` of the email connection \"odd\" is not written: number out of range")
        .says("`auth` of the email connection \"odd\" is not written")
        .says("`indexLifecyclePolicy` of the elasticsearch connection \"search\" is not written");
    assert!(written.contains("# port: not written"), "{written}");
    assert!(!written.contains("\nhost: elsewhere"), "{written}");
    assert_eq!(world.live("odd")["port"], json!(0));
}

#[test]
fn connections_that_no_document_can_declare_are_passed_over() {
    let mut world = World::new();
    world.make(email_body("good"));
    world.make(json!({"type": "email", "name": "hostless", "password": "its-own-secret"}));
    world.make(json!({
        "type": "webhook", "name": "hook", "fullUrl": "http://h/", "timeout": "soon",
        "headerList": [{"name": "Accept"}],
    }));
    let mut large = email_body("large");
    large["description"] = json!("x".repeat(2 << 20));
    world.make(large);
    let (ran, written) = valid_export(&mut world);
    ran.code(1)
        .says("the email connection \"hostless\" cannot be declared: `host` is missing")
        .says("the email connection \"large\" cannot be declared: file or document is too large");
    assert!(written.contains("name: good") && written.contains("name: hook"), "{written}");
    assert!(!written.contains("HOSTLESS"), "{written}");
    let ran = world.run(&["export", "--name", "hostless"]).code(1);
    assert!(!ran.stderr.contains("no connection"), "one was passed over: {}", ran.stderr);
}

/// Leaving a field out that git declares would take it away.
#[test]
fn declared_fields_stay_in_the_export() {
    let world = World::new();
    world.commit_email("a", "port: 25\n");
    world.apply().code(0);
    world.edit("a", "port", json!(0));
    let ran = world.run(&["export"]).code(1);
    ran.says("the email connection \"a\" cannot be declared: `port` is declared by git");
    world.edit("a", "port", json!(26));
    world.run(&["export"]).code(0).says("port: 26");
}

#[test]
fn a_name_that_a_folder_declares_already_is_not_declared_twice() {
    let world = World::settled(&["a", "b"]);
    let folder = world.path("exported");
    let dir = folder.display().to_string();
    fs::create_dir_all(folder.join("mails")).unwrap();
    let mine = folder.join("mails/some.yaml");
    fs::write(&mine, "type: email\nname: A\nhost: h\n").unwrap();
    let ran = world.run(&["export", "--dir", &dir, "--force"]).code(1);
    ran.says("`A` is declared in").says("nothing was written");
    assert!(!folder.join("b.yaml").exists());
    world.run(&["export", "--dir", &dir, "--name", "b"]).code(0);
    fs::remove_file(mine).unwrap();
    world.run(&["export", "--dir", &dir, "--force"]).code(0);
    world.run(&["validate", &dir]).code(0);
    // The same files again.
    world.run(&["export", "--dir", &dir, "--force"]).code(0);
    world.run(&["export", "--dir", &dir]).code(1).says("would be overwritten");
}

#[test]
fn a_name_that_lists_show_twice_is_left_out_alone() {
    let world = World::settled(&["a", "b"]);
    let twice = Fault::ListedTwice("a".to_owned());
    world.control().fail_next(Some(Method::GET), "type=email", twice, usize::MAX);
    let said = world.run(&["export"]).code(1).says("warning: `a` cannot be declared");
    assert!(said.stdout.contains("name: b") && !said.stdout.contains("name: a"), "{}", said.stdout);
}

#[test]
fn a_name_of_the_server_does_not_steer_the_terminal() {
    let world = World::settled(&["a"]);
    let name = "b\u{1b}[2Jc";
    world.make(email_body(name));
    let twice = Fault::ListedTwice(name.to_owned());
    world.control().fail_next(Some(Method::GET), "type=email", twice, usize::MAX);
    let said = world.run(&["export"]).code(1).says("warning: `b\\u{1b}[2Jc` cannot be declared");
    assert!(!said.stderr.contains('\u{1b}'), "{}", said.stderr);
}

#[test]
fn a_certificate_that_the_server_hides_is_offered_or_declared() {
    let mut world = World::with(Options::default());
    world.control().alter(|options| {
        options.mask("graylog", "tlsTrustCertChainFile", Mask::Nothing);
        options.mask("elasticsearch", "caInPemFile", Mask::Nothing);
    });
    world.make(json!({
        "type": "graylog", "name": "offered", "hostname": "logs.example.com", "tlsEnabled": true,
        "tlsTrustCertChainFile": "Y2VydGlmaWNhdGVz",
    }));
    world.make(json!({"type": "graylog", "name": "useless", "hostname": "logs.example.com"}));
    world.make(json!({
        "type": "elasticsearch", "name": "required", "elasticHostList": [{"host": "es.example.com"}],
        "encryptCommunication": true, "encryptCommunicationType": "CA_IN_PEM_FILE",
        "caInPemFile": "Y2VydGlmaWNhdGVz",
    }));
    let (_, written) = valid_export(&mut world);
    let offered = "OFFERED_TLS_TRUST_CERT_CHAIN_FILE} # or null; the API";
    assert_eq!(written.matches("tlsTrustCertChainFile:").count(), 1, "{written}");
    assert!(written.contains(offered), "{written}");
    assert!(written.contains("\ncaInPemFile: ${env:"), "{written}");
    assert!(!written.contains("Y2VydGlmaWNhdGVz"), "{written}");
}

#[test]
fn a_name_that_no_url_can_hold_is_left_out_alone() {
    let world = World::settled(&["a"]);
    for name in [".", "..", "b/c"] {
        world.make(email_body(name));
    }
    let ran = world.run(&["export"]).code(1);
    let ran = ran.says("\"..\" cannot be declared").says("\"b/c\" cannot be declared");
    assert!(ran.stdout.contains("name: a\n") && !ran.stdout.contains("name: b"), "{}", ran.stdout);
}

/// A document that declared the list without the secret would take it away with the next PUT.
#[test]
fn a_list_in_which_the_server_hides_a_secret_is_offered_or_declared() {
    for shown in [json!("*****"), json!(""), json!(null)] {
        let mut world = World::new();
        let headers = json!([
            {"name": "Accept", "value": "text/plain"}, {"name": "Authorization", "value": shown},
        ]);
        world.make(json!({
            "type": "webhook", "name": "hook", "fullUrl": "http://h/", "headerList": headers,
            "relayToken": shown,
        }));
        let (_, written) = valid_export(&mut world);
        let offered = "# headerList: # or null; the API does not show whether one is set\n\
            #   - name: Accept\n#     value: text/plain\n#   - name: Authorization\n\
            #     value: ${env:DEMO_HOOK_AUTHORIZATION}\n";
        assert!(written.contains(offered), "{written}");
        assert!(
            written.contains("\n# relayToken: ${env:DEMO_HOOK_RELAY_TOKEN} # or null"),
            "{written}"
        );
        let properties = json!({"ssl.key.password": {"value": shown, "valueType": "STRING"}});
        world.make(json!({
            "type": "kafka", "name": "topic", "topicName": "t", "propertiesMap": properties,
        }));
        let required = "    value: ${env:DEMO_TOPIC_SSL_KEY_PASSWORD}\n";
        world.run(&["export", "--name", "topic"]).code(0).says(required);
    }
}
