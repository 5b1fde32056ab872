//! A field that is no secret: what git declares, or used to.

use serde_json::Value;

use super::base::{agreed, catalog_field, matches_base};
use super::{Comparing, Context, Difference};
use crate::catalog::{Secrecy, hidden};
use crate::desired::{DesiredConnection, DesiredField, holds_env, lies_in};
use crate::inventory::BaseField;
use crate::plan::equality::{equal, is_unset};
use crate::plan::ignored::with_lives_ignored_parts;
use crate::plan::{FieldChange, Origin};
use crate::secret::SENSITIVE;

impl Comparing<'_> {
    /// Compares a field that git declares and that is no secret.
    pub(super) fn field(&mut self, field: &DesiredField) {
        let Comparing { desired, live, context, .. } = *self;
        let path = &*field.path;
        let older = self.older(path);
        let Some(value) = field.value() else {
            // Not looked at in this run, or blocked: its base stays what it was.
            self.keep_base(path);
            return;
        };
        let live_value = live.get(path);
        let with_ignored = with_lives_ignored_parts(desired, path, value, live_value);
        let value = with_ignored.as_ref().unwrap_or(value);
        if equal(field.field, Some(value), live_value) {
            self.found.settled.push(path.to_owned());
            self.found.base.insert(path.to_owned(), agreed(field, older, context));
            return;
        }
        let origin = origin(field, value, live_value, older, context);
        self.keep_base(path);
        let sensitive =
            field.is_sensitive() || older.is_some_and(|older| holds_env(&older.declared));
        let change = FieldChange {
            path: path.to_owned(),
            before: self.show_live(path, live_value, sensitive),
            after: Some(show_desired(desired, field, value)),
            sensitive,
            origin,
        };
        let treatment = self.treatment(path, Some(value), origin);
        self.found.differences.push(Difference {
            change,
            treatment,
            dropped: false,
            read_back: false,
        });
    }

    /// Compares a field that git used to declare. It goes back to its documented default; a secret
    /// is never emptied that way, it is just no longer git's.
    pub(super) fn dropped(&mut self, path: &str, older: &BaseField) {
        let Comparing { desired, live, context, .. } = *self;
        let declared_otherwise =
            desired.fields().iter().any(|f| lies_in(path, &f.path) || lies_in(&f.path, path));
        if declared_otherwise {
            return;
        }
        if desired.ignores(path) {
            self.keep_base(path);
            return;
        }
        let field = catalog_field(desired, path);
        if field.is_some_and(|f| matches!(f.secrecy, Secrecy::Secret { .. })) {
            return;
        }
        let live_value = live.get(path);
        let kind = field.map(|f| &f.kind);
        if is_unset(kind, field.and_then(|f| f.default.as_ref()), live_value) {
            self.found.settled.push(path.to_owned());
            return;
        }
        self.keep_base(path);
        let live_moved = !matches_base(field, older, live_value, path, context);
        let origin = if live_moved { Origin::Both } else { Origin::Git };
        let sensitive = holds_env(&older.declared);
        let default = field.and_then(|f| f.default.as_ref()).map(|default| default.to_json());
        let treatment = self.treatment(path, default.as_ref(), origin);
        let change = FieldChange {
            path: path.to_owned(),
            before: self.show_live(path, live_value, sensitive),
            after: default,
            sensitive,
            origin,
        };
        self.found.differences.push(Difference {
            change,
            treatment,
            dropped: true,
            read_back: false,
        });
    }

    /// What may be shown of live's side of a field.
    fn show_live(&self, path: &str, value: Option<&Value>, sensitive: bool) -> Option<Value> {
        let value = value.filter(|v| !v.is_null())?;
        if sensitive {
            return Some(Value::from(SENSITIVE));
        }
        Some(hidden::mask_at(self.desired.connection_type, path, value, self.live.body()))
    }
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

/// What may be shown of git's side: the declared text where it holds a secret, else the value.
pub(in crate::plan) fn show_desired(
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
