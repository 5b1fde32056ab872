//! Properties of any text: no secret is shown, nothing else is hidden, nothing is lost.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::*;
use super::{object, of};
use crate::catalog::all;
use crate::reference::{self, Segment};
use crate::secret::Sensitive;

/// Every place in which a secret can be planted: the type, its fields, and how the secret is
/// spelled there.
fn plant(raw: &str) -> Vec<(&'static str, Value, String)> {
    let encoded = percent_encoding::utf8_percent_encode(raw, percent_encoding::NON_ALPHANUMERIC);
    let encoded = encoded.to_string();
    let escaped = raw.replace('\\', "\\\\").replace('"', "\\\"");
    let e = &encoded;
    let mut places = vec![
        ("database", json!({"jdbcUrl": format!("jdbc:mysql://u:{e}@h/db")}), e.clone()),
        (
            "database",
            json!({"jdbcUrl": format!("jdbc:mysql://h/db?a=b&password={e}&c=d")}),
            e.clone(),
        ),
        (
            "database",
            json!({"jdbcUrl": format!("jdbc:sqlserver://h:1;user=a;password={e};c=d")}),
            e.clone(),
        ),
        ("database", json!({"jdbcUrl": format!("jdbc:oracle:thin:a/{e}@h:1:s")}), e.clone()),
        (
            "activeMq",
            json!({"brokerURL": format!("failover:(tcp://u:{e}@h:1,tcp://k:2?secret={e})?a=b")}),
            e.clone(),
        ),
        ("webhook", json!({"fullUrl": format!("https://h/?token={e}#f")}), e.clone()),
        ("webhook", json!({"description": format!("see http://u:{e}@h now")}), e.clone()),
        (
            "kafka",
            json!({"propertiesMap": {"x.sasl.jaas.config": {"value": format!("M required password=\"{escaped}\" a=b;")}}}),
            escaped,
        ),
    ];
    for (name, fields) in [
        (
            "webhook",
            json!({"headerList": [{"name": "Authorization", "value": format!("Bearer {raw}")}]}),
        ),
        ("webhook", json!({"headerList": {"X-Api-Key": raw}})),
        (
            "kafka",
            json!({"propertiesMap": {"ssl.key.password": {"value": raw, "valueByType": raw}}}),
        ),
        (
            "kafka",
            json!({"propertiesMap": {"basic.auth.user.info": {"value": format!("u:{raw}")}}}),
        ),
        ("email", json!({"additionalProperties": [{"key": "a.secret", "value": raw}]})),
        ("email", json!({"password": raw, "newToken": {"a": [raw]}})),
        ("rabbitMq", json!({"connectionFactoryClientProperties": {"a": {"password": raw}}})),
        ("snmp", json!({"securityOrCommunityName": raw, "authPassphrase": raw})),
        ("elasticsearch", json!({"elasticHostList": [{"host": "h", "apiKey": raw}]})),
    ] {
        places.push((name, fields, raw.to_owned()));
    }
    places
}

proptest! {
    #[test]
    fn a_planted_secret_is_never_shown(raw in "Q[ -~äß€]{6,30}Q") {
        // References are shown on purpose.
        prop_assume!(!raw.contains("${"));
        for (name, fields, secret) in plant(&raw) {
            let mut fields = object(fields);
            fields.insert("from".to_owned(), json!("someone@example.com"));
            let shown = conceal(of(name), &fields);
            for text in texts(&Value::Object(shown.clone())) {
                prop_assert!(!text.contains(&secret), "{} in {}", secret, text);
                prop_assert!(!text.contains(&secret[1..secret.len() - 1]), "{} in {}", secret, text);
            }
            prop_assert_eq!(&shown["from"], &fields["from"]);
            prop_assert_eq!(conceal(of(name), &shown), shown);
        }
    }

    #[test]
    fn masking_is_total_and_idempotent(
        which in 0..all().len(),
        texts in prop::collection::vec(
            "(?s).{0,40}|([:@/?&;=,(){}\"' \\\\$#]|://|password=|secret=|jdbc:oracle:thin:|\\$\\{env:A\\}|\\(sensitive\\)|[a-z0-9é]){0,24}",
            6,
        )
    ) {
        for connection_type in all().skip(which).take(1) {
            let mut fields: Map<String, Value> = connection_type
                .fields()
                .zip(texts.iter().cycle())
                .map(|(field, text)| (field.name.to_owned(), json!(text)))
                .collect();
            fields.insert("headerList".into(), json!([{"name": "Cookie", "value": texts[0]},
                {"name": texts[1], "value": texts[2]}, {"name": "Authorization", "value": texts[3]}]));
            fields.insert("propertiesMap".into(), json!({
                "sasl.jaas.config": {"value": texts[4]}, "auth.user.info": texts[5], &texts[0]: texts[1]}));
            fields.insert(texts[2].clone(), json!({&texts[3]: [texts[4]]}));
            let shown = conceal(connection_type, &fields);
            prop_assert_eq!(&conceal(connection_type, &shown), &shown);
            prop_assert!(literal_secrets(connection_type, &fields).len() < 1000);
            for part in secret_parts(connection_type, &fields) {
                let whole = Value::Object(fields.clone());
                let value = whole.pointer(&part.pointer).unwrap();
                prop_assert_eq!(part.range.is_some(), value.is_string());
                if let (Some(range), Some(text)) = (part.range, value.as_str()) {
                    prop_assert!(text.get(range).is_some_and(|secret| !secret.is_empty()));
                }
            }
            let mut count = 0;
            let (extracted, variables) = extract(connection_type, &fields, &mut |_| {
                count += 1;
                format!("V{count}")
            });
            let mut written = Value::Object(extracted);
            resolve(&mut written, &variables);
            prop_assert_eq!(written, Value::Object(fields));
        }
    }

    #[test]
    fn a_text_without_a_secret_is_shown_as_it_is(text in "[a-z0-9 .,_/-]{0,30}", number in any::<i64>()) {
        for connection_type in all() {
            let fields: Map<String, Value> = connection_type
                .fields()
                .filter(|f| !f.is_secret() && !matches!(f.name, "securityOrCommunityName" | "syslogMessageHostname"))
                .enumerate()
                .map(|(i, f)| (f.name.to_owned(), if i % 2 == 0 { json!(text) } else { json!(number) }))
                .collect();
            prop_assert_eq!(conceal(connection_type, &fields), fields);
        }
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(map) => map.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Puts the extracted secrets back where their references are.
fn resolve(value: &mut Value, variables: &[(String, Sensitive)]) {
    match value {
        Value::String(text) => {
            let resolved = reference::parse(text)
                .unwrap()
                .iter()
                .map(|segment| match segment {
                    Segment::Text(text) => text.to_string(),
                    Segment::Apinizer(name) => format!("${{{name}}}"),
                    Segment::Env(name) => {
                        let (_, secret) =
                            variables.iter().find(|(known, _)| known == name).unwrap();
                        secret.expose().to_owned()
                    }
                    Segment::Var(name) => panic!("nobody wrote {name}"),
                })
                .collect();
            *text = resolved;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, variables)),
        Value::Object(map) => map.values_mut().for_each(|inner| resolve(inner, variables)),
        _ => {}
    }
}
