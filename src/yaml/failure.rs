//! Why a document cannot be read, told without a word of its content.

use crate::diagnostic::code::{self, Code};
use crate::diagnostic::{Diagnostic, Excerpt, is_secret_in_key};
use crate::places::Span;
use crate::pointer::child;

use super::LARGEST_DOCUMENT;

/// Why a document cannot be read, and how to find the place.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// The JSON pointer to the place; empty where `offset` says it.
    pub(crate) pointer: String,
    /// The byte within the document, where the parser told it.
    pub(crate) offset: Option<usize>,
    /// Where the part begins that is not well formed, as a line and column of the document.
    pub(crate) begins: Option<(u32, u32)>,
}

/// The kinds of failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its text has this many bytes.
    TooLarge(usize),
    TooManyValues,
    TooDeep,
    DuplicateKey(String),
    KeyKind(&'static str),
    Tag,
    LossyNumber,
    BadMerge,
    UnknownAnchor,
    /// In the words of the parser, which hold nothing of the document; empty where it has none.
    Syntax(String),
    Tab,
    Unclosed(String),
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
    pub(super) fn at_root(cause: Cause) -> Self {
        Self { cause, pointer: String::new(), offset: None, begins: None }
    }

    pub(super) fn at_offset(cause: Cause, offset: usize) -> Self {
        Self { offset: Some(offset), ..Self::at_root(cause) }
    }

    /// Adds the key or index that the value with the failure has in the value around it.
    pub(super) fn is_inside(&mut self, step: &str) {
        self.pointer.insert_str(0, &child("", step));
    }

    /// Makes a failure of the message of the parser, where that holds nothing of the document.
    pub(super) fn from_yaml(error: &serde_yaml::Error, chunk: &str) -> Self {
        let text = error.to_string();
        let offset = error.location().map(|location| location.index());
        let at_tab =
            offset.is_some_and(|at| chunk.get(at..).is_some_and(|rest| rest.starts_with('\t')));
        let is_grammar = GRAMMAR.iter().any(|start| text.starts_with(start));
        let end = text.find(" at line ").unwrap_or(text.len());
        let phrase = text.get(..end).filter(|_| is_grammar).unwrap_or_default().to_owned();
        let cause = if text.starts_with("recursion limit") {
            Cause::TooDeep
        } else if text.starts_with("repetition limit") {
            Cause::TooManyValues
        } else if text.starts_with("unknown anchor") {
            Cause::UnknownAnchor
        } else if text.contains("invalid value")
            || text.contains("invalid type")
            || phrase == "found undefined tag handle"
        {
            Cause::Tag
        } else if phrase.contains("found a tab") || (at_tab && phrase.contains("cannot start")) {
            Cause::Tab
        } else if phrase.contains("expected ',' or")
            || phrase.contains("end of stream")
            || phrase.contains("document indicator")
        {
            Cause::Unclosed(phrase)
        } else {
            Cause::Syntax(phrase)
        };
        let begins = match cause {
            Cause::Unclosed(_) => context_of(&text),
            _ => None,
        };
        Self { begins, offset, ..Self::at_root(cause) }
    }

    /// The problem with its place, in the document that could not be read.
    pub(crate) fn diagnose(&self, excerpt: &Excerpt) -> Diagnostic {
        let mut related = Vec::new();
        let mut found = self.place(excerpt);
        if let (Cause::DuplicateKey(key), Some(places)) = (&self.cause, excerpt.places()) {
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
        let mark = found.map_or_else(|| excerpt.first_line(), |span| excerpt.mark_span(span));
        let problem = Diagnostic::error(self.cause.code(), self.cause.message(), mark);
        Diagnostic { related, ..problem.help(self.cause.help()) }
    }

    fn place(&self, excerpt: &Excerpt) -> Option<Span> {
        if let Some(offset) = self.offset {
            return Some(excerpt.point_at(offset));
        }
        let places = excerpt.places()?;
        match &self.cause {
            Cause::Syntax(_) | Cause::Tab | Cause::Unclosed(_) | Cause::UnknownAnchor => None,
            Cause::KeyKind(_) => places.odd_key(&self.pointer),
            Cause::LossyNumber if self.pointer.is_empty() => places.lossy_number(),
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

impl Cause {
    pub(super) fn code(&self) -> &'static Code {
        match self {
            Self::TooLarge(_) => &code::FILE_TOO_LARGE,
            Self::TooManyValues => &code::TOO_MANY_VALUES,
            Self::TooDeep => &code::TOO_DEEP,
            Self::DuplicateKey(_) => &code::DUPLICATE_KEY,
            Self::KeyKind(_) => &code::KEY_KIND,
            Self::Tag => &code::TAG,
            Self::LossyNumber => &code::LOSSY_NUMBER,
            Self::BadMerge => &code::BAD_MERGE,
            Self::UnknownAnchor => &code::UNKNOWN_ANCHOR,
            Self::Syntax(_) => &code::SYNTAX,
            Self::Tab => &code::TAB,
            Self::Unclosed(_) => &code::UNCLOSED,
        }
    }

    pub(crate) fn message(&self) -> String {
        let message = match self {
            Self::TooLarge(bytes) => {
                return format!(
                    "the document has {bytes} bytes, and {LARGEST_DOCUMENT} (1 MiB) is the most \
                     that is read"
                );
            }
            Self::DuplicateKey(key) if !is_secret_in_key(key) => {
                return format!("the key `{key}` is given twice");
            }
            Self::KeyKind(kind) => return format!("a key of this mapping is {kind}, not a text"),
            Self::Syntax(phrase) | Self::Unclosed(phrase) if !phrase.is_empty() => {
                return format!("this is not valid YAML: {phrase}");
            }
            Self::DuplicateKey(_) => "a key is given twice",
            Self::TooManyValues => {
                "the document holds too many values once its aliases are expanded"
            }
            Self::TooDeep => "the document is nested more than 64 levels deep",
            Self::Tag => "tags are not supported here",
            Self::LossyNumber => "this number cannot be kept exactly",
            Self::BadMerge => "`<<` takes a mapping or a list of mappings",
            Self::UnknownAnchor => "this alias refers to no anchor of the document",
            Self::Tab => "a tab is used for indentation, and YAML takes spaces only",
            Self::Syntax(_) | Self::Unclosed(_) => "this is not valid YAML",
        };
        message.to_owned()
    }

    fn help(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "write large texts into documents of their own",
            Self::TooManyValues => "write the values out instead of repeating aliases of aliases",
            Self::TooDeep => "flatten the value; no connection needs more than a few levels",
            Self::DuplicateKey(key) if key == "<<" => {
                "merge several mappings with one `<<` and a list: `<<: [*one, *two]`"
            }
            Self::DuplicateKey(_) => "remove one of the two",
            Self::KeyKind(_) => "put the key into quotes",
            Self::Tag => "remove the tag, or put a text that begins with `!` into quotes",
            Self::LossyNumber => "put it into quotes if it is a text",
            Self::BadMerge => "write `<<: *anchor`, where the anchor marks a mapping",
            Self::UnknownAnchor => {
                "write `&name` before its first use, or quote a text that begins with `*`"
            }
            Self::Syntax(_) => {
                "check quotes, colons and indentation at this place and on the line above"
            }
            Self::Tab => "replace the tab with spaces",
            Self::Unclosed(_) => {
                "close it, or put the text into quotes if the character belongs to it"
            }
        }
    }
}
