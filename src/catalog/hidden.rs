//! Secrets, in their own fields and where they hide: which parts of which texts of a connection
//! they are.
//!
//! One scanner ([`secret_parts`]) finds the byte ranges. Everything else is a use of it: refusing
//! a literal in a document ([`literal_secrets`]), showing a connection without them ([`mask()`]),
//! and exporting them as references ([`extract()`]). So what one of them knows, all know.

mod extract;
mod literal;
mod mask;
mod name;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod url;

use std::ops::Range;

pub use extract::{Extracted, extract};
pub use literal::{LiteralSecret, literal_secrets};
pub use mask::{is_masked_text, mask, mask_at};
pub(crate) use name::variable;
pub use scan::secret_parts;

/// A value, or a part of a text, that is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretPart {
    /// JSON pointer to the value.
    pub pointer: String,
    /// The bytes of the text that are the secret; `None`: the value is no text, and all of it is.
    pub range: Option<Range<usize>>,
    /// Which secret it is, in words: "the header `Authorization`".
    pub what: String,
    /// A name for the variable that could hold it, in upper snake case: `JDBC_URL_PASSWORD`.
    pub label: String,
    /// How sure it is that this is a secret.
    pub standing: Standing,
}

/// How sure it is that something is a secret, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The catalog says that the field is one.
    Field,
    /// It stands where a secret plainly stands: a literal here is an error.
    Plain,
    /// It may be one (an unknown field whose name says so): hidden, but not refused.
    Suspected,
}
