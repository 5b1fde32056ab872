//! Replacing every known secret in text that somebody else wrote.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::AhoCorasick;
use serde_json::Value;

use super::SENSITIVE;
use super::readings::{Reading, readings};

/// Knows the secrets of a run, resolved or read, and finds them in what a server says: as they are,
/// and inside JSON escapes, HTML entities, percent-encoding, base64 and hexadecimal digits.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

/// How many secrets that took each other's place are remembered: what is on its way may still hold
/// an older one.
const SUCCESSORS: usize = 4;

/// Shorter secrets in a value count only where they stand as a word of their own, or as the whole
/// text: inside words they would strike text that has nothing to do with them.
const SHORTEST_PIECE: usize = 8;

/// Shorter secrets in a value count only as the whole text.
const SHORTEST_WORD: usize = 4;

/// Shorter secrets are not looked for in what base64 and hexadecimal digits may hold, save as all of
/// it: any word may be taken for such digits.
const SHORTEST_PACKED: usize = 3;

/// Shorter numbers are ports and counts that anything may have.
const SHORTEST_NUMBER: usize = 4;

#[derive(Default)]
struct Known {
    secrets: HashSet<String>,
    // Those that others take the place of, the newest last, by the hash of what they are.
    passing: HashMap<u64, Vec<String>>,
    hasher: RandomState,
    // Built when first asked for, and dropped when a secret is added: errors are rare.
    searcher: Option<Arc<AhoCorasick>>,
}

impl Known {
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
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if !known.secrets.contains(secret) {
            known.secrets.insert(secret.to_owned());
            known.searcher = None;
        }
    }

    /// Remembers a secret that takes the place of earlier ones, such as a token; `what` says of
    /// what. Of those only the last few stay, so that a process that runs for ever does not grow.
    pub fn learn_next(&self, what: impl Hash, secret: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
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
        let Some(searcher) = self.searcher() else { return text.to_owned() };
        let mut found: Vec<Range<usize>> = Vec::new();
        for reading in readings(text) {
            let length = reading.bytes.len();
            for secret in searcher.find_overlapping_iter(&reading.bytes) {
                if !reading.is_packed || secret.len() >= SHORTEST_PACKED || secret.len() == length {
                    found.push(reading.place(secret.range()));
                }
            }
        }
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
        let Some(searcher) = self.searcher() else { return false };
        let shows = |reading: &Reading| shows(&searcher, &reading.bytes, shortest_word);
        readings(text).iter().any(shows)
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

    fn searcher(&self) -> Option<Arc<AhoCorasick>> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.all().next()?;
            if let Some(searcher) = &known.searcher {
                return Some(Arc::clone(searcher));
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let built = AhoCorasick::new(known.all()).ok().map(Arc::new);
        known.searcher.clone_from(&built);
        built
    }
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

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

#[cfg(test)]
mod tests;
