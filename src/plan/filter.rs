//! Which connections a narrowed run looks at.

use globset::{GlobBuilder, GlobMatcher};

use crate::name::ConnectionName;

/// `--name` and `--type`. A narrowed run changes nothing outside, and moves no commit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    name: Option<(String, GlobMatcher)>,
    types: Vec<String>,
}

/// A `--name` that is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is not a pattern for names: {problem}")]
pub struct BadPattern {
    pattern: String,
    problem: String,
}

impl Filter {
    /// Takes the pattern of `--name`, where there is one, and the types of `--type`.
    ///
    /// # Errors
    /// The pattern cannot be read.
    pub fn new(name: Option<&str>, types: &[String]) -> Result<Self, BadPattern> {
        let name = match name {
            None => None,
            Some(pattern) => {
                let glob = GlobBuilder::new(pattern).case_insensitive(true).build().map_err(|e| {
                    BadPattern { pattern: pattern.to_owned(), problem: e.kind().to_string() }
                })?;
                Some((pattern.to_owned(), glob.compile_matcher()))
            }
        };
        Ok(Self { name, types: types.to_vec() })
    }

    /// Whether the run is narrowed at all.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.name.is_some() || !self.types.is_empty()
    }

    /// Whether a connection is looked at. A name that is written out matches itself even where
    /// it holds characters that mean something in a pattern.
    #[must_use]
    pub fn admits(&self, type_name: &str, name: &ConnectionName) -> bool {
        let by_type = self.types.is_empty() || self.types.iter().any(|t| t == type_name);
        by_type && (self.name.is_none() || self.names(name) || self.matches(name))
    }

    /// Whether `--name` is the exact name of this connection, and not a pattern that matches it.
    #[must_use]
    pub fn names(&self, name: &ConnectionName) -> bool {
        self.name.as_ref().is_some_and(|(pattern, _)| ConnectionName::new(pattern) == *name)
    }

    fn matches(&self, name: &ConnectionName) -> bool {
        self.name.as_ref().is_some_and(|(_, glob)| glob.is_match(name.as_str()))
    }
}
