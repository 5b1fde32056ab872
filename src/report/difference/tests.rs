use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::plan::Origin;

fn shown(before: Value, after: Value) -> String {
    let some = |value: Value| if value.is_null() { None } else { Some(value) };
    let change = FieldChange {
        path: "/f".to_owned(),
        before: some(before),
        after: some(after),
        base: None,
        sensitive: false,
        origin: Origin::Git,
    };
    let lines: Vec<String> = leaves(&change).iter().flat_map(draw).collect();
    lines.join("\n")
}

#[test]
fn of_a_long_base_the_parts_that_moved_are_told() {
    let header = |name: &str, value: &str| json!({"name": name, "value": value});
    let list =
        |team: &str| json!([header("Content-Type", "application/json"), header("X-Team", team)]);
    let change = FieldChange {
        path: "/headers".to_owned(),
        before: Some(list("orders")),
        after: Some(list("shop")),
        base: Some(list("payments")),
        sensitive: false,
        origin: Origin::Both,
    };
    let lines: Vec<String> = leaves(&change).iter().flat_map(draw).collect();
    assert_eq!(
        lines,
        [
            r#"b headers[X-Team]: {"name":"X-Team","value":"payments"}"#,
            r#"~ headers[X-Team]/value: "orders" -> "shop""#
        ]
    );
}

fn draw(leaf: &Leaf) -> Vec<String> {
    let label = &leaf.label;
    match &leaf.kind {
        LeafKind::Added(text) => vec![format!("+ {label}: {text}")],
        LeafKind::Removed(text) => vec![format!("- {label}: {text}")],
        LeafKind::Replaced(before, after) => vec![format!("~ {label}: {before} -> {after}")],
        LeafKind::Sensitive(text) => vec![format!("* {label}: {text}")],
        LeafKind::Base(text) => vec![format!("b {label}: {text}")],
        LeafKind::Lines(lines) => {
            let line = |line: &DiffLine| format!("  {}{}", line.sign.as_char(), line.text);
            std::iter::once(format!("= {label}")).chain(lines.iter().map(line)).collect()
        }
    }
}

#[test]
fn texts_that_look_alike_are_shown_escaped() {
    for (before, after, line) in [
        ("caf\u{e9}", "cafe\u{301}", r#"~ f: "caf\u{e9}" -> "cafe\u{301}""#),
        ("a", "a\n", r#"~ f: "a" -> "a\n""#),
        ("a\nb\n", "a\nb", r#"~ f: "a\nb\n" -> "a\nb""#),
        ("", "\n", r#"~ f: "" -> "\n""#),
        ("M\u{fc}ller", "M\u{f6}ller", "~ f: \"M\u{fc}ller\" -> \"M\u{f6}ller\""),
    ] {
        assert_eq!(shown(json!(before), json!(after)), line);
    }
    let long = "x".repeat(90);
    let shown = shown(json!(format!("{long}\n")), json!(long));
    assert!(
        shown.starts_with("~ f: \"…xxx") && shown.ends_with("x\\n\" -> \"…xxxxxxxxxxxxxxxxxxxx\""),
        "{shown}"
    );
}

#[test]
fn only_the_element_that_changed_is_told() {
    let list = |timeout: &str| {
        json!([
            {"key": "mail.debug", "value": "false"},
            {"key": "mail.smtp.timeout", "value": timeout},
            {"key": "mail.smtp.auth", "value": "true"},
        ])
    };
    insta::assert_snapshot!(shown(list("1000"), list("2000")), @r#"
~ f[mail.smtp.timeout]/value: "1000" -> "2000"
"#);
    insta::assert_snapshot!(shown(json!(["a", "b", "c"]), json!(["a", "x", "c", "d"])), @r#"
~ f[1]: "b" -> "x"
+ f[3]: "d"
"#);
    insta::assert_snapshot!(shown(json!(["a", "b"]), json!(["b", "a"])), @r#"
+ f[0]: "b"
- f[1]: "b"
"#);
    insta::assert_snapshot!(shown(json!([{"name": "a"}, {"name": "b"}]), json!([{"name": "b"}, {"name": "a"}])), @r#"
+ f[0]: {"name":"b"}
- f[1]: {"name":"b"}
"#);
    insta::assert_snapshot!(shown(json!([{"key": "a"}]), json!([{"key": "a"}, {"key": "b"}])), @r#"
+ f[b]: {"key":"b"}
"#);
}

#[test]
fn only_the_key_that_changed_is_told() {
    let map = |acks: &str| json!({"sasl.mechanism": {"value": "PLAIN"}, "acks": {"value": acks, "valueType": "TEXT"}});
    insta::assert_snapshot!(shown(map("1"), map("all")), @r#"
~ f/acks/value: "1" -> "all"
"#);
    insta::assert_snapshot!(shown(json!({"a": 1}), json!({"b": 2})), @r#"
+ f/b: 2
- f/a: 1
"#);
}

#[test]
fn long_texts_are_told_by_lines() {
    let script = |middle: &str| {
        let lines: Vec<String> = (1..=9).map(|n| format!("echo {n}")).collect();
        lines.join("\n").replace("echo 5", middle)
    };
    insta::assert_snapshot!(shown(json!(script("echo 5")), json!(script("printf 5"))), @r#"
= f
  @@@ line 2 @@
   echo 2
   echo 3
   echo 4
  -echo 5
  +printf 5
   echo 6
   echo 7
   echo 8
"#);
    insta::assert_snapshot!(shown(json!("one line"), json!("one line\nand another\n")), @r#"
= f
   one line
  +and another
  +
"#);
    // The text behind the line end that both have is no line.
    insta::assert_snapshot!(shown(json!("a\nb\n"), json!("a\nc\n")), @r#"
= f
   a
  -b
  +c
"#);
    insta::assert_snapshot!(shown(json!("\n"), json!("\n\n")), @r#"
~ f: "\n" -> "\n\n"
"#);
    let url = "jdbc:postgresql://db.internal.example.com:5432/payments?ssl=true";
    insta::assert_snapshot!(shown(json!(url), json!(url.replace("5432", "5433"))), @r#"
= f
  -jdbc:postgresql://db.internal.example.com:5432/payments?ssl=true
  +jdbc:postgresql://db.internal.example.com:5433/payments?ssl=true
"#);
}

#[test]
fn kinds_that_differ_and_sides_that_lack() {
    insta::assert_snapshot!(shown(json!(25), json!("25")), @r#"
~ f: 25 -> "25"
"#);
    insta::assert_snapshot!(shown(Value::Null, json!({"a": [1, 2]})), @r#"
+ f: {"a":[1,2]}
"#);
    insta::assert_snapshot!(shown(json!("x\ny"), Value::Null), @r#"
= f
  -x
  -y
"#);
    let long: Vec<Value> =
        (0..3).map(|n| json!({"name": format!("header-{n}"), "value": "something"})).collect();
    insta::assert_snapshot!(shown(Value::Null, json!(long)), @r#"
+ f[0]: {"name":"header-0","value":"something"}
+ f[1]: {"name":"header-1","value":"something"}
+ f[2]: {"name":"header-2","value":"something"}
"#);
}

proptest! {
    #[test]
    fn what_differs_has_a_leaf_and_what_is_equal_has_none(
        before in proptest::collection::vec("[ab]{0,2}", 0..6),
        after in proptest::collection::vec("[ab]{0,2}", 0..6),
    ) {
        let mut found = Vec::new();
        compare("f".to_owned(), Some(&json!(before)), Some(&json!(after)), &mut found);
        prop_assert_eq!(found.is_empty(), before == after);
    }
}
