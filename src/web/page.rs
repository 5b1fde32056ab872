//! The page for people: the source, the targets, and what is not in sync.
//!
//! It holds no script and loads nothing, so the policy of the answers can forbid both; the
//! browser asks again by itself.

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use maud::{DOCTYPE, Markup, html};

use super::Shared;
use crate::daemon::status::{SourceStatus, TargetStatus};
use crate::plan::State as ConnectionStanding;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .8rem \
.2rem 0;vertical-align:top}.wrong{color:#b00020}code{font-size:.95em}";

/// The style sheet of the page; the policy of the answers forbids one inside it.
pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// The page.
pub(super) async fn page(State(site): Shared) -> Html<String> {
    let status = site.board.status();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content="5";
                title { "apinizer-gitops" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                h1 { "apinizer-gitops" }
                (source(&status.source))
                @for one in &status.targets { (target(one)) }
            }
        }
    };
    Html(markup.into_string())
}

fn source(source: &SourceStatus) -> Markup {
    html! {
        p {
            code { (source.location) }
            @if let Some(branch) = &source.branch { ", branch " code { (branch) } }
            @if let Some(commit) = &source.commit {
                " at " code { (commit.id.short()) } " " (commit.subject) " by " (commit.author)
            }
        }
        @if let Some(error) = &source.error { p.wrong { (error) } }
    }
}

fn target(target: &TargetStatus) -> Markup {
    let in_sync =
        target.connections.iter().filter(|c| c.state == ConnectionStanding::InSync).count();
    let noted = || {
        let is_noted =
            |state| !matches!(state, ConnectionStanding::InSync | ConnectionStanding::Unmanaged);
        target.connections.iter().filter(move |c| is_noted(c.state))
    };
    html! {
        h2 { (target.name) ": " (target.state.as_str().replace('_', " ")) }
        p {
            "Project " (target.project) " at " (target.url) ", " (in_sync) " in sync"
            @if let Some(time) = target.last_reconcile { ", last reconcile " (time) }
        }
        @if let Some(error) = &target.error { p.wrong { (error) } }
        @for notice in &target.notices { p { (notice) } }
        @if noted().next().is_some() {
            table {
                tr { th { "Connection" } th { "Type" } th { "State" } th { "Reason" } }
                @for one in noted() {
                    tr {
                        td { (one.name) }
                        td { (one.type_name) }
                        td { (one.state.as_str().replace('_', " ")) }
                        td { (one.reason.as_deref().unwrap_or_default()) }
                    }
                }
            }
        }
    }
}
