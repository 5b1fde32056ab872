//! The names that a mix-up would hurt: of connections and of commits.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use icu_normalizer::DecomposingNormalizer;
use serde::{Deserialize, Serialize};

/// Names a connection; two spellings that differ only in case are the same name, as they are
/// for the Management API.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ConnectionName {
    spelled: Arc<str>,
    folded: Arc<str>,
}

impl ConnectionName {
    /// Takes a name as it is spelled; [`problem_with`] says which names the tool refuses.
    pub fn new(spelled: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
        if spelled.bytes().all(plain) {
            let spelled: Arc<str> = Arc::from(spelled);
            return Self { folded: Arc::clone(&spelled), spelled };
        }
        let folded = spelled.to_lowercase();
        let spelled: Arc<str> = Arc::from(spelled);
        let folded = if *folded == *spelled { Arc::clone(&spelled) } else { Arc::from(folded) };
        Self { spelled, folded }
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.spelled
    }

    /// The form that two spellings of one name share; the key of maps and of the state.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// The names of which a server may take two for one: they differ only in Unicode case folding
/// (`I` and the dotless `ı` among it) or in normalisation, compatibility forms
/// among it.
pub(crate) fn lookalikes<'n>(
    names: impl Iterator<Item = &'n ConnectionName>,
) -> BTreeSet<ConnectionName> {
    let names: BTreeSet<&ConnectionName> = names.collect();
    if names.iter().all(|name| name.folded().is_ascii()) {
        return BTreeSet::new();
    }
    let mut by_form: BTreeMap<String, Vec<&ConnectionName>> = BTreeMap::new();
    for name in names {
        by_form.entry(lookalike_form(name.as_str())).or_default().push(name);
    }
    by_form.into_values().filter(|alike| alike.len() > 1).flatten().cloned().collect()
}

/// A form that names share which a server may take for one.
fn lookalike_form(name: &str) -> String {
    let decomposed =
        DecomposingNormalizer::new_nfkd().normalize(name).to_uppercase().to_lowercase();
    // The dot that a capital `İ` leaves behind.
    decomposed.replace('\u{307}', "")
}

/// The words of a name, in ASCII and small letters: split at what is no letter or digit, and at the humps
/// of camel case. A letter without a common spelling in ASCII is left out.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let characters: Vec<char> = name.chars().collect();
    for (index, &c) in characters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| characters.get(i));
        let after = characters.get(index + 1);
        let is_hump = c.is_uppercase()
            && (before.is_some_and(|b| b.is_lowercase() || b.is_numeric())
                || before.is_some_and(|b| b.is_uppercase())
                    && after.is_some_and(|a| a.is_lowercase()));
        if is_hump || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push_str(&in_ascii(c));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn in_ascii(c: char) -> String {
    let spelled = match c {
        'ı' => "i".to_owned(),
        'ß' => "ss".to_owned(),
        'æ' | 'Æ' => "ae".to_owned(),
        'ø' | 'Ø' => "o".to_owned(),
        c if c.is_ascii() => c.to_string(),
        c => DecomposingNormalizer::new_nfkd().normalize(&c.to_string()).into_owned(),
    };
    spelled.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The first few of several names: `a, b and 3 more`.
pub(crate) fn first_few<'n>(names: impl IntoIterator<Item = &'n String>, most: usize) -> String {
    let mut names = names.into_iter();
    let named: Vec<&str> = names.by_ref().take(most).map(String::as_str).collect();
    match names.count() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Says what is wrong with a connection's name, or nothing.
///
/// `/`, `.` and `..` would change the path of a call; control characters and outer spaces are
/// accidents.
pub(crate) fn problem_with(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.trim() != name {
        Some("begins or ends with a space")
    } else if name.contains('/') {
        Some("holds a `/`")
    } else if name.chars().any(char::is_control) {
        Some("holds a control character")
    } else if name == "." || name == ".." {
        Some("is a path step that a URL would swallow")
    } else {
        None
    }
}

impl PartialEq for ConnectionName {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}
impl Eq for ConnectionName {}
impl Hash for ConnectionName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded.hash(state);
    }
}
impl PartialOrd for ConnectionName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ConnectionName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded.cmp(&other.folded)
    }
}
impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}
impl fmt::Debug for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.spelled)
    }
}
impl From<String> for ConnectionName {
    fn from(name: String) -> Self {
        Self::new(&name)
    }
}
impl From<&str> for ConnectionName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}
impl From<ConnectionName> for String {
    fn from(name: ConnectionName) -> Self {
        name.spelled.to_string()
    }
}

/// Names a commit by its full hexadecimal object id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitId(pub String);

impl CommitId {
    /// The first twelve digits, as people quote it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_server_may_take_for_one_are_found() {
        let names = |names: &[&str]| -> Vec<ConnectionName> {
            names.iter().map(|name| ConnectionName::new(name)).collect()
        };
        for pair in
            [["caf\u{e9}", "cafe\u{301}"], ["mail", "ma\u{131}l"], ["stra\u{df}e", "strasse"]]
        {
            let [one, other] = pair;
            let both = names(&[one, other, "another"]);
            assert_eq!(lookalikes(both.iter()).len(), 2, "{one} {other}");
        }
        let apart = names(&["mail", "Mail", "mails", "cafe", "caf\u{e9}"]);
        assert!(lookalikes(apart.iter()).is_empty());
    }
}
