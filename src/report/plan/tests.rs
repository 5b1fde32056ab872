use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::plan::{Action, Change, Origin, Plan, Summary, TargetPlan};
use crate::report::samples::{change, field, plan_of, quiet_target, rich_target};
use crate::report::{Style, exit};

#[test]
fn a_rich_plan_as_text() {
    insta::assert_snapshot!(text(&plan_of(vec![rich_target()]), &Style::default()), @r#"
note: there is no state and no --base: deletes cannot be known
/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)

  » email         order-mails -> order-notifications
      git  port  25 -> 587

-/+ rabbitMq      events
      the type changes from kafka to rabbitMq
      git  host  + "mq.example.com"

  + email         newsletter
      host      "smtp.example.com"
      port      587
      password  ${env:ORDERS_SMTP_PASSWORD}

  ~ linux-script  cleanup
      drift  description  "Nightly" -> "Every night"
      both   additionalProperties[mail.smtp.timeout]/value  "1000" -> "2000"
      git    password     ${env:SSH} (another value)
      git    script
            #!/bin/sh
            set -eu
            cd /srv
          - rm -rf tmp
          + rm -rf ./tmp
            ls
            du -sh .
            df

  ? graylog       logs
      drift  level  "INFO" -> "DEBUG"

  ! database      ledger  connections/db.yaml:1
      unresolved: the environment has no X (nor X_FILE)

  - email         old-mails
      git no longer declares it

  - ldap          staff  (held)
      held: 5 of 6 connections would be deleted, and max_deletes is 30% (at most
      3)
      to go on: `apinizer-gitops apply --allow-deletes`

Plan: 1 to create, 1 to update, 1 to replace, 1 to rename, 2 to delete, 2 to take over as they are, 1 held, 1 blocked, 1 drifted; 40 in sync, 1 unmanaged, 3 unverified.
"#);
}

#[test]
fn several_targets_have_headings() {
    let style = Style { list_unmanaged: true, verbose: true, ..Style::default() };
    let mut one = rich_target();
    one.changes.truncate(2);
    let mut failed = quiet_target("dr");
    failed.errors.push("the Manager cannot be reached: connection refused".to_owned());
    let plan = Plan { commit: None, ..plan_of(vec![one, quiet_target("staging"), failed]) };
    insta::assert_snapshot!(text(&plan, &style), @r#"
note: prod: there is no state and no --base: deletes cannot be known
/srv/gateway-config, worktree: files as they are, committed or not

prod (Payments at https://apinizer.example.com): 1 to create, 1 to update, 1 to replace, 1 to rename, 2 to delete, 2 to take over as they are, 1 held, 1 blocked; 40 in sync, 1 unmanaged, 3 unverified

  » email     order-mails -> order-notifications
      git  port  25 -> 587

-/+ rabbitMq  events  connections/mq.yaml:4
      the type changes from kafka to rabbitMq
      git  host  + "mq.example.com"

Unmanaged, never touched:
      syslog  by-hand

staging (Payments at https://staging.example.com): 5 in sync

dr (Payments at https://staging.example.com): 5 in sync
error: the Manager cannot be reached: connection refused

Plan: 1 to create, 1 to update, 1 to replace, 1 to rename, 2 to delete, 2 to take over as they are, 1 held, 1 blocked; 50 in sync, 1 unmanaged, 3 unverified; 1 target with errors.
"#);
}

#[test]
fn in_sync_is_one_line() {
    insta::assert_snapshot!(text(&plan_of(vec![quiet_target("prod")]), &Style::default()), @r#"
/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)

No changes. 5 connections are in sync.
"#);
}

#[test]
fn a_rich_plan_as_markdown() {
    insta::assert_snapshot!(markdown(&plan_of(vec![rich_target()]), &Style::default()), @r#"
<!-- apinizer-gitops:plan -->
### Plan: 1 to create, 1 to update, 1 to replace, 1 to rename, 2 to delete, 2 to take over as they are, 1 held, 1 blocked, 1 drifted; 40 in sync, 1 unmanaged, 3 unverified.

`/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)`

**Notes**

- `there is no state and no --base: deletes cannot be known`

**Deletes and replaces**

```diff
! replace rabbitMq events
#     the type changes from kafka to rabbitMq
- delete email old-mails
#     git no longer declares it
- delete ldap staff (held)
#     held: 5 of 6 connections would be deleted, and max_deletes is 30% (at most 3)
#     to go on: `apinizer-gitops apply --allow-deletes`
```

<details><summary><b>prod</b> (Payments): 1 to create, 1 to update, 1 to replace, 1 to rename, 2 to delete, 2 to take over as they are, 1 held, 1 blocked, 1 drifted; 40 in sync, 1 unmanaged, 3 unverified</summary>

```diff
! rename email order-mails -> order-notifications
-     port (git): 25
+     port (git): 587
! replace rabbitMq events
#     the type changes from kafka to rabbitMq
+     host (git): "mq.example.com"
+ create email newsletter
+     host: "smtp.example.com"
+     port: 587
+     password: ${env:ORDERS_SMTP_PASSWORD}
! update linux-script cleanup
-     description (drift): "Nightly"
+     description (drift): "Every night"
-     additionalProperties[mail.smtp.timeout]/value (both): "1000"
+     additionalProperties[mail.smtp.timeout]/value (both): "2000"
!     password (git): ${env:SSH} (another value)
      script (git):
          #!/bin/sh
          set -eu
          cd /srv
-         rm -rf tmp
+         rm -rf ./tmp
          ls
          du -sh .
          df
# drift graylog logs
-     level (drift): "INFO"
+     level (drift): "DEBUG"
# blocked database ledger
#     unresolved: the environment has no X (nor X_FILE)
- delete email old-mails
#     git no longer declares it
- delete ldap staff (held)
#     held: 5 of 6 connections would be deleted, and max_deletes is 30% (at most 3)
#     to go on: `apinizer-gitops apply --allow-deletes`
```

</details>
"#);
}

#[test]
fn a_rich_plan_as_json() {
    let mut target = rich_target();
    target.changes.drain(1..5);
    let plan = json(&plan_of(vec![target]), &Style::default());
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap(), @r#"
{
  "format_version": "1.0",
  "commit": "3f2a91c0d1e2b3a4958677685940312233445566",
  "worktree": false,
  "source": "/srv/gateway-config",
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
          "line": null
        },
        {
          "action": "delete",
          "type": "ldap",
          "name": "staff",
          "reason": "5 of 6 connections would be deleted, and max_deletes is 30% (at most 3)",
          "advice": "`apinizer-gitops apply --allow-deletes`",
          "fields": [],
          "held": true,
          "file": null,
          "line": null
        },
        {
          "action": "blocked",
          "type": "database",
          "name": "ledger",
          "reason": "unresolved: the environment has no X (nor X_FILE)",
          "fields": [],
          "held": false,
          "file": "connections/db.yaml",
          "line": 1
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
          "line": null
        }
      ],
      "summary": {
        "create": 1,
        "update": 1,
        "replace": 1,
        "rename": 1,
        "delete": 2,
        "adopt": 2,
        "held": 1,
        "unchanged": 40,
        "blocked": 1,
        "unmanaged": 1,
        "unverified": 3
      },
      "errors": [],
      "notices": [
        "there is no state and no --base: deletes cannot be known"
      ]
    }
  ]
}
"#);
}

#[test]
fn colour_changes_no_character_of_the_text() {
    let plan = plan_of(vec![rich_target(), quiet_target("b")]);
    let coloured = text(&plan, &Style { color: true, ..Style::default() });
    assert!(coloured.contains("\x1b["));
    let stripped = anstream::adapter::strip_str(&coloured).to_string();
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&stripped), trimmed(&text(&plan, &Style::default())));
}

#[test]
fn exit_codes_by_rank() {
    let plan = |changes: Vec<Change>| plan_of(vec![TargetPlan { changes, ..quiet_target("a") }]);
    let held = || Change { held: true, ..change(Action::Delete, "email", "x") };
    let drift = || change(Action::Drift, "email", "y");
    let blocked = || change(Action::Blocked, "email", "z");
    assert_eq!(exit::of_plan(&plan(vec![])), 0);
    assert_eq!(exit::of_plan(&plan(vec![drift()])), 2);
    assert_eq!(exit::of_plan(&plan(vec![drift(), held()])), 3);
    assert_eq!(exit::of_plan(&plan(vec![held(), blocked()])), 1);
    let mut failed = plan(vec![held()]);
    failed.targets[0].errors.push("x".to_owned());
    assert_eq!(exit::of_plan(&failed), 1);
}

/// A reader of fenced blocks and of lines outside of them, as CommonMark has them.
fn outside_of_fences(markdown: &str) -> Vec<&str> {
    let mut inside = false;
    let mut outside = Vec::new();
    for line in markdown.lines() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let fence = indent <= 3 && line.trim_start().starts_with("```");
        if inside {
            if fence && line.trim().trim_start_matches('`').is_empty() {
                inside = false;
            }
        } else if fence {
            inside = true;
        } else {
            outside.push(line);
        }
    }
    assert!(!inside, "a fence is open at the end");
    outside
}

#[test]
fn nothing_foreign_is_markup() {
    let hostile = "x`</details>\n```\n# <img src=x onerror=y>\u{1b}[2J|@all";
    let mut target = rich_target();
    target.name = hostile.to_owned();
    target.project = hostile.to_owned();
    target.notices = vec![hostile.to_owned()];
    target.errors = vec![hostile.to_owned()];
    target.unmanaged = vec![(hostile.to_owned(), hostile.into())];
    for change in &mut target.changes {
        change.name = hostile.into();
        change.reason = Some(hostile.to_owned());
        change.advice = Some(hostile.to_owned());
        change.type_name = hostile.to_owned();
        let long = format!("{hostile}\n```\n    ```\n{}", "`".repeat(20));
        change.fields.push(field("/a~1```/b", json!(hostile), json!(long), Origin::Git));
        change.fields.push(field(
            "/c",
            json!([long, {hostile: long}]),
            json!([hostile]),
            Origin::Git,
        ));
    }
    let style = Style { list_unmanaged: true, verbose: true, ..Style::default() };
    let mut plan = plan_of(vec![target, quiet_target("b")]);
    plan.source = hostile.to_owned();
    let written = markdown(&plan, &style);
    assert!(!written.contains('\u{1b}'));
    let outside = outside_of_fences(&written);
    for line in outside {
        // Outside of fences it is either encoded or in a code span, which ends its line.
        assert!(!line.contains("<img") || line.ends_with('`'), "{line}");
        assert!(
            !line.contains("</details>") || line == "</details>" || line.ends_with('`'),
            "{line}"
        );
    }
    let written = text(&plan, &style);
    assert!(written.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn thousands_of_changes_fit_and_the_summary_stays() {
    let changes: Vec<Change> = (0..5000)
        .map(|n| Change {
            fields: vec![field("/d", json!("a".repeat(70)), json!("b".repeat(70)), Origin::Git)],
            ..change(
                if n % 2 == 0 { Action::Update } else { Action::Delete },
                "email",
                &format!("connection-{n}"),
            )
        })
        .collect();
    let summary = Summary { update: 2500, delete: 2500, ..Summary::default() };
    let target = TargetPlan { changes, summary, ..quiet_target("prod") };
    let written = markdown(&plan_of(vec![target]), &Style::default());
    assert!(written.len() < 65_000, "{}", written.len());
    assert!(
        written.starts_with(
            "<!-- apinizer-gitops:plan -->\n### Plan: 2500 to update, 2500 to delete.\n"
        )
    );
    assert!(written.contains("and 2450 more"));
    assert!(written.contains("more did not fit here"));
    outside_of_fences(&written);
}

#[test]
fn differences_give_way_before_names_do() {
    let changes: Vec<Change> = (0..100)
        .map(|n| Change {
            fields: vec![field("/d", json!("x".repeat(900)), json!("y".repeat(900)), Origin::Git)],
            ..change(Action::Update, "email", &format!("connection-{n}"))
        })
        .collect();
    let target = TargetPlan { changes, ..quiet_target("prod") };
    let written = markdown(&plan_of(vec![target]), &Style::default());
    assert!(written.len() < 65_000);
    assert!((0..100).all(|n| written.contains(&format!("! update email connection-{n}"))));
    assert!(!written.contains("did not fit"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_plan_is_too_long_for_a_comment(
        names in proptest::collection::vec("\\PC{0,40}|`{1,30}|(```\n){1,9}", 0..60),
        values in proptest::collection::vec("[\\PC\n]{0,3000}", 1..8),
        repeat in 1..20_usize,
    ) {
        let changes: Vec<Change> = names
            .iter()
            .enumerate()
            .map(|(n, name)| {
                let value = values[n % values.len()].repeat(repeat);
                Change {
                    fields: vec![field("/v", json!("old\nvalue"), json!(value), Origin::Both)],
                    reason: Some(value.chars().take(5000).collect()),
                    ..change(Action::Replace, "email", name)
                }
            })
            .collect();
        let target = TargetPlan { changes, errors: names.clone(), name: names.concat(), ..quiet_target("a") };
        let written = markdown(&plan_of(vec![target.clone(), target]), &Style::default());
        prop_assert!(written.chars().count() < 65_000);
        prop_assert!(written.len() < 65_000);
        outside_of_fences(&written);
    }
}
