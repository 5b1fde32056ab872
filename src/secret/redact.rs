//! Replacing every known secret in text that somebody else wrote.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::SENSITIVE;
use super::shown::Shown;

/// Knows the secrets of a run, resolved or read, and replaces them in what a server says: as
/// they are, JSON-escaped, percent-encoded and in base64.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

/// How many secrets that took each other's place are remembered: what is on its way may still hold
/// an older one.
const SUCCESSORS: usize = 4;

#[derive(Default)]
struct Known {
    secrets: HashSet<String>,
    // Those that others take the place of, the newest last, by the hash of what they are.
    passing: HashMap<u64, Vec<String>>,
    hasher: RandomState,
    // Built of all their forms when first asked for, and dropped when a secret is added: errors
    // are rare.
    searcher: Option<Arc<AhoCorasick>>,
    // The same of nothing but themselves.
    shown: Option<Arc<Shown>>,
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
            (known.searcher, known.shown) = (None, None);
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
        (known.searcher, known.shown) = (None, None);
    }

    /// Replaces every known secret in a text; a text that still shows one, in a form that nobody
    /// thought of, is replaced whole.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let redacted = self.without_forms(text);
        if self.is_shown_in(&redacted) { SENSITIVE.to_owned() } else { redacted }
    }

    fn without_forms(&self, text: &str) -> String {
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

    /// Whether a text that somebody typed shows a known secret, in whatever form.
    #[must_use]
    pub fn is_shown_in(&self, text: &str) -> bool {
        self.is_shown(|shown| shown.is_in(text))
    }

    /// The same of a connection's name, where short words are not taken for secrets.
    #[must_use]
    pub fn is_shown_in_name(&self, name: &str) -> bool {
        self.is_shown(|shown| shown.is_in_name(name))
    }

    fn is_shown(&self, ask: impl Fn(&Shown) -> bool) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.all().next().is_none() || known.shown.is_some() {
            return known.shown.as_deref().is_some_and(ask);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.shown = Shown::of(known.all()).map(Arc::new);
        known.shown.as_deref().is_none_or(ask)
    }

    /// The same of all texts and keys in a value, and of numbers that are not short.
    #[must_use]
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
        let forms: HashSet<String> = known.all().flat_map(|secret| forms(secret)).collect();
        let built = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&forms)
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
        utf8_percent_encode(secret, COMPONENT).to_string(),
        utf8_percent_encode(secret, PATH).to_string(),
        utf8_percent_encode(secret, URI).to_string(),
        html_escaped(secret),
    ];
    forms.extend(forms.clone().iter().map(|form| with_lower_escapes(form)));
    let quoted = quoted[1..quoted.len() - 1].to_owned();
    let mut json = vec![quoted.clone()];
    json.extend(SAFE_IN_HTML.map(|escapes| escaped_for_html(&quoted, escapes)));
    json.extend(json.clone().iter().map(|form| ascii_escaped(form, false)));
    json.extend(json.clone().iter().map(|form| ascii_escaped(form, true)));
    // Text that is quoted in a text that is quoted.
    json.extend(json.clone().into_iter().map(|form| {
        let again = Value::String(form).to_string();
        again[1..again.len() - 1].to_owned()
    }));
    forms.extend(json);
    let html = html_escaped(secret);
    forms.push(html.replace("&quot;", "\""));
    forms.extend(["&#39;", "&#x27;"].map(|quote| html.replace('\'', quote)));
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        forms.push(engine.encode(secret));
    }
    for before in 0..=2 {
        forms.extend(base64_after(before, secret));
    }
    forms.retain(|form| !form.is_empty());
    forms
}

/// Shorter numbers are ports and counts that anything may have.
const SHORTEST_NUMBER: usize = 4;

/// Shorter pieces would strike text that has nothing to do with the secret.
const SHORTEST_PIECE: usize = 8;

/// What base64 of a longer text shows of a secret in it, where `before` bytes more than whole
/// groups of three come first, as a name before the password of `Authorization: Basic`.
fn base64_after(before: usize, secret: &str) -> Vec<String> {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let bytes = [&b"\0\0"[..before], secret.as_bytes()].concat();
    // Only the characters that are the secret's alone: each holds six bits.
    let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    let pieces = [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)];
    let pieces = pieces.iter().filter_map(|text| text.get(first..end));
    pieces.filter(|piece| piece.len() >= SHORTEST_PIECE).map(str::to_owned).collect()
}

/// The same text with its percent escapes in small letters.
fn with_lower_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        lower.push('%');
        match part.split_at_checked(2) {
            Some((escape, rest)) => {
                lower.push_str(&escape.to_ascii_lowercase());
                lower.push_str(rest);
            }
            None => lower.push_str(part),
        }
    }
    lower
}

/// What JSON encoders escape that make texts which are safe in HTML: those of Go and of Gson.
const SAFE_IN_HTML: [&[char]; 2] = [&['<', '>', '&'], &['<', '>', '&', '=', '\'']];

fn escaped_for_html(json: &str, escapes: &[char]) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if escapes.contains(&character) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// JSON as servers write it that escape everything beyond ASCII.
fn ascii_escaped(json: &str, upper: bool) -> String {
    let mut escaped = String::with_capacity(json.len());
    let mut units = [0; 2];
    for character in json.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut units) {
            let text = if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
            escaped.push_str(&text);
        }
    }
    escaped
}

/// What RFC 3986 leaves as it is.
const UNRESERVED: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What `encodeURIComponent` leaves as it is.
const COMPONENT: &percent_encoding::AsciiSet =
    &UNRESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');

/// What is left as it is in a path.
const PATH: &percent_encoding::AsciiSet = &UNRESERVED.remove(b'/');

/// What `encodeURI` leaves as it is.
const URI: &percent_encoding::AsciiSet = &COMPONENT
    .remove(b';')
    .remove(b',')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b'#');

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
    fn json_that_is_safe_in_html_is_known_too() {
        let redactor = Redactor::default();
        redactor.learn("a<b>&c'd=\u{fc}");
        for said in [
            r"a\u003cb\u003e\u0026c'd=\u00fc",
            r"a\u003cb\u003e\u0026c\u0027d\u003dü",
            r"a\\u003cb\\u003e\\u0026c'd=\\u00FC",
            "a&lt;b&gt;&amp;c&#39;d=ü",
        ] {
            assert_eq!(redactor.redact(said), SENSITIVE, "{said}");
        }
    }

    #[test]
    fn a_secret_inside_other_base64_is_not_shown() {
        use base64::engine::general_purpose::STANDARD;
        let redactor = Redactor::default();
        redactor.learn("hunter2-and-more");
        for before in ["", "u", "us", "use", "user:"] {
            let said = STANDARD.encode(format!("{before}hunter2-and-more:tail"));
            let redacted = redactor.redact(&said);
            assert!(redacted.contains(SENSITIVE), "{before}: {redacted}");
        }
    }

    #[test]
    fn what_shows_a_secret_in_a_mixed_form_is_replaced_whole() {
        let redactor = Redactor::default();
        redactor.learn("p\"ä/s w%rd");
        for form in [r"p&quot;ä/s w%rd", r"p\u0022ä\/s w%rd", "p%22%C3%A4/s+w%25rd"] {
            let said = redactor.redact(&format!("bad value <{form}>!"));
            assert!(said.contains(SENSITIVE) && !said.contains("rd"), "{said}");
        }
    }

    #[test]
    fn what_is_learnt_later_is_found_too() {
        let redactor = Redactor::default();
        assert!(!redactor.is_shown_in("hunter2-and-more"));
        redactor.learn("hunter2-and-more");
        assert!(redactor.is_shown_in("it is hunter2-and-more"));
        redactor.learn("another-one");
        assert!(redactor.is_shown_in("or another-one"));
    }

    #[test]
    fn of_secrets_that_take_each_others_place_the_last_few_are_known() {
        let redactor = Redactor::default();
        for number in 0..1000 {
            redactor.learn_next("a token", &format!("token-{number}-"));
            redactor.learn_next("another", &format!("other-{number}-"));
            let shown = |back: i32| redactor.is_shown_in(&format!("token-{}-", number - back));
            assert!(shown(0) && (number == 0 || shown(1)) && !shown(4));
        }
        assert_eq!(redactor.redact("token-999- other-998-"), "(sensitive) (sensitive)");
        assert_eq!(redactor.known.read().unwrap().all().count(), 8);
    }

    #[test]
    fn a_secret_inside_another_does_not_leave_its_rest() {
        let redactor = Redactor::default();
        redactor.learn("abc");
        redactor.learn("abcdef");
        assert_eq!(redactor.redact("abcdef abc"), format!("{SENSITIVE} {SENSITIVE}"));
    }
}
