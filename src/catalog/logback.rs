//! Log files of the gateway's pods.

use super::{ConnectionType, Field, SecretsOnGet};

pub(super) static LOGBACK: ConnectionType = ConnectionType {
    name: "logback",
    about: "Log files that the gateway writes on its own disk.",
    console_only: Some("a circuit breaker, where logs are sent to the connection"),
    secrets_on_get: SecretsOnGet::NotStated,
    own_fields: &[
        Field::text("logPath")
            .required()
            .default_text("/path/to/logs/")
            .about("Folder that the files are written to."),
        Field::text("logFileName")
            .required()
            .default_text("ApinizerApiProxyTraffic")
            .about("What the names of the files begin with."),
        Field::text("logPodName")
            .required()
            .default_text("")
            .filled_by_server()
            .about("Name of the pod that writes the files."),
        Field::text("logFilenamePattern")
            .required()
            .default_text("%d{yyyy-MM-dd}.%i.log")
            .about("How rolled files are named: Logback's pattern of date and index."),
        Field::text("logPattern")
            .required()
            .default_text("%d{yyyy-MM-dd HH:mm:ss.SSS}[%m]%n")
            .about("How a line is written: Logback's layout pattern."),
        Field::int32("maxFileSize")
            .required()
            .default_integer(25)
            .about("Size at which a file is rolled, in megabytes."),
        Field::int32("maxHistory")
            .required()
            .default_integer(0)
            .about("How many rolled files are kept; 0 keeps all."),
        Field::int32("totalSizeCap")
            .required()
            .default_integer(0)
            .about("Size of all files together, in megabytes; 0 sets no limit."),
    ],
};
