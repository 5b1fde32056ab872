//! Apinizer's own variables, `${NAME}`: whether documents use any, and those that the project of a
//! target does not have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::cache::{ParseCache, Read};
use super::gather::{assign, gather};
use super::layers::Merged;
use super::locate::Locator;
use super::options::{self, KEY};
use super::{Document, LoadRequest};
use crate::catalog::nearest_of;
use crate::diagnostic::{Diagnostic, Finding, Part, code, quoted};
use crate::pointer::{child, each_text};
use crate::reference::{self, Segment};
use crate::source::FileEntry;

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
        let mut merged = Merged::of(layers);
        if !options::are_for(options::targets_of(&merged.fields).as_ref(), request.target) {
            continue;
        }
        for key in ["type", "name", KEY] {
            merged.fields.shift_remove(key);
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
    let help = match nearest_of(known, name, |known| known.as_str()) {
        Some(nearest) => format!("did you mean `${{{nearest}}}`?"),
        None => "add it to the environment variables of the project".to_owned(),
    };
    let message = format!("the project has no environment variable {}", quoted(name));
    Finding::warning(&code::UNKNOWN_ENVIRONMENT_VARIABLE, pointer, message)
        .part(Part::Text(written))
        .help(help)
        .of_target()
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
