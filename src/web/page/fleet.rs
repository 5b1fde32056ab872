//! Many targets, one row each: the connections of one are drawn once it is opened.

use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::commit::commit_id;
use super::{Shown, badge, connections, moment, target};
use crate::daemon::status::TargetStatus;

/// The longest problem of a target that its row shows, in characters; the rest is shown once it is
/// opened.
const LONGEST_PROBLEM: usize = 200;

/// The targets, each with how many of its connections match.
pub(super) fn table(targets: &[(&TargetStatus, usize)], shown: &Shown, may_change: bool) -> Markup {
    html! {
        table.fleet data-key="fleet" {
            caption.hidden { "Targets" }
            thead { tr { th scope="col" { "Target" } th scope="col" { "Commit" } th scope="col" { "State" } th scope="col" { "Connections" } th scope="col" { "Last check" } } }
            tbody {
                @for (target, matching) in targets {
                    (row(target, *matching, shown))
                    @if is_open(target, shown) {
                        tr.opened data-key={ "open-" (target.key.name) } {
                            td colspan="5" { (target::section(target, shown, may_change)) }
                        }
                    }
                }
            }
        }
    }
}

fn row(target: &TargetStatus, matching: usize, shown: &Shown) -> Markup {
    let name = &target.key.name;
    let is_open = is_open(target, shown);
    let problem = target.trouble.error.as_deref().filter(|_| !is_open);
    html! {
        tr data-key={ "row-" (name) } {
            th scope="row" { a href=(opening(name, shown)) data-open=(name) aria-expanded=(is_open) { (name) } }
            td data-label="Commit" { @if let Some(commit) = &target.commit_applied { (commit_id(&commit.id, shown)) } @else { "none applied yet" } }
            td data-label="State" {
                (badge(target.state.as_str()))
                @if target.reconciling { " " span.badge.busy { "reconciling" } }
            }
            td data-label="Connections" {
                @if shown.is_filter() { (matching) @if matching == 1 { " matches" } @else { " match" } }
                @else { (connections::signs(target)) }
                @if let Some(problem) = problem { p.wrong { (problem.chars().take(LONGEST_PROBLEM).collect::<String>()) } }
            }
            td data-label="Last check" { @if let Some(time) = target.last_reconcile { (moment(time)) } @else { "not yet" } }
        }
    }
}

fn is_open(target: &TargetStatus, shown: &Shown) -> bool {
    target.key.name == shown.target
}

/// The page on which a target is opened, for a browser without a script.
fn opening(name: &str, shown: &Shown) -> String {
    let all = [("q", shown.q.as_str()), ("state", &shown.state), ("target", name)];
    let given = all.into_iter().filter(|(_, value)| !value.is_empty());
    format!("?{}", Serializer::new(String::new()).extend_pairs(given).finish())
}
