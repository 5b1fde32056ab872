//! Which connections a narrowed run looks at.

use globset::{GlobBuilder, GlobMatcher};

use crate::name::ConnectionName;

/// `--name` and `--type`. A narrowed run changes nothing outside, and moves no commit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    names: Vec<(ConnectionName, GlobMatcher)>,
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
    /// Takes the patterns of `--name` and the types of `--type`.
    ///
    /// # Errors
    /// A pattern cannot be read.
    pub fn new(patterns: &[String], types: &[String]) -> Result<Self, BadPattern> {
        let compile = |pattern: &String| {
            let glob = GlobBuilder::new(pattern).case_insensitive(true).build().map_err(|e| {
                BadPattern { pattern: pattern.clone(), problem: e.kind().to_string() }
            })?;
            Ok((ConnectionName::new(pattern), glob.compile_matcher()))
        };
        let names = patterns.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { names, types: types.to_vec() })
    }

    /// Whether the run is narrowed at all.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        !self.names.is_empty() || !self.types.is_empty()
    }

    /// Whether connections of a type are looked at.
    #[must_use]
    pub fn admits_type(&self, type_name: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|t| t == type_name)
    }

    /// Whether a connection is looked at. A name that is written out matches itself even where
    /// it holds characters that mean something in a pattern.
    #[must_use]
    pub fn admits(&self, type_name: &str, name: &ConnectionName) -> bool {
        self.admits_type(type_name)
            && (self.names.is_empty() || self.names(name) || self.matches(name))
    }

    /// Whether `--name` is the exact name of this connection, and not a pattern that matches it.
    #[must_use]
    pub fn names(&self, name: &ConnectionName) -> bool {
        self.names.iter().any(|(written_out, _)| written_out == name)
    }

    fn matches(&self, name: &ConnectionName) -> bool {
        self.names.iter().any(|(_, glob)| glob.is_match(name.as_str()))
    }
}
