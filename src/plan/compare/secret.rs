//! A secret field: the value that was sent last is compared with the one that `GET` shows.

use serde_json::Value;

use super::{CompareRules, Comparing, Subject, Treatment, written};
use crate::catalog::{Field, hidden};
use crate::desired::DesiredField;
use crate::plan::equality::is_empty;
use crate::plan::{FieldChange, Origin};
use crate::record::BaseField;
use crate::secret::{SENSITIVE, same_in_constant_time};

impl Comparing<'_> {
    /// Whether the target's profile says that `GET` masks the field.
    pub(super) fn masks(&self, field: &DesiredField) -> bool {
        field.field.is_some_and(|field| self.desired.masks(field))
    }

    /// Whether live's answer for a file or certificate may hide it, as it hides a secret. It does not
    /// where this server was seen to show secrets of the type.
    pub(super) fn hides_file(&self, field: &DesiredField) -> bool {
        let own_type = self.desired.connection_type.name;
        let is_file = field.field.is_some_and(Field::is_file);
        let is_hidden = is_file && !shows_file(self.live.get(&field.path));
        let shows = self.live.own.is_some() && self.rules.readable.has_type(own_type);
        is_hidden && !shows
    }

    /// Compares a secret that git declares.
    pub(super) fn secret(&mut self, field: &DesiredField) {
        let Comparing { desired, live, remembered, rules, .. } = *self;
        let path = &*field.path;
        let older = self.older(path);
        let Some(value) = field.value() else { return };
        // Where a profile says that it is masked, another text says nothing.
        let readable = rules.readable.has(desired.connection_type.name, path) && !self.masks(field);
        let reading = Reading::of(live.shown_by_get(path), value);
        if reading == Reading::Equal && field.is_secret() {
            self.found.proven_readable.push(path.to_owned());
        }
        let sent = LastSent::of(field, value, older, rules);
        let first_met = remembered.base.is_none() && sent == LastSent::Never;
        let with_base = |unverified| BaseField { unverified, ..written(field, value, rules.keys) };
        match (reading, sent) {
            (Reading::Equal, _) => {
                self.found.settled.push(path.to_owned());
                self.found.base.insert(path.to_owned(), with_base(false));
            }
            (Reading::Other, LastSent::Other | LastSent::Never) if readable => {
                self.keep_base(path);
                let origin = if sent == LastSent::Other { Origin::Both } else { Origin::Git };
                self.push_secret(field, value, origin, sent == LastSent::Never);
            }
            (Reading::Other, _) if readable => {
                self.keep_base(path);
                self.push_secret(field, value, Origin::Drift, true);
            }
            (_, LastSent::Other) => {
                self.keep_base(path);
                self.push_secret(field, value, Origin::Git, false);
            }
            (_, LastSent::Never) if !first_met => {
                self.push_secret(field, value, Origin::Git, false);
            }
            (_, LastSent::Never | LastSent::NotKnown) => {
                self.found.unverified = true;
                self.found.base.insert(path.to_owned(), with_base(true));
            }
            (_, LastSent::Same) => {
                self.found.unverified |= older.is_some_and(|older| older.unverified);
                let mut same = older.cloned().unwrap_or_else(|| with_base(true));
                same.declared.clone_from(&field.declared);
                self.found.base.insert(path.to_owned(), same);
            }
        }
        let differs = self.found.differences.iter().any(|d| d.change.path == path);
        if rules.resend_secrets && !differs && !is_empty(value) {
            self.push_secret(field, value, Origin::Git, false);
        }
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
        let treatment = match self.treatment(path, Some(value), shown, origin) {
            // Only what was read can be seen not to stay: a masked secret is never given up.
            Treatment::GiveUp if !read_back => Treatment::Write,
            treatment => treatment,
        };
        let change = FieldChange {
            path: path.to_owned(),
            before: Some(before).filter(|b| !b.is_null()),
            after: Some(field.declared.clone()),
            base: self.older(path).filter(|_| origin == Origin::Both).map(|b| b.declared.clone()),
            sensitive: true,
            origin,
        };
        let subject = if read_back { Subject::SecretReadBack } else { Subject::Secret };
        self.push(change, treatment, subject);
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
        rules: &CompareRules<'_>,
    ) -> Self {
        let Some(older) = older else { return Self::Never };
        let same_text = older.declared == field.declared;
        let same_value = match &older.print {
            _ if rules.stateless => same_text,
            // Another reference in git is a change, whatever the value under the older key was.
            Some(_) if !rules.keys.is_known && same_text => return Self::NotKnown,
            Some(_) if !rules.keys.is_known => false,
            Some(print) => rules.keys.key.matches(print, &field.path, value),
            // Apinizer's own `${NAME}` and a declared `null` are no secrets: their text tells.
            None => same_text,
        };
        if same_value { Self::Same } else { Self::Other }
    }
}

/// The answer of `GET` about a secret.
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
        match (shown_text(shown), wanted.as_str()) {
            (None, _) => Self::Nothing,
            (Some(text), Some(wanted)) if same_in_constant_time(text, wanted) => Self::Equal,
            (Some(_), _) => Self::Other,
        }
    }
}

/// Whether an answer shows what a file or certificate holds: nothing, `null`, an empty value and asterisks
/// may hide it.
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
    fn an_empty_or_masked_answer_may_hide_a_file() {
        for hidden in [json!(null), json!(""), json!([]), json!({}), json!("****")] {
            assert!(!shows_file(Some(&hidden)), "{hidden}");
        }
        assert!(!shows_file(None) && shows_file(Some(&json!("Y2VydA=="))));
    }
}
