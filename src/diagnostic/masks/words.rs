//! Which keys and texts look like secrets, and which plainly are none.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::catalog::{self, Field, HiddenPlace, Kind, Secrecy};
use crate::reference::{self, Segment};

/// The fields of the catalog at any depth.
struct Names {
    secret: BTreeSet<&'static str>,
    /// Those that are a secret in no type.
    plain: BTreeSet<&'static str>,
    /// Those in which a secret hides, which is not found by a look at the value alone.
    hiding: BTreeSet<&'static str>,
    /// Names of secrets that a misspelled one comes near to, in lower case.
    near: BTreeSet<String>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut names = Names {
        secret: BTreeSet::new(),
        plain: BTreeSet::new(),
        hiding: BTreeSet::new(),
        near: BTreeSet::new(),
    };
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
        if matches!(field.secrecy, Secrecy::Hidden(place) if place != HiddenPlace::Url) {
            self.hiding.insert(field.name);
        }
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
fn is_secret_key(key: &str) -> bool {
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
fn says_secret(word: &str) -> bool {
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

/// Whether a key is one that documents have, so that it is no secret itself.
pub(crate) fn is_field(key: &str) -> bool {
    NAMES.secret.contains(key) || is_harmless_field(key) || NAMES.hiding.contains(key)
}

/// Whether what stands under a key is no secret in any document, unless its text shows otherwise.
/// `value` stands beside a name that decides it.
pub(super) fn is_harmless_field(key: &str) -> bool {
    const OURS: &[&str] =
        &["type", "name", "x-gitops", "protect", "renamedFrom", "ignore", "suspend", "targets"];
    let is_plain = NAMES.plain.contains(key) && !NAMES.hiding.contains(key) && key != "value";
    is_plain || OURS.contains(&key)
}

/// Whether a text holds references to the environment or to Apinizer's variables, and nothing
/// else: what a secret field may show.
pub(crate) fn only_references(text: &str) -> bool {
    reference::parse(text).is_ok_and(|segments| {
        segments.iter().all(|s| matches!(s, Segment::Env(_) | Segment::Apinizer(_)))
    })
}

/// Whether a text of any field may hold a password, token or key: it speaks of one, or has user
/// info in a URL.
pub(crate) fn hides_secret(text: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
    let is_scheme = |word: &str| ["bearer", "basic"].iter().any(|s| word.eq_ignore_ascii_case(s));
    text.contains("PRIVATE KEY")
        || (text.contains('@') && text.contains(':'))
        || words.any(|word| is_scheme(word) || is_secret_key(word))
}
