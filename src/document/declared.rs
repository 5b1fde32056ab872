//! The declared fields of a connection, kept as text until somebody looks at them: the trees of a
//! hundred thousand connections would be five times the size.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::file::{ParsedFile, RawDocument};
use super::options;

/// The declared fields of a connection without `type`, `name` and `x-gitops`, references as written.
#[derive(Clone)]
pub struct Declared(Kept);

#[derive(Clone)]
enum Kept {
    /// Those of a document that has the only say in it.
    Document { file: Arc<ParsedFile>, document: usize },
    /// Those of several, merged, as JSON.
    Merged(Arc<str>),
}

impl Declared {
    /// Those of a document of a file.
    pub(super) fn of(file: &Arc<ParsedFile>, document: usize) -> Self {
        Self(Kept::Document { file: Arc::clone(file), document })
    }

    /// The names of the environment that they may refer to, as the text has them: some may only
    /// look like it.
    pub fn env_names(&self) -> impl Iterator<Item = &str> {
        let text = match &self.0 {
            Kept::Document { file, document } => {
                file.documents.get(*document).map_or("", RawDocument::text)
            }
            Kept::Merged(text) => text,
        };
        let named = text.split("${env:").skip(1);
        named.filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
    }

    /// The fields, read anew at every call.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        match &self.0 {
            Kept::Document { file, document } => {
                let document = file.documents.get(*document);
                let mut fields = document.map(RawDocument::fields).unwrap_or_default();
                take_out_the_head(&mut fields);
                fields
            }
            // It was made from a map.
            Kept::Merged(text) => serde_json::from_str(text).unwrap_or_default(),
        }
    }
}

/// Takes out what says which connection it is, and how it is treated.
pub(super) fn take_out_the_head(fields: &mut Map<String, Value>) {
    for key in ["type", "name", options::KEY] {
        fields.shift_remove(key);
    }
}

impl From<&Map<String, Value>> for Declared {
    fn from(fields: &Map<String, Value>) -> Self {
        // A map of texts to values always has a JSON text.
        Self(Kept::Merged(serde_json::to_string(fields).unwrap_or_default().into()))
    }
}

impl fmt::Debug for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.fields()).finish()
    }
}
