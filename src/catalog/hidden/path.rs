//! Where the scanner is in a connection.

use std::fmt::Write as _;

/// A path into a connection; its pointer is only written out where something is found.
pub(super) struct Path<'a> {
    pub(super) parent: Option<&'a Path<'a>>,
    pub(super) step: Step<'a>,
}

pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Key(key) }
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }

    pub(super) fn pointer(&self) -> String {
        let mut pointer = self.parent.map(Self::pointer).unwrap_or_default();
        match self.step {
            Step::Key(key) => {
                pointer.push('/');
                pointer.push_str(&crate::pointer::escaped(key));
            }
            // Writing to a string cannot fail.
            Step::Index(index) => write!(pointer, "/{index}").unwrap_or_default(),
        }
        pointer
    }

    /// The top-level field.
    pub(super) fn top(&self) -> &str {
        match (self.parent, &self.step) {
            (Some(parent), _) => parent.top(),
            (None, Step::Key(key)) => key,
            (None, Step::Index(_)) => "",
        }
    }
}
