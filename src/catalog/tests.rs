use serde_json::{Map, Value, json};

use super::*;

mod facts;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

#[test]
fn types_are_found_by_name_and_suggested_by_likeness() {
    assert_eq!(all().len(), 14);
    for connection_type in all() {
        assert_eq!(find(connection_type.name).unwrap().name, connection_type.name);
    }
    assert!(find("Email").is_none());
    for (written, meant) in [
        ("Email", "email"),
        ("e-mail", "email"),
        ("rabbitmq", "rabbitMq"),
        ("linuxScript", "linux-script"),
        ("elastic", "elasticsearch"),
        ("databse", "database"),
    ] {
        assert_eq!(nearest(written).unwrap().name, meant, "{written}");
    }
    for nothing in ["", "zzz", "ops-genie"] {
        assert!(nearest(nothing).is_none(), "{nothing}");
    }
}

#[test]
fn every_field_is_described_once_and_never_takes_the_place_of_the_identity() {
    fn check(path: &str, fields: &mut dyn Iterator<Item = &'static Field>) {
        let mut seen = std::collections::BTreeSet::new();
        for field in fields {
            let path = format!("{path}.{}", field.name);
            assert!(seen.insert(field.name), "{path} is there twice");
            assert!(field.about.ends_with('.'), "{path} has no description");
            let inner: &[Field] = match &field.kind {
                Kind::Object(fields)
                | Kind::List(Kind::Object(fields))
                | Kind::Set(Kind::Object(fields))
                | Kind::Map(Kind::Object(fields)) => fields,
                _ => &[],
            };
            let is_any_secret = inner.iter().any(Field::is_secret);
            assert!(!is_any_secret, "{path}: a PUT settles only the secrets of the type itself");
            check(&path, &mut inner.iter());
        }
    }
    for connection_type in all() {
        check(connection_type.name, &mut connection_type.fields());
        assert!(connection_type.field("type").is_none(), "{}", connection_type.name);
        assert!(connection_type.field("name").is_none(), "{}", connection_type.name);
    }
}

#[test]
fn every_condition_is_about_a_field_of_its_type() {
    fn check(connection_type: &ConnectionType, condition: &Condition) {
        match condition {
            Condition::Is(name, value) => {
                let field = connection_type.field(name).unwrap();
                match &field.kind {
                    Kind::Boolean => assert!(matches!(*value, "true" | "false")),
                    Kind::Choice(choices) => assert_eq!(choices.verdict(value), Verdict::Allowed),
                    other => panic!("a condition on {name}, a {other:?}"),
                }
            }
            Condition::Present(name) => assert!(connection_type.field(name).is_some()),
            Condition::Any(all) => {
                all.iter().for_each(|c| check(connection_type, c));
            }
        }
    }
    for connection_type in all() {
        for field in connection_type.fields() {
            if let Required::When(condition) = &field.required {
                check(connection_type, condition);
            }
            if let Some(condition) = &field.used {
                check(connection_type, condition);
            }
        }
    }
}

#[test]
fn pointers_lead_through_objects_lists_and_maps() {
    let kind = |name, pointer| find(name).unwrap().at(pointer).map(|(_, kind)| kind);
    assert!(matches!(kind("email", "/port"), Some(Kind::Integer { min: 1, max: 65535 })));
    assert!(matches!(kind("rabbitMq", "/hostPortList/0/port"), Some(Kind::Integer { .. })));
    assert!(matches!(kind("kafka", "/propertiesMap/a~1b/valueType"), Some(Kind::Choice(_))));
    assert!(matches!(kind("kafka", "/protocolTypes/-"), Some(Kind::Choice(_))));
    assert!(matches!(kind("elasticsearch", "/indexLifecyclePolicy/policyName"), Some(Kind::Text)));
    for nowhere in ["", "/", "port", "/nope", "/port/0", "/additionalProperties/x", "/type"] {
        assert!(kind("email", nowhere).is_none(), "{nowhere}");
    }
    let email = find("email").unwrap();
    assert_eq!(email.field_at("/additionalProperties/0/value").unwrap().name, "value");
    assert_eq!(email.nearest_field("enableStartTLS").unwrap().name, "enableStartTls");
}

#[test]
fn choices_are_judged_by_both_documents() {
    let verdict = |name, field, value| match &find(name).unwrap().field(field).unwrap().kind {
        Kind::Choice(choices) => choices.verdict(value),
        other => panic!("{other:?}"),
    };
    assert_eq!(verdict("ftp", "protocol", "SFTP"), Verdict::Allowed);
    assert_eq!(verdict("ftp", "protocol", "sftp"), Verdict::Allowed);
    assert_eq!(
        verdict("ftp", "protocol", "scp"),
        Verdict::Unknown { documents_agree: true },
        "the documents differ in spelling only"
    );
    assert_eq!(verdict("graylog", "gelfMessageLevel", "info(6)"), Verdict::Allowed);
    assert_eq!(verdict("graylog", "gelfMessageLevel", "INFO"), Verdict::Allowed);
    assert_eq!(verdict("webhook", "httpMethod", "TRACE"), Verdict::OnlyOneDocument);
    assert_eq!(
        verdict("webhook", "httpMethod", "CONNECT"),
        Verdict::Unknown { documents_agree: false }
    );
    assert_eq!(verdict("elasticsearch", "elasticsearchMajorVersion", "ES_8"), Verdict::Allowed);
    assert_eq!(
        verdict("elasticsearch", "elasticsearchMajorVersion", "ES_10"),
        Verdict::Unknown { documents_agree: false }
    );
    assert!(same_choice("INFO(6)", "info") && !same_choice("(6)", "") && !same_choice("a(b)", "a"));
}

#[test]
fn conditions_count_undeclared_fields_with_their_defaults() {
    let database = find("database").unwrap();
    let Required::When(condition) = database.field("password").unwrap().required else { panic!() };
    let holds = |fields| database.holds(&condition, &object(fields));
    assert!(holds(json!({})));
    assert!(holds(json!({"useCredentials": null})));
    assert!(holds(json!({"useCredentials": ""})));
    assert!(holds(json!({"useCredentials": "TRUE"})));
    assert!(!holds(json!({"useCredentials": false})));
    assert_eq!(condition.to_string(), "`useCredentials` is `true`");

    let snmp = find("snmp").unwrap();
    let Required::When(condition) = snmp.field("authPassphrase").unwrap().required else {
        panic!()
    };
    assert!(snmp.holds(&condition, &object(json!({"securityLevel": "auth_priv"}))));
    assert!(!snmp.holds(&condition, &object(json!({}))));
    assert_eq!(
        condition.to_string(),
        "`securityLevel` is `AUTH_NOPRIV` or `securityLevel` is `AUTH_PRIV`"
    );

    let elastic = find("elasticsearch").unwrap();
    let present = Condition::Present("caKeystoreFile");
    assert!(elastic.holds(&present, &object(json!({"caKeystoreFile": ["TUlJ"]}))));
    assert!(!elastic.holds(&present, &object(json!({"caKeystoreFile": []}))));
}

#[test]
fn bookkeeping_is_never_a_field_of_the_type() {
    let snmp = find("snmp").unwrap();
    for key in ["id", "_id", "createdBy", "lastModifiedAt", "revision", "created_at", "etag"] {
        assert!(is_bookkeeping(snmp, key), "{key}");
    }
    for key in ["version", "description", "identity", "ids", "environmentId"] {
        assert!(!is_bookkeeping(snmp, key), "{key}");
    }
}

#[test]
fn a_secret_whose_use_is_not_known_may_be_in_use() {
    let is_used = |name: &str, field: &str, body: Value| {
        let own_type = find(name).unwrap();
        own_type.field(field).unwrap().is_used(own_type, &object(body))
    };
    let user = json!({"authenticate": null, "elasticUsername": "u"});
    assert!(is_used("elasticsearch", "elasticPassword", user));
    assert!(!is_used("elasticsearch", "elasticPassword", json!({"authenticate": null})));
    assert!(!is_used("elasticsearch", "elasticPassword", json!({"authenticate": false})));
    let phrase = |level: &str| {
        is_used("snmp", "authPassphrase", json!({"version": "V3", "securityLevel": level}))
    };
    assert!(phrase("authPriv") && phrase("AUTH_PRIV") && !phrase("NOAUTH_NOPRIV"));
}
