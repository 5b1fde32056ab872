//! The values of one mapping, each in the form in which serde reads its type.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::pointer::{child, item};

/// The values of one mapping, as their keys want them.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) values: Map<String, Value>,
    /// Where the mapping is.
    pub(super) pointer: String,
}

/// A text as it is written, and what it stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Text {
    /// Its value. It may come from the environment: never show it.
    pub(super) value: String,
    /// How it is written, which is what may be shown.
    pub(super) written: String,
    /// Whether every reference in it has a value.
    pub(super) resolved: bool,
}

impl Fields {
    /// Where the value of a key is; of an absent one, where the mapping is.
    pub(super) fn place_of(&self, key: &str) -> String {
        if self.has(key) { child(&self.pointer, key) } else { self.pointer.clone() }
    }

    /// Whether a key has a value that could be read, or a default.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The value of a key; `None`: it is absent, or could not be read.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        T::deserialize(self.values.get(key)?).ok()
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Option<Text> {
        self.get(key)
    }

    /// The mapping of a key.
    pub(super) fn section(&self, key: &str) -> Option<Self> {
        Some(Self { values: self.get(key)?, pointer: child(&self.pointer, key) })
    }

    /// The list of mappings of a key.
    pub(super) fn list(&self, key: &str) -> Option<Vec<Self>> {
        let list: Vec<Map<String, Value>> = self.get(key)?;
        let pointer = child(&self.pointer, key);
        let fields = |(index, values)| Self { values, pointer: item(&pointer, index) };
        Some(list.into_iter().enumerate().map(fields).collect())
    }
}
