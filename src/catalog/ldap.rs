//! LDAP directories.

use super::{ConnectionType, Field, SecretsOnGet};

pub(super) static LDAP: ConnectionType = ConnectionType {
    name: "ldap",
    about: "An LDAP directory or Active Directory that users are looked up in.",
    console_only: Some("a timeout"),
    secrets_on_get: SecretsOnGet::Masked,
    own_fields: &[
        Field::text("serverAddress").required().about("Address of the server, with its port."),
        Field::choice("requireCertificateType", &["NOT_REQUIRED", "REQUIRED_CN", "REQUIRED_AN_PN"])
            .default_text("NOT_REQUIRED")
            .about("Whether users need a certificate, and where their name stands in it."),
        Field::text("username")
            .required_by_the_guide()
            .about("User (bind DN) that searches the directory."),
        Field::text("password").required_by_the_guide().secret().about("Password of that user."),
        Field::text("customFilter").about("Filter that users have to match."),
        Field::choice("searchScope", &["OBJECT", "ONE_LEVEL", "SUBTREE"])
            .default_text("SUBTREE")
            .about("How deep below `baseDn` users are searched."),
        Field::text("baseDn").required().about("Entry below which users are searched."),
        Field::text("certificateId")
            .filled_by_server()
            .about("Id that the server gives the certificate of `certificateName`."),
        Field::text("certificateName").about(
            "Name of the certificate in Apinizer; needed with `useSsl` where certificates are \
             checked.",
        ),
        Field::flag("useSsl", false).about("Whether the directory is reached over TLS."),
        Field::text("selectedEnvironmentId")
            .guide_only()
            .about("Id of the environment whose variables are used."),
    ],
};
