//! HTTP endpoints.

use super::{ConnectionType, Field, HiddenPlace, Kind, SecretsOnGet};

pub(super) static WEBHOOK: ConnectionType = ConnectionType {
    name: "webhook",
    about: "An HTTP endpoint that is called.",
    console_only: Some("a circuit breaker, TLS, batching and timeouts"),
    secrets_on_get: SecretsOnGet::NotStated,
    own_fields: &[
        Field::disputed_choice(
            "httpMethod",
            &["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"],
            &["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "ALL"],
        )
        .default_text("GET")
        .about("Method of the call."),
        Field::text("fullUrl")
            .required()
            .hides(HiddenPlace::Url)
            .about("URL that is called, query included."),
        Field::list("headerList", &Kind::Object(HEADER))
            .default_empty_list()
            .hides(HiddenPlace::Headers)
            .about("Headers of the call."),
        Field::int32("timeout").default_integer(2).about("How long a call may take, in seconds."),
        Field::int32("connectionPoolMaxConnectionPerHost")
            .default_integer(24)
            .about("Most connections to one host at a time."),
        Field::int32("connectionPoolMaxConnectionTotal")
            .default_integer(48)
            .about("Most connections at a time."),
    ],
};

static HEADER: &[Field] = &[
    Field::text("name").required().about("Name of the header."),
    Field::text("value").required().about("Value of the header."),
];
