//! Commits as people know them.

use maud::{Markup, html};

use super::{Shown, seconds};
use crate::name::CommitId;
use crate::source::Commit;

/// A commit as people know it: subject, author, time.
pub(super) fn commit_line(commit: &Commit, shown: &Shown) -> Markup {
    html! {
        (commit_id(&commit.id, shown))
        @if !commit.subject.is_empty() {
            " " strong { (commit.subject) }
            span.quiet { " by " (author(&commit.author)) ", " (seconds(commit.time)) }
        }
    }
}

/// The name of an author, with the mail address behind it.
pub(super) fn author(author: &str) -> Markup {
    html! { span title=(author) { (author.split(" <").next().unwrap_or_default()) } }
}

/// The id of a commit, with a link to its page where that is known.
pub(super) fn commit_id(id: &CommitId, shown: &Shown) -> Markup {
    let code = html! { code title=(id) { (id.short()) } };
    match &shown.links {
        Some(links) => html! { a href=(links.to_commit(&id.0)) rel="noreferrer" { (code) } },
        None => code,
    }
}
