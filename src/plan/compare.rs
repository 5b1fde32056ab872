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
//! `--resend-secrets` makes a difference by git of what is `ButMasked`, and of each secret.
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
//!   by drift. Where drift is only reported no PUT can be made (`InPut::Stops`): the value of `Authorization`
//!   is masked, and `X-A` differs beside it.
//! - The same, but live shows `s3`: a PUT sends live's list back (`InPut::Keeps`).
//! - Live shows another text in the place of `s3`, and `X-A` is as it was: it may be cipher text, so a PUT
//!   sends git's list (`InPut::Writes`).
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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

mod base;
mod field;
mod pairs;
mod sent;

pub(super) use base::moved_field;
pub(crate) use base::{Keys, as_declared, base_of};
pub(super) use field::desired_for_people;
pub(crate) use field::{shown_text, shows_file};
pub(super) use pairs::Filling;
pub(crate) use sent::{NotSent, value_to_send, with_ignored_parts_of};

use self::base::matches_base;
use super::equality::Equality;
use super::{FieldChange, Origin};
use crate::catalog::{self, ConnectionType, Field, Kind};
use crate::desired::{DesiredConnection, DesiredField, holds_env, lies_in};
use crate::live::{LastEdit, LiveConnection};
use crate::pointer::look_up;
use crate::record::{Base, BaseField, Memory, Owned, ReadableSecrets, Unstable};

/// The view of a live connection: its entry in the list, and its own answer to `GET` where it
/// was read. The own answer is believed first; a field that it leaves out is taken from the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveView<'a> {
    /// The entry of the list, or the connection's own answer where no list shows it.
    pub(crate) listed: &'a LiveConnection,
    /// The connection's own answer.
    pub(crate) own: Option<&'a LiveConnection>,
}

impl<'a> LiveView<'a> {
    /// Looks at the own answer of a connection alone.
    pub(crate) fn of(own: &'a LiveConnection) -> Self {
        Self { listed: own, own: Some(own) }
    }

    /// The value at a pointer.
    pub(crate) fn get(&self, path: &str) -> Option<&'a Value> {
        self.shown_by_get(path).or_else(|| look_up(self.listed.body(), path))
    }

    /// The value at a pointer in the connection's own answer: lists never show secrets.
    pub(crate) fn shown_by_get(&self, path: &str) -> Option<&'a Value> {
        look_up(self.own?.body(), path)
    }

    /// The object that is believed first.
    pub(crate) fn body(&self) -> &'a Map<String, Value> {
        self.own.unwrap_or(self.listed).body()
    }

    /// The last edit that the server tells of.
    pub(crate) fn last_edit(&self) -> Option<LastEdit> {
        self.own.and_then(LiveConnection::last_edit).or_else(|| self.listed.last_edit())
    }

    /// The server's id, where it shows one.
    pub(crate) fn id(&self) -> Option<&'a String> {
        self.own.and_then(|own| own.id.as_ref()).or(self.listed.id.as_ref())
    }
}

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
    Report(Reported, InPut),
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
pub(crate) enum InPut {
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
        let kept = |d: &&Difference| matches!(d.treatment, Treatment::Report(_, InPut::Keeps));
        self.differences.iter().filter(kept).map(|d| d.change.path.as_str())
    }

    /// The pointer of a field with drift that is to be kept, and that no PUT can keep.
    pub(crate) fn drift_not_shown(&self) -> Option<&str> {
        let stops = |d: &&Difference| matches!(d.treatment, Treatment::Report(_, InPut::Stops));
        self.differences.iter().find(stops).map(|d| d.change.path.as_str())
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

/// The part of a memory that a comparison looks at, and what it makes due.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remembered<'a> {
    /// The base of its entry in the inventory; `None` for a connection that is adopted.
    pub(crate) base: Option<&'a Arc<Base>>,
    /// Fields that were written and may not stay.
    pub(crate) unstable: Option<&'a BTreeMap<String, Unstable>>,
    /// Whether a PUT is made whatever differs: of a rename, or of a write that is made again.
    pub(crate) is_put_due: bool,
}

impl<'a> Remembered<'a> {
    /// The part of a memory that fits the live connection: no base where that is another
    /// connection than ours.
    pub(crate) fn of(memory: Option<&'a Memory>, is_ours: bool) -> Self {
        let owned = memory.and_then(|memory| memory.owned.as_ref()).filter(|_| is_ours);
        let unstable = memory.map(|memory| &memory.unstable);
        Self { base: owned.map(|owned| &owned.base), unstable, is_put_due: false }
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

/// Compares one connection that is live.
pub(crate) fn compare(
    desired: &DesiredConnection,
    live: &LiveView<'_>,
    remembered: Remembered<'_>,
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
    for (path, older) in remembered.base.into_iter().flat_map(|base| base.iter()) {
        comparing.dropped(path, older);
    }
    let mut found = comparing.found;
    // Every PUT writes these.
    if remembered.is_put_due || found.writes() {
        for difference in &mut found.differences {
            if matches!(difference.treatment, Treatment::Report(_, InPut::Writes)) {
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
    older: Option<&'a BaseField>,
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
    fn older(&self, path: &str) -> Option<&'a BaseField> {
        self.remembered.base?.get(path)
    }

    /// Takes a field into the base as it is now. A base that stays as it was is not copied.
    fn remember(&mut self, path: &str, field: BaseField) {
        if self.older(path) != Some(&field) {
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
        in_put: impl FnOnce() -> InPut,
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
            let in_put = match in_put() {
                InPut::Stops => InPut::Writes,
                in_put => in_put,
            };
            Treatment::Report(Reported::Rewritten, in_put)
        } else if self.settings.keeps(origin) {
            Treatment::Report(Reported::Drift, in_put())
        } else {
            Treatment::Write
        }
    }
}

impl LiveView<'_> {
    /// Whether it is the very connection of an entry of the inventory. Where the server shows an id that
    /// the entry lacks, live has to equal what was written in all that can be read: somebody may have
    /// deleted ours and made another. With `--base` no entry has an id, so none is asked for.
    pub(crate) fn is_the_connection_of(
        &self,
        owned: &Owned,
        settings: &CompareSettings<'_>,
    ) -> bool {
        let id_is_enough = owned.id.is_some() || self.id().is_none() || settings.is_stateless;
        owned.may_be(self.listed)
            && self.own.is_none_or(|own| owned.may_be(own))
            && (id_is_enough
                || (self.shows(&owned.type_name, &owned.base, settings.keys)
                    && self.has_nothing_beside(&owned.base)))
    }

    /// Whether every field of the type that a base does not have says no more than its default.
    fn has_nothing_beside(&self, base: &Base) -> bool {
        let Some(own_type) = catalog::find(&self.listed.type_name) else { return false };
        own_type.fields().all(|field| {
            let path = field.pointer();
            let is_told = !field.is_secret() && !field.is_file() && !field.filled_by_server;
            !is_told
                || base.keys().any(|declared| lies_in(declared, &path))
                || Equality::of(Some(field)).holds(None, self.get(&path))
        })
    }

    /// Whether live shows a connection as a base has it, in all that can be read: values of the
    /// environment that the base does not know cannot.
    pub(crate) fn shows(&self, type_name: &str, base: &Base, keys: Keys<'_>) -> bool {
        let shows = |(path, field): (&String, &BaseField)| self.shows_field(path, field, keys);
        self.listed.type_name == type_name
            && catalog::find(type_name).is_some()
            && base.iter().all(shows)
    }

    /// The fields of a base that live shows otherwise.
    pub(crate) fn shown_otherwise(&self, base: &Base, keys: Keys<'_>) -> BTreeSet<String> {
        let otherwise = base.iter().filter(|(path, field)| !self.shows_field(path, field, keys));
        otherwise.map(|(path, _)| path.clone()).collect()
    }

    /// Whether live shows a field as a base has it, as far as it can be read.
    pub(crate) fn shows_field(&self, path: &str, older: &BaseField, keys: Keys<'_>) -> bool {
        if self.may_mask(path) {
            return true;
        }
        let Some(own_type) = catalog::find(&self.listed.type_name) else { return false };
        let field = field_exactly_at(own_type, path);
        let shown = self.get(path);
        let is_set = matches!(field.map(|field| &field.kind), Some(Kind::Set(_)));
        let by_text = holds_env(&older.declared) && (older.print.is_none() || is_set);
        if by_text || self.masks_a_part(path) {
            let texts = Filling::with_parts(BTreeSet::new(), true);
            let kind = field.map(|field| &field.kind);
            let shown = texts.of(kind, &older.declared, shown.unwrap_or(&Value::Null));
            return Equality::of(field).holds(Some(&older.declared), Some(&shown));
        }
        matches_base(field, Equality::of(field), path, older, shown, keys)
    }

    /// The same; a field that the base lacks says no more than its default.
    pub(crate) fn shows_or_default(
        &self,
        path: &str,
        field: Option<&BaseField>,
        keys: Keys<'_>,
    ) -> bool {
        let Some(field) = field else {
            let own_type = catalog::find(&self.listed.type_name);
            let field = own_type.and_then(|own_type| field_exactly_at(own_type, path));
            return Equality::of(field).holds(None, self.get(path));
        };
        self.shows_field(path, field, keys)
    }

    /// Whether live shows a secret in clear, and as a base has it.
    pub(crate) fn shows_secret(&self, path: &str, older: &BaseField, keys: Keys<'_>) -> bool {
        let shown = self.shown_by_get(path).filter(|shown| shown_text(Some(shown)).is_some());
        let known = older.print.as_ref().filter(|_| keys.is_known);
        shown.zip(known).is_some_and(|(shown, print)| keys.key.matches(print, path, shown))
    }

    /// Whether live may mask a field as a whole: a secret, or a file of which nothing is shown.
    fn may_mask(&self, path: &str) -> bool {
        let own_type = catalog::find(&self.listed.type_name);
        own_type.and_then(|own_type| field_exactly_at(own_type, path)).is_some_and(|field| {
            field.is_secret() || (field.is_file() && !shows_file(self.get(path)))
        })
    }

    fn masks_a_part(&self, path: &str) -> bool {
        let Some(own_type) = catalog::find(&self.listed.type_name) else { return false };
        self.get(path).is_some_and(|shown| !sent::masked_in(own_type, path, shown).is_empty())
    }

    /// Whether live does not tell if it has a field, or a part of it, as git does.
    pub(crate) fn masks(&self, path: &str) -> bool {
        self.may_mask(path) || self.masks_a_part(path)
    }

    /// Has the fields that live masks count as not sent; whether there is one.
    pub(crate) fn forget_masked(&self, base: &mut Base, keys: Keys<'_>) -> bool {
        let masked = base.iter_mut().filter(|(path, _)| self.masks(path));
        masked.map(|(_, field)| field.print = Some(keys.of_no_value())).count() > 0
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

/// Whether live moved between two readings in a field of those pointers, among the fields that both
/// answers carry, secrets aside.
pub(crate) fn has_moved<'p>(
    own_type: &'static ConnectionType,
    mut paths: impl Iterator<Item = &'p str>,
    in_plan: &LiveView<'_>,
    now: &LiveConnection,
) -> bool {
    in_plan.listed.type_name != now.type_name
        || paths.any(|path| {
            let field = field_exactly_at(own_type, path);
            let (before, now) = (in_plan.get(path), look_up(now.body(), path));
            let are_shown = before.is_some() && now.is_some();
            let is_told = are_shown && !field.is_some_and(Field::is_secret);
            is_told && !Equality::of(field).holds(before, now)
        })
}
