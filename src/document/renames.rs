//! The rules of `renamedFrom` over all documents of a target.

use std::collections::{BTreeMap, BTreeSet};

use super::options::KEY;
use crate::diagnostic::{At, Finding, Part, code};
use crate::name::ConnectionName;
use crate::pointer::child;

/// One rename: the new name, the old one, and where it is declared.
pub(crate) struct Rename<'n> {
    pub(crate) to: &'n ConnectionName,
    pub(crate) from: &'n ConnectionName,
    pub(crate) at: Option<At>,
}

/// The problems of the renames of one target, each with the name that it blocks.
pub(crate) fn check(renames: &[Rename<'_>]) -> Vec<(ConnectionName, Finding)> {
    let mut problems = Vec::new();
    let mut by_old: BTreeMap<&ConnectionName, Vec<&Rename<'_>>> = BTreeMap::new();
    for rename in renames {
        if rename.to == rename.from {
            let message = format!("`{}` is renamed from its own name", rename.to);
            problems.push(problem(rename, &code::RENAME_TO_SELF, message, "remove `renamedFrom`"));
        } else {
            by_old.entry(rename.from).or_default().push(rename);
        }
    }
    for (old, several) in by_old.iter().filter(|(_, several)| several.len() > 1) {
        for rename in several {
            let message = format!("`{}` is renamed from `{old}`, and so is another", rename.to);
            let help = "remove `renamedFrom` from all but one";
            let (name, mut finding) = problem(rename, &code::RENAMED_TWICE, message, help);
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
        if runs_in_a_circle(rename.to, &olds) {
            let message = format!("the renames that `{}` is part of run in a circle", rename.to);
            let help = "rename one of them to a third name first, in a commit of its own";
            problems.push(problem(rename, &code::RENAME_CYCLE, message, help));
        }
    }
    problems
}

fn runs_in_a_circle(
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
    help: &str,
) -> (ConnectionName, Finding) {
    let mut finding = Finding::error(code, pointer(), message).help(help).part(Part::Value);
    finding.at = rename.at;
    (rename.to.clone(), finding)
}

fn pointer() -> String {
    child(&child("", KEY), "renamedFrom")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(renames: &[(&str, &str)]) -> Vec<(String, &'static str)> {
        let names: Vec<(ConnectionName, ConnectionName)> =
            renames.iter().map(|(to, from)| ((*to).into(), (*from).into())).collect();
        let renames: Vec<_> =
            names.iter().map(|(to, from)| Rename { to, from, at: None }).collect();
        check(&renames).into_iter().map(|(name, f)| (name.to_string(), f.code.id)).collect()
    }

    #[test]
    fn chains_are_fine_and_circles_are_not() {
        assert_eq!(problems(&[("b", "a"), ("c", "b"), ("d", "c")]), []);
        assert_eq!(problems(&[("a", "A")]), [("a".to_owned(), "AG501")]);
        let codes = |r: &[(&str, &str)]| problems(r).into_iter().map(|p| p.1).collect::<Vec<_>>();
        assert_eq!(codes(&[("a", "b"), ("b", "A")]), ["AG503", "AG503"]);
        assert_eq!(codes(&[("a", "b"), ("b", "c"), ("c", "a"), ("x", "y")]), ["AG503"; 3]);
        assert_eq!(codes(&[("a", "x"), ("b", "X")]), ["AG502", "AG502"]);
    }
}
