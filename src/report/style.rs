//! How text is shown: with colour or without, how wide, how much.

use std::fmt::Display;

use anstyle::{AnsiColor, Style as Paint};

/// How a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether colours are used; the symbols carry the meaning without them.
    pub color: bool,
    /// How many columns there are.
    pub width: usize,
    /// Whether the live connections that git neither declares nor owns are listed.
    pub list_unmanaged: bool,
    /// Whether the place of each document is shown, and each name below a reason.
    pub verbose: bool,
    /// Whether each change is one line, without its differences.
    pub summary: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 80, list_unmanaged: false, verbose: false, summary: false }
    }
}

/// The meaning of a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing in particular: no colour.
    Plain,
    /// An addition.
    Added,
    /// A removal.
    Removed,
    /// A change.
    Changed,
    /// A rename.
    Renamed,
    /// A removal and an addition in its place.
    Replaced,
    /// An error.
    Wrong,
    /// A warning.
    Attention,
    /// A detail that can be skipped.
    Aside,
    /// A heading.
    Heading,
    /// The part of a line that changed, on its way out.
    RemovedPart,
    /// The part of a line that changed, on its way in.
    AddedPart,
}

impl Style {
    /// For a log: without colours, and no sentence is broken.
    pub(crate) fn one_line() -> Self {
        Self { width: usize::MAX, ..Self::default() }
    }

    /// A text in the colour of its role.
    pub(super) fn paint(&self, role: Role, text: impl Display) -> String {
        if !self.color {
            return text.to_string();
        }
        let paint = match role {
            Role::Added => AnsiColor::Green.on_default(),
            Role::Removed => AnsiColor::Red.on_default(),
            Role::Changed | Role::Attention => AnsiColor::Yellow.on_default(),
            Role::Renamed => AnsiColor::Cyan.on_default(),
            Role::Replaced => AnsiColor::Magenta.on_default(),
            Role::Wrong => AnsiColor::Red.on_default().bold(),
            Role::Plain => Paint::new(),
            Role::Aside => Paint::new().dimmed(),
            Role::Heading => Paint::new().bold(),
            Role::RemovedPart => AnsiColor::Red.on_default().invert(),
            Role::AddedPart => AnsiColor::Green.on_default().invert(),
        };
        format!("{paint}{text}{paint:#}")
    }
}
