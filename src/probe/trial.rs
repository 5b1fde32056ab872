//! The experiments with one connection of one type.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{MARKER, ProbeError, UnknownFields, refusal};
use crate::api::{Client, Listed};
use crate::catalog::{Choices, ConnectionType, Default, Field, Kind, Verdict, hidden};
use crate::name::ConnectionName;
use crate::plan::equality::is_empty;
use crate::profile::{Mask, OnMasked, TypeProfile, Unset};

type Fields = Map<String, Value>;

/// A connection that was made with its required fields.
pub(super) struct Trial<'a> {
    pub(super) client: &'a Client,
    pub(super) own_type: &'static ConnectionType,
    pub(super) name: ConnectionName,
    /// The fields that it was made with.
    pub(super) required: Fields,
    /// The findings so far.
    pub(super) found: TypeProfile,
}

/// How a field that was written reads.
enum Written {
    AsIs,
    Masked(Mask),
    Forgotten,
    Rewritten,
}

impl Trial<'_> {
    /// Makes all experiments with these optional fields; the fields that the server takes.
    pub(super) async fn watch(&mut self, optional: Fields) -> Result<Fields, ProbeError> {
        let unset = self.read().await?;
        for name in optional.keys() {
            if let Some(field) = self.own_type.field(name).filter(|field| !may_be_masked(field)) {
                let reads = reading_of_unset(field, unset.get(name));
                self.found.unset.entry(reads).or_default().insert(name.clone());
            }
        }
        let whole = self.fill(optional).await?;
        let shown = self.read().await?;
        self.compare(&whole, &shown, &unset);
        self.look_at_list(&whole, &shown).await?;
        self.masked_fields(&whole, &shown).await?;
        self.unknown_field(&whole).await?;
        Ok(whole)
    }

    /// Writes the optional fields; those that the server refuses are left out.
    async fn fill(&mut self, optional: Fields) -> Result<Fields, ProbeError> {
        let mut whole = self.required.clone();
        whole.extend(optional.clone());
        if self.write(&whole).await? {
            return Ok(whole);
        }
        let mut taken = self.required.clone();
        for (name, value) in optional {
            taken.insert(name.clone(), value);
            if !self.write(&taken).await? {
                taken.shift_remove(&name);
                self.found.refused.insert(name);
            }
        }
        Ok(taken)
    }

    fn compare(&mut self, sent: &Fields, shown: &Fields, unset: &Fields) {
        for (name, value) in sent {
            let Some(field) = self.own_type.field(name) else { continue };
            let before = unset.get(name).filter(|_| !self.required.contains_key(name));
            match written(field, value, shown.get(name), before) {
                Written::AsIs => false,
                Written::Masked(mask) => self.found.masked.insert(name.clone(), mask).is_none(),
                Written::Forgotten => self.found.forgotten.insert(name.clone()),
                Written::Rewritten => self.found.rewritten.insert(name.clone()),
            };
        }
    }

    async fn look_at_list(&mut self, sent: &Fields, shown: &Fields) -> Result<(), ProbeError> {
        let Listed::Complete(listed) = self.client.list(self.own_type.name).await? else {
            return Ok(());
        };
        let entry = listed.iter().find(|entry| entry.name == self.name);
        let has = |name: &str| entry.is_some_and(|e| e.body().get(name).is_some_and(is_there));
        for field in self.own_type.fields().filter(|field| !may_be_masked(field)) {
            let is_shown = sent.contains_key(field.name)
                && shown.get(field.name).is_some_and(is_there)
                && !self.found.masks(field.name);
            if is_shown && !has(field.name) {
                self.found.unlisted.insert(field.name.to_owned());
            }
        }
        Ok(())
    }

    /// Writes `null` for the secrets and whatever else is masked, and then leaves them out.
    async fn masked_fields(&mut self, whole: &Fields, shown: &Fields) -> Result<(), ProbeError> {
        let is_masked = |field: &&'static Field| field.is_secret() || self.found.masks(field.name);
        let names: Vec<&str> = self
            .own_type
            .fields()
            .filter(is_masked)
            .map(|field| field.name)
            .filter(|name| whole.contains_key(*name))
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        // A field in whose place nothing is shown cannot be seen to be cleared.
        let seen: Vec<&str> =
            names.iter().filter(|name| shown.get(**name).is_some_and(is_there)).copied().collect();
        let (mut nulls, mut omitted) = (whole.clone(), whole.clone());
        for name in &names {
            nulls.insert((*name).to_owned(), Value::Null);
            omitted.shift_remove(*name);
        }
        self.found.null_secret = self.effect_of(&nulls, &seen).await?;
        self.write(whole).await?;
        self.found.omitted_secret = self.effect_of(&omitted, &seen).await?;
        Ok(())
    }

    async fn effect_of(
        &self,
        body: &Fields,
        seen: &[&str],
    ) -> Result<Option<OnMasked>, ProbeError> {
        if !self.write(body).await? {
            return Ok(Some(OnMasked::Refuse));
        }
        let shown = self.read().await?;
        let is_kept = |name: &&str| shown.get(*name).is_some_and(is_there);
        Ok(match seen {
            [] => None,
            seen if seen.iter().all(is_kept) => Some(OnMasked::Keep),
            _ => Some(OnMasked::Clear),
        })
    }

    async fn unknown_field(&mut self, whole: &Fields) -> Result<(), ProbeError> {
        let mut body = whole.clone();
        body.insert(UNKNOWN_FIELD.to_owned(), Value::from("Probe"));
        self.found.unknown_fields = Some(if !self.write(&body).await? {
            UnknownFields::Refused
        } else if self.read().await?.contains_key(UNKNOWN_FIELD) {
            UnknownFields::Kept
        } else {
            UnknownFields::Dropped
        });
        Ok(())
    }

    /// Sends a PUT; `false`: the server refuses it.
    async fn write(&self, body: &Fields) -> Result<bool, ProbeError> {
        Ok(refusal(self.client, &Method::PUT, &self.name, body).await?.is_none())
    }

    async fn read(&self) -> Result<Fields, ProbeError> {
        let live = self.client.get(&self.name).await?;
        let live = live.ok_or_else(|| ProbeError::Vanished(self.name.clone()))?;
        Ok(live.body().clone())
    }
}

/// Whether servers are known to mask a field.
fn may_be_masked(field: &Field) -> bool {
    field.is_secret() || field.is_file()
}

fn is_there(value: &Value) -> bool {
    !is_empty(value)
}

fn reading_of_unset(field: &Field, shown: Option<&Value>) -> Unset {
    let defaults = field.defaults();
    match shown {
        None => Unset::LeftOut,
        Some(Value::Null) => Unset::Null,
        Some(value) if defaults.default.is_some_and(|d| d.to_json() == *value) => Unset::Default,
        Some(value) if defaults.others.iter().any(|d| d.to_json() == *value) => Unset::OtherDefault,
        Some(value) if is_empty(value) => Unset::Empty,
        Some(_) => Unset::OtherValue,
    }
}

/// How a field reads after it was written; `before`: how it read when it was not set.
fn written(field: &Field, sent: &Value, shown: Option<&Value>, before: Option<&Value>) -> Written {
    let shown = shown.filter(|value| is_there(value));
    match shown {
        Some(shown) if holds(shown, sent) => Written::AsIs,
        Some(Value::String(text)) if hidden::is_masked_text(text) => {
            Written::Masked(Mask::Asterisks)
        }
        Some(_) if may_be_masked(field) => Written::Masked(Mask::OtherText),
        Some(shown) if before == Some(shown) => Written::Forgotten,
        Some(_) => Written::Rewritten,
        None if may_be_masked(field) => Written::Masked(Mask::Nothing),
        None => Written::Forgotten,
    }
}

/// Whether a value is shown as it was sent; servers add to the objects inside it.
fn holds(shown: &Value, sent: &Value) -> bool {
    match (shown, sent) {
        (Value::Object(shown), Value::Object(sent)) => {
            sent.iter().all(|(key, value)| shown.get(key).is_some_and(|one| holds(one, value)))
        }
        (Value::Array(shown), Value::Array(sent)) => {
            shown.len() == sent.len()
                && shown.iter().zip(sent).all(|(one, other)| holds(one, other))
        }
        (shown, sent) => shown == sent,
    }
}

// Bodies for the experiments, built from the catalog: a value for every field that is neither its
// default nor a value of anybody's environment.

/// A host that exists nowhere, in mixed case, so that a change of case is seen.
const HOST: &str = "Probe.invalid";

/// A field that no documented type has.
pub(super) const UNKNOWN_FIELD: &str = "apinizerGitopsProbe";

/// Fields that name other objects of the Manager, which a scratch project does not have.
const REFERENCES: [&str; 4] =
    ["keyStoreName", "trustStoreName", "certificateName", "selectedEnvironmentId"];

/// Fields whose text has a form, and choices that go with them.
const EXAMPLES: [(&str, &str); 8] = [
    ("baseDn", "dc=Probe,dc=invalid"),
    ("brokerURL", "tcp://Probe.invalid:61616"),
    ("connectionString", "udp:192.0.2.1/162"),
    ("dbType", "POSTGRES"),
    ("fullUrl", "https://Probe.invalid/Probe"),
    ("jdbcUrl", "jdbc:postgresql://Probe.invalid:5432/Probe"),
    ("pduOidForMessage", "1.3.6.1.4.1.0"),
    ("serverAddress", "Probe.invalid:389"),
];

/// The values of the experiments with one type.
pub(super) struct Bodies {
    /// The fields that documents have to declare, and those that mark the connection.
    pub(super) required: Map<String, Value>,
    /// All other fields.
    pub(super) optional: Map<String, Value>,
}

impl Bodies {
    pub(super) fn of(own_type: &'static ConnectionType, name: &str) -> Self {
        // Neither is anything for a gateway to work with.
        let marks = json!({
            "type": own_type.name, "name": name, "description": MARKER,
            "deployToWorker": false, "enabled": false,
        });
        let mut required = marks.as_object().cloned().unwrap_or_default();
        let mut optional: Map<String, Value> = probed_fields(own_type)
            .filter(|field| !required.contains_key(field.name))
            .map(|field| (field.name.to_owned(), value_of(field)))
            .collect();
        // A field that another one asks for may ask for a third.
        for _ in 0..2 {
            for field in probed_fields(own_type) {
                let is_required = field.required.holds(&|key| own_type.field(key), &required);
                if let Some(value) =
                    is_required.then(|| optional.shift_remove(field.name)).flatten()
                {
                    required.insert(field.name.to_owned(), value);
                }
            }
        }
        Self { required, optional }
    }
}

/// The fields that experiments are made with.
fn probed_fields(own_type: &ConnectionType) -> impl Iterator<Item = &'static Field> {
    own_type.fields().filter(|f| !f.filled_by_server && !REFERENCES.contains(&f.name))
}

fn value_of(field: &Field) -> Value {
    if field.is_secret() {
        return Value::from(format!("Probe-{:032x}", fastrand::u128(..)));
    }
    match EXAMPLES.iter().find(|(name, _)| *name == field.name) {
        Some((_, text)) => Value::from(*text),
        None => of_kind(&field.kind, field.default),
    }
}

fn of_kind(kind: &Kind, default: Option<Default>) -> Value {
    match kind {
        Kind::Text | Kind::Any => Value::from(HOST),
        Kind::Choice(choices) => Value::from(word_of(choices, default)),
        Kind::Integer { min, max } => Value::from(match default {
            Some(Default::Integer(default)) if default < *max => default + 1,
            Some(Default::Integer(default)) => default - 1,
            _ => 1.clamp(*min, *max),
        }),
        Kind::Boolean => Value::from(default != Some(Default::Boolean(true))),
        // Base64 of a few random bytes.
        Kind::Bytes => Value::from(format!("{:024}", fastrand::u64(..))),
        Kind::List(item) | Kind::Set(item) => json!([of_kind(item, None)]),
        // Kafka's, which has to name its servers.
        Kind::Map(item @ Kind::Object(_)) => json!({"bootstrap.servers": of_kind(item, None)}),
        Kind::Map(item) => json!({"probe": of_kind(item, None)}),
        Kind::Object(fields) => {
            let inner = fields.iter().filter(|field| !field.filled_by_server);
            inner.map(|field| (field.name.to_owned(), value_of(field))).collect()
        }
    }
}

/// A word that all documents allow and that is not the default.
fn word_of(choices: &Choices, default: Option<Default>) -> &'static str {
    let is_default = |word: &str| default.is_some_and(|d| d.to_json().as_str() == Some(word));
    let words: Vec<_> = choices.words().filter(|word| !is_default(word)).collect();
    let allowed = words.iter().find(|word| choices.verdict(word) == Verdict::Allowed);
    allowed.or(words.first()).copied().unwrap_or_default()
}
