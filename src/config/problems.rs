//! The problems of one config, collected so that all of them are told at once.
//!
//! A line that shows a mistake may also show a secret: the value of a secret or an unknown
//! key, and user info in a URL, are never repeated.

use std::collections::HashMap;
use std::hash::Hash;

use super::Target;
use crate::diagnostic::code::Code;
use crate::diagnostic::{At, Diagnostic, Excerpt, Finding, Mark, Part};
use crate::secret::{SENSITIVE, without_queries, without_user_info};

/// The problems of one config so far.
#[derive(Debug)]
pub(super) struct Problems {
    file: String,
    /// The text of the config; `None`: it comes from flags.
    excerpt: Option<Excerpt>,
    found: Vec<Finding>,
}

/// An error, which refuses the config; [`Problems::add`] says where it is.
pub(super) fn error(code: &'static Code, message: impl Into<String>) -> Finding {
    Finding::error(code, "", message.into())
}

/// A warning; [`Problems::add`] says where it is.
pub(super) fn warning(code: &'static Code, message: impl Into<String>) -> Finding {
    Finding::warning(code, "", message.into())
}

/// Adds another place that belongs to a problem.
pub(super) fn related(mut finding: Finding, pointer: &str, text: &str) -> Finding {
    finding.related.push((At::default(), pointer.to_owned(), text.to_owned()));
    finding
}

impl Problems {
    /// Begins with none.
    pub(super) fn new(file: &str, excerpt: Option<Excerpt>) -> Self {
        Self { file: file.to_owned(), excerpt, found: Vec::new() }
    }

    /// Never shows the value at a pointer.
    pub(super) fn conceal(&mut self, pointer: &str) {
        if let Some(excerpt) = &mut self.excerpt {
            excerpt.conceal(pointer);
        }
    }

    /// The text of a single value as the file has it, without quotes.
    pub(super) fn written(&self, pointer: &str) -> Option<&str> {
        self.excerpt.as_ref()?.places()?.text(pointer)
    }

    /// Adds a problem of the value at a pointer.
    pub(super) fn add(&mut self, pointer: &str, problem: Finding) {
        self.found.push(Finding { pointer: pointer.to_owned(), ..problem });
    }

    /// Adds a problem for each key that came before, with the place of the first one.
    pub(super) fn refuse_twice<K: Eq + Hash>(
        &mut self,
        keys: impl Iterator<Item = (K, String)>,
        problem: &dyn Fn() -> Finding,
    ) {
        let mut first: HashMap<K, String> = HashMap::new();
        for (key, place) in keys {
            match first.get(&key) {
                Some(earlier) => self.add(&place, related(problem(), earlier, "the first is here")),
                None => drop(first.insert(key, place)),
            }
        }
    }

    /// All problems by place, now that everything that has to be hidden is known. Where there are
    /// several targets, a warning names its target.
    pub(super) fn finish(self, targets: &[Target]) -> Vec<Diagnostic> {
        let hidden = format!("{SENSITIVE}@");
        let mark = |pointer: &str, part: &Part| {
            let excerpt = self.excerpt.as_ref();
            let mark = excerpt.map_or_else(Mark::whole_file, |text| text.mark(pointer, part));
            let text = without_queries(&without_user_info(&mark.text, &hidden));
            Mark { file: self.file.clone(), text, ..mark }
        };
        let place = |finding: Finding| {
            let related = finding.related.iter();
            let related =
                related.map(|(_, pointer, text)| (mark(pointer, &Part::Key), text.clone()));
            let (mark, related) = (mark(&finding.pointer, &finding.part), related.collect());
            let target = target_at(targets, &finding);
            Diagnostic { mark, related, target, ..finding.problem }
        };
        let mut found: Vec<Diagnostic> = self.found.into_iter().map(place).collect();
        found.sort_by_key(|problem| (problem.mark.line, problem.mark.column));
        found
    }
}

/// The target that a warning is about, where the config has several.
fn target_at(targets: &[Target], warning: &Finding) -> Option<String> {
    if warning.is_error() || targets.len() < 2 {
        return None;
    }
    let index = warning.pointer.strip_prefix("/targets/")?.split('/').next()?;
    targets.get(index.parse::<usize>().ok()?).map(|target| target.name.clone())
}
