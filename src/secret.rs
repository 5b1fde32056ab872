//! The two types that secrets live in, one for a text and one for a JSON value, keyed fingerprints of them,
//! and what is done to text that may repeat one.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::hex;

mod redact;

pub use redact::Redactor;

/// The text in the place of a sensitive value.
pub(crate) const SENSITIVE: &str = "(sensitive)";

/// A text that must not be seen: it has no `Display`, no `Serialize` and no `PartialEq`, and is
/// wiped when it is dropped.
#[derive(Clone)]
pub struct Sensitive(SecretString);

impl Sensitive {
    /// Hides a text.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself, for the request that needs it and for nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Compares in a time that does not depend on where the two differ.
    pub fn is(&self, other: &str) -> bool {
        same_in_constant_time(self.expose(), other)
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SENSITIVE)
    }
}

/// A JSON value that may hold secrets: the body of a call, or a resolved field. It has no
/// `Serialize`, no `PartialEq`, and its `Debug` shows nothing.
#[derive(Clone)]
pub struct SensitiveValue(Value);

impl SensitiveValue {
    /// Hides a value.
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// The value itself, for the comparison or the request that needs it.
    pub fn expose(&self) -> &Value {
        &self.0
    }
}

impl fmt::Debug for SensitiveValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SENSITIVE)
    }
}

/// The key under which fingerprints are made. With the state alone, and without
/// the key, a guess cannot be tested.
#[derive(Clone)]
pub struct FingerprintKey {
    key: hmac::Key,
    /// Tells which key a fingerprint was made under.
    name: String,
}

/// A salted HMAC-SHA-256 of one value of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

const SALT_BYTES: usize = 8;
const NAME_BYTES: usize = 4;

impl FingerprintKey {
    /// Makes the key from `fingerprint_key` of the config, or from the target's credential.
    /// The key that signs is derived, so that a fingerprint is never an HMAC under the very
    /// text of a token.
    pub fn derive(from: &Sensitive) -> Self {
        let outer = hmac::Key::new(hmac::HMAC_SHA256, from.expose().as_bytes());
        let derived = hmac::sign(&outer, b"apinizer-gitops fingerprint key 1");
        let key = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        let name = hex(&hmac::sign(&key, b"name").as_ref()[..NAME_BYTES]);
        Self { key, name }
    }

    /// A value by which a later run knows whether it has the same key.
    pub fn check_value(&self) -> String {
        hex(hmac::sign(&self.key, b"check value").as_ref())
    }

    /// Whether a fingerprint was made under this key; `None`: it is of a version that did not tell.
    pub fn has_made(&self, print: &Fingerprint) -> Option<bool> {
        print.0.split(':').nth(2).map(|made_by| made_by == self.name)
    }

    /// Makes the fingerprint of a field's value.
    pub fn of(&self, path: &str, value: &Value) -> Fingerprint {
        let mut salt = [0_u8; SALT_BYTES];
        fastrand::fill(&mut salt);
        let salt = hex(&salt);
        let tag = hex(self.sign(&salt, path, value).as_ref());
        Fingerprint(format!("{salt}:{tag}:{}", self.name))
    }

    /// Whether a fingerprint is of this value of this field.
    pub fn matches(&self, print: &Fingerprint, path: &str, value: &Value) -> bool {
        let mut parts = print.0.split(':');
        let Some((salt, tag)) = parts.next().zip(parts.next()) else { return false };
        let expected = hex(self.sign(salt, path, value).as_ref());
        same_in_constant_time(&expected, tag)
    }

    fn sign(&self, salt: &str, path: &str, value: &Value) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [salt, path] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        // A text and the same text as JSON must not collide, nor may the order of keys matter.
        context.update(canonical(value).as_bytes());
        context.sign()
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey")
    }
}

/// Whether two secrets are one, in a time that does not depend on where they differ.
pub(crate) fn same_in_constant_time(a: &str, b: &str) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

/// A text with `instead` in the place of the user info of every URL in it, its `@` included.
pub(crate) fn without_user_info(text: &str, instead: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        // Not at `?` and `#`: somebody may have written them into a password.
        let ends = |c: char| matches!(c, '/' | '\'' | '"') || c.is_whitespace();
        let authority = after.find(ends).unwrap_or(after.len());
        rest = match after[..authority].rfind('@') {
            Some(at) => {
                shown.push_str(instead);
                &after[at + 1..]
            }
            None => after,
        };
    }
    shown.push_str(rest);
    shown
}

/// A text without the query of each URL in it, which may hold a token.
pub(crate) fn without_queries(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| matches!(c, '\'' | '"') || c.is_whitespace()) {
        let is_url = word.contains("://") || word.contains('}');
        match word.find('?').filter(|_| is_url) {
            Some(at) => {
                let end =
                    word.trim_end_matches(|c: char| matches!(c, '\'' | '"') || c.is_whitespace());
                shown.extend([&word[..=at], SENSITIVE, &word[end.len()..]]);
            }
            None => shown.push_str(word),
        }
    }
    shown
}

/// JSON with sorted keys, so that equal values give equal text.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let inside: Vec<String> = keys
                .into_iter()
                .map(|k| format!("{}:{}", Value::String(k.clone()), canonical(&map[k])))
                .collect();
            format!("{{{}}}", inside.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fingerprint_knows_its_value_field_and_key() {
        let key = FingerprintKey::derive(&Sensitive::new("token".into()));
        let other = FingerprintKey::derive(&Sensitive::new("another".into()));
        let print = key.of("/password", &json!("hunter2"));
        assert!(key.matches(&print, "/password", &json!("hunter2")));
        assert!(!key.matches(&print, "/password", &json!("hunter3")));
        assert!(!key.matches(&print, "/secret", &json!("hunter2")));
        assert!(!other.matches(&print, "/password", &json!("hunter2")));
        assert_ne!(print, key.of("/password", &json!("hunter2")), "salted");
        assert_ne!(key.check_value(), other.check_value());
        assert_eq!((key.has_made(&print), other.has_made(&print)), (Some(true), Some(false)));
        let text = serde_json::to_string(&print).unwrap();
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn user_info_is_taken_out_of_every_url() {
        for (text, wanted) in [
            ("https://a:b@h/p@x", "https://h/p@x"),
            ("fetch 'ssh://git@h:22/p' and http://u@k", "fetch 'ssh://h:22/p' and http://k"),
            ("git@host:path", "git@host:path"),
            ("https://host/a@b", "https://host/a@b"),
            ("none at all", "none at all"),
            ("https://a:b@c@h", "https://h"),
            ("https://a:b?c#d@h", "https://h"),
        ] {
            assert_eq!(without_user_info(text, ""), wanted);
        }
        let masked = without_user_info("[https://u@h, 'ssh://git:p@x:22/y']", "(sensitive)@");
        assert_eq!(masked, "[https://(sensitive)@h, 'ssh://(sensitive)@x:22/y']");
    }

    #[test]
    fn order_of_keys_does_not_matter() {
        assert_eq!(
            canonical(&json!({"b": 1, "a": [null]})),
            canonical(&json!({"a": [null], "b": 1}))
        );
    }
}
