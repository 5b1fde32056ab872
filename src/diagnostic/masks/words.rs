//! Which keys and texts look like secrets.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::catalog::{self, Field, Kind, Secrecy};
use crate::reference::{self, Segment};

/// The fields of the catalog at any depth: those that are secret or hide one, and the others.
struct Names {
    secret: BTreeSet<&'static str>,
    plain: BTreeSet<&'static str>,
    /// Names of secrets that a misspelled one comes near to, in lower case.
    near: BTreeSet<String>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut names =
        Names { secret: BTreeSet::new(), plain: BTreeSet::new(), near: BTreeSet::new() };
    for connection_type in catalog::all() {
        for field in connection_type.fields() {
            names.add(field);
        }
    }
    names.plain.retain(|name| !names.secret.contains(name));
    let communities = names.plain.iter().filter(|name| name.contains(COMMUNITY));
    names.near = names.secret.iter().chain(communities).map(|name| name.to_lowercase()).collect();
    names
});

impl Names {
    fn add(&mut self, field: &'static Field) {
        match field.secrecy {
            Secrecy::Secret { .. } => self.secret.insert(field.name),
            Secrecy::Plain | Secrecy::Hidden(_) => self.plain.insert(field.name),
        };
        let inner = match &field.kind {
            Kind::List(kind) | Kind::Set(kind) | Kind::Map(kind) => kind,
            kind => kind,
        };
        let Kind::Object(fields) = inner else { return };
        let fields: &'static [Field] = fields;
        for field in fields {
            self.add(field);
        }
    }
}

/// A word in the names of fields that are secrets in one version of SNMP and plain in another.
const COMMUNITY: &str = "Community";

/// Whether a key says that its value is a secret, a misspelled one too.
pub(crate) fn is_secret_key(key: &str) -> bool {
    if says_secret(key) {
        return true;
    }
    if NAMES.plain.contains(key) {
        return false;
    }
    let folded = folded(key);
    // Texts of which one is twice as long as the other are never that near.
    let may_be_near = |name: &str| name.len() <= 2 * folded.len() && folded.len() <= 2 * name.len();
    let mut names = NAMES.near.iter().filter(|name| may_be_near(name));
    names.any(|name| strsim::jaro_winkler(name, &folded) > 0.9)
}

/// Whether a key that speaks of a secret holds more than a name: `password S3cr3t` in braces is a
/// key without a value, where a colon was meant. `value` may speak of one, too.
pub(crate) fn is_secret_in_key(key: &str) -> bool {
    let splits = |c: char| c.is_whitespace() || matches!(c, ':' | '=' | '"' | '\'');
    key.split_once(splits)
        .is_some_and(|(word, rest)| !rest.is_empty() && (word == "value" || is_secret_key(word)))
}

/// Whether a word speaks of a secret, in a key or anywhere else.
pub(super) fn says_secret(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "pass",
        "pwd",
        "secret",
        "token",
        "credential",
        "apikey",
        "accesskey",
        "privatekey",
        "community",
        "authorization",
        "jaas",
        "cookie",
    ];
    if NAMES.secret.contains(word) {
        return true;
    }
    if NAMES.plain.contains(word) && !word.contains(COMMUNITY) {
        return false;
    }
    let folded = folded(word);
    WORDS.iter().any(|part| folded.contains(part)) || folded.ends_with("key")
}

fn folded(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a key is one that documents have, so that it is no secret itself. `value` is too common
/// a word to tell.
pub(super) fn is_field(key: &str) -> bool {
    let known = NAMES.secret.contains(key) || NAMES.plain.contains(key);
    (known && key != "value") || matches!(key, "type" | "name" | "x-gitops")
}

/// Whether a text holds references to the environment or to Apinizer's variables, and nothing
/// else: what a secret field may show.
pub(crate) fn only_references(text: &str) -> bool {
    reference::parse(text).is_ok_and(|segments| {
        segments.iter().all(|s| matches!(s, Segment::Env(_) | Segment::Apinizer(_)))
    })
}

/// Whether a text of any field looks as if it held a password, token or key.
pub(crate) fn hides_secret(text: &str) -> bool {
    text.contains("PRIVATE KEY") || has_user_info(text) || has_assignment(text) || has_scheme(text)
}

/// `://user:password@`
fn has_user_info(text: &str) -> bool {
    text.match_indices("://").any(|(at, found)| {
        let rest = text.get(at + found.len()..).unwrap_or_default();
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .and_then(|(user, _)| user.split_once(':'))
            .is_some_and(|(_, password)| !password.is_empty() && !only_references(password))
    })
}

/// `password=`, `pwd:` and their like in front of something that is no reference.
fn has_assignment(text: &str) -> bool {
    text.match_indices(['=', ':']).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default().trim_end();
        let word = before
            .rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .next()
            .unwrap_or_default();
        if !is_secret_key(word) {
            return false;
        }
        let value = text.get(at + 1..).unwrap_or_default().trim_start();
        let value = value.split([';', '&', ',', ' ', '"', '\'']).find(|v| !v.is_empty());
        value.is_some_and(|value| !only_references(value))
    })
}

/// `Bearer ...` and `Basic ...`.
fn has_scheme(text: &str) -> bool {
    let folded = text.to_ascii_lowercase();
    ["bearer ", "basic "].iter().any(|scheme| {
        folded.match_indices(scheme).any(|(at, _)| {
            let value = text.get(at + scheme.len()..).unwrap_or_default();
            let word = value.split_whitespace().next().unwrap_or_default();
            word.len() >= 8 && !only_references(word)
        })
    })
}
