use serde_json::json;

use super::*;

fn value(text: &str) -> Value {
    parse(text).unwrap_or_else(|f| panic!("{f:?} in {text}"))
}

fn failure(text: &str) -> Failure {
    match parse(text) {
        Ok(value) => panic!("{value:?} from {text}"),
        Err(failure) => failure,
    }
}

#[test]
fn yaml_1_1_words_stay_texts() {
    assert_eq!(
        value("a: yes\nb: no\nc: on\nd: 017\ne: True\nf: ~\ng: 1_000\nh: 12:30\ni: !!str 5"),
        json!({"a": "yes", "b": "no", "c": "on", "d": "017", "e": true, "f": null, "g": "1_000",
               "h": "12:30", "i": "5"})
    );
}

#[test]
fn pairs_of_surrogates_are_read_as_json_means_them() {
    assert_eq!(
        value(r#"{"a": "x\ud83d\ude00\uD83D\uDE01", "\ud83d\ude00": 1, "b": "\\ud83d"}"#),
        json!({"a": "x😀😁", "😀": 1, "b": r"\ud83d"})
    );
    assert_eq!(
        value(
            r#"a: "\ud83d\ude00"
b: '\ud83d\ude00'
c: \ud83d\ude00 # "\ud83d\ude00"
d: |
  "\ud83d\ude00"
"#
        ),
        json!({"a": "😀", "b": r"\ud83d\ude00", "c": r"\ud83d\ude00", "d": "\"\\ud83d\\ude00\"\n"})
    );
    for text in [r#"a: "\ud83d""#, r#"a: "\ude00\ud83d""#, r#"a: "\ud83d\u0041""#] {
        assert_eq!(failure(text).code.id, "AG005", "{text}");
    }
    let failure = failure(r#"a: ["\ud83d\ude00", @]"#);
    assert_eq!(failure.offset, Some(20));
}

#[test]
fn merges_also_what_was_merged() {
    assert_eq!(
        value(
            "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, z: 3}\nd: {<<: [*b, {w: 4, y: 9}]}"
        ),
        json!({"a": {"x": 1, "y": 1}, "b": {"y": 2, "x": 1}, "c": {"z": 3, "y": 2, "x": 1},
               "d": {"y": 2, "x": 1, "w": 4}})
    );
    assert_eq!(failure("a: {<<: 3}").code.id, "AG015");
    assert_eq!(failure("a: {<<: 3}").pointer, "/a/<<");
    assert_eq!(failure("a: {<<: {x: 1}, <<: {y: 1}}").twice.as_deref(), Some("<<"));
}

#[test]
fn finds_duplicate_keys_with_their_place() {
    let failure = failure("a:\n  - b: 1\n    c: 2\n    b: 3\n");
    assert_eq!(failure.message, "the key `b` is given twice");
    assert_eq!(failure.pointer, "/a/0");
}

#[test]
fn refuses_keys_that_are_no_texts_and_tags() {
    for (text, kind) in [
        ("1: a", "a number"),
        ("1.5: a", "a number"),
        ("true: a", "a boolean"),
        ("~: a", "`null`"),
        ("? [a]\n: b", "a list"),
        ("? {a: b}\n: b", "a mapping"),
    ] {
        assert_eq!(failure(text).message, format!("a key is {kind}, not a text"), "{text}");
    }
    assert_eq!(failure("a: !vault x").code.id, "AG011");
    assert_eq!(failure("a: !Sub {x: y}").code.id, "AG011");
    let failure = failure("a: !!int hunter2");
    assert_eq!(failure.code.id, "AG011");
    assert!(!failure.message.contains("hunter2"));
}

#[test]
fn refuses_numbers_that_would_change() {
    for text in ["123456789012345678901234567890", ".inf", "-.INF", ".nan"] {
        assert_eq!(failure(&format!("a: {text}")).code.id, "AG012", "{text}");
    }
    for text in ["1e400", "0.1234567890123456789", "-1.00000000000000000001", "1e-400"] {
        assert_eq!(failure(&format!("a: {text}")).code.id, "AG012", "{text}");
    }
    for text in
        ["1.50", "0.1", "1e3", "1E+3", "100", "-0.0", "007", "1.2.3", "e", "+", "1e22", ".5", "5."]
    {
        value(&format!("a: {text}"));
        value(&format!("a: '{text}'\nb: '1e400'"));
    }
}

#[test]
fn bombs_end_in_an_error() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let refs = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
    }
    assert_eq!(failure(&bomb).code.id, "AG009");
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(10_000), "*a,".repeat(10_000));
    assert_eq!(failure(&wide).code.id, "AG009");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(1000));
    assert_eq!(failure(&long).code.id, "AG009");
    assert_eq!(failure("a: &a [*a]").code.id, "AG010");
}

#[test]
fn deep_nesting_ends_in_an_error() {
    for text in [
        "[".repeat(20_000),
        format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)),
        "{a: ".repeat(20_000),
        "- ".repeat(20_000),
        "? ".repeat(20_000),
        "[".repeat(LARGEST_DOCUMENT),
        "{a: ".repeat(LARGEST_DOCUMENT / 4),
        "- ".repeat(LARGEST_DOCUMENT / 2),
    ] {
        let code = failure(&text).code.id;
        let head = &text[..8];
        assert!(["AG007", "AG010", "AG013"].contains(&code), "{code} for {head}");
    }
    assert_eq!(failure(&"a".repeat(LARGEST_DOCUMENT + 1)).code.id, "AG002");
}

#[test]
fn says_what_is_wrong_in_plain_words() {
    for (text, code, part) in [
        ("a: b\n\tc: d\n", "AG006", "tab"),
        ("a: [b, c\nd: e\n", "AG007", "']'"),
        ("a: {b: c\n", "AG007", "'}'"),
        ("a: \"b\n", "AG007", "end of stream"),
        ("a: b: c\n", "AG005", "mapping values"),
        ("a: b\nc\n", "AG005", "':'"),
        ("a: *b\n", "AG014", "anchor"),
        ("a: @b\n", "AG005", "character"),
        ("a: \"\\q\"\n", "AG005", "escape"),
        ("a: 1\n b: 2\n", "AG005", "mapping values"),
        ("a:\n  b: 1\n c: 2\n", "AG005", "key"),
    ] {
        let failure = failure(text);
        assert_eq!(failure.code.id, code, "{text}: {failure:?}");
        assert!(failure.message.contains(part), "{text}: {}", failure.message);
        assert!(failure.offset.is_some(), "{text}");
    }
    assert_eq!(failure("a: b\nx: [1, 2\ny: 3\n").begins, Some((2, 4)));
    assert_eq!(failure("%TAG ! x\n---\na: b\n").code.id, "AG011");
}
