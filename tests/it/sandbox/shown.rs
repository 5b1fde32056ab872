use super::*;
use crate::world::SandboxOptions as _;
use apinizer_gitops::testing::sandbox::{Ids, Mask, SecretsOnGet, Unset};

#[tokio::test]
async fn lists_never_show_a_secret() {
    for secrets in [SecretsOnGet::Shown, SecretsOnGet::Cipher, SecretsOnGet::Masked] {
        let trial = Trial::of(Options::showing(secrets)).await;
        trial.create(&email("orders")).await;
        let list = trial.list("email").await;
        assert_eq!(list[0]["password"], Value::Null);
        assert!(list[0].as_object().unwrap().contains_key("password"));
        assert_eq!(list[0]["username"], "orders");
    }
}

#[tokio::test]
async fn a_get_shows_secrets_as_it_is_told() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    let ftp = json!({"type": "ftp", "name": "files", "host": "ftp.example.com", "password": "p"});
    trial.create(&email("orders")).await;
    trial.create(&ftp).await;
    assert_eq!(trial.get("orders").await["password"], "hunter2", "as the guide of email says");
    assert_eq!(trial.get("files").await["password"], Value::Null, "as the guide of ftp says");

    control.alter(|options| options.show(SecretsOnGet::Masked));
    assert_eq!(trial.get("orders").await["password"], Value::Null);
    control.alter(|options| options.show(SecretsOnGet::Shown));
    assert_eq!(trial.get("files").await["password"], "p");
    control.alter(|options| options.show(SecretsOnGet::Asterisks));
    assert_eq!(trial.get("orders").await["password"], "********");
    control.alter(|options| options.show(SecretsOnGet::Cipher));
    let cipher = trial.get("orders").await["password"].clone();
    assert!(cipher.as_str().unwrap().starts_with("{cipher}"));
    assert_eq!(trial.get("orders").await["password"], cipher, "the same every time");
}

#[tokio::test]
async fn unset_fields_are_null_or_their_default_or_absent() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    trial.create(&json!({"type": "email", "name": "a", "host": "h", "from": null})).await;
    assert_eq!(trial.get("a").await["port"], Value::Null);
    assert_eq!(trial.list("email").await[0]["port"], Value::Null);
    control.alter(|options| options.read_unset_as(Unset::Default));
    assert_eq!(trial.get("a").await["port"], 587);
    assert_eq!(trial.list("email").await[0]["enabled"], true);
    assert_eq!(trial.get("a").await["additionalProperties"], json!([]));
    control.alter(|options| {
        options.read_unset_as(Unset::LeftOut);
        options.ids = Ids::Nowhere;
    });
    let expected = json!({"type": "email", "name": "a", "host": "h", "projectName": "demo"});
    assert_eq!(trial.get("a").await, expected);
    assert_eq!(trial.list("email").await[0], expected);
}

#[tokio::test]
async fn a_summary_lacks_most_fields() {
    let trial = Trial::of(Options::with(Options::list_summaries)).await;
    trial.create(&email("orders")).await;
    let list = trial.list("email").await;
    assert_eq!(list[0]["name"], "orders");
    assert_eq!(list[0].get("host"), None);
    assert_eq!(trial.get("orders").await["host"], "smtp.example.com");
}

#[tokio::test]
async fn the_server_fills_its_own_fields() {
    let trial = Trial::of(Options { bookkeeping: true, ..Options::default() }).await;
    let elastic = json!({
        "type": "elasticsearch",
        "name": "logs",
        "elasticHostList": [{"scheme": "https", "host": "es", "port": 9200}],
    });
    trial.create(&elastic).await;
    let shown = trial.get("logs").await;
    assert_eq!(shown["projectName"], "demo");
    assert_eq!(shown["elasticHostList"][0]["status"], "green");
    assert!(shown["id"].is_string() && shown["created"].is_string());
    let (status, _) = trial.call("PUT", &one("logs"), Some(&shown)).await;
    assert_eq!(status, StatusCode::OK, "the answer can be sent back");
    let stored = trial.stored("logs").unwrap();
    assert_eq!(stored.get("id"), None);
    assert_eq!(stored.get("projectName"), None);
}

#[tokio::test]
async fn kafka_names_its_stores_in_lists_and_shows_their_ids_elsewhere() {
    let trial = Trial::current().await;
    let kafka =
        json!({"type": "kafka", "name": "events", "topicName": "t", "keyStoreName": "keys"});
    trial.create(&kafka).await;
    let list = trial.list("kafka").await;
    assert_eq!((&list[0]["keyStoreName"], list[0].get("keyStoreId")), (&json!("keys"), None));
    let shown = trial.get("events").await;
    assert!(shown["keyStoreId"].is_string());
    assert_eq!(shown.get("keyStoreName"), None);
    let (status, _) = trial.call("PUT", &one("events"), Some(&shown)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(trial.list("kafka").await[0]["keyStoreName"], "keys");
}

#[tokio::test]
async fn types_and_fields_are_shown_in_ways_of_their_own() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    let graylog = json!({
        "type": "graylog", "name": "logs", "host": "h", "tlsTrustCertChainFile": "Y2VydA==",
    });
    trial.create(&email("orders")).await;
    trial.create(&graylog).await;
    assert_eq!(trial.get("logs").await["tlsTrustCertChainFile"], "Y2VydA==");
    control.alter(|options| {
        options.show(SecretsOnGet::FreshCipher);
        options.mask("graylog", "tlsTrustCertChainFile", Mask::Nothing);
    });
    assert_eq!(trial.get("logs").await["tlsTrustCertChainFile"], Value::Null);
    assert_eq!(trial.list("graylog").await[0]["tlsTrustCertChainFile"], Value::Null);
    let (first, second) = (trial.get("orders").await, trial.get("orders").await);
    assert_ne!(first["password"], second["password"], "another nonce each time");
    assert!(!first.to_string().contains("hunter2"));
    assert_eq!(trial.list("email").await[0]["password"], Value::Null);
    control.alter(|options| options.show(SecretsOnGet::Shown));
    assert_eq!(trial.get("orders").await["password"], "hunter2");
}

#[tokio::test]
async fn ids_are_shown_in_lists_or_by_get_or_both() {
    let trial = Trial::current().await;
    trial.create(&email("orders")).await;
    for (ids, listed, got) in [
        (Ids::Everywhere, true, true),
        (Ids::OnlyInLists, true, false),
        (Ids::OnlyOnGet, false, true),
        (Ids::Nowhere, false, false),
    ] {
        trial.running.control().alter(|options| options.ids = ids);
        assert_eq!(trial.list("email").await[0].get("id").is_some(), listed, "{ids:?}");
        assert_eq!(trial.get("orders").await.get("id").is_some(), got, "{ids:?}");
    }
}
