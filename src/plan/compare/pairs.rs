//! How git's value of a field and live's pair: objects and free maps by their keys, the elements of lists as
//! [`Pairing`] says. What a PUT sends and the way back of a replace both ask here.
//!
//! | question | answer |
//! |---|---|
//! | is the list in sync, so that a PUT sends live's own elements with git's values in them? | [`Pairing::in_sync`] |
//! | which element of git's is one of live's, so that it may be given git's secret? | [`Pairing::surely`] |
//! | which elements of git's may one of live's have become, so that a PUT could take its secret? | [`Pairing::candidates`] |
//! | what does live have, where it masks a part? | [`Filling`] |
//!
//! | who fills | the places | with | to know |
//! |---|---|---|---|
//! | `value_to_send` | that live masks | git's value | what live has |
//! | `on_put`, `texts` | that stand for a reference, but not in a known text field | git's text | where live may show cipher text |
//! | `on_put`, `rest` | that live may mask | git's value | whether anything else differs |
//! | `shows_field` | that stand for a reference | the base's text | whether live has the base's field |
//! | `body::unmask` | that live masks | the resolved text of the base | the way back of a replace |

use std::cell::LazyCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::catalog::{Kind, hidden};
use crate::desired::holds_env;
use crate::plan::equality::Equality;
use crate::pointer;

/// How the elements of a list of git's pair with those of the list that live has.
pub(super) struct Pairing<'a> {
    pub(super) git: usize,
    pub(super) live: usize,
    /// Whether places say nothing.
    pub(super) is_set: bool,
    /// Whether an element of git's agrees with one of live's.
    pub(super) agree: &'a dyn Fn(usize, usize) -> bool,
}

impl Pairing<'_> {
    /// The pairs of git's elements and live's where the list is in sync, in git's order: each element
    /// agrees with the one at its place; in a set it may stand at any place, and more than once.
    pub(super) fn in_sync(&self) -> Option<Vec<(usize, usize)>> {
        if !self.is_set {
            let is_in_sync = self.git == self.live && (0..self.git).all(|at| (self.agree)(at, at));
            return is_in_sync.then(|| (0..self.git).map(|at| (at, at)).collect());
        }
        let is_there = |git: usize| (0..self.live).any(|live| (self.agree)(git, live));
        let first = |live: usize| (0..self.git).find(|git| (self.agree)(*git, live));
        let pairs = (0..self.live).map(|live| Some((first(live)?, live)));
        let mut pairs = pairs.collect::<Option<Vec<_>>>()?;
        pairs.sort_unstable();
        (0..self.git).all(is_there).then_some(pairs)
    }

    /// The element of git's that one of live's surely is: the one at the same place of as long a list, or
    /// the only one that agrees with it and with no other of live's.
    pub(super) fn surely(&self, live: usize) -> Option<usize> {
        if !self.is_set && self.git == self.live && (self.agree)(live, live) {
            return Some(live);
        }
        let mut agreeing = (0..self.git).filter(|git| (self.agree)(*git, live));
        let git = agreeing.next().filter(|_| agreeing.next().is_none())?;
        (0..self.live).all(|other| other == live || !(self.agree)(git, other)).then_some(git)
    }

    /// The elements of git's that one of live's may have become: those that agree with it, or else those
    /// that agree with none of live's.
    pub(super) fn candidates(&self) -> impl Fn(usize) -> Vec<usize> {
        let is_new = |git: &usize| (0..self.live).all(|live| !(self.agree)(*git, live));
        let new = LazyCell::new(move || (0..self.git).filter(is_new).collect::<Vec<_>>());
        move |live| {
            let agreeing: Vec<_> = (0..self.git).filter(|git| (self.agree)(*git, live)).collect();
            if agreeing.is_empty() { new.clone() } else { agreeing }
        }
    }
}

/// Fills in what an answer masks with what git declares, or declared, for it.
pub(in crate::plan) struct Filling<'a> {
    /// The pointers of the masked parts that are not filled yet.
    pub(in crate::plan) masked: BTreeSet<String>,
    /// Whether what stands for a value of the environment counts as masked though it is shown.
    pub(in crate::plan) takes_references: bool,
    /// The value of a part that git declares, by its pointer.
    pub(in crate::plan) value_of: &'a dyn Fn(&str, &Value) -> Result<Value, String>,
}

impl Filling<'_> {
    /// Fills in parts of git's as they are.
    pub(super) fn with_parts(masked: BTreeSet<String>, takes_references: bool) -> Self {
        Self { masked, takes_references, value_of: &|_, part| Ok(part.clone()) }
    }

    /// Live's value of a whole field with its masked parts filled.
    pub(super) fn of(mut self, kind: Option<&'static Kind>, git: &Value, live: &Value) -> Value {
        let filled = self.filled(kind, "", Some(live), git);
        filled.ok().flatten().unwrap_or_else(|| live.clone())
    }

    /// The part at a pointer as it is shown, with its masked parts filled; `None`: it is not there.
    pub(in crate::plan) fn filled(
        &mut self,
        kind: Option<&'static Kind>,
        at: &str,
        shown: Option<&Value>,
        declared: &Value,
    ) -> Result<Option<Value>, String> {
        let is_taken = self.takes_references && declared.is_string() && holds_env(declared);
        if self.masked.contains(at) || is_taken || is_nothing_for(shown, declared) {
            let git = (self.value_of)(at, declared)?;
            let is_other = |live: &&Value| match (live.as_str(), git.as_str()) {
                (Some(live), Some(git)) => hidden::is_masked_otherwise(live, git),
                _ => false,
            };
            if let Some(other) = shown.filter(is_other) {
                return Ok(Some(other.clone()));
            }
            self.masked.remove(at);
            return Ok(Some(git));
        }
        Ok(match (shown, declared) {
            (Some(Value::Object(shown)), Value::Object(declared)) => {
                let mut filled: Map<String, Value> = shown.clone();
                for (key, declared) in declared {
                    let (kind, at) = (kind.and_then(|k| k.of_key(key)), pointer::child(at, key));
                    let part = self.filled(kind, &at, shown.get(key), declared)?;
                    filled.extend(part.map(|part| (key.clone(), part)));
                }
                Some(Value::Object(filled))
            }
            (Some(Value::Array(shown)), Value::Array(declared)) => {
                Some(Value::Array(self.filled_list(kind, at, shown, declared)?))
            }
            (shown, _) => shown.cloned(),
        })
    }

    fn filled_list(
        &mut self,
        kind: Option<&'static Kind>,
        at: &str,
        shown: &[Value],
        declared: &[Value],
    ) -> Result<Vec<Value>, String> {
        let is_set = matches!(kind, Some(Kind::Set(_)));
        let kind = kind.and_then(Kind::of_item);
        let agree = |git: usize, live: usize| {
            self.agrees(kind, &pointer::item(at, live), &shown[live], &declared[git])
        };
        let pairing = Pairing { git: declared.len(), live: shown.len(), is_set, agree: &agree };
        let partners: Vec<_> = (0..shown.len()).map(|live| pairing.surely(live)).collect();
        let is_left = |git: &usize| !partners.contains(&Some(*git));
        let left: Vec<usize> = (0..declared.len()).filter(is_left).collect();
        let mut filled = Vec::with_capacity(shown.len());
        for (live, (item, partner)) in shown.iter().zip(partners).enumerate() {
            let at = pointer::item(at, live);
            filled.push(match partner {
                Some(git) => {
                    self.filled(kind, &at, Some(item), &declared[git])?.unwrap_or_default()
                }
                None => {
                    // It may be what git declared, with other changes beside what is not shown of it. Only
                    // the way back of a replace asks for what is left masked.
                    let lacks_a_secret = |git: &usize| {
                        let texts = Self::with_parts(BTreeSet::new(), false);
                        holds_env(&texts.of(kind, &declared[*git], item))
                    };
                    if left.iter().any(lacks_a_secret) {
                        self.masked.insert(at);
                    }
                    item.clone()
                }
            });
        }
        Ok(filled)
    }

    /// Whether an element agrees with what git declares in all that is shown of it: a value of the environment
    /// that is not known counts as masked.
    fn agrees(
        &self,
        kind: Option<&'static Kind>,
        at: &str,
        shown: &Value,
        declared: &Value,
    ) -> bool {
        let git = (self.value_of)(at, declared).unwrap_or_else(|_| declared.clone());
        let filled =
            Self::with_parts(self.masked.clone(), true).filled(kind, at, Some(shown), &git);
        filled.is_ok_and(|filled| Equality::of_part(kind).holds(Some(&git), filled.as_ref()))
    }
}

/// Whether nothing is shown in the place of a value that is from the environment.
fn is_nothing_for(shown: Option<&Value>, declared: &Value) -> bool {
    shown.is_none_or(hidden::shows_nothing) && holds_env(declared)
}
