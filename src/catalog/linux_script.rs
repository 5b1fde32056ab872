//! Hosts that scripts run on.

use super::{ConnectionType, Field, SecretsOnGet};

pub(super) static LINUX_SCRIPT: ConnectionType = ConnectionType {
    name: "linux-script",
    about: "A Linux host on which scripts are run over SSH.",
    console_only: None,
    secrets_on_get: SecretsOnGet::Masked,
    own_fields: &[
        Field::text("hostName").required().about("Host name of the machine."),
        Field::port("sshPort", 22).about("Port of its SSH server."),
        Field::text("username").required().about("User that scripts run as."),
        Field::text("password").required().secret().about("Password of that user."),
    ],
};
