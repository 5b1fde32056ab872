//! The section `server`: what the daemon serves.

use super::Server;
use super::fields::Fields;

/// Builds the listener.
pub(super) fn build(fields: &Fields) -> Server {
    Server {
        listen: fields.listen("listen"),
        token: fields.secret("token"),
        webhook_secret: fields.secret("webhook_secret"),
    }
}
