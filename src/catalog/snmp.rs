//! SNMP managers.

use super::{Choices, Condition, ConnectionType, Field, HiddenPlace, Kind, SecretsOnGet};

const USER_AUTHENTICATION: Condition = Condition::Is("enableUserAuthentication", "true");
const AUTHENTICATED: Condition = Condition::Any(&[
    Condition::Is("securityLevel", "AUTH_NOPRIV"),
    Condition::Is("securityLevel", "AUTH_PRIV"),
]);
const ENCRYPTED: Condition = Condition::Is("securityLevel", "AUTH_PRIV");

pub(super) static SNMP: ConnectionType = ConnectionType {
    name: "snmp",
    about: "An SNMP manager that traps and informs are sent to.",
    console_only: None,
    secrets_on_get: SecretsOnGet::Masked,
    own_fields: &[
        Field::choice("version", &["V1", "V2c", "V3"])
            .required()
            .default_text("V1")
            .about("Version of the protocol."),
        Field::text("connectionString")
            .required()
            .default_text("udp:192.168.1.2/162")
            .about("Address of the manager: transport, host and port."),
        Field::text("securityOrCommunityName")
            .required()
            .hides(HiddenPlace::Community)
            .about("Community (V1 and V2c, where it is the credential) or security name (V3)."),
        Field::int32("retryCount").about("How often an unanswered message is sent again."),
        Field::int32("timeout").about("How long an answer may take, in milliseconds."),
        Field::choice("messageType", &["TRAP", "INFORM"])
            .about("Whether the manager confirms messages (INFORM) or not (TRAP)."),
        Field::text("pduOidForMessage").required().about("OID that carries the message."),
        Field::text("pduOidForTime").disputed_default(&[]).about("OID that carries the time."),
        Field::map("pduVariableMap", &Kind::Text)
            .default_empty_map()
            .about("Further variables of the message: value by OID."),
        Field::choice("securityLevel", &["NOAUTH_NOPRIV", "AUTH_NOPRIV", "AUTH_PRIV"])
            .about("Whether V3 messages are authenticated and encrypted."),
        Field::set(
            "privacyProtocolList",
            &Kind::Choice(Choices { guide: PRIVACY, openapi: PRIVACY }),
        )
        .default_empty_list()
        .disputed_default(&[])
        .about("Encryption methods that may be used."),
        Field::flag("enableUserAuthentication", false)
            .about("Whether V3 messages are sent in the name of a user."),
        Field::text("securityName").required_when(USER_AUTHENTICATION).about("Name of that user."),
        Field::choice(
            "usmUserAuthenticationProtocol",
            &[
                "AuthMD5",
                "AuthSHA",
                "AuthHMAC128SHA224",
                "AuthHMAC192SHA256",
                "AuthHMAC256SHA384",
                "AuthHMAC384SHA512",
            ],
        )
        .required_when(AUTHENTICATED)
        .about("How messages are authenticated."),
        Field::text("authPassphrase")
            .required_when(AUTHENTICATED)
            .secret_when(AUTHENTICATED)
            .about("Passphrase that messages are authenticated with."),
        Field::choice("usmUserPrivacyProtocol", PRIVACY)
            .required_when(ENCRYPTED)
            .about("How messages are encrypted."),
        Field::text("privPassphrase")
            .required_when(ENCRYPTED)
            .secret_when(ENCRYPTED)
            .about("Passphrase that messages are encrypted with."),
    ],
};

const PRIVACY: &[&str] = &[
    "PrivAES128",
    "PrivAES192",
    "PrivAES192with3DES",
    "PrivAES256",
    "PrivAES256with3DES",
    "PrivDES",
    "Priv3DES",
];
