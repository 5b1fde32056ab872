//! Documents end to end: overlays, vars, references, what others may edit, where secrets hide.

use apinizer_gitops::testing::sandbox::{Dialect, Options, SecretsOnGet};
use serde_json::json;

use crate::secrets::masked;
use crate::world::{CANARY, World, email};

const KAFKA: &str = "type: kafka\nname: k\ntopicName: t\npropertiesMap:\n  \
                     bootstrap.servers: {value: 'a:1', valueType: STRING}\n  \
                     client.id: {value: git, valueType: STRING}\n";

const WEBHOOK: &str =
    "type: webhook\nname: w\nhttpMethod: POST\nfullUrl: https://h.example.com/a\n";

#[test]
fn overlays_are_merge_patches_on_lists_and_null_too() {
    let mut world = World::new();
    world.target("paths: [connections, prod]");
    world.write(
        "connections/w.yaml",
        &format!(
            "{WEBHOOK}timeout: 9\ndescription: base\nheaderList:\n  - {{name: A, value: '1'}}\n  \
             - {{name: B, value: '2'}}\n"
        ),
    );
    world.write(
        "prod/w.yaml",
        "name: W\ndescription: null\nheaderList:\n  - {name: C, value: '3'}\n",
    );
    world.commit("a base and an overlay");
    world.apply().code(0);
    assert_eq!(world.names(), ["w"]);
    let live = world.live("w");
    assert_eq!(live["headerList"].as_array().unwrap().len(), 1);
    assert_eq!(live["headerList"][0]["name"], json!("C"));
    assert_eq!(live["timeout"], json!(9));
    assert_eq!(live["description"], json!(null));
    world.plan().code(0);
    // A `null` outside an overlay declares the field empty.
    world.edit("w", "description", json!("by hand"));
    world.plan().code(0);
    world.remove("prod/w.yaml");
    world.write("connections/w.yaml", &format!("{WEBHOOK}timeout: 9\ndescription: null\n"));
    world.write("prod/x.yaml", &WEBHOOK.replace("name: w", "name: x"));
    world.commit("null in the base, a document of its own in the overlays");
    world.apply().code(0);
    assert_eq!(world.live("w")["description"], json!(null));
    assert_eq!(world.live("w")["headerList"].as_array().map_or(0, Vec::len), 0);
    assert_eq!(world.names(), ["w", "x"]);
}

#[test]
fn an_overlay_for_a_name_that_nothing_declares_says_so() {
    let mut world = World::new();
    world.target("paths: [connections, prod]");
    world.commit_email("a", "");
    world.write("prod/b.yaml", "name: b\nport: 7\n");
    world.commit("a patch for nothing");
    world.plan().code(1).says("prod/b.yaml").says("no earlier path");
    world.write("prod/b.yaml", "type: email\nname: b\nport: 7\n");
    world.commit("with a type, and still not complete");
    world.plan().code(1).says("host").says("no earlier path");
}

#[test]
fn the_same_name_twice_in_one_path_names_both_places() {
    let world = World::new();
    world.commit_email("a", "");
    world.write("connections/deep/b.yml", &format!("{}---\n{}", email("b", ""), email("A", "")));
    world.commit("twice");
    world.plan().code(1).says("connections/a.yaml").says("connections/deep/b.yml");
}

#[test]
fn vars_keep_their_type_and_belong_to_a_target() {
    let mut world = World::new();
    world.target("vars: {port: 2525, tls: true, host: smtp.example.com, text: '007'}");
    world.write(
        "connections/a.yaml",
        "type: email\nname: a\nhost: ${var:host}\nport: ${var:port}\nenableStartTls: ${var:tls}\n\
         description: 'port ${var:port}, ${var:text}, $${var:port}'\n",
    );
    world.commit("vars");
    world.apply().code(0);
    let live = world.live("a");
    assert_eq!(live["port"], json!(2525));
    assert_eq!(live["enableStartTls"], json!(true));
    assert_eq!(live["description"], json!("port 2525, 007, ${var:port}"));
    world.plan().code(0);
    world.target("vars: {port: 2526, tls: true, host: smtp.example.com, text: '007'}");
    let plan = world.plan_json(&[]);
    assert_eq!(plan["changes"][0]["fields"][0]["origin"], json!("git"));
    world.target("vars: {port: 2526}");
    world.plan().code(1).says("host");
    world.run(&["validate"]).code(1).says("host");
}

#[test]
fn apinizers_own_variables_pass_through_and_other_schemes_are_errors() {
    let world = World::new();
    world.write(
        "connections/a.yaml",
        "type: email\nname: a\nhost: ${SMTP_HOST}\nauth: true\nusername: ${SMTP_USER}\npassword: ${SMTP_PASS}\n",
    );
    world.commit("of Apinizer");
    world.apply().code(0);
    assert_eq!(world.live("a")["host"], json!("${SMTP_HOST}"));
    assert_eq!(world.live("a")["password"], json!("${SMTP_PASS}"));
    world.plan().code(0);
    for (text, code) in [
        ("name: b\nhost: ${vault:x}\n", "AG301"),
        ("name: b\nhost: h\nauth: true\nusername: u\npassword: ${var:x}\n", "AG305"),
        ("name: b\nhost: h\nauth: true\nusername: u\npassword: a${env:X}b-c\n", "AG303"),
        ("name: b\nhost: h\nx-gitops: {protected: true}\n", "AG107"),
        ("name: ${var:x}\nhost: h\n", "AG109"),
    ] {
        world.write("connections/b.yaml", &format!("type: email\n{text}"));
        let ran = world.run(&["validate"]).code(1).says(code);
        assert_eq!(ran.stderr.matches("error[").count() + ran.stdout.matches("error[").count(), 1);
    }
}

#[test]
fn apinizers_variables_may_hold_dots() {
    let world = World::new();
    world.write(
        "connections/a.yaml",
        "type: email\nname: a\nhost: ${api.hostname}\nauth: true\nusername: u\npassword: ${mail.pass_word}\n",
    );
    world.write(
        "connections/w.yaml",
        &format!(
            "{WEBHOOK}headerList:\n  - {{name: Authorization, value: 'Bearer ${{api.token}}'}}\n"
        ),
    );
    world.commit("with dots");
    world.run(&["validate"]).code(0);
    world.apply().code(0);
    assert_eq!(world.live("a")["host"], json!("${api.hostname}"));
    assert_eq!(world.live("a")["password"], json!("${mail.pass_word}"));
    assert_eq!(world.live("w")["headerList"][0]["value"], json!("Bearer ${api.token}"));
    world.plan().code(0);
    let exported = world.run(&["export"]).code(0).stdout.clone();
    assert!(
        exported.contains("${api.hostname}") && exported.contains("${mail.pass_word}"),
        "{exported}"
    );
    world.write(
        "connections/a.yaml",
        "type: email\nname: a\nhost: h\nauth: true\nusername: u\npassword: ${mail-pass}\n",
    );
    world.run(&["validate"]).code(1).says("AG303").says("letters, digits, `_` and `.`");
}

#[test]
fn other_names_of_variables_are_errors_in_every_field_and_can_be_written_as_text() {
    let world = World::new();
    for field in [
        "description: ${mail-host}",
        "description: see ${a b}",
        "defaultEncoding: '${x/y}'",
        "port: ${mail.port:25}",
        "additionalProperties: [{key: mail.debug, value: '${a+b}'}]",
        "unknown: {inner: ['${x/y}']}",
    ] {
        world.write("connections/a.yaml", &format!("type: email\nname: a\nhost: h\n{field}\n"));
        let ran = world.run(&["validate"]).code(1).says("AG301");
        ran.says("letters, digits, `_` and `.`").says("write `$${`");
    }
    world.commit_email("a", "description: see $${x/y}\n");
    world.apply().code(0);
    assert_eq!(world.live("a")["description"], json!("see ${x/y}"));
    world.plan().code(0);
    // Text of the server that looks like a reference is escaped on its way into git.
    let exported = world.run(&["export"]).code(0).stdout.clone();
    assert!(exported.contains("description: see $${x/y}"), "{exported}");
    world.edit("a", "description", json!("now ${a b}"));
    world.run(&["pull"]).code(2);
    let pulled = std::fs::read_to_string(world.repo().join("connections/a.yaml")).unwrap();
    assert!(pulled.contains("description: now $${a b}"), "{pulled}");
    world.run(&["plan", "--worktree"]).code(0);
}

#[test]
fn a_key_store_that_is_written_out_is_an_error_that_says_how_to_name_a_file() {
    let mut world = World::new();
    let document = |file: &str| {
        format!(
            "type: elasticsearch\nname: es\nelasticHostList: [{{host: h}}]\ncaKeystoreFile: {file}\n\
             caKeystoreFilePass: ${{env:ES_PASS}}\n"
        )
    };
    for literal in ["TUlJ", "[TUlJ]"] {
        world.write("connections/es.yaml", &document(literal));
        let ran = world.run(&["validate"]).code(1).says("AG303").says("`caKeystoreFile`");
        ran.says("or `ES_CA_KEYSTORE_FILE_FILE` to a file that holds its base64 text");
    }
    let file = world.path("store.base64");
    std::fs::write(&file, "TUlJ\n").unwrap();
    world.env.insert("ES_CA_KEYSTORE_FILE_FILE".into(), file.display().to_string());
    world.env.insert("ES_PASS".into(), "of-the-store".into());
    world.write("connections/es.yaml", &document("${env:ES_CA_KEYSTORE_FILE}"));
    world.commit("a key store");
    world.apply().code(0);
    assert_eq!(world.live("es")["caKeystoreFile"], json!("TUlJ"));
    let explained = world.run(&["explain", "elasticsearch"]).code(0).stdout.clone();
    let explained = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    for says in [
        "Shards of an index. Default: disputed",
        "user name and password. Default (disputed): false",
        "Threads that talk to the cluster; the server's code has no such field. Only in the OpenAPI",
        "Most entries in one write. Only in the guide.",
    ] {
        assert!(explained.contains(says), "{says}: {explained}");
    }
}

#[test]
fn json_with_pairs_of_surrogates_is_pasted_as_it_is() {
    let world = World::new();
    world.write(
        "connections/a.yaml",
        r#"{"type": "email", "name": "a", "host": "h", "description": "done \ud83d\ude00", "prot": 1}"#,
    );
    world.commit("pasted");
    let ran = world.run(&["validate", "--output", "json"]).code(0);
    let problem: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(problem["diagnostics"][0]["column"], json!(81), "{ran:?}");
    world.apply().code(0);
    assert_eq!(world.live("a")["description"], json!("done 😀"));
    world.plan().code(0);
}

#[test]
fn merge_keys_are_told_of_the_list_form_and_where_they_stand() {
    let world = World::new();
    let head = "type: webhook\nname: w\nhttpMethod: POST\nfullUrl: https://h.example.com/a\n";
    world.write(
        "connections/w.yaml",
        &format!("{head}timeout: 1\nx: &x {{a: 1}}\n<<: *x\n<<: *x\n"),
    );
    world.run(&["validate"]).code(1).says("w.yaml:8:1").says("`<<: [*one, *two]`");
    world.write("connections/w.yaml", &format!("{head}timeout: 1\n<<: 5\n"));
    world.run(&["validate"]).code(1).says("AG015").says("w.yaml:6:5");
}

#[test]
fn a_number_var_that_changes_inside_a_text_is_a_warning() {
    let mut world = World::new();
    world.target("vars: {version: 1.10}");
    world.commit_email("a", "description: v${var:version}\n");
    world.run(&["validate"]).code(0).says("AG618").says("`1.1` and not `1.10`");
    world.target("vars: {version: '1.10'}");
    assert!(!format!("{:?}", world.run(&["validate"]).code(0)).contains("AG618"));
}

#[test]
fn the_text_of_a_number_is_sent_as_the_number() {
    let world = World::new();
    world.commit_email("a", "port: '587'\n");
    world.run(&["validate"]).code(0);
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(587));
    world.plan().code(0);
    world.commit_email("a", "port: 0588\n");
    world.run(&["validate"]).code(0).says("AG202").says("leading zero");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(588));
    world.plan().code(0);
    for text in ["'0x24c'", "'5 87'", "5e2", "'+587'", "' 587'", "1_000"] {
        world.write_email("a", &format!("port: {text}\n"));
        world.run(&["validate"]).code(1).says("AG202");
    }
}

#[test]
fn a_name_twice_in_one_env_file_is_an_error_with_both_lines() {
    let mut world = World::new();
    world.env.remove("SMTP_PASSWORD");
    world.commit_email("a", "");
    let file = world.path("dotenv");
    std::fs::write(&file, "SMTP_PASSWORD=old\n# c\nSMTP_PASSWORD=new\n").unwrap();
    let file = file.display().to_string();
    world.run(&["apply", "--yes", "--env-file", &file]).code(1).says("line 1").says("line 3");
    assert!(world.writes().is_empty());
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_mounted_secret() {
    let mut world = World::new();
    world.env.remove("SMTP_PASSWORD");
    let file = world.path("secret");
    std::fs::write(&file, "\u{feff}s3cret-of-file\r\n").unwrap();
    world.env.insert("SMTP_PASSWORD_FILE".into(), file.display().to_string());
    world.commit_email("a", "");
    world.apply().code(0).says("byte-order mark");
    assert_eq!(world.live("a")["password"], json!("s3cret-of-file"));
}

#[test]
fn an_ignored_field_is_sent_on_create_and_then_kept_as_live_has_it() {
    for dialect in [Dialect::Current, Dialect::Older] {
        let world = World::with(Options::default().in_dialect(dialect));
        let ignoring = format!(
            "{KAFKA}description: first\nx-gitops:\n  ignore: [description, /propertiesMap/client.id/value]\n"
        );
        world.write("connections/k.yaml", &ignoring);
        world.commit("k");
        world.apply().code(0);
        assert_eq!(world.live("k")["description"], json!("first"));
        assert_eq!(world.live("k")["propertiesMap"]["client.id"]["value"], json!("git"));
        let mut map = world.live("k")["propertiesMap"].clone();
        map["client.id"]["value"] = json!("console");
        world.edit("k", "propertiesMap", map);
        world.edit("k", "description", json!("console"));
        world.plan().code(0);
        world.write(
            "connections/k.yaml",
            &ignoring.replace("topicName: t", "topicName: u").replace("a:1", "a:2"),
        );
        world.commit("another topic");
        world.apply().code(0);
        let live = world.live("k");
        assert_eq!(live["topicName"], json!("u"));
        assert_eq!(live["propertiesMap"]["bootstrap.servers"]["value"], json!("a:2"));
        assert_eq!(live["propertiesMap"]["client.id"]["value"], json!("console"));
        assert_eq!(live["description"], json!("console"));
        world.plan().code(0);
    }
}

#[test]
fn a_dropped_field_goes_back_to_its_default_and_a_dropped_secret_is_not_emptied() {
    const BROKER: &str = "type: activeMq\nname: q\nbrokerURL: tcp://h:61616\nusername: u\n\
                          destinationType: QUEUE\ndestinationName: q\nactiveMqConnectionProtocolType: TCP\n";
    for secrets in [SecretsOnGet::Shown, SecretsOnGet::Masked] {
        let mut world = World::with(Options::showing(secrets));
        world.target("verify_secrets: 0s");
        let secret = "password: ${env:SMTP_PASSWORD}\n";
        world.write("connections/q.yaml", &format!("{BROKER}{secret}description: text\n"));
        world.commit("q");
        world.apply().code(0);
        world.apply().code(0);
        world.write("connections/q.yaml", BROKER);
        world.commit("without description and password");
        // Where the secret was never seen, the PUT would wipe it, and the plan says so.
        world.plan().code(if secrets == SecretsOnGet::Shown { 2 } else { 1 });
        let ran = world.apply();
        assert_eq!(world.live("q")["password"], json!(CANARY));
        if secrets == SecretsOnGet::Shown {
            ran.code(0);
            assert_eq!(world.live("q")["description"], json!(null));
            world.plan().code(0);
            continue;
        }
        ran.code(1).says("password");
        assert_eq!(world.live("q")["description"], json!("text"));
        world.write("connections/q.yaml", &format!("{BROKER}password: null\n"));
        world.commit("emptied on purpose");
        world.apply().code(0);
        assert_eq!(world.live("q")["password"], json!(null));
        assert_eq!(world.live("q")["description"], json!(null));
        world.plan().code(0);
    }
}

#[test]
fn a_literal_where_secrets_hide_is_an_error_that_does_not_repeat_it() {
    let world = World::new();
    for (name, text) in [
        ("field", "type: email\nname: x\nhost: h\nauth: true\nusername: u\npassword: l1teral\n".to_owned()),
        ("jdbc", "type: database\nname: x\ndbType: POSTGRES\nusername: u\npassword: ${env:P}\njdbcUrl: jdbc:postgresql://h/db?password=l1teral\n".to_owned()),
        ("header", format!("{WEBHOOK}headerList:\n  - {{name: Authorization, value: Bearer l1teral}}\n")),
        ("url", WEBHOOK.replace("https://", "https://user:l1teral@")),
        ("jaas", format!("{KAFKA}  sasl.jaas.config: {{value: 'x required password=\"l1teral\";', valueType: STRING}}\n")),
    ] {
        world.write("connections/x.yaml", &text);
        world.commit(name);
        for arguments in [&["plan"][..], &["validate", "--rev", "HEAD"], &["apply", "--yes"]] {
            let ran = world.run(arguments).code(1).says("${env:");
            assert!(!format!("{ran:?}").contains("l1teral"), "{name}: {ran:?}");
        }
    }
    assert!(world.writes().is_empty());
}

#[test]
fn a_secret_that_was_typed_into_a_hidden_place_is_shown_nowhere() {
    let mut world = World::with(masked());
    world.env.insert("TOKEN".into(), "t0ken-of-git".into());
    world.write(
        "connections/w.yaml",
        &format!("{WEBHOOK}headerList:\n  - {{name: Authorization, value: 'Bearer ${{env:TOKEN}}'}}\n  - {{name: X, value: '1'}}\n"),
    );
    world.write(
        "connections/d.yaml",
        "type: database\nname: d\ndbType: POSTGRES\nusername: u\npassword: ${env:TOKEN}\njdbcUrl: jdbc:postgresql://h/db\n",
    );
    world.write_email("a", "apiToken: ${SOME_TOKEN}\n");
    world.commit("two");
    world.apply().code(0);
    world.edit("d", "jdbcUrl", json!("jdbc:postgresql://h/db?user=x&password=typ3d-in"));
    world.edit("w", "headerList", json!([{"name": "Authorization", "value": "Bearer typ3d-in"}]));
    world.edit("w", "fullUrl", json!("https://me:typ3d-in@h.example.com/a"));
    world.edit("a", "apiToken", json!("typ3d-in"));
    for arguments in [
        &["plan"][..],
        &["plan", "-vvv", "--output", "json"],
        &["plan", "--output", "markdown"],
        &["plan", "--verify-secrets"],
        &["apply", "--yes", "-vvv", "--log-format", "json"],
    ] {
        let ran = world.run(arguments);
        let text = format!("{ran:?}{}", world.state());
        assert!(
            !text.contains("typ3d-in") && !text.contains("t0ken-of-git"),
            "{arguments:?}: {text}"
        );
    }
    world.plan().code(0);
    // Nor in what a delete or an export says.
    world.edit("d", "jdbcUrl", json!("jdbc:postgresql://h/db?user=x&password=typ3d-in"));
    world.commit_without(&["d"]);
    for arguments in [&["plan", "--output", "json"][..], &["export"]] {
        let ran = world.run(arguments);
        assert!(!format!("{ran:?}").contains("typ3d-in"), "{ran:?}");
    }
}

#[test]
fn a_mounted_secret_rotates_and_an_empty_one_is_unset() {
    let mut world = World::with(masked());
    world.env.remove("SMTP_PASSWORD");
    let file = world.path("secret");
    std::fs::write(&file, "f1rst\n").unwrap();
    world.env.insert("SMTP_PASSWORD_FILE".into(), file.display().to_string());
    world.commit_email("a", "");
    world.apply().code(0);
    assert_eq!(world.live("a")["password"], json!("f1rst"));
    std::fs::write(&file, "sec0nd\n\n").unwrap();
    assert_eq!(world.changes(&[]), ["update a"]);
    world.apply().code(0);
    assert_eq!(world.live("a")["password"], json!("sec0nd\n"), "less one newline");
    world.forget_calls();
    for text in ["", "\n"] {
        std::fs::write(&file, text).unwrap();
        world.apply().code(1).says("SMTP_PASSWORD");
    }
    world.env.insert("SMTP_PASSWORD".into(), String::new());
    world.apply().code(1);
    assert!(world.writes().is_empty());
    let dotenv = world.path("dotenv");
    std::fs::write(&dotenv, "SMTP_PASSWORD=fr0m-dotenv\n").unwrap();
    world.run(&["apply", "--yes", "--env-file", &dotenv.display().to_string()]).code(0);
    assert_eq!(world.live("a")["password"], json!("fr0m-dotenv"));
}

#[test]
fn another_key_makes_masked_secrets_unverified_with_a_warning() {
    let mut world = World::with(masked());
    world.settle(&["a", "b"]);
    world.env.insert("APINIZER_TOKEN".into(), "another-token".into());
    world.plan().code(0).says("--resend-secrets");
    assert_eq!(world.plan_json(&[])["summary"]["unverified"], json!(2));
    world.apply().code(0).says("--resend-secrets");
    assert!(world.writes().is_empty());
    assert_eq!(world.plan_json(&[])["summary"]["unverified"], json!(2), "it lasts");
    world.run(&["apply", "--yes", "--resend-secrets", "--name", "a"]).code(0);
    assert_eq!(world.writes(), ["PUT a"]);
    assert_eq!(world.plan_json(&[])["summary"]["unverified"], json!(1));
    world.env.insert("SMTP_PASSWORD".into(), "rotated".into());
    assert_eq!(world.changes(&[]), ["update a", "update b"]);
}

#[test]
fn only_equal_connections_are_adopted_where_drift_is_reported() {
    let mut world = World::new();
    world.target("drift: report");
    world.make(crate::world::email_body("a"));
    let mut other = crate::world::email_body("b");
    other["host"] = json!("other");
    world.make(other);
    world.write_email("a", "");
    world.commit_email("b", "");
    world.apply().code(1).says("it differs from git");
    assert!(world.writes().is_empty());
    assert_eq!(world.remembered("owned").as_object().unwrap().len(), 1);
}

#[test]
fn pasted_bookkeeping_is_never_sent() {
    let world = World::new();
    world.commit_email("a", "id: 5\ncreated: '2020-01-01'\nrevision: 7\n");
    world.apply().code(0).says("never sent");
    let made = world.live("a");
    assert!(made["id"] != json!(5) && made.get("revision").is_none(), "{made}");
    world.forget_calls();
    world.apply().code(0);
    world.plan().code(0);
    assert!(world.writes().is_empty());
    world.commit_email("a", "id: 6\nport: 26\n");
    world.apply().code(0);
    assert!(world.live("a")["id"] != json!(6));
    world.plan().code(0);
}

#[test]
fn a_dollar_in_an_env_file_is_taken_as_it_is_or_refused() {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.env.remove("SMTP_PASSWORD");
    world.commit_email("a", "");
    let file = world.path("env");
    let apply = |line: &str| {
        std::fs::write(&file, format!("# secrets\n{line}\n")).unwrap();
        world.run(&["apply", "--yes", "--env-file", &file.display().to_string()])
    };
    for value in ["pa$word", "\"pa$word\"", "pa$", "${HOME}x"] {
        let ran = apply(&format!("SMTP_PASSWORD={value}")).code(1).says("SMTP_PASSWORD on line 2");
        assert!(!format!("{ran:?}").contains("pa$"), "{ran:?}");
    }
    assert!(world.names().is_empty());
    for (value, sent) in [("'pa$word'", "pa$word"), ("\"it's \\$5\"", "it's $5")] {
        apply(&format!("SMTP_PASSWORD={value}")).code(0);
        assert_eq!(world.live("a")["password"], sent);
    }
}

#[test]
fn a_secret_s_file_is_a_regular_one() {
    let mut world = World::new();
    world.env.remove("SMTP_PASSWORD");
    world.commit_email("a", "");
    let pipe = world.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for file in [std::path::Path::new("/dev/zero"), &pipe, &world.repo()] {
        world.env.insert("SMTP_PASSWORD_FILE".into(), file.display().to_string());
        world.env.insert("COLUMNS".into(), "300".into());
        world.plan().code(1).says("which is no regular file");
    }
    let (file, link) = (world.path("mounted"), world.path("link"));
    std::fs::write(&file, "x".repeat(1024 * 1024 + 1)).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    world.env.insert("SMTP_PASSWORD_FILE".into(), link.display().to_string());
    world.plan().code(1).says("is larger than 1 MiB");
    std::fs::write(&file, "a-secret\n").unwrap();
    world.plan().code(2);
    world.run(&["plan", "--env-file", "/dev/zero"]).code(1).says("larger than 1 MiB");
}
