//! A rich plan for the tests of all views.

use serde_json::{Value, json};

use crate::document::Place;
use crate::name::{CommitId, ConnectionName};
use crate::plan::{Action, Change, ConnectionState, Entry, FieldChange, Origin, Plan, TargetPlan};
use crate::source::Commit;

pub(super) fn commit() -> Commit {
    Commit {
        id: CommitId("3f2a91c0d1e2b3a4958677685940312233445566".to_owned()),
        subject: "Add order mails".to_owned(),
        author: "Ada <ada@example.com>".to_owned(),
        time: 1_790_000_000,
    }
}

pub(super) fn change(action: Action, type_name: &str, name: &str) -> Change {
    Change::bare(action, type_name.to_owned(), ConnectionName::new(name))
}

/// An entry with that change.
pub(super) fn entry(change: Change) -> Entry {
    let entry = Entry::new(change.name.clone(), change.type_name.clone(), ConnectionState::Pending);
    Entry { change: Some(Box::new(change)), ..entry }
}

/// So many connections that need no write.
pub(super) fn calm(count: usize, state: ConnectionState) -> Vec<Entry> {
    let name = |number| ConnectionName::new(&format!("calm-{number}"));
    (0..count).map(|number| Entry::new(name(number), "email".to_owned(), state)).collect()
}

pub(super) fn field(path: &str, before: Value, after: Value, origin: Origin) -> FieldChange {
    let some = |value: Value| if value.is_null() { None } else { Some(value) };
    FieldChange {
        path: path.to_owned(),
        before: some(before),
        after: some(after),
        base: None,
        sensitive: false,
        origin,
    }
}

fn secret(path: &str, before: Value, after: Value) -> FieldChange {
    FieldChange { sensitive: true, ..field(path, before, after, Origin::Git) }
}

fn place(file: &str, line: u32) -> Option<Place> {
    Some(Place { file: file.into(), line })
}

/// One of everything.
pub(super) fn rich_target() -> TargetPlan {
    let list = |timeout: &str| {
        json!([
            {"key": "mail.debug", "value": "false"},
            {"key": "mail.smtp.timeout", "value": timeout},
        ])
    };
    let script = |line: &str| {
        json!(
            ["#!/bin/sh", "set -eu", "cd /srv", line, "ls", "du -sh .", "df", "exit 0"].join("\n")
        )
    };
    let changes = vec![
        Change {
            previous_name: Some(ConnectionName::new("order-mails")),
            fields: vec![field("/port", json!(25), json!(587), Origin::Git)],
            ..change(Action::Rename, "email", "order-notifications")
        },
        Change {
            fields: vec![
                field("/type", json!("kafka"), json!("rabbitMq"), Origin::Git),
                field("/host", Value::Null, json!("mq.example.com"), Origin::Git),
            ],
            place: place("connections/mq.yaml", 4),
            ..change(Action::Replace, "rabbitMq", "events")
        },
        Change {
            fields: vec![
                field("/host", Value::Null, json!("smtp.example.com"), Origin::Git),
                field("/port", Value::Null, json!(587), Origin::Git),
                secret("/password", Value::Null, json!("${env:ORDERS_SMTP_PASSWORD}")),
            ],
            place: place("connections/mail.yaml", 12),
            ..change(Action::Create, "email", "newsletter")
        },
        Change {
            fields: vec![
                field("/description", json!("Nightly"), json!("Every night"), Origin::Drift),
                field("/additionalProperties", list("1000"), list("2000"), Origin::Both),
                FieldChange {
                    base: Some(json!(21)),
                    ..field("/port", json!(23), json!(22), Origin::Both)
                },
                secret("/password", json!("${env:SSH}"), json!("${env:SSH}")),
                field("/script", script("rm -rf tmp"), script("rm -rf ./tmp"), Origin::Git),
            ],
            ..change(Action::Update, "linux-script", "cleanup")
        },
        Change {
            fields: vec![
                field("/host", json!("old.example.com"), Value::Null, Origin::Git),
                field("/port", json!(25), Value::Null, Origin::Git),
            ],
            ..change(Action::Delete, "email", "old-mails")
        },
        Change {
            held: true,
            reason: Some(
                "5 of 6 connections would be deleted, and max_deletes is 30% (at most 3)"
                    .to_owned(),
            ),
            advice: Some("`apinizer-gitops apply --allow-deletes`".to_owned()),
            ..change(Action::Delete, "ldap", "staff")
        },
        Change {
            reason: Some("unresolved: the environment has no X (nor X_FILE)".to_owned()),
            place: place("connections/db.yaml", 1),
            ..change(Action::Blocked, "database", "ledger")
        },
        Change {
            fields: vec![field("/level", json!("INFO"), json!("DEBUG"), Origin::Drift)],
            ..change(Action::Drift, "graylog", "logs")
        },
    ];
    let mut entries: Vec<Entry> = changes.into_iter().map(entry).collect();
    entries.extend(calm(40, ConnectionState::InSync));
    entries.iter_mut().rev().take(3).for_each(|entry| entry.unverified = true);
    let adopted = calm(2, ConnectionState::InSync).into_iter();
    entries.extend(adopted.map(|entry| Entry { adopted: true, ..entry }));
    entries.push(Entry::new("by-hand".into(), "syslog".to_owned(), ConnectionState::Unmanaged));
    TargetPlan {
        name: "prod".to_owned(),
        project: "Payments".to_owned(),
        url: "https://apinizer.example.com".to_owned(),
        entries,
        notices: vec!["there is no state and no --base: deletes cannot be known".to_owned()],
        ..TargetPlan::default()
    }
}

pub(super) fn plan_of(targets: Vec<TargetPlan>) -> Plan {
    Plan { commit: Some(commit()), source: "/srv/gateway-config".to_owned(), targets, links: None }
}

/// A target where nothing is to be done.
pub(super) fn quiet_target(name: &str) -> TargetPlan {
    TargetPlan {
        name: name.to_owned(),
        project: "Payments".to_owned(),
        url: "https://staging.example.com".to_owned(),
        entries: calm(5, ConnectionState::InSync),
        ..TargetPlan::default()
    }
}
