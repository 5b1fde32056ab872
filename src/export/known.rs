//! The values that git declares already. A field that holds a reference is sensitive on both sides:
//! the reference is exported, whatever live shows there. And no field that is declared may be left
//! out, since that takes it away.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::{Map, Value};

use crate::catalog::{Field, Kind};
use crate::desired::{env_names, holds_env};
use crate::document::Document;
use crate::environment::Environment;
use crate::name::ConnectionName;
use crate::pointer::with_texts;
use crate::record::Record;
use crate::reference::{self, Segment};
use crate::secret::{Redactor, Sensitive};

/// A shorter value is replaced only as a whole text: inside a longer one it may be something else.
const LONG: usize = 8;

/// The values that git declares with references to the environment, by connection and JSON pointer.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownReferences {
    by_name: BTreeMap<ConnectionName, BTreeMap<String, Value>>,
    /// The JSON pointers of all that is declared, by connection.
    declared: BTreeMap<ConnectionName, BTreeSet<String>>,
    /// The variables that are set, with what they hold.
    values: Vec<(String, Sensitive)>,
    /// Finds the long ones of them inside a text.
    long: Option<(AhoCorasick, Vec<usize>)>,
    /// Finds all of them in all their forms.
    redactor: Redactor,
}

impl KnownReferences {
    /// Takes the references of the base.
    pub(crate) fn add_record(&mut self, record: &Record) {
        for (name, owned) in record.inventory() {
            for (path, field) in &owned.base {
                self.insert(name, path.clone(), &field.declared);
            }
        }
    }

    /// Takes the references of a document, which is newer than the base.
    pub(crate) fn add_document(&mut self, document: &Document) {
        let lookup = |key: &str| document.connection_type.field(key);
        self.add_fields(&document.name, "", &document.fields, &lookup);
    }

    fn add_fields(
        &mut self,
        name: &ConnectionName,
        prefix: &str,
        fields: &Map<String, Value>,
        lookup: &dyn Fn(&str) -> Option<&'static Field>,
    ) {
        for (key, declared) in fields {
            let path = format!("{prefix}/{}", crate::pointer::escaped(key));
            match (lookup(key).map(|field| &field.kind), declared) {
                (Some(kind @ Kind::Object(_)), Value::Object(inner)) => {
                    self.add_fields(name, &path, inner, &|key| kind.field(key));
                }
                (_, declared) => self.insert(name, path, declared),
            }
        }
    }

    fn insert(&mut self, name: &ConnectionName, path: String, declared: &Value) {
        if holds_env(declared) {
            let references = self.by_name.entry(name.clone()).or_default();
            references.insert(path.clone(), declared.clone());
        }
        self.declared.entry(name.clone()).or_default().insert(path);
    }

    /// The JSON pointers of what git declares of a connection.
    pub(super) fn declared(&self, name: &ConnectionName) -> impl Iterator<Item = &str> {
        self.declared.get(name).into_iter().flatten().map(String::as_str)
    }

    /// The references of a connection, by JSON pointer.
    pub(super) fn of(&self, name: &ConnectionName) -> impl Iterator<Item = (&str, &Value)> {
        let fields = self.by_name.get(name).into_iter().flatten();
        fields.map(|(path, declared)| (path.as_str(), declared))
    }

    /// Looks up what the variables hold, once all are known: where somebody typed that into another
    /// field, it is the reference that is written.
    pub(crate) fn look_up(&mut self, environment: &Environment) {
        let value = |name: String| Some((name.clone(), environment.lookup(&name).ok()?));
        self.values = self.variables().into_iter().filter_map(value).collect();
        self.values.iter().for_each(|(_, value)| self.redactor.learn(value.expose()));
        let (long, patterns): (Vec<usize>, Vec<&str>) = self
            .values
            .iter()
            .enumerate()
            .map(|(index, (_, value))| (index, value.expose()))
            .filter(|(_, value)| value.len() >= LONG)
            .unzip();
        let mut searcher = AhoCorasick::builder();
        searcher.match_kind(MatchKind::LeftmostLongest);
        self.long = searcher.build(patterns).ok().map(|searcher| (searcher, long));
    }

    /// Whether a value shows what a variable holds, though references took its place where they can.
    pub(super) fn is_shown_by(&self, value: &Value) -> bool {
        self.redactor.is_shown_by(value)
    }

    /// Whether a name shows what a variable holds.
    pub(super) fn is_shown_in_name(&self, name: &str) -> bool {
        self.redactor.is_shown_in_name(name)
    }

    /// A declared value with references in the place of what variables hold; their names are added.
    pub(super) fn referring(&self, value: &Value, used: &mut BTreeSet<String>) -> Value {
        with_texts(value, &mut |text| Value::String(self.in_text(text, used)))
    }

    fn in_text(&self, template: &str, used: &mut BTreeSet<String>) -> String {
        let Ok(segments) = reference::parse(template) else { return template.to_owned() };
        let mut written = String::with_capacity(template.len());
        for segment in segments {
            match segment {
                Segment::Text(text) => self.in_plain(&text, &mut written, used),
                reference => written.push_str(&reference.to_string()),
            }
        }
        written
    }

    fn in_plain(&self, text: &str, written: &mut String, used: &mut BTreeSet<String>) {
        let mut refer = |written: &mut String, name: &str| {
            written.push_str(&Segment::Env(name).to_string());
            used.insert(name.to_owned());
        };
        let is_it = |(_, value): &&(String, Sensitive)| value.expose() == text;
        if let Some((name, _)) = self.values.iter().find(is_it) {
            return refer(written, name);
        }
        let mut done = 0;
        if let Some((searcher, long)) = &self.long {
            for found in searcher.find_iter(text) {
                let index = long.get(found.pattern().as_usize());
                let Some((name, _)) = index.and_then(|index| self.values.get(*index)) else {
                    continue;
                };
                // A `$` before a reference would make a text of it.
                let before = text[done..found.start()].trim_end_matches('$');
                written.push_str(&reference::escape(before));
                refer(written, name);
                done = found.end();
            }
        }
        written.push_str(&reference::escape(&text[done..]));
    }

    /// The names of all variables.
    pub(super) fn variables(&self) -> BTreeSet<String> {
        self.by_name.values().flat_map(BTreeMap::values).flat_map(env_names).collect()
    }
}
