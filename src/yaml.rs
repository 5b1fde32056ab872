//! One YAML document to a JSON value, within bounds.
//!
//! Values are taken by `serde_yaml` through a visitor of our own: it finds duplicate keys, keys
//! that are no texts, tags and numbers that would change, counts what aliases expand to before
//! memory is spent on it, and merges `<<`. The value is built directly rather than through
//! `serde_yaml::Value`, whose `apply_merge` leaves the merge keys of merged mappings in place.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::fmt;

use saphyr_parser::{Event, Parser};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::diagnostic::code::{self, Code};
use crate::diagnostic::{Diagnostic, Excerpt, is_secret_in_key};
use crate::places::{Places, Span, with_characters, with_stand_ins};
use crate::pointer::child;

/// The largest document, in bytes of its text.
pub(crate) const LARGEST_DOCUMENT: usize = 1024 * 1024;

/// Fewer brackets than this cannot nest deep enough to hurt.
const MANY_BRACKETS: usize = 500;

/// Reads one document.
pub(crate) fn parse(chunk: &str) -> Result<Value, Failure> {
    if chunk.len() > LARGEST_DOCUMENT {
        let message = format!(
            "the document has {} bytes, and {LARGEST_DOCUMENT} (1 MiB) is the most that is read",
            chunk.len()
        );
        return Err(Failure { message, ..Failure::of(&code::FILE_TOO_LARGE) });
    }
    let failure = match read(chunk) {
        Err(failure) if *failure.code == code::SYNTAX => failure,
        parsed => return parsed,
    };
    let Some(stand_ins) = with_stand_ins(chunk) else { return Err(failure) };
    let Some(rewritten) = with_characters(chunk, &stand_ins) else { return Err(failure) };
    read(&rewritten).map_err(|failure| match read(&stand_ins) {
        // Stand-ins keep every column, so this failure has the right place.
        Err(Failure { offset, begins, .. }) => Failure { offset, begins, ..failure },
        Ok(_) => failure,
    })
}

fn read(chunk: &str) -> Result<Value, Failure> {
    guard(chunk)?;
    let budget = Budget::default();
    let value = Node::root(&budget).deserialize(serde_yaml::Deserializer::from_str(chunk));
    let value = value
        .map_err(|e| budget.failure.take().unwrap_or_else(|| Failure::from_yaml(&e, chunk)))?;
    // Only the text of a number says whether it was kept exactly.
    let is_lossy =
        budget.floats.get() && Places::of(chunk, 1).is_some_and(|p| p.lossy_number().is_some());
    if is_lossy { Err(Failure::of(&code::LOSSY_NUMBER)) } else { Ok(value) }
}

/// Refuses what would cost libyaml more than linear time, before libyaml gets it.
///
/// Measured: 20,000 nested `{a:` take seconds and a mebibyte of `[` takes minutes, since every
/// token walks the open brackets; 20,000 `%TAG` lines take as long. The other parser is linear
/// and gives up at 255 levels, but is slower on ordinary documents, so only texts with many
/// brackets pay for it.
fn guard(chunk: &str) -> Result<(), Failure> {
    if chunk.starts_with("%TAG") || chunk.contains("\n%TAG") || chunk.contains("\r%TAG") {
        let offset = chunk.find("%TAG").unwrap_or(0);
        return Err(Failure::at_offset(&code::TAG, offset));
    }
    let brackets = chunk.bytes().filter(|b| matches!(b, b'[' | b'{')).count();
    if brackets < MANY_BRACKETS {
        return Ok(());
    }
    let mut depth = 0_usize;
    let byte =
        |character: usize| chunk.char_indices().nth(character).map_or(chunk.len(), |(i, _)| i);
    for event in Parser::new_from_str(chunk) {
        match event {
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), span)) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(Failure::at_offset(&code::TOO_DEEP, byte(span.start.index())));
                }
            }
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
            Err(error) => {
                let offset = byte(error.marker().index());
                return Err(if error.info().starts_with("recursion limit") {
                    Failure::at_offset(&code::TOO_DEEP, offset)
                } else {
                    Failure::at_offset(&code::SYNTAX, offset)
                });
            }
        }
    }
    Ok(())
}

// The visitor that builds the value and watches over it.

/// How deep a document may nest.
const DEEPEST: usize = 64;
/// How many values a document may hold once its aliases are expanded.
const MOST_VALUES: usize = 200_000;
/// How many bytes of text a document may hold once its aliases are expanded.
const MOST_TEXT: usize = 8 * 1024 * 1024;

/// How much of its bounds one document has used, and why it cannot be read.
#[derive(Default)]
struct Budget {
    values: Cell<usize>,
    text: Cell<usize>,
    floats: Cell<bool>,
    failure: RefCell<Option<Failure>>,
}

impl Budget {
    fn spend<E: Error>(&self, text: usize) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        self.text.set(self.text.get() + text);
        if self.values.get() > MOST_VALUES || self.text.get() > MOST_TEXT {
            return Err(self.fail(Failure::of(&code::TOO_MANY_VALUES)));
        }
        Ok(())
    }

    fn fail<E: Error>(&self, failure: Failure) -> E {
        *self.failure.borrow_mut() = Some(failure);
        E::custom("see the budget")
    }

    /// Adds a step of the pointer on the way out, so that success costs nothing.
    fn passed_through<E>(&self, error: E, step: &str) -> E {
        if let Some(failure) = self.failure.borrow_mut().as_mut() {
            failure.is_inside(step);
        }
        error
    }
}

/// One value.
#[derive(Clone, Copy)]
struct Node<'b> {
    budget: &'b Budget,
    depth: usize,
}

impl<'b> Node<'b> {
    fn root(budget: &'b Budget) -> Self {
        Self { budget, depth: 0 }
    }

    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(self.budget.fail(Failure::of(&code::TOO_DEEP)));
        }
        Ok(Self { budget: self.budget, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Number(value.into()))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Value, E> {
        Err(self.budget.fail(Failure::of(&code::LOSSY_NUMBER)))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Value, E> {
        Err(self.budget.fail(Failure::of(&code::LOSSY_NUMBER)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.budget.spend(0)?;
        self.budget.floats.set(true);
        let number = Number::from_f64(value)
            .ok_or_else(|| self.budget.fail(Failure::of(&code::LOSSY_NUMBER)))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.budget.spend(value.len())?;
        // `1e400` comes as a text, since no float holds it; only its quotes tell what was meant.
        if value.starts_with(|c: char| matches!(c, '0'..='9' | '+' | '-' | '.'))
            && crate::places::loses_precision(value)
        {
            self.budget.floats.set(true);
        }
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let inner = self.inner()?;
        let mut items = Vec::new();
        loop {
            match list.next_element_seed(inner) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(Value::Array(items)),
                Err(e) => return Err(self.budget.passed_through(e, &items.len().to_string())),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let inner = self.inner()?;
        let mut entries = Map::new();
        let mut merged: Option<Value> = None;
        while let Some(key) = mapping.next_key_seed(inner)? {
            let key = match key {
                Value::String(key) => key,
                other => {
                    let message = format!("a key is {}, not a text", kind_of(&other));
                    let failure = Failure { message, ..Failure::of(&code::KEY_KIND) };
                    return Err(self.budget.fail(failure));
                }
            };
            let is_merge = key == "<<";
            if entries.contains_key(&key) || (is_merge && merged.is_some()) {
                return Err(self.budget.fail(Failure::duplicate(key)));
            }
            match mapping.next_value_seed(inner) {
                Ok(value) if is_merge => merged = Some(value),
                Ok(value) => {
                    entries.insert(key, value);
                }
                Err(e) => return Err(self.budget.passed_through(e, &key)),
            }
        }
        if let Some(source) = merged {
            merge(&mut entries, source).map_err(|()| {
                let error = self.budget.fail(Failure::of(&code::BAD_MERGE));
                self.budget.passed_through(error, "<<")
            })?;
        }
        Ok(Value::Object(exact(entries)))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(self.budget.fail(Failure::of(&code::TAG)))
    }
}

/// The same map with room for its entries alone. A map keeps room for four entries at least, and doubles it; a
/// daemon keeps the documents of its targets, and holds a fifth less of them so.
pub(crate) fn exact(entries: Map<String, Value>) -> Map<String, Value> {
    entries.into_iter().collect()
}

/// Adds the entries of `<<` that the mapping does not have itself; earlier sources win.
fn merge(entries: &mut Map<String, Value>, source: Value) -> Result<(), ()> {
    let sources = match source {
        Value::Array(sources) => sources,
        one => vec![one],
    };
    for source in sources {
        let Value::Object(source) = source else { return Err(()) };
        for (key, value) in source {
            entries.entry(key).or_insert(value);
        }
    }
    Ok(())
}

/// The kind of a value, with its article.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "`null`",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

// Why a document cannot be read, told without a word of its content.

/// Why a document cannot be read, and how to find the place.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static Code,
    /// The message, which holds nothing of the document but a key that is no secret.
    pub(crate) message: String,
    /// The JSON pointer to the place; empty where `offset` says it.
    pub(crate) pointer: String,
    /// The byte within the document, where the parser told it.
    pub(crate) offset: Option<usize>,
    /// Where the part begins that is not well formed, as a line and column of the document.
    pub(crate) begins: Option<(u32, u32)>,
    /// The key that a mapping has twice.
    twice: Option<String>,
}

/// How the messages of libyaml begin that are about the grammar. They are fixed phrases; all other
/// messages may repeat a value.
const GRAMMAR: &[&str] = &[
    "found ",
    "did not find ",
    "could not find ",
    "mapping values ",
    "mapping keys ",
    "block sequence entries ",
];

impl Failure {
    fn of(code: &'static Code) -> Self {
        let message = code.title.to_owned();
        Self { code, message, pointer: String::new(), offset: None, begins: None, twice: None }
    }

    fn at_offset(code: &'static Code, offset: usize) -> Self {
        Self { offset: Some(offset), ..Self::of(code) }
    }

    fn duplicate(key: String) -> Self {
        let message = if is_secret_in_key(&key) {
            "a key is given twice".to_owned()
        } else {
            format!("the key `{key}` is given twice")
        };
        Self { message, twice: Some(key), ..Self::of(&code::DUPLICATE_KEY) }
    }

    /// Adds the key or index that the value with the failure has in the value around it.
    fn is_inside(&mut self, step: &str) {
        self.pointer.insert_str(0, &child("", step));
    }

    /// Makes a failure of the message of the parser, where that holds nothing of the document.
    fn from_yaml(error: &serde_yaml::Error, chunk: &str) -> Self {
        let text = error.to_string();
        let offset = error.location().map(|location| location.index());
        let at_tab =
            offset.is_some_and(|at| chunk.get(at..).is_some_and(|rest| rest.starts_with('\t')));
        let is_grammar = GRAMMAR.iter().any(|start| text.starts_with(start));
        let end = text.find(" at line ").unwrap_or(text.len());
        let phrase = text.get(..end).filter(|_| is_grammar).unwrap_or_default().to_owned();
        let code = if text.starts_with("recursion limit") {
            &code::TOO_DEEP
        } else if text.starts_with("repetition limit") {
            &code::TOO_MANY_VALUES
        } else if text.starts_with("unknown anchor") {
            &code::UNKNOWN_ANCHOR
        } else if text.contains("invalid value")
            || text.contains("invalid type")
            || phrase == "found undefined tag handle"
        {
            &code::TAG
        } else if phrase.contains("found a tab") || (at_tab && phrase.contains("cannot start")) {
            &code::TAB
        } else if phrase.contains("expected ',' or")
            || phrase.contains("end of stream")
            || phrase.contains("document indicator")
        {
            &code::UNCLOSED
        } else {
            &code::SYNTAX
        };
        let mut failure = Self { offset, ..Self::of(code) };
        if [&code::SYNTAX, &code::UNCLOSED].contains(&code) && !phrase.is_empty() {
            failure.message = format!("this is not valid YAML: {phrase}");
        }
        if *code == code::UNCLOSED {
            failure.begins = context_of(&text);
        }
        failure
    }

    /// The problem with its place, in the document that could not be read.
    pub(crate) fn diagnose(self, excerpt: &Excerpt) -> Diagnostic {
        let mut related = Vec::new();
        let mut found = self.place(excerpt);
        if let (Some(key), Some(places)) = (&self.twice, excerpt.places()) {
            let keys = places.keys(&self.pointer, key);
            if let [first, second, ..] = keys.as_slice() {
                related.push((excerpt.mark_span(*first), "it is given first here".to_owned()));
                found = Some(*second);
            }
        }
        if let Some((line, column)) = self.begins {
            let begins = Span::point((excerpt.line_in_file(line), column));
            related.push((excerpt.mark_span(begins), "it begins here".to_owned()));
        }
        let mark = found.map_or_else(|| excerpt.first_character(), |span| excerpt.mark_span(span));
        let mut problem = Diagnostic::error(self.code, self.message, mark);
        if self.twice.is_some_and(|key| key == "<<") {
            let help = "merge several mappings with one `<<` and a list: `<<: [*one, *two]`";
            problem.help = Some(help.to_owned());
        }
        Diagnostic { related, ..problem }
    }

    fn place(&self, excerpt: &Excerpt) -> Option<Span> {
        if let Some(offset) = self.offset {
            return Some(excerpt.point_at(offset));
        }
        let places = excerpt.places()?;
        match *self.code {
            code::KEY_KIND => places.odd_key(&self.pointer),
            code::LOSSY_NUMBER if self.pointer.is_empty() => places.lossy_number(),
            _ => places.value(&self.pointer),
        }
    }
}

/// The place in `..., while parsing a flow mapping at line 2 column 3`.
fn context_of(text: &str) -> Option<(u32, u32)> {
    let (_, context) = text.split_once(", while ")?;
    let (_, place) = context.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}
