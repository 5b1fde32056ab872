//! A secret field: what was sent last, and what `GET` shows of it (DESIGN section 5, "Secrets").

use serde_json::Value;

use super::base::written;
use super::{Comparing, Context, Difference, Treatment};
use crate::catalog::hidden;
use crate::desired::DesiredField;
use crate::inventory::BaseField;
use crate::plan::equality::is_empty;
use crate::plan::{FieldChange, Origin};
use crate::secret::SENSITIVE;

impl Comparing<'_> {
    /// Compares a secret that git declares.
    pub(super) fn secret(&mut self, field: &DesiredField) {
        let Comparing { desired, live, base, context, .. } = *self;
        let path = &*field.path;
        let older = self.older(path);
        let is_owned = base.is_some();
        let Some(value) = field.value() else {
            self.keep_base(path);
            let is_new = is_owned && older.is_none();
            if is_new || older.is_some_and(|older| older.declared != field.declared) {
                // Another reference in git is a change even where values are not looked at.
                self.push_secret(field, Origin::Git, false);
            }
            return;
        };
        let readable = context.record.is_readable(desired.connection_type.name, path);
        let reading = Reading::of(live.get_secret(path), value);
        if reading == Reading::Equal {
            self.found.proven_readable.push(path.to_owned());
        }
        let sent = Sent::of(field, value, older, context);
        let first_met = !is_owned && sent == Sent::Never;
        match (reading, sent) {
            (Reading::Equal, _) => {
                self.found.settled.push(path.to_owned());
                let base = secret_base(field, value, false, context);
                self.found.base.insert(path.to_owned(), base);
            }
            (Reading::Other, Sent::Other | Sent::Never) if readable => {
                self.keep_base(path);
                let origin = if sent == Sent::Other { Origin::Both } else { Origin::Git };
                self.push_secret(field, origin, sent == Sent::Never);
            }
            (Reading::Other, _) if readable => {
                self.keep_base(path);
                self.push_secret(field, Origin::Drift, true);
            }
            (_, Sent::Other) => {
                self.keep_base(path);
                self.push_secret(field, Origin::Git, false);
            }
            (_, Sent::Never) if !first_met => self.push_secret(field, Origin::Git, false),
            (_, Sent::Never | Sent::NotKnown) => {
                self.found.unverified = true;
                let base = secret_base(field, value, true, context);
                self.found.base.insert(path.to_owned(), base);
            }
            (_, Sent::Same) => {
                self.found.unverified |= older.is_some_and(|older| older.unverified);
                let mut same =
                    older.cloned().unwrap_or_else(|| secret_base(field, value, true, context));
                same.declared.clone_from(&field.declared);
                self.found.base.insert(path.to_owned(), same);
            }
        }
        let differs = self.found.differences.iter().any(|d| d.change.path == path);
        if context.resend_secrets && !differs && !is_empty(value) {
            self.push_secret(field, Origin::Git, false);
        }
        self.limit(path, value);
    }

    /// Decides what is done about a secret that differs.
    fn limit(&mut self, path: &str, value: &Value) {
        let last = self.found.differences.last().filter(|d| d.change.path == path);
        let Some(origin) = last.map(|difference| difference.change.origin) else { return };
        let treated = self.treatment(path, Some(value), origin);
        if let Some(difference) = self.found.differences.last_mut()
            // Only what was read can be seen not to stay: a masked secret is never given up.
            && (treated != Treatment::GiveUp || difference.read_back)
        {
            difference.treatment = treated;
        }
    }

    fn push_secret(&mut self, field: &DesiredField, origin: Origin, read_back: bool) {
        let before = match (origin, self.older(&field.path)) {
            (Origin::Git, Some(older)) => older.declared.clone(),
            (Origin::Git, None) => Value::Null,
            _ => Value::from(SENSITIVE),
        };
        self.found.differences.push(Difference {
            change: FieldChange {
                path: field.path.to_string(),
                before: Some(before).filter(|b| !b.is_null()),
                after: Some(field.declared.clone()),
                sensitive: true,
                origin,
            },
            treatment: Treatment::Write,
            dropped: false,
            read_back,
        });
    }
}

/// What is known of the value that was sent last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Never,
    Same,
    Other,
    /// It was sent under another key of fingerprints.
    NotKnown,
}

impl Sent {
    fn of(
        field: &DesiredField,
        value: &Value,
        older: Option<&BaseField>,
        context: &Context<'_>,
    ) -> Self {
        let Some(older) = older else { return Self::Never };
        let same_text = older.declared == field.declared;
        let same_value = match &older.print {
            _ if context.stateless => same_text,
            // Another reference in git is a change, whatever the value under the older key was.
            Some(_) if !context.key_is_known && same_text => return Self::NotKnown,
            Some(_) if !context.key_is_known => false,
            Some(print) => context.key.matches(print, &field.path, value),
            // Apinizer's own `${NAME}` and a declared `null` are no secrets: their text tells.
            None => same_text,
        };
        if same_value { Self::Same } else { Self::Other }
    }
}

/// What `GET` says of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// `null`, absent, asterisks, or no reading at all.
    Nothing,
    /// Git's value.
    Equal,
    /// Some other text.
    Other,
}

impl Reading {
    fn of(shown: Option<&Value>, wanted: &Value) -> Self {
        match shown {
            Some(Value::String(text)) if !text.is_empty() && !hidden::is_masked_text(text) => {
                match wanted.as_str() {
                    Some(wanted) if same_in_constant_time(text, wanted) => Self::Equal,
                    _ => Self::Other,
                }
            }
            _ => Self::Nothing,
        }
    }
}

fn same_in_constant_time(a: &str, b: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

fn secret_base(
    field: &DesiredField,
    value: &Value,
    unverified: bool,
    context: &Context<'_>,
) -> BaseField {
    BaseField { unverified, ..written(field, value, context) }
}
