//! Replacing every known secret in text that somebody else wrote.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::SENSITIVE;

/// Knows the secrets of a run, resolved or read, and replaces them in what a server says: as
/// they are, JSON-escaped, percent-encoded and in base64.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    forms: HashSet<String>,
    // Built when first asked for and dropped when a secret is added: errors are rare.
    searcher: Option<Arc<AhoCorasick>>,
}

impl Redactor {
    /// Remembers a secret. An empty text is none.
    pub fn learn(&self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.forms.contains(secret) {
            return;
        }
        for form in forms(secret) {
            known.forms.insert(form);
        }
        known.searcher = None;
    }

    /// Remembers every text inside a value.
    pub fn learn_all(&self, value: &Value) {
        match value {
            Value::String(text) => self.learn(text),
            Value::Array(items) => items.iter().for_each(|v| self.learn_all(v)),
            Value::Object(map) => map.values().for_each(|v| self.learn_all(v)),
            Value::Number(number) => self.learn(&number.to_string()),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Replaces every known secret in a text.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        match self.searcher() {
            Some(searcher) => {
                let mut out = String::with_capacity(text.len());
                searcher.replace_all_with(text, &mut out, |_, _, out| {
                    out.push_str(SENSITIVE);
                    true
                });
                out
            }
            None => text.to_owned(),
        }
    }

    fn searcher(&self) -> Option<Arc<AhoCorasick>> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.forms.is_empty() {
                return None;
            }
            if let Some(searcher) = &known.searcher {
                return Some(Arc::clone(searcher));
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let built = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&known.forms)
            .ok()
            .map(Arc::new);
        known.searcher.clone_from(&built);
        built
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

fn forms(secret: &str) -> Vec<String> {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    let quoted = Value::String(secret.to_owned()).to_string();
    let mut forms = vec![
        secret.to_owned(),
        // Without the quotes around it.
        quoted[1..quoted.len() - 1].to_owned(),
        quoted[1..quoted.len() - 1].replace('/', "\\/"),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(secret, UNRESERVED).to_string(),
        utf8_percent_encode(secret, UNRESERVED).to_string().replace("%20", "+"),
        utf8_percent_encode(secret, UNRESERVED).to_string().to_lowercase(),
        html_escaped(secret),
    ];
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        forms.push(engine.encode(secret));
    }
    forms.retain(|form| !form.is_empty());
    forms
}

/// What RFC 3986 leaves as it is.
const UNRESERVED: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn html_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_replaced() {
        let redactor = Redactor::default();
        let secret = "p\"ä/s w%rd";
        redactor.learn(secret);
        for form in forms(secret) {
            let said = redactor.redact(&format!("bad value <{form}>!"));
            assert_eq!(said, format!("bad value <{SENSITIVE}>!"), "{form}");
        }
        assert_eq!(redactor.redact("nothing here"), "nothing here");
    }

    #[test]
    fn a_secret_inside_another_does_not_leave_its_rest() {
        let redactor = Redactor::default();
        redactor.learn("abc");
        redactor.learn("abcdef");
        assert_eq!(redactor.redact("abcdef abc"), format!("{SENSITIVE} {SENSITIVE}"));
    }
}
