//! FTP, FTPS and SFTP servers.

use super::{ConnectionType, Default, Field, SecretsOnGet};

pub(super) static FTP: ConnectionType = ConnectionType {
    name: "ftp",
    about: "A server that files are exchanged with by FTP, FTPS or SFTP.",
    console_only: None,
    secrets_on_get: SecretsOnGet::Masked,
    own_fields: &[
        Field::text("host").required().about("Host name of the server."),
        Field::port("port", 21).about("Port of the server."),
        Field::text("username").required().about("User name at the server."),
        Field::text("password").required_by_the_guide().secret().about("Password at the server."),
        Field::text("workingDir").default_text("/").about("Folder on the server to work in."),
        Field::disputed_choice("protocol", &["FTP", "SFTP", "FTPS"], &["ftp", "sftp", "ftps"])
            .required()
            .about("Protocol that is spoken."),
        Field::int32("timeout")
            .default_integer(30000)
            .disputed_default(&[Default::Integer(30)])
            .about("How long a call may take, in milliseconds."),
        Field::int32("retryCount")
            .default_integer(3)
            .about("How often a failed transfer is tried again."),
        Field::flag("useImplicit", false)
            .about("Whether FTPS encrypts from the first byte (implicit mode)."),
        Field::flag("useExplicit", false)
            .disputed_default(&[Default::Boolean(true)])
            .about("Whether FTPS upgrades a plain session (explicit mode)."),
        Field::text("sslProtocol").about("TLS version that FTPS uses."),
    ],
};
