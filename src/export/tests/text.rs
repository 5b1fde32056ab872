//! The text of documents, read as people will read it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::desired;
use crate::export::{Export, KnownReferences, template};
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::record::{BaseField, Owned, Record};

fn export(bodies: &[Value], known: &KnownReferences) -> Export {
    let live: Vec<LiveConnection> = bodies
        .iter()
        .map(|body| LiveConnection::from_entry(body.as_object().unwrap().clone()).unwrap())
        .collect();
    Export::of(&live, known, "Payments", false)
}

fn one(body: Value) -> (String, String) {
    let export = export(&[body], &KnownReferences::default());
    (export.documents[0].text.clone(), template(&export.variables))
}

#[test]
fn a_document_reads_as_if_written_by_hand() {
    let (text, variables) = one(json!({
        "id": "7", "type": "email", "name": "order-mails", "host": "${SMTP_HOST}", "port": 465,
        "auth": true, "username": "orders@example.com", "password": null, "enabled": true,
        "additionalProperties": [{"key": "mail.smtp.password", "value": "hunter2"}],
    }));
    assert_eq!(
        text,
        "type: email\nname: order-mails\nhost: ${SMTP_HOST}\nport: 465\nauth: true\n\
         username: orders@example.com\npassword: ${env:PAYMENTS_ORDER_MAILS_PASSWORD}\n\
         additionalProperties:\n  - key: mail.smtp.password\n    \
         value: ${env:PAYMENTS_ORDER_MAILS_MAIL_SMTP_PASSWORD}\n"
    );
    assert!(variables.contains("\nPAYMENTS_ORDER_MAILS_PASSWORD=\n"), "{variables}");
    assert!(!variables.contains("hunter2"));
}

#[test]
fn a_secret_that_nothing_requires_is_offered() {
    let (text, variables) = one(json!({
        "type": "activeMq", "name": "broker", "activeMqConnectionProtocolType": "TCP",
        "brokerURL": "tcp://mq:61616", "destinationType": "QUEUE", "destinationName": "q",
        "username": "app", "password": "****",
    }));
    let offer = "username: app\n# password: ${env:PAYMENTS_BROKER_PASSWORD} # or null; the API \
                 does not show whether one is set\ndestinationType: QUEUE\n";
    assert!(text.contains(offer), "{text}");
    assert!(variables.contains("\n# PAYMENTS_BROKER_PASSWORD=\n"), "{variables}");
}

#[test]
fn apinizers_own_variables_stay() {
    let body = json!({
        "type": "linux-script", "name": "n", "hostName": "${HOST}", "username": "u",
        "password": "${SSH_PASSWORD}",
    });
    let (text, variables) = one(body);
    assert!(
        text.contains("\nhostName: ${HOST}\nusername: u\npassword: ${SSH_PASSWORD}\n"),
        "{text}"
    );
    assert!(!variables.contains("SSH_PASSWORD"));
}

#[test]
fn fields_that_git_declares_with_a_reference_are_not_shown() {
    let field =
        |text: &str| BaseField { declared: Value::from(text), print: None, unverified: false };
    let mut record = Record::default();
    let base = [("/host", field("${env:SMTP}.internal")), ("/password", field("${env:MAILS}"))];
    let owned = Owned {
        type_name: "email".to_owned(),
        base: Arc::new(base.map(|(path, field)| (path.to_owned(), field)).into()),
        ..Owned::default()
    };
    record.edit(&ConnectionName::new("mails"), |memory| memory.owned = Some(owned));
    let mut known = KnownReferences::default();
    known.add_record(&record);
    let body = json!({
        "type": "email", "name": "Mails", "host": "hidden-host.internal", "auth": true,
        "username": "u", "password": "hunter2",
    });
    let export = export(&[body], &known);
    assert_eq!(
        export.documents[0].text,
        "type: email\nname: Mails\nhost: ${env:SMTP}.internal\nauth: true\nusername: u\n\
         password: ${env:MAILS}\n"
    );
    let names: Vec<&str> = export.variables.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["SMTP", "MAILS"]);
}

#[test]
fn declared_fields_of_the_server_stay() {
    let field = BaseField { declared: json!("k1"), print: None, unverified: false };
    let owned = Owned {
        type_name: "kafka".to_owned(),
        base: Arc::new([("/keyStoreId".to_owned(), field)].into()),
        ..Owned::default()
    };
    let mut record = Record::default();
    record.edit(&ConnectionName::new("k"), |memory| memory.owned = Some(owned));
    let mut known = KnownReferences::default();
    known.add_record(&record);
    let body = |name: &str| {
        json!({"type": "kafka", "name": name, "id": "7", "topicName": "t", "keyStoreId": "k1",
            "propertiesMap": {"acks": {"value": "all"}}})
    };
    let export = export(&[body("k"), body("other")], &known);
    let declares: Vec<bool> =
        export.documents.iter().map(|one| one.text.contains("keyStoreId: k1\n")).collect();
    assert_eq!(declares, [true, false]);
    assert!(export.documents.iter().all(|one| !one.text.contains("id: ")));
}

#[test]
fn names_that_no_document_can_have_are_passed_over() {
    let export = export(
        &[json!({"type": "email", "name": "a/b", "host": "h"})],
        &KnownReferences::default(),
    );
    assert!(export.documents.is_empty());
    assert_eq!(
        export.passed_over,
        ["the email connection \"a/b\" cannot be declared: its name holds a `/`"]
    );
}

#[test]
fn texts_that_look_like_references_are_escaped() {
    let (text, _) = one(json!({
        "type": "email", "name": "n", "host": "h", "from": "${env:HOME} ${var:x} ${OK}",
    }));
    let document: Value = serde_yaml::from_str(&text).unwrap();
    let declared = &document["from"];
    assert!(!desired::holds_env(declared), "{declared}");
    assert_eq!(declared, "$${env:HOME} $${var:x} $${OK}");
}
