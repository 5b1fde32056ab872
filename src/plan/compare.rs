//! Compares one connection three ways: git's value, live's value, and the base on which both last
//! agreed. What becomes of a field that git declares, and whose value is known, follows from five steps:
//!
//! 1. Git's parts are put where live's answer masks its own: that is `unmasked` (`sent.rs`, `pairs.rs`).
//! 2. A PUT sends git's value with what live has beside it: that is `sent` (`sent.rs`).
//! 3. Live agrees with `sent` wholly, in all but what it masks, or not ([`Agreement`]). A field that live may
//!    mask as a whole joins here: a text tells where it equals git's, or where it is proven to be readable.
//!    A `null` of git's for a secret counts as masked, since live shows that for any value.
//! 4. Git, live or both made the difference: the base against each ([`Origin`], `base.rs`).
//! 5. It is written, or only reported, and then a PUT for another reason keeps live's value, writes git's, or
//!    cannot be made ([`Treatment`]).
//!
//! | agreement | what was sent last | becomes | the base |
//! |---|---|---|---|
//! | `Whole` | is not asked | in sync; a secret is proven readable | git's value of now |
//! | `ButMasked` | the same | in sync | the older one, with git's text of now |
//! | `ButMasked` | never, and it is adopted; or under another key | unverified | git's value, as first seen |
//! | `ButMasked` | another one, or never | a difference by git | the older one |
//! | `No(origin)` | tells the origin of a secret | a difference by that origin | the older one |
//!
//! `--resend-secrets` makes a difference by git of what is `ButMasked`, and of each secret, unless git's value is
//! empty.
//!
//! | difference by | `drift: correct` | `drift: report` | with a lost path (`--base`) |
//! |---|---|---|---|
//! | git | written | written | written |
//! | drift | written | reported | reported |
//! | both | written | written | reported |
//!
//! A field that was given up is reported whatever made it differ; what live masks is never given up.
//!
//! Two rules stand beside the steps: a PUT takes no secret out of what stays, and no ignored part reaches
//! another element. What they refuse (`NotSent`) counts as a difference, and blocks the PUT.
//!
//! Other fields take shorter ways. One that is ignored is not compared. One whose value is not known in this
//! run is compared by its text with the base's (`by_text`). One that git dropped goes back to its default
//! (`dropped`); a secret stays as it is live.
//!
//! One list through all of it. Git declares this, and `T` is `s3`:
//!
//! ```text
//! git       [{name: Authorization, value: "${env:T}"}, {name: X-A, value: "1"}]
//! live      [{id: 7, name: Authorization, value: "***"}, {id: 8, name: X-A, value: "1"}]
//! unmasked  [{id: 7, name: Authorization, value: "s3"}, {id: 8, name: X-A, value: "1"}]
//! sent      the same: git's parts and live's ids beside them, since the list is in sync
//! ```
//!
//! - `unmasked` is as `sent` and live is not: `ButMasked`. The base has the fingerprint of a list with `s3`:
//!   in sync. With `s4` in the environment it is a difference by git, and the PUT sends `s4` and the ids.
//! - The console makes the value of `X-A` `"2"`: `sent` is git's list without ids, and live does not agree,
//!   by drift. Where drift is only reported no PUT can be made (`OnPut::Stops`): the value of `Authorization`
//!   is masked, and `X-A` differs beside it.
//! - The same, but live shows `s3`: a PUT sends live's list back (`OnPut::Keeps`).
//! - Live shows another text in the place of `s3`, and `X-A` is as it was: it may be cipher text, so a PUT
//!   sends git's list (`OnPut::Writes`).
//!
//! The words of this module:
//!
//! | word | of a value |
//! |---|---|
//! | shown | an answer of the server has it |
//! | for people | fit to be seen: no secret is in it (`..._for_people`) |
//! | masked | the server shows a mask, another text or nothing in its place |
//! | readable | a secret that GET was seen to show in full |
//! | sensitive | people see its reference or `(sensitive)`: this program conceals it |
//! | dropped | the base has it, and git no longer declares it |

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

mod base;
mod field;
mod live_view;
mod pairs;
mod sent;

pub(super) use base::moved_field;
pub(crate) use base::{Keys, as_declared, base_of};
pub(super) use field::desired_for_people;
pub(crate) use field::{shown_text, shows_file};
pub(crate) use live_view::{LiveView, has_moved};
pub(super) use pairs::Filling;
pub(crate) use sent::{NotSent, value_to_send, with_ignored_parts_of};

use super::{FieldChange, Origin};
use crate::catalog::{ConnectionType, Field};
use crate::desired::{DesiredConnection, DesiredField};
use crate::record::{Base, BaseField, Memory, ReadableSecrets, Unstable};

/// The settings of a comparison beside the connection itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompareSettings<'a> {
    pub(crate) keys: Keys<'a>,
    /// Which secret fields `GET` was seen to show in full.
    pub(crate) readable: &'a ReadableSecrets,
    /// Whether the base came from a revision (`--base`): its fingerprints are of today's values, and tell
    /// nothing of what was sent.
    pub(crate) is_stateless: bool,
    /// Whether drift is written back.
    pub(crate) corrects_drift: bool,
    /// With `--base` only: a path of the config is missing or empty, and no state remembers what it
    /// declared, so a value of live that is not the base's may be of its layer.
    pub(crate) has_lost_path: bool,
    /// Whether every declared secret is sent again.
    pub(crate) resend_secrets: bool,
}

/// The result of comparing one connection.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// The differences, in the order of the document, dropped fields last.
    pub(crate) differences: Vec<Difference>,
    /// The base from now on: the older one with the fields that agree now. Fields that differ keep their
    /// older base.
    pub(crate) base: Arc<Base>,
    /// Whether a declared secret was neither sent nor read back.
    pub(crate) unverified: bool,
    /// Secret fields that `GET` showed as git has them, which proves that they can be read.
    pub(crate) proven_readable: Vec<String>,
    /// Fields that were written and may not stay, and agree now.
    pub(crate) stayed: Vec<String>,
    /// Unknown secrets of which live shows nothing, and which git dropped or others may edit.
    pub(crate) not_shown: Vec<String>,
    /// Fields that git dropped and that keep what live has, since they held a secret.
    pub(crate) dropped_secrets: Vec<String>,
}

/// One field that differs.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The difference as people see it.
    pub(crate) change: FieldChange,
    pub(crate) treatment: Treatment,
    pub(crate) subject: Subject,
}

/// How far live's answer agrees with what would be sent for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// In all.
    Whole,
    /// In all but what it masks: the value that was sent last tells whether git's value stands there.
    ButMasked,
    /// Not, and who moved.
    No(Origin),
}

/// The kind of field that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A field that git declares and that is no secret.
    Plain,
    /// A field that git no longer declares: it goes back to its default.
    Dropped,
    /// A secret that git declares, or the parts of a field that live masks.
    Secret,
    /// The same, where reading it back tells of the difference, and nothing else does.
    SecretReadBack,
}

/// The treatment of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Git's value is written.
    Write,
    /// It is reported, and causes no PUT.
    Report(Reported, OnPut),
}

/// Why a difference is only reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    /// The target only reports drift, or a layer that may declare the field is not there.
    Drift,
    /// The server rewrites the field.
    Rewritten,
}

/// The effect of a difference that is only reported on a PUT that something else causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnPut {
    /// It sends live's value: live shows all of it.
    Keeps,
    /// It sends git's value: nothing differs but parts that live may mask.
    Writes,
    /// It is not made: live may mask a part, and something else differs.
    Stops,
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

    /// The pointers of the fields in which a PUT keeps live's value: live shows all of it.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &str> {
        self.reported_with(OnPut::Keeps)
    }

    /// The pointer of a field with drift that is to be kept, and that no PUT can keep.
    pub(crate) fn drift_not_shown(&self) -> Option<&str> {
        self.reported_with(OnPut::Stops).next()
    }

    fn reported_with(&self, on_put: OnPut) -> impl Iterator<Item = &str> {
        let has_it = move |d: &&Difference| matches!(d.treatment, Treatment::Report(_, own) if own == on_put);
        self.differences.iter().filter(has_it).map(|d| d.change.path.as_str())
    }

    /// The differences that are written.
    pub(crate) fn written(&self) -> Vec<FieldChange> {
        self.changes(|treatment| treatment == Treatment::Write)
    }

    /// The differences that are only reported, for such a reason.
    pub(crate) fn reported(&self, why: Reported) -> Vec<FieldChange> {
        self.changes(|treatment| matches!(treatment, Treatment::Report(own, _) if own == why))
    }

    fn changes(&self, are: impl Fn(Treatment) -> bool) -> Vec<FieldChange> {
        let those = self.differences.iter().filter(|d| are(d.treatment));
        those.map(|d| d.change.clone()).collect()
    }
}

/// The part of a memory that a comparison looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remembered<'a> {
    /// The base of its entry in the inventory; `None` for a connection that is adopted.
    pub(crate) base: Option<&'a Arc<Base>>,
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

impl CompareSettings<'_> {
    /// Whether live keeps what differs from git for such a reason.
    pub(crate) fn keeps(&self, origin: Origin) -> bool {
        match origin {
            Origin::Git => false,
            Origin::Drift => !self.corrects_drift || self.has_lost_path,
            Origin::Both => self.has_lost_path,
        }
    }

    /// The base of a connection that was written as git has it.
    pub(crate) fn base_of(&self, desired: &DesiredConnection) -> Base {
        base_of(desired, self.keys, self.is_stateless)
    }
}

/// Compares one connection that is live. `is_put_due` tells whether a PUT is made whatever differs: of a rename,
/// or of a write that is made again.
pub(crate) fn compare(
    desired: &DesiredConnection,
    live: &LiveView<'_>,
    remembered: Remembered<'_>,
    is_put_due: bool,
    settings: &CompareSettings<'_>,
) -> Comparison {
    let base = remembered.base.cloned().unwrap_or_default();
    let found = Comparison { base, ..Comparison::default() };
    let mut comparing = Comparing { desired, live, remembered, settings, found };
    for field in &desired.fields {
        match field.value() {
            _ if desired.ignores(&field.path) => {
                comparing.note_not_shown(&field.path, &field.declared);
            }
            None => comparing.by_text(field),
            Some(value) => comparing.field(field, value),
        }
    }
    for (path, base) in remembered.base.into_iter().flat_map(|base| base.iter()) {
        comparing.dropped(path, base);
    }
    let mut found = comparing.found;
    // Every PUT writes these.
    if is_put_due || found.writes() {
        for difference in &mut found.differences {
            if matches!(difference.treatment, Treatment::Report(_, OnPut::Writes)) {
                difference.treatment = Treatment::Write;
            }
        }
    }
    found
}

/// A field that git declares, with the values to compare.
#[derive(Clone, Copy)]
struct Sides<'a> {
    field: &'a DesiredField,
    /// Git's value.
    value: &'a Value,
    live: Option<&'a Value>,
    /// The base.
    base: Option<&'a BaseField>,
}

/// A comparison in the making.
struct Comparing<'a> {
    desired: &'a DesiredConnection,
    live: &'a LiveView<'a>,
    remembered: Remembered<'a>,
    settings: &'a CompareSettings<'a>,
    found: Comparison,
}

impl<'a> Comparing<'a> {
    fn base(&self, path: &str) -> Option<&'a BaseField> {
        self.remembered.base?.get(path)
    }

    /// Takes a field into the base as it is now. A base that stays as it was is not copied.
    fn remember(&mut self, path: &str, field: BaseField) {
        if self.base(path) != Some(&field) {
            Arc::make_mut(&mut self.found.base).insert(path.to_owned(), field);
        }
    }

    /// Takes a field out of the base.
    fn forget(&mut self, path: &str) {
        Arc::make_mut(&mut self.found.base).remove(path);
    }

    /// Notes that a field that may not stay agrees.
    fn stays(&mut self, path: &str) {
        if self.remembered.unstable.is_some_and(|unstable| unstable.contains_key(path)) {
            self.found.stayed.push(path.to_owned());
        }
    }

    /// The treatment of a difference between git's value and live's.
    fn treatment(
        &self,
        path: &str,
        wanted: Option<&Value>,
        live: Option<&Value>,
        origin: Origin,
        subject: Subject,
        on_put: impl FnOnce() -> OnPut,
    ) -> Treatment {
        let key = self.settings.keys.key;
        let unstable = self.remembered.unstable.and_then(|fields| fields.get(path));
        let is_given_up = |unstable: &Unstable| {
            let live = as_declared(self.desired.connection_type, path, wanted, live);
            key.matches(&unstable.print, path, wanted.unwrap_or(&Value::Null))
                && unstable.is_given_up(key, path, Some(&live))
        };
        // A secret that was not read cannot be seen not to stay: it is never given up.
        if subject != Subject::Secret && unstable.is_some_and(is_given_up) {
            // No PUT is stopped for what the server rewrites.
            let on_put = match on_put() {
                OnPut::Stops => OnPut::Writes,
                on_put => on_put,
            };
            Treatment::Report(Reported::Rewritten, on_put)
        } else if self.settings.keeps(origin) {
            Treatment::Report(Reported::Drift, on_put())
        } else {
            Treatment::Write
        }
    }
}

/// The catalog's field at a pointer; `None` inside a list or a map, where `ConnectionType::field_at`
/// gives the field around it.
pub(crate) fn field_exactly_at(
    own_type: &'static ConnectionType,
    path: &str,
) -> Option<&'static Field> {
    let mut steps = path.strip_prefix('/')?.split('/');
    let mut field = own_type.field(steps.next()?)?;
    for step in steps {
        field = field.kind.field(step)?;
    }
    Some(field)
}
