use std::sync::Arc;

use super::*;
use crate::config::TargetKey;
use crate::daemon::status::{TargetState, TargetStatus};
use crate::diagnostic::code;
use crate::document::{Diagnostic, Mark, Place};
use crate::name::CommitId;
use crate::plan::{Action, Change, Entry, FieldChange, Origin};
use crate::secret::SENSITIVE;

fn with_connections(count: usize) -> Status {
    let state = |is_held| match is_held {
        true => ConnectionState::Held,
        false => ConnectionState::InSync,
    };
    let connection = |number| Entry {
        reason: (number == 1999).then(|| "<script>held</script>".to_owned()),
        last_change: Some(0),
        ..Entry::new(
            format!("mail-{number:04}").as_str().into(),
            "email".to_owned(),
            state(number == 1999),
        )
    };
    let target = TargetStatus {
        key: TargetKey { name: "prod".to_owned(), ..TargetKey::default() },
        connections: Arc::new((0..count).map(connection).collect()),
        ..TargetStatus::default()
    };
    Status { targets: vec![Arc::new(target)], ..Status::default() }
}

#[test]
fn thousands_are_bounded_and_what_needs_attention_is_first() {
    let text = content(&with_connections(2000), &PageQuery::default()).into_string();
    assert_eq!(text.matches("scope=\"row\"").count(), connections::ROWS + 1);
    let at = |name: &str| text.find(name);
    assert!(at("mail-1999").is_some() && at("mail-1999") < at("mail-0000"));
    assert!(!text.contains("<script>"));
}

#[test]
fn the_search_finds_what_is_not_drawn() {
    let query = PageQuery { q: "MAIL-1500".to_owned(), ..PageQuery::default() };
    let text = content(&with_connections(2000), &query).into_string();
    assert_eq!(text.matches("scope=\"row\"").count(), 1);
    let query = PageQuery { state: "failed".to_owned(), ..PageQuery::default() };
    let text = content(&with_connections(3), &query).into_string();
    assert!(text.contains("0 connections match."));
}

#[test]
fn a_check_that_is_late_is_due() {
    let mut status = with_connections(1);
    let text = |status: &Status| content(status, &PageQuery::default()).into_string();
    Arc::make_mut(&mut status.targets[0]).next_reconcile = Some(Timestamp::UNIX_EPOCH);
    assert!(text(&status).contains("data-over=\"is due\">is due</time>"), "{}", text(&status));
    Arc::make_mut(&mut status.targets[0]).next_reconcile = Some(Timestamp::MAX);
    assert!(text(&status).contains(">9999-"), "{}", text(&status));
}

#[test]
fn nothing_inline_that_the_policy_forbids() {
    let query = PageQuery { may_change: true, ..PageQuery::default() };
    for text in [content(&with_connections(3), &query), filter(&query)] {
        let text = text.into_string();
        assert!(!text.contains("style=") && !text.contains("onclick"));
    }
}

#[test]
fn connections_that_are_held_for_one_reason_share_a_row() {
    let mut status = with_connections(9);
    let target = Arc::make_mut(&mut status.targets[0]);
    for entry in Arc::make_mut(&mut target.connections).iter_mut().skip(2) {
        (entry.state, entry.reason) = (ConnectionState::Held, Some("too many".to_owned()));
    }
    let text = content(&status, &PageQuery::default()).into_string();
    assert_eq!(text.matches("too many").count(), 1);
    assert!(text.contains("7 connections") && text.contains("mail-0008"), "{text}");
    let target = Arc::make_mut(&mut status.targets[0]);
    Arc::make_mut(&mut target.connections).truncate(4);
    let text = content(&status, &PageQuery::default()).into_string();
    assert!(text.contains("2 connections") && text.matches("too many").count() == 1, "{text}");
}

#[test]
fn a_source_that_fails_hides_no_count_of_the_verdict() {
    let mut status = with_connections(3);
    let target = Arc::make_mut(&mut status.targets[0]);
    target.state = TargetState::Failing;
    for entry in Arc::make_mut(&mut target.connections).iter_mut().skip(1) {
        entry.state = ConnectionState::Held;
    }
    status.source.error = Some("timed out".to_owned());
    let text = content(&status, &PageQuery::default()).into_string();
    assert!(text.contains("The source is failing: 1 failing, 2 held"), "{text}");
    status.source.error = None;
    Arc::make_mut(&mut status.targets[0]).trouble.refused = true;
    let text = content(&status, &PageQuery::default()).into_string();
    assert!(text.contains("The newest commit is refused: 1 failing, 2 held"), "{text}");
}

#[test]
fn many_connections_of_one_reason_hide_no_other() {
    let mut status = with_connections(2000);
    let target = Arc::make_mut(&mut status.targets[0]);
    let entries = Arc::make_mut(&mut target.connections);
    for entry in entries.iter_mut().skip(1000).take(800) {
        (entry.state, entry.reason) = (ConnectionState::Held, Some("too many".to_owned()));
    }
    entries[0].state = ConnectionState::Drifted;
    let text = content(&status, &PageQuery::default()).into_string();
    assert!(text.contains("800 connections") && text.contains("And 600 more."), "{text}");
    let held = text.find("too many").unwrap();
    let rest = &text[held..];
    assert!(rest.find("mail-0000") < rest.find("mail-0001"), "what drifts needs attention");
    assert!(rest.contains("mail-0000"));
}

#[test]
fn problems_and_changes_link_to_their_lines_and_a_suspended_target_is_named() {
    let mut status = with_connections(1);
    let target = Arc::make_mut(&mut status.targets[0]);
    let mark =
        Mark { file: "c/a.yaml".to_owned(), line: 7, column: 1, length: 1, text: String::new() };
    let problem = Diagnostic::error(&code::UNKNOWN_TYPE, "no such type".to_owned(), mark);
    target.trouble.diagnostics = Arc::new(vec![problem]);
    (target.state, target.suspended) = (TargetState::Suspended, true);
    let commit = |id: &str| Some(CommitId(id.to_owned()));
    target.trouble.commit_given = commit("abc");
    target.trouble.commit_in_force = commit("good");
    let entry = &mut Arc::make_mut(&mut target.connections)[0];
    let mut change = Change::bare(Action::Update, "email".to_owned(), entry.name.clone());
    change.place = Some(Place { file: "c/b.yaml".into(), line: 3 });
    entry.change = Some(Box::new(change));
    let links = Links::of("https://github.com/team/config.git");
    let text = content(&status, &PageQuery { links, ..PageQuery::default() }).into_string();
    assert!(text.contains("https://github.com/team/config/blob/abc/c/a.yaml#L7"), "{text}");
    let of_change = "https://github.com/team/config/blob/good/c/b.yaml#L3";
    assert!(text.contains(of_change), "the change is of the last good commit: {text}");
    assert!(text.contains("prod needs attention: 1 target suspended"), "{text}");
}

#[test]
fn a_search_hides_the_cards_of_targets_without_a_match() {
    let mut status = with_connections(1);
    let other = |name: &str| TargetStatus {
        key: TargetKey { name: name.to_owned(), ..TargetKey::default() },
        connections: Arc::new(vec![Entry::new(
            name.into(),
            "ldap".to_owned(),
            ConnectionState::InSync,
        )]),
        ..TargetStatus::default()
    };
    status.targets.extend([Arc::new(other("staging")), Arc::new(other("dev"))]);
    let cards = |q: &str| {
        let query = PageQuery { q: q.to_owned(), ..PageQuery::default() };
        let text = content(&status, &query).into_string();
        text.matches("class=\"card\"").count()
    };
    assert_eq!(
        [cards(""), cards("ldap"), cards("mail")],
        [3, 2, 0],
        "a single target needs no card"
    );
}

/// The page of a connection with one field that a commit changes.
fn page_of_a_change(before: &str, after: &str, sensitive: bool) -> String {
    let mut status = with_connections(1);
    let target = Arc::make_mut(&mut status.targets[0]);
    let entry = &mut Arc::make_mut(&mut target.connections)[0];
    let mut change = Change::bare(Action::Update, "email".to_owned(), entry.name.clone());
    let (before, after) = (Some(before.into()), Some(after.into()));
    let path = "/description".to_owned();
    let origin = Origin::Git;
    change.fields = vec![FieldChange { path, before, after, base: None, sensitive, origin }];
    entry.change = Some(Box::new(change));
    content(&status, &PageQuery::default()).into_string()
}

#[test]
fn the_lines_of_a_long_text_say_which_are_live() {
    let text = page_of_a_change("a\nb\nc", "a\nx\nc", false);
    assert!(text.contains("- live, + git") && text.contains("line added"), "{text}");
}

#[test]
fn an_older_reference_of_git_is_not_called_live() {
    for (before, side) in [("${env:OLD}", "git before "), (SENSITIVE, "live ")] {
        let text = page_of_a_change(before, "${env:NEW}", true);
        assert!(text.contains(&format!(">{side}</span><del>{before}")), "{text}");
    }
}
