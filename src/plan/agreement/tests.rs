use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::desired::{Desired, Resolution, resolve};
use crate::document::{Document, Place};
use crate::environment::Environment;
use crate::inventory::{Base, BaseField, Record};
use crate::plan::compare::{LiveView, compare};
use crate::secret::{FingerprintKey, Redactor, Sensitive};

/// Documents with every shape of field: texts, numbers, secrets, references, lists of objects, an
/// object that is owned field by field, a free map.
fn document() -> impl Strategy<Value = (&'static str, Value)> {
    let text = prop::sample::select(vec!["a", "b", "${var:x}", "${env:SECRET}", "a${var:x}", ""]);
    let number = prop::sample::select(vec![json!(1), json!(2), json!("${var:n}"), json!(null)]);
    (text.clone(), text, number, any::<bool>(), 0..4_usize).prop_map(
        |(one, other, number, on, kind)| match kind {
            0 => (
                "email",
                json!({"host": one, "port": number, "auth": on, "password": "${env:SECRET}",
                "additionalProperties": [{"key": "k", "value": other}]}),
            ),
            1 => (
                "elasticsearch",
                json!({"indexName": one, "authenticate": on,
                "elasticHostList": [{"scheme": "https", "host": other, "port": number}],
                "indexLifecyclePolicy": {"policyName": other, "maxAgeOfRollover": number}}),
            ),
            2 => (
                "kafka",
                json!({"topicName": one,
                "propertiesMap": {"acks": {"value": other, "valueType": "STRING"}}}),
            ),
            _ => ("email", json!({"host": one, "password": null, "description": other})),
        },
    )
}

/// What somebody did to a text of JSON: nothing most often, else something at any place.
fn damage() -> impl Strategy<Value = Option<(usize, &'static str, &'static str)>> {
    let swaps = prop::sample::select(vec![
        ("\"a\"", "\"b\""),
        ("1", "2"),
        ("1", "1.0"),
        ("1", "\"1\""),
        ("true", "false"),
        ("null", "\"\""),
        ("{\"", "{\"extra\":1,\""),
        ("\"}", "\",\"more\":{}}"),
        ("\"host\":\"a\"", "\"host\":\"b\",\"host\":\"a\""),
        ("\"host\":\"a\"", "\"host\":\"a\",\"host\":\"b\""),
        ("\"policyName\"", "\"maxAgeOfRollover\""),
        ("\"indexLifecyclePolicy\":{", "\"indexLifecyclePolicy\":{},\"indexLifecyclePolicy\":{"),
        ("\"acks\":", "\"other\":{},\"acks\":"),
        ("\"value\":", "\"was\":"),
        ("\"/host\"", "\"/port\""),
        ("\"is\":", "\"unverified\":true,\"is\":"),
        ("\"print\":\"", "\"print\":\"0"),
        ("[", "[1,"),
        ("\"host\":", "\"h\\u006fst\":"),
    ]);
    prop::option::weighted(0.7, (0..6_usize, swaps).prop_map(|(nth, (old, new))| (nth, old, new)))
}

fn damaged(text: &str, damage: Option<(usize, &str, &str)>) -> String {
    let Some((nth, old, new)) = damage else { return text.to_owned() };
    let places: Vec<usize> = text.match_indices(old).map(|(at, _)| at).collect();
    match places.get(nth % places.len().max(1)) {
        Some(at) => format!("{}{new}{}", &text[..*at], &text[at + old.len()..]),
        None => text.to_owned(),
    }
}

struct Company {
    vars: BTreeMap<String, Value>,
    environment: Environment,
    redactor: Redactor,
    key: FingerprintKey,
}

impl Company {
    fn new() -> Self {
        Self {
            vars: BTreeMap::from([("x".to_owned(), json!("a")), ("n".to_owned(), json!(1))]),
            environment: Environment::new([("SECRET".to_owned(), "hidden".to_owned())]),
            redactor: Redactor::default(),
            key: FingerprintKey::derive(&Sensitive::new("token".to_owned())),
        }
    }

    fn desired(&self, type_name: &str, fields: Value) -> Desired {
        let Value::Object(fields) = fields else { panic!("an object") };
        let document = Document {
            connection_type: crate::catalog::find(type_name).unwrap(),
            name: "one".into(),
            options: crate::document::Options::default(),
            fields,
            place: Place { file: Arc::from("one.yaml"), line: 1 },
        };
        let environment = Some(&self.environment);
        resolve(
            vec![document],
            &Resolution { vars: &self.vars, environment, redactor: &self.redactor },
        )
    }

    fn context<'a>(&'a self, record: &'a Record) -> Context<'a> {
        Context {
            record,
            key: &self.key,
            key_is_known: true,
            stateless: false,
            corrects_drift: true,
            resend_secrets: false,
        }
    }
}

/// The text of an entry that shows all that is declared, secrets aside.
fn shown(desired: &DesiredConnection) -> String {
    let mut body = json!({"type": desired.connection_type.name, "name": "one", "id": "1"});
    for field in desired.fields() {
        let value = if field.is_secret() { None } else { field.value().cloned() };
        let mut at = &mut body;
        for step in crate::pointer::steps(&field.path) {
            at = &mut at[&*step];
        }
        *at = value.unwrap_or_default();
    }
    body.to_string()
}

fn live(text: &str) -> Option<LiveConnection> {
    LiveConnection::from_text(text.to_owned().into(), None).ok()?
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Where the texts agree, comparing finds no difference, settles the same base, and says the
    /// same of unverified secrets.
    #[test]
    fn what_agrees_compares_as_equal(
        (type_name, fields) in document(),
        to_live in damage(),
        to_base in damage(),
    ) {
        let company = Company::new();
        let desired = company.desired(type_name, fields);
        let connection = &desired[&"one".into()];
        let Some(untouched) = live(&shown(connection)) else { panic!("an entry") };
        let empty = Record::default();
        let before = BTreeMap::new();
        let agreed =
            compare(connection, &LiveView::new(&untouched, None), Some(&before), &company.context(&empty));
        // What a write leaves: the secrets were sent.
        let mut base = crate::plan::compare::base_of(connection, &company.context(&empty));
        base.extend(agreed.base);
        let base = damaged(&serde_json::to_string(&base).unwrap(), to_base);
        let Some(entry) = live(&damaged(&shown(connection), to_live)) else { return Ok(()) };
        let Ok(base) = serde_json::from_str::<Base>(&base) else { return Ok(()) };
        let type_name = type_name.to_owned();
        let owned = Owned { type_name, id: Some("1".to_owned()), base, ..Owned::default() };
        let fields: BTreeMap<String, BaseField> = owned.base.fields();
        let mut record = Record::default();
        record.inventory.insert("one".into(), owned.clone());
        let mut shown = Live::default();
        shown.connections.insert("one".into(), entry.clone());
        let context = company.context(&record);
        let agreement = agreement(connection, &shown, &context);
        if to_live.is_none() && to_base.is_none() {
            prop_assert_ne!(agreement, Agreement::Doubtful, "{:?}", connection);
        }
        if agreement != Agreement::Doubtful {
            let found = compare(connection, &LiveView::new(&entry, None), Some(&fields), &context);
            prop_assert!(found.differences.is_empty(), "{:?}", found);
            prop_assert_eq!(found.base, fields);
            prop_assert_eq!(found.unverified, agreement == Agreement::Unverified);
            prop_assert!(found.proven_readable.is_empty());
        }
    }
}
