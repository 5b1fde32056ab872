//! Live connections as the documents that would declare them: the way into git for a project
//! that was made by hand.
//!
//! [`read`] asks the API for whole connections, [`Export::of`] turns them into documents, and
//! [`files`] puts those into a folder. What is written passes `validate`, and with the values of
//! its variables set it plans to nothing, because it is made of the same tables and the same
//! rules of equality that the plan has. It never holds a secret: where one stands, or may stand,
//! a reference is written, and [`Variable`] says what has to be set.

pub(crate) mod check;
mod document;
mod fields;
pub(crate) mod files;
mod known;
mod left_out;
pub(crate) mod read;
mod spelling;
mod variables;
pub(crate) mod yaml;

#[cfg(test)]
mod example_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::catalog;
use crate::live::LiveConnection;
use crate::name::{self, ConnectionName};
use crate::reference::{self, Segment};
use crate::secret::{Redactor, Sensitive};

use left_out::LeftOut;

pub(crate) use fields::normal_value;
pub(crate) use known::KnownReferences;
pub(crate) use variables::template;

/// How documents are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The start of the names of new variables: the project.
    pub prefix: String,
    /// Fields that hold their documented default are written too.
    pub full: bool,
}

/// Live connections as documents.
#[derive(Debug, Default)]
pub(crate) struct Export {
    /// One for each connection, by type and then by name.
    pub documents: Vec<Exported>,
    /// The variables that the documents refer to, in their order, each once.
    pub variables: Vec<Variable>,
    /// The connections that no document can declare, with the reason.
    pub passed_over: Vec<String>,
    /// The fields that no document may hold, with their connections and the reason.
    pub left_out: Vec<String>,
}

/// One connection as a document.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    /// Its type.
    pub type_name: &'static str,
    /// Its name, as the server spells it.
    pub name: ConnectionName,
    /// The document, without a `---` before it.
    pub text: String,
}

/// A variable of the environment that the documents refer to.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    /// Its name.
    pub name: String,
    /// Its meaning, in words.
    pub about: String,
    /// The documents only offer it, in a comment.
    pub offered: bool,
    /// Its value, where the API showed it: for a redactor to learn, never to be written.
    pub value: Option<Sensitive>,
}

/// Why no document can declare a name; names take no references, and no escapes of them.
fn problem_with(name: &str) -> Option<&'static str> {
    let is_text = |segment: &Segment<'_>| matches!(segment, Segment::Text(_));
    let is_plain = reference::parse(name).is_ok_and(|all| all.iter().all(is_text));
    name::problem_with(name).or((!is_plain).then_some("looks like a reference"))
}

impl Export {
    /// Leaves out documents that show a value of the environment in a text that is no reference.
    pub(crate) fn leave_out_known(&mut self, redactor: &Redactor) {
        let (hidden, shown) = std::mem::take(&mut self.documents)
            .into_iter()
            .partition::<Vec<_>, _>(|document| redactor.is_shown_in(&document.text));
        self.documents = shown;
        self.passed_over.extend(hidden.iter().map(|document| {
            let Exported { type_name, name, .. } = document;
            format!(
                "{type_name} `{name}` shows a value of the environment; take it out of there first"
            )
        }));
    }

    /// Makes the documents of connections; `known` are the references that git declares already.
    pub(crate) fn of(
        connections: &[LiveConnection],
        known: &KnownReferences,
        options: &Options,
    ) -> Self {
        let mut sorted: Vec<_> = connections
            .iter()
            .filter_map(|live| {
                let place = catalog::all().position(|t| t.name == live.type_name)?;
                Some((place, catalog::find(&live.type_name)?, live))
            })
            .collect();
        sorted.sort_by(|a, b| (a.0, &a.2.name).cmp(&(b.0, &b.2.name)));

        let mut names = variables::Names::new(&options.prefix, known);
        let mut export = Self::default();
        for (_, connection_type, live) in sorted {
            let what = format!("the {} connection {:?}", connection_type.name, live.name.as_str());
            if known.is_shown_in_name(live.name.as_str()) {
                export.passed_over.push(format!(
                    "a connection of type {} cannot be declared: its name shows a value of the \
                     environment",
                    connection_type.name
                ));
                continue;
            }
            if let Some(problem) = problem_with(live.name.as_str()) {
                export.passed_over.push(format!("{what} cannot be declared: its name {problem}"));
                continue;
            }
            match document::text(connection_type, live, known, &mut names, options.full) {
                Ok(written) => {
                    let line = |LeftOut { field, why }: LeftOut| {
                        format!("`{}` of {what} is not written: {why}", field.escape_debug())
                    };
                    export.left_out.extend(written.left_out.into_iter().map(line));
                    export.documents.push(Exported {
                        type_name: connection_type.name,
                        name: live.name.clone(),
                        text: written.yaml,
                    });
                }
                Err(problem) => {
                    export.passed_over.push(format!("{what} cannot be declared: {problem}"));
                }
            }
        }
        export.pass_over_what_does_not_load();
        export.variables = names.into_variables();
        let used: BTreeSet<String> = export.documents.iter().flat_map(references_in).collect();
        export.variables.retain(|variable| used.contains(&variable.name));
        export
    }

    /// Some problems show only when a document is whole, such as that it is too large.
    fn pass_over_what_does_not_load(&mut self) {
        let refused = check::refused(&self.documents);
        let mut index = 0;
        self.documents.retain(|document| {
            let problem = refused.get(&index);
            index += 1;
            if let Some(problem) = problem {
                self.passed_over.push(format!(
                    "the {} connection {:?} cannot be declared: {problem}",
                    document.type_name,
                    document.name.as_str()
                ));
            }
            problem.is_none()
        });
    }
}

/// The names of variables in a text, and what looks like one.
fn references_in(document: &Exported) -> impl Iterator<Item = String> {
    let tails = document.text.split("${env:").skip(1);
    tails.filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()))
}
