//! Compares one connection three ways: git's value, live's value, and the base on which both last
//! agreed.

use std::collections::BTreeMap;

use serde_json::Value;

mod base;
mod field;
mod identity;
mod secret;

pub(super) use base::catalog_field;
pub(crate) use base::{base_of, field_at};
pub(super) use field::show_desired;
pub(crate) use field::with_lives_ignored_parts;
pub(crate) use secret::{same_in_constant_time, shown_text, shows_file};

use super::view::LiveView;
use super::{FieldChange, Origin};
use crate::desired::DesiredConnection;
use crate::record::{Base, BaseField, Memory, Readable, Unstable};
use crate::secret::FingerprintKey;

/// The key of today's fingerprints, and whether the record's were made under it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys<'a> {
    pub(crate) key: &'a FingerprintKey,
    pub(crate) is_known: bool,
}

/// The rules of a comparison beside the connection itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompareRules<'a> {
    pub(crate) keys: Keys<'a>,
    /// Which secret fields `GET` was seen to show in full.
    pub(crate) readable: &'a Readable,
    /// Whether the base came from a revision (`--base`), which has no fingerprints.
    pub(crate) stateless: bool,
    /// Whether drift is written back.
    pub(crate) corrects_drift: bool,
    /// A path of the config is missing or empty, and no state remembers what it declared: a value of live
    /// that is not the base's may be of its layer.
    pub(crate) lacks_a_layer: bool,
    /// Whether every declared secret is sent again.
    pub(crate) resend_secrets: bool,
}

/// The result of comparing one connection.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// The differences, in the order of the document, dropped fields last.
    pub(crate) differences: Vec<Difference>,
    /// The base of all fields that agree now; fields that differ keep their older base.
    pub(crate) base: Base,
    /// Whether a declared secret was neither sent nor read back.
    pub(crate) unverified: bool,
    /// Secret fields that `GET` showed as git has them, which proves that they can be read.
    pub(crate) proven_readable: Vec<String>,
    /// Fields that agree now.
    pub(crate) settled: Vec<String>,
}

/// One field that differs.
#[derive(Debug)]
pub(crate) struct Difference {
    /// How it is shown.
    pub(crate) change: FieldChange,
    /// The treatment of it.
    pub(crate) treatment: Treatment,
    /// The field that it is in.
    pub(crate) subject: Subject,
}

/// The field that a difference is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A field that git declares and that is no secret.
    Plain,
    /// A field that git no longer declares: it goes back to its default.
    Dropped,
    /// A secret that git declares.
    Secret,
    /// The same, where reading it back tells of the difference, and nothing else does.
    SecretReadBack,
}

/// The treatment of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Git's value is written.
    Write,
    /// It is reported, and live's value is kept: the target only reports drift.
    Keep,
    /// It is reported, and live's value is kept: the server rewrites the field.
    GiveUp,
}

impl Difference {
    /// Whether it is in a secret that git declares.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.subject, Subject::Secret | Subject::SecretReadBack)
    }
}

impl Comparison {
    /// Whether anything has to be written.
    pub(crate) fn writes(&self) -> bool {
        self.differences.iter().any(|d| d.treatment == Treatment::Write)
    }

    /// Whether a secret that was read back has to be written.
    pub(crate) fn writes_what_was_read_back(&self) -> bool {
        let is_read_back = |d: &Difference| d.subject == Subject::SecretReadBack;
        self.differences.iter().any(|d| is_read_back(d) && d.treatment == Treatment::Write)
    }

    /// The pointers of the fields in which a PUT keeps live's value. A secret that git declares is
    /// never one of them: it is always sent as git's value.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &str> {
        self.differences
            .iter()
            .filter(|d| d.treatment != Treatment::Write && !d.is_secret())
            .map(|d| d.change.path.as_str())
    }

    /// The differences that are treated in one way.
    pub(crate) fn treated(&self, treatment: Treatment) -> Vec<FieldChange> {
        let those = self.differences.iter().filter(|d| d.treatment == treatment);
        those.map(|d| d.change.clone()).collect()
    }
}

/// The part of a memory that a comparison looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remembered<'a> {
    /// The base of its entry in the inventory; `None` for a connection that is adopted.
    pub(crate) base: Option<&'a Base>,
    /// Fields that were written and may not stay.
    pub(crate) unstable: Option<&'a BTreeMap<String, Unstable>>,
}

impl<'a> Remembered<'a> {
    /// The part of a memory that fits the live connection: no base where that is another
    /// connection than ours.
    pub(crate) fn of(memory: Option<&'a Memory>, is_ours: bool) -> Self {
        let owned = memory.and_then(|memory| memory.owned.as_ref()).filter(|_| is_ours);
        let unstable = memory.map(|memory| &memory.unstable);
        Self { base: owned.map(|owned| &owned.base), unstable }
    }
}

impl CompareRules<'_> {
    /// Whether live keeps what differs from git for such a reason.
    pub(crate) fn keeps(&self, origin: Origin) -> bool {
        match origin {
            Origin::Git => false,
            Origin::Drift => !self.corrects_drift || self.lacks_a_layer,
            Origin::Both => self.lacks_a_layer,
        }
    }
}

/// Compares one connection that is live.
pub(crate) fn compare(
    desired: &DesiredConnection,
    live: &LiveView<'_>,
    remembered: Remembered<'_>,
    rules: &CompareRules<'_>,
) -> Comparison {
    let found = Comparison::default();
    let mut comparing = Comparing { desired, live, remembered, rules, found };
    for field in &desired.fields {
        if desired.ignores(&field.path) {
            comparing.keep_base(&field.path);
        } else if field.value().is_none() {
            comparing.by_text(field);
        } else if field.is_secret() || comparing.masks(field) || comparing.hides_file(field) {
            comparing.secret(field);
        } else {
            comparing.field(field);
        }
    }
    for (path, older) in remembered.base.into_iter().flatten() {
        comparing.dropped(path, older);
    }
    comparing.found
}

/// A comparison in the making.
struct Comparing<'a> {
    desired: &'a DesiredConnection,
    live: &'a LiveView<'a>,
    remembered: Remembered<'a>,
    rules: &'a CompareRules<'a>,
    found: Comparison,
}

impl<'a> Comparing<'a> {
    fn older(&self, path: &str) -> Option<&'a BaseField> {
        self.remembered.base?.get(path)
    }

    fn keep_base(&mut self, path: &str) {
        if let Some(older) = self.older(path) {
            self.found.base.insert(path.to_owned(), older.clone());
        }
    }

    /// The treatment of a difference between git's value and live's.
    fn treatment(
        &self,
        path: &str,
        wanted: Option<&Value>,
        live: Option<&Value>,
        origin: Origin,
    ) -> Treatment {
        let key = self.rules.keys.key;
        let unstable = self.remembered.unstable.and_then(|fields| fields.get(path));
        let is_given_up = unstable.is_some_and(|unstable| {
            key.matches(&unstable.print, path, wanted.unwrap_or(&Value::Null))
                && unstable.is_given_up(key, path, live)
        });
        if is_given_up {
            Treatment::GiveUp
        } else if self.rules.keeps(origin) {
            Treatment::Keep
        } else {
            Treatment::Write
        }
    }
}
