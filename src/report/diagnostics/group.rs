//! Diagnostics with those of several targets put together, and their counts.

use std::collections::{BTreeSet, HashMap};

use crate::document::{Diagnostic, Severity};

/// One problem, however many targets have it.
pub(super) struct Group<'d> {
    pub(super) diagnostic: &'d Diagnostic,
    /// The targets that it holds for; empty: for all.
    pub(super) targets: Vec<&'d str>,
}

/// Puts equal problems together, in the order in which they come first.
pub(super) fn groups(diagnostics: &[Diagnostic]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: HashMap<_, usize> = HashMap::new();
    for diagnostic in diagnostics {
        let mark = &diagnostic.mark;
        let key = (diagnostic.code, &mark.file, mark.line, mark.column, &diagnostic.message);
        let index = *known.entry(key).or_insert_with(|| {
            groups.push(Group { diagnostic, targets: Vec::new() });
            groups.len() - 1
        });
        if let (Some(group), Some(target)) = (groups.get_mut(index), &diagnostic.target)
            && !group.targets.contains(&target.as_str())
        {
            group.targets.push(target);
        }
    }
    groups
}

/// How many errors and warnings there are.
pub(super) fn counts(groups: &[Group<'_>]) -> (usize, usize) {
    let errors = groups.iter().filter(|g| g.diagnostic.severity == Severity::Error).count();
    (errors, groups.len() - errors)
}

/// `2 errors and 1 warning`, and `3 files`.
pub(super) fn words(groups: &[Group<'_>]) -> (String, String) {
    let counted = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    let files: BTreeSet<_> = groups.iter().map(|group| &group.diagnostic.mark.file).collect();
    let problems = match counts(groups) {
        (errors, 0) => counted(errors, "error"),
        (0, warnings) => counted(warnings, "warning"),
        (errors, warnings) => {
            format!("{} and {}", counted(errors, "error"), counted(warnings, "warning"))
        }
    };
    (problems, counted(files.len(), "file"))
}

/// The word for a severity.
pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A text that cannot steer a terminal: control characters and marks that turn the direction of
/// writing are replaced one by one, so that columns stay.
pub(super) fn harmless(text: &str) -> String {
    let replaced = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => '\u{fffd}',
        '\u{feff}' | '\u{61c}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(replaced).collect()
}
