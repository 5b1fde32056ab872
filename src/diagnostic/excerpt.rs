//! One document of a file with the places of its values and what of it must not be shown.

use std::sync::Arc;

use super::masks::{Masks, is_field};
use super::{Chunk, FileText, Mark, Part};
use crate::places::{Places, Span, to_u32};

/// A document from which source lines are shown.
#[derive(Debug)]
pub(crate) struct Excerpt {
    text: Arc<FileText>,
    chunk: Chunk,
    places: Option<Places>,
    masks: Masks,
}

impl Excerpt {
    /// A document that can be read: values that are not plainly harmless are hidden.
    pub(crate) fn new(text: &Arc<FileText>, chunk: &Chunk) -> Self {
        let mut excerpt = Self::unmasked(text, chunk);
        excerpt.masks = match &excerpt.places {
            Some(places) => Masks::of(places),
            None => Masks::of_broken(text, chunk, is_field),
        };
        excerpt
    }

    /// A document that cannot be read: of its lines only the keys are shown that are known.
    pub(crate) fn broken(text: &Arc<FileText>, chunk: &Chunk, is_key: fn(&str) -> bool) -> Self {
        let masks = Masks::of_broken(text, chunk, is_key);
        Self { masks, ..Self::unmasked(text, chunk) }
    }

    /// A document of which nothing is hidden yet.
    pub(crate) fn unmasked(text: &Arc<FileText>, chunk: &Chunk) -> Self {
        let places = Places::of(text.slice(chunk.range.clone()), chunk.first_line);
        Self { text: Arc::clone(text), chunk: chunk.clone(), places, masks: Masks::default() }
    }

    pub(crate) fn places(&self) -> Option<&Places> {
        self.places.as_ref()
    }

    /// Hides the value at a pointer; where it is not found, what is around it.
    pub(crate) fn hide(&mut self, pointer: &str) {
        let Some(places) = &self.places else { return };
        let mut around = pointer;
        while let Some(parent) = around.rfind('/') {
            if let Some(span) = places.value(around) {
                return self.masks.hide_span(span);
            }
            around = around.get(..parent).unwrap_or_default();
        }
    }

    /// The mark of a part of the value at a pointer; where the pointer leads nowhere, of the nearest
    /// thing above it.
    pub(crate) fn mark(&self, pointer: &str, part: &Part) -> Mark {
        self.mark_span(self.span(pointer, part))
    }

    /// The mark of a span, in a file that is named later.
    pub(crate) fn mark_span(&self, span: Span) -> Mark {
        self.masks.mark(&self.text, span)
    }

    /// The mark of the first character of the document's content.
    pub(crate) fn first_line(&self) -> Mark {
        let Span { line, column, .. } = self.start();
        self.mark_span(Span::point((line, column)))
    }

    /// The line of the file that a line of the document is.
    pub(crate) fn line_in_file(&self, line: u32) -> u32 {
        line.saturating_add(self.chunk.first_line).saturating_sub(1)
    }

    /// The place of a byte of the document; one behind its end is where the text ends.
    pub(crate) fn point_at(&self, offset: usize) -> Span {
        let range = &self.chunk.range;
        let offset = range.start.saturating_add(offset).min(range.end);
        let end = self.text.slice(range.start..offset).trim_end().len() + range.start;
        let at = if offset >= range.end { end } else { offset };
        Span::point(self.text.place_of(at))
    }

    fn span(&self, pointer: &str, part: &Part) -> Span {
        let Some(places) = self.places.as_ref().filter(|_| *part != Part::Start) else {
            return self.start();
        };
        if *part == Part::Begin {
            return places
                .value(pointer)
                .map_or_else(|| self.start(), |span| Span::point((span.line, span.column)));
        }
        let mut above = pointer;
        while !above.is_empty() {
            let exact = above.len() == pointer.len();
            let key = places.key(above);
            let found = match part {
                Part::Value | Part::Text(_) if exact => places.value(above),
                _ => key,
            };
            if let Some(span) = found {
                // An empty value has no extent of its own.
                let nothing = (span.line, span.column) >= (span.end_line, span.end_column);
                let span = if nothing { key.unwrap_or(span) } else { span };
                return match part {
                    Part::Text(wanted) if exact => self.within(span, wanted).unwrap_or(span),
                    _ => span,
                };
            }
            above = above.rfind('/').and_then(|at| above.get(..at)).unwrap_or_default();
        }
        self.start()
    }

    /// The first line with content.
    fn start(&self) -> Span {
        let number = self.chunk.content_line.unwrap_or(self.chunk.first_line);
        let line = self.text.line(number);
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let end_column = to_u32(line.trim_end().chars().count() + 1);
        Span { line: number, column: to_u32(indent + 1), end_line: number, end_column }
    }

    /// Where a text stands within a span.
    fn within(&self, span: Span, wanted: &str) -> Option<Span> {
        if wanted.is_empty() {
            return None;
        }
        (span.line..=span.end_line).find_map(|number| {
            let line = self.text.line(number);
            let from = if number == span.line { span.column as usize - 1 } else { 0 };
            let offset = line.char_indices().nth(from)?.0;
            let found = line.get(offset..)?.find(wanted)? + offset;
            let column = to_u32(line.get(..found)?.chars().count() + 1);
            let length = to_u32(wanted.chars().count());
            Some(Span { end_column: column + length, ..Span::point((number, column)) })
        })
    }
}
