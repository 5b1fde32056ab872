//! The page for people: is everything in sync, and if not, what and why.
//!
//! It is drawn on the server, whole without a script; the script draws the same part again when
//! an event says that something changed.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use super::Served;
use crate::daemon::status::{SourceStatus, Status, TargetState};
use crate::plan::State as ConnectionStanding;

mod changes;
mod target;

const STYLE: &str = include_str!("page/page.css");
const ICON: &str = include_str!("page/icon.svg");
const SCRIPT: &str = include_str!("page/page.js");

/// What of the connections is shown.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Shown {
    /// Part of a name, a type or a reason, in any case.
    #[serde(default)]
    q: String,
    /// A state; empty: all.
    #[serde(default)]
    state: String,
}

/// Answers `GET /`.
pub(super) async fn page(State(site): State<Arc<Served>>, Query(shown): Query<Shown>) -> Response {
    let status = site.site.board.status();
    let may_change = site.keys.token.is_some();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "apinizer-gitops" }
                link rel="icon" href=(concat!("/static/", env!("CARGO_PKG_VERSION"), "/icon.svg"));
                link rel="stylesheet" href=(concat!("/static/", env!("CARGO_PKG_VERSION"), "/page.css"));
                script defer src=(concat!("/static/", env!("CARGO_PKG_VERSION"), "/page.js")) {}
            }
            body {
                a.skip href="#live" { "Skip to the targets" }
                header {
                    h1 { "apinizer-gitops" }
                    p #link role="status" { }
                }
                (filter(&shown))
                @if may_change { (orders(&status)) }
                main #live tabindex="-1" { (content(&status, &shown)) }
                footer { "Version " (env!("CARGO_PKG_VERSION")) " · " a href="/api/v1/status" { "JSON" } " · " a href="/metrics" { "Metrics" } }
            }
        }
    };
    Html(markup.into_string()).into_response()
}

/// Answers `GET /fragment`: the part of the page that changes.
pub(super) async fn fragment(
    State(site): State<Arc<Served>>,
    Query(shown): Query<Shown>,
) -> Html<String> {
    Html(content(&site.site.board.status(), &shown).into_string())
}

/// Answers for the style sheet.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// Answers for the icon.
pub(super) async fn icon() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml")], ICON).into_response()
}

/// Answers for the script.
pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

fn filter(shown: &Shown) -> Markup {
    html! {
        search {
            form #filter action="/" method="get" {
                label { "Search " input type="search" name="q" value=(shown.q) placeholder="name, type or reason"; }
                label { "State "
                    select name="state" {
                        option value="" { "all" }
                        @for state in ConnectionStanding::ALL {
                            option value=(state.as_str()) selected[state.as_str() == shown.state] { (words(state.as_str())) }
                        }
                    }
                }
                button type="submit" { "Filter" }
            }
        }
    }
}

fn orders(status: &Status) -> Markup {
    html! {
        details #orders {
            summary { "Reconcile, suspend, resume" }
            form #order {
                label { "Token " input #token type="password" autocomplete="off"; }
                label { "Target "
                    select #which {
                        option value="" { "all" }
                        @for target in &status.targets { option { (target.name) } }
                    }
                }
                button type="submit" value="reconcile" { "Reconcile all now" }
                button type="submit" value="suspend" { "Suspend" }
                button type="submit" value="resume" { "Resume" }
                p #answer role="status" { }
            }
        }
    }
}

fn content(status: &Status, shown: &Shown) -> Markup {
    html! {
        (verdict(status))
        (source(&status.source))
        @for one in &status.targets { (target::section(one, &status.source, shown)) }
    }
}

fn verdict(status: &Status) -> Markup {
    let all = status.targets.len();
    let good = status.targets.iter().filter(|target| target.state == TargetState::InSync).count();
    let waiting =
        status.targets.iter().filter(|target| target.state == TargetState::Waiting).count();
    let (class, text) = match (&status.source.error, all) {
        (Some(_), _) => ("bad", "The source cannot be read".to_owned()),
        (None, 0) => ("quiet", "No target yet".to_owned()),
        _ if good == all => ("good", "Everything is in sync".to_owned()),
        _ if good + waiting == all => ("quiet", "The first reconcile is under way".to_owned()),
        _ => ("bad", format!("{} of {all} targets not in sync", all - good)),
    };
    html! { p #verdict .verdict .(class) role="status" { (text) } }
}

fn source(source: &SourceStatus) -> Markup {
    html! {
        section aria-label="Source" {
            p {
                "Source " code { (source.location) }
                @if let Some(branch) = &source.branch { " · branch " code { (branch) } }
                @if source.worktree { " · the files of the working tree" }
                @if let Some(time) = source.fetched_at { " · fetched " (moment(time)) }
            }
            @if let Some(commit) = &source.commit {
                p { code { (commit.id.short()) } " " strong { (commit.subject) } " · " (commit.author) " · " (seconds(commit.time)) }
            }
            @if let Some(error) = &source.error { p.wrong { (error) } }
        }
    }
}

/// A moment that the script writes in the reader's own time.
fn moment(time: Timestamp) -> Markup {
    seconds(time.as_second())
}

fn seconds(seconds: i64) -> Markup {
    match Timestamp::from_second(seconds) {
        Ok(time) => html! { time datetime=(time) { (time) } },
        Err(_) => html! {},
    }
}

fn words(state: &str) -> String {
    state.replace('_', " ")
}

#[cfg(test)]
mod tests;
