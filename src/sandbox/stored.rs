//! One connection as the server keeps it.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::name::ConnectionName;
use crate::secret::Sensitive;

/// A connection, its body as JSON text.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) type_name: String,
    pub(super) name: ConnectionName,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) text: Sensitive,
}

impl Stored {
    /// The body as it was written, less what the server fills by itself.
    pub(super) fn body(&self) -> Map<String, Value> {
        serde_json::from_str(self.text.expose()).unwrap_or_default()
    }

    /// The body as JSON text.
    pub(super) fn text(&self) -> &str {
        self.text.expose()
    }
}
