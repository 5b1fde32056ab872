//! Why a document cannot be read, told without a word of its content.

use crate::diagnostic::code::{self, Code};
use crate::diagnostic::{Diagnostic, Excerpt, is_secret_in_key};
use crate::places::Span;
use crate::pointer::{push_index, push_key};

/// Why a document cannot be read, and how to find the place.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// The steps to the place from the inside out; empty where `offset` says it.
    pub(super) path: Vec<Step>,
    /// The byte within the document, where the parser told it.
    pub(crate) offset: Option<usize>,
    /// Where the part begins that is not well formed, as a line and column of the document.
    pub(crate) begins: Option<(u32, u32)>,
}

/// One step of a path.
#[derive(Debug)]
pub(super) enum Step {
    Key(String),
    Item(usize),
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
    Syntax(&'static Grammar),
}

/// A rule of YAML's grammar as libyaml words it, and as we do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grammar {
    theirs: &'static str,
    code: &'static Code,
    ours: &'static str,
    help: &'static str,
}

const CLOSE_IT: &str = "close it, or put the text into quotes if the character belongs to it";
const INDENT: &str = "compare the indentation with the lines above; keys of one mapping line up";

static GRAMMAR: &[Grammar] = &[
    Grammar {
        theirs: "found a tab character",
        code: &code::TAB,
        ours: "a tab is used for indentation, and YAML takes spaces only",
        help: "replace the tab with spaces",
    },
    Grammar {
        theirs: "did not find expected ',' or ']'",
        code: &code::UNCLOSED,
        ours: "the list in `[...]` is not closed here, nor does a comma follow",
        help: CLOSE_IT,
    },
    Grammar {
        theirs: "did not find expected ',' or '}'",
        code: &code::UNCLOSED,
        ours: "the mapping in `{...}` is not closed here, nor does a comma follow",
        help: CLOSE_IT,
    },
    Grammar {
        theirs: "found unexpected end of stream",
        code: &code::UNCLOSED,
        ours: "a quote is opened and the document ends before it is closed",
        help: "close the quote; inside '...' a quote is written twice, inside \"...\" as \\\"",
    },
    Grammar {
        theirs: "found unexpected document indicator",
        code: &code::UNCLOSED,
        ours: "a quote is opened and the document ends before it is closed",
        help: "close the quote; inside '...' a quote is written twice, inside \"...\" as \\\"",
    },
    Grammar {
        theirs: "mapping values are not allowed in this context",
        code: &code::SYNTAX,
        ours: "a `:` begins a value here, and no value can stand here",
        help: "put a text that holds `: ` into quotes, or check the indentation of this line",
    },
    Grammar {
        theirs: "could not find expected ':'",
        code: &code::SYNTAX,
        ours: "a key has no `:` after it",
        help: "write `key: value`, with a space after the colon",
    },
    Grammar {
        theirs: "did not find expected key",
        code: &code::SYNTAX,
        ours: "a key is expected here",
        help: INDENT,
    },
    Grammar {
        theirs: "did not find expected '-' indicator",
        code: &code::SYNTAX,
        ours: "an entry of the list, with its `-`, is expected here",
        help: INDENT,
    },
    Grammar {
        theirs: "block sequence entries are not allowed in this context",
        code: &code::SYNTAX,
        ours: "a list cannot begin here",
        help: "begin the list on the line after its key",
    },
    Grammar {
        theirs: "mapping keys are not allowed in this context",
        code: &code::SYNTAX,
        ours: "a key cannot stand here",
        help: INDENT,
    },
    Grammar {
        theirs: "found character that cannot start any token",
        code: &code::SYNTAX,
        ours: "no value can begin with this character",
        help: "put the text into quotes",
    },
    Grammar {
        theirs: "did not find expected node content",
        code: &code::SYNTAX,
        ours: "a value is expected here",
        help: "put the text into quotes if it begins with a character such as `,`, `]` or `}`",
    },
    Grammar {
        theirs: "found unknown escape character",
        code: &code::SYNTAX,
        ours: "this `\\` escape is unknown inside \"...\"",
        help: "write `\\\\` for a backslash, or use '...' where `\\` stands for itself",
    },
    Grammar {
        theirs: "found invalid Unicode character escape code",
        code: &code::SYNTAX,
        ours: "this `\\u` escape is no character, perhaps one half of a pair of surrogates",
        help: "write both halves, or the character itself",
    },
    Grammar {
        theirs: "did not find expected alphabetic or numeric character",
        code: &code::SYNTAX,
        ours: "`*` begins an alias and `&` an anchor, and a name has to follow",
        help: "put a text that begins with `*` or `&` into quotes",
    },
    Grammar {
        theirs: "did not find expected <document start>",
        code: &code::SYNTAX,
        ours: "the document has ended before this line",
        help: INDENT,
    },
    Grammar {
        theirs: "did not find expected comment or line break",
        code: &code::SYNTAX,
        ours: "nothing but a comment can follow on this line",
        help: "begin the text after `|` or `>` on the next line",
    },
    Grammar {
        theirs: "found undefined tag handle",
        code: &code::TAG,
        ours: "this tag is not defined",
        help: "put a text that begins with `!` into quotes",
    },
];

static OTHER: Grammar = Grammar {
    theirs: "",
    code: &code::SYNTAX,
    ours: "this is not valid YAML",
    help: "check quotes, colons and indentation at this place and on the line above",
};

static BAD_TAG: Grammar = Grammar {
    theirs: "",
    code: &code::TAG,
    ours: "the value does not fit its tag",
    help: "remove the tag",
};

impl Failure {
    pub(super) fn at_root(cause: Cause) -> Self {
        Self { cause, path: Vec::new(), offset: None, begins: None }
    }

    pub(super) fn at_offset(cause: Cause, offset: usize) -> Self {
        Self { offset: Some(offset), ..Self::at_root(cause) }
    }

    /// A text that is not YAML, for a reason that has no words of its own.
    pub(super) fn syntax(offset: usize) -> Self {
        Self::at_offset(Cause::Syntax(&OTHER), offset)
    }

    /// Translates what the parser says. Only its fixed phrases are used: the text of an error
    /// about a value holds the value.
    pub(super) fn from_yaml(error: &serde_yaml::Error, chunk: &str) -> Self {
        let text = error.to_string();
        let offset = error.location().map(|location| location.index());
        let cause = if text.starts_with("recursion limit") {
            Cause::TooDeep
        } else if text.starts_with("repetition limit") {
            Cause::TooManyValues
        } else if text.starts_with("unknown anchor") {
            Cause::UnknownAnchor
        } else if let Some(rule) = GRAMMAR.iter().find(|rule| text.starts_with(rule.theirs)) {
            let at = offset.unwrap_or(0);
            // libyaml says of a tab where a token should begin only that it cannot begin one.
            let is_tab = rule.theirs.starts_with("found character")
                && chunk.get(at..).is_some_and(|rest| rest.starts_with('\t'));
            Cause::Syntax(GRAMMAR.first().filter(|_| is_tab).unwrap_or(rule))
        } else if text.contains("invalid value") || text.contains("invalid type") {
            Cause::Syntax(&BAD_TAG)
        } else {
            Cause::Syntax(&OTHER)
        };
        let begins = match cause {
            Cause::Syntax(rule) if rule.code == &code::UNCLOSED => context_of(&text),
            _ => None,
        };
        Self { cause, path: Vec::new(), offset, begins }
    }

    /// The JSON pointer to the place.
    pub(crate) fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Key(key) => push_key(&mut pointer, key),
                Step::Item(index) => push_index(&mut pointer, *index),
            }
        }
        pointer
    }

    /// The problem with its place, in the document that could not be read.
    pub(crate) fn diagnose(&self, excerpt: &Excerpt) -> Diagnostic {
        let mut related = Vec::new();
        let mut found = self.place(excerpt);
        if let (Cause::DuplicateKey(key), Some(places)) = (&self.cause, excerpt.places()) {
            let keys = places.keys(&self.pointer(), key);
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
        let message = match &self.cause {
            Cause::DuplicateKey(key) if is_secret_in_key(key) => "a key is given twice".to_owned(),
            cause => cause.message(),
        };
        let diagnostic =
            Diagnostic::error(self.cause.code(), message, mark).help(self.cause.help());
        Diagnostic { related, ..diagnostic }
    }

    fn place(&self, excerpt: &Excerpt) -> Option<Span> {
        if let Some(offset) = self.offset {
            return Some(excerpt.point_at(offset));
        }
        let places = excerpt.places()?;
        match &self.cause {
            Cause::Syntax(_) | Cause::UnknownAnchor => None,
            Cause::KeyKind(_) => places.odd_key(&self.pointer()),
            Cause::LossyNumber if self.path.is_empty() => places.lossy_number(),
            _ => places.value(&self.pointer()),
        }
    }

    /// Whether the document may mean something else than the parser of places makes of it.
    pub(crate) fn is_of_shape(&self) -> bool {
        // A stray tag or a key that is none makes a secret look like something else.
        matches!(self.cause, Cause::Syntax(_) | Cause::Tag | Cause::KeyKind(_))
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
    pub(crate) fn code(&self) -> &'static Code {
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
            Self::Syntax(rule) => rule.code,
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::TooLarge(bytes) => format!(
                "the document has {bytes} bytes, and {} (1 MiB) is the most that is read",
                super::LARGEST_DOCUMENT
            ),
            Self::TooManyValues => {
                "the document holds too many values once its aliases are expanded".to_owned()
            }
            Self::TooDeep => "the document is nested more than 64 levels deep".to_owned(),
            Self::DuplicateKey(key) => format!("the key `{key}` is given twice"),
            Self::KeyKind(kind) => format!("a key of this mapping is {kind}, not a text"),
            Self::Tag => "tags are not supported here".to_owned(),
            Self::LossyNumber => "this number cannot be kept exactly".to_owned(),
            Self::BadMerge => "`<<` takes a mapping or a list of mappings".to_owned(),
            Self::UnknownAnchor => "this alias refers to no anchor of the document".to_owned(),
            Self::Syntax(rule) => rule.ours.to_owned(),
        }
    }

    pub(crate) fn help(&self) -> &'static str {
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
            Self::Syntax(rule) => rule.help,
        }
    }
}
