//! The status for people at a terminal.

use serde_json::Value;

use crate::report::style::{Role, Style};

use super::model::{counts, facts, heading, noted, source, source_error, told, told_of, totals};

/// The status as text: the source, and of each target its counts and what is not in sync.
pub(crate) fn text(status: &Value, style: &Style) -> String {
    let mut lines = vec![source(status)];
    lines.extend(
        source_error(status).map(|error| style.paint(Role::Wrong, format!("error: {error}"))),
    );
    lines.extend(totals(status).map(|totals| style.paint(Role::Heading, totals)));
    let (targets, in_sync) = told_of(status, style.verbose);
    for target in targets {
        lines.push(String::new());
        let state = told(target, "state").unwrap_or_default();
        let role = match state.as_str() {
            "in_sync" => Role::Added,
            "failing" | "blocked" | "refused" => Role::Wrong,
            "waiting" | "suspended" => Role::Aside,
            _ => Role::Attention,
        };
        let state = style.paint(role, state.replace('_', " "));
        lines.push(format!("{}: {state}", style.paint(Role::Heading, heading(target))));
        lines.extend(
            told(target, "error")
                .map(|error| style.paint(Role::Wrong, format!("  error: {error}"))),
        );
        let facts = facts(target);
        if !facts.is_empty() {
            lines.push(style.paint(Role::Aside, format!("  {}", facts.join(", "))));
        }
        let noted = noted(target, style.list_unmanaged);
        let width = |pick: fn(&super::model::Noted) -> &String| {
            noted.iter().map(|one| pick(one).chars().count()).max().unwrap_or_default().min(30)
        };
        let (types, names) = (width(|one| &one.type_name), width(|one| &one.name));
        for one in &noted {
            let role = if one.is_wrong { Role::Wrong } else { Role::Attention };
            let head = format!("  {} {:<types$}  {:<names$}", one.sign, one.type_name, one.name);
            lines.push(format!("{head}  {}", style.paint(role, &one.state)));
        }
        let counts = counts(std::iter::once(target));
        if !counts.is_empty() {
            lines.push(format!("  {counts}"));
        }
    }
    if in_sync > 0 {
        let more = format!("{in_sync} targets are in sync; `--verbose` lists them");
        lines.extend([String::new(), style.paint(Role::Aside, more)]);
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}
