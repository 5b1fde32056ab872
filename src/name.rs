//! The names that a mix-up would hurt: of connections and of commits.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

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
    #[must_use]
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
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.spelled
    }

    /// The form that two spellings of one name share; the key of maps and of the state.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// Says what is wrong with a connection's name, or nothing.
///
/// `/`, `.` and `..` would change the path of a call; control characters and outer spaces are
/// accidents.
#[must_use]
pub fn problem_with(name: &str) -> Option<&'static str> {
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

/// The names that are not among others, where both come in their order: to walk along both is
/// faster than to look each one up.
pub(crate) fn missing<'n, 'o>(
    names: impl Iterator<Item = &'n ConnectionName>,
    among: impl Iterator<Item = &'o ConnectionName>,
) -> impl Iterator<Item = &'n ConnectionName> {
    let mut among = among.peekable();
    names.filter(move |name| {
        while among.next_if(|other| *other < *name).is_some() {}
        among.peek().is_none_or(|other| *other != *name)
    })
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
    #[must_use]
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
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_missing_is_the_difference(
            names in prop::collection::btree_set("[a-cA-C]{1,2}", 0..9),
            among in prop::collection::btree_set("[a-cA-C]{1,2}", 0..9),
        ) {
            let named = |texts: BTreeSet<String>| -> BTreeSet<ConnectionName> {
                texts.into_iter().map(ConnectionName::from).collect()
            };
            let (names, among) = (named(names), named(among));
            let found: Vec<_> = missing(names.iter(), among.iter()).collect();
            prop_assert_eq!(found, names.difference(&among).collect::<Vec<_>>());
        }
    }
}
