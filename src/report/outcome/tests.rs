use super::*;
use crate::plan::Action;
use crate::report::samples::{change, entry, quiet_target, rich_target};
use crate::report::{Style, exit};

fn outcome() -> TargetPlan {
    let mut plan = rich_target().without_calls();
    let results = [
        ChangeResult::Done,
        ChangeResult::Failed("PUT connection `events`: the server said: no such queue".to_owned()),
        ChangeResult::Done,
        ChangeResult::Degraded("production: worker 2 did not answer".to_owned()),
    ];
    for (entry, result) in plan.entries.iter_mut().zip(results) {
        entry.end(result);
    }
    plan.notices.clear();
    plan
}

fn quiet(name: &str) -> TargetPlan {
    quiet_target(name).without_calls()
}

#[test]
fn as_text() {
    insta::assert_snapshot!(text(&[outcome()], &Style::default()), @r#"
  » email  order-mails -> order-notifications: done
  + email  newsletter: done
  ? graylog  logs: drift, only reported

failed: PUT connection `events`: the server said: no such queue
-/+ rabbitMq  events

saved but not deployed: production: worker 2 did not answer
  ~ linux-script  cleanup

blocked: unresolved: the environment has no X (nor X_FILE)
  ! database  ledger

not started
  - email  old-mails

held: 5 of 6 connections would be deleted, and max_deletes is 30% (at most 3)
to proceed: `apinizer-gitops apply --allow-deletes`
  - ldap  staff

Applied: 2 done, 1 saved but not deployed, 1 failed, 1 blocked, 1 held, 1
      drifted, 1 not started, 2 adopted as they are; 40 in sync before.
"#);
    insta::assert_snapshot!(text(&[quiet("a"), outcome()], &Style::default()).lines().take(4).collect::<Vec<_>>().join("\n"), @r#"
a: project Payments at https://staging.example.com
prod: project Payments at https://apinizer.example.com
  » email  order-mails -> order-notifications: done
  + email  newsletter: done
"#);
    insta::assert_snapshot!(text(&[quiet("a")], &Style::default()), @r#"
Nothing to do; 5 in sync.
"#);
}

#[test]
fn as_markdown() {
    insta::assert_snapshot!(markdown(&[outcome()]), @r"
<!-- apinizer-gitops:apply -->
### Applied: 2 done, 1 saved but not deployed, 1 failed, 1 blocked, 1 held, 1 drifted, 1 not started, 2 adopted as they are; 40 in sync before.

**Not made**

```diff
# failed: PUT connection `events`: the server said: no such queue
! replace rabbitMq events  connections/mq.yaml:4
# saved but not deployed: production: worker 2 did not answer
! update linux-script cleanup
# blocked: unresolved: the environment has no X (nor X_FILE)
# blocked database ledger  connections/db.yaml:1
# not started
- delete email old-mails
# held: 5 of 6 connections would be deleted, and max_deletes is 30% (at most 3)
#     to proceed: `apinizer-gitops apply --allow-deletes`
- delete ldap staff (held)
```

<details><summary><b>prod</b></summary>

```diff
! rename email order-mails -> order-notifications: done
! replace rabbitMq events: failed
+ create email newsletter: done
! update linux-script cleanup: saved but not deployed
# drift graylog logs: drift, only reported
# blocked database ledger: blocked
- delete email old-mails: not started
- delete ldap staff: held
```

</details>
");
}

#[test]
fn as_json() {
    let mut outcome = outcome();
    outcome.entries.drain(2..7);
    let written = json(&[outcome]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&written).unwrap(), @r#"
{
  "format_version": "1.0",
  "exit_code": 1,
  "targets": [
    {
      "name": "prod",
      "project": "Payments",
      "url": "https://apinizer.example.com",
      "changes": [
        {
          "action": "rename",
          "type": "email",
          "name": "order-notifications",
          "previous_name": "order-mails",
          "fields": [
            {
              "path": "/port",
              "before": 25,
              "after": 587,
              "sensitive": false,
              "origin": "git"
            }
          ],
          "held": false,
          "file": null,
          "line": null,
          "result": "done"
        },
        {
          "action": "replace",
          "type": "rabbitMq",
          "name": "events",
          "fields": [
            {
              "path": "/type",
              "before": "kafka",
              "after": "rabbitMq",
              "sensitive": false,
              "origin": "git"
            },
            {
              "path": "/host",
              "before": null,
              "after": "mq.example.com",
              "sensitive": false,
              "origin": "git"
            }
          ],
          "held": false,
          "file": "connections/mq.yaml",
          "line": 4,
          "result": "failed",
          "message": "PUT connection `events`: the server said: no such queue"
        },
        {
          "action": "drift",
          "type": "graylog",
          "name": "logs",
          "fields": [
            {
              "path": "/level",
              "before": "INFO",
              "after": "DEBUG",
              "sensitive": false,
              "origin": "drift"
            }
          ],
          "held": false,
          "file": null,
          "line": null,
          "result": "drift"
        }
      ],
      "summary": {
        "done": 1,
        "degraded": 0,
        "failed": 1,
        "blocked": 0,
        "held": 0,
        "drift": 1,
        "not_started": 0,
        "adopted": 2,
        "unchanged": 40
      },
      "errors": [],
      "notes": [],
      "warnings": [],
      "document_errors": []
    }
  ]
}
"#);
}

#[test]
fn exit_codes_by_rank() {
    let of = |results: Vec<ChangeResult>| {
        let change = change(Action::Update, "email", "x");
        let change = |result| Change { result: Some(result), ..change.clone() };
        let entries = results.into_iter().map(|result| entry(change(result))).collect();
        exit::of_outcomes(&[TargetPlan { entries, ..quiet("a") }])
    };
    let text = String::new;
    assert_eq!(of(vec![ChangeResult::Done, ChangeResult::Reported]), 0);
    assert_eq!(of(vec![ChangeResult::Done, ChangeResult::Held(text())]), 3);
    for bad in [
        ChangeResult::Failed(text()),
        ChangeResult::Degraded(text()),
        ChangeResult::Blocked(text()),
        ChangeResult::NotStarted,
    ] {
        assert_eq!(of(vec![ChangeResult::Held(text()), bad]), 1);
    }
    let failed = TargetPlan { errors: vec![text()], ..quiet("a") };
    assert_eq!(exit::of_outcomes(&[failed]), 1);
}

#[test]
fn a_long_outcome_fits_a_comment() {
    let mut long = outcome();
    let one = long.entries[1].clone();
    long.entries = vec![one; 3000];
    let written = markdown(&[long]);
    assert!(written.len() < 65_000);
    assert!(written.contains("3000 failed"));
}
