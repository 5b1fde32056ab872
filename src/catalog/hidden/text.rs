//! Which part of a text is the secret, by what kind of text it is.

use std::ops::Range;

use super::masked::is_masked_text;
use super::url::{self, FILLER, NamedRange, is_boolean, says_secret};
use crate::reference::{self, Segment};
use crate::secret::SENSITIVE;

/// A longer text is not looked into but taken as a secret from end to end: nobody writes one
/// by hand, and looking into it takes time that grows with its square.
const LONGEST: usize = 16 * 1024;

/// The kind of text that a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextShape {
    /// Text that may mention a URL with a password.
    Prose,
    /// The same, where each URL in it is looked at as a URL.
    Links,
    /// A URL.
    Url,
    /// All of it is a secret.
    Whole,
    /// The value of a header: perhaps a scheme, then the secret.
    Credentials,
    /// `name=secret; name=secret`.
    Cookie,
    /// `user:secret`.
    UserAndPassword,
    /// A JAAS configuration.
    Jaas,
}

impl TextShape {
    /// The kind of a header's value; `None` where its name says nothing.
    pub(super) fn of_header(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "cookie" | "set-cookie" => Some(Self::Cookie),
            _ => says_secret(name).then_some(Self::Credentials),
        }
    }

    /// The kind of a client property's value; `None` where its name says nothing.
    pub(super) fn of_property(name: &str) -> Option<Self> {
        let folded = name.trim().to_ascii_lowercase();
        if folded.ends_with("sasl.jaas.config") {
            Some(Self::Jaas)
        } else if folded.ends_with("auth.user.info") {
            Some(Self::UserAndPassword)
        } else {
            says_secret(name).then_some(Self::Whole)
        }
    }

    /// The secret parts of a text of this kind, each with the name that it has inside the text
    /// (empty where it has none).
    pub(super) fn secrets_in(self, text: &str) -> Vec<NamedRange> {
        if text.len() > LONGEST && !matches!(self, Self::Prose | Self::Links) {
            return vec![whole(0..text.len())];
        }
        let skeleton = skeleton(text);
        let mut found = Vec::new();
        match self {
            Self::Prose => {
                in_prose(&skeleton, &mut found, |word, found| url::user_info(word, false, found));
            }
            Self::Links if skeleton.starts_with("jdbc:") => in_url(&skeleton, &mut found),
            Self::Links => in_prose(&skeleton, &mut found, in_url),
            Self::Url => in_url(&skeleton, &mut found),
            Self::Whole if is_boolean(text) => {}
            Self::Whole => found.push(whole(0..text.len())),
            Self::Credentials => found.extend(after_scheme(&skeleton).map(whole)),
            Self::Cookie => cookies(&skeleton, &mut found),
            Self::UserAndPassword => {
                found.push(whole(skeleton.find(':').map_or(0, |at| at + 1)..text.len()));
            }
            Self::Jaas if is_masked_text(text) => found.push(whole(0..text.len())),
            Self::Jaas => jaas_options(&skeleton, &mut found),
        }
        found.retain(|(range, _)| !range.is_empty());
        found
    }
}

fn whole(range: Range<usize>) -> NamedRange {
    (range, String::new())
}

fn in_url(skeleton: &str, found: &mut Vec<NamedRange>) {
    url::user_info(skeleton, true, found);
    url::parameters(skeleton, found);
}

/// URLs in a text end where a word does.
fn in_prose(
    skeleton: &str,
    found: &mut Vec<NamedRange>,
    look_into: impl Fn(&str, &mut Vec<NamedRange>),
) {
    let mut at = 0;
    for word in skeleton.split(char::is_whitespace) {
        let start = skeleton[at..].find(word).map_or(at, |offset| at + offset);
        at = start + word.len();
        if !may_hold_url(word) {
            continue;
        }
        if word.len() > LONGEST {
            found.push(whole(start..at));
            continue;
        }
        let mut inside = Vec::new();
        look_into(word, &mut inside);
        found.extend(
            inside.into_iter().map(|(range, name)| (start + range.start..start + range.end, name)),
        );
    }
}

/// Whether a URL may stand in a text.
pub(super) fn may_hold_url(text: &str) -> bool {
    let begins_jdbc = |five: &[u8]| five.eq_ignore_ascii_case(b"jdbc:");
    text.contains("://") || text.as_bytes().windows(5).any(begins_jdbc)
}

/// The part behind `Bearer` and its like, or everything.
fn after_scheme(skeleton: &str) -> Option<Range<usize>> {
    const SCHEMES: &[&str] = &[
        "apikey",
        "basic",
        "bearer",
        "digest",
        "geniekey",
        "hawk",
        "key",
        "negotiate",
        "oauth",
        "splunk",
        "ssws",
        "token",
    ];
    let blanks = skeleton.len() - skeleton.trim_start().len();
    let trimmed = skeleton.trim();
    let end = blanks + trimmed.len();
    let word = trimmed.split(char::is_whitespace).next().unwrap_or("");
    if !SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
        return (!trimmed.is_empty()).then_some(blanks..end);
    }
    let rest = trimmed[word.len()..].trim_start();
    (!rest.is_empty()).then_some(end - rest.len()..end)
}

fn cookies(skeleton: &str, found: &mut Vec<NamedRange>) {
    const ATTRIBUTES: &[&str] =
        &["domain", "expires", "httponly", "max-age", "partitioned", "path", "samesite", "secure"];
    let mut at = 0;
    for piece in skeleton.split(';') {
        let start = at;
        at += piece.len() + 1;
        let (name, value) = piece.split_once('=').unwrap_or(("", piece));
        let attribute = if name.is_empty() { value.trim() } else { name.trim() };
        if ATTRIBUTES.iter().any(|known| attribute.eq_ignore_ascii_case(known)) {
            continue;
        }
        let from = start + piece.len() - value.trim_start().len();
        let to = from + value.trim().len();
        found.push((from..to, name.trim().to_owned()));
    }
}

/// The values of all options in a skeleton whose names say that they are secrets:
/// `...LoginModule required username="a" password="b";`.
fn jaas_options(skeleton: &str, found: &mut Vec<NamedRange>) {
    let value_at = |skeleton: &str, behind_equals: usize| {
        let after = &skeleton[behind_equals..];
        let start = behind_equals + after.len() - after.trim_start().len();
        let value = &skeleton[start..];
        match value.chars().next() {
            Some(quote @ ('"' | '\'')) => start + 1..start + 1 + quoted_length(&value[1..], quote),
            _ => start..start + value.find([' ', '\t', '\n', '\r', ';']).unwrap_or(value.len()),
        }
    };
    url::secret_values(skeleton, says_secret, value_at, found);
}

/// How long a quoted value is. A quote ends it only where another option, the end of the entry
/// or nothing follows: a quote that somebody forgot to escape does not show the rest.
fn quoted_length(value: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in value.char_indices() {
        let ends = value[index + c.len_utf8()..]
            .chars()
            .next()
            .is_none_or(|next| next == ';' || next.is_whitespace());
        if c == quote && !escaped && ends {
            return index;
        }
        escaped = c == '\\' && !escaped;
    }
    value.len()
}

/// The longest reference that is known as one, in bytes.
const LONGEST_REFERENCE: usize = 512;

/// The text with every reference and every `(sensitive)` filled with [`FILLER`], so that the `:`
/// of `${env:NAME}` separates nothing. Byte offsets are those of the text.
fn skeleton(text: &str) -> String {
    if !text.contains("${") && !text.contains(SENSITIVE) {
        return text.to_owned();
    }
    let mut filled = text.as_bytes().to_vec();
    let mut fill = |from: usize, to: usize| {
        if let Some(range) = filled.get_mut(from..to) {
            range.fill(FILLER);
        }
    };
    for (at, _) in text.match_indices(SENSITIVE) {
        fill(at, at + SENSITIVE.len());
    }
    for (at, _) in text.match_indices("${") {
        if text[..at].ends_with('$') {
            continue;
        }
        let bytes = text.as_bytes().get(at..).unwrap_or_default();
        let Some(end) = bytes.iter().take(LONGEST_REFERENCE).position(|b| *b == b'}') else {
            continue;
        };
        let length = end + 1;
        let one = reference::parse(&text[at..at + length]);
        if one.is_ok_and(|found| !matches!(found.as_slice(), [Segment::Text(_), ..] | [])) {
            fill(at, at + length);
        }
    }
    // Only whole ASCII runs were overwritten.
    String::from_utf8(filled).unwrap_or_else(|_| text.to_owned())
}
