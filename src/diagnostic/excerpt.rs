//! One document of a file, with the places of its values and the parts that must not be shown.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use crate::catalog::{self, Field, HEAD, HiddenPlace, Kind, OPTIONS, Secrecy};
use crate::diagnostic::{Chunk, FileText, Mark, Part};
use crate::places::{Places, Shape, Span, to_u32};
use crate::reference::{self, Segment};

/// A document from which source lines are shown.
#[derive(Debug)]
pub(crate) struct Excerpt {
    text: Arc<FileText>,
    chunk: Chunk,
    places: Option<Places>,
    concealed: Concealed,
}

impl Excerpt {
    /// A document that can be read: values that are not plain are concealed.
    pub(crate) fn new(text: &Arc<FileText>, chunk: &Chunk) -> Self {
        let mut excerpt = Self::whole(text, chunk, is_field);
        if let Some(places) = &excerpt.places {
            excerpt.concealed = Concealed::of(places);
        }
        excerpt
    }

    /// A document that cannot be read: of its lines only the keys are shown that are known.
    pub(crate) fn broken(text: &Arc<FileText>, chunk: &Chunk, is_key: fn(&str) -> bool) -> Self {
        let concealed = Concealed::of_broken(text, chunk, is_key);
        Self { concealed, ..Self::whole(text, chunk, is_key) }
    }

    /// A document of which nothing is concealed yet. Without places nothing could be concealed later, so
    /// only known keys are shown then.
    pub(crate) fn whole(text: &Arc<FileText>, chunk: &Chunk, is_key: fn(&str) -> bool) -> Self {
        let places = Places::of(text.slice(chunk.range.clone()), chunk.first_line);
        let concealed = match places {
            Some(_) => Concealed::default(),
            None => Concealed::of_broken(text, chunk, is_key),
        };
        Self { text: Arc::clone(text), chunk: chunk.clone(), places, concealed }
    }

    pub(crate) fn places(&self) -> Option<&Places> {
        self.places.as_ref()
    }

    /// Conceals the value at a pointer; where it is not found, what is around it.
    pub(crate) fn conceal(&mut self, pointer: &str) {
        let Some(places) = &self.places else { return };
        let mut around = pointer;
        while let Some(parent) = around.rfind('/') {
            if let Some(span) = places.value(around) {
                return self.concealed.conceal_span(span);
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
        self.concealed.mark(&self.text, span)
    }

    /// The mark of the first character of the document's content.
    pub(crate) fn first_character(&self) -> Mark {
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
        let Some(places) = self.places.as_ref().filter(|_| *part != Part::FirstLine) else {
            return self.start();
        };
        if *part == Part::FirstCharacter {
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

// Marks in source lines that never show a secret.
//
// Keys and structure are what a reader needs to find a place, so of values only those are shown
// that are plain. In a document that parses these are references, `null`, and the
// values of fields that hold no secret in any type of connection. Where a document does not
// parse, nothing says where a value ends: each line shows the known key that it begins with, and
// behind it references or nothing.

/// The sign that stands for a concealed value.
const CONCEALED: &str = "...";

/// The longest line that is shown whole, in characters.
const LONGEST_LINE: usize = 400;

/// The longest text that is searched for secrets, in bytes; a longer one is concealed unseen.
const LONGEST_LOOK: usize = 4096;

/// The columns to conceal, by line; columns count from 1, and `u32::MAX` is the end of the line.
#[derive(Debug, Default)]
pub(super) struct Concealed(BTreeMap<u32, Vec<Range<u32>>>);

impl Concealed {
    /// Conceals the values of a document that parses, but for the plain ones. A value with an
    /// anchor may stand for a secret elsewhere.
    pub(super) fn of(places: &Places) -> Self {
        let mut concealed = Self::default();
        let mut open = vec![(0, true)];
        while let Some((index, is_plain)) = open.pop() {
            let Some(node) = places.node(index) else { continue };
            let is_plain = is_plain && !node.is_anchored;
            match &node.shape {
                Shape::Scalar { text, plain } => {
                    let is_null =
                        *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
                    let may_show = is_plain && text.len() <= LONGEST_LOOK && !hides_secret(text);
                    if !is_null && !may_show && !only_references(text) {
                        concealed.conceal_span(node.span);
                    }
                }
                Shape::List(items) => open.extend(items.iter().map(|item| (*item, is_plain))),
                Shape::Mapping(entries) => {
                    for (key, value) in entries {
                        let text = places.scalar(*key).unwrap_or_default();
                        if is_secret_in_key(text) {
                            places
                                .node(*key)
                                .iter()
                                .for_each(|key| concealed.conceal_span(key.span));
                        }
                        open.push((*value, is_plain && is_plain_field(text)));
                    }
                }
                Shape::Alias(_) => {}
            }
        }
        concealed
    }

    /// Conceals what does not begin a line of a document that does not parse.
    pub(super) fn of_broken(file: &FileText, chunk: &Chunk, is_key: fn(&str) -> bool) -> Self {
        let mut concealed = Self::default();
        let last = file.place_of(chunk.range.end.saturating_sub(1)).0;
        for number in chunk.first_line..=last {
            let shown = plain_start(file.line(number), is_key).chars().count();
            concealed.conceal(number, to_u32(shown + 1)..u32::MAX);
        }
        concealed
    }

    /// Conceals a value wherever it stands.
    pub(super) fn conceal_span(&mut self, span: Span) {
        // A block scalar ends at the beginning of the line after it.
        for line in span.line..=span.end_line {
            let from = if line == span.line { span.column } else { 1 };
            let to = if line == span.end_line { span.end_column } else { u32::MAX };
            if from < to {
                self.conceal(line, from..to);
            }
        }
    }

    fn conceal(&mut self, line: u32, columns: Range<u32>) {
        self.0.entry(line).or_default().push(columns);
    }

    /// A line with its concealed parts replaced. The text before `keep` keeps its columns, so that carets
    /// fit below it.
    fn apply(&self, number: u32, line: &str, keep: u32) -> String {
        let Some(concealed) = self.0.get(&number) else { return line.to_owned() };
        let mut concealed = concealed.clone();
        concealed.sort_by_key(|range| (range.start, range.end));
        let characters: Vec<char> = line.chars().collect();
        let mut shown = String::new();
        let mut at = 0;
        for range in concealed {
            let start = (range.start as usize).saturating_sub(1).clamp(at, characters.len());
            let end = (range.end as usize).saturating_sub(1).clamp(start, characters.len());
            if end == start {
                continue;
            }
            shown.extend(characters.get(at..start).unwrap_or_default());
            let width = if range.end <= keep { end - start } else { CONCEALED.len() };
            shown.push_str(&format!("{CONCEALED:<width$.width$}"));
            at = end;
        }
        shown.extend(characters.get(at..).unwrap_or_default());
        shown
    }

    /// The mark of a span, in a file that is named later. The length of a concealed part is not
    /// told.
    pub(super) fn mark(&self, file: &FileText, span: Span) -> Mark {
        let line = file.line(span.line);
        let Span { line: number, column, .. } = span;
        let mut concealed = self.0.get(&number).into_iter().flatten();
        let end = match concealed.find(|range| range.contains(&column)) {
            Some(range) if range.start == column => column.saturating_add(to_u32(CONCEALED.len())),
            Some(_) => column,
            None if span.end_line > number => to_u32(line.chars().count()).saturating_add(1),
            None => span.end_column,
        };
        let mut text = self.apply(number, line, column);
        if let Some((cut, _)) = text.char_indices().nth(LONGEST_LINE) {
            text.truncate(cut);
            text.push('…');
        }
        let length = end.saturating_sub(column).max(1);
        Mark { file: String::new(), line: number, column, length, text }
    }
}

/// The start of a line that may be shown: the known key that it begins with, and all of it where
/// nothing but references follows.
fn plain_start(line: &str, is_key: fn(&str) -> bool) -> &str {
    let entry = line.trim_start_matches([' ', '\t', '-', '{', '[', ',', '"', '\'']);
    let begins = line.len() - entry.len();
    let known = entry.split_once(':').filter(|(key, _)| is_key(key.trim_end_matches(['"', '\''])));
    let shown = match known {
        Some((_, value))
            if only_references(value.trim_matches([' ', '\t', ',', '{', '[', '"', '\''])) =>
        {
            line.len()
        }
        Some((key, value)) => begins + key.len() + 1 + usize::from(value.starts_with(' ')),
        None => begins,
    };
    line.get(..shown).unwrap_or_default()
}

// Which keys and texts look like secrets, and which plainly are none.

/// The fields of the catalog at any depth.
struct FieldNames {
    secret: BTreeSet<&'static str>,
    /// Those that are a secret in no type.
    plain: BTreeSet<&'static str>,
    /// Those in which a secret hides, which is not found by a look at the value alone.
    hiding: BTreeSet<&'static str>,
    /// Names of secrets that a misspelled one comes near to, in lower case.
    near: BTreeSet<String>,
}

static NAMES: LazyLock<FieldNames> = LazyLock::new(|| {
    let mut names = FieldNames {
        secret: BTreeSet::new(),
        plain: BTreeSet::new(),
        hiding: BTreeSet::new(),
        near: BTreeSet::new(),
    };
    for connection_type in catalog::all() {
        for field in connection_type.fields() {
            names.add(field);
        }
    }
    names.plain.retain(|name| !names.secret.contains(name));
    let communities = names.plain.iter().filter(|name| name.contains(COMMUNITY));
    names.near = names.secret.iter().chain(communities).map(|name| name.to_lowercase()).collect();
    names
});

impl FieldNames {
    fn add(&mut self, field: &'static Field) {
        match field.secrecy {
            Secrecy::Secret => self.secret.insert(field.name),
            Secrecy::Plain | Secrecy::Hidden(_) => self.plain.insert(field.name),
        };
        if matches!(field.secrecy, Secrecy::Hidden(place) if place != HiddenPlace::Url) {
            self.hiding.insert(field.name);
        }
        let inner = match &field.kind {
            Kind::List(kind) | Kind::Set(kind) | Kind::Map(kind) => kind,
            kind => kind,
        };
        let Kind::Object(fields) = inner else { return };
        let fields: &'static [Field] = fields;
        for field in fields {
            self.add(field);
        }
    }
}

/// A word in the names of fields that are secrets in one version of SNMP and plain in another.
const COMMUNITY: &str = "Community";

/// Whether a key says that its value is a secret, a misspelled one too.
fn is_secret_key(key: &str) -> bool {
    if says_secret(key) {
        return true;
    }
    if NAMES.plain.contains(key) {
        return false;
    }
    let folded = folded(key);
    // Texts of which one is twice as long as the other are never that near.
    let may_be_near = |name: &str| name.len() <= 2 * folded.len() && folded.len() <= 2 * name.len();
    let mut names = NAMES.near.iter().filter(|name| may_be_near(name));
    names.any(|name| strsim::jaro_winkler(name, &folded) > 0.9)
}

/// Whether a key that speaks of a secret holds more than a name: `password S3cr3t` in braces is a
/// key without a value, where a colon was meant. `value` may speak of one, too.
pub(crate) fn is_secret_in_key(key: &str) -> bool {
    let splits = |c: char| c.is_whitespace() || matches!(c, ':' | '=' | '"' | '\'');
    key.split_once(splits)
        .is_some_and(|(word, rest)| !rest.is_empty() && (word == "value" || is_secret_key(word)))
}

/// Whether a word speaks of a secret, in a key or anywhere else.
fn says_secret(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "pass",
        "pwd",
        "secret",
        "token",
        "credential",
        "apikey",
        "accesskey",
        "privatekey",
        "community",
        "authorization",
        "jaas",
        "cookie",
    ];
    if NAMES.secret.contains(word) {
        return true;
    }
    if NAMES.plain.contains(word) && !word.contains(COMMUNITY) {
        return false;
    }
    let folded = folded(word);
    WORDS.iter().any(|part| folded.contains(part)) || folded.ends_with("key")
}

fn folded(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a key is one that documents have, so that it is no secret itself.
pub(crate) fn is_field(key: &str) -> bool {
    NAMES.secret.contains(key) || is_plain_field(key) || NAMES.hiding.contains(key)
}

/// Whether the value of a key is no secret in any document, unless its text shows otherwise.
/// `value` stands beside a name that decides it.
fn is_plain_field(key: &str) -> bool {
    let is_ours = HEAD.contains(&key) || OPTIONS.iter().any(|option| option.name == key);
    let is_plain = NAMES.plain.contains(key) && !NAMES.hiding.contains(key) && key != "value";
    is_plain || is_ours
}

/// Whether a text holds references to the environment or to Apinizer's variables, and nothing
/// else: what a secret field may show.
pub(crate) fn only_references(text: &str) -> bool {
    reference::parse(text).is_ok_and(|segments| {
        segments.iter().all(|s| matches!(s, Segment::Env(_) | Segment::Apinizer(_)))
    })
}

/// Whether a text of any field may hold a password, token or key: it speaks of one, or has user
/// info in a URL.
pub(crate) fn hides_secret(text: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
    let is_scheme = |word: &str| ["bearer", "basic"].iter().any(|s| word.eq_ignore_ascii_case(s));
    text.contains("PRIVATE KEY")
        || (text.contains('@') && text.contains(':'))
        || words.any(|word| is_scheme(word) || is_secret_key(word))
}

#[cfg(test)]
mod tests;
