//! One connection, three ways: what git wants, what live has, and the base both once agreed on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use serde_json::{Map, Value};

mod base;
mod secret;

pub(crate) use base::base_of;
use base::{agreed, keep_base, matches_base};
pub(super) use base::{catalog_field, field_at};
pub use base::{is_as_declared, is_as_sent};
use secret::compare_secret;

use super::equality::{equal, is_unset};
use super::{FieldChange, Origin};
use crate::catalog::{Secrecy, hidden};
use crate::desired::{DesiredConnection, DesiredField, holds_env, lies_in};
use crate::inventory::{BaseField, Record, Unstable};
use crate::live::LiveConnection;
use crate::pointer::steps;
use crate::secret::{FingerprintKey, SENSITIVE};

/// What a comparison looks at beside desired and live.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What is remembered of the target.
    pub record: &'a Record,
    /// The key of today's fingerprints.
    pub key: &'a FingerprintKey,
    /// Whether the record's fingerprints were made under that key.
    pub key_is_known: bool,
    /// Whether the base came from a revision (`--base`), which has no fingerprints.
    pub stateless: bool,
    /// Whether drift is written back.
    pub corrects_drift: bool,
    /// Whether every declared secret is sent again.
    pub resend_secrets: bool,
}

/// What comparing one connection gave.
#[derive(Debug, Default)]
pub struct Comparison {
    /// The differences, in the order of the document, dropped fields last.
    pub differences: Vec<Difference>,
    /// The base of all fields that agree now; what differs keeps its older base.
    pub base: BTreeMap<String, BaseField>,
    /// Whether a declared secret was neither sent nor read back.
    pub unverified: bool,
    /// Secret fields that `GET` showed as git has them, which proves that they can be read.
    pub proven_readable: Vec<String>,
    /// Fields that were written before and agree now.
    pub settled: Vec<String>,
}

/// One field that differs.
#[derive(Debug)]
pub struct Difference {
    /// How it is shown.
    pub change: FieldChange,
    /// What is done about it.
    pub treatment: Treatment,
    /// Git no longer declares the field: it goes back to its default.
    pub dropped: bool,
    /// The difference is known from reading a secret back, and from nothing else.
    pub read_back: bool,
}

/// What is done about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Git's value is written.
    Write,
    /// It is reported, and live's value is kept: the target only reports drift.
    Keep,
    /// It is reported, and live's value is kept: the server rewrites the field.
    GiveUp,
}

impl Comparison {
    /// Whether anything has to be written.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.differences.iter().any(|d| d.treatment == Treatment::Write)
    }

    /// The pointers of the fields in which a PUT keeps live's value.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.differences
            .iter()
            .filter(|d| d.treatment != Treatment::Write)
            .map(|d| d.change.path.as_str())
    }
}

/// Compares one connection that is live. `single` is the answer of its own `GET`, where there
/// was one; `owned` is the base of the inventory, and `None` for a connection that is taken over.
#[must_use]
pub fn compare(
    desired: &DesiredConnection,
    live: &LiveView<'_>,
    base: Option<&BTreeMap<String, BaseField>>,
    context: &Context<'_>,
) -> Comparison {
    let mut comparison = Comparison::default();
    for field in desired.fields() {
        if desired.ignores(&field.path) {
            if let Some(older) = base.and_then(|b| b.get(&*field.path)) {
                comparison.base.insert(field.path.to_string(), older.clone());
            }
            continue;
        }
        let older = base.and_then(|b| b.get(&*field.path));
        if field.is_secret() {
            compare_secret(desired, field, live, base.is_some(), older, context, &mut comparison);
        } else {
            compare_field(desired, field, live, older, context, &mut comparison);
        }
    }
    for (path, older) in base.into_iter().flatten() {
        compare_dropped(desired, path, older, live, context, &mut comparison);
    }
    comparison
}

/// What is known of a live connection: its entry in the list, and its own `GET` where there was
/// one. `GET` is believed first; a field that it leaves out is taken from the list.
pub struct LiveView<'a> {
    /// The entry of the list, or the connection's own answer.
    pub entry: &'a LiveConnection,
    /// The connection's own answer.
    pub single: Option<&'a LiveConnection>,
    // Their objects, read when first asked for and gone with the view.
    entry_body: OnceLock<Map<String, Value>>,
    single_body: OnceLock<Map<String, Value>>,
}

impl<'a> LiveView<'a> {
    /// Looks at an entry, and at the connection's own answer where there is one.
    #[must_use]
    pub fn new(entry: &'a LiveConnection, single: Option<&'a LiveConnection>) -> Self {
        Self { entry, single, entry_body: OnceLock::new(), single_body: OnceLock::new() }
    }

    /// The value at a pointer.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.get_secret(path).or_else(|| at(self.entry_body(), path))
    }

    /// The value at a pointer in the connection's own answer: lists never show secrets.
    #[must_use]
    pub fn get_secret(&self, path: &str) -> Option<&Value> {
        at(self.single_body()?, path)
    }

    /// The object that is believed first.
    pub(super) fn body(&self) -> &Map<String, Value> {
        self.single_body().unwrap_or_else(|| self.entry_body())
    }

    /// The object of the list's entry.
    pub(super) fn entry_body(&self) -> &Map<String, Value> {
        self.entry_body.get_or_init(|| self.entry.body())
    }

    fn single_body(&self) -> Option<&Map<String, Value>> {
        self.single.map(|single| self.single_body.get_or_init(|| single.body()))
    }
}

impl fmt::Debug for LiveView<'_> {
    /// Without the objects, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, single, .. } = self;
        f.debug_struct("LiveView")
            .field("entry", entry)
            .field("single", single)
            .finish_non_exhaustive()
    }
}

/// The value at a pointer of a connection's body.
pub(super) fn at<'v>(body: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    let mut steps = path.starts_with('/').then(|| steps(path))?;
    let mut value = body.get(&*steps.next()?)?;
    for step in steps {
        value = match value {
            Value::Object(map) => map.get(&*step)?,
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

fn compare_field(
    desired: &DesiredConnection,
    field: &DesiredField,
    live: &LiveView<'_>,
    older: Option<&BaseField>,
    context: &Context<'_>,
    comparison: &mut Comparison,
) {
    let path = &*field.path;
    let Some(value) = field.value() else {
        // Not looked at in this run, or blocked: its base stays what it was.
        keep_base(path, older, comparison);
        return;
    };
    let live_value = live.get(path);
    let with_ignored = super::ignored::with_lives_ignored_parts(desired, path, value, live_value);
    let value = with_ignored.as_ref().unwrap_or(value);
    if equal(field.field, Some(value), live_value) {
        comparison.settled.push(path.to_owned());
        comparison.base.insert(path.to_owned(), agreed(field, older, context));
        return;
    }
    let origin = origin(field, value, live_value, older, context);
    keep_base(path, older, comparison);
    let sensitive = field.is_sensitive() || older.is_some_and(|older| holds_env(&older.declared));
    let shown = FieldChange {
        path: path.to_owned(),
        before: show_live(desired, path, live_value, live, sensitive),
        after: Some(show_desired(desired, field, value)),
        sensitive,
        origin,
    };
    let treatment = treatment(desired, path, Some(value), origin, context);
    comparison.differences.push(Difference {
        change: shown,
        treatment,
        dropped: false,
        read_back: false,
    });
}

/// A field that git used to declare and no longer does goes back to its documented default. A
/// secret is never emptied that way: it is just no longer git's.
fn compare_dropped(
    desired: &DesiredConnection,
    path: &str,
    older: &BaseField,
    live: &LiveView<'_>,
    context: &Context<'_>,
    comparison: &mut Comparison,
) {
    let declared_otherwise =
        desired.fields().iter().any(|f| lies_in(path, &f.path) || lies_in(&f.path, path));
    if declared_otherwise {
        return;
    }
    if desired.ignores(path) {
        comparison.base.insert(path.to_owned(), older.clone());
        return;
    }
    let field = catalog_field(desired, path);
    if field.is_some_and(|f| matches!(f.secrecy, Secrecy::Secret { .. })) {
        return;
    }
    let live_value = live.get(path);
    let kind = field.map(|f| &f.kind);
    if is_unset(kind, field.and_then(|f| f.default.as_ref()), live_value) {
        comparison.settled.push(path.to_owned());
        return;
    }
    keep_base(path, Some(older), comparison);
    let live_moved = !matches_base(field, older, live_value, path, context);
    let origin = if live_moved { Origin::Both } else { Origin::Git };
    let sensitive = holds_env(&older.declared);
    let default = field.and_then(|f| f.default.as_ref()).map(|default| default.to_json());
    let treatment = treatment(desired, path, default.as_ref(), origin, context);
    comparison.differences.push(Difference {
        change: FieldChange {
            path: path.to_owned(),
            before: show_live(desired, path, live_value, live, sensitive),
            after: default,
            sensitive,
            origin,
        },
        treatment,
        dropped: true,
        read_back: false,
    });
}

fn origin(
    field: &DesiredField,
    value: &Value,
    live_value: Option<&Value>,
    older: Option<&BaseField>,
    context: &Context<'_>,
) -> Origin {
    let Some(older) = older else { return Origin::Git };
    let git_moved = if older.declared != field.declared {
        // The same value under another reference, or another spelling of it, moved nothing.
        !(older.print.is_none()
            && !field.holds_reference()
            && equal(field.field, Some(value), Some(&older.declared)))
    } else {
        match &older.print {
            Some(print) if context.key_is_known => !context.key.matches(print, &field.path, value),
            // Without a fingerprint that can be checked, what overwrites less: drift.
            _ => false,
        }
    };
    let live_moved = !matches_base(field.field, older, live_value, &field.path, context);
    match (git_moved, live_moved) {
        (true, true) => Origin::Both,
        (false, true) => Origin::Drift,
        _ => Origin::Git,
    }
}

fn treatment(
    desired: &DesiredConnection,
    path: &str,
    value: Option<&Value>,
    origin: Origin,
    context: &Context<'_>,
) -> Treatment {
    let unstable = context.record.unstable.get(&desired.name).and_then(|fields| fields.get(path));
    if unstable.is_some_and(|unstable| is_given_up(unstable, path, value, context)) {
        Treatment::GiveUp
    } else if origin == Origin::Drift && !context.corrects_drift {
        Treatment::Keep
    } else {
        Treatment::Write
    }
}

fn is_given_up(
    unstable: &Unstable,
    path: &str,
    value: Option<&Value>,
    context: &Context<'_>,
) -> bool {
    let value = value.unwrap_or(&Value::Null);
    unstable.is_given_up() && context.key.matches(&unstable.print, path, value)
}

/// What may be shown of live's side of a field.
fn show_live(
    desired: &DesiredConnection,
    path: &str,
    value: Option<&Value>,
    live: &LiveView<'_>,
    sensitive: bool,
) -> Option<Value> {
    let value = value.filter(|v| !v.is_null())?;
    if sensitive {
        return Some(Value::from(SENSITIVE));
    }
    Some(hidden::mask_at(desired.connection_type, path, value, live.body()))
}

/// What may be shown of git's side: the declared text where it holds a secret, else the value.
pub(super) fn show_desired(
    desired: &DesiredConnection,
    field: &DesiredField,
    value: &Value,
) -> Value {
    if field.is_sensitive() {
        return field.declared.clone();
    }
    let whole = desired
        .fields()
        .iter()
        .map(|f| (f.path.trim_start_matches('/').to_owned(), f.declared.clone()))
        .collect();
    hidden::mask_at(desired.connection_type, &field.path, value, &whole)
}
