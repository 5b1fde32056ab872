//! The one type that secrets live in, and what is done to text that may repeat one.

mod fingerprint;
mod readings;
mod redact;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

pub(crate) use fingerprint::canonical;
pub(crate) use fingerprint::{Fingerprint, FingerprintKey};
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
        aws_lc_rs::constant_time::verify_slices_are_equal(
            self.expose().as_bytes(),
            other.as_bytes(),
        )
        .is_ok()
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
