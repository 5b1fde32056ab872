//! Where the values of a YAML document stand in its text.
//!
//! `serde_yaml` tells no places once it has succeeded, so they are taken from the events of a
//! second parser, when a diagnostic needs one and only then. Values are never taken from it: the
//! two parsers differ in what they hold for a number. Aliases are followed, never expanded.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// A part of a document's text; lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first line; within the document until [`Places::of`] has added where that begins.
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_line: u32,
    /// The column after the last character.
    pub(crate) end_column: u32,
}

/// The places of everything in one document.
#[derive(Debug)]
pub(crate) struct Places {
    nodes: Vec<Node>,
    anchors: HashMap<usize, usize>,
}

/// One node of the document; the first is the root.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) shape: Shape,
    /// Whether aliases may stand for it.
    pub(crate) is_anchored: bool,
}

#[derive(Debug)]
pub(crate) enum Shape {
    Scalar {
        /// The text between the quotes; the document's own, so it may be a secret.
        text: String,
        plain: bool,
    },
    List(Vec<usize>),
    /// The nodes of each key and of its value.
    Mapping(Vec<(usize, usize)>),
    /// An alias, with the number of its anchor.
    Alias(usize),
}

/// How many merge keys and aliases are followed from one place.
const MOST_JUMPS: usize = 256;

impl Span {
    /// The span of a single character.
    pub(crate) fn point((line, column): (u32, u32)) -> Self {
        Self { line, column, end_line: line, end_column: column.saturating_add(1) }
    }
}

impl Places {
    /// Reads the places of a document that begins on `first_line` of its file; `None` where this
    /// parser does not take the text.
    pub(crate) fn of(chunk: &str, first_line: u32) -> Option<Self> {
        let read = |text: &str| {
            let mut reader = NodeReader::default();
            for event in Parser::new_from_str(text) {
                let (event, span) = event.ok()?;
                reader.take(event, placed(span, first_line));
            }
            Some(Self { nodes: reader.nodes, anchors: reader.anchors })
        };
        read(chunk).or_else(|| read(&with_stand_ins(chunk)?))
    }

    pub(crate) fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }

    /// The text of a node; `None`: it is no scalar.
    pub(crate) fn scalar(&self, index: usize) -> Option<&str> {
        match &self.node(index)?.shape {
            Shape::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The place of a value. Where an alias brings it in, this is the alias itself, unless the
    /// pointer leads further inside.
    pub(crate) fn value(&self, pointer: &str) -> Option<Span> {
        self.find(pointer).map(|(_, node)| node.span)
    }

    /// The place of the key that a pointer ends with; of a list's entry: that entry.
    pub(crate) fn key(&self, pointer: &str) -> Option<Span> {
        self.find(pointer).map(|(key, node)| key.unwrap_or(node.span))
    }

    /// The text of a single value as it is written, without its quotes.
    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        match &self.follow(self.find(pointer)?.1)?.shape {
            Shape::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The places of a key within one mapping, in order.
    pub(crate) fn keys(&self, mapping: &str, key: &str) -> Vec<Span> {
        let Some((_, Node { shape: Shape::Mapping(entries), .. })) = self.find(mapping) else {
            return Vec::new();
        };
        let found = entries.iter().filter(|(node, _)| self.scalar(*node) == Some(key));
        found.filter_map(|(node, _)| Some(self.node(*node)?.span)).collect()
    }

    /// The first key of a mapping that is no text.
    pub(crate) fn odd_key(&self, mapping: &str) -> Option<Span> {
        let Shape::Mapping(entries) = &self.find(mapping)?.1.shape else { return None };
        let is_text = |key: &&Node| match &key.shape {
            Shape::Scalar { text, plain: true } => {
                serde_yaml::from_str::<serde_yaml::Value>(text).is_ok_and(|key| key.is_string())
            }
            shape => matches!(shape, Shape::Scalar { .. }),
        };
        let mut keys = entries.iter().filter_map(|(key, _)| self.node(*key));
        keys.find(|key| !is_text(key)).map(|key| key.span)
    }

    /// The first plain number that a 64-bit float does not give back.
    pub(crate) fn lossy_number(&self) -> Option<Span> {
        let is_lossy = |node: &&Node| match &node.shape {
            Shape::Scalar { text, plain: true } => loses_precision(text),
            _ => false,
        };
        self.nodes.iter().find(is_lossy).map(|node| node.span)
    }

    fn find(&self, pointer: &str) -> Option<(Option<Span>, &Node)> {
        let mut found = (None, self.nodes.first()?);
        let mut jumps = 0;
        for step in crate::pointer::steps(pointer) {
            let node = self.follow(found.1)?;
            found = match &node.shape {
                Shape::Mapping(entries) => {
                    let (key, value) = self.entry(entries, &step, &mut jumps)?;
                    (Some(self.node(key)?.span), self.node(value)?)
                }
                Shape::List(items) => {
                    (None, self.nodes.get(*items.get(step.parse::<usize>().ok()?)?)?)
                }
                Shape::Scalar { .. } | Shape::Alias(_) => return None,
            };
        }
        Some(found)
    }

    fn follow<'s>(&'s self, node: &'s Node) -> Option<&'s Node> {
        match node.shape {
            Shape::Alias(anchor) => self.nodes.get(*self.anchors.get(&anchor)?),
            _ => Some(node),
        }
    }

    /// The entry of a key: the mapping's own, else the first that `<<` brings in.
    fn entry(
        &self,
        entries: &[(usize, usize)],
        key: &str,
        jumps: &mut usize,
    ) -> Option<(usize, usize)> {
        let mut open = vec![entries];
        while let Some(entries) = open.pop() {
            *jumps += 1;
            if *jumps > MOST_JUMPS {
                return None;
            }
            let find = |key: &str| entries.iter().find(|(node, _)| self.scalar(*node) == Some(key));
            if let Some(entry) = find(key) {
                return Some(*entry);
            }
            let Some(source) = find("<<").and_then(|(_, value)| self.follow(self.node(*value)?))
            else {
                continue;
            };
            match &source.shape {
                Shape::Mapping(entries) => open.push(entries),
                Shape::List(items) => {
                    for item in items.iter().rev() {
                        if let Some(Node { shape: Shape::Mapping(entries), .. }) =
                            self.nodes.get(*item).and_then(|node| self.follow(node))
                        {
                            open.push(entries);
                        }
                    }
                }
                Shape::Scalar { .. } | Shape::Alias(_) => {}
            }
        }
        None
    }
}

/// Bounds a count; a file of 4 MiB has no count that large.
pub(crate) fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether a plain scalar is a number that a 64-bit float does not give back.
pub(crate) fn loses_precision(plain: &str) -> bool {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    if !unsigned.bytes().any(|b| b.is_ascii_digit())
        || !unsigned.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return false;
    }
    let is_float = unsigned.contains(['.', 'e', 'E']);
    match unsigned.parse::<f64>() {
        Err(_) => false,
        Ok(number) if !number.is_finite() => true,
        Ok(number) => is_float && decimal(unsigned) != decimal(&format!("{number:e}")),
    }
}

/// The significant digits of a decimal number and the power of ten of its last one.
fn decimal(number: &str) -> (String, i64) {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return (String::new(), 0);
    }
    let dropped = digits.len() - significant.len();
    let shift = i64::try_from(dropped).unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
    (significant.to_owned(), exponent.parse::<i64>().unwrap_or(i64::MAX).saturating_add(shift))
}

fn placed(span: saphyr_parser::Span, first_line: u32) -> Span {
    let line = |line: usize| to_u32(line).saturating_add(first_line).saturating_sub(1);
    let column = |column: usize| to_u32(column).saturating_add(1);
    Span {
        line: line(span.start.line()),
        column: column(span.start.col()),
        end_line: line(span.end.line()),
        end_column: column(span.end.col()),
    }
}

/// Builds the nodes from events with a stack of its own, so depth costs no recursion.
#[derive(Default)]
struct NodeReader {
    nodes: Vec<Node>,
    anchors: HashMap<usize, usize>,
    /// The lists and mappings around, each with the key that waits for its value.
    open: Vec<(usize, Option<usize>)>,
}

impl NodeReader {
    fn take(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                self.add(Shape::Scalar { text: text.into_owned(), plain }, span, anchor);
            }
            Event::Alias(anchor) => self.add(Shape::Alias(anchor), span, 0),
            Event::SequenceStart(anchor, _) => self.open(Shape::List(Vec::new()), span, anchor),
            Event::MappingStart(anchor, _) => self.open(Shape::Mapping(Vec::new()), span, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((closed, _)) = self.open.pop()
                    && let Some(node) = self.nodes.get_mut(closed)
                {
                    node.span.end_line = span.end_line;
                    node.span.end_column = span.end_column;
                }
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
    }

    fn add(&mut self, shape: Shape, span: Span, anchor: usize) {
        let index = self.nodes.len();
        if anchor > 0 {
            self.anchors.insert(anchor, index);
        }
        if let Some((parent, key)) = self.open.last_mut() {
            match self.nodes.get_mut(*parent).map(|node| &mut node.shape) {
                Some(Shape::List(items)) => items.push(index),
                Some(Shape::Mapping(entries)) => match key.take() {
                    Some(key) => entries.push((key, index)),
                    None => *key = Some(index),
                },
                _ => {}
            }
        }
        self.nodes.push(Node { span, shape, is_anchored: anchor > 0 });
    }

    fn open(&mut self, shape: Shape, span: Span, anchor: usize) {
        let index = self.nodes.len();
        self.add(shape, span, anchor);
        self.open.push((index, None));
    }
}

// Pairs of surrogates, which JSON writes for a character beyond the first 65,536 (`"\ud83d\ude00"`).
//
// YAML knows no such pairs, and both parsers refuse them. Values are read from a text with
// `\U0001f600` in their place, and places from one with escapes of the same length.

/// The length of a pair as JSON writes it, in characters and bytes.
const PAIR: usize = 12;

/// The text with an escape of the same length for each half of a pair; `None` where there are none.
pub(crate) fn with_stand_ins(text: &str) -> Option<String> {
    let mut stand_in = text.to_owned();
    for (at, _) in text.match_indices("\\u").filter(|(at, _)| pair_at(text, *at).is_some()) {
        stand_in.replace_range(at..at + PAIR, "\\u0041\\u0041");
    }
    (stand_in != text).then_some(stand_in)
}

/// The text with YAML's escapes for the pairs in its double-quoted texts; `stand_ins` is what
/// [`with_stand_ins`] makes of it.
pub(crate) fn with_characters(text: &str, stand_ins: &str) -> Option<String> {
    let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let mut rewritten = String::with_capacity(text.len());
    let mut done = 0;
    for event in Parser::new_from_str(stand_ins) {
        // The text behind another mistake need not be read.
        let Ok((event, span)) = event else { break };
        let Event::Scalar(_, ScalarStyle::DoubleQuoted, ..) = event else { continue };
        let end = offsets.get(span.end.index()).copied().unwrap_or(text.len());
        let mut at = *offsets.get(span.start.index())?;
        while let Some(found) = text.get(at..end)?.find('\\') {
            at += found;
            let Some(character) = pair_at(text, at) else {
                // An escaped backslash begins no escape.
                at += 1 + text.get(at + 1..)?.chars().next().map_or(0, char::len_utf8);
                continue;
            };
            rewritten.push_str(text.get(done..at)?);
            rewritten.push_str(&format!("\\U{:08x}", u32::from(character)));
            at += PAIR;
            done = at;
        }
    }
    rewritten.push_str(text.get(done..)?);
    Some(rewritten)
}

/// The character of a pair of surrogates that begins at a byte.
fn pair_at(text: &str, at: usize) -> Option<char> {
    let pair = text.get(at..at + PAIR)?;
    let (high, low) = pair.strip_prefix("\\u")?.split_once("\\u")?;
    let unit = |digits: &str| u16::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 4);
    char::decode_utf16([unit(high)?, unit(low)?]).next()?.ok().filter(|c| u32::from(*c) > 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Places {
        Places::of(text, 1).unwrap()
    }

    #[track_caller]
    fn at(spans: &Places, pointer: &str) -> (u32, u32, u32, u32) {
        let span = spans.value(pointer).unwrap();
        (span.line, span.column, span.end_line, span.end_column)
    }

    #[test]
    fn finds_values_and_keys() {
        let s = spans(
            "ä: 'ü'\nlist:\n  - x: 1\n  - {y: 2, \"z\": [3, é]}\nblock: |\n  one\n  two\nend: x\n",
        );
        assert_eq!(at(&s, "/ä"), (1, 4, 1, 7));
        assert_eq!(at(&s, "/list/0/x"), (3, 8, 3, 9));
        assert_eq!(at(&s, "/list/1/z/1"), (4, 21, 4, 22));
        assert_eq!(s.key("/list/1/z").map(|k| (k.line, k.column)), Some((4, 12)));
        assert_eq!(at(&s, "/block"), (6, 3, 8, 1));
        assert_eq!(at(&s, "/end"), (8, 6, 8, 7));
        assert_eq!(s.value("/none"), None);
        assert_eq!(s.value("/list/9"), None);
    }

    #[test]
    fn follows_aliases_and_merges() {
        let s = spans("a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: [*b], z: 3}\nd: *b\n");
        assert_eq!(at(&s, "/c/x"), (1, 11, 1, 12));
        assert_eq!(at(&s, "/c/y"), (2, 19, 2, 20));
        assert_eq!(at(&s, "/d/y"), (2, 19, 2, 20));
        assert_eq!(at(&s, "/d"), (4, 4, 4, 6));
        let cycle = spans("a: &a {<<: *a}\n");
        assert_eq!(cycle.value("/a/x"), None);
    }

    #[test]
    fn names_every_place_of_a_key_and_odd_keys() {
        let s = spans("a:\n  b: 1\n  b: 2\n1: x\n");
        assert_eq!(s.keys("/a", "b").iter().map(|k| k.line).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(s.odd_key("").map(|k| k.line), Some(4));
        assert_eq!(spans("a: 1\nb: 1e999\nc: '1e999'\n").lossy_number().map(|n| n.line), Some(2));
    }

    #[test]
    fn counts_pairs_of_surrogates_as_they_are_written() {
        let s = spans("a: {b: \"\\ud83d\\ude00 \\ud83d\\ude00\", \"\\ud83d\\ude00\": 1, c: x}\n");
        assert_eq!(at(&s, "/a/b"), (1, 8, 1, 35));
        assert_eq!(at(&s, "/a/c"), (1, 59, 1, 60));
    }

    #[test]
    fn adds_where_the_document_begins() {
        assert_eq!(Places::of("---\na: 1\n", 7).unwrap().value("/a").map(|v| v.line), Some(8));
    }
}
