//! The config's YAML as a tree in which every key and value knows its place.
//!
//! Plain scalars keep their text: what `30`, `true` or `30%` means is for the key to say.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// The deepest nesting that is read; a config has 4 levels.
const DEEPEST: usize = 32;
/// How much is read, aliases written out: a node weighs 1, and 1 more for every 32 bytes of text.
const HEAVIEST: usize = 500_000;

/// From where to where something reaches; lines from 1, columns in characters from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Line and column of its first character.
    pub(super) start: (usize, usize),
    /// Line and column behind its last character.
    pub(super) end: (usize, usize),
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        Self {
            start: (span.start.line(), span.start.col()),
            end: (span.end.line(), span.end.col()),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What it is.
    pub(super) value: Value,
    /// Where it is.
    pub(super) place: Place,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A text, a number, a boolean or nothing, as it is written.
    Scalar {
        /// The text without quotes.
        text: String,
        /// Whether it stood without quotes, so that `30` may be a number.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key is.
    pub(super) place: Place,
    /// The value.
    pub(super) value: Node,
}

impl Node {
    /// Whether it is nothing: `key:`, `key: null`, `key: ~`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if is_null(text))
    }
}

/// Whether a plain scalar means nothing.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// A key that a mapping has twice: the key, its second place and its first.
pub(super) type Duplicate = (String, Place, Place);

/// What cannot be read at all.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// What is wrong, part of a sentence.
    pub(super) message: String,
    /// Where.
    pub(super) place: Place,
}

/// Reads the one document of a config; an empty file is an empty mapping.
pub(super) fn parse(text: &str) -> Result<(Node, Vec<Duplicate>), SyntaxError> {
    let mut builder = Builder::default();
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = (error.marker().line(), error.marker().col());
            SyntaxError { message: error.info().to_owned(), place: Place { start: at, end: at } }
        })?;
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                return Err(SyntaxError {
                    message: "a config is one document, and here begins a second".to_owned(),
                    place: span.into(),
                });
            }
        }
        builder.take(event, span.into())?;
    }
    let empty = Node { value: Value::Map(Vec::new()), place: Place::default() };
    let root = builder.root.filter(|root| !root.is_null()).unwrap_or(empty);
    Ok((root, builder.duplicates))
}

/// Puts events together.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    weight: usize,
    duplicates: Vec<Duplicate>,
    root: Option<Node>,
}

/// A list or mapping that is not closed yet.
struct Open {
    value: Value,
    start: Place,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, Place)>,
    /// What was read before it.
    weight_before: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), SyntaxError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !is_text;
                let text = text.into_owned();
                let weight = 1 + text.len() / 32;
                self.weigh(weight, place)?;
                self.finish(Node { value: Value::Scalar { text, plain }, place }, anchor, weight)
            }
            Event::SequenceStart(anchor, _) => self.open(Value::List(Vec::new()), place, anchor),
            Event::MappingStart(anchor, _) => self.open(Value::Map(Vec::new()), place, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let place = Place { start: open.start.start, end: place.end };
                let weight = self.weight - open.weight_before;
                self.finish(Node { value: merged(open.value), place }, open.anchor, weight)
            }
            Event::Alias(anchor) => {
                let Some((node, weight)) = self.anchors.get(&anchor).cloned() else {
                    let message = "this alias refers to what it stands in".to_owned();
                    return Err(SyntaxError { message, place });
                };
                self.weigh(weight, place)?;
                self.finish(node, 0, weight)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn weigh(&mut self, weight: usize, place: Place) -> Result<(), SyntaxError> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > HEAVIEST {
            let message = "the config is too large once its aliases are written out".to_owned();
            return Err(SyntaxError { message, place });
        }
        Ok(())
    }

    fn open(&mut self, value: Value, start: Place, anchor: usize) -> Result<(), SyntaxError> {
        if self.open.len() >= DEEPEST {
            let message = format!("nested deeper than {DEEPEST} levels");
            return Err(SyntaxError { message, place: start });
        }
        let weight_before = self.weight;
        self.weigh(1, start)?;
        self.open.push(Open { value, start, anchor, key: None, weight_before });
        Ok(())
    }

    /// Gives a whole node to what it stands in.
    fn finish(&mut self, node: Node, anchor: usize, weight: usize) -> Result<(), SyntaxError> {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match parent.key.take() {
                None => {
                    let Value::Scalar { text, .. } = node.value else {
                        let message = "a key has to be a plain text".to_owned();
                        return Err(SyntaxError { message, place: node.place });
                    };
                    parent.key = Some((text, node.place));
                }
                Some((key, place)) => match entries.iter().find(|entry| entry.key == key) {
                    Some(first) => self.duplicates.push((key, place, first.place)),
                    None => entries.push(Entry { key, place, value: node }),
                },
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

/// Carries out a `<<` key: the entries of the mappings that it names, where there are none yet.
fn merged(value: Value) -> Value {
    let Value::Map(mut entries) = value else { return value };
    let Some(at) = entries.iter().position(|entry| entry.key == "<<") else {
        return Value::Map(entries);
    };
    let sources = match entries.remove(at).value.value {
        Value::List(items) => items.into_iter().map(|item| item.value).collect(),
        single => vec![single],
    };
    for source in sources {
        let Value::Map(more) = source else { continue };
        for entry in more {
            if entries.iter().all(|own| own.key != entry.key) {
                entries.push(entry);
            }
        }
    }
    Value::Map(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Vec<Entry> {
        match parse(text).unwrap().0.value {
            Value::Map(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let entries = map("a: 1\nlonger:\n  - 'x'\n  - yy\n");
        assert_eq!(entries[0].place, Place { start: (1, 0), end: (1, 1) });
        assert_eq!(entries[0].value.place, Place { start: (1, 3), end: (1, 4) });
        let Value::List(items) = &entries[1].value.value else { panic!() };
        assert_eq!(items[1].place, Place { start: (4, 4), end: (4, 6) });
        assert!(matches!(&items[0].value, Value::Scalar { text, plain: false } if text == "x"));
    }

    #[test]
    fn aliases_and_merges_are_carried_out() {
        let entries = map("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n");
        let Value::Map(b) = &entries[1].value.value else { panic!() };
        let keys: Vec<_> = b.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["y", "x"]);
        assert!(matches!(&b[0].value.value, Value::Scalar { text, .. } if text == "3"));
    }

    #[test]
    fn bombs_and_depths_end_early() {
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, of) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"])
        {
            let list = vec![format!("*{of}"); 10].join(",");
            bomb.push_str(&format!("{name}: &{name} [{list}]\n"));
        }
        assert!(parse(&bomb).unwrap_err().message.contains("too large"));
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(parse(&deep).is_err());
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        assert!(parse(&deep).unwrap_err().message.contains("deeper"));
        assert!(parse("a: &a [*a]").is_err());
    }

    #[test]
    fn nothing_is_an_empty_mapping_and_two_documents_are_an_error() {
        assert!(map("").is_empty());
        assert!(map("# only this\n").is_empty());
        assert!(parse("a: 1\n---\nb: 2\n").is_err());
        assert_eq!(parse("a: 1\na: 2\n").unwrap().1.len(), 1);
    }
}
