//! Random expressions made of pieces of the grammar over all that a rule sees: whatever they are, they
//! are compiled or refused, and evaluated within their budget and without a panic. The same goes for
//! the way that fuzz/fuzz_targets/rules.rs takes, from the text of a config to the problems of a file.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::document::{LoadRequest, ParseCache, load};
use crate::source::{FileEntry, Folder};

const VALUES: &[&str] = &[
    "connection",
    "connection.port",
    "connection.?host",
    "connection.description",
    "connection.additionalProperties",
    "connection['x-gitops'].targets",
    "connection['brandNew']",
    "target.vars",
    "target.name",
    "change",
    "change.fields",
    "change.fields[0].path",
    "change.action",
    "change.count",
    "change.held",
    "now",
    "now.getHours('Europe/Istanbul')",
    "x",
    "true",
    "null",
    "1",
    "-1",
    "9223372036854775807",
    "2.5",
    "3u",
    "''",
    "'email'",
    "'${env:X}'",
    "b'x'",
    "[]",
    "{}",
];

/// How values are put together; `A`, `B` and `C` stand for them.
const FORMS: &[&str] = &[
    "A == B",
    "A != B",
    "A < B",
    "A in B",
    "A && B",
    "A || B",
    "!A",
    "-A",
    "A + B",
    "A - B",
    "A * B",
    "A / B",
    "A % B",
    "A ? B : C",
    "[A, B]",
    "[?A]",
    "{'k': A}",
    "{A: B}",
    "A[B]",
    "A[?B]",
    "A.k",
    "A.?port",
    "has(A.k)",
    "size(A)",
    "string(A)",
    "int(A)",
    "double(A)",
    "bool(A)",
    "type(A)",
    "timestamp(A)",
    "duration(A)",
    "A.orValue(B)",
    "A.or(B)",
    "A.value()",
    "A.hasValue()",
    "A.contains(B)",
    "A.startsWith(B)",
    "A.matches('(a|e)+m{1,9}')",
    "A.getHours(B)",
    "A.exists(x, B)",
    "A.all(x, B)",
    "A.exists_one(x, B)",
    "A.filter(x, B)",
    "A.map(x, B)",
    "A.map(x, B, C)",
];

/// The forms that give true or false.
const QUESTIONS: &[&str] = &[
    "A == B",
    "A != B",
    "A < B",
    "A in B",
    "!A",
    "A && B",
    "A || !B",
    "A.exists(x, B)",
    "A.all(x, B == C)",
];

fn put_together(
    forms: &'static [&'static str],
    value: impl Strategy<Value = String> + Clone,
) -> impl Strategy<Value = String> {
    let parts = (prop::sample::select(forms), value.clone(), value.clone(), value);
    parts.prop_map(|(form, a, b, c)| {
        let part = |of: char| match of {
            'A' => format!("({a})"),
            'B' => format!("({b})"),
            'C' => format!("({c})"),
            other => other.to_string(),
        };
        form.chars().map(part).collect()
    })
}

fn expression() -> impl Strategy<Value = String> {
    let value = prop::sample::select(VALUES).prop_map(str::to_owned);
    let value = value.prop_recursive(4, 20, 3, |inner| put_together(FORMS, inner));
    put_together(QUESTIONS, value)
}

/// Loads a document with a rule of a config.
fn load_with_rule(when: &str, document: &Json) {
    let config = json!({
        "targets": [
            {"name": "t", "url": "https://m.example.com", "project": "p", "token": "${env:T}"},
        ],
        "rules": [{"name": "r", "when": when, "deny": "no"}],
    });
    let environment = Environment::new([("T".to_owned(), "t".to_owned())]);
    let path = Path::new("/config/apinizer-gitops.yaml");
    let text = config.to_string();
    let read = Config::parse(path, text.as_bytes(), &environment, Resolve::All);
    let Ok(read) = read else { return };
    let entry = FileEntry { path: Arc::from("connections/a.yaml"), blob: [1; 20] };
    let folder = Folder { path: Arc::from("connections"), exists: true, files: vec![entry] };
    let request = LoadRequest {
        folders: &[folder],
        target: Some("t"),
        known_targets: None,
        vars: None,
        rules: Some(&read.targets[0].rules),
    };
    let document = document.to_string().into_bytes();
    let loaded = load(&request, &ParseCache::default(), &|_| Ok(document.clone()));
    let stopped =
        |problem: &crate::diagnostic::Diagnostic| problem.message.contains("library stopped");
    assert!(!loaded.diagnostics.iter().any(stopped), "the library panics on {when}");
}

#[test]
fn random_expressions_end_within_their_budget() {
    let items: Vec<_> = (0..50).map(|n| json!({"key": n, "value": "x".repeat(50)})).collect();
    let mut connection = example_of("connection");
    connection["additionalProperties"] = json!(items);
    connection["description"] = json!("aem".repeat(2_000));
    let change = example_of("change");
    let mut runner = TestRunner::deterministic();
    let (mut compiled, mut evaluated) = (0, 0);
    for _ in 0..500 {
        let when = expression().new_tree(&mut runner).unwrap().current();
        let Ok(expression) = compile(&when) else { continue };
        compiled += 1;
        load_with_rule(&when, &connection);
        let (name, text) = (String::new(), String::new());
        let mut rules = UserRules::of_target("prod", "Payments", &BTreeMap::new());
        rules.add(&Arc::new(Rule { name, effect: Effect::Hold, text, when: expression }));
        let found = rules.of_change(&connection, &change, FRIDAY_AT_TEN);
        let stopped = found.iter().any(|found| found.why.contains("the library stopped"));
        assert!(!stopped, "the library panics on {when}");
        evaluated += usize::from(found.iter().all(|found| !found.why.contains("cannot be")));
    }
    assert!(compiled > 100 && evaluated > 0, "{compiled} compiled, {evaluated} evaluated");
}
