//! The documents of one name, merged and checked: a function of their layers alone, so that names
//! are checked in parallel.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::{Check, connection_type, texts_to_numbers};
use super::layers::{Layer, Merged};
use super::options::{self, KEY};
use super::{LoadRequest, Options};
use crate::catalog::{ConnectionType, did_you_mean};
use crate::diagnostic::{Finding, Part, code, quoted};
use crate::name::ConnectionName;
use crate::pointer::{child, item};
use crate::rules::{Effect, Match};

/// The documents of one name, merged and checked.
pub(super) struct Examined<'f> {
    pub(super) name: ConnectionName,
    /// Its fields are without `type`, `name` and `x-gitops` where there is a type.
    pub(super) merged: Merged<'f>,
    pub(super) options: Options,
    pub(super) findings: Vec<Finding>,
    /// Whether they declare anything for this target.
    pub(super) is_for_target: bool,
    /// The type, where it is for this target and known.
    pub(super) connection_type: Option<&'static ConnectionType>,
}

/// Merges and checks the documents of one name; `found` are its layers, and the problems of having
/// them.
pub(super) fn examine<'f>(
    request: &LoadRequest<'_>,
    name: ConnectionName,
    found: (Vec<Layer<'f>>, Vec<Finding>),
) -> Examined<'f> {
    let (layers, mut findings) = found;
    let mut merged = Merged::of(layers);
    let options = options::read(&merged.fields, &mut findings);
    check_targets(request, options.targets.as_ref(), &mut findings);
    // Other targets tell their own problems; a document that is declared twice is wrong for all.
    let is_for_target = options::are_for(options.targets.as_ref(), request.target);
    let mut found_type = None;
    if is_for_target {
        found_type = check(request, &name, &mut merged, &options, &mut findings);
    }
    Examined { name, merged, options, findings, is_for_target, connection_type: found_type }
}

fn check(
    request: &LoadRequest<'_>,
    name: &ConnectionName,
    merged: &mut Merged<'_>,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Option<&'static ConnectionType> {
    let patches_nothing = matches!(merged.layers.as_slice(), [only] if only.path > 0);
    let connection_type = connection_type(&merged.fields, patches_nothing, findings)?;
    for key in ["type", "name", KEY] {
        merged.fields.shift_remove(key);
    }
    let fields = &merged.fields;
    let name = name.as_str();
    let check = Check::new(name, connection_type, fields, request.vars, patches_nothing);
    findings.extend(check.run());
    ignore_unknown(connection_type, &options.ignore, merged, findings);
    texts_to_numbers(connection_type, &mut merged.fields);
    if let Some(rules) = request.rules.filter(|rules| !rules.is_empty()) {
        let head = [("type", connection_type.name.into()), ("name", name.into())];
        let head = head.into_iter().map(|(key, value)| (key.to_owned(), value));
        let fields = merged.fields.iter().map(|(key, value)| (key.clone(), value.clone()));
        let options = (KEY.to_owned(), options.for_rules());
        let connection = Value::Object(head.chain(fields).chain([options]).collect());
        findings.extend(rules.of_document(&connection).into_iter().map(|(rule, found)| {
            let declared = |field: &&String| merged.fields.contains_key(*field);
            finding_of(&found, rule.when.fields().find(declared))
        }));
    }
    Some(connection_type)
}

/// The finding of a rule of the user, at the first field of the document that it asks for.
fn finding_of(found: &Match, field: Option<&String>) -> Finding {
    let pointer = field.map_or_else(String::new, |field| child("", field));
    let finding = if found.effect == Effect::Deny {
        Finding::error(&code::DENIED_BY_RULE, pointer, found.in_words())
    } else {
        Finding::warning(&code::WARNED_BY_RULE, pointer, found.in_words())
    };
    let part = if field.is_some() { Part::Value } else { Part::Start };
    Finding { rule: Some(found.rule.clone()), ..finding.part(part).of_target() }
}

fn check_targets(
    request: &LoadRequest<'_>,
    targets: Option<&BTreeSet<String>>,
    findings: &mut Vec<Finding>,
) {
    let (Some(known), Some(targets)) = (request.known_targets, targets) else { return };
    for target in targets.iter().filter(|target| !known.contains(*target)) {
        let message = format!("no target is called {}", quoted(target));
        let pointer = child(&child("", KEY), "targets");
        let otherwise = "check the names of the targets in the config";
        let help = did_you_mean(known.iter().map(String::as_str), target, otherwise);
        findings.push(
            Finding::warning(&code::UNKNOWN_TARGET, pointer, message)
                .help(help)
                .part(Part::Text(target.clone())),
        );
    }
}

/// Warns of an entry of `ignore` that no field has.
fn ignore_unknown(
    connection_type: &'static ConnectionType,
    ignore: &BTreeSet<String>,
    merged: &Merged<'_>,
    findings: &mut Vec<Finding>,
) {
    for entry in ignore {
        let top = crate::pointer::steps(entry).next().unwrap_or_default().into_owned();
        if connection_type.field(&top).is_some() || merged.fields.contains_key(&top) {
            continue;
        }
        let message = format!(
            "`ignore` names {}, and a connection of type `{}` has no such field",
            quoted(&top),
            connection_type.name
        );
        let pointer = item(&child(&child("", KEY), "ignore"), 0);
        let fields = connection_type.fields().map(|field| field.name);
        findings.push(
            Finding::warning(&code::UNKNOWN_FIELD, pointer, message)
                .help(did_you_mean(fields, &top, "check the spelling"))
                .part(Part::Text(top)),
        );
    }
}
