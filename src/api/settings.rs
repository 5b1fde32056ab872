//! What a client has to know of its target, and why it may not come about.

use std::path::PathBuf;
use std::time::Duration;

use super::address::AddressError;
use super::token::Credentials;

/// What a client has to know of its target.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The target's name, for metrics and logs.
    pub target: String,
    /// The Manager's URL; it may have a path.
    pub url: String,
    /// The project, case-sensitive.
    pub project: String,
    /// Who calls.
    pub credentials: Credentials,
    /// The deadline of one call.
    pub timeout: Duration,
    /// The largest answer in bytes, unpacked.
    pub max_response: u64,
    /// Certificates to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// How many calls may be under way at once.
    pub concurrency: usize,
    /// What the client calls itself.
    pub user_agent: String,
}

/// Why there is no client; no text repeats a credential.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL or the project cannot be called.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// `ca_file` cannot be used.
    #[error("the target's `ca_file` {path} {problem}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The token has characters that no header takes.
    #[error("the target's token holds characters that no HTTP header can carry (a line break?)")]
    Token,
    /// The TLS side cannot be set up.
    #[error("no HTTP client can be made: {0} (are the system's CA certificates installed?)")]
    Setup(String),
}
