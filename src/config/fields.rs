//! The typed values of one mapping, and the defaults of those that are absent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value as Json;

use crate::pointer::child;

use super::keys::Section;
use super::{MaxDeletes, SecretText, parse_duration, parse_max_deletes, parse_size};

/// The values of one mapping.
#[derive(Debug)]
pub(super) struct Fields {
    section: &'static Section,
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

impl Text {
    /// A text without references.
    pub(super) fn plain(text: &str) -> Self {
        Self { value: text.to_owned(), written: text.to_owned(), resolved: true }
    }
}

/// A value that is as its key wants it.
#[derive(Debug)]
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

impl Fields {
    /// Begins with none.
    pub(super) fn new(section: &'static Section, pointer: &str) -> Self {
        Self { section, values: BTreeMap::new(), pointer: pointer.to_owned() }
    }

    /// Adds a value.
    pub(super) fn put(&mut self, key: &'static str, value: Typed) {
        self.values.insert(key, value);
    }

    /// Where the value of a key is; of an absent one, where the mapping is.
    pub(super) fn place_of(&self, key: &str) -> String {
        if self.has(key) { child(&self.pointer, key) } else { self.pointer.clone() }
    }

    /// Whether a key has a value that could be read.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// A text, if it is there.
    pub(super) fn text(&self, key: &str) -> Option<&Text> {
        match self.get(key) {
            Some(Typed::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// References, if they are there.
    pub(super) fn secret(&self, key: &str) -> Option<SecretText> {
        match self.get(key) {
            Some(Typed::Secret(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// A duration, else its default.
    pub(super) fn duration(&self, key: &str) -> Duration {
        match self.get(key) {
            Some(Typed::Duration(duration)) => *duration,
            _ => self
                .default_text(key)
                .and_then(|text| parse_duration(&text).ok())
                .unwrap_or_default(),
        }
    }

    /// A number or a size, else its default.
    pub(super) fn number(&self, key: &str) -> u64 {
        match self.get(key) {
            Some(Typed::Number(number)) => *number,
            _ => match self.default_value(key) {
                Some(Json::String(text)) => parse_size(&text).unwrap_or_default(),
                other => other.and_then(|value| value.as_u64()).unwrap_or_default(),
            },
        }
    }

    /// `true` or `false`, else its default.
    pub(super) fn boolean(&self, key: &str) -> bool {
        match self.get(key) {
            Some(Typed::Boolean(boolean)) => *boolean,
            _ => self.default_value(key).and_then(|value| value.as_bool()).unwrap_or_default(),
        }
    }

    /// A share or a count, else its default.
    pub(super) fn max_deletes(&self, key: &str) -> MaxDeletes {
        let default = || self.default_text(key).and_then(|text| parse_max_deletes(&text).ok());
        match self.get(key) {
            Some(Typed::MaxDeletes(limit)) => *limit,
            _ => default().unwrap_or(MaxDeletes::Count(0)),
        }
    }

    /// A word, if it is there.
    pub(super) fn word(&self, key: &str) -> Option<&'static str> {
        match self.get(key) {
            Some(Typed::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// A list of words, if it is there.
    pub(super) fn words(&self, key: &str) -> &[&'static str] {
        match self.get(key) {
            Some(Typed::Words(words)) => words,
            _ => &[],
        }
    }

    /// A list of texts with their pointers, else its default.
    pub(super) fn texts(&self, key: &str) -> Vec<(Text, String)> {
        match self.get(key) {
            Some(Typed::Texts(texts)) => texts.clone(),
            _ => match self.default_value(key) {
                Some(Json::Array(items)) => items
                    .iter()
                    .filter_map(Json::as_str)
                    .map(|text| (Text::plain(text), self.pointer.clone()))
                    .collect(),
                _ => Vec::new(),
            },
        }
    }

    /// Plain values by name.
    pub(super) fn vars(&self, key: &str) -> BTreeMap<String, Json> {
        match self.get(key) {
            Some(Typed::Vars(vars)) => vars.clone(),
            _ => BTreeMap::new(),
        }
    }

    /// An address to listen on, else its default; `None`: nowhere.
    pub(super) fn listen(&self, key: &str) -> Option<SocketAddr> {
        match self.get(key) {
            Some(Typed::Listen(address)) => *address,
            _ => self.default_text(key).and_then(|text| text.parse().ok()),
        }
    }

    /// A mapping, if it is there.
    pub(super) fn fields(&self, key: &str) -> Option<&Self> {
        match self.get(key) {
            Some(Typed::Fields(fields)) => Some(fields),
            _ => None,
        }
    }

    /// A list of mappings.
    pub(super) fn list(&self, key: &str) -> &[Self] {
        match self.get(key) {
            Some(Typed::List(list)) => list,
            _ => &[],
        }
    }

    fn get(&self, key: &str) -> Option<&Typed> {
        self.values.get(key)
    }

    fn default_value(&self, key: &str) -> Option<Json> {
        serde_json::from_str(self.section.key(key)?.default?).ok()
    }

    fn default_text(&self, key: &str) -> Option<String> {
        self.default_value(key)?.as_str().map(str::to_owned)
    }
}
