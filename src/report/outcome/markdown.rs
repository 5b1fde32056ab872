//! An outcome as a comment on a pull request or in a job's summary.

use crate::plan::{Change, TargetPlan};
use crate::report::comment::Comment;
use crate::report::plan::heads;
use crate::report::{diagnostics, escape, words};

use super::{ending, not_made};

/// The hidden first line by which a comment is found again, to be updated in place.
pub(crate) const MARKER: &str = "<!-- apinizer-gitops:apply -->";

/// The outcome as a comment: the counts, the changes that were not made and why, and folded the
/// others. It is always under 65,000 characters.
pub(crate) fn markdown(outcomes: &[TargetPlan]) -> String {
    let mut comment = Comment::new(MARKER);
    comment.always(&format!("### {}\n", super::line(outcomes)));
    let several = outcomes.len() > 1;
    comment.said_of(outcomes, &diagnostics::warning_lines(outcomes));
    let mut left_out = 0;
    for outcome in outcomes {
        let groups = not_made(outcome);
        let of =
            if several { format!(" ({})", escape::plain(&outcome.name)) } else { String::new() };
        let pieces: Vec<Vec<String>> = groups.iter().map(heads).collect();
        let written = comment.block(&format!("\n**Not made{of}**\n\n"), &pieces, "");
        left_out += groups.iter().skip(written).map(|group| group.changes.len()).sum::<usize>();
    }
    for outcome in outcomes {
        let pieces: Vec<Vec<String>> = outcome
            .results()
            .map(|(change, result)| {
                vec![format!(
                    "{} {}: {}",
                    words::column(change.action),
                    named(change),
                    ending(change, result).0
                )]
            })
            .collect();
        let name = escape::html(&outcome.name);
        let before = format!("\n<details><summary><b>{name}</b></summary>\n\n");
        left_out += pieces.len() - comment.block(&before, &pieces, "\n</details>\n");
    }
    let last =
        if left_out > 0 { format!("\n{left_out} more did not fit here.\n") } else { String::new() };
    comment.finish(&last)
}

fn named(change: &Change) -> String {
    let type_name = escape::plain(&change.type_name);
    format!("{} {type_name} {}", change.action.as_str(), words::name(change))
}
