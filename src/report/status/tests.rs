use serde_json::{Value, json};

use super::*;
use crate::report::Style;

fn status() -> Value {
    json!({
        "version": "0.1.0",
        "source": {
            "path": "/srv/gateway-config", "branch": "main",
            "commit": "3f2a91c0d1e2b3a4958677685940312233445566",
            "subject": "Add order mails", "author": "Ada", "time": "2026-11-24T07:00:00Z",
            "error": null,
        },
        "targets": [{
            "name": "prod", "project": "Payments", "url": "https://apinizer.example.com",
            "state": "in_sync", "commit_seen": "3f2a91c0d1e2b3a4", "commit_applied": "3f2a91c0d1e2b3a4",
            "last_reconcile": "2026-11-24T07:00:01Z", "next_reconcile": "2026-11-24T07:05:01Z",
            "error": null,
            "connections": [
                {"type": "email", "name": "orders", "state": "in_sync", "unverified": true},
                {"type": "ldap", "name": "staff", "state": "drifted", "reason": null},
                {"type": "syslog", "name": "by-hand", "state": "unmanaged"},
            ],
        }],
    })
}

fn sick() -> Value {
    let mut status = status();
    status["source"]["error"] = json!("cannot fetch: timed out");
    status["targets"][0]["error"] = json!("401 on the list of email");
    status["targets"][0]["connections"][0]["state"] = json!("held");
    status["targets"][0]["connections"][0]["reason"] = json!("held: 5 of 6\u{1b}[2J would go");
    status
}

/// Names that are held for one reason, a note and a warning.
fn held() -> Value {
    let mut status = status();
    let target = &mut status["targets"][0];
    target["state"] = json!("held");
    target["notices"] =
        json!(["connections/notes.txt is skipped: its name is not that of a document"]);
    target["warnings"] = json!([{
        "code": "AG201", "message": "a connection of type `email` has no field `hots`",
        "help": "did you mean `host`? It is sent as it is written",
        "file": "connections/a.yaml", "line": 4, "column": 1,
    }]);
    for name in ["a", "b"] {
        target["connections"].as_array_mut().unwrap().push(json!({
            "type": "email", "name": name, "state": "held",
            "reason": "held: no commit removed it since the last good one: a path may have changed",
            "advice": format!("`apinizer-gitops apply --allow-delete '{name}'` deletes it"),
        }));
    }
    status
}

#[test]
fn one_reason_stands_above_its_names() {
    insta::assert_snapshot!(text(&held(), &Style::default()), @r#"
/srv/gateway-config, branch main at 3f2a91c0d1e2 (Add order mails) by Ada

prod (Payments at https://apinizer.example.com): held
  note: connections/notes.txt is skipped: its name is not that of a document
  warning: AG201 connections/a.yaml:4:1: a connection of type `email` has no
    field `hots`; did you mean `host`? It is sent as it is written
  applied 3f2a91c0d1e2, seen 3f2a91c0d1e2, last reconcile
    2026-11-24T07:00:01Z, next 2026-11-24T07:05:01Z
  ? ldap   staff  drifted
  held: no commit removed it since the last good one: a path may have changed
  to proceed: `apinizer-gitops apply --allow-delete NAME` deletes it
  ‖ email  a
  ‖ email  b
  1 in sync, 2 held, 1 drifted, 1 unmanaged, 1 unverified
"#);
    insta::assert_snapshot!(markdown(&held()), @r#"
<!-- apinizer-gitops:status -->
### Not healthy

`/srv/gateway-config, branch main at 3f2a91c0d1e2 (Add order mails) by Ada`

`prod (Payments at https://apinizer.example.com)`: 1 in sync, 2 held, 1 drifted, 1 unmanaged, 1 unverified

`applied 3f2a91c0d1e2, seen 3f2a91c0d1e2, last reconcile 2026-11-24T07:00:01Z, next 2026-11-24T07:05:01Z`

**Notes**

- `connections/notes.txt is skipped: its name is not that of a document`

**Warnings**

- ``AG201 connections/a.yaml:4:1: a connection of type `email` has no field `hots`; did you mean `host`? It is sent as it is written``

```diff
# ldap staff: drifted
# held: no commit removed it since the last good one: a path may have changed
#     to proceed: `apinizer-gitops apply --allow-delete NAME` deletes it
! email a
! email b
```
"#);
}

#[test]
fn as_text() {
    insta::assert_snapshot!(text(&status(), &Style::default()), @r#"
/srv/gateway-config, branch main at 3f2a91c0d1e2 (Add order mails) by Ada

prod (Payments at https://apinizer.example.com): in sync
  applied 3f2a91c0d1e2, seen 3f2a91c0d1e2, last reconcile
    2026-11-24T07:00:01Z, next 2026-11-24T07:05:01Z
  ? ldap  staff  drifted
  1 in sync, 1 drifted, 1 unmanaged, 1 unverified
"#);
    insta::assert_snapshot!(text(&sick(), &Style::default()), @r#"
/srv/gateway-config, branch main at 3f2a91c0d1e2 (Add order mails) by Ada
error: cannot fetch: timed out
1 target: 1 in sync; connections: 1 held, 1 drifted, 1 unmanaged, 1 unverified

prod (Payments at https://apinizer.example.com): in sync
  error: 401 on the list of email
  applied 3f2a91c0d1e2, seen 3f2a91c0d1e2, last reconcile
    2026-11-24T07:00:01Z, next 2026-11-24T07:05:01Z
  ‖ email  orders  held: 5 of 6\u{1b}[2J would go
  ? ldap   staff   drifted
  1 held, 1 drifted, 1 unmanaged, 1 unverified
"#);
}

#[test]
fn colours_stand_for_how_bad_it_is() {
    let style = Style { color: true, ..Style::default() };
    for (state, colour) in
        [("in_sync", "\u{1b}[32m"), ("failing", "\u{1b}[1m\u{1b}[31m"), ("held", "\u{1b}[33m")]
    {
        let mut status = status();
        status["targets"][0]["state"] = json!(state);
        let text = text(&status, &style);
        let said = format!("{colour}{}\u{1b}[0m", state.replace('_', " "));
        assert!(text.contains(&said), "{text:?}");
    }
}

#[test]
fn as_markdown() {
    insta::assert_snapshot!(markdown(&sick()), @r#"
<!-- apinizer-gitops:status -->
### Not healthy

`/srv/gateway-config, branch main at 3f2a91c0d1e2 (Add order mails) by Ada`

**Errors**

- `cannot fetch: timed out`
- `prod: 401 on the list of email`

1 target: 1 in sync; connections: 1 held, 1 drifted, 1 unmanaged, 1 unverified

`prod (Payments at https://apinizer.example.com)`: 1 held, 1 drifted, 1 unmanaged, 1 unverified

`applied 3f2a91c0d1e2, seen 3f2a91c0d1e2, last reconcile 2026-11-24T07:00:01Z, next 2026-11-24T07:05:01Z`

```diff
! email orders: held: 5 of 6\u{1b}[2J would go
# ldap staff: drifted
```
"#);
}

#[test]
fn one_target_that_is_only_counted_is_one() {
    let target = |state: &str| json!({"name": "a", "state": state});
    let targets = [vec![target("failing"); 12], vec![target("in_sync")]].concat();
    let status = json!({"targets": targets});
    let told = text(&status, &Style::default());
    assert!(told.ends_with("1 target in sync; `--verbose` lists all\n"), "{told}");
    assert!(markdown(&status).contains("\n1 target in sync.\n"));
}

#[test]
fn health() {
    assert!(is_healthy(&status()));
    assert!(!is_healthy(&sick()));
    assert!(!is_healthy(&json!({})));
    let mut held = status();
    held["targets"][0]["connections"][0]["state"] = json!("held");
    assert!(!is_healthy(&held));
    let mut waiting = status();
    waiting["targets"][0]["state"] = json!("waiting");
    assert!(!is_healthy(&waiting));
}

#[test]
fn any_shape_is_taken() {
    for odd in
        [json!(null), json!([]), json!({"targets": [1, {"connections": [1, {}]}], "source": 3})]
    {
        let _ = (text(&odd, &Style::default()), markdown(&odd), is_healthy(&odd));
    }
}
