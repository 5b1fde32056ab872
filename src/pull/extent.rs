//! The exact bytes of keys and values in the text of one document.
//!
//! [`Places`] has the lines and columns that a message needs. An edit needs to know where a value
//! ends to the byte, without the anchor before it and the comment and the blank lines behind it.

use std::ops::Range;

use crate::diagnostic::{Chunk, FileText};
use crate::places::{Node, Places, Shape};
use crate::pointer::steps;

/// The places of one document.
pub(super) struct Extents<'t> {
    file: &'t FileText,
    places: Places,
    /// Counting the characters of one long line again and again would take its time.
    is_ascii: bool,
}

/// The place of one value.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    node: usize,
    /// Where its key, its dash or, in a flow list, the value itself begins.
    pub(super) begin: usize,
    /// The byte behind the colon or the dash.
    pub(super) behind: usize,
    /// The value, without an anchor; empty where nothing is written.
    pub(super) value: Range<usize>,
    /// Whether it stands inside brackets.
    pub(super) in_flow: bool,
}

/// The end of the way of a pointer.
pub(super) enum Found {
    Value(Slot),
    /// A mapping that lacks the last key of the pointer among its own; `<<` may bring it in.
    Lacks,
}

impl<'t> Extents<'t> {
    /// The places of the document of a chunk.
    pub(super) fn of(file: &'t FileText, chunk: &Chunk) -> Option<Self> {
        let (text, line) = (file.slice(chunk.range.clone()), chunk.first_line);
        // The parser of places takes no tab between a colon and a plain text.
        let places =
            Places::of(text, line).or_else(|| Places::of(&text.replace('\t', " "), line))?;
        Some(Self { file, places, is_ascii: file.as_str().is_ascii() })
    }

    pub(super) fn text(&self) -> &'t str {
        self.file.as_str()
    }

    /// How many characters stand before a byte on its line.
    pub(super) fn column(&self, at: usize) -> usize {
        (self.file.place_of(at).1 as usize).saturating_sub(1)
    }

    /// The value at a pointer; `None` where the way there leads through an alias.
    pub(super) fn find(&self, pointer: &str) -> Option<Found> {
        let begin = self.byte(self.node(0)?.span.line, self.node(0)?.span.column);
        let value = self.value(0, begin)?;
        let mut slot = Slot { node: 0, begin, behind: begin, value, in_flow: false };
        let mut steps = steps(pointer).peekable();
        while let Some(step) = steps.next() {
            let index = match &self.node(slot.node)?.shape {
                Shape::Mapping(entries) => {
                    entries.iter().position(|(key, _)| self.places.scalar(*key) == Some(&*step))
                }
                Shape::List(_) => Some(step.parse::<usize>().ok()?),
                Shape::Scalar { .. } | Shape::Alias(_) => return None,
            };
            let Some(index) = index else {
                return steps.peek().is_none().then_some(Found::Lacks);
            };
            slot = self.children(&slot)?.get(index)?.clone();
        }
        Some(Found::Value(slot))
    }

    /// The values of a list or of a mapping's own keys, in order.
    pub(super) fn children(&self, parent: &Slot) -> Option<Vec<Slot>> {
        let is_flow = self.is_flow(parent);
        let in_flow = is_flow || parent.in_flow;
        let mut slots = Vec::new();
        let mut at = if is_flow { parent.value.start + 1 } else { parent.behind };
        let mut add = |node: usize, begin: usize, behind: usize| {
            let value = self.value(node, behind)?;
            let end = value.end;
            slots.push(Slot { node, begin, behind, value, in_flow });
            Some(end)
        };
        match &self.node(parent.node)?.shape {
            Shape::Mapping(entries) => {
                for (key, value) in entries {
                    let (begin, behind) = self.key(*key)?;
                    add(*value, begin, behind)?;
                }
            }
            Shape::List(items) => {
                for item in items {
                    at = self.skip(at);
                    at = if is_flow { self.skip(at + usize::from(self.is(at, ','))) } else { at };
                    let behind = if is_flow { at } else { self.expect(at, '-')? };
                    at = add(*item, at, behind)?;
                }
            }
            Shape::Scalar { .. } | Shape::Alias(_) => return None,
        }
        Some(slots)
    }

    pub(super) fn is_list(&self, slot: &Slot) -> bool {
        matches!(self.node(slot.node).map(|node| &node.shape), Some(Shape::List(_)))
    }

    /// Whether a value is a list or a mapping.
    pub(super) fn is_collection(&self, slot: &Slot) -> bool {
        let shape = self.node(slot.node).map(|node| &node.shape);
        matches!(shape, Some(Shape::List(_) | Shape::Mapping(_)))
    }

    /// Whether a value is a list or a mapping in brackets.
    pub(super) fn is_flow(&self, slot: &Slot) -> bool {
        let begins = self.is(slot.value.start, '{') || self.is(slot.value.start, '[');
        self.is_collection(slot) && begins
    }

    /// Whether a list or a mapping holds an anchor, an alias or a comment, beside its values.
    pub(super) fn holds_more_than_values(&self, slot: &Slot) -> bool {
        let shape = self.node(slot.node).map(|node| &node.shape);
        let has_more = |range: Range<usize>| {
            self.text().get(range).is_none_or(|text| text.contains(['#', '&', '*']))
        };
        if let Some(Shape::Scalar { .. }) = shape {
            let is_block = self.is(slot.value.start, '|') || self.is(slot.value.start, '>');
            return is_block && has_more(slot.value.start..self.line_end(slot.value.start));
        }
        let Some(children) = self.children(slot) else { return true };
        let mut at = slot.value.start;
        let inside = children.iter().any(|child| {
            let before = std::mem::replace(&mut at, child.value.end)..child.begin;
            has_more(before)
                || has_more(child.behind..child.value.start)
                || self.holds_more_than_values(child)
        });
        inside || has_more(at..slot.value.end)
    }

    /// The end of the line that a byte is on.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = self.text().get(at..).unwrap_or_default();
        at + rest.find(['\n', '\r']).unwrap_or(rest.len())
    }

    /// Where the line of a byte begins, if nothing but blanks stands before it.
    pub(super) fn line_start(&self, at: usize) -> Option<usize> {
        let before = self.text().get(..at)?;
        let start = before.trim_end_matches([' ', '\t']);
        (start.is_empty() || start.ends_with(['\n', '\r'])).then_some(start.len())
    }

    fn node(&self, index: usize) -> Option<&Node> {
        self.places.node(index)
    }

    fn byte(&self, line: u32, column: u32) -> usize {
        let start = self.file.line_range(line).start;
        let before = (column as usize).saturating_sub(1);
        if self.is_ascii {
            return start + before;
        }
        let line = self.text().get(start..).unwrap_or_default();
        start + line.char_indices().nth(before).map_or(line.len(), |(at, _)| at)
    }

    fn is(&self, at: usize, wanted: char) -> bool {
        self.text().get(at..).is_some_and(|rest| rest.starts_with(wanted))
    }

    fn expect(&self, at: usize, wanted: char) -> Option<usize> {
        self.is(at, wanted).then_some(at + wanted.len_utf8())
    }

    /// Where a key begins, and the byte behind its colon.
    fn key(&self, key: usize) -> Option<(usize, usize)> {
        let span = self.node(key)?.span;
        let begin = self.byte(span.line, span.column);
        let start = self.behind_anchor(begin);
        let end = self.quoted_end(start);
        let end = end.unwrap_or_else(|| self.byte(span.end_line, span.end_column));
        Some((begin, self.expect(self.skip(end), ':')?))
    }

    /// The bytes of a value that stands behind a colon, a dash or a comma.
    fn value(&self, index: usize, behind: usize) -> Option<Range<usize>> {
        let Node { shape, span, .. } = self.node(index)?;
        if matches!(shape, Shape::Scalar { text, plain: true } if text.is_empty()) {
            return Some(behind..behind);
        }
        let start = self.behind_anchor(self.skip(behind));
        let span_end = self.byte(span.end_line, span.end_column);
        let end = match shape {
            Shape::Scalar { .. } if self.is(start, '|') || self.is(start, '>') => {
                self.block_end(start, span_end)
            }
            Shape::Scalar { .. } => self.quoted_end(start).unwrap_or(span_end),
            Shape::Alias(_) => span_end,
            Shape::List(_) | Shape::Mapping(_) => {
                let value = start..start;
                let slot = Slot { node: index, begin: start, behind, value, in_flow: false };
                let last = self.children(&slot)?.last().map(|last| last.value.end);
                let closing = if self.is(start, '{') { '}' } else { ']' };
                match last {
                    last if self.is_flow(&slot) => {
                        let at = self.skip(last.unwrap_or(start + 1));
                        self.expect(self.skip(at + usize::from(self.is(at, ','))), closing)?
                    }
                    last => last?,
                }
            }
        };
        Some(start..end)
    }

    /// The end of a block scalar: of its last line with content, unless it keeps blank lines.
    fn block_end(&self, start: usize, span_end: usize) -> usize {
        let header = start..self.line_end(start);
        let keeps = self.text().get(header.clone()).is_some_and(|header| header.contains('+'));
        let text = self.text().get(start..span_end.max(header.end)).unwrap_or_default();
        let mut end = header.end;
        let mut at = start;
        for line in text.split_inclusive('\n') {
            if keeps || !line.trim().is_empty() {
                end = at + line.trim_end_matches(['\n', '\r']).len();
            }
            at += line.len();
        }
        end
    }

    /// The end of a quoted text; `None`: there is none.
    fn quoted_end(&self, start: usize) -> Option<usize> {
        let rest = self.text().get(start..)?;
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let mut characters = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = characters.next() {
            if quote == '"' && c == '\\' {
                characters.next();
            } else if c == quote {
                let is_doubled =
                    quote == '\'' && characters.next_if(|(_, c)| *c == quote).is_some();
                if !is_doubled {
                    return Some(start + at + 1);
                }
            }
        }
        None
    }

    /// Skips an anchor, and the blanks behind it.
    fn behind_anchor(&self, at: usize) -> usize {
        if !self.is(at, '&') {
            return at;
        }
        let rest = self.text().get(at..).unwrap_or_default();
        self.skip(at + rest.find(char::is_whitespace).unwrap_or(rest.len()))
    }

    /// Skips blanks, line ends and comments.
    fn skip(&self, mut at: usize) -> usize {
        loop {
            let rest = self.text().get(at..).unwrap_or_default();
            let next = at + rest.len() - rest.trim_start().len();
            let is_comment = self.is(next, '#')
                && self.text().get(..next).is_some_and(|before| {
                    before.is_empty() || before.ends_with(char::is_whitespace)
                });
            if !is_comment {
                return next;
            }
            at = self.line_end(next);
        }
    }
}
