//! The page for people: is everything in sync, and if not, what and why.
//!
//! It is drawn on the server, whole without a script; the script draws the same part again when
//! an event says that something changed.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use strum::VariantArray as _;
use tokio::sync::Semaphore;

use super::{Served, Shared};
use crate::daemon::status::{Status, TargetStatus};
use crate::links::Links;
use crate::name::CommitId;
use crate::plan::ConnectionState;
use crate::report::status::MANY_TARGETS;
use crate::source::Commit;

mod connections;
mod target;
mod verdict;

/// Where the page's own files are: a new version never meets an old one in a browser's memory.
macro_rules! own {
    ($name:literal) => {
        concat!("/static/", env!("CARGO_PKG_VERSION"), "/", $name)
    };
}

/// The query in the URL of a page, with the settings of this server that every page has.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    /// Part of a name, a type, a reason or the name of a target, in any case.
    #[serde(default)]
    q: String,
    /// A state; empty: all.
    #[serde(default)]
    state: String,
    /// Of many targets the one that is opened.
    #[serde(default)]
    target: String,
    /// Where commits and files are shown on the web.
    #[serde(skip)]
    links: Option<Links>,
    /// Whether there is a token, so that something can be changed.
    #[serde(skip)]
    may_change: bool,
}

impl PageQuery {
    /// Whether it leaves anything out.
    fn is_filter(&self) -> bool {
        !self.q.trim().is_empty() || !self.state.is_empty()
    }
}

/// Answers `GET /`.
pub(super) async fn page(State(served): Shared, Query(query): Query<PageQuery>) -> Response {
    drawn(&served, query, whole).await
}

fn whole(status: &Status, query: &PageQuery) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (verdict::title(status)) " · apinizer-gitops" }
                link rel="icon" href=(own!("icon.svg"));
                link rel="stylesheet" href=(own!("page.css"));
                script defer src=(own!("page.js")) {}
            }
            body {
                a.skip href="#live" { "Skip to the targets" }
                header {
                    h1 { "apinizer-gitops" }
                    p #link.link { noscript { "Reload to see what is new" } }
                }
                main #live tabindex="-1" { (content(status, query)) }
                @if query.may_change { (ask_for_token()) }
                p #answer.toast role="status" {}
                footer {
                    "Version " (env!("CARGO_PKG_VERSION")) " · " a href="/api/v1/status" { "JSON" }
                    " · " a href="/metrics" { "Metrics" } " · press " kbd { "/" } " to search"
                }
            }
        }
    }
}

/// Answers `GET /fragment`: the part of the page that changes.
pub(super) async fn fragment(State(served): Shared, Query(query): Query<PageQuery>) -> Response {
    drawn(&served, query, content).await
}

/// The pages that are drawn at once: each takes the memory of a page, and a thread that others wait for.
static DRAWINGS: Semaphore = Semaphore::const_new(2);

/// Draws the status of this moment, beside the tasks: the differences of long texts take their time.
async fn drawn(
    served: &Served,
    query: PageQuery,
    draw: fn(&Status, &PageQuery) -> Markup,
) -> Response {
    let status = served.site.board.status();
    let (links, may_change) = (status.source.links.clone(), served.keys.token.is_some());
    let query = PageQuery { links, may_change, ..query };
    let draw = move || Html(draw(&status, &query).into_string());
    // A reader that is gone leaves the queue.
    let _permit = DRAWINGS.acquire().await;
    match tokio::task::spawn_blocking(draw).await {
        Ok(page) => page.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Answers for the page's own files.
pub(super) fn files<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file = |kind: &'static str, text: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, kind)], text))
    };
    Router::new()
        .route(own!("page.css"), file("text/css; charset=utf-8", include_str!("page/page.css")))
        .route(
            own!("page.js"),
            file("text/javascript; charset=utf-8", include_str!("page/page.js")),
        )
        .route(own!("icon.svg"), file("image/svg+xml", include_str!("page/icon.svg")))
}

fn filter(query: &PageQuery) -> Markup {
    html! {
        search data-key="filter" {
            form #filter action="/" method="get" {
                input #target type="hidden" name="target" value=(query.target);
                label { span { "Search" } input #q type="search" name="q" value=(query.q) placeholder="name, type, reason or target"; }
                label { span { "State" }
                    select #state name="state" {
                        option value="" { "all states" }
                        @for state in ConnectionState::VARIANTS {
                            option value=(state.into_str()) selected[state.into_str() == query.state] { (in_words(state.into_str())) }
                        }
                    }
                }
                button.apply type="submit" { "Show" }
            }
        }
    }
}

/// Asks once for the token of the calls that change something; it stays in the tab.
fn ask_for_token() -> Markup {
    html! {
        dialog #ask aria-labelledby="ask-title" {
            form method="dialog" {
                h2 #ask-title { "Token" }
                p { "Changing something needs " code { "server.token" } ". It is kept until this tab is closed." }
                label { span { "Token" } input #token type="password" autocomplete="off" required; }
                p.buttons {
                    button value="ok" { "Go on" }
                    button value="" formnovalidate { "Cancel" }
                }
            }
        }
    }
}

fn content(status: &Status, query: &PageQuery) -> Markup {
    let targets = verdict::by_urgency(status).into_iter();
    let mut found: Vec<(&TargetStatus, usize)> =
        targets.map(|target| (target, connections::matching(target, query))).collect();
    found.retain(|(_, matching)| !query.is_filter() || *matching > 0);
    let count: usize = found.iter().map(|(_, matching)| matching).sum();
    html! {
        (verdict::banner(status, query))
        @if (2..=MANY_TARGETS).contains(&found.len()) { (target::cards(&found)) }
        (filter(query))
        @if query.is_filter() {
            p.found role="status" { (count) @if count == 1 { " connection matches." } @else { " connections match." } }
        }
        @if found.len() > MANY_TARGETS {
            (target::table(&found, query))
        } @else {
            div.targets data-key="targets" {
                @for (target, _) in found { (target::section(target, query)) }
            }
        }
    }
}

/// A state as a badge: a sign that carries it without colour, and its word.
fn badge(state: &str) -> Markup {
    html! { span.badge.(state) { span aria-hidden="true" { (sign(state)) } " " (in_words(state)) } }
}

fn sign(state: &str) -> &'static str {
    match state {
        "in_sync" | "applied" => "✓",
        "pending" => "→",
        "failed" | "failing" | "refused" | "blocked" => "✕",
        "held" => "‖",
        "drifted" => "≠",
        "degraded" => "▲",
        "not_converging" => "↻",
        "unmanaged" => "○",
        "suspended" => "–",
        "standby" => "⇄",
        _ => "…",
    }
}

/// A moment that the script writes as people say it.
fn moment(time: Timestamp) -> Markup {
    seconds(time.as_second())
}

/// A moment to come; `over` takes its place once it has passed.
fn moment_to_come(time: Timestamp, over: &str) -> Markup {
    html! {
        time datetime=(time) data-over=(over) { @if time > Timestamp::now() { (format!("{time:.0}")) } @else { (over) } }
    }
}

fn seconds(seconds: i64) -> Markup {
    match Timestamp::from_second(seconds) {
        Ok(time) => html! { time datetime=(time) { (time) } },
        Err(_) => html! {},
    }
}

/// A commit as people know it: subject, author, time.
fn commit_line(commit: &Commit, query: &PageQuery) -> Markup {
    html! {
        (commit_id(&commit.id, query))
        @if !commit.subject.is_empty() {
            " " strong { (commit.subject) }
            span.quiet { " by " (author(&commit.author)) ", " (seconds(commit.time)) }
        }
    }
}

/// The name of an author, with the mail address behind it.
fn author(author: &str) -> Markup {
    html! { span title=(author) { (author.split(" <").next().unwrap_or_default()) } }
}

/// The id of a commit, with a link to its page where that is known.
fn commit_id(id: &CommitId, query: &PageQuery) -> Markup {
    let code = html! { code title=(id) { (id.short()) } };
    match &query.links {
        Some(links) => html! { a href=(links.to_commit(&id.0)) rel="noreferrer" { (code) } },
        None => code,
    }
}

fn in_words(state: &str) -> String {
    state.replace('_', " ")
}

#[cfg(test)]
mod tests;
