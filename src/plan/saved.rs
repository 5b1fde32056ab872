//! Saved plans: digests of the inputs of a plan, so that it is carried out as it stands or
//! not at all.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::renames::renames_of;
use super::{Action, Change, Observed, TargetPlan};
use crate::catalog::{self, hidden, is_bookkeeping};
use crate::desired::{Desired, DesiredConnection, DesiredField, env_names, holds_env, lies_in};
use crate::digest::sha256_hex;
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::record::Record;
use crate::secret::canonical;

/// The part of a saved plan that is of one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedTarget {
    /// The target's name in the config.
    pub name: String,
    /// The digest of its URL and its project, which may come from the environment.
    pub place: String,
    /// The digests of the inputs of the plan; `None` where the target could not be looked at: a plan with
    /// such a target is not saved.
    pub digests: Option<Digests>,
    /// The changes that it lists.
    pub changes: Vec<SavedChange>,
}

/// One change that a saved plan lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedChange {
    /// The action.
    pub action: String,
    /// The connection's name.
    pub name: ConnectionName,
    /// Whether a rule held it back.
    pub held: bool,
    /// The fields that it writes and that may be shown.
    pub fields: BTreeSet<String>,
}

/// Digests of the inputs of a plan, connection by connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// The desired state: overlays and vars applied, values of the environment as references.
    pub desired: BTreeMap<ConnectionName, String>,
    /// Live's values of that and of the inventory, without secrets and bookkeeping.
    pub live: BTreeMap<ConnectionName, String>,
    /// The inventory.
    pub inventory: BTreeMap<ConnectionName, String>,
}

impl Digests {
    /// Digests what a plan is made from. The own answers count of connections of which the lists do
    /// not show all that is compared.
    pub(crate) fn of(desired: &Desired, observed: &Observed, record: &Record) -> Self {
        let Observed { live, singles, read_alone, .. } = observed;
        let old_names = renames_of(desired).map(|(_, old)| old);
        let owned = record.inventory().map(|(name, _)| name);
        let names = desired.keys().chain(owned).chain(old_names);
        Self {
            desired: desired.iter().map(|(n, d)| (n.clone(), digest(&of_desired(d)))).collect(),
            live: names
                .filter_map(|name| {
                    let own = read_alone.get(name).and_then(|name| singles.get(name));
                    let answers = [live.connections.get(name), own];
                    let shown = answers.into_iter().flatten();
                    let shown = shown.map(|one| of_live(one, desired.get(name), record));
                    let shown: Vec<Value> = shown.collect();
                    (!shown.is_empty()).then(|| (name.clone(), digest(&Value::Array(shown))))
                })
                .collect(),
            inventory: record
                .inventory()
                .map(|(name, owned)| {
                    let base: Map<String, Value> =
                        owned.base.iter().map(|(k, v)| (k.clone(), v.declared.clone())).collect();
                    let value = serde_json::json!({
                        "type": owned.type_name, "protect": owned.protect, "base": base,
                    });
                    (name.clone(), digest(&value))
                })
                .collect(),
        }
    }

    /// The differences between these digests and later ones, one sentence each.
    pub fn moved(&self, now: &Self) -> Vec<String> {
        let parts = [
            ("in git", &self.desired, &now.desired),
            ("on the server", &self.live, &now.live),
            ("in the inventory", &self.inventory, &now.inventory),
        ];
        parts.into_iter().flat_map(|(place, then, now)| moved(place, then, now)).collect()
    }
}

fn moved(
    place: &str,
    then: &BTreeMap<ConnectionName, String>,
    now: &BTreeMap<ConnectionName, String>,
) -> Vec<String> {
    let mut words = Vec::new();
    for (name, digest) in then {
        match now.get(name) {
            None => words.push(format!("`{name}` is no longer {place}")),
            Some(now) if now != digest => words.push(format!("`{name}` changed {place}")),
            Some(_) => {}
        }
    }
    let new = now.keys().filter(|name| !then.contains_key(*name));
    words.extend(new.map(|name| format!("`{name}` is new {place}")));
    words
}

/// The changes of a plan as a saved one lists them.
pub(crate) fn changes_of(plan: &TargetPlan) -> Vec<SavedChange> {
    plan.changes()
        .into_iter()
        .filter(|change| change.action.is_write())
        .map(|change| SavedChange {
            action: change.action.into_str().to_owned(),
            name: change.name.clone(),
            held: change.held,
            fields: shown_fields(change),
        })
        .collect()
}

fn shown_fields(change: &Change) -> BTreeSet<String> {
    let shown = change.fields.iter().filter(|field| !field.sensitive);
    shown.map(|field| field.path.clone()).collect()
}

/// Removes the changes from a plan that a saved one does not list: it is carried out and nothing
/// more.
pub(crate) fn keep_listed(plan: &mut TargetPlan, listed: &[SavedChange]) {
    let is_listed = |change: &Change| {
        !change.action.is_write()
            || listed
                .iter()
                .any(|one| one.action == change.action.into_str() && one.name == change.name)
    };
    for entry in &mut plan.entries {
        entry.change.take_if(|change| !is_listed(change));
    }
}

/// Listed changes that would end otherwise than they are listed though nothing moved, since the
/// config or the environment did: one sentence each.
pub(crate) fn ends_otherwise(plan: &TargetPlan, listed: &[SavedChange]) -> Vec<String> {
    let otherwise = |one: &SavedChange| {
        let mut today = plan.entries.iter().filter_map(|entry| entry.change.as_deref());
        let is_today = |change: &&Change| one.name == change.name && change.action != Action::Drift;
        let Some(change) = today.find(is_today) else {
            let (action, name) = (&one.action, &one.name);
            return (!one.held).then(|| {
                format!("the {action} of `{name}` was to be made, and today none is due")
            });
        };
        if change.action.into_str() == one.action && change.held == one.held {
            let today = shown_fields(change);
            let more = today.difference(&one.fields).next();
            return more.map(|field| {
                format!(
                    "the {} of `{}` was not to write `{field}`, and today it is",
                    one.action, one.name
                )
            });
        }
        let then = if one.held { "held" } else { "to be made" };
        let now = match (change.held, change.action) {
            (true, _) => "is held",
            (false, Action::Blocked) => "is blocked",
            (false, other) => {
                return Some(format!(
                    "the {} of `{}` was {then}, and today it is a {} that nothing holds",
                    one.action,
                    one.name,
                    other.into_str()
                ));
            }
        };
        let why = change.reason.as_deref().unwrap_or_default();
        Some(format!("the {} of `{}` was {then} and {now}: {why}", one.action, one.name))
    };
    listed.iter().filter_map(otherwise).collect()
}

fn of_desired(desired: &DesiredConnection) -> Value {
    let fields: Map<String, Value> =
        desired.fields.iter().map(|f| (f.path.clone(), of_field(f))).collect();
    let options = &desired.options;
    serde_json::json!({
        "type": desired.connection_type.name,
        "name": desired.name,
        "protect": options.protect,
        "renamedFrom": options.renamed_from,
        "ignore": options.ignore,
        "suspend": options.suspend,
        "fields": fields,
    })
}

/// The value with its vars; a field of the environment as its text.
fn of_field(field: &DesiredField) -> Value {
    match field.value() {
        Some(value) if env_names(&field.declared).is_empty() => value.clone(),
        _ => field.declared.clone(),
    }
}

fn of_live(live: &LiveConnection, desired: Option<&DesiredConnection>, record: &Record) -> Value {
    let Some(own_type) = catalog::find(&live.type_name) else {
        return Value::from(live.type_name.as_str());
    };
    let mut body = live.body().clone();
    let base = record.owned(&live.name).map(|owned| &*owned.base);
    body.retain(|key, _| {
        let path = crate::pointer::child("", key);
        let of_env = desired.is_some_and(|desired| {
            desired.fields.iter().any(|f| f.is_sensitive() && lies_in(&f.path, &path))
        }) || base
            .into_iter()
            .flatten()
            .any(|(p, b)| lies_in(p, &path) && holds_env(&b.declared));
        let is_secret = own_type.field(key).is_some_and(catalog::Field::is_secret);
        !of_env && !is_secret && !is_bookkeeping(own_type, key)
    });
    let mut concealed = hidden::conceal(own_type, &body);
    concealed.insert("id".to_owned(), Value::from(live.id.clone()));
    Value::Object(concealed)
}

fn digest(value: &Value) -> String {
    sha256_hex(&canonical(value))[..32].to_owned()
}
