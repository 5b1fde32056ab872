//! Syslog servers.

use super::{ConnectionType, Default, Field, HiddenPlace, SecretsOnGet};

pub(super) static SYSLOG: ConnectionType = ConnectionType {
    name: "syslog",
    about: "A syslog server that logs are sent to.",
    console_only: Some("a circuit breaker, the queue, framing and timeouts"),
    secrets_on_get: SecretsOnGet::NotStated,
    own_fields: &[
        Field::choice("syslogProtocolType", &["TCP", "UDP"])
            .default_text("TCP")
            .about("Transport of the messages."),
        Field::text("syslogMessageHostname")
            .hides(HiddenPlace::HostnameOrKey)
            .about("Host name inside the messages; some cloud services want their key here."),
        Field::text("syslogServerHostname").required().about("Host name of the syslog server."),
        Field::port("syslogPort", 514).about("Port of the syslog server."),
        Field::int32("syslogTimeout")
            .default_integer(500)
            .disputed_default(&[Default::Integer(5000)])
            .about("How long connecting may take, in milliseconds."),
        Field::choice("syslogMessageFormat", &["RFC_3164", "RFC_5424", "RFC_5425"])
            .default_text("RFC_3164")
            .about("Format of the messages."),
        Field::text("syslogAppName")
            .default_text("Apinizer")
            .about("Application name inside the messages."),
        Field::choice("syslogFacility", FACILITIES)
            .default_text("AUDIT")
            .about("Facility that messages are sent with."),
        Field::choice("syslogSeverity", SEVERITIES)
            .default_text("INFORMATIONAL")
            .about("Severity that messages are sent with."),
        Field::flag("syslogSslEnabled", false).about("Whether the server is reached over TLS."),
    ],
};

#[rustfmt::skip]
const FACILITIES: &[&str] = &[
    "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV",
    "FTP", "NTP", "AUDIT", "ALERT", "CLOCK",
    "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
];

const SEVERITIES: &[&str] =
    &["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFORMATIONAL", "DEBUG"];
