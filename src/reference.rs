//! References inside strings: `${env:NAME}`, `${var:NAME}`, Apinizer's own `${NAME}`, `$${`.

use std::borrow::Cow;
use std::fmt;

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
}

impl ReferenceError {
    /// Where in the text the reference begins, in bytes.
    pub fn offset(&self) -> usize {
        match self {
            Self::UnknownScheme { offset, .. }
            | Self::BadName { offset, .. }
            | Self::Unclosed { offset, .. } => *offset,
        }
    }
}

/// Splits a declared text into its segments; adjacent plain text is one segment.
///
/// # Errors
/// An unknown scheme, a bad name, or a reference of ours without its closing brace. Text that
/// only resembles Apinizer's `${NAME}` (`${a b}`, an unclosed `${`) stands for itself.
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
            Some('}') if is_apinizer_name(word) => (Segment::Apinizer(word), name_length + 1),
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
    let good = if scheme == "env" { is_variable_name(name) } else { is_var_name(name) };
    if !good {
        return Err(ReferenceError::BadName { offset, scheme: scheme.to_owned() });
    }
    Ok((if scheme == "env" { Segment::Env(name) } else { Segment::Var(name) }, end))
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_apinizer_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}

/// A text that looks like one of Apinizer's variables and is none, since its name holds another
/// character than letters, digits, `_` and `.`.
pub(crate) fn misnamed_variable(text: &str) -> Option<&str> {
    text.match_indices("${").find_map(|(at, _)| {
        let is_escaped = text.get(..at).is_some_and(|before| before.ends_with('$'));
        let (name, _) = text.get(at + 2..)?.split_once('}')?;
        let is_of_a_name = |c: char| !c.is_whitespace() && !":{$\"'".contains(c);
        let is_one_word = !name.is_empty() && name.chars().all(is_of_a_name);
        let end = at + 2 + name.len() + 1;
        (is_one_word && !is_escaped && !is_apinizer_name(name)).then(|| text.get(at..end)).flatten()
    })
}

fn is_var_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Whether a text is made of Apinizer's own `${NAME}` and nothing else.
pub(crate) fn is_apinizers(text: &str) -> bool {
    parse(text).is_ok_and(|segments| {
        !segments.is_empty() && segments.iter().all(|s| matches!(s, Segment::Apinizer(_)))
    })
}

/// Whether a declared text holds an `${env:NAME}`, which makes its field sensitive.
pub(crate) fn holds_env(text: &str) -> bool {
    text.contains("${env:")
        && parse(text).is_ok_and(|all| all.iter().any(|s| matches!(s, Segment::Env(_))))
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
        for plain in ["${", "${}", "${a b}", "$", "$$", "{}", "${-x}", "${a.b-c}", "100$"] {
            assert_eq!(parse(plain).unwrap(), vec![text(plain)], "{plain}");
        }
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn a_variable_with_another_character_in_its_name_is_found() {
        assert_eq!(misnamed_variable("a${B}${db-host}"), Some("${db-host}"));
        for none in ["", "${", "${}", "${a b}", "${a.b}", "${env:a-b}", "$${a-b}", "${a-b"] {
            assert_eq!(misnamed_variable(none), None, "{none}");
        }
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
