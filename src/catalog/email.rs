//! Mail servers.

use super::{Condition, ConnectionType, Field, HiddenPlace, Kind, SecretsOnGet};

const AUTHENTICATED: Condition = Condition::Is("auth", "true");

pub(super) static EMAIL: ConnectionType = ConnectionType {
    name: "email",
    about: "An SMTP server that mails are sent through.",
    console_only: Some("settings of SSL"),
    secrets_on_get: SecretsOnGet::Shown,
    own_fields: &[
        Field::text("host").required().about("Host name of the SMTP server."),
        Field::port("port", 587)
            .about("Port of the SMTP server: 587 with STARTTLS, 465 with TLS, 25 often blocked."),
        Field::flag("enableStartTls", false)
            .about("Whether the session is upgraded to TLS by STARTTLS."),
        Field::flag("auth", false).about("Whether the server asks for a user name and password."),
        Field::text("username").required_when(AUTHENTICATED).about("User name at the SMTP server."),
        Field::text("password")
            .required_when(AUTHENTICATED)
            .secret_when(AUTHENTICATED)
            .about("Password at the SMTP server."),
        Field::text("defaultEncoding")
            .default_text("UTF-8")
            .about("Character encoding of the mails."),
        Field::text("addressToTest").about("Address that a test mail goes to."),
        Field::text("from").about("Sender of mails that name none themselves."),
        Field::set("additionalProperties", &Kind::Object(PROPERTY))
            .default_empty_list()
            .hides(HiddenPlace::KeyValueList)
            .about("Further SMTP properties, each a key and a value."),
    ],
};

static PROPERTY: &[Field] = &[
    Field::text("key").about("Name of the property, `mail.smtp.timeout` say."),
    Field::text("value").about("Value of the property."),
];
