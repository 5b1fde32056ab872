//! What the documents of one name come to, and what is wrong with them: a function of their layers
//! alone, so that names are looked at side by side. Most names have one document with nothing wrong
//! in it, which is seen when its file is parsed: it is not read again for that.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU64;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Options;
use super::check::{self, Check};
use super::code;
use super::declared::{Declared, take_out_the_head};
use super::file::{ANY_CIRCUMSTANCES, ParsedFile, RawDocument};
use super::finding::{At, Finding, Part, quoted};
use super::layers::{Layer, Merged};
use super::options;
use super::pointer::{child, item};
use super::request::{LoadRequest, is_for};
use crate::catalog::ConnectionType;
use crate::name::ConnectionName;

/// The documents of one name, looked at.
pub(super) struct Examined {
    pub(super) name: ConnectionName,
    pub(super) merged: Merged,
    pub(super) options: Arc<Options>,
    pub(super) findings: Vec<Finding>,
    pub(super) standing: Standing,
}

/// What they declare.
pub(super) enum Standing {
    /// Nothing for this target.
    Elsewhere,
    /// Something of no known type.
    Untyped,
    /// A connection, valid or not.
    Typed(&'static ConnectionType, Declared),
}

/// A document that need not be read to know what it comes to.
pub(super) struct Plain {
    pub(super) at: At,
    pub(super) connection_type: &'static ConnectionType,
    pub(super) declared: Declared,
}

/// What all names are looked at with.
pub(super) struct Examiner<'e> {
    pub(super) request: &'e LoadRequest<'e>,
    pub(super) files: &'e [Arc<ParsedFile>],
    /// What else than their content decides what is wrong with documents.
    pub(super) circumstances: NonZeroU64,
}

impl Examiner<'_> {
    /// Merges and checks the documents of one name; `found` are its layers, and what is wrong with
    /// having them.
    pub(super) fn examine(
        &self,
        name: ConnectionName,
        found: (Vec<Layer>, Vec<Finding>),
    ) -> Examined {
        let (layers, mut findings) = found;
        let mut merged = Merged::of(layers, self.files);
        let options = Arc::new(options::read(&merged.fields, &mut findings));
        self.check_targets(options.targets.as_ref(), &mut findings);
        let standing = if is_for(self.request.target, options.targets.as_ref()) {
            self.check(&name, &mut merged, &options, &mut findings)
        } else {
            // What is wrong elsewhere is said there; a document that is declared twice is wrong
            // wherever it is for.
            Standing::Elsewhere
        };
        merged.fields = Map::new();
        Examined { name, merged, options, findings, standing }
    }

    /// The document of a name that has no other, is plain, and has nothing wrong in it.
    pub(super) fn plain(&self, found: &(Vec<Layer>, Vec<Finding>)) -> Option<Plain> {
        let ([Layer { at, .. }], []) = (&*found.0, &*found.1) else { return None };
        let document = self.document(*at)?;
        let connection_type = document.plain_type()?;
        let is_known = document.is_faultless(self.circumstances);
        let declared = self.declared(*at).filter(|_| is_known)?;
        Some(Plain { at: *at, connection_type, declared })
    }

    fn check(
        &self,
        name: &ConnectionName,
        merged: &mut Merged,
        options: &Options,
        findings: &mut Vec<Finding>,
    ) -> Standing {
        let alone = merged.layers.len() == 1;
        let patches_nothing = alone && merged.layers.first().is_some_and(|layer| layer.path > 0);
        let Some(connection_type) =
            check::connection_type(&merged.fields, patches_nothing, findings)
        else {
            return Standing::Untyped;
        };
        take_out_the_head(&mut merged.fields);
        let layer = merged.layers.first().filter(|_| alone && !patches_nothing);
        let document = layer.and_then(|layer| self.document(layer.at));
        if !document.is_some_and(|document| document.is_faultless(self.circumstances)) {
            let before = findings.len();
            Check {
                name: name.as_str(),
                connection_type,
                fields: &merged.fields,
                vars: self.request.vars,
                patches_nothing,
            }
            .run(findings);
            if let Some(document) = document.filter(|_| findings.len() == before) {
                document.note_faultless(those_of(document, self.circumstances));
            }
        }
        ignore_unknown(connection_type, &options.ignore, merged, findings);
        let declared = match merged.layers.as_slice() {
            [only] => self.declared(only.at),
            _ => None,
        };
        Standing::Typed(connection_type, declared.unwrap_or_else(|| Declared::from(&merged.fields)))
    }

    fn declared(&self, at: At) -> Option<Declared> {
        Some(Declared::of(self.files.get(at.file)?, at.document))
    }

    fn document(&self, at: At) -> Option<&RawDocument> {
        self.files.get(at.file)?.documents.get(at.document)
    }

    fn check_targets(&self, targets: Option<&BTreeSet<String>>, findings: &mut Vec<Finding>) {
        let (Some(known), Some(targets)) = (self.request.known_targets, targets) else { return };
        for target in targets.iter().filter(|target| !known.contains(*target)) {
            let message = format!("no target is called {}", quoted(target));
            let pointer = child(&child("", options::KEY), "targets");
            let nearest = crate::catalog::nearest_of(known.iter(), target, |name| name.as_str());
            let help = match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "check the names of the targets in the config".to_owned(),
            };
            findings.push(
                Finding::warning(&code::UNKNOWN_TARGET, pointer, message)
                    .help(help)
                    .part(Part::Text(target.clone())),
            );
        }
    }
}

/// Looks at a document that was just read, as if it stood alone: if it is plain and nothing is wrong
/// with it, that is remembered.
pub(super) fn alone(
    document: &RawDocument,
    mut fields: Map<String, Value>,
    vars: Option<&BTreeMap<String, Value>>,
    circumstances: NonZeroU64,
) {
    let Some(name) = &document.name else { return };
    let mut findings = Vec::new();
    if fields.contains_key(options::KEY) {
        return;
    }
    let connection_type = check::connection_type(&fields, false, &mut findings);
    let Some(connection_type) = connection_type else { return };
    take_out_the_head(&mut fields);
    let check = Check {
        name: name.as_str(),
        connection_type,
        fields: &fields,
        vars,
        patches_nothing: false,
    };
    check.run(&mut findings);
    document.note_plain_type(connection_type);
    if findings.is_empty() {
        document.note_faultless(those_of(document, circumstances));
    }
}

/// The circumstances that have a bearing on a document: targets differ in their variables.
fn those_of(document: &RawDocument, circumstances: NonZeroU64) -> NonZeroU64 {
    let text = document.text();
    // An escape may stand for anything.
    let may_hold_var = text.contains("${var:") || text.contains('\\');
    if may_hold_var { circumstances } else { ANY_CIRCUMSTANCES }
}

/// What else than its content decides what the checks of a document say, as a number.
pub(super) fn circumstances(vars: Option<&BTreeMap<String, Value>>) -> NonZeroU64 {
    let mut hasher = DefaultHasher::new();
    vars.is_some().hash(&mut hasher);
    for (name, value) in vars.into_iter().flatten() {
        (name, value.to_string()).hash(&mut hasher);
    }
    NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN)
}

/// Warns of an entry of `ignore` that no field has.
fn ignore_unknown(
    connection_type: &'static crate::catalog::ConnectionType,
    ignore: &BTreeSet<String>,
    merged: &Merged,
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
        let finding = Finding::warning(
            &code::UNKNOWN_FIELD,
            item(&child(&child("", options::KEY), "ignore"), 0),
            message,
        )
        .part(Part::Text(top.clone()));
        findings.push(match connection_type.nearest_field(&top) {
            Some(nearest) => finding.help(format!("did you mean `{}`?", nearest.name)),
            None => finding.help("check the spelling"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_a_bearing_on_what_refers_to_them() {
        let with = |value: &str| BTreeMap::from([("port".to_owned(), Value::from(value))]);
        let one = circumstances(Some(&with("1")));
        let look = |document: &RawDocument, fields| {
            alone(document, fields, Some(&with("1")), one);
        };
        let documents = "type: email\nname: a\nhost: h\n---\n\
                         type: email\nname: b\nhost: h\nport: ${var:port}\n";
        let parsed = ParsedFile::parse(documents.as_bytes().to_vec(), &look);
        let faultless_with = |vars: &BTreeMap<String, Value>| -> Vec<bool> {
            let circumstances = circumstances(Some(vars));
            parsed.documents.iter().map(|one| one.is_faultless(circumstances)).collect()
        };
        assert_eq!(faultless_with(&with("1")), [true, true]);
        assert_eq!(faultless_with(&with("none")), [true, false]);
    }
}
