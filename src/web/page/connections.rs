//! The connections of a target and their changes: what needs attention in the open, the rest behind
//! a click.

use jiff::Timestamp;
use maud::{Markup, html};
use strum::VariantArray as _;

use super::{PageQuery, author, badge, commit_id, in_words, moment, seconds};
use crate::audit::PastReconcile;
use crate::daemon::status::TargetStatus;
use crate::name::CommitId;
use crate::plan::{Action, Change, ChangeResult, ConnectionState, Entry, FieldChange, Origin};
use crate::report::difference::{DiffLine, Leaf, LeafKind, LineSign, leaves};
use crate::report::words;
use crate::secret::SENSITIVE;

/// How many rows of a target are drawn, and how many names in one; the search finds the others.
pub(super) const ROWS: usize = 200;

/// Up to so many without trouble are shown in the open.
const FEW: usize = 25;

/// Up to so many differences are shown in the open.
const OPEN: usize = 10;

pub(super) fn list(target: &TargetStatus, query: &PageQuery) -> Markup {
    let mut matching: Vec<_> =
        target.connections.iter().filter(|one| is_shown(target, one, query)).collect();
    matching.sort_by_key(|one| (urgency(one.state), why(one)));
    let calm_from = matching.iter().position(|one| !needs_attention(one.state));
    let calm_from = calm_from.unwrap_or(matching.len());
    let (wanting, calm) = matching.split_at(calm_from);
    let is_filtered = query.is_filter();
    html! {
        h3 { "Connections" }
        (counts(target))
        @if matching.is_empty() {
            p.quiet { "None." }
        }
        @if !wanting.is_empty() { (table(target, "that need attention", wanting, query)) }
        @if !calm.is_empty() && (is_filtered || wanting.is_empty() && calm.len() <= FEW) {
            (table(target, "without trouble", calm, query))
        } @else if !calm.is_empty() {
            details data-key={ "calm-" (target.key.name) } {
                summary {
                    @for (number, (state, count)) in by_state(calm.iter().copied()).into_iter().enumerate() {
                        @if number > 0 { ", " } (count) " " (in_words(state.into_str()))
                    }
                }
                (table(target, "without trouble", calm, query))
            }
        }
    }
}

/// How many connections stand in each way; the ways in which none does are left out.
pub(super) fn by_state<'e>(
    entries: impl Iterator<Item = &'e Entry>,
) -> Vec<(ConnectionState, usize)> {
    let states: Vec<_> = entries.map(|entry| entry.state).collect();
    let count = |wanted| states.iter().filter(|state| **state == wanted).count();
    let counts = ConnectionState::VARIANTS.iter().map(|state| (*state, count(*state)));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// How many stand how, each a link to those.
fn counts(target: &TargetStatus) -> Markup {
    html! {
        p.counts {
            @for (state, count) in by_state(target.connections.iter()) {
                a.badge.(state.into_str()) href={ "?state=" (state.into_str()) } data-state=(state.into_str()) {
                    span aria-hidden="true" { (super::sign(state.into_str())) } " " (count) " " (in_words(state.into_str()))
                }
                " "
            }
        }
    }
}

/// How many connections stand how, each with a sign and its word.
pub(super) fn signs(target: &TargetStatus) -> Markup {
    html! {
        @for (state, count) in by_state(target.connections.iter()) {
            span title=(in_words(state.into_str())) { (super::sign(state.into_str())) " " (count) span.hidden { " " (in_words(state.into_str())) } } " "
        }
    }
}

fn table(target: &TargetStatus, which: &str, rows: &[&Entry], query: &PageQuery) -> Markup {
    let are_few = rows.len() <= OPEN;
    let groups: Vec<_> = rows.chunk_by(|one, other| is_alike(one, other)).collect();
    html! {
        table {
            caption.hidden { "Connections of " (target.key.name) " " (which) }
            thead { tr { th scope="col" { "Name" } th scope="col" { "Type" } th scope="col" { "State" } th scope="col" { "Why" } th scope="col" { "Written" } } }
            tbody {
                @for alike in groups.iter().take(ROWS) {
                    @if let [one] = *alike { (row(target, one, are_few, query)) } @else { (together(target, alike, query)) }
                }
            }
        }
        @if groups.len() > ROWS {
            p.quiet { "The first " (ROWS) " of " (groups.len()) ". Search to find the others." }
        }
    }
}

/// Why a connection stands as it does, and the way past it.
fn why(one: &Entry) -> Option<(&str, Option<&str>)> {
    Some((one.reason.as_deref()?, one.advice()))
}

fn is_alike(one: &Entry, other: &Entry) -> bool {
    one.state == other.state && one.state == ConnectionState::Held && why(one) == why(other)
}

/// Connections that are held for one reason, in one row.
fn together(target: &TargetStatus, alike: &[&Entry], query: &PageQuery) -> Markup {
    let [first, ..] = alike else { return html! {} };
    let key = format!("{}/{}", target.key.name, first.name);
    html! {
        tr data-key={ "alike-" (key) } {
            th scope="row" {
                (alike.len()) " connections"
                details data-key={ "names-" (key) } open[query.is_filter()] {
                    summary { "Names" }
                    ul.names { @for one in alike.iter().take(ROWS) { li { (one.name.as_str()) " " span.quiet { (one.type_name) } } } }
                    @if alike.len() > ROWS { p.quiet { "And " (alike.len() - ROWS) " more." } }
                }
            }
            td data-label="Type" {}
            td data-label="State" { (badge(first.state.into_str())) }
            td data-label="Why" {
                @if let Some((reason, advice)) = why(first) {
                    p { (reason) }
                    @if let Some(advice) = advice { p.advice { (advice) } }
                }
            }
            td data-label="Written" {}
        }
    }
}

fn row(target: &TargetStatus, one: &Entry, is_open: bool, query: &PageQuery) -> Markup {
    let key = format!("{}/{}", target.key.name, one.name);
    html! {
        tr data-key=(key) {
            th scope="row" { (one.name.as_str()) }
            td data-label="Type" { (one.type_name) }
            td data-label="State" {
                (badge(one.state.into_str()))
                @if let Some(since) = drifted_since(target, one) { " " span.quiet { "since " (moment(since)) } }
                @if one.unverified { " " span.quiet title="a declared secret was neither sent nor read back" { "unverified" } }
            }
            td data-label="Why" {
                @for (number, change) in one.changes().enumerate() {
                    @let reason = one.reason.as_deref().filter(|_| number == 0);
                    (not_made(change, reason, &format!("{key}/{number}"), is_open))
                }
                @if let (None, Some(reason)) = (one.changes().next(), &one.reason) { p { (reason) } }
                @if let Some(place) = one.changes().find_map(|change| change.place.as_ref()) { p.quiet { (file(target.trouble.commit_in_force.as_ref(), &place.file, place.line, query)) } }
                @if let Some(commit) = &one.last_commit {
                    p.quiet { "last changed by commit " (commit_id(&commit.id, query)) " of " (author(&commit.author)) ", " (seconds(commit.time)) }
                }
            }
            td data-label="Written" { @if let Some(time) = one.last_change { (seconds(time)) } @else { "never" } }
        }
    }
}

/// A place in a file of a commit, with a link to its page where that is known.
pub(super) fn file(commit: Option<&CommitId>, file: &str, line: u32, query: &PageQuery) -> Markup {
    let text = html! { code { (file) ":" (line) } };
    match (&query.links, commit) {
        (Some(links), Some(commit)) => {
            let page = links.to_line(&commit.0, file, line);
            html! { a href=(page) rel="noreferrer" { (text) } }
        }
        _ => text,
    }
}

/// Since when a connection drifts.
fn drifted_since(target: &TargetStatus, one: &Entry) -> Option<Timestamp> {
    target.past.drifting.get(&one.name).copied().filter(|_| one.state == ConnectionState::Drifted)
}

fn is_shown(target: &TargetStatus, one: &Entry, query: &PageQuery) -> bool {
    let wanted = query.q.trim().to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&wanted);
    (query.state.is_empty() || one.state.into_str() == query.state)
        && (wanted.is_empty()
            || has(one.name.as_str())
            || has(&one.type_name)
            || has(&target.key.name)
            || one.reason.as_deref().is_some_and(has))
}

/// How many connections of a target the filter lets through.
pub(super) fn matching(target: &TargetStatus, query: &PageQuery) -> usize {
    target.connections.iter().filter(|one| is_shown(target, one, query)).count()
}

/// Whether connections in this state need the attention of a person.
pub(super) fn needs_attention(state: ConnectionState) -> bool {
    urgency(state) <= urgency(ConnectionState::Suspended)
}

/// The order on the page: states that need attention come first.
pub(super) fn urgency(state: ConnectionState) -> u8 {
    match state {
        ConnectionState::Failed => 0,
        ConnectionState::Blocked => 1,
        ConnectionState::Held => 2,
        ConnectionState::NotConverging => 3,
        ConnectionState::Degraded => 4,
        ConnectionState::Drifted => 5,
        ConnectionState::Pending => 6,
        ConnectionState::Suspended => 7,
        ConnectionState::InSync => 8,
        ConnectionState::Unmanaged => 9,
    }
}

/// The changes that some reconciles sent, behind a click.
pub(super) fn sent(run: &[PastReconcile], key: &str) -> Markup {
    let changes: Vec<&Change> = run.iter().flat_map(|one| &one.changes).collect();
    let counts = run.iter().map(|one| &one.ended.counts);
    let count: usize = counts.map(|of| of.done + of.failed + of.degraded).sum();
    html! {
        @if !changes.is_empty() {
            details data-key={ "sent-" (key) } {
                summary { (changes.len()) @if count > changes.len() { " of " (count) } @if count == 1 { " change" } @else { " changes" } }
                @for change in changes {
                    article.change {
                        h4 { (sign(change)) " " (change.name.as_str()) (previous(change)) " " span.quiet { (change.type_name) } }
                        @if let Some(ChangeResult::Failed(why) | ChangeResult::Degraded(why)) = &change.result { p.wrong { (why) } }
                        @if let Some(reason) = words::reason(change) { p { (reason) } }
                        (edited(change))
                        (fields(change))
                    }
                }
            }
        }
    }
}

/// A change of one connection that is not made yet, and why.
fn not_made(change: &Change, said: Option<&str>, key: &str, is_open: bool) -> Markup {
    let reason = said.map(str::to_owned).or_else(|| words::reason(change));
    html! {
        @if change.fields.is_empty() && change.action != Action::Blocked { p { (sign(change)) } }
        @if let Some(reason) = reason { p { (reason) } }
        @if let Some(advice) = &change.advice { p.advice { (advice) } }
        (edited(change))
        @if !change.fields.is_empty() {
            details data-key={ "diff-" (key) } open[is_open] {
                summary { (sign(change)) " " (previous(change)) (change.fields.len()) @if change.fields.len() == 1 { " field" } @else { " fields" } }
                (fields(change))
            }
        }
    }
}

fn sign(change: &Change) -> Markup {
    html! {
        span.action.(change.action.into_str()) {
            span aria-hidden="true" { (words::sign(change.action)) } " " (change.action.into_str())
        }
    }
}

/// The last edit of a connection, where its fields were moved outside of git.
fn edited(change: &Change) -> Markup {
    html! {
        @if let Some(edit) = &change.edited {
            p.quiet {
                "Last edited" @if let Some(by) = &edit.by { " by " strong { (by) } }
                @if let Some(at) = edit.at { ", " (moment(at)) }
            }
        }
    }
}

fn previous(change: &Change) -> Markup {
    html! { @if let Some(previous) = &change.previous_name { "(was " (previous.as_str()) ") " } }
}

fn fields(change: &Change) -> Markup {
    html! {
        ul.fields {
            @for field in &change.fields {
                @for leaf in leaves(field) {
                    li {
                        (difference(field, &leaf))
                        @if !matches!(change.action, Action::Create | Action::Delete) { " " span.origin { (field.origin.into_str()) } }
                    }
                }
            }
        }
    }
}

fn difference(field: &FieldChange, leaf: &Leaf) -> Markup {
    // A change of git alone in a sensitive field is told by git's older text.
    let is_text_of_git = field.sensitive
        && field.origin == Origin::Git
        && field.before.as_ref().is_some_and(|before| before != SENSITIVE);
    let before = if is_text_of_git { "git before" } else { "live" };
    let removed = |text: &str| html! { span.side { (before) " " } del { (text) } };
    html! {
        code { (leaf.label) } " "
        @match &leaf.kind {
            LeafKind::Added(text) => { (added(text)) }
            LeafKind::Removed(text) => { (removed(text)) }
            LeafKind::Base(text) => { span.side { "base " } (text) }
            LeafKind::Replaced(old, new) => { (removed(old)) " " (added(new)) }
            LeafKind::Sensitive(text) => { (text) " " span.quiet { "(another value)" } }
            LeafKind::Lines(lines) => { span.side { "- " (before) ", + git" } pre tabindex="0" { @for line in lines { (line_of(line)) } } }
        }
    }
}

fn added(text: &str) -> Markup {
    html! { span.side { "git " } ins { (text) } }
}

fn line_of(line: &DiffLine) -> Markup {
    let class = match line.sign {
        LineSign::Added => "added",
        LineSign::Removed => "removed",
        LineSign::Same | LineSign::Place => "same",
    };
    html! {
        span.line.(class) {
            @if line.sign != LineSign::Place { (line.sign.as_char()) " " }
            (line.text)
        }
        "\n"
    }
}
