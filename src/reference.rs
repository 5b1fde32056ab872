//! References inside strings: `${env:NAME}`, `${var:NAME}`, Apinizer's own `${NAME}`, `$${`.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::pointer::any_text;

/// A piece of a declared text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Text that stands for itself; `$${` has become `${`.
    Text(Cow<'a, str>),
    /// `${env:NAME}`: a value from the environment, sensitive wherever it stands.
    Env(&'a str),
    /// `${var:NAME}`: a plain value of the target.
    Var(&'a str),
    /// `${NAME}`: Apinizer's own variable, sent as it is written; the name may hold dots.
    Apinizer(&'a str),
}

/// As a document writes it.
impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&escape(text)),
            Self::Env(name) => write!(f, "${{env:{name}}}"),
            Self::Var(name) => write!(f, "${{var:{name}}}"),
            Self::Apinizer(name) => write!(f, "${{{name}}}"),
        }
    }
}

/// Why a text is not a well-formed template; the offset counts bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// `${vault:...}` and the like.
    #[error("`{scheme}` is not a scheme of references: use `${{env:NAME}}` or `${{var:NAME}}`")]
    UnknownScheme {
        /// Where the reference begins.
        offset: usize,
        /// The text before the colon.
        scheme: String,
    },
    /// `${env:}` or a name with a character that no variable has.
    #[error("`${{{scheme}:...}}` needs a name of letters, digits, `_`{also}", also = if scheme == "var" { ", `-` and `.`" } else { "" })]
    BadName {
        /// Where the reference begins.
        offset: usize,
        /// `env` or `var`.
        scheme: String,
    },
    /// `${env:NAME` without its brace.
    #[error("this `${{{scheme}:` has no closing `}}`")]
    Unclosed {
        /// Where the reference begins.
        offset: usize,
        /// `env` or `var`.
        scheme: String,
    },
    /// `${a b}`: it has the form of Apinizer's `${NAME}`, and no variable can have that name.
    #[error("a name in `${{NAME}}` has letters, digits, `_` and `.` only")]
    BadApinizerName {
        /// Where the reference begins.
        offset: usize,
    },
}

impl ReferenceError {
    /// Where in the text the reference begins, in bytes.
    pub fn offset(&self) -> usize {
        match self {
            Self::UnknownScheme { offset, .. }
            | Self::BadName { offset, .. }
            | Self::Unclosed { offset, .. }
            | Self::BadApinizerName { offset } => *offset,
        }
    }
}

/// Splits a declared text into its segments; adjacent plain text is one segment.
///
/// # Errors
/// An unknown scheme, a bad name (`${a b}`), or a reference of ours without its closing brace. Text
/// that cannot be meant as a reference (`${}`, `${{x}}`, an unclosed `${`) stands for itself.
pub fn parse(text: &str) -> Result<Vec<Segment<'_>>, ReferenceError> {
    if !text.contains("${") {
        let whole = (!text.is_empty()).then_some(Segment::Text(Cow::Borrowed(text)));
        return Ok(whole.into_iter().collect());
    }
    let mut segments = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${").map(|offset| at + offset) {
        if found > at && text.as_bytes()[found - 1] == b'$' {
            plain.push_str(&text[at..found - 1]);
            plain.push_str("${");
            at = found + 2;
            continue;
        }
        plain.push_str(&text[at..found]);
        let inside = &text[found + 2..];
        let name_length = inside
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .unwrap_or(inside.len());
        let word = &inside[..name_length];
        let (segment, end) = match inside[name_length..].chars().next() {
            Some(':') if !word.is_empty() && !word.contains('.') => ours(inside, word, found)?,
            Some('}') if is_name(word, b"_.") => (Segment::Apinizer(word), name_length + 1),
            _ if is_misnamed(inside) => {
                return Err(ReferenceError::BadApinizerName { offset: found });
            }
            _ => {
                plain.push_str("${");
                at = found + 2;
                continue;
            }
        };
        end_text(&mut plain, &mut segments);
        segments.push(segment);
        at = found + 2 + end;
    }
    plain.push_str(&text[at..]);
    end_text(&mut plain, &mut segments);
    Ok(segments)
}

fn end_text(plain: &mut String, segments: &mut Vec<Segment<'_>>) {
    if !plain.is_empty() {
        segments.push(Segment::Text(Cow::Owned(std::mem::take(plain))));
    }
}

fn ours<'a>(
    inside: &'a str,
    scheme: &'a str,
    offset: usize,
) -> Result<(Segment<'a>, usize), ReferenceError> {
    if scheme != "env" && scheme != "var" {
        return Err(ReferenceError::UnknownScheme { offset, scheme: scheme.to_owned() });
    }
    let start = scheme.len() + 1;
    let Some(length) = inside[start..].find('}') else {
        return Err(ReferenceError::Unclosed { offset, scheme: scheme.to_owned() });
    };
    let name = &inside[start..start + length];
    let end = start + length + 1;
    let others: &[u8] = if scheme == "env" { b"_" } else { b"_-." };
    if !is_name(name, others) {
        return Err(ReferenceError::BadName { offset, scheme: scheme.to_owned() });
    }
    Ok((if scheme == "env" { Segment::Env(name) } else { Segment::Var(name) }, end))
}

/// Whether a name is of letters, digits and the others that are given.
fn is_name(name: &str, others: &[u8]) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
}

/// Whether the text behind a `${` closes like a variable of Apinizer's, whatever its name. Quotes,
/// braces and line breaks are those of a script, a template or JSON.
fn is_misnamed(inside: &str) -> bool {
    let is_of_a_name = |c: char| !c.is_control() && !"{$\"'`".contains(c);
    inside
        .split_once('}')
        .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(is_of_a_name))
}

/// Whether a text is made of Apinizer's own `${NAME}` and nothing else.
pub(crate) fn is_apinizers(text: &str) -> bool {
    parse(text).is_ok_and(|segments| {
        !segments.is_empty() && segments.iter().all(|s| matches!(s, Segment::Apinizer(_)))
    })
}

/// Whether a value holds a reference, or something that tries to be one.
pub(crate) fn holds_reference(value: &Value) -> bool {
    any_text(value, &|text| {
        let is_plain = |all: Vec<Segment<'_>>| all.iter().all(|s| matches!(s, Segment::Text(_)));
        text.contains("${") && !parse(text).is_ok_and(is_plain)
    })
}

/// Whether a declared text holds an `${env:NAME}`, which makes its field sensitive.
pub(crate) fn holds_env(text: &str) -> bool {
    text.contains("${env:")
        && parse(text).is_ok_and(|all| all.iter().any(|s| matches!(s, Segment::Env(_))))
}

/// A declared text with the values of its vars filled in, as far as they are known, and its other
/// references as text. Where they cannot be written there the text stays as it is.
pub(crate) fn with_vars<'v>(text: &str, value_of: &dyn Fn(&str) -> Option<&'v Value>) -> Value {
    let Ok(segments) = parse(text) else { return Value::from(text) };
    if let [Segment::Var(name)] = segments[..]
        && let Some(value @ (Value::Number(_) | Value::Bool(_))) = value_of(name)
    {
        return value.clone();
    }
    let mut filled = String::new();
    for segment in &segments {
        let part = match segment {
            Segment::Text(text) => text.replace("${", "$${"),
            Segment::Var(name) => match value_of(name) {
                Some(Value::String(text)) => text.replace("${", "$${"),
                Some(plain) => plain.to_string(),
                None => segment.to_string(),
            },
            reference => reference.to_string(),
        };
        if filled.ends_with('$') && part.starts_with("${") {
            return Value::from(text);
        }
        filled.push_str(&part);
    }
    Value::String(filled)
}

/// Writes a text so that parsing it gives that very text back: what looks like one of our
/// references, or would be refused, gets a second `$`.
pub fn escape(text: &str) -> Cow<'_, str> {
    let stands_for_itself = |text: &str| {
        parse(text).is_ok_and(|segments| {
            segments.iter().all(|s| match s {
                Segment::Text(_) | Segment::Apinizer(_) => true,
                Segment::Env(_) | Segment::Var(_) => false,
            })
        })
    };
    if !text.contains("${") || (stands_for_itself(text) && !text.contains("$${")) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.replace("${", "$${"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Segment<'_> {
        Segment::Text(Cow::Borrowed(t))
    }

    #[test]
    fn splits_our_references_from_apinizers_variables() {
        assert_eq!(
            parse("a${env:A}b${var:x-y.z}${HOST}c").unwrap(),
            vec![
                text("a"),
                Segment::Env("A"),
                text("b"),
                Segment::Var("x-y.z"),
                Segment::Apinizer("HOST"),
                text("c")
            ]
        );
        assert_eq!(parse("${api.hostname}").unwrap(), vec![Segment::Apinizer("api.hostname")]);
    }

    #[test]
    fn escapes_write_a_literal() {
        assert_eq!(parse("$${env:A}").unwrap(), vec![text("${env:A}")]);
        assert_eq!(parse("x$${y").unwrap(), vec![text("x${y")]);
        assert_eq!(parse("$$${env:A}").unwrap(), vec![text("$${env:A}")]);
    }

    #[test]
    fn looks_alike_stands_for_itself() {
        for plain in ["${", "${}", "${{x}}", "${\"a\"}", "$", "$$", "{}", "${a\n}", "${a-b", "100$"]
        {
            assert_eq!(parse(plain).unwrap(), vec![text(plain)], "{plain}");
        }
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn a_variable_with_another_character_in_its_name_is_an_error() {
        for bad in ["a${B}${db-host}", "${a b}", "${x/y}", "${-x}", "${a.b:c}", "${a.b-c}"] {
            let error = parse(bad).unwrap_err();
            let offset = bad.rfind("${").unwrap();
            assert_eq!(error, ReferenceError::BadApinizerName { offset }, "{bad}");
            assert_eq!(escape(bad), bad.replace("${", "$${"));
        }
        assert_eq!(parse("$${a b}").unwrap(), vec![text("${a b}")]);
    }

    #[test]
    fn mistakes_are_errors() {
        assert!(matches!(
            parse("a${vault:x}"),
            Err(ReferenceError::UnknownScheme { offset: 1, .. })
        ));
        assert!(matches!(parse("${env:}"), Err(ReferenceError::BadName { .. })));
        assert!(matches!(parse("${env:A B}"), Err(ReferenceError::BadName { .. })));
        assert!(matches!(parse("${env:A"), Err(ReferenceError::Unclosed { .. })));
    }

    proptest::proptest! {
        #[test]
        fn escaping_gives_the_text_back(t in "[${}:a-z ]{0,24}|(\\$|\\{|env:|var:|\\}|A|x:){0,12}") {
            let escaped = escape(&t);
            let back: String = parse(&escaped).unwrap().iter().map(|s| match s {
                Segment::Text(t) => t.to_string(),
                Segment::Apinizer(n) => format!("${{{n}}}"),
                other => panic!("{other:?} in {escaped}"),
            }).collect();
            proptest::prop_assert_eq!(back, t);
        }
    }
}
