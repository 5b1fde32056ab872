//! One field that git declares, or used to. What live masks is compared with the value that was sent last,
//! by its fingerprint.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalog::{Default, Field, hidden};
use crate::desired::{DesiredConnection, DesiredField, holds_env, lies_in};
use crate::plan::compare::base::{LastSent, agreed, base_field, matches_base, moved_field};
use crate::plan::compare::pairs::Filling;
use crate::plan::compare::sent::{Sent, masked_in, references_in, secrets_in};
use crate::plan::compare::{
    Agreement, Comparing, Difference, OnPut, Sides, Subject, Treatment, field_exactly_at,
    value_to_send, with_ignored_parts_of,
};
use crate::plan::equality::{Equality, is_empty};
use crate::plan::{FieldChange, Origin};
use crate::pointer::{self, any_text};
use crate::record::BaseField;
use crate::secret::{SENSITIVE, same_in_constant_time};

impl<'a> Comparing<'a> {
    /// Compares a field that git declares and whose value is known.
    pub(super) fn field(&mut self, field: &'a DesiredField, value: &'a Value) {
        let Comparing { desired, live, settings, .. } = *self;
        let (path, base) = (&*field.path, self.base(&field.path));
        let is_secret = self.is_compared_as_secret(field);
        // Lists show no secret.
        let live = if is_secret { live.shown_by_get(path) } else { live.get(path) };
        let sides = Sides { field, value, live, base };
        let sent = (!is_secret).then(|| value_to_send(desired, field, value, base, live));
        let agreement = match &sent {
            Some(sent) => self.agreement(sides, sent),
            None => self.agreement_of_secret(sides),
        };
        let resends = settings.resend_secrets && !is_empty(value);
        let origin = match agreement {
            Agreement::Whole => {
                if field.is_secret() {
                    self.found.proven_readable.push(path.to_owned());
                }
                self.stays(path);
                self.remember(path, agreed(sides, settings.keys));
                (is_secret && resends).then_some(Origin::Git)
            }
            Agreement::ButMasked if self.has_to_be_sent(sides) || resends => Some(Origin::Git),
            Agreement::ButMasked => {
                // Nothing can be seen to stay of a secret that is not shown.
                if !is_secret {
                    self.stays(path);
                }
                None
            }
            Agreement::No(origin) => Some(origin),
        };
        let Some(origin) = origin else { return };
        let is_sent_anew = || LastSent::of(sides, settings) == LastSent::Other;
        let subject = match agreement {
            Agreement::No(_) if !is_secret => Subject::Plain,
            Agreement::No(_) if !is_sent_anew() => Subject::SecretReadBack,
            _ => Subject::Secret,
        };
        let on_put = || if is_secret { OnPut::Writes } else { self.on_put(sides) };
        let treatment = self.treatment(path, Some(value), live, origin, subject, on_put);
        let change = self.change_of(sides, sent.as_ref(), origin);
        self.found.differences.push(Difference { change, treatment, subject });
    }

    /// The agreement of live's value with what would be sent.
    fn agreement(&self, sides: Sides<'_>, sent: &Sent<'_>) -> Agreement {
        let equality = Equality::on_server(self.desired, sides.field.field);
        let is_as = |live| equality.same(Some(&sent.value), live);
        let unmasked = sent.unmasked.as_deref();
        match sent.refused {
            None if is_as(sides.live) && !self.empties_a_secret(sides) => Agreement::Whole,
            None if is_as(unmasked) => Agreement::ButMasked,
            _ => Agreement::No(self.origin(Sides { live: unmasked, ..sides })),
        }
    }

    /// The same for a field that live may mask as a whole: only a text that can be read tells.
    fn agreement_of_secret(&self, sides: Sides<'_>) -> Agreement {
        let (Sides { field, live, base, .. }, settings) = (sides, self.settings);
        let shown = shown_text(live);
        let is_equal = |(shown, wanted)| same_in_constant_time(shown, wanted);
        if shown.zip(sides.value.as_str()).is_some_and(is_equal) {
            return Agreement::Whole;
        }
        // Where a profile says that it is masked, another text says nothing.
        let is_masked = field.field.is_some_and(|field| self.desired.masks(field));
        let own_type = self.desired.connection_type.name;
        if shown.is_none() || is_masked || !settings.readable.has(own_type, &field.path) {
            return Agreement::ButMasked;
        }
        let equality = Equality::of_part(field.field.map(|field| &field.kind));
        let is_as_before =
            |base| matches_base(field.field, equality, &field.path, base, live, settings.keys);
        Agreement::No(match LastSent::of(sides, settings) {
            LastSent::Other if !base.is_some_and(is_as_before) => Origin::Both,
            LastSent::Other | LastSent::Never => Origin::Git,
            LastSent::Same | LastSent::NotKnown => Origin::Drift,
        })
    }

    /// Whether git declares `null` for a secret inside a field: live shows that for a secret of any value.
    fn empties_a_secret(&self, Sides { field, value, .. }: Sides<'_>) -> bool {
        let is_of_git = |part: &String| {
            value.pointer(part).is_some() && !self.desired.ignores(&format!("{}{part}", field.path))
        };
        // Looking for secrets in each list that is in sync would be a fifth of the time of a plan.
        has_nothing(value)
            && masked_in(self.desired.connection_type, &field.path, value).iter().any(is_of_git)
    }

    /// The difference as people see it.
    fn change_of(&self, sides: Sides<'_>, sent: Option<&Sent<'_>>, origin: Origin) -> FieldChange {
        let (desired, Sides { field, live, base, .. }) = (self.desired, sides);
        let path = &*field.path;
        let base = base.map(|base| &base.declared);
        let sensitive = sent.is_none() || field.is_sensitive() || base.is_some_and(holds_env);
        let before = match (origin, base.filter(|text| !text.is_null())) {
            // Texts of git may be shown: what a commit changed beside a reference is seen.
            (Origin::Git, Some(text)) if sensitive => {
                Some(declared_for_people(desired, path, text))
            }
            // Live may show a mask.
            (Origin::Git, None) if sent.is_none() => None,
            _ => self.live_for_people(path, live, sensitive),
        };
        let after = sent.filter(|_| !sensitive).map_or(&field.declared, |sent| &sent.value);
        let mut after = declared_for_people(desired, path, after);
        if !sensitive {
            self.conceal_secrets_of_live(sides, &mut after);
        }
        self.change(path, before, Some(after), sensitive, origin)
    }

    /// The effect on a PUT of a field whose difference is only reported. A part may be masked where a secret
    /// stands in live, or a reference in git: its text may be cipher text, unless it is one of git's texts.
    /// Of a known text field only the secrets in it may be, and not all that a reference stands for.
    fn on_put(&self, Sides { field, value, live, .. }: Sides<'_>) -> OnPut {
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
            return OnPut::Keeps;
        }
        let rest = Filling::with_parts(masked, false).of(kind, value, live);
        let sent = value_to_send(desired, field, value, None, Some(&rest));
        let equality = Equality::on_server(desired, field.field);
        if equality.same(Some(&sent.value), Some(&rest)) { OnPut::Writes } else { OnPut::Stops }
    }

    /// Conceals what is a secret in live, and not git's, though it stands beside another name in what is sent.
    fn conceal_secrets_of_live(&self, sides: Sides<'_>, shown: &mut Value) {
        let Sides { field, value, live: Some(live), .. } = sides else { return };
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
        let base = self.base(path).map(|base| &base.declared);
        let with_ignored = with_ignored_parts_of(self.desired, path, &field.declared, base);
        if base == Some(with_ignored.as_ref().unwrap_or(&field.declared)) {
            return;
        }
        let after = Some(field.declared.clone());
        let change = self.change(path, base.cloned(), after, true, Origin::Git);
        let subject = if field.is_secret() { Subject::Secret } else { Subject::Plain };
        self.found.differences.push(Difference { change, treatment: Treatment::Write, subject });
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
    pub(super) fn dropped(&mut self, path: &str, base: &BaseField) {
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
        if self.note_not_shown(path, &base.declared) || desired.ignores(path) {
            return;
        }
        if self.held_secret(path, &base.declared) {
            if !live.get(path).is_none_or(is_empty) {
                self.found.dropped_secrets.push(path.to_owned());
            }
            self.forget(path);
            return;
        }
        let field = field_exactly_at(desired.connection_type, path);
        let live_value = live.get(path);
        let equality = Equality::on_server(desired, field);
        if equality.holds(None, live_value) {
            self.stays(path);
            self.forget(path);
            return;
        }
        let live_moved = !matches_base(field, equality, path, base, live_value, settings.keys);
        let origin = if live_moved { Origin::Both } else { Origin::Git };
        let sensitive = holds_env(&base.declared);
        let default = field.and_then(|field| desired.defaults(field).default).map(Default::to_json);
        let (subject, on_put) = (Subject::Dropped, || OnPut::Keeps);
        let treatment = self.treatment(path, default.as_ref(), live_value, origin, subject, on_put);
        let before = self.live_for_people(path, live_value, sensitive);
        let change = self.change(path, before, default, sensitive, origin);
        self.found.differences.push(Difference { change, treatment, subject });
    }

    fn change(
        &self,
        path: &str,
        before: Option<Value>,
        after: Option<Value>,
        sensitive: bool,
        origin: Origin,
    ) -> FieldChange {
        let base = self.base(path).filter(|_| origin == Origin::Both);
        let base = base.map(|base| &base.declared).filter(|text| !text.is_null());
        let base = base.map(|text| declared_for_people(self.desired, path, text));
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

    /// Who moved a field that differs.
    fn origin(&self, Sides { field, value, live, base }: Sides<'_>) -> Origin {
        let equality = Equality::on_server(self.desired, field.field);
        let Some(base) = base else {
            let is_of_a_layer = self.settings.has_lost_path
                && self.remembered.base.is_some()
                && !equality.holds(None, live);
            return if is_of_a_layer { Origin::Both } else { Origin::Git };
        };
        let keys = self.settings.keys;
        // A part that others may edit moves nothing.
        let git = if base.print.is_some() { value } else { &base.declared };
        let without_ignored =
            live.and_then(|live| with_ignored_parts_of(self.desired, &field.path, live, Some(git)));
        let live = without_ignored.as_ref().or(live);
        let git_moved = moved_field(self.desired, field, Some(value), base, keys);
        let live_moved = !matches_base(field.field, equality, &field.path, base, live, keys);
        match (git_moved, live_moved) {
            (true, true) => Origin::Both,
            (false, true) => Origin::Drift,
            _ => Origin::Git,
        }
    }
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

// Masked fields.

impl Comparing<'_> {
    /// Whether live's answer for a field as a whole may mask it. Nothing in the place of a file or certificate
    /// masks none on a server that was seen to show secrets of the type.
    pub(super) fn is_compared_as_secret(&self, field: &DesiredField) -> bool {
        let own_type = self.desired.connection_type.name;
        let shows = || self.live.own.is_some() && self.settings.readable.has_type(own_type);
        let is_shown_file = field
            .field
            .is_some_and(|known| known.is_file() && !self.desired.masks(known) && shows());
        !is_shown_file && self.live.may_mask(&field.path, field.field, self.settings.keys)
    }

    /// Remembers git's value, which live does not show, or tells that it has to be sent, by what was sent last.
    fn has_to_be_sent(&mut self, sides: Sides<'_>) -> bool {
        let Sides { field, value, base, .. } = sides;
        let path = &*field.path;
        match LastSent::of(sides, self.settings) {
            LastSent::Other => return true,
            LastSent::Never if self.remembered.base.is_some() => return true,
            LastSent::Never | LastSent::NotKnown => {
                self.found.unverified = true;
                let now = base_field(field, value, self.settings.keys);
                self.remember(path, BaseField { unverified: true, ..now });
            }
            LastSent::Same => {
                self.found.unverified |= base.is_some_and(|base| base.unverified);
                if let Some(base) = base {
                    let declared = field.declared.clone();
                    self.remember(path, BaseField { declared, ..base.clone() });
                }
            }
        }
        false
    }
}

/// Whether a value, or a part of it, holds nothing.
fn has_nothing(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_nothing),
        Value::Object(parts) => parts.values().any(has_nothing),
        part => is_empty(part),
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
