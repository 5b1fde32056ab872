//! Graylog servers.

use super::{Condition, ConnectionType, Field, SecretsOnGet};

pub(super) static GRAYLOG: ConnectionType = ConnectionType {
    name: "graylog",
    about: "A Graylog input that logs are sent to in GELF.",
    console_only: Some("a circuit breaker, where logs are sent to the connection"),
    secrets_on_get: SecretsOnGet::Masked,
    own_fields: &[
        Field::text("hostname").required().about("Host name of the Graylog input."),
        Field::port("port", 12201).about("Port of the Graylog input."),
        Field::choice("transportType", &["TCP", "UDP"])
            .default_text("TCP")
            .about("Transport of the input."),
        Field::flag("tlsEnabled", false).about("Whether the input is reached over TLS."),
        Field::flag("tlsCertVerificationEnabled", false)
            .about("Whether the certificate of the input is checked."),
        Field::choice("compressionType", &["NONE", "GZIP", "ZLIB"])
            .default_text("NONE")
            .about("How messages are compressed."),
        Field::disputed_choice(
            "gelfMessageLevel",
            &["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"],
            &[
                "EMERGENCY(0)",
                "ALERT(1)",
                "CRITICAL(2)",
                "ERROR(3)",
                "WARNING(4)",
                "NOTICE(5)",
                "INFO(6)",
                "DEBUG(7)",
            ],
        )
        .default_text("INFO")
        .about("Level that messages are sent with."),
        Field::int32("queueSize").default_integer(512).about("Messages that may wait to be sent."),
        Field::int32("reconnectDelay")
            .default_integer(2500)
            .about("Pause before connecting again, in milliseconds."),
        Field::int32("connectTimeout")
            .default_integer(10000)
            .about("How long connecting may take, in milliseconds."),
        Field::flag("tcpNoDelay", true).about("Whether small packets are sent at once."),
        Field::flag("tcpKeepAlive", false).about("Whether idle TCP connections are probed."),
        Field::int32("sendBufferSize")
            .default_integer(-1)
            .about("Send buffer of the socket in bytes; -1 leaves it to the system."),
        Field::int32("maxInflightSends")
            .default_integer(512)
            .about("Messages that may be on their way at once."),
        Field::int32("threads")
            .default_integer(0)
            .about("Threads that send; 0 lets the client decide."),
        Field::bytes("tlsTrustCertChainFile")
            .used_when(Condition::Is("tlsEnabled", "true"))
            .about("Certificates that the input's certificate is checked against."),
        Field::text("tlsTrustCertChainFileName").about("File name of those certificates."),
        Field::flag("appendToAttributes", true)
            .about("Whether log fields become attributes of the message."),
        Field::flag("appendToMessage", true)
            .about("Whether log fields are written into the text of the message."),
    ],
};
