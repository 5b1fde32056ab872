use std::sync::Arc;

use serde_json::json;

use super::*;

fn document(name: &str, fields: &Value) -> Document {
    Document {
        connection_type: crate::catalog::find("email").unwrap(),
        name: name.into(),
        options: Options::default(),
        fields: Arc::new(fields.as_object().unwrap().clone()),
        place: Place { file: Arc::from("a.yaml"), line: 1 },
    }
}

#[test]
fn a_value_of_the_environment_is_looked_up_once_in_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "one").unwrap();
    let environment = Environment::new([("S_FILE".to_owned(), file.to_str().unwrap().to_owned())]);
    let vars = BTreeMap::from([("domain".to_owned(), json!("example.com"))]);
    let redactor = Redactor::default();
    let resolution = Resolution {
        vars: &vars,
        environment: Some(&environment),
        redactor: &redactor,
        profile: None,
    };
    let fields = json!({
        "host": "mail.${var:domain}",
        "port": 25,
        "password": "${env:S}",
        "username": "${env:MISSING}",
        "additionalProperties": [{"key": "a", "value": "${env:S}"}],
    });
    let desired = resolve(&[document("a", &fields), document("b", &fields)], &resolution);
    std::fs::write(&file, "another").unwrap();
    for connection in desired.values() {
        let value = |path: &str| connection.field(path).unwrap().value().cloned();
        assert_eq!(value("/host"), Some(json!("mail.example.com")));
        assert_eq!(value("/password"), Some(json!("one")));
        assert_eq!(value("/username"), None);
        assert_eq!(connection.unresolved.len(), 1);
        assert!(connection.declares_secret());
    }
    let said = redactor.redact("it said one, and one");
    assert!(!said.contains("one"), "{said}");
}

#[test]
fn values_that_are_not_looked_at_are_not_known_and_their_names_are() {
    let (vars, redactor) = (BTreeMap::new(), Redactor::default());
    let resolution =
        Resolution { vars: &vars, environment: None, redactor: &redactor, profile: None };
    let documents = vec![document("one", &json!({"host": "${env:A}.${env:B}", "port": 25}))];
    assert_eq!(env_names_of(&documents).into_iter().collect::<Vec<_>>(), ["A", "B"]);
    let desired = resolve(&documents, &resolution);
    let one = &desired[&"one".into()];
    assert_eq!(one.field("/host").unwrap().value(), None);
    assert!(one.unresolved.is_empty());
}
