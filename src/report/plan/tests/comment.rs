//! The limits of a comment on a pull request: its content and its length.

use proptest::prelude::*;

use super::*;

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
    for entry in &mut target.entries {
        (entry.name, entry.type_name) = (hostile.into(), hostile.to_owned());
        let Some(change) = &mut entry.change else { continue };
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
    let changes = (0..5000)
        .map(|n| Change {
            fields: vec![field("/d", json!("a".repeat(70)), json!("b".repeat(70)), Origin::Git)],
            ..change(
                if n % 2 == 0 { Action::Update } else { Action::Delete },
                "email",
                &format!("connection-{n}"),
            )
        })
        .map(entry);
    let target = TargetPlan { entries: changes.collect(), ..quiet_target("prod") };
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
    let changes = (0..100)
        .map(|n| Change {
            fields: vec![field("/d", json!("x".repeat(900)), json!("y".repeat(900)), Origin::Git)],
            ..change(Action::Update, "email", &format!("connection-{n}"))
        })
        .map(entry);
    let target = TargetPlan { entries: changes.collect(), ..quiet_target("prod") };
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
        let changes = names
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
            .map(entry);
        let target = TargetPlan { entries: changes.collect(), errors: names.clone(), name: names.concat(), ..quiet_target("a") };
        let written = markdown(&plan_of(vec![target.clone(), target]), &Style::default());
        prop_assert!(written.chars().count() < 65_000);
        prop_assert!(written.len() < 65_000);
        outside_of_fences(&written);
    }
}

#[test]
fn files_and_the_commit_are_links_where_the_host_is_known() {
    let mut plan = plan_of(vec![rich_target()]);
    plan.links = crate::links::Links::of("git@github.com:team/config.git");
    let written = markdown(&plan, &Style::default());
    let line = written.lines().find(|line| line.contains("](<")).unwrap();
    assert!(
        line.starts_with("[commit `3f2a91c0d1e2`](<https://github.com/team/config/commit/3f2a")
    );
    let file = "[`connections/db.yaml:1`](<https://github.com/team/config/blob/3f2a91c0d1e2";
    assert!(line.contains(file) && line.contains("/connections/db.yaml#L1>)"), "{line}");
    assert!(!markdown(&plan_of(vec![rich_target()]), &Style::default()).contains("](<"));
}
