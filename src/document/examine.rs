//! The documents of one name, merged and checked: a function of their layers and of the target alone, so
//! that names are checked in parallel.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::check::{Check, connection_type, texts_to_numbers};
use super::file::{Locator, ParseCache, Read};
use super::gather::{assign, gather};
use super::{Document, Layer, LoadRequest, Merged, Options, options};
use crate::catalog::{ConnectionType, OPTIONS_KEY, did_you_mean, nearest_of};
use crate::diagnostic::{At, Diagnostic, Finding, Part, code, quoted};
use crate::name::ConnectionName;
use crate::pointer::{child, each_text};
use crate::reference::{self, Segment};
use crate::rules::{Effect, Match};
use crate::source::FileEntry;

/// The documents of one name, merged and checked.
pub(super) struct Examined<'f> {
    pub(super) name: ConnectionName,
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
    let options = options::read(&merged.head, &mut findings);
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
    let connection_type = connection_type(&merged.head, patches_nothing, findings)?;
    let fields = &*merged.fields;
    let name = name.as_str();
    let check = Check::new(name, connection_type, fields, request.vars, patches_nothing);
    findings.extend(check.run());
    warn_of_unknown_ignores(connection_type, &options.ignore, merged, findings);
    let with_numbers = texts_to_numbers(connection_type, &merged.fields);
    merged.fields = with_numbers.map_or_else(|| Arc::clone(&merged.fields), Arc::new);
    if let Some(rules) = request.rules.filter(|rules| !rules.is_empty()) {
        let head = [("type", connection_type.name.into()), ("name", name.into())];
        let head = head.into_iter().map(|(key, value)| (key.to_owned(), value));
        let fields = merged.fields.iter().map(|(key, value)| (key.clone(), value.clone()));
        let options = (OPTIONS_KEY.to_owned(), options.for_rules());
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
    let part = if field.is_some() { Part::Value } else { Part::FirstLine };
    let mut finding = finding.part(part).of_target();
    finding.problem.rule = Some(found.rule.clone());
    // The rule's own text is the advice.
    finding.problem.help = None;
    finding
}

fn check_targets(
    request: &LoadRequest<'_>,
    targets: Option<&BTreeSet<String>>,
    findings: &mut Vec<Finding>,
) {
    let (Some(known), Some(targets)) = (request.known_targets, targets) else { return };
    for target in targets.iter().filter(|target| !known.contains(*target)) {
        let message = format!("no target is called {}", quoted(target));
        let pointer = options::pointer_to("targets");
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
fn warn_of_unknown_ignores(
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
        let pointer = options::pointer_to("ignore");
        let fields = connection_type.fields().map(|field| field.name);
        findings.push(
            Finding::warning(&code::UNKNOWN_FIELD, pointer, message)
                .help(did_you_mean(fields, &top, "check the spelling"))
                .part(Part::Text(top)),
        );
    }
}

// The rules of `renamedFrom` over all documents of a target.

/// One rename: the new name, the old one, and where it is declared.
pub(crate) struct Rename<'n> {
    pub(crate) to: &'n ConnectionName,
    pub(crate) from: &'n ConnectionName,
    pub(crate) at: Option<At>,
}

/// The problems of the renames of one target, each with the name that it blocks.
pub(crate) fn check_renames(renames: &[Rename<'_>]) -> Vec<(ConnectionName, Finding)> {
    let mut problems = Vec::new();
    let mut by_old: BTreeMap<&ConnectionName, Vec<&Rename<'_>>> = BTreeMap::new();
    for rename in renames {
        if rename.to == rename.from {
            let message = format!("`{}` is renamed from its own name", rename.to);
            problems.push(problem(rename, &code::RENAME_TO_SELF, message));
        } else {
            by_old.entry(rename.from).or_default().push(rename);
        }
    }
    for (old, several) in by_old.iter().filter(|(_, several)| several.len() > 1) {
        for rename in several {
            let message = format!("`{}` is renamed from `{old}`, and so is another", rename.to);
            let (name, mut finding) = problem(rename, &code::RENAMED_TWICE, message);
            finding.related = several
                .iter()
                .filter(|other| other.to != rename.to)
                .filter_map(|other| Some((other.at?, pointer(), format!("`{}` is too", other.to))))
                .collect();
            problems.push((name, finding));
        }
    }
    let olds: BTreeMap<_, _> = renames.iter().map(|rename| (rename.to, rename.from)).collect();
    for rename in renames.iter().filter(|rename| rename.to != rename.from) {
        if is_in_a_cycle(rename.to, &olds) {
            let message = format!("the renames that `{}` is part of run in a cycle", rename.to);
            problems.push(problem(rename, &code::RENAME_CYCLE, message));
        }
    }
    problems
}

fn is_in_a_cycle(
    start: &ConnectionName,
    olds: &BTreeMap<&ConnectionName, &ConnectionName>,
) -> bool {
    let mut seen = BTreeSet::new();
    let mut name = start;
    while let Some(old) = olds.get(name) {
        if *old == start {
            return true;
        }
        if !seen.insert(*old) {
            return false;
        }
        name = old;
    }
    false
}

fn problem(
    rename: &Rename<'_>,
    code: &'static code::Code,
    message: String,
) -> (ConnectionName, Finding) {
    let finding = Finding { at: rename.at, ..Finding::error(code, pointer(), message) };
    (rename.to.clone(), finding)
}

fn pointer() -> String {
    options::pointer_to("renamedFrom")
}

// Apinizer's own variables, `${NAME}`: whether documents use any, and those that the project of a
// target does not have.

/// The plain variables of a target, in which Apinizer's may stand.
type Vars = BTreeMap<String, Value>;

/// The names of the variables of Apinizer's that documents use.
pub(crate) fn variables_of(documents: &[Document], vars: &Vars) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for document in documents {
        in_fields(&document.fields, vars, &mut |_, _, name| {
            names.insert(name.to_owned());
        });
    }
    names
}

/// Warns, at their places, of the variables that are not among those of the project.
pub(crate) fn unknown_variables(
    request: &LoadRequest<'_>,
    cache: &ParseCache,
    read: &Read<'_>,
    known: &BTreeSet<String>,
) -> Vec<Diagnostic> {
    let assigned = assign(request.folders);
    let entries: Vec<&FileEntry> = assigned.iter().map(|(_, entry)| *entry).collect();
    let files: Vec<Arc<_>> = cache.files(&entries, read);
    let mut locator = Locator::new(&entries, &files, read);
    let no_vars = Vars::new();
    let mut diagnostics = Vec::new();
    for (layers, _) in gather(&assigned, &files).names.into_values() {
        let merged = Merged::of(layers);
        if !options::are_for(options::targets_of(&merged.head).as_ref(), request.target) {
            continue;
        }
        let mut findings = Vec::new();
        in_fields(
            &merged.fields,
            request.vars.unwrap_or(&no_vars),
            &mut |pointer, written, name| {
                if !known.contains(name) {
                    findings.push(unknown(pointer, written, name, known));
                }
            },
        );
        let found = findings.into_iter();
        diagnostics
            .extend(found.map(|finding| locator.diagnose(finding, Some(&merged), request.target)));
    }
    diagnostics
}

fn unknown(pointer: &str, written: String, name: &str, known: &BTreeSet<String>) -> Finding {
    let message = format!("the project has no environment variable {}", quoted(name));
    let finding = Finding::warning(&code::UNKNOWN_ENVIRONMENT_VARIABLE, pointer, message)
        .part(Part::Text(written))
        .of_target();
    match nearest_of(known, name, |known| known.as_str()) {
        Some(nearest) => finding.help(format!("did you mean `${{{nearest}}}`?")),
        None => finding,
    }
}

/// Tells each variable in some fields: its place, the reference that brings it, and its name.
fn in_fields(fields: &Map<String, Value>, vars: &Vars, tell: &mut impl FnMut(&str, String, &str)) {
    let mut in_text = |pointer: &str, text: &str| {
        for segment in reference::parse(text).unwrap_or_default() {
            match segment {
                Segment::Apinizer(name) => tell(pointer, segment.to_string(), name),
                Segment::Var(var) => {
                    let value = vars.get(var).and_then(Value::as_str).unwrap_or_default();
                    for inner in reference::parse(value).unwrap_or_default() {
                        if let Segment::Apinizer(name) = inner {
                            tell(pointer, segment.to_string(), name);
                        }
                    }
                }
                Segment::Text(_) | Segment::Env(_) => {}
            }
        }
    };
    for (key, value) in fields {
        each_text(&child("", key), value, &mut in_text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(renames: &[(&str, &str)]) -> Vec<(String, &'static str)> {
        let names: Vec<(ConnectionName, ConnectionName)> =
            renames.iter().map(|(to, from)| ((*to).into(), (*from).into())).collect();
        let renames: Vec<_> =
            names.iter().map(|(to, from)| Rename { to, from, at: None }).collect();
        check_renames(&renames)
            .into_iter()
            .map(|(name, f)| (name.to_string(), f.problem.code))
            .collect()
    }

    #[test]
    fn chains_are_fine_and_cycles_are_not() {
        assert_eq!(problems(&[("b", "a"), ("c", "b"), ("d", "c")]), []);
        assert_eq!(problems(&[("a", "A")]), [("a".to_owned(), "AG501")]);
        let codes = |r: &[(&str, &str)]| problems(r).into_iter().map(|p| p.1).collect::<Vec<_>>();
        assert_eq!(codes(&[("a", "b"), ("b", "A")]), ["AG503", "AG503"]);
        assert_eq!(codes(&[("a", "b"), ("b", "c"), ("c", "a"), ("x", "y")]), ["AG503"; 3]);
        assert_eq!(codes(&[("a", "x"), ("b", "X")]), ["AG502", "AG502"]);
    }
}
