//! The section `rules`: expressions of the user, compiled for the targets that they are for.

use std::sync::Arc;

use serde_json::Value as Json;
use strum::VariantArray as _;

use crate::diagnostic::code;
use crate::rules::{Effect, Expression, Rule};

use super::Target;
use super::fields::{Fields, Text};
use super::problems::error;
use super::read::Reader;
use super::target::is_target;

/// Compiles the rules and adds each to the targets that it is for; `names` are those of all targets.
pub(super) fn add_all(
    reader: &mut Reader<'_>,
    list: &[Fields],
    names: &[String],
    targets: &mut [Target],
) {
    let mut built = Vec::new();
    for fields in list {
        let chosen = chosen(reader, fields, names);
        let is_for = |target: &Target| chosen.as_ref().is_none_or(|c| c.contains(&target.name));
        // A target that cannot be used is left out, and what it has is not known.
        let is_known = targets.len() == names.len();
        let seen = targets.iter().filter(|target| is_known && is_for(target));
        let seen: Vec<&Json> = seen.map(|target| target.rules.target()).collect();
        let Some(rule) = build(reader, fields, &seen).map(Arc::new) else { continue };
        built.push((rule.name.clone(), fields.place_of("name")));
        targets.iter_mut().filter(|t| is_for(t)).for_each(|target| target.rules.add(&rule));
    }
    reader.problems.refuse_twice(built.into_iter(), &|| {
        error(&code::CONFIG_BAD_NAME, "two rules have this name")
            .help("give each rule a name of its own")
    });
}

/// The targets that a rule names; `None`: it is for all.
fn chosen(reader: &mut Reader<'_>, fields: &Fields, names: &[String]) -> Option<Vec<String>> {
    let texts: Vec<(Text, String)> = fields.get("targets")?;
    if texts.is_empty() {
        let problem =
            error(&code::CONFIG_BAD_VALUE, "`targets` is empty: the rule would apply to no target");
        reader.problems.add(&fields.place_of("targets"), problem);
    }
    for (text, place) in &texts {
        is_target(reader, names, text, place);
    }
    Some(texts.into_iter().map(|(text, _)| text.value).collect())
}

fn build(reader: &mut Reader<'_>, fields: &Fields, targets: &[&Json]) -> Option<Rule> {
    let name = fields.text("name").map(|text| text.value);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.as_ref().is_some_and(|name| !name.chars().all(allowed) || name.len() > 100) {
        let message = "a rule's name has at most 100 letters, digits, `-`, `_` and `.`";
        reader.problems.add(&fields.place_of("name"), error(&code::CONFIG_BAD_NAME, message));
        return None;
    }
    let when = fields.text("when").and_then(|text| {
        let compiled = Expression::compile(&text.value, targets);
        compiled.map_err(|wrong| reader.problems.add(&fields.place_of("when"), *wrong)).ok()
    });
    let (effect, text) = Effect::VARIANTS
        .iter()
        .find_map(|effect| Some((*effect, fields.text(effect.into_str())?.value)))?;
    Some(Rule { name: name?, effect, text, when: when? })
}
