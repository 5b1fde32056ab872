//! ActiveMQ brokers.

use super::{Condition, ConnectionType, Field, HiddenPlace, SecretsOnGet};

pub(super) static ACTIVE_MQ: ConnectionType = ConnectionType {
    name: "activeMq",
    about: "A queue or topic of an ActiveMQ broker that messages are sent to.",
    console_only: Some("a circuit breaker, where logs are sent to the connection"),
    secrets_on_get: SecretsOnGet::Masked,
    own_fields: &[
        Field::choice("activeMqConnectionProtocolType", &["TCP", "AMQP"])
            .required()
            .about("Protocol that the broker is spoken to with."),
        Field::text("brokerURL")
            .required()
            .hides(HiddenPlace::Url)
            .about("URL of the broker, `tcp://host:61616` or a `failover:(...)`."),
        Field::text("username")
            .about("User name at the broker; without one the gateway does not log in."),
        Field::text("password")
            .secret_when(Condition::Present("username"))
            .about("Password at the broker."),
        Field::choice("destinationType", &["QUEUE", "TOPIC"])
            .required()
            .about("Whether messages go to a queue or to a topic."),
        Field::text("destinationName").required().about("Name of the queue or topic."),
        Field::choice(
            "sessionAcknowledgement",
            &[
                "AUTO_ACKNOWLEDGE",
                "CLIENT_ACKNOWLEDGE",
                "DUPS_OK_ACKNOWLEDGE",
                "SESSION_TRANSACTED",
            ],
        )
        .default_text("AUTO_ACKNOWLEDGE")
        .about("How the session acknowledges messages."),
        Field::int64("sendTimeout")
            .default_integer(60000)
            .about("How long sending may take, in milliseconds."),
        Field::int64("requestTimeout")
            .default_integer(60000)
            .about("How long an answer may take, in milliseconds."),
        Field::int64("closeTimeout")
            .default_integer(60000)
            .about("How long closing may take, in milliseconds."),
        Field::int64("connectTimeout")
            .default_integer(60000)
            .about("How long connecting may take, in milliseconds."),
        Field::text("contentType").about("Content type of the messages."),
        Field::text("clientID").about("Client id, for durable subscriptions."),
        Field::text("contentEncoding").about("Content encoding of the messages."),
    ],
};
