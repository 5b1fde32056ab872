//! Documents that use the plainest part of YAML, read without its whole machinery.
//!
//! Most documents are mappings and lists in block style, of words, numbers and quoted texts on one
//! line each, in ASCII. Those are read here, some ten times as fast as libyaml reads them; of
//! everything else nothing is said, and the caller asks libyaml. What is read here is what libyaml
//! reads: property tests compare the two.

use serde_json::{Map, Value};

/// Longer texts are left to libyaml with its bounds on what a document may hold.
const LONGEST: usize = 32 * 1024;
/// Deeper nesting too.
const DEEPEST: usize = 16;
/// Longer keys too: libyaml has a bound on them.
const LONGEST_KEY: usize = 128;
/// Mappings with more keys too: a duplicate is looked for by going through them.
const MOST_KEYS: usize = 64;

/// Reads a document; `None` where it is not of the plain sort.
pub(super) fn read(text: &str) -> Option<Value> {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n');
    if text.len() > LONGEST || !text.bytes().all(is_plain) {
        return None;
    }
    let text = text.strip_prefix("---\n").unwrap_or(text);
    let mut lines = Lines { rest: text.split('\n'), next: None };
    lines.step()?;
    if lines.next?.indent != 0 {
        return None;
    }
    let value = lines.mapping(0, 0)?;
    lines.next.is_none().then_some(value)
}

/// A line with something on it.
#[derive(Clone, Copy)]
struct Line<'t> {
    indent: usize,
    /// What stands on it, from its first letter on.
    content: &'t str,
}

/// The lines of a document that say something.
struct Lines<'t> {
    rest: std::str::Split<'t, char>,
    next: Option<Line<'t>>,
}

impl<'t> Lines<'t> {
    /// Goes on to the next line that says something; `None` where it is not plain.
    fn step(&mut self) -> Option<()> {
        self.next = None;
        for line in self.rest.by_ref() {
            let content = line.trim_start_matches(' ');
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let indent = line.len() - content.len();
            // A marker of a document, or a directive.
            if indent == 0 && (content.starts_with("---") || content.starts_with(['.', '%'])) {
                return None;
            }
            self.next = Some(Line { indent, content });
            break;
        }
        Some(())
    }

    /// A mapping whose keys stand at `indent`; the next line is its first.
    fn mapping(&mut self, indent: usize, depth: usize) -> Option<Value> {
        let mut entries = Map::new();
        if depth > DEEPEST {
            return None;
        }
        while let Some(line) = self.next {
            if line.indent < indent || (line.indent == indent && is_item(line.content)) {
                break;
            }
            if line.indent > indent || entries.len() == MOST_KEYS {
                return None;
            }
            let (key, rest) = key(line.content)?;
            if entries.contains_key(key) {
                return None;
            }
            let value = match scalar(rest)? {
                Some(value) => {
                    self.step()?;
                    // A deeper line would go on with the text.
                    if self.next.is_some_and(|next| next.indent > indent) {
                        return None;
                    }
                    value
                }
                None => {
                    self.step()?;
                    self.below(indent, depth)?
                }
            };
            entries.insert(key.to_owned(), value);
        }
        Some(Value::Object(entries))
    }

    /// The value of a key at `indent` that has nothing beside it.
    fn below(&mut self, indent: usize, depth: usize) -> Option<Value> {
        match self.next {
            // A list may stand below its key without being deeper.
            Some(next) if next.indent >= indent && is_item(next.content) => {
                self.list(next.indent, depth + 1)
            }
            Some(next) if next.indent > indent => self.mapping(next.indent, depth + 1),
            _ => Some(Value::Null),
        }
    }

    /// A list whose dashes stand at `indent`; the next line is its first.
    fn list(&mut self, indent: usize, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        if depth > DEEPEST {
            return None;
        }
        while let Some(line) = self.next {
            if line.indent < indent || (line.indent == indent && !is_item(line.content)) {
                break;
            }
            if line.indent > indent {
                return None;
            }
            let content = line.content.strip_prefix("- ")?.trim_start_matches(' ');
            let inner = indent + line.content.len() - content.len();
            if key(content).is_some() {
                // A mapping that begins beside the dash.
                self.next = Some(Line { indent: inner, content });
                items.push(self.mapping(inner, depth + 1)?);
            } else {
                // Nothing beside the dash, and a list in the list, are left alone.
                items.push(scalar(content)??);
                self.step()?;
            }
            if self.next.is_some_and(|next| next.indent > indent) {
                return None;
            }
        }
        Some(Value::Array(items))
    }
}

fn is_item(content: &str) -> bool {
    content == "-" || content.starts_with("- ")
}

/// A plain key, and what follows its colon.
fn key(content: &str) -> Option<(&str, &str)> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = content.bytes().take_while(|byte| is_letter(*byte)).count();
    let (key, rest) = content.split_at_checked(length)?;
    let rest = rest.strip_prefix(':')?;
    let is_word = length <= LONGEST_KEY
        && key.starts_with(|first: char| first.is_ascii_alphabetic())
        && !is_special(key);
    (is_word && (rest.is_empty() || rest.starts_with(' '))).then_some((key, rest))
}

/// What stands beside a key or a dash: a value, or nothing (`Some(None)`).
#[expect(clippy::option_option, reason = "not plain, nothing, and a value are three things")]
fn scalar(rest: &str) -> Option<Option<Value>> {
    let rest = rest.trim_matches(' ');
    match rest.bytes().next() {
        None | Some(b'#') => Some(None),
        Some(quote @ (b'"' | b'\'')) => quoted(rest, char::from(quote)).map(Some),
        Some(b'0'..=b'9') => number(without_comment(rest)).map(Some),
        // No indicator, and nothing that may begin a number or `null`.
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'/' | b'$' | b'(') => {
            word(without_comment(rest)).map(Some)
        }
        _ => None,
    }
}

fn without_comment(rest: &str) -> &str {
    rest.split_once(" #").map_or(rest, |(text, _)| text).trim_end_matches(' ')
}

/// A quoted text without escapes, with nothing but a comment after it.
fn quoted(rest: &str, quote: char) -> Option<Value> {
    let (text, after) = rest.strip_prefix(quote)?.split_once(quote)?;
    let ends = after.trim_start_matches(' ');
    // `''` is an escape of its own, and a comment needs a space before it.
    let is_over = ends.is_empty() || (ends.starts_with('#') && after.starts_with(' '));
    (is_over && !text.contains('\\')).then(|| Value::from(text))
}

fn number(text: &str) -> Option<Value> {
    let is_decimal = text.len() < 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zero = text.starts_with('0') && text != "0";
    (is_decimal && !has_zero).then(|| text.parse::<u64>().ok()).flatten().map(Value::from)
}

fn word(text: &str) -> Option<Value> {
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" => Some(Value::Null),
        _ if is_special(text) || text.contains(": ") || text.ends_with(':') => None,
        _ => Some(Value::from(text)),
    }
}

/// Words that are no texts, in whichever case.
fn is_special(word: &str) -> bool {
    ["true", "false", "null"].iter().any(|special| word.eq_ignore_ascii_case(special))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::document::yaml::parse_with_libyaml;

    #[test]
    fn reads_what_most_documents_hold() {
        let text = "---\n# Owned by a team.\ntype: email\nname: order-mails # a comment\n\nport: 25\n\
                    auth: true\npassword: ${env:PASSWORD}\nempty:\nquoted: \"a # b: c\" # d\n\
                    hosts:\n- scheme: https\n  host: 'a'\n-   plain\nmap:\n  a.b:\n    value: 5\n\
                    \x20\x20c: null\nlist:\n    - 1\n    - x:\n";
        let expected = json!({
            "type": "email", "name": "order-mails", "port": 25, "auth": true,
            "password": "${env:PASSWORD}", "empty": null, "quoted": "a # b: c",
            "hosts": [{"scheme": "https", "host": "a"}, "plain"],
            "map": {"a.b": {"value": 5}, "c": null}, "list": [1, {"x": null}],
        });
        assert_eq!(read(text), Some(expected.clone()));
        assert_eq!(parse_with_libyaml(text).unwrap().value, expected);
    }

    #[test]
    fn leaves_everything_else_alone() {
        for text in [
            "",
            "a",
            "- a",
            "a: b\na: c",
            "a: b\n c",
            "a: b: c",
            "a: {b: c}",
            "a: |\n  b",
            "a: &x b",
            "a: *x",
            "a: !t b",
            "a: \"b\\n\"",
            "a: 'b''c'",
            "a: \"b",
            "a: 1.5",
            "a: 017",
            "a: -1",
            "a: ~",
            "a: True",
            "true: a",
            "a:\tb",
            "a: ä",
            "a: b\r\n",
            "a: b\n--- \nc: d",
            "a: b\n...\n",
            "%YAML 1.2\n---\na: b",
            "a:\n  b: c\n d: e",
            "a:\n  - b\n - c",
            "? a\n: b",
            "<<: a",
            " a: b",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    /// Pieces of lines, plain ones and others, from which documents are put together.
    fn line() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "b",
            "key",
            "type",
            "true",
            "Null",
            "no",
            "-",
            "- ",
            "-  ",
            ": ",
            ":",
            " ",
            "  ",
            "#",
            " #",
            "'",
            "\"",
            "''",
            "\\",
            "1",
            "0",
            "01",
            "12345678901234567890",
            "1e3",
            ".5",
            "~",
            "{",
            "}",
            "[",
            "]",
            ",",
            "&x",
            "*x",
            "!t",
            "|",
            ">",
            "?",
            "%",
            "@",
            "`",
            "$",
            "${env:A}",
            "${var:b}",
            "/",
            "_",
            "(",
            "<<",
            "---",
            "...",
            "\t",
            "\r",
            "ä",
            "\u{7f}",
            "yes",
            "0x1f",
            "0o7",
            "x.y",
            "x-y",
            "=",
            ";",
            "https://a:80/b",
        ]);
        let indent = prop::sample::select(vec!["", "", "", "  ", "  ", "    ", " "]);
        let begin = prop::sample::select(vec!["", "a: ", "b:", "c: ", "- ", "- d: ", "e: x", "# "]);
        (indent, begin, prop::collection::vec(piece, 0..4))
            .prop_map(|(indent, begin, pieces)| format!("{indent}{begin}{}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// What is read here libyaml reads as the very same, in its order, and finds no fault in.
        #[test]
        fn agrees_with_libyaml(lines in prop::collection::vec(line(), 1..7), end in "\n?") {
            let text = lines.join("\n") + &end;
            if let Some(value) = read(&text) {
                let parsed = parse_with_libyaml(&text);
                let parsed = parsed.map_err(|failure| {
                    TestCaseError::fail(format!("{text:?} is {value} here and {failure:?} there"))
                })?;
                prop_assert!(!parsed.has_floats, "{text:?}");
                prop_assert_eq!(parsed.value.to_string(), value.to_string(), "{:?}", text);
            }
        }

        /// Most of what looks like a document is read, so that the property above says something.
        #[test]
        fn reads_plain_documents(
            entries in prop::collection::btree_map("[a-z][A-Za-z]{0,8}", "[ -~]{0,12}", 1..6),
        ) {
            let lines: Vec<_> =
                entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            let text = lines.join("\n");
            if let Some(value) = read(&text) {
                let parsed = parse_with_libyaml(&text);
                prop_assert!(parsed.is_ok_and(|parsed| parsed.value == value), "{text:?}");
            }
        }
    }
}
