//! Diagnostics for a comment on a pull request.

use std::collections::BTreeSet;

use super::{Group, groups, word, words};
use crate::document::{Diagnostic, Severity};
use crate::plan::TargetPlan;
use crate::report::comment::Comment;
use crate::report::escape;

/// The hidden first line by which a comment is found again, to be updated in place.
const MARKER: &str = "<!-- apinizer-gitops:validate -->";

/// The problems as a comment: their number first, then one line for each, errors before warnings.
/// It is always under 65,000 characters; what gives way is the help, and then the last problems.
pub fn markdown(diagnostics: &[Diagnostic], notes: &BTreeSet<String>) -> String {
    let mut groups = groups(diagnostics);
    let notes: Vec<String> = notes.iter().cloned().collect();
    let mut comment = Comment::new(MARKER);
    if groups.is_empty() {
        comment.always("### No problems\n");
        comment.list("Notes", &notes);
        return comment.finish("");
    }
    let (problems, files) = words(&groups);
    comment.always(&format!("### {problems} in {files}\n\n"));
    groups.sort_by_key(|group| group.diagnostic.severity != Severity::Error);
    let whole: Vec<[String; 2]> = groups.iter().map(|group| [head(group), tail(group)]).collect();
    let size: usize = whole.iter().flatten().map(String::len).sum();
    let with_help = size + whole.len() < comment.room();
    let mut written = 0;
    for [head, tail] in &whole {
        let tail = if with_help { tail.as_str() } else { "" };
        if !comment.line(&format!("{head}{tail}")) {
            break;
        }
        written += 1;
    }
    comment.list("Notes", &notes);
    let last = match whole.len() - written {
        0 => String::new(),
        more => {
            format!("\n{more} more did not fit here; `validate --output text` shows them all.\n")
        }
    };
    comment.finish(&last)
}

/// The warnings about the documents of some targets, each once.
pub(in crate::report) fn warnings(targets: &[TargetPlan]) -> Vec<String> {
    let all: Vec<Diagnostic> = targets.iter().flat_map(TargetPlan::warnings).cloned().collect();
    let line = |group: &Group<'_>| {
        let Diagnostic { code, mark, message, help, .. } = group.diagnostic;
        let help = help.iter().map(|help| format!("; {help}")).collect::<String>();
        format!("{code} {mark}: {message}{help}")
    };
    groups(&all).iter().map(line).collect()
}

fn head(group: &Group<'_>) -> String {
    let diagnostic = group.diagnostic;
    let severity = match diagnostic.severity {
        Severity::Error => format!("**{}**", word(diagnostic.severity)),
        Severity::Warning => word(diagnostic.severity).to_owned(),
    };
    let place = escape::code_span(&diagnostic.mark.to_string());
    let message = escape::code_span(&diagnostic.message);
    format!("- {severity} {} {place}: {message}", diagnostic.code)
}

/// The cure, and the targets for which it holds.
fn tail(group: &Group<'_>) -> String {
    let targets = Some(&group.targets).filter(|targets| !targets.is_empty());
    let targets = targets.map(|targets| format!("targets: {}", targets.join(", ")));
    let lines = group.diagnostic.help.iter().chain(&targets);
    lines.map(|line| format!("\n  - {}", escape::code_span(line))).collect()
}
