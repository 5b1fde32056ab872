use serde_json::json;

use super::*;
use crate::plan::{Action, Change, Origin, Plan, TargetPlan, for_the_shell};
use crate::report::samples::{change, entry, field, plan_of, quiet_target, rich_target};
use crate::report::{Style, exit};

mod comment;

#[test]
fn a_rich_plan_as_text() {
    insta::assert_snapshot!(text(&plan_of(vec![rich_target()]), &Style::default()), @r#"
prod: project Payments at https://apinizer.example.com
note: there is no state and no --base: deletes cannot be known
/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)

  » email         order-mails -> order-notifications
      git  port  25 -> 587

-/+ rabbitMq      events  connections/mq.yaml:4
      git gave it another type
      git  type  "kafka" -> "rabbitMq"
      git  host  + "mq.example.com"

  + email         newsletter  connections/mail.yaml:12
      host      "smtp.example.com"
      port      587
      password  ${env:ORDERS_SMTP_PASSWORD}

  ~ linux-script  cleanup
      drift  description  live "Nightly", git "Every night"
      both   additionalProperties[mail.smtp.timeout]/value
          - live "1000"
          + git "2000"
      both   port         base 21
      both   port         live 23, git 22
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
      drift  level  live "INFO", git "DEBUG"

  ! database      ledger  connections/db.yaml:1
      unresolved: the environment has no X (nor X_FILE)

  - email         old-mails
      git no longer declares it
      host  "old.example.com"
      port  25

  - ldap          staff  (held)
      held: 5 of 6 connections would be deleted, and max_deletes is 30% (at most
      3)
      to proceed: `apinizer-gitops apply --allow-deletes`

Plan: 1 to create, 1 to update, 1 to replace, 1 to rename, 1 to delete, 2
      to adopt as they are, 1 delete held, 1 blocked, 1 drifted; 40 in sync, 1
      unmanaged, 3 unverified.
"#);
}

#[test]
fn several_targets_have_headings() {
    let style = Style { list_unmanaged: true, verbose: true, ..Style::default() };
    let mut one = rich_target();
    one.entries.drain(2..8);
    let mut failed = quiet_target("dr");
    failed.errors.push("the Manager cannot be reached: connection refused".to_owned());
    let plan = Plan { commit: None, ..plan_of(vec![one, quiet_target("staging"), failed]) };
    insta::assert_snapshot!(text(&plan, &style), @r#"
note: prod: there is no state and no --base: deletes cannot be known
/srv/gateway-config, worktree: files as they are, committed or not

prod: project Payments at https://apinizer.example.com (1 to replace, 1 to
      rename, 2 to adopt as they are; 40 in sync, 1 unmanaged, 3 unverified)

  » email     order-mails -> order-notifications
      git  port  25 -> 587

-/+ rabbitMq  events  connections/mq.yaml:4
      git gave it another type
      git  type  "kafka" -> "rabbitMq"
      git  host  + "mq.example.com"

Unmanaged, never touched:
      syslog  by-hand

staging: project Payments at https://staging.example.com (5 in sync)

dr: project Payments at https://staging.example.com (5 in sync)
error: the Manager cannot be reached: connection refused

Plan: 1 to replace, 1 to rename, 2 to adopt as they are; 50 in sync, 1
      unmanaged, 3 unverified; 1 target with errors.
"#);
}

#[test]
fn in_sync_is_one_line() {
    insta::assert_snapshot!(text(&plan_of(vec![quiet_target("prod")]), &Style::default()), @r#"
prod: project Payments at https://staging.example.com
/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)

No changes. 5 connections are in sync.
"#);
}

/// Three held deletes and two blocked connections for one reason each, and one delete.
fn grouped_target() -> TargetPlan {
    let held = |name: &str| Change {
        held: true,
        reason: Some("held: no commit removed it".to_owned()),
        advice: Some(format!("`apinizer-gitops apply --allow-delete {}`", for_the_shell(name))),
        ..change(Action::Delete, "email", name)
    };
    let blocked = |name: &str| Change {
        reason: Some("unresolved: the environment has no X (nor X_FILE)".to_owned()),
        fields: vec![field("/port", json!(25), json!(587), Origin::Git)],
        ..change(Action::Blocked, "database", name)
    };
    let changes = vec![
        held("a"),
        blocked("ledger"),
        change(Action::Create, "ftp", "new"),
        change(Action::Delete, "email", "old"),
        held("it's"),
        blocked("orders"),
        change(Action::Create, "ftp", "newer"),
    ];
    TargetPlan { entries: changes.into_iter().map(entry).collect(), ..quiet_target("prod") }
}

#[test]
fn changes_that_are_held_or_blocked_for_one_reason_are_told_together() {
    let plan = plan_of(vec![grouped_target()]);
    insta::assert_snapshot!(text(&plan, &Style::default()), @r#"
prod: project Payments at https://staging.example.com
/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)

  + ftp       new

  + ftp       newer

blocked: unresolved: the environment has no X (nor X_FILE)
  ! database  ledger
      git  port  25 -> 587
  ! database  orders
      git  port  25 -> 587

held: no commit removed it
to proceed: `apinizer-gitops apply --allow-delete NAME`
  - email     a
  - email     it's

  - email     old
      git no longer declares it

Plan: 2 to create, 1 to delete, 2 deletes held, 2 blocked.
"#);
    let summary = Style { summary: true, ..Style::default() };
    insta::assert_snapshot!(text(&plan, &summary), @r#"
prod: project Payments at https://staging.example.com
/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)

  + ftp       new
  + ftp       newer

blocked: unresolved: the environment has no X (nor X_FILE)
  ! database  ledger
  ! database  orders

held: no commit removed it
to proceed: `apinizer-gitops apply --allow-delete NAME`
  - email     a
  - email     it's

git no longer declares it
  - email     old

Plan: 2 to create, 1 to delete, 2 deletes held, 2 blocked.
"#);
    insta::assert_snapshot!(markdown(&plan, &Style::default()), @r"
<!-- apinizer-gitops:plan -->
### Plan: 2 to create, 1 to delete, 2 deletes held, 2 blocked.

`/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)`

**Blocked**

```diff
# blocked: unresolved: the environment has no X (nor X_FILE)
# blocked database ledger
# blocked database orders
```

**Deletes and replaces**

```diff
# held: no commit removed it
#     to proceed: `apinizer-gitops apply --allow-delete NAME`
- delete email a (held)
- delete email it's (held)
- delete email old
#     git no longer declares it
```

<details><summary><b>prod</b> (Payments): 2 to create, 1 to delete, 2 deletes held, 2 blocked</summary>

```diff
+ create ftp new
+ create ftp newer
# blocked: unresolved: the environment has no X (nor X_FILE)
# blocked database ledger
-     port (git): 25
+     port (git): 587
# blocked database orders
-     port (git): 25
+     port (git): 587
# held: no commit removed it
#     to proceed: `apinizer-gitops apply --allow-delete NAME`
- delete email a (held)
- delete email it's (held)
- delete email old
#     git no longer declares it
```

</details>
");
}

#[test]
fn many_names_below_one_reason_are_counted() {
    let mut many = grouped_target();
    let held = many.entries[0].clone();
    many.entries = vec![held; 500];
    let plan = plan_of(vec![many]);
    insta::assert_snapshot!(text(&plan, &Style::default()), @r#"
prod: project Payments at https://staging.example.com
/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)

held: no commit removed it
to proceed: `apinizer-gitops apply --allow-delete NAME`
  - email  500 names
      `--verbose` lists the names

Plan: 500 deletes held.
"#);
    insta::assert_snapshot!(markdown(&plan, &Style::default()), @r#"
<!-- apinizer-gitops:plan -->
### Plan: 500 deletes held.

`/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)`

**Deletes and replaces**

```diff
# held: no commit removed it
#     to proceed: `apinizer-gitops apply --allow-delete NAME`
- delete email: 500 names
```

<details><summary><b>prod</b> (Payments): 500 deletes held</summary>

```diff
# held: no commit removed it
#     to proceed: `apinizer-gitops apply --allow-delete NAME`
- delete email: 500 names
```

</details>
"#);
    let verbose = Style { verbose: true, ..Style::default() };
    assert_eq!(text(&plan, &verbose).matches("  - email  a\n").count(), 500);
}

#[test]
fn a_rich_plan_as_markdown() {
    insta::assert_snapshot!(markdown(&plan_of(vec![rich_target()]), &Style::default()), @r#"
<!-- apinizer-gitops:plan -->
### Plan: 1 to create, 1 to update, 1 to replace, 1 to rename, 1 to delete, 2 to adopt as they are, 1 delete held, 1 blocked, 1 drifted; 40 in sync, 1 unmanaged, 3 unverified.

`/srv/gateway-config at 3f2a91c0d1e2 (Add order mails)`

**Notes**

- `there is no state and no --base: deletes cannot be known`

**Blocked**

```diff
# blocked database ledger  connections/db.yaml:1
#     unresolved: the environment has no X (nor X_FILE)
```

**Deletes and replaces**

```diff
! replace rabbitMq events  connections/mq.yaml:4
#     git gave it another type
- delete email old-mails
#     git no longer declares it
- delete ldap staff (held)
#     held: 5 of 6 connections would be deleted, and max_deletes is 30% (at most 3)
#     to proceed: `apinizer-gitops apply --allow-deletes`
```

**Drift that no commit made**

```diff
! update linux-script cleanup
# drift graylog logs
```

<details><summary><b>prod</b> (Payments): 1 to create, 1 to update, 1 to replace, 1 to rename, 1 to delete, 2 to adopt as they are, 1 delete held, 1 blocked, 1 drifted; 40 in sync, 1 unmanaged, 3 unverified</summary>

```diff
! rename email order-mails -> order-notifications
-     port (git): 25
+     port (git): 587
! replace rabbitMq events  connections/mq.yaml:4
#     git gave it another type
-     type (git): "kafka"
+     type (git): "rabbitMq"
+     host (git): "mq.example.com"
+ create email newsletter  connections/mail.yaml:12
+     host: "smtp.example.com"
+     port: 587
+     password: ${env:ORDERS_SMTP_PASSWORD}
! update linux-script cleanup
-     additionalProperties[mail.smtp.timeout]/value (both): live "1000"
+     additionalProperties[mail.smtp.timeout]/value (both): git "2000"
      port (both): base 21
-     port (both): live 23
+     port (both): git 22
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
# blocked database ledger  connections/db.yaml:1
#     unresolved: the environment has no X (nor X_FILE)
- delete email old-mails
#     git no longer declares it
-     host: "old.example.com"
-     port: 25
- delete ldap staff (held)
#     held: 5 of 6 connections would be deleted, and max_deletes is 30% (at most 3)
#     to proceed: `apinizer-gitops apply --allow-deletes`
```

</details>

<details><summary><b>prod</b> (Payments): drift that no commit made</summary>

```diff
! update linux-script cleanup
-     description (drift): live "Nightly"
+     description (drift): git "Every night"
# drift graylog logs
-     level (drift): live "INFO"
+     level (drift): git "DEBUG"
```

</details>
"#);
}

#[test]
fn the_drift_of_a_connection_that_is_renamed_is_told_as_an_update() {
    let renamed = Change {
        previous_name: Some("old".into()),
        fields: vec![field("/host", json!("mx.elsewhere"), json!("mx"), Origin::Drift)],
        ..change(Action::Rename, "email", "new")
    };
    let target = TargetPlan { entries: vec![entry(renamed)], ..quiet_target("a") };
    let comment = markdown(&plan_of(vec![target]), &Style::default());
    assert!(comment.contains("rename email old -> new"), "{comment}");
    assert!(comment.contains("update email new"), "{comment}");
}

#[test]
fn a_rich_plan_as_json() {
    let mut target = rich_target();
    target.entries.drain(1..5);
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
          "action": "delete",
          "type": "ldap",
          "name": "staff",
          "reason": "5 of 6 connections would be deleted, and max_deletes is 30% (at most 3)",
          "advice": "`apinizer-gitops apply --allow-deletes`",
          "fields": [],
          "held": true,
          "file": null,
          "line": null
        }
      ],
      "summary": {
        "create": 0,
        "update": 0,
        "replace": 0,
        "rename": 1,
        "delete": 1,
        "adopt": 2,
        "held": 1,
        "unchanged": 40,
        "blocked": 1,
        "unmanaged": 1,
        "unverified": 3
      },
      "errors": [],
      "notes": [
        "there is no state and no --base: deletes cannot be known"
      ],
      "warnings": [],
      "document_errors": []
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
    let plan = |changes: Vec<Change>| {
        let entries = changes.into_iter().map(entry).collect();
        plan_of(vec![TargetPlan { entries, ..quiet_target("a") }])
    };
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

#[test]
fn a_terminal_shows_long_values_broken_between_words_and_a_url_whole() {
    let url = format!("https://hooks.example.com/services/{}", "x".repeat(60));
    let words = "Mails to customers about their orders, their invoices, and parcels that are late.";
    let fields = vec![
        field("/description", json!(words.replace("late", "lost")), json!(words), Origin::Git),
        field("/url", json!(null), json!(url), Origin::Git),
    ];
    let change = Change { fields, ..change(Action::Update, "webhook", "a") };
    let shown = |is_terminal| {
        let mut out = String::new();
        super::text::write(&mut out, &change, &Style { is_terminal, ..Style::default() });
        out
    };
    insta::assert_snapshot!(shown(true), @r#"
    git  description
        - Mails to customers about their orders, their invoices, and parcels
          that are lost.
        + Mails to customers about their orders, their invoices, and parcels
          that are late.
    git  url
        + "https://hooks.example.com/services/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "#);
    assert!(shown(false).contains(words));
}
