//! One field: what git declares, or used to. Of a secret, git's value is compared with the one that was
//! sent last, by its fingerprint, and with the one that `GET` shows, where it can be read.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalog::{Default, Field, hidden};
use crate::desired::{DesiredConnection, DesiredField, holds_env, lies_in};
use crate::plan::compare::pairs::Filling;
use crate::plan::compare::sent::{references_in, secrets_in};
use crate::plan::compare::{
    CompareSettings, Comparing, Difference, InPut, Keys, Reported, Subject, Treatment, base_field,
    field_exactly_at, is_as_sent, matches_base, value_to_send, with_ignored_parts_of,
};
use crate::plan::equality::{equal_in, is_empty};
use crate::plan::{FieldChange, Origin};
use crate::pointer::{self, any_text};
use crate::record::BaseField;
use crate::secret::{SENSITIVE, same_in_constant_time};

impl Comparing<'_> {
    /// Compares a field that git declares and that is no secret.
    pub(super) fn field(&mut self, field: &DesiredField) {
        let Comparing { desired, live, .. } = *self;
        let path = &*field.path;
        let older = self.older(path);
        let Some(value) = field.value() else { return };
        let live_value = live.get(path);
        let sent = value_to_send(desired, field, value, older, live_value);
        let is_as = |live| is_as_sent(desired, field.field, Some(&sent.value), live);
        if sent.refused.is_none() && is_as(live_value) {
            self.stays(path);
            self.agreed(field, value);
            return;
        }
        let differs_in_masked_parts = sent.refused.is_none() && is_as(sent.unmasked.as_deref());
        if differs_in_masked_parts && !self.sends_masked(field, value) {
            self.stays(path);
            return;
        }
        let origin = match differs_in_masked_parts {
            true => Origin::Git,
            false => self.origin(field, value, sent.unmasked.as_deref()),
        };
        let sensitive =
            field.is_sensitive() || older.is_some_and(|older| holds_env(&older.declared));
        let declared_then = older.map(|older| &older.declared).filter(|then| !then.is_null());
        let before = match declared_then {
            // Texts of git may be shown: what a commit changed beside a reference is seen.
            Some(then) if sensitive && origin == Origin::Git => {
                Some(declared_for_people(desired, path, then))
            }
            _ => self.live_for_people(path, live_value, sensitive),
        };
        let after = if sensitive {
            declared_for_people(desired, path, &field.declared)
        } else {
            let mut after = desired_for_people(desired, field, &sent.value);
            self.conceal_secrets_of_live(field, value, live_value, &mut after);
            after
        };
        let change = self.change(path, before, Some(after), sensitive, origin);
        let in_put = || self.in_put(field, value, live_value);
        // Masked parts cannot be seen not to stay: they are neither counted nor given up.
        let (treatment, subject) = match differs_in_masked_parts {
            true => (Treatment::Write, Subject::Secret),
            false => {
                (self.treatment(path, field.value(), live_value, origin, in_put), Subject::Plain)
            }
        };
        self.found.differences.push(Difference { change, treatment, subject });
    }

    /// The effect on a PUT of a field whose difference is only reported. A part may be masked where a secret
    /// stands in live, or a reference in git: its text may be cipher text, unless it is one of git's texts. Of a
    /// known text field only the secrets in it may be, and not all that a reference stands for.
    fn in_put(&self, field: &DesiredField, value: &Value, live: Option<&Value>) -> InPut {
        let (desired, path) = (self.desired, &*field.path);
        let live = live.unwrap_or(&Value::Null);
        let kind = field.field.map(|field| &field.kind);
        let mut masked = secrets_in(desired.connection_type, path, live);
        let (is_known, is_text) = (field.field.is_some(), value.is_string());
        // A known list that is not there is empty.
        if !(is_known && live.is_null()) || is_text {
            let texts = Filling::with_parts(BTreeSet::new(), !(is_known && is_text));
            masked.extend(references_in(&texts.of(kind, &field.declared, live)));
        }
        let is_of_git = |text: &str| any_text(value, &|own| own == text);
        masked.retain(|place| !live.pointer(place).and_then(Value::as_str).is_some_and(is_of_git));
        if field.field.is_some_and(Field::is_file) && !shows_file(Some(live)) {
            masked.insert(String::new());
        }
        if masked.is_empty() {
            return InPut::Keeps;
        }
        let rest = Filling::with_parts(masked, false).of(kind, value, live);
        let sent = value_to_send(desired, field, value, None, Some(&rest));
        let is_rest_equal = is_as_sent(desired, field.field, Some(&sent.value), Some(&rest));
        if is_rest_equal { InPut::Writes } else { InPut::Stops }
    }

    /// Conceals what is a secret in live, and not git's, though it stands beside another name in what is sent.
    fn conceal_secrets_of_live(
        &self,
        field: &DesiredField,
        value: &Value,
        live: Option<&Value>,
        shown: &mut Value,
    ) {
        let Some(live) = live else { return };
        for place in secrets_in(self.desired.connection_type, &field.path, live) {
            let part = live.pointer(&place);
            if shown.pointer(&place) == part && value.pointer(&place) != part {
                pointer::put(shown, &place, Some(Value::from(SENSITIVE)));
            }
        }
    }

    /// Compares a field whose value is not known in this run by its text with the text that the base
    /// has: what a commit changed in it is shown, a value that rotated is not seen.
    pub(super) fn by_text(&mut self, field: &DesiredField) {
        let path = &*field.path;
        // Of a connection that is adopted there is no text to compare with.
        if self.remembered.base.is_none() {
            return;
        }
        let older = self.older(path).map(|older| &older.declared);
        let with_ignored = with_ignored_parts_of(self.desired, path, &field.declared, older);
        if older == Some(with_ignored.as_ref().unwrap_or(&field.declared)) {
            return;
        }
        let after = Some(field.declared.clone());
        let change = self.change(path, older.cloned(), after, true, Origin::Git);
        let (subject, in_put) = match field.is_secret() {
            true => (Subject::Secret, InPut::Writes),
            false => (Subject::Plain, InPut::Keeps),
        };
        let treatment = self.treatment(path, None, None, Origin::Git, || in_put);
        self.found.differences.push(Difference { change, treatment, subject });
    }

    /// Notes an unknown field that held a secret of git, which is not git's any more, where live shows
    /// nothing of it: a PUT could wipe it. Gives whether it is one.
    pub(super) fn note_not_shown(&mut self, path: &str, declared: &Value) -> bool {
        let is_not_shown = field_exactly_at(self.desired.connection_type, path).is_none()
            && self.live.get(path).is_none_or(is_empty)
            && self.held_secret(path, declared);
        if is_not_shown {
            self.found.not_shown.push(path.to_owned());
        }
        is_not_shown
    }

    /// Whether a value of git's is a secret, or holds one. What an unknown field has from the environment
    /// counts as one.
    fn held_secret(&self, path: &str, declared: &Value) -> bool {
        let own_type = self.desired.connection_type;
        match field_exactly_at(own_type, path) {
            Some(field) if field.is_secret() => true,
            None if holds_env(declared) => true,
            _ => !hidden::secret_parts(own_type, &pointer::assemble([(path, declared)])).is_empty(),
        }
    }

    /// Compares a field of the base, if git no longer declares it. It goes back to its documented
    /// default; a secret is never emptied that way, it is just no longer git's.
    pub(super) fn dropped(&mut self, path: &str, older: &BaseField) {
        let Comparing { desired, live, settings, .. } = *self;
        if desired.field(path).is_some() {
            return;
        }
        let declared_otherwise =
            desired.fields.iter().any(|f| lies_in(path, &f.path) || lies_in(&f.path, path));
        if declared_otherwise {
            self.forget(path);
            return;
        }
        if self.note_not_shown(path, &older.declared) || desired.ignores(path) {
            return;
        }
        if self.held_secret(path, &older.declared) {
            if !live.get(path).is_none_or(is_empty) {
                self.found.dropped_secrets.push(path.to_owned());
            }
            self.forget(path);
            return;
        }
        let field = field_exactly_at(desired.connection_type, path);
        let live_value = live.get(path);
        let defaults = field.map(|field| desired.defaults(field));
        let default = defaults.and_then(|defaults| defaults.default);
        if equal_in(desired, field, None, live_value) {
            self.stays(path);
            self.forget(path);
            return;
        }
        let live_moved = !matches_base(field, defaults, path, older, live_value, settings.keys);
        let origin = if live_moved { Origin::Both } else { Origin::Git };
        let sensitive = holds_env(&older.declared);
        let default = default.map(Default::to_json);
        let in_put = || InPut::Keeps;
        let treatment = self.treatment(path, default.as_ref(), live_value, origin, in_put);
        let before = self.live_for_people(path, live_value, sensitive);
        let change = self.change(path, before, default, sensitive, origin);
        self.found.differences.push(Difference { change, treatment, subject: Subject::Dropped });
    }

    fn change(
        &self,
        path: &str,
        before: Option<Value>,
        after: Option<Value>,
        sensitive: bool,
        origin: Origin,
    ) -> FieldChange {
        let older = self.older(path).filter(|_| origin == Origin::Both);
        let base = older.map(|older| &older.declared).filter(|base| !base.is_null());
        let base = base.map(|base| declared_for_people(self.desired, path, base));
        let before = before.filter(|before| !before.is_null());
        FieldChange { path: path.to_owned(), before, after, base, sensitive, origin }
    }

    /// Live's side of a field as it may be shown.
    fn live_for_people(&self, path: &str, value: Option<&Value>, sensitive: bool) -> Option<Value> {
        let value = value.filter(|v| !v.is_null())?;
        if sensitive && !is_empty(value) {
            return Some(Value::from(SENSITIVE));
        }
        Some(hidden::conceal_at(self.desired.connection_type, path, value, self.live.body()))
    }

    fn origin(&self, field: &DesiredField, value: &Value, live: Option<&Value>) -> Origin {
        let Some(older) = self.older(&field.path) else {
            let is_of_a_layer = self.settings.has_lost_path
                && self.remembered.base.is_some()
                && !equal_in(self.desired, field.field, None, live);
            return if is_of_a_layer { Origin::Both } else { Origin::Git };
        };
        let keys = self.settings.keys;
        // A part that others may edit moves nothing.
        let then = if older.print.is_some() { value } else { &older.declared };
        let without_ignored = live
            .and_then(|live| with_ignored_parts_of(self.desired, &field.path, live, Some(then)));
        let live = without_ignored.as_ref().or(live);
        let git_moved = moved_field(self.desired, field, Some(value), older, keys);
        let defaults = field.field.map(|field| self.desired.defaults(field));
        let live_moved = !matches_base(field.field, defaults, &field.path, older, live, keys);
        match (git_moved, live_moved) {
            (true, true) => Origin::Both,
            (false, true) => Origin::Drift,
            _ => Origin::Git,
        }
    }
}

/// Whether git declares another value of a field than its base has; `value` is the field's, where it
/// is known in this run.
pub(in crate::plan) fn moved_field(
    desired: &DesiredConnection,
    field: &DesiredField,
    value: Option<&Value>,
    older: &BaseField,
    keys: Keys<'_>,
) -> bool {
    if older.declared != field.declared {
        // Another spelling of a value that comes from no reference moved nothing.
        return older.print.is_some()
            || field.holds_reference()
            || !is_as_sent(desired, field.field, value, Some(&older.declared));
    }
    // Without a fingerprint that can be checked, what overwrites less: drift.
    let print = older.print.as_ref().filter(|_| keys.is_known);
    print.zip(value).is_some_and(|(print, value)| !keys.key.matches(print, &field.path, value))
}

/// Git's side of a field as it may be shown: the declared text where it holds a secret, else the
/// value.
pub(in crate::plan) fn desired_for_people(
    desired: &DesiredConnection,
    field: &DesiredField,
    value: &Value,
) -> Value {
    declared_for_people(
        desired,
        &field.path,
        if field.is_sensitive() { &field.declared } else { value },
    )
}

/// A value of git's as it may be shown: without the secrets that are written out in it.
fn declared_for_people(desired: &DesiredConnection, path: &str, value: &Value) -> Value {
    let whole = pointer::assemble(desired.fields.iter().map(|f| (&*f.path, &f.declared)));
    hidden::conceal_at(desired.connection_type, path, value, &whole)
}

// Secret fields.

impl Comparing<'_> {
    /// Whether live's answer for a field as a whole may mask it: a secret, and what the target's profile
    /// names. A file or certificate of which nothing is shown may be masked too, unless this server was seen to
    /// show secrets of the type.
    pub(super) fn is_compared_as_secret(&self, field: &DesiredField) -> bool {
        let own_type = self.desired.connection_type.name;
        let shows = self.live.own.is_some() && self.settings.readable.has_type(own_type);
        let may_be_masked = !shows && !shows_file(self.live.get(&field.path));
        field.field.is_some_and(|known| {
            known.is_secret() || self.desired.masks(known) || (known.is_file() && may_be_masked)
        })
    }

    /// Compares a secret that git declares.
    pub(super) fn secret(&mut self, field: &DesiredField) {
        let Comparing { desired, live, settings, .. } = *self;
        let path = &*field.path;
        let older = self.older(path);
        let Some(value) = field.value() else { return };
        // Where a profile says that it is masked, another text says nothing.
        let is_masked = field.field.is_some_and(|field| desired.masks(field));
        let readable = settings.readable.has(desired.connection_type.name, path) && !is_masked;
        let shown = shown_text(live.shown_by_get(path));
        let is_equal = |(shown, wanted)| same_in_constant_time(shown, wanted);
        let sent = LastSent::of(field, value, older, settings);
        if shown.zip(value.as_str()).is_some_and(is_equal) {
            if field.is_secret() {
                self.found.proven_readable.push(path.to_owned());
            }
            self.stays(path);
            self.agreed(field, value);
        } else if shown.is_some() && readable {
            let live_value = live.shown_by_get(path);
            let is_as_before = |base: &BaseField| {
                matches_base(field.field, None, path, base, live_value, settings.keys)
            };
            let origin = match sent {
                LastSent::Other if older.is_some_and(is_as_before) => Origin::Git,
                LastSent::Other => Origin::Both,
                LastSent::Never => Origin::Git,
                LastSent::Same | LastSent::NotKnown => Origin::Drift,
            };
            self.push_secret(field, value, origin, sent != LastSent::Other);
        } else if self.is_to_be_sent(field, value, sent) {
            self.push_secret(field, value, Origin::Git, false);
        }
        let differs = self.found.differences.iter().any(|d| d.change.path == path);
        if settings.resend_secrets && !differs && !is_empty(value) {
            self.push_secret(field, value, Origin::Git, false);
        }
    }

    /// Whether the parts of a field that live masks have to be sent.
    fn sends_masked(&mut self, field: &DesiredField, value: &Value) -> bool {
        let sent = LastSent::of(field, value, self.older(&field.path), self.settings);
        self.is_to_be_sent(field, value, sent) || self.settings.resend_secrets
    }

    /// Whether git's value, which live does not show, has to be sent, by what was sent last.
    fn is_to_be_sent(&mut self, field: &DesiredField, value: &Value, sent: LastSent) -> bool {
        let (path, older) = (&*field.path, self.older(&field.path));
        match sent {
            LastSent::Other => return true,
            LastSent::Never if self.remembered.base.is_some() => return true,
            LastSent::Never | LastSent::NotKnown => {
                self.found.unverified = true;
                let now = base_field(field, value, self.settings.keys);
                self.remember(path, BaseField { unverified: true, ..now });
            }
            LastSent::Same => {
                self.found.unverified |= older.is_some_and(|older| older.unverified);
                if let Some(older) = older.filter(|older| older.declared != field.declared) {
                    let declared = field.declared.clone();
                    self.remember(path, BaseField { declared, ..older.clone() });
                }
            }
        }
        false
    }

    fn push_secret(
        &mut self,
        field: &DesiredField,
        value: &Value,
        origin: Origin,
        read_back: bool,
    ) {
        let path = &*field.path;
        let before = match (origin, self.older(path)) {
            (Origin::Git, Some(older)) => older.declared.clone(),
            (Origin::Git, None) => Value::Null,
            _ => Value::from(SENSITIVE),
        };
        let shown = self.live.shown_by_get(path);
        let treatment = match self.treatment(path, Some(value), shown, origin, || InPut::Writes) {
            // Only what was read can be seen not to stay: a masked secret is never given up.
            Treatment::Report(Reported::Rewritten, _) if !read_back => Treatment::Write,
            treatment => treatment,
        };
        let change = self.change(path, Some(before), Some(field.declared.clone()), true, origin);
        let subject = if read_back { Subject::SecretReadBack } else { Subject::Secret };
        self.found.differences.push(Difference { change, treatment, subject });
    }
}

/// The knowledge of the value that was sent last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LastSent {
    Never,
    Same,
    Other,
    /// It was sent under another key of fingerprints.
    NotKnown,
}

impl LastSent {
    fn of(
        field: &DesiredField,
        value: &Value,
        older: Option<&BaseField>,
        settings: &CompareSettings<'_>,
    ) -> Self {
        let Some(older) = older else { return Self::Never };
        let same_text = older.declared == field.declared;
        let same_value = match &older.print {
            _ if settings.is_stateless => same_text,
            // Another reference in git is a change, whatever the value under the older key was.
            Some(_) if !settings.keys.is_known && same_text => return Self::NotKnown,
            Some(_) if !settings.keys.is_known => false,
            Some(print) => settings.keys.key.matches(print, &field.path, value),
            // Apinizer's own `${NAME}` and a declared `null` are no secrets: their text tells.
            None => same_text,
        };
        if same_value { Self::Same } else { Self::Other }
    }
}

/// Whether an answer shows what a file or certificate holds: nothing, `null`, an empty value and asterisks
/// may mask it.
pub(crate) fn shows_file(shown: Option<&Value>) -> bool {
    let is_masked = |value: &Value| value.as_str().is_some_and(hidden::is_masked_text);
    shown.is_some_and(|value| !is_empty(value) && !is_masked(value))
}

/// The text of a secret that `GET` shows: not a mask, and not nothing.
pub(crate) fn shown_text(shown: Option<&Value>) -> Option<&str> {
    let text = shown?.as_str()?;
    (!text.is_empty() && !hidden::is_masked_text(text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_answer_or_asterisks_may_mask_a_file() {
        for mask in [json!(null), json!(""), json!([]), json!({}), json!("****")] {
            assert!(!shows_file(Some(&mask)), "{mask}");
        }
        assert!(!shows_file(None) && shows_file(Some(&json!("Y2VydA=="))));
    }
}
