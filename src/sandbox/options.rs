//! How a sandbox behaves: every choice that servers in the field make differently.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::faults::Faults;
use super::rewrite::Rewrite;
use crate::secret::Sensitive;

/// How a sandbox behaves. Most of it can be changed while it runs, with
/// [`Control::alter`](super::Control::alter).
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The file that keeps the connections; without one they live in memory.
    pub data: Option<PathBuf>,
    /// Which of the two dialects it speaks.
    pub dialect: Dialect,
    /// The projects that exist.
    pub projects: Vec<String>,
    /// Every project exists, whatever its name.
    pub any_project: bool,
    /// The bearer tokens that are accepted. With none, and without a client, any token is; a
    /// call without a token is always refused.
    pub tokens: Vec<Sensitive>,
    /// Who may ask for a token. Without one, anybody may.
    pub client: Option<Client>,
    /// How long a token lasts that was asked for.
    pub token_ttl: Duration,
    /// What `GET` of one connection shows of secrets; lists never show any.
    pub secrets: SecretsOnGet,
    /// What `POST` does where the name exists; `None`: as the dialect has it.
    pub existing: Option<OnExisting>,
    /// The status where a project or a connection is not found; `None`: as the dialect has it.
    pub missing: Option<OnMissing>,
    /// What a `PUT` with another name in its body does.
    pub rename: Rename,
    /// What is answered for a field that no write has set.
    pub unset: Unset,
    /// Leaves fields out that are null, instead of answering `null`.
    pub omit_nulls: bool,
    /// What the entries of a list hold.
    pub list_fields: ListFields,
    /// Shows the server's own `id` of each connection.
    pub show_ids: bool,
    /// Shows when a connection was created and changed, and by whom.
    pub bookkeeping: bool,
    /// Forgets the fields of a write that the type does not have.
    pub drop_unknown_fields: bool,
    /// Types that this server does not know.
    pub unsupported_types: Vec<String>,
    /// Values that the server changes as it stores them.
    pub rewrites: Vec<Rewrite>,
    /// Whose deployment to the workers fails.
    pub deployments: Deployments,
    /// How long every call takes at least.
    pub latency: Duration,
    /// How many calls are taken in a second; `None`: as many as come.
    pub rate_limit: Option<u32>,
    /// Faults that strike by chance.
    pub faults: Faults,
    /// What the chances, the ids and the cipher texts are drawn from.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: None,
            dialect: Dialect::Current,
            projects: vec!["demo".to_owned()],
            any_project: false,
            tokens: Vec::new(),
            client: None,
            token_ttl: Duration::from_secs(3600),
            secrets: SecretsOnGet::ByGuide,
            existing: None,
            missing: None,
            rename: Rename::Allowed,
            unset: Unset::Null,
            omit_nulls: false,
            list_fields: ListFields::All,
            show_ids: true,
            bookkeeping: false,
            drop_unknown_fields: false,
            unsupported_types: Vec::new(),
            rewrites: Vec::new(),
            deployments: Deployments::Done,
            latency: Duration::ZERO,
            rate_limit: None,
            faults: Faults::default(),
            seed: 0,
        }
    }
}

impl Options {
    /// What `POST` does where the name exists.
    #[must_use]
    pub fn on_existing(&self) -> OnExisting {
        self.existing.unwrap_or(match self.dialect {
            Dialect::Current => OnExisting::Update,
            Dialect::Older => OnExisting::Refuse,
        })
    }
}

/// The two shapes of answers that servers in the field give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// `{"status": "SUCCESS", ...}`.
    Current,
    /// `{"success": true, ...}`.
    Older,
}

/// Who may ask for a token.
#[derive(Clone, Debug)]
pub struct Client {
    /// The `client_id`.
    pub id: String,
    /// The `client_secret`.
    pub secret: Sensitive,
}

/// What `GET` of one connection shows of its secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SecretsOnGet {
    /// What the guide of each type says; `null` where it says nothing.
    ByGuide,
    /// `null`.
    Masked,
    /// The secret itself.
    Shown,
    /// Asterisks.
    Asterisks,
    /// A text that is the same for the same secret, and is not the secret.
    Cipher,
}

/// What `POST` does where the name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnExisting {
    /// It replaces the connection.
    Update,
    /// It answers 400, that the name already exists.
    Refuse,
    /// It answers 409, that the name already exists.
    Conflict,
}

/// The status where a project or a connection is not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnMissing {
    /// 404.
    NotFound,
    /// 400.
    BadRequest,
}

/// What a `PUT` with another name in its body does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rename {
    /// It renames the connection.
    Allowed,
    /// It is refused: path and body have to agree.
    Refused,
}

/// What is answered for a field that no write has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unset {
    /// `null`.
    Null,
    /// The documented default; `null` where there is none.
    Default,
    /// Nothing: the field is left out.
    Absent,
}

/// What the entries of a list hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFields {
    /// Every field.
    All,
    /// Only the fields that all types share.
    Summary,
}

/// Whose deployment to the workers fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployments {
    /// Nobody's.
    Done,
    /// That of the connections with these names, without regard to case.
    FailingFor(Vec<String>),
    /// Everybody's.
    Failing,
}

impl Deployments {
    /// Whether the deployment of a connection fails.
    #[must_use]
    pub fn fails_for(&self, name: &str) -> bool {
        match self {
            Self::Done => false,
            Self::Failing => true,
            Self::FailingFor(names) => {
                names.iter().any(|failing| failing.to_lowercase() == name.to_lowercase())
            }
        }
    }
}
