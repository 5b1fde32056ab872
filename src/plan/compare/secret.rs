//! A secret field: what was sent last, and what `GET` shows of it (DESIGN section 5, "Secrets").

use serde_json::Value;

use super::base::{keep_base, written};
use super::{Comparison, Context, Difference, LiveView, Treatment, treatment};
use crate::catalog::hidden;
use crate::desired::{DesiredConnection, DesiredField};
use crate::inventory::BaseField;
use crate::plan::equality::is_empty;
use crate::plan::{FieldChange, Origin};
use crate::secret::SENSITIVE;

pub(super) fn compare_secret(
    desired: &DesiredConnection,
    field: &DesiredField,
    live: &LiveView<'_>,
    is_owned: bool,
    older: Option<&BaseField>,
    context: &Context<'_>,
    comparison: &mut Comparison,
) {
    let path = &*field.path;
    let Some(value) = field.value() else {
        keep_base(path, older, comparison);
        let is_new = is_owned && older.is_none();
        if is_new || older.is_some_and(|older| older.declared != field.declared) {
            // Another reference in git is a change even where values are not looked at.
            push_secret(field, older, Origin::Git, false, comparison);
        }
        return;
    };
    let readable = context.record.is_readable(desired.connection_type.name, path);
    let reading = Reading::of(live.get_secret(path), value);
    if reading == Reading::Equal {
        comparison.proven_readable.push(path.to_owned());
    }
    let sent = match older {
        None => Sent::Never,
        Some(older) if context.stateless => {
            if older.declared == field.declared {
                Sent::Same
            } else {
                Sent::Other
            }
        }
        Some(older) => match &older.print {
            // Another reference in git is a change, whatever the value under the older key was.
            Some(_) if !context.key_is_known && older.declared == field.declared => Sent::NotKnown,
            Some(_) if !context.key_is_known => Sent::Other,
            Some(print) if context.key.matches(print, path, value) => Sent::Same,
            Some(_) => Sent::Other,
            // Apinizer's own `${NAME}` and a declared `null` are no secrets: their text tells.
            None if older.declared == field.declared => Sent::Same,
            None => Sent::Other,
        },
    };
    let was_unverified = older.is_some_and(|older| older.unverified);
    let first_met = !is_owned && sent == Sent::Never;
    match (reading, sent) {
        (Reading::Equal, _) => {
            comparison.settled.push(path.to_owned());
            comparison.base.insert(path.to_owned(), secret_base(field, value, false, context));
        }
        (Reading::Other, Sent::Other | Sent::Never) if readable => {
            keep_base(path, older, comparison);
            let origin = if sent == Sent::Other { Origin::Both } else { Origin::Git };
            push_secret(field, older, origin, sent == Sent::Never, comparison);
        }
        (Reading::Other, _) if readable => {
            keep_base(path, older, comparison);
            push_secret(field, older, Origin::Drift, true, comparison);
        }
        (_, Sent::Other) => {
            keep_base(path, older, comparison);
            push_secret(field, older, Origin::Git, false, comparison);
        }
        (_, Sent::Never) if !first_met => push_secret(field, None, Origin::Git, false, comparison),
        (_, Sent::Never | Sent::NotKnown) => {
            comparison.unverified = true;
            comparison.base.insert(path.to_owned(), secret_base(field, value, true, context));
        }
        (_, Sent::Same) => {
            comparison.unverified |= was_unverified;
            let mut same =
                older.cloned().unwrap_or_else(|| secret_base(field, value, true, context));
            same.declared.clone_from(&field.declared);
            comparison.base.insert(path.to_owned(), same);
        }
    }
    if context.resend_secrets
        && !comparison.differences.iter().any(|d| d.change.path == path)
        && !is_empty(value)
    {
        push_secret(field, older, Origin::Git, false, comparison);
    }
    let limited = comparison.differences.last_mut().filter(|d| d.change.path == path);
    if let Some(difference) = limited {
        // Only what was read can be seen not to stay: a masked secret is never given up.
        let origin = difference.change.origin;
        let treated = treatment(desired, path, Some(value), origin, context);
        if treated != Treatment::GiveUp || difference.read_back {
            difference.treatment = treated;
        }
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

fn push_secret(
    field: &DesiredField,
    older: Option<&BaseField>,
    origin: Origin,
    read_back: bool,
    comparison: &mut Comparison,
) {
    let before = match (origin, older) {
        (Origin::Git, Some(older)) => older.declared.clone(),
        (Origin::Git, None) => Value::Null,
        _ => Value::from(SENSITIVE),
    };
    comparison.differences.push(Difference {
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

fn secret_base(
    field: &DesiredField,
    value: &Value,
    unverified: bool,
    context: &Context<'_>,
) -> BaseField {
    BaseField { unverified, ..written(field, value, context) }
}
