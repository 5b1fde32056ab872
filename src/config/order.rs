//! The key `after`: targets that take only what another one has applied.

use super::fields::{Fields, Text};
use super::problems::error;
use super::read::Reader;
use super::{After, Target};
use crate::catalog::did_you_mean;
use crate::diagnostic::code;
use crate::diagnostic::quoted;

/// Adds to each target the one that it comes after; `names` are those of all targets.
pub(super) fn add_all(
    reader: &mut Reader<'_>,
    list: &[Fields],
    names: &[&str],
    targets: &mut [Target],
) {
    for fields in list {
        let Some(after) = fields.fields("after") else { continue };
        let (Some(name), Some(first)) = (fields.text("name"), after.text("target")) else {
            continue;
        };
        if !is_target(reader, names, first, &after.place_of("target")) {
            continue;
        }
        let after = After { target: first.value.clone(), soak: after.duration("soak") };
        let target = targets.iter_mut().find(|target| target.name == name.value);
        target.into_iter().for_each(|target| target.after = Some(after.clone()));
    }
    check_cycles(reader, list, targets);
}

/// Whether a target of that name exists; one that does not is a problem.
pub(super) fn is_target(reader: &mut Reader<'_>, names: &[&str], text: &Text, place: &str) -> bool {
    if !text.resolved || names.contains(&text.value.as_str()) {
        return text.resolved;
    }
    let message = format!("no target is called {}", quoted(&text.written));
    let targets = format!("the targets are {}", names.join(", "));
    let help = did_you_mean(names.iter().copied(), &text.value, targets);
    reader.problems.add(place, error(&code::CONFIG_BAD_VALUE, message).help(help));
    false
}

/// A target that comes after itself, be it through others, would wait for ever.
fn check_cycles(reader: &mut Reader<'_>, list: &[Fields], targets: &[Target]) {
    let before = |target: &Target| {
        let first = &target.after.as_ref()?.target;
        targets.iter().find(|other| other.name == *first)
    };
    for target in targets {
        let chain = std::iter::successors(before(target), |earlier| before(earlier));
        let chain: Vec<&str> = chain.take(targets.len()).map(|t| t.name.as_str()).collect();
        let Some(end) = chain.iter().position(|name| *name == target.name) else { continue };
        let fields = list.iter().find(|f| f.text("name").is_some_and(|t| t.value == target.name));
        let place = fields.and_then(|f| f.fields("after")).map(|after| after.place_of("target"));
        let others = chain[..end].iter().map(|name| quoted(name)).collect::<Vec<_>>();
        let through = match others.as_slice() {
            [] => String::new(),
            others => format!(" through {}", others.join(" and ")),
        };
        let message = format!("the target {} comes after itself{through}", quoted(&target.name));
        let problem = error(&code::CONFIG_CONTRADICTION, message)
            .help("one of the targets has to come first, without `after`");
        reader.problems.add(&place.unwrap_or_default(), problem);
    }
}
