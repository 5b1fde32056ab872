//! Kafka clusters.

use super::{Choices, Condition, ConnectionType, Field, HiddenPlace, Kind, SecretsOnGet};

const SECURE: Condition = Condition::Is("enableSecure", "true");

pub(super) static KAFKA: ConnectionType = ConnectionType {
    name: "kafka",
    about: "A topic of a Kafka cluster that messages are produced to.",
    console_only: Some("a circuit breaker, where logs are sent to the connection"),
    secrets_on_get: SecretsOnGet::NotStated,
    own_fields: &[
        Field::text("topicName").required().about("Topic that messages go to."),
        Field::map("propertiesMap", &Kind::Object(PROPERTY))
            .required()
            .hides(HiddenPlace::KafkaProperties)
            .about("Properties of the Kafka client by name; `bootstrap.servers` belongs here."),
        Field::flag("enableSecure", false).about("Whether the cluster is reached over TLS."),
        Field::set("protocolTypes", &Kind::Choice(PROTOCOLS))
            .required_when(SECURE)
            .default_empty_list()
            .about("TLS versions that may be used."),
        Field::text("keyStoreName")
            .required_when(SECURE)
            .about("Name of the key store in Apinizer that proves who we are."),
        Field::text("trustStoreName")
            .about("Name of the key store in Apinizer that says whom we trust."),
        Field::text("keyStoreId")
            .openapi_only()
            .filled_by_server()
            .about("Id that the server gives the key store of `keyStoreName`."),
        Field::text("trustStoreId")
            .openapi_only()
            .filled_by_server()
            .about("Id that the server gives the key store of `trustStoreName`."),
    ],
};

const PROTOCOLS: Choices = {
    const WORDS: &[&str] = &["TLS_1_3", "TLS_1_2", "TLS_1_1", "TLS_1_0", "SSL_3_0"];
    Choices { guide: WORDS, openapi: WORDS }
};

static PROPERTY: &[Field] = &[
    Field::text("value").about("Value of the property, written as text."),
    Field::choice(
        "valueType",
        &["STRING", "BOOLEAN", "INTEGER", "LONG", "DOUBLE", "FLOAT", "STRING_LIST", "URI"],
    )
    .about("What the text stands for."),
    Field::any("valueByType")
        .openapi_only()
        .filled_by_server()
        .about("The value after the server has read it as its `valueType`."),
];
