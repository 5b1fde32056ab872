//! One connection, three ways: what git wants, what live has, and the base both once agreed on.

use std::collections::BTreeMap;

use serde_json::Value;

mod base;
mod field;
mod secret;
mod view;

pub(crate) use base::base_of;
pub(super) use base::{catalog_field, field_at};
pub use base::{is_as_declared, is_as_sent};
pub(super) use field::show_desired;
pub use view::LiveView;
pub(super) use view::at;

use super::{FieldChange, Origin};
use crate::desired::DesiredConnection;
use crate::inventory::{BaseField, Record};
use crate::secret::FingerprintKey;

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
    let found = Comparison::default();
    let mut comparing = Comparing { desired, live, base, context, found };
    for field in desired.fields() {
        if desired.ignores(&field.path) {
            comparing.keep_base(&field.path);
        } else if field.is_secret() {
            comparing.secret(field);
        } else {
            comparing.field(field);
        }
    }
    for (path, older) in base.into_iter().flatten() {
        comparing.dropped(path, older);
    }
    comparing.found
}

/// A comparison in the making.
struct Comparing<'a> {
    desired: &'a DesiredConnection,
    live: &'a LiveView<'a>,
    base: Option<&'a BTreeMap<String, BaseField>>,
    context: &'a Context<'a>,
    found: Comparison,
}

impl<'a> Comparing<'a> {
    fn older(&self, path: &str) -> Option<&'a BaseField> {
        self.base?.get(path)
    }

    fn keep_base(&mut self, path: &str) {
        if let Some(older) = self.older(path) {
            self.found.base.insert(path.to_owned(), older.clone());
        }
    }

    fn treatment(&self, path: &str, value: Option<&Value>, origin: Origin) -> Treatment {
        let Context { record, key, corrects_drift, .. } = *self.context;
        let fields = record.unstable.get(&self.desired.name);
        let is_given_up = fields.and_then(|fields| fields.get(path)).is_some_and(|unstable| {
            let value = value.unwrap_or(&Value::Null);
            unstable.is_given_up() && key.matches(&unstable.print, path, value)
        });
        if is_given_up {
            Treatment::GiveUp
        } else if origin == Origin::Drift && !corrects_drift {
            Treatment::Keep
        } else {
            Treatment::Write
        }
    }
}
