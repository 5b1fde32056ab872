//! The key `x-gitops`: how this tool treats a connection.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Options;
use crate::catalog::{OPTIONS, OPTIONS_KEY as KEY, did_you_mean};
use crate::diagnostic::{Finding, Part, code, quoted};
use crate::name::{self, ConnectionName};
use crate::pointer::{child, item};
use crate::reference::holds_reference;

/// The pointer to one of the options.
pub(super) fn pointer_to(key: &str) -> String {
    child(&child("", KEY), key)
}

/// Reads `x-gitops` of a document.
pub(crate) fn read(head: &Map<String, Value>, findings: &mut Vec<Finding>) -> Options {
    let mut options = Options::default();
    let pointer = child("", KEY);
    let entries = match head.get(KEY) {
        None | Some(Value::Null) => return options,
        Some(Value::Object(entries)) => entries,
        Some(_) => {
            findings.push(wrong(&pointer, KEY, "a mapping", "x-gitops: {protect: true}"));
            return options;
        }
    };
    for (key, value) in entries {
        let pointer = child(&pointer, key);
        if holds_reference(value) {
            findings.push(no_reference(&pointer, &format!("x-gitops.{key}")));
            continue;
        }
        match key.as_str() {
            "protect" => options.protect = flag(&pointer, key, value, findings),
            "suspend" => options.suspend = flag(&pointer, key, value, findings),
            "renamedFrom" => options.renamed_from = old_name(&pointer, value, findings),
            "ignore" => options.ignore = ignored(&pointer, value, findings),
            "targets" => options.targets = targets(&pointer, value, findings),
            _ => findings.push(unknown(&pointer, key)),
        }
    }
    options
}

/// The targets that a document is for, whatever else is wrong with it; `None`: all.
pub(crate) fn targets_of(head: &Map<String, Value>) -> Option<BTreeSet<String>> {
    targets("", head.get(KEY)?.get("targets")?, &mut Vec::new())
}

/// Whether documents with these `targets` are for a target.
pub(super) fn are_for(targets: Option<&BTreeSet<String>>, target: Option<&str>) -> bool {
    match (targets, target) {
        (Some(targets), Some(target)) => targets.contains(target),
        _ => true,
    }
}

/// The name that a document renames from, whatever else is wrong with it.
pub(crate) fn old_name_of(head: &Map<String, Value>) -> Option<ConnectionName> {
    Some(ConnectionName::new(head.get(KEY)?.get("renamedFrom")?.as_str()?))
}

/// The error of a reference where none may stand.
pub(crate) fn no_reference(pointer: &str, what: &str) -> Finding {
    let message = format!("{} takes no references", quoted(what));
    Finding::error(&code::REFERENCE_NOT_ALLOWED, pointer, message)
}

fn wrong(pointer: &str, what: &str, kind: &str, example: &str) -> Finding {
    Finding::error(&code::OPTION_KIND, pointer, format!("`{what}` takes {kind}"))
        .help(format!("write `{example}`"))
}

fn flag(pointer: &str, key: &str, value: &Value, findings: &mut Vec<Finding>) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        _ => {
            findings.push(wrong(pointer, key, "`true` or `false`", &format!("{key}: true")));
            false
        }
    }
}

fn old_name(pointer: &str, value: &Value, findings: &mut Vec<Finding>) -> Option<ConnectionName> {
    let example = "renamedFrom: old-name";
    match value {
        Value::Null => None,
        Value::String(text) => match name::problem_with(text) {
            None => Some(ConnectionName::new(text)),
            Some(problem) => {
                let message = format!("the name in `renamedFrom` {problem}");
                findings.push(Finding::error(&code::BAD_NAME, pointer, message));
                None
            }
        },
        Value::Number(_) | Value::Bool(_) => {
            findings.push(
                wrong(pointer, "renamedFrom", "a text", example).help("put the name into quotes"),
            );
            None
        }
        _ => {
            findings.push(wrong(pointer, "renamedFrom", "the name of one connection", example));
            None
        }
    }
}

/// Names become pointers, so that all who read them know one form.
fn ignored(pointer: &str, value: &Value, findings: &mut Vec<Finding>) -> BTreeSet<String> {
    let mut ignored = BTreeSet::new();
    for (place, text) in texts(pointer, "ignore", "ignore: [description]", value, findings) {
        let entry = if text.starts_with('/') { text.to_owned() } else { child("", text) };
        let top = crate::pointer::steps(&entry).next().unwrap_or_default();
        if top.is_empty() {
            let message = "an entry of `ignore` names no field".to_owned();
            findings.push(Finding::error(&code::BAD_IGNORE, place, message));
        } else if matches!(top.as_ref(), "type" | "name" | KEY) {
            let message = format!("{} cannot be ignored", quoted(&top));
            findings.push(Finding::error(&code::BAD_IGNORE, place, message));
        } else {
            ignored.insert(entry);
        }
    }
    ignored
}

fn targets(pointer: &str, value: &Value, findings: &mut Vec<Finding>) -> Option<BTreeSet<String>> {
    if value.is_null() {
        return None;
    }
    let before = findings.len();
    let texts = texts(pointer, "targets", "targets: [prod]", value, findings);
    let names = texts.into_iter().map(|(_, text)| text.to_owned()).collect();
    (findings.len() == before).then_some(names)
}

/// The texts of a list, each with its place.
fn texts<'v>(
    pointer: &str,
    key: &str,
    example: &str,
    value: &'v Value,
    findings: &mut Vec<Finding>,
) -> Vec<(String, &'v str)> {
    let Value::Array(items) = value else {
        if !value.is_null() {
            findings.push(wrong(pointer, key, "a list of texts", example));
        }
        return Vec::new();
    };
    let mut texts = Vec::new();
    for (index, value) in items.iter().enumerate() {
        let place = item(pointer, index);
        match value {
            Value::String(text) => texts.push((place, text.as_str())),
            _ => findings.push(wrong(&place, key, "a list of texts", example)),
        }
    }
    texts
}

fn unknown(pointer: &str, key: &str) -> Finding {
    let keys = || OPTIONS.iter().map(|option| option.name);
    let otherwise = format!("its keys are {}", keys().map(quoted).collect::<Vec<_>>().join(", "));
    let message = format!("`x-gitops` has no key {}", quoted(key));
    Finding::error(&code::UNKNOWN_OPTION, pointer, message).part(Part::Key).help(did_you_mean(
        keys(),
        key,
        otherwise,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(value: &Value) -> (Options, Vec<&'static str>) {
        let mut findings = Vec::new();
        let fields = json!({"x-gitops": value});
        let options = read(fields.as_object().unwrap(), &mut findings);
        (options, findings.iter().map(|f| f.problem.code).collect())
    }

    #[test]
    fn reads_every_key() {
        let (options, problems) = options(&json!({
            "protect": true, "renamedFrom": "old", "ignore": ["a", "/b/c", "d/e"], "suspend": true,
            "targets": ["prod"]
        }));
        assert_eq!(problems, [""; 0]);
        assert!(options.protect && options.suspend);
        assert_eq!(options.renamed_from, Some("old".into()));
        assert_eq!(Vec::from_iter(options.ignore), ["/a", "/b/c", "/d~1e"]);
        assert_eq!(options.targets.map(Vec::from_iter), Some(vec!["prod".to_owned()]));
    }

    #[test]
    fn refuses_what_it_does_not_take() {
        for (value, code) in [
            (json!("x"), "AG106"),
            (json!({"protect": "yes"}), "AG106"),
            (json!({"suspend": 1}), "AG106"),
            (json!({"renamedFrom": 12}), "AG106"),
            (json!({"renamedFrom": ["a"]}), "AG106"),
            (json!({"renamedFrom": "a/b"}), "AG105"),
            (json!({"ignore": "a"}), "AG106"),
            (json!({"ignore": [1]}), "AG106"),
            (json!({"ignore": ["type"]}), "AG108"),
            (json!({"ignore": ["/name"]}), "AG108"),
            (json!({"ignore": [""]}), "AG108"),
            (json!({"ignore": ["/"]}), "AG108"),
            (json!({"targets": "prod"}), "AG106"),
            (json!({"protected": true}), "AG107"),
            (json!({"targets": ["${var:x}"]}), "AG109"),
            (json!({"renamedFrom": "${X}"}), "AG109"),
        ] {
            assert_eq!(options(&value).1, [code], "{value}");
        }
        assert_eq!(options(&json!(null)).1, [""; 0]);
        assert_eq!(options(&json!({"protect": null, "targets": null})).1, [""; 0]);
    }
}
