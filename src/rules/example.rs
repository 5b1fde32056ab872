//! The text of `explain rules`: what an expression sees, with an example of each value.

use serde_json::{Value, json};

use super::expression::FUNCTIONS;

/// An example of each value, with its meaning.
fn examples() -> [(&'static str, &'static str, Value); 3] {
    [
        (
            "connection",
            "The document with its overlays merged, references as text. `x-gitops` has all of its \
             keys. Of a delete it is what the tool last wrote.",
            json!({
                "type": "email",
                "name": "order-notifications",
                "host": "${var:smtp_host}",
                "port": 587,
                "enableStartTls": true,
                "password": "${env:ORDERS_SMTP_PASSWORD}",
                "x-gitops": {
                    "protect": false, "renamedFrom": "", "ignore": [], "suspend": false,
                    "targets": ["prod"],
                },
            }),
        ),
        (
            "target",
            "The target, as the config has it.",
            json!({
                "name": "prod",
                "project": "Payments",
                "vars": {"smtp_host": "smtp.example.com"},
            }),
        ),
        (
            "change",
            "The change: `action` is create, update, replace, rename or delete; `origin` is git, \
             drift or both; `fields` are the fields that differ, without their values; `held` says \
             whether another rule holds it.",
            json!({
                "action": "update",
                "origin": "git",
                "fields": [{"path": "/port", "origin": "git"}],
                "held": false,
            }),
        ),
    ]
}

/// The text of `explain rules`.
pub(crate) fn explained() -> String {
    let mut text = "RULES: expressions in CEL (https://cel.dev), in `rules` of the config\n\n\
                    A rule that asks neither for `change` nor for `now` looks at documents, and \
                    `validate` checks it;\nany other, and every `hold`, looks at changes. An \
                    expression that fails counts as a match.\n"
        .to_owned();
    for (name, about, value) in examples() {
        let value = serde_json::to_string_pretty(&value).unwrap_or_default();
        text += &format!("\n{name}\n{}\n{}\n", wrapped(about), indented(&value));
    }
    let about = "The time of the plan, a timestamp. Its parts take the name of a time zone.";
    text += &format!("\nnow\n{}\n", wrapped(about));
    text += "    now.getHours('Europe/Istanbul') < 18     hours from 0 to 23\n    \
             now.getDayOfWeek('Europe/Istanbul') == 5 days from 0, a Sunday, to 6\n";
    text += &format!("\nFUNCTIONS\n{}\n", wrapped(&FUNCTIONS.join(", ")));
    text += &format!(
        "{}\n",
        wrapped(
            "has(connection.port), and of lists all, exists, exists_one, map and filter; \
             connection.?port.orValue(25) for a key that may not be there"
        )
    );
    text
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n")
}

/// A text in lines of 80 columns, indented.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from(" ")];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| line.len() + 1 + word.len() > 80) {
            lines.push(String::from(" "));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
pub(super) fn example_of(name: &str) -> Value {
    examples().into_iter().find(|(of, ..)| *of == name).unwrap().2
}
