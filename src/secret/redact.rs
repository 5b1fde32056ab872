//! Replacing every known secret in text that somebody else wrote, as it is and in the readings of
//! programs that take escapes out of it.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::hash::{Hash, RandomState};
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, BuildError};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use parking_lot::RwLock;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::{Position, Url};

use super::SENSITIVE;

/// Knows the secrets of a run, resolved or read, and finds them in what a server says: as they are,
/// and inside JSON escapes, HTML entities, percent-encoding, base64 and hexadecimal digits.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<KnownSecrets>>,
}

/// How many secrets are remembered that took each other's place: an answer that is on its way may still
/// hold an older one.
const SUCCESSORS: usize = 4;

/// Shorter secrets in a value count only where they stand as a word of their own, or as the whole
/// text: inside words they would strike text that has nothing to do with them.
const SHORTEST_PIECE: usize = 8;

/// Shorter secrets in a value count only as the whole text.
const SHORTEST_WORD: usize = 4;

/// Shorter secrets are not looked for in decoded base64 and hexadecimal digits, unless they are the whole of
/// it: any word may be taken for such digits.
const SHORTEST_PACKED: usize = 3;

/// Shorter numbers are ports and counts that anything may have.
const SHORTEST_NUMBER: usize = 4;

/// Longer texts of other programs are not looked into: it takes seconds to find what a secret may look like in them.
const LONGEST_READ: usize = 64 * 1024;

#[derive(Default)]
struct KnownSecrets {
    secrets: HashSet<String>,
    // Tokens and the like, which newer ones replace: the newest last, by the hash of their purpose.
    passing: HashMap<u64, Vec<String>>,
    hasher: RandomState,
    // Built when first asked for, and dropped when a secret is added: errors are rare.
    searcher: Option<Arc<AhoCorasick>>,
}

impl KnownSecrets {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.secrets.iter().chain(self.passing.values().flatten())
    }
}

impl Redactor {
    /// Remembers a secret. An empty text is none.
    pub fn learn(&self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let mut known = self.known.write();
        if !known.secrets.contains(secret) {
            known.secrets.insert(secret.to_owned());
            known.searcher = None;
        }
    }

    /// Remembers a secret that takes the place of earlier ones, such as a token; `what` says of
    /// what. Only the last few stay, so that one that is often renewed does not fill the memory.
    pub fn learn_next(&self, what: impl Hash, secret: &str) {
        let mut known = self.known.write();
        let what = known.hasher.hash_one(what);
        let earlier = known.passing.get(&what);
        if secret.is_empty() || earlier.is_some_and(|all| all.iter().any(|one| one == secret)) {
            return;
        }
        let all = known.passing.entry(what).or_default();
        if all.len() >= SUCCESSORS {
            all.remove(0);
        }
        all.push(secret.to_owned());
        known.searcher = None;
    }

    /// Replaces every known secret in a text, in whatever form it stands there.
    pub fn redact(&self, text: &str) -> String {
        let searcher = match self.searcher() {
            Ok(Some(searcher)) => searcher,
            Ok(None) => return text.to_owned(),
            Err(_) => return SENSITIVE.to_owned(),
        };
        let mut found: Vec<Range<usize>> = Vec::new();
        each_reading(text, &mut |reading| {
            let length = reading.bytes.len();
            for secret in searcher.find_overlapping_iter(&reading.bytes) {
                if !reading.is_packed || secret.len() >= SHORTEST_PACKED || secret.len() == length {
                    found.push(reading.place(secret.range()));
                }
            }
        });
        found.sort_by_key(|range| range.start);
        let mut redacted = String::with_capacity(text.len());
        let mut shown_to = 0;
        for range in found {
            if range.start > shown_to || redacted.is_empty() {
                redacted.push_str(text.get(shown_to..range.start).unwrap_or_default());
                redacted.push_str(SENSITIVE);
            }
            shown_to = shown_to.max(range.end);
        }
        redacted.push_str(text.get(shown_to..).unwrap_or_default());
        redacted
    }

    /// The same of words that another program says: of a huge text only its size is told.
    pub(crate) fn redact_words(&self, text: &str) -> String {
        if text.len() > LONGEST_READ {
            return format!("(a text of {} bytes)", text.len());
        }
        self.redact(text)
    }

    /// Whether a text that somebody typed shows a known secret, in whatever form.
    pub fn is_shown_in(&self, text: &str) -> bool {
        self.is_shown(text, SHORTEST_WORD)
    }

    /// The same of a connection's name, whose words are short ones that stand for much else, such
    /// as a stage.
    pub fn is_shown_in_name(&self, name: &str) -> bool {
        self.is_shown(name, SHORTEST_PIECE)
    }

    fn is_shown(&self, text: &str, shortest_word: usize) -> bool {
        // Where secrets cannot be looked for, any text may show one.
        let Ok(searcher) = self.searcher() else { return true };
        let Some(searcher) = searcher else { return false };
        let mut is_shown = false;
        each_reading(text, &mut |reading| {
            is_shown = is_shown || shows(&searcher, &reading.bytes, shortest_word);
        });
        is_shown
    }

    /// The same of all texts and keys in a value, and of numbers that are not short.
    pub fn is_shown_by(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_shown_in(text),
            Value::Number(number) => {
                let text = number.to_string();
                text.len() >= SHORTEST_NUMBER && self.is_shown_in(&text)
            }
            Value::Array(items) => items.iter().any(|item| self.is_shown_by(item)),
            Value::Object(map) => {
                map.iter().any(|(key, inner)| self.is_shown_in(key) || self.is_shown_by(inner))
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Finds the known secrets; `None`: there are none.
    fn searcher(&self) -> Result<Option<Arc<AhoCorasick>>, BuildError> {
        {
            let known = self.known.read();
            if known.searcher.is_some() || known.all().next().is_none() {
                return Ok(known.searcher.clone());
            }
        }
        let mut known = self.known.write();
        let built = AhoCorasick::new(known.all().flat_map(|secret| forms(secret)))?;
        known.searcher = Some(Arc::new(built));
        Ok(known.searcher.clone())
    }
}

/// A secret as it may stand in a text: whole, line by line, since who repeats it may end or join lines
/// otherwise, and the parts of a URL, which many a server repeats without its host.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    const SHORTEST_LINE: usize = 12;
    let mut forms = vec![secret.into()];
    if secret.contains(['\n', '\r']) {
        let is_telling = |line: &&str| line.len() >= SHORTEST_LINE && !line.starts_with("-----");
        forms.extend(secret.lines().map(str::trim).filter(is_telling).map(Into::into));
    } else if let Ok(url) = Url::parse(secret) {
        forms.extend(telling_parts(&url));
    }
    forms
}

/// The parts of a URL that may tell who may call it, without escapes: texts are read without them too.
fn telling_parts(url: &Url) -> Vec<Vec<u8>> {
    if url.cannot_be_a_base() {
        return Vec::new();
    }
    // A plain word of a path is no part of its own: it would be struck wherever somebody uses the word.
    let is_plain = |sign: u8| sign.is_ascii_lowercase() || b"-_.".contains(&sign);
    let segments = url.path().split('/').filter(|segment| !segment.bytes().all(is_plain));
    let mut parts: Vec<Vec<u8>> = [&url[Position::BeforePath..], url.path(), url.username()]
        .into_iter()
        .chain(segments)
        .map(|part| percent_decode_str(part).collect())
        .collect();
    parts.extend(url.query_pairs().map(|(_, value)| value.as_bytes().into()));
    parts.retain(|part| part.len() >= SHORTEST_PIECE);
    let password = url.password().filter(|password| password.len() >= SHORTEST_WORD);
    parts.extend(password.map(|password| percent_decode_str(password).collect()));
    parts
}

/// Whether a secret stands in a text as a word of its own, or is too long to be there by chance.
fn shows(searcher: &AhoCorasick, text: &[u8], shortest_word: usize) -> bool {
    let is_part_of_word = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    searcher.find_overlapping_iter(text).any(|found| {
        let before = found.start().checked_sub(1).and_then(|at| text.get(at));
        let is_word = !is_part_of_word(before) && !is_part_of_word(text.get(found.end()));
        found.len() >= SHORTEST_PIECE
            || found.len() == text.len()
            || (found.len() >= shortest_word && is_word)
    })
}

/// A text as a program understands it.
struct Reading {
    bytes: Vec<u8>,
    /// The place of each byte in the text as it is written; `None`: each stands where it is.
    places: Option<Vec<Range<usize>>>,
    /// Whether it was read out of base64 or hexadecimal digits, which any word may be taken for.
    is_packed: bool,
}

impl Reading {
    /// Where in the text as it is written some of the bytes stand.
    fn place(&self, bytes: Range<usize>) -> Range<usize> {
        let Some(places) = &self.places else { return bytes };
        let start = places.get(bytes.start).map_or(0, |place| place.start);
        let last = bytes.end.checked_sub(1).and_then(|last| places.get(last));
        start..last.map_or(start, |place| place.end)
    }

    /// Shows itself and the packed texts in it, and the same of its readings without one kind of escape, up
    /// to so many kinds.
    fn show(&self, escapes: u8, look: &mut dyn FnMut(&Self)) {
        look(self);
        self.unpack(look);
        for (_, escape) in ESCAPES.iter().filter(|(mark, _)| self.bytes.contains(mark)) {
            if escapes > 0
                && let Some(further) = self.without(*escape)
            {
                further.show(escapes - 1, look);
            }
        }
    }

    /// Takes one kind of escape out; `None` where there is none.
    fn without(&self, escape: Escape) -> Option<Self> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut places = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        let mut is_other = false;
        while let Some(rest) = self.bytes.get(at..)
            && let Some(&first) = rest.first()
        {
            let length = escape(rest, &mut bytes);
            is_other |= length > 0;
            if length == 0 {
                bytes.push(first);
            }
            let place = self.place(at..at + length.max(1));
            places.resize(bytes.len(), place);
            at += length.max(1);
        }
        is_other.then_some(Self { bytes, places: Some(places), is_packed: false })
    }

    /// The reading of bytes whose digits hold so many bits each, `digits` of them from `start` on.
    fn unpacked(&self, bytes: Vec<u8>, start: usize, bits: usize) -> Self {
        let place = |at: usize| {
            let first = start + at * 8 / bits;
            self.place(first..start + ((at + 1) * 8).div_ceil(bits))
        };
        let places = (0..bytes.len()).map(place).collect();
        Self { bytes, places: Some(places), is_packed: true }
    }

    /// Reads its runs of base64 and of hexadecimal digits. A word before them may have been
    /// taken for a part of them, so each is read from several digits on.
    fn unpack(&self, look: &mut dyn FnMut(&Self)) {
        for run in runs(&self.bytes, |b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b)) {
            let digits: Vec<u8> = self.bytes[run.clone()]
                .iter()
                .map(|digit| match digit {
                    b'-' => b'+',
                    b'_' => b'/',
                    other => *other,
                })
                .collect();
            for skipped in 0..4.min(digits.len()) {
                let rest = &digits[skipped..];
                // A single digit too many is no group.
                let whole = rest.len() - usize::from(rest.len() % 4 == 1);
                if let Ok(bytes) = UNPADDED.decode(&rest[..whole]) {
                    look(&self.unpacked(bytes, run.start + skipped, 6));
                }
            }
        }
        for run in runs(&self.bytes, |b| b.is_ascii_hexdigit()) {
            for skipped in 0..2 {
                let digits = self.bytes.get(run.start + skipped..run.end).unwrap_or_default();
                let bytes = digits.chunks_exact(2).filter_map(hex_byte).collect();
                look(&self.unpacked(bytes, run.start + skipped, 4));
            }
        }
    }
}

/// Looks at all readings of a text, one by one: all at once are a hundred times as large.
fn each_reading(text: &str, look: &mut dyn FnMut(&Reading)) {
    let bytes = text.as_bytes().to_vec();
    // Text that is quoted in a text that is quoted needs it twice.
    Reading { bytes, places: None, is_packed: false }.show(2, look);
}

/// Fewer digits hold nothing that could be told from a word.
const SHORTEST_RUN: usize = 4;

/// The longest stretches of such bytes.
fn runs(bytes: &[u8], is_digit: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for end in 0..=bytes.len() {
        if bytes.get(end).is_none_or(|byte| !is_digit(*byte)) {
            if end - start >= SHORTEST_RUN {
                runs.push(start..end);
            }
            start = end + 1;
        }
    }
    runs
}

const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Takes one escape from the beginning of a text: adds what it means, and gives its length, 0 where
/// there is none.
type Escape = fn(&[u8], &mut Vec<u8>) -> usize;

/// The kinds of escapes. A text that lacks the byte of a kind has none of that kind, or the same as of an
/// earlier kind.
const ESCAPES: [(u8, Escape); 4] = [(b'\\', json), (b'&', html), (b'%', percent), (b'+', form)];

fn percent(text: &[u8], out: &mut Vec<u8>) -> usize {
    let byte = text.strip_prefix(b"%").and_then(|digits| hex_byte(digits.get(..2)?));
    out.extend(byte);
    if byte.is_some() { 3 } else { 0 }
}

/// Percent-encoding as forms have it.
fn form(text: &[u8], out: &mut Vec<u8>) -> usize {
    if text.starts_with(b"+") {
        out.push(b' ');
        return 1;
    }
    percent(text, out)
}

fn json(text: &[u8], out: &mut Vec<u8>) -> usize {
    let Some([kind, ..]) = text.strip_prefix(b"\\") else { return 0 };
    let plain = match kind {
        b'u' => return json_unicode(text, out),
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        itself => *itself,
    };
    out.push(plain);
    2
}

fn json_unicode(text: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix(b"\\u")?.get(..4)?;
        Some(u16::from_be_bytes([hex_byte(&digits[..2])?, hex_byte(&digits[2..])?]))
    };
    let Some(first) = unit(0) else { return 0 };
    // Two escapes may be one character, as UTF-16 has it.
    let (units, length) = match unit(6) {
        Some(second) if (0xd800..0xdc00).contains(&first) => (vec![first, second], 12),
        _ => (vec![first], 6),
    };
    out.extend(String::from_utf16_lossy(&units).bytes());
    length
}

fn html(text: &[u8], out: &mut Vec<u8>) -> usize {
    const NAMED: [(&[u8], char); 5] =
        [(b"lt", '<'), (b"gt", '>'), (b"quot", '"'), (b"apos", '\''), (b"amp", '&')];
    /// Leading zeros included.
    const LONGEST: usize = 12;
    if !text.starts_with(b"&") {
        return 0;
    }
    let Some(end) = text.iter().take(LONGEST).position(|byte| *byte == b';') else { return 0 };
    let name = &text[1..end];
    let number = |digits: &[u8], radix: u32| {
        let number = u32::from_str_radix(str::from_utf8(digits).ok()?, radix).ok()?;
        char::from_u32(number)
    };
    let meant = match name {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        name => NAMED.iter().find(|(known, _)| *known == name).map(|(_, meant)| *meant),
    };
    let Some(meant) = meant else { return 0 };
    out.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes());
    end + 1
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests;
