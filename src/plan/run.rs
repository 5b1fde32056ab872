//! The requests of a run: which connections it looks at, and what it consents to.

use globset::{GlobBuilder, GlobMatcher};

use super::Entry;
use crate::name::ConnectionName;

/// The requests of a run.
#[derive(Clone, Debug, Default)]
pub struct RunRequests {
    /// `--name` and `--type`.
    pub filter: Filter,
    /// `--allow-deletes`: consent to changes that a limit, an absent path or the working tree holds.
    pub allow_deletes: bool,
    /// `--allow-delete NAME`: consent to the delete or replace of these names, which no commit asked for.
    pub allow_delete: Vec<ConnectionName>,
    /// `--allow RULE`: consent to changes that these rules of the user hold.
    pub allow: Vec<String>,
    /// Whether degraded connections are written again before their pause is over.
    pub degraded_at_once: bool,
}

/// `--name` and `--type`. A narrowed run changes nothing outside, and moves no commit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    names: Vec<(ConnectionName, Option<GlobMatcher>)>,
    types: Vec<String>,
}

impl Filter {
    /// Takes the patterns of `--name` and the types of `--type`. What is no pattern, `[x` for
    /// example, is a name all the same: the connection that has it can be asked for.
    pub fn new(patterns: &[String], types: &[String]) -> Self {
        let compile = |pattern: &String| {
            let glob = GlobBuilder::new(pattern).case_insensitive(true).build().ok();
            (ConnectionName::new(pattern), glob.map(|glob| glob.compile_matcher()))
        };
        Self { names: patterns.iter().map(compile).collect(), types: types.to_vec() }
    }

    /// Whether the run is narrowed at all.
    pub fn is_narrow(&self) -> bool {
        !self.names.is_empty() || !self.types.is_empty()
    }

    /// The patterns of `--name` that match none of these connections, or "the filter" where there are
    /// none.
    pub fn without_match(&self, entries: &[Entry]) -> Vec<String> {
        if self.is_narrow() && entries.is_empty() {
            return vec!["the filter".to_owned()];
        }
        let has_match = |name: &ConnectionName, glob: Option<&GlobMatcher>| {
            let is_match = |one: &Entry| {
                one.name == *name || glob.is_some_and(|glob| glob.is_match(one.name.as_str()))
            };
            entries.iter().any(is_match)
        };
        let names = self.names.iter().filter(|(name, glob)| !has_match(name, glob.as_ref()));
        names.map(|(name, _)| format!("`--name {name}`")).collect()
    }

    /// Whether connections of a type are looked at.
    pub fn admits_type(&self, type_name: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|t| t == type_name)
    }

    /// Whether a connection is looked at. A name that is written out matches itself even where
    /// it holds characters that mean something in a pattern.
    pub fn admits(&self, type_name: &str, name: &ConnectionName) -> bool {
        self.admits_type(type_name)
            && (self.names.is_empty() || self.names(name) || self.matches(name))
    }

    /// Whether `--name` is the exact name of this connection, and not a pattern that matches it.
    fn names(&self, name: &ConnectionName) -> bool {
        self.names.iter().any(|(written_out, _)| written_out == name)
    }

    fn matches(&self, name: &ConnectionName) -> bool {
        self.names.iter().filter_map(|(_, glob)| glob.as_ref()).any(|g| g.is_match(name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_written_out() {
        for name in ["[x", "{y", "a\\", "a[b]", "a{b,c}", "*", "?", "[!a]", "ü"] {
            let filter = Filter::new(&[name.to_owned()], &[]);
            let name = ConnectionName::new(name);
            assert!(filter.admits("email", &name) && filter.names(&name), "{name}");
        }
        let filter = Filter::new(&["[x".to_owned(), "a*".to_owned()], &[]);
        for (name, is_admitted) in [("[X", true), ("[xy", false), ("AB", true), ("x", false)] {
            assert_eq!(filter.admits("email", &ConnectionName::new(name)), is_admitted, "{name}");
        }
    }
}
