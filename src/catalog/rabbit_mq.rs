//! RabbitMQ brokers.

use super::{Condition, ConnectionType, Field, HiddenPlace, Kind, SecretsOnGet};

const AUTHENTICATED: Condition = Condition::Is("authenticationEnabled", "true");

pub(super) static RABBIT_MQ: ConnectionType = ConnectionType {
    name: "rabbitMq",
    about: "A RabbitMQ broker that messages are published to.",
    console_only: Some("a circuit breaker, where logs are sent to the connection"),
    secrets_on_get: SecretsOnGet::Masked,
    own_fields: &[
        Field::list("hostPortList", &Kind::Object(HOST))
            .required()
            .about("Nodes of the broker, in the order in which they are tried."),
        Field::text("connectionFactoryVirtualHost").default_text("/").about("Virtual host."),
        Field::flag("authenticationEnabled", false)
            .about("Whether the broker asks for a user name and password."),
        Field::text("connectionFactoryUsername")
            .required_when(AUTHENTICATED)
            .about("User name at the broker."),
        Field::text("connectionFactoryPassword")
            .required_when(AUTHENTICATED)
            .secret_when(AUTHENTICATED)
            .about("Password at the broker."),
        Field::int32("connectionFactoryConnectionTimeout")
            .default_integer(60000)
            .about("How long connecting may take, in milliseconds."),
        // Strings in the guide, objects in the OpenAPI file.
        Field::map("connectionFactoryClientProperties", &Kind::Any)
            .hides(HiddenPlace::NamedValues)
            .about("What the client tells the broker about itself, by name."),
        Field::int32("connectionFactoryRequestedChannelMax")
            .default_integer(2047)
            .about("Most channels on one connection."),
        Field::int32("connectionFactoryRequestedFrameMax")
            .default_integer(0)
            .about("Largest frame in bytes; 0 sets no limit."),
        Field::int32("connectionFactoryRequestedHeartbeat")
            .default_integer(60)
            .about("Seconds between heartbeats; 0 switches them off."),
        Field::flag("connectionFactoryUseSslProtocol", false)
            .about("Whether the broker is reached over TLS."),
        Field::text("connectionFactorySslProtocol")
            .default_text("TLSv1.2")
            .about("TLS version that is used."),
        Field::text("channelExchange")
            .default_text("")
            .about("Exchange that messages go to; empty is the broker's default exchange."),
        Field::text("channelRoutingKey").about("Routing key of the messages."),
        Field::text("basicPropertiesAppId")
            .default_text("apinizer")
            .about("Application id of the messages."),
        Field::text("basicPropertiesContentType")
            .default_text("application/json")
            .about("Content type of the messages."),
        Field::text("basicPropertiesContentEncoding").about("Content encoding of the messages."),
        Field::int32("basicPropertiesDeliveryMode")
            .about("Delivery mode of the messages: 1 transient, 2 persistent."),
        Field::int32("basicPropertiesPriority").about("Priority of the messages."),
        Field::text("basicPropertiesReplyTo").about("Queue that answers go to."),
        Field::text("basicPropertiesExpiration")
            .about("How long a message lives, in milliseconds, written as text."),
        Field::text("basicPropertiesType").about("Type name of the messages."),
        Field::text("basicPropertiesUserId").about("User id of the messages."),
        Field::text("basicPropertiesClusterId").about("Cluster id of the messages."),
    ],
};

static HOST: &[Field] = &[
    Field::text("host").required().default_text("localhost").about("Host name of the node."),
    Field::port("port", 5672).about("Port of the node."),
];
