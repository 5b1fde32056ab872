//! Properties of every input: it ends in documents or diagnostics, and no view shows a secret.

use proptest::prelude::*;

use serde_json::Value;

use super::*;
use crate::catalog;
use crate::report::Style;
use crate::report::diagnostics::{github, json, markdown, text};

const CANARY: &str = "Canary7XqZ";

/// Loads one file, alone and below another, and draws every view of it.
fn views(bytes: &[u8]) -> String {
    let file = |path: &str, number: u8| FileEntry { path: Arc::from(path), blob: [number; 20] };
    let folder = |path: &str, files| Folder { path: Arc::from(path), exists: true, files };
    let base = b"type: email\nname: a\nhost: h\nport: 25\n";
    let folders = [folder("c", vec![file("c/a.yaml", 1)]), folder("d", vec![file("d/a.yaml", 2)])];
    let vars = BTreeMap::from([("v".to_owned(), Value::from(1))]);
    let known = BTreeSet::from(["prod".to_owned()]);
    let mut views = String::new();
    for swap in [false, true] {
        let request = LoadRequest {
            folders: &folders,
            target: Some("prod"),
            known_targets: Some(&known),
            vars: Some(&vars),
            rules: None,
        };
        let cache = ParseCache::default();
        let loaded = load(&request, &cache, &|entry| {
            Ok(if (entry.blob[0] == 1) == swap { base.to_vec() } else { bytes.to_vec() })
        });
        let found = &loaded.diagnostics;
        for diagnostic in found {
            assert!(diagnostic.mark.length >= 1);
        }
        views.push_str(&text(found, &Style::default()));
        views.push_str(&text(found, &Style { color: true, ..Style::default() }));
        views.push_str(&json(found).to_string());
        views.push_str(&github(found, &BTreeSet::new()));
        views.push_str(&markdown(found, &BTreeSet::new()));
        views.push_str(&format!("{:?}", loaded.invalid));
    }
    views
}

/// How a value may be written below its key.
fn written(form: u8, key: &str, value: &str) -> String {
    match form {
        0 => format!("{key}: {value}\n"),
        1 => format!("{key}: '{value}'\n"),
        2 => format!("\"{key}\": \"{value}\"\n"),
        3 => format!("{key}: |\n  {value}\n  {value}\n"),
        4 => format!("{key}: >-\n  x\n\n  {value}\n"),
        5 => format!("{key}:\n  {value}\n"),
        6 => format!("{key}: [{value}]\n"),
        7 => format!("{key}: {{x: {value}}}\n"),
        8 => format!("{key}: \"x\n   {value}\"\n"),
        9 => format!("{key}: &anchor {value}\n"),
        10 => format!("{key}: x{value}${{env:A}}\n"),
        11 => format!("{key}: ${{{value}:x}}\n"),
        12 => format!("{key}: ${{env:{value}-}}\n"),
        13 => format!("{key} {value}\n"),
        14 => format!("{key}:\n{value}\n"),
        15 => format!("{key}\n{value}\n"),
        16 => format!("\"{key}\" \"{value}\"\n"),
        17 => format!("{key}: |\n{value}\n"),
        18 => format!("{{{key} {value}, {key} {value}}}\n"),
        19 => format!("{{{key} {value}}}\n"),
        20 => format!("x: {{{key} {value}}}\n"),
        21 => format!("{key}:{value}\n"),
        22 => format!("? {key} {value}\n: x\n"),
        23 => format!("{key}{value}\n"),
        _ => format!("{key}: !!str {value}\n"),
    }
}

/// Lines that are wrong in one way or another.
const WRONG: &[&str] = &[
    "port: x\n",
    "\tport: 1\n",
    "port: [1\n",
    "port: {a: 1\n",
    "host: 'h\n",
    "host: \"h\n",
    "port: 70000\nport: 1\n",
    "a: b: c\n",
    "x\n",
    "- y\n",
    "1: 2\n",
    "&a\n",
    "*b\n",
    "c: *none\n",
    "!t x\n",
    "enabled: yes\n",
    "x-gitops: {protectt: 1}\n",
    "? [a]\n",
    "}\n",
    "]\n",
    "@\n",
    "  indented: 1\n",
    "---\n",
    "...\n",
    "%TAG\n",
    "d: .inf\n",
    "e: |\n",
    "f: >\n x\n",
    "<<: 1\n",
    "host: ${vault:x}\n",
    "host: ${var:none}\n",
    "nonsense: 1\n",
    "#\n",
    "\"\n",
    "'\n",
    ": \n",
];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\n\t]{0,6}",
        proptest::sample::select(vec![
            "---\n",
            "...\n",
            "type: email\n",
            "name: a\n",
            "host: ",
            "port: ",
            "- ",
            "? ",
            ": ",
            "{",
            "}",
            "[",
            "]",
            ",",
            "&a ",
            "*a",
            "!t ",
            "!!int ",
            "<<: ",
            "|\n ",
            ">\n ",
            "'",
            "\"",
            "\\",
            "#",
            "\u{feff}",
            "é",
            "\u{2028}",
            "\u{85}",
            "\r",
            "\r\n",
            "\0",
            "%YAML 1.2\n",
            "x-gitops: ",
            "${env:A}",
            "${var:v}",
            "${vault:x}",
            "$${",
            "password: ",
            "~",
            "1e999",
            "0x1F",
            "99999999999999999999",
            ".nan",
            "  ",
            "\n",
            "\t",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        views(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(pieces in proptest::collection::vec(piece(), 0..40)) {
        views(pieces.concat().as_bytes());
    }

    #[test]
    fn no_view_shows_a_secret(
        type_index in 0..14_usize,
        form in 0..25_u8,
        before in proptest::collection::vec(proptest::sample::select(WRONG), 0..3),
        after in proptest::collection::vec(proptest::sample::select(WRONG), 0..3),
    ) {
        let connection_type = catalog::all().nth(type_index).unwrap();
        for field in connection_type.secrets() {
            let secret = written(form, field.name, CANARY);
            let document = format!(
                "type: {}\nname: a\n{}{secret}{}",
                connection_type.name, before.concat(), after.concat()
            );
            let views = views(document.as_bytes());
            prop_assert!(!views.contains(CANARY), "{document}\n{views}");
        }
    }
}

#[test]
fn hidden_secrets_are_not_shown_either() {
    for (type_name, fields) in [
        ("database", "jdbcUrl: jdbc:mysql://u:Canary7XqZ@h/d?password=Canary7XqZ\n"),
        (
            "webhook",
            "fullUrl: https://u:Canary7XqZ@h\nheaderList: [{name: Authorization, value: Canary7XqZ}]\n",
        ),
        ("webhook", "headerList:\n- value: Canary7XqZ\n  name: X-Api-Key\n"),
        (
            "kafka",
            "propertiesMap:\n  ssl.key.password:\n    value: Canary7XqZ\n    valueType: STRNG\n",
        ),
        (
            "kafka",
            "propertiesMap: {sasl.jaas.config: {value: 'x required password=\"Canary7XqZ\";', valueType: NO}}\n",
        ),
        ("snmp", "version: V1\nsecurityOrCommunityName: Canary7XqZ\n"),
        ("email", "additionalProperties: [{key: mail.smtp.password, value: Canary7XqZ}]\n"),
        ("rabbitMq", "connectionFactoryClientProperties: {password: Canary7XqZ}\n"),
        ("activeMq", "brokerURL: tcp://h?jms.password=Canary7XqZ\n"),
        ("email", "apiToken: Canary7XqZ\n"),
        ("email", "pasword: Canary7XqZ\n"),
        ("email", "x: &x Canary7XqZ\npassword: *x\n"),
        ("emial", "password: Canary7XqZ\n"),
        ("database", "jdbcUrl: jdbc:mysql://h/d?password=${Canary7XqZ:x}\n"),
    ] {
        let document = format!("type: {type_name}\nname: a\n{fields}nonsense: 1\n");
        let views = views(document.as_bytes());
        assert!(!views.contains(CANARY), "{document}\n{views}");
    }
}

#[test]
fn hostile_files_end_in_bounded_time_and_memory() {
    let repeat = |piece: &str, most: usize| piece.repeat(most / piece.len());
    let file = 1024 * 1024;
    let document = 256 * 1024;
    let known = "type: database\nname: a\ndbType: MYSQL\nuseCredentials: false\njdbcUrl: ";
    for text in [
        repeat("---\na\n", file),
        repeat("---\n{}\n", file / 4),
        repeat("---\nname: a\n", file / 4),
        repeat("---\n: :\n", file),
        repeat("a:", document),
        format!("password: [{}", repeat("a:", document)),
        format!("{known}{}\n", repeat("a=", document)),
        format!("{known}{}\n", repeat("://", document)),
        format!("{known}'{}'\n", repeat("bearer ", document)),
        format!(
            "type: email\nname: a\n{}",
            (0..40_000).map(|i| format!("f{i}: 1\n")).collect::<String>()
        ),
    ] {
        let drawn = views(text.as_bytes());
        assert!(drawn.len() < 64 * 1024 * 1024, "{}", drawn.len());
    }
}
