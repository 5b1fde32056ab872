//! The variables of a rule, with their kinds: from the catalog and from the targets of the rule.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{Object, VARIABLES, ValueKind, Words};
use crate::catalog::{self, ConnectionType, Field, IDENTITY, OPTIONS, OPTIONS_KEY};

/// The variables of a rule.
pub(super) fn variables(targets: &[&Json]) -> Vec<(String, ValueKind)> {
    let variables: [(&str, ValueKind); VARIABLES] = [
        ("connection", connection()),
        ("target", target(targets)),
        ("change", change()),
        ("now", ValueKind::Time),
    ];
    variables.map(|(name, kind)| (name.to_owned(), kind)).into()
}

fn connection() -> ValueKind {
    let fields = catalog::all().flat_map(ConnectionType::fields).chain(IDENTITY.iter());
    let mut connection = Object::open(fields);
    connection.refusal = Some("no type of connection has a field");
    let options = OPTIONS.iter().map(|option| (option.name, ValueKind::of_field(&option.kind)));
    let mut options = Object::fixed(options);
    options.refusal = Some("`x-gitops` has no key");
    let types = ValueKind::words(catalog::all().map(|known| known.name));
    let members = [("type".to_owned(), types), (OPTIONS_KEY.to_owned(), options.into())];
    connection.members.extend(members);
    connection.into()
}

/// The kind of `target` for some targets. A text with a reference stands for a value that no rule sees.
fn target(targets: &[&Json]) -> ValueKind {
    let texts = |key: &str| {
        let texts: Vec<&str> = targets.iter().filter_map(|target| target[key].as_str()).collect();
        let is_known = !texts.is_empty() && !texts.iter().any(|text| text.contains("${"));
        if is_known { ValueKind::words(texts) } else { ValueKind::Text(None) }
    };
    let mut vars = Object::fixed([]);
    vars.refusal = Some("no target of the rule has a var");
    for (name, _) in targets.iter().filter_map(|target| target["vars"].as_object()).flatten() {
        vars.add(name, ValueKind::Any);
    }
    let vars = if targets.is_empty() { ValueKind::Any } else { vars.into() };
    Object::fixed([("name", texts("name")), ("project", texts("project")), ("vars", vars)]).into()
}

fn change() -> ValueKind {
    let origin = || ValueKind::words(["git", "drift", "both"]);
    let mut known = BTreeSet::new();
    let fields = catalog::all().flat_map(ConnectionType::fields).chain(IDENTITY.iter());
    add_paths("", fields, &mut known);
    let path = ValueKind::Text(Some(Arc::new(Words { known, are_paths: true })));
    let field = Object::fixed([("path", path), ("origin", origin())]);
    let actions = ["create", "update", "replace", "rename", "delete"];
    Object::fixed([
        ("action", ValueKind::words(actions)),
        ("origin", origin()),
        ("fields", ValueKind::List(Box::new(field.into()))),
        ("held", ValueKind::Boolean),
        ("count", ValueKind::Number),
    ])
    .into()
}

/// The paths that a change may name: an object with named fields is owned field by field.
fn add_paths(
    above: &str,
    fields: impl Iterator<Item = &'static Field>,
    paths: &mut BTreeSet<String>,
) {
    for field in fields {
        let path = format!("{above}/{}", field.name);
        if let catalog::Kind::Object(inner) = &field.kind {
            add_paths(&path, inner.iter(), paths);
        }
        paths.insert(path);
    }
}
