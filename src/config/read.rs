//! A config's tree to typed values, by the tables of keys: kinds, bounds, defaults, references.
//!
//! A mistake in one key never hides a mistake in another: a key that cannot be read is noted and left out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::catalog::{did_you_mean, nearest_of};
use crate::config::fields::{Fields, Text};
use crate::config::keys::{Key, KeyKind, OneOf, Section};
use crate::config::problems::{Problems, error, related, warning};
use crate::config::{
    Resolve, SecretText, parse_duration, parse_listen, parse_max_deletes, parse_size,
};
use crate::diagnostic::{Part, code};
use crate::environment::Environment;
use crate::pointer::{child, item};
use crate::reference::{self, ReferenceError, Segment};
use crate::secret::Sensitive;

const A_BOOLEAN: &str = "write `true` or `false`";

/// A value of the config and where it is.
#[derive(Clone, Debug)]
pub(super) struct ConfigNode<'v> {
    pub(super) value: &'v Value,
    pub(super) pointer: String,
}

impl<'v> ConfigNode<'v> {
    /// The values of a mapping by their keys; none of anything else.
    pub(super) fn entries(&self) -> Vec<(&'v str, Self)> {
        let entries = self.value.as_object().into_iter().flatten();
        let node = |key: &str, value| ConfigNode { value, pointer: child(&self.pointer, key) };
        entries.map(|(key, value)| (key.as_str(), node(key, value))).collect()
    }

    /// The values of a list; none of anything else.
    pub(super) fn items(&self) -> Vec<Self> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items
            .map(|(index, value)| ConfigNode { value, pointer: item(&self.pointer, index) })
            .collect()
    }
}

/// The state of reading a config.
pub(super) struct Reader<'a> {
    /// The problems so far.
    pub(super) problems: Problems,
    /// Where references are resolved.
    pub(super) environment: &'a Environment,
    /// Whether all references have to have a value.
    pub(super) resolve: Resolve,
    /// The values that came from the environment.
    pub(super) resolved: Vec<Sensitive>,
}

impl Reader<'_> {
    /// Reads a mapping, and notes its problems; absent keys get their defaults.
    pub(super) fn section(&mut self, section: &'static Section, node: &ConfigNode<'_>) -> Fields {
        let mut fields = Fields { values: Map::new(), pointer: node.pointer.clone() };
        if matches!(node.value, Value::Object(_) | Value::Null) {
            self.entries(section, node, &mut fields);
        } else {
            self.wrong_kind(section.name, "a mapping of keys", node);
        }
        for key in section.keys {
            if fields.has(key.name) {
                continue;
            }
            let default = key.default.and_then(|text| serde_json::from_str::<Value>(text).ok());
            let pointer = node.pointer.clone();
            let value =
                default.and_then(|value| self.value(key, &ConfigNode { value: &value, pointer }));
            fields.values.extend(value.map(|value| (key.name.to_owned(), value)));
        }
        fields
    }

    fn entries(&mut self, section: &'static Section, node: &ConfigNode<'_>, fields: &mut Fields) {
        let entries = node.entries();
        for (name, value) in &entries {
            let Some(key) = section.key(name) else {
                self.unknown_key(section, name, value);
                continue;
            };
            if value.value.is_null() && !matches!(key.kind, KeyKind::Vars | KeyKind::Section(_)) {
                let problem = error(&code::CONFIG_WRONG_KIND, format!("`{name}` has no value"))
                    .part(Part::Key)
                    .help("write a value, or leave the key out");
                self.problems.add(&value.pointer, problem);
            } else if let Some(value) = self.value(key, value) {
                fields.values.insert(key.name.to_owned(), value);
            }
        }
        self.complete(section, &entries, &node.pointer);
    }

    fn unknown_key(&mut self, section: &Section, key: &str, value: &ConfigNode<'_>) {
        // The value may be a secret under a mistyped key.
        self.hide_unless_reference(value);
        let shown: String = key.chars().take(60).collect();
        let message = format!("{} has no key `{}`", section.name, shown.escape_debug());
        let known: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
        let keys = format!("its keys are {}", known.join(", "));
        let help = did_you_mean(known, key, keys);
        let problem = error(&code::CONFIG_UNKNOWN_KEY, message).help(help).part(Part::Key);
        self.problems.add(&value.pointer, problem);
    }

    /// Notes the keys that are missing, and those that exclude each other.
    fn complete(&mut self, section: &Section, entries: &[(&str, ConfigNode<'_>)], pointer: &str) {
        let here = |name: &str| entries.iter().find(|(key, _)| *key == name);
        let missing =
            |message| error(&code::CONFIG_MISSING_KEY, message).part(Part::FirstCharacter);
        for key in section.keys.iter().filter(|key| key.required) {
            if here(key.name).is_none() {
                let message = format!("{} has no `{}`", section.name, key.name);
                self.problems.add(pointer, missing(message).help(key.about));
            }
        }
        for OneOf { groups, required } in section.choices {
            let used: Vec<&&[&str]> = groups
                .iter()
                .filter(|group| group.iter().any(|name| here(name).is_some()))
                .collect();
            match used.as_slice() {
                [] if *required => {
                    let message = format!("{} has no {}", section.name, either(groups));
                    self.problems.add(pointer, missing(message));
                }
                [] => {}
                [group] => {
                    for name in group.iter().filter(|name| here(name).is_none()) {
                        let message = format!("{} has no `{name}`", section.name);
                        let help = format!("write {}", together(group));
                        self.problems.add(pointer, missing(message).help(help));
                    }
                }
                several => {
                    let names: Vec<&str> =
                        several.iter().flat_map(|group| group.iter()).copied().collect();
                    let mut present = entries.iter().filter(|(key, _)| names.contains(key)).rev();
                    let Some((_, last)) = present.next() else { continue };
                    let message = format!("{} may have only {}", section.name, either(groups));
                    let problem = error(&code::CONFIG_CONTRADICTION, message).part(Part::Key);
                    let problem = present.rev().fold(problem, |problem, (_, earlier)| {
                        related(problem, &earlier.pointer, "the other is here")
                    });
                    self.problems.add(&last.pointer, problem);
                }
            }
        }
    }

    fn value(&mut self, key: &'static Key, node: &ConfigNode<'_>) -> Option<Value> {
        let name = key.name;
        Some(match &key.kind {
            KeyKind::Text => json!(self.text(name, node)?),
            KeyKind::Verbatim => json!(self.verbatim(name, node)?),
            KeyKind::Late => json!(self.late(name, node)?),
            KeyKind::Secret(example) => json!(self.secret(name, example, node)?),
            KeyKind::Duration(least) => self.parsed(name, node, |text| {
                let duration = parse_duration(text)?;
                if duration < *least {
                    return Err(format!("the least is {least:?}"));
                }
                Ok(duration)
            })?,
            KeyKind::Size(least) => self.parsed(name, node, |text| {
                let size = parse_size(text)?;
                if size < *least {
                    return Err(format!("the least is {least} bytes"));
                }
                Ok(size)
            })?,
            KeyKind::Boolean => {
                self.parsed(name, node, |text| text.parse::<bool>().map_err(|_| A_BOOLEAN))?
            }
            KeyKind::Integer(min, max) => self.parsed(name, node, |text| {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse::<u64>().ok();
                let number = number.filter(|n| digits && (min..=max).contains(&n));
                number.ok_or(format!("write a whole number from {min} to {max}"))
            })?,
            KeyKind::MaxDeletes => self.parsed(name, node, parse_max_deletes)?,
            KeyKind::Word(words) => {
                let text = self.text(name, node)?;
                json!(self.word(name, words, &text, &node.pointer)?)
            }
            KeyKind::Words(words) => {
                let texts = self.texts(name, node)?;
                let words = texts.iter().map(|(text, place)| self.word(name, words, text, place));
                words.flatten().collect()
            }
            KeyKind::Texts => json!(self.texts(name, node)?),
            KeyKind::Vars => json!(self.vars(name, node)?),
            KeyKind::Listen => self.parsed(name, node, parse_listen)?,
            KeyKind::Section(section) => self.section(section, node).values.into(),
            KeyKind::Sections(section) => {
                let items = self.list(name, node)?;
                items.iter().map(|item| self.section(section, item).values).collect()
            }
        })
    }

    /// Reads a scalar by a function that says how to write it instead.
    fn parsed<T: Serialize, E: Into<String>>(
        &mut self,
        name: &str,
        node: &ConfigNode<'_>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Value> {
        let text = self.text(name, node)?;
        if !text.resolved {
            return None;
        }
        match parse(text.value.trim()) {
            Ok(value) => Some(json!(value)),
            Err(help) => {
                let message = format!("the value of `{name}` cannot be used");
                self.problems
                    .add(&node.pointer, error(&code::CONFIG_BAD_VALUE, message).help(help));
                None
            }
        }
    }

    fn word(
        &mut self,
        name: &str,
        words: &'static [&'static str],
        text: &Text,
        pointer: &str,
    ) -> Option<&'static str> {
        let found = words.iter().copied().find(|word| *word == text.value);
        if found.is_none() && text.resolved {
            let message = format!("the value of `{name}` is not one of its words");
            let help = match nearest_of(words.iter().copied(), &text.value, |word| *word) {
                Some(near) => format!("did you mean `{near}`? The words are {}", words.join(", ")),
                None => format!("the words are {}", words.join(", ")),
            };
            self.problems.add(pointer, error(&code::CONFIG_BAD_VALUE, message).help(help));
        }
        found
    }

    fn texts(&mut self, name: &str, node: &ConfigNode<'_>) -> Option<Vec<(Text, String)>> {
        let items = self.list(name, node)?;
        let texts = items.iter().filter_map(|item| {
            let text = self.text(name, item)?;
            Some((text, item.pointer.clone()))
        });
        Some(texts.collect())
    }

    fn list<'v>(&mut self, name: &str, node: &ConfigNode<'v>) -> Option<Vec<ConfigNode<'v>>> {
        if node.value.is_array() {
            return Some(node.items());
        }
        self.wrong_kind(&format!("`{name}`"), "a list", node);
        None
    }

    fn vars(&mut self, name: &str, node: &ConfigNode<'_>) -> Option<BTreeMap<String, Value>> {
        if !node.value.is_object() {
            if !node.value.is_null() {
                self.wrong_kind(&format!("`{name}`"), "a mapping of names to values", node);
            }
            return None;
        }
        let mut vars = BTreeMap::new();
        for (key, value) in node.entries() {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if key.is_empty() || !key.chars().all(allowed) {
                let message = "a var's name has only letters, digits, `_`, `-` and `.`";
                let problem = error(&code::CONFIG_BAD_NAME, message).part(Part::Key);
                self.problems.add(&value.pointer, problem);
            } else if let Some(value) = self.var(key, &value) {
                vars.insert(key.to_owned(), value);
            }
        }
        Some(vars)
    }

    /// The text of a single value as it is written; numbers and booleans too.
    pub(super) fn written<'v>(&self, node: &ConfigNode<'v>) -> Option<Cow<'v, str>> {
        let as_written = || self.problems.written(&node.pointer).map(str::to_owned);
        match node.value {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => {
                Some(Cow::Owned(as_written().unwrap_or_else(|| number.to_string())))
            }
            Value::Bool(flag) => Some(Cow::Owned(as_written().unwrap_or_else(|| flag.to_string()))),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Conceals a value from snippets, unless it is made of references, which may be seen.
    pub(super) fn hide_unless_reference(&mut self, node: &ConfigNode<'_>) {
        let is_reference = |text: &Value| {
            text.as_str().is_some_and(|text| SecretText(text.to_owned()).is_reference())
        };
        if !is_reference(node.value) {
            self.problems.conceal(&node.pointer);
        }
    }

    /// Notes that a value is of another kind than its key wants.
    pub(super) fn wrong_kind(&mut self, what: &str, wanted: &str, node: &ConfigNode<'_>) {
        self.hide_unless_reference(node);
        let found = match node.value {
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
            _ => "a single value",
        };
        let message = format!("{what} is {wanted}, and here is {found}");
        self.problems.add(&node.pointer, error(&code::CONFIG_WRONG_KIND, message));
    }
}

fn either(groups: &[&[&str]]) -> String {
    groups.iter().map(|group| together(group)).collect::<Vec<_>>().join(", or ")
}

fn together(group: &[&str]) -> String {
    group.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
}

/// Single values of a config: texts with references, secrets, vars.
impl Reader<'_> {
    /// Reads a text and resolves its references.
    fn text(&mut self, name: &str, node: &ConfigNode<'_>) -> Option<Text> {
        let written = self.scalar(name, node)?;
        let segments = self.segments(name, &written, &node.pointer)?;
        let mut value = String::new();
        let mut resolved = true;
        for segment in segments {
            match segment {
                Segment::Text(text) => value.push_str(&text),
                Segment::Env(variable) => match self.environment.lookup(variable) {
                    Ok(found) => {
                        value.push_str(found.expose());
                        self.resolved.push(found);
                    }
                    Err(unset) => {
                        resolved = false;
                        if self.resolve == Resolve::All {
                            let message = format!("`{name}` cannot be resolved: {unset}");
                            self.problems.add(&node.pointer, error(&code::CONFIG_UNSET, message));
                        }
                    }
                },
                Segment::Var(_) | Segment::Apinizer(_) => {
                    self.foreign(name, &node.pointer);
                    return None;
                }
            }
        }
        if resolved {
            self.not_empty(name, node, &value)?;
        }
        Some(Text { value, written: written.into_owned(), resolved })
    }

    /// Reads a text as it is written.
    fn verbatim(&mut self, name: &str, node: &ConfigNode<'_>) -> Option<Text> {
        let written = self.scalar(name, node)?.trim().to_owned();
        self.not_empty(name, node, &written)?;
        Some(Text { value: written.clone(), written, resolved: true })
    }

    fn not_empty(&mut self, name: &str, node: &ConfigNode<'_>, value: &str) -> Option<()> {
        if value.is_empty() {
            let message = format!("`{name}` is empty");
            self.problems.add(&node.pointer, error(&code::CONFIG_BAD_VALUE, message));
            return None;
        }
        Some(())
    }

    /// Reads text or references, which are resolved when they are used.
    fn late(&mut self, name: &str, node: &ConfigNode<'_>) -> Option<SecretText> {
        let written = self.scalar(name, node)?;
        let segments = self.segments(name, &written, &node.pointer)?;
        if segments.iter().any(|segment| matches!(segment, Segment::Var(_) | Segment::Apinizer(_)))
        {
            self.foreign(name, &node.pointer);
            return None;
        }
        Some(SecretText(written.into_owned()))
    }

    /// Reads a secret: references and nothing else, kept as it is written.
    fn secret(&mut self, name: &str, example: &str, node: &ConfigNode<'_>) -> Option<SecretText> {
        self.hide_unless_reference(node);
        let written = self.scalar(name, node)?;
        let text = SecretText(written.into_owned());
        if text.is_reference() {
            return Some(text);
        }
        let message = format!("`{name}` is a secret and holds something else than `${{env:NAME}}`");
        let problem = error(&code::CONFIG_LITERAL_SECRET, message).help(format!(
            "put the value into the environment and write `{name}: ${{env:{example}}}`"
        ));
        self.problems.add(&node.pointer, problem);
        None
    }

    /// Reads a var: a text, a number or a boolean, shown like any other value.
    fn var(&mut self, name: &str, node: &ConfigNode<'_>) -> Option<Value> {
        let written = self.scalar(name, node)?;
        match node.value {
            Value::Number(number) if number.to_string() != written => {
                let message = format!(
                    "the var `{name}` is the number {number}, so a text with `${{var:{name}}}` in it \
                 gets `{number}` and not `{written}`"
                );
                let problem = warning(&code::CONFIG_NUMBER_AS_WRITTEN, message)
                    .help(format!("write `'{written}'` if it is to stay as it is written"));
                self.problems.add(&node.pointer, problem);
                return Some(node.value.clone());
            }
            Value::Number(_) | Value::Bool(_) => return Some(node.value.clone()),
            _ => {}
        }
        let mut value = String::new();
        for segment in self.segments(name, &written, &node.pointer)? {
            match segment {
                Segment::Text(text) => value.push_str(&text),
                Segment::Apinizer(variable) => value.push_str(&format!("${{{variable}}}")),
                Segment::Env(_) | Segment::Var(_) => {
                    let message = format!("the var `{name}` holds a reference, and vars are plain");
                    let problem = error(&code::CONFIG_BAD_REFERENCE, message)
                        .help("vars are shown; write `${env:NAME}` in the document itself");
                    self.problems.add(&node.pointer, problem);
                    return None;
                }
            }
        }
        Some(Value::String(value))
    }

    fn scalar<'v>(&mut self, name: &str, node: &ConfigNode<'v>) -> Option<Cow<'v, str>> {
        let written = self.written(node);
        if node.value.is_null() {
            let message = format!("`{name}` has no value");
            self.problems.add(&node.pointer, error(&code::CONFIG_WRONG_KIND, message));
        } else if written.is_none() {
            self.wrong_kind(&format!("`{name}`"), "a single value", node);
        }
        written
    }

    fn segments<'n>(
        &mut self,
        name: &str,
        written: &'n str,
        pointer: &str,
    ) -> Option<Vec<Segment<'n>>> {
        match reference::parse(written) {
            Ok(segments) => Some(segments),
            Err(malformed) => {
                // The word before the colon may be part of a value that only looks like a reference.
                let message = match malformed {
                    ReferenceError::UnknownScheme { .. } => {
                        format!("`{name}` holds a reference of an unknown scheme")
                    }
                    other => format!("`{name}`: {other}"),
                };
                self.problems.add(pointer, error(&code::CONFIG_BAD_REFERENCE, message));
                None
            }
        }
    }

    fn foreign(&mut self, name: &str, pointer: &str) {
        let message = format!("`{name}` holds a reference that has no meaning in a config");
        self.problems.add(pointer, error(&code::CONFIG_BAD_REFERENCE, message));
    }
}
