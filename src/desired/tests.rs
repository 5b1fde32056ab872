use serde_json::json;

use super::*;
use crate::environment::Environment;

fn document(name: &str, fields: &Value) -> Document {
    Document {
        connection_type: crate::catalog::find("email").unwrap(),
        name: name.into(),
        options: Options::default(),
        fields: fields.as_object().unwrap().clone(),
        place: Place { file: Arc::from("a.yaml"), line: 1 },
    }
}

fn shown(connection: &DesiredConnection) -> Vec<(String, Value, Option<Value>)> {
    let fields = connection.fields().iter();
    fields.map(|f| (f.path.to_string(), f.declared.clone(), f.value().cloned())).collect()
}

#[test]
fn dropped_fields_are_made_again_from_the_values_of_their_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "old").unwrap();
    let environment = Environment::new([("S_FILE".to_owned(), file.to_str().unwrap().to_owned())]);
    let vars = BTreeMap::from([("domain".to_owned(), json!("example.com"))]);
    let redactor = Redactor::default();
    let resolution =
        Resolution { vars: &vars, environment: Some(&environment), redactor: &redactor };
    let fields = json!({
        "host": "mail.${var:domain}",
        "port": 25,
        "password": "${env:S}",
        "username": "${env:MISSING}",
        "additionalProperties": [{"key": "a", "value": "${env:S}"}],
    });
    let documents = || vec![document("kept", &fields), document("dropped", &fields)];
    let resolved = resolve_and_look(documents(), &resolution, |connection| {
        let keep = if connection.name.as_str() == "kept" { Keep::Fields } else { Keep::Head };
        (connection.fields().len(), keep)
    });
    std::fs::write(&file, "new").unwrap();
    let [kept, dropped] = ["kept", "dropped"].map(|name| &resolved.desired[&name.into()]);
    assert!(kept.fields.get().is_some() && dropped.fields.get().is_none());
    assert_eq!(shown(dropped), shown(kept));
    assert_eq!(dropped.field("/password").unwrap().value(), Some(&json!("old")));
    assert_eq!(dropped.field("/username").unwrap().value(), None);
    assert_eq!(dropped.unresolved, kept.unresolved);
    assert_eq!((resolved.found, kept.unresolved.len()), (vec![5, 5], 1));
    assert!(dropped.declares_secret);
    let names: Vec<_> = resolved.env_names.iter().map(String::as_str).collect();
    assert_eq!(names, ["MISSING", "S"]);
}

#[test]
fn the_names_of_an_environment_that_is_not_looked_at_are_known() {
    let (vars, redactor) = (BTreeMap::new(), Redactor::default());
    let resolution = Resolution { vars: &vars, environment: None, redactor: &redactor };
    let fields = json!({"host": "${env:A}.${env:B}", "port": 25});
    let resolved =
        resolve_and_look(vec![document("one", &fields)], &resolution, |_| ((), Keep::Head));
    let one = &resolved.desired[&"one".into()];
    assert_eq!(one.field("/host").unwrap().value(), None);
    assert!(one.unresolved.is_empty());
    assert_eq!(resolved.env_names.len(), 2);
}

#[test]
fn values_are_learnt_before_they_are_resolved() {
    let environment = Environment::new([
        ("S".to_owned(), "a-secret".to_owned()),
        ("T".to_owned(), "an\"other".to_owned()),
    ]);
    let redactor = Redactor::default();
    let fields =
        json!({"host": "h", "password": "x${env:S}", "username": ["${env:T}", "${env:U}"]});
    learn(&[document("one", &fields)], &environment, &redactor);
    let said = redactor.redact("it said a-secret and an\"other");
    assert!(!said.contains("secret") && !said.contains("other"), "{said}");
}
