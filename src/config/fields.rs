//! The typed values of one mapping.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value as Json;

use crate::pointer::child;

use super::{MaxDeletes, SecretText};

/// The values of one mapping.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    values: BTreeMap<&'static str, Typed>,
    /// Where the mapping is.
    pub(super) pointer: String,
}

/// A text as it is written, and what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Its value. It may come from the environment: never show it.
    pub(super) value: String,
    /// How it is written, which is what may be shown.
    pub(super) written: String,
    /// Whether every reference in it has a value.
    pub(super) resolved: bool,
}

/// A value that is as its key wants it.
#[derive(Clone, Debug)]
pub(super) enum Typed {
    /// A text.
    Text(Text),
    /// References.
    Secret(SecretText),
    /// A duration.
    Duration(Duration),
    /// A number or a size in bytes.
    Number(u64),
    /// `true` or `false`.
    Boolean(bool),
    /// A share or a count.
    MaxDeletes(MaxDeletes),
    /// One of the words of its key.
    Word(&'static str),
    /// Some of the words of its key.
    Words(Vec<&'static str>),
    /// Texts.
    Texts(Vec<(Text, String)>),
    /// Plain values by name.
    Vars(BTreeMap<String, Json>),
    /// An address to listen on; `None`: nowhere.
    Listen(Option<SocketAddr>),
    /// A mapping.
    Fields(Fields),
    /// A list of mappings.
    List(Vec<Fields>),
}

/// Looks at the value of a key as one of the kinds; `None`: it is absent, or could not be read.
macro_rules! kinds {
    ($($name:ident: $variant:ident($type:ty);)+) => {$(
        pub(super) fn $name(&self, key: &str) -> Option<&$type> {
            match self.values.get(key) {
                Some(Typed::$variant(value)) => Some(value),
                _ => None,
            }
        }
    )+};
}

impl Fields {
    /// Begins with none.
    pub(super) fn new(pointer: &str) -> Self {
        Self { values: BTreeMap::new(), pointer: pointer.to_owned() }
    }

    /// Adds a value.
    pub(super) fn put(&mut self, key: &'static str, value: Typed) {
        self.values.insert(key, value);
    }

    /// Where the value of a key is; of an absent one, where the mapping is.
    pub(super) fn place_of(&self, key: &str) -> String {
        if self.has(key) { child(&self.pointer, key) } else { self.pointer.clone() }
    }

    /// Whether a key has a value that could be read, or a default.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    kinds! {
        text: Text(Text);
        secret: Secret(SecretText);
        max_deletes: MaxDeletes(MaxDeletes);
        word: Word(&'static str);
        words: Words(Vec<&'static str>);
        texts: Texts(Vec<(Text, String)>);
        vars: Vars(BTreeMap<String, Json>);
        listen: Listen(Option<SocketAddr>);
        fields: Fields(Self);
        list: List(Vec<Self>);
        durations: Duration(Duration);
        numbers: Number(u64);
        booleans: Boolean(bool);
    }

    /// The duration of a key that has a default.
    pub(super) fn duration(&self, key: &str) -> Duration {
        self.durations(key).copied().unwrap_or_default()
    }

    /// The number or size of a key that has a default.
    pub(super) fn number(&self, key: &str) -> u64 {
        self.numbers(key).copied().unwrap_or_default()
    }

    /// The boolean of a key that has a default.
    pub(super) fn boolean(&self, key: &str) -> bool {
        self.booleans(key).copied().unwrap_or_default()
    }
}
