//! How a sandbox behaves: every choice that servers in the field make differently.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::catalog;
pub use crate::profile::{
    Dialect, Names, OnExisting, OnHidden, OnMissing, Rename, UnknownFields, Unset,
};
use crate::profile::{Profile, Support, TypeProfile};
use crate::secret::Sensitive;

/// How a sandbox behaves. Most of it can be changed while it runs, with
/// [`Control::alter`](super::Control::alter).
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The file that keeps the connections; without one they live in memory.
    pub data: Option<PathBuf>,
    /// The ids and the cipher texts depend on it.
    pub seed: u64,
    /// Which of the two dialects it speaks.
    pub dialect: Dialect,
    /// Who may call, and what there is to call.
    pub access: Access,
    /// How `GET` of one connection shows secrets that [`Options::types`] does not name; lists
    /// never show any.
    pub secrets: SecretsOnGet,
    /// How answers are shown beside that.
    pub answers: Answers,
    /// The behaviour of writes.
    pub writes: Writes,
    /// How single types behave, as a profile says it; for these types it counts before all else.
    pub types: BTreeMap<String, TypeProfile>,
    /// The environment variables that the list of each project shows.
    pub variables: Variables,
    /// How long every call takes at least.
    pub latency: Duration,
    /// The fault of every call.
    pub fault: Option<Fault>,
}

/// Who may call, and what there is to call.
#[derive(Clone, Debug)]
pub struct Access {
    /// The projects that exist.
    pub projects: Vec<String>,
    /// Every project exists, whatever its name.
    pub any_project: bool,
    /// The bearer tokens that are accepted. With none, and without a client, any token is; a
    /// call without a token is always refused.
    pub tokens: Vec<Sensitive>,
    /// The client that may ask for a token. Without one, any client may.
    pub client: Option<Client>,
    /// How long a token lasts that was asked for.
    pub token_ttl: Duration,
    /// How many calls are taken in a second; `None`: as many as come.
    pub rate_limit: Option<u32>,
}

/// How answers are shown.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The status where a project or a connection is not found; `None`: as the dialect has it.
    pub missing: Option<OnMissing>,
    /// Where the server's own id of a connection is shown.
    pub ids: Ids,
    /// The answer for a field that no write has set.
    pub unset: Unset,
    /// Leaves fields out that are null, instead of answering `null`.
    pub omit_nulls: bool,
    /// The fields of the entries of a list.
    pub list_fields: ListFields,
    /// Shows when a connection was created and changed, and by whom.
    pub bookkeeping: bool,
}

/// The behaviour of writes.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// The effect of `POST` where the name exists; `None`: as the dialect has it.
    pub existing: Option<OnExisting>,
    /// The effect of a `PUT` with another name in its body.
    pub rename: Rename,
    /// How often a name may exist in a project.
    pub names: Names,
    /// The treatment of fields that the type does not have.
    pub unknown_fields: UnknownFields,
    /// The effect of a `PUT` whose hidden field is `null`.
    pub null_secret: OnHidden,
    /// The effect of a `PUT` that leaves a hidden field out.
    pub omitted_secret: OnHidden,
    /// Values that the server changes as it stores them.
    pub rewrites: Vec<Rewrite>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: None,
            seed: 0,
            dialect: Dialect::Current,
            access: Access::default(),
            secrets: SecretsOnGet::ByGuide,
            answers: Answers::default(),
            writes: Writes::default(),
            types: BTreeMap::new(),
            variables: Variables::default(),
            latency: Duration::ZERO,
            fault: None,
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            projects: vec!["demo".to_owned()],
            any_project: false,
            tokens: Vec::new(),
            client: None,
            token_ttl: Duration::from_secs(3600),
            rate_limit: None,
        }
    }
}

impl Access {
    /// Lets any token into these projects.
    pub fn to(projects: &[&str]) -> Self {
        let projects = projects.iter().map(|name| (*name).to_owned()).collect();
        Self { projects, ..Self::default() }
    }
}

impl Options {
    /// Behaves as a profile says.
    pub fn of_profile(profile: &Profile) -> Self {
        Self {
            dialect: profile.dialect.unwrap_or(Dialect::Current),
            secrets: SecretsOnGet::Shown,
            answers: Answers { missing: profile.missing, ..Answers::default() },
            writes: Writes {
                existing: profile.existing,
                rename: profile.rename.unwrap_or_default(),
                names: profile.names.unwrap_or_default(),
                ..Writes::default()
            },
            types: profile.types.clone(),
            ..Self::default()
        }
    }

    /// Does not know these types.
    pub fn without_types(names: &[&str]) -> Self {
        let unknown = TypeProfile { support: Support::Unknown, ..TypeProfile::default() };
        let types = names.iter().map(|name| ((*name).to_owned(), unknown.clone())).collect();
        Self { types, ..Self::default() }
    }

    /// The effect of `POST` where the name exists.
    pub fn on_existing(&self) -> OnExisting {
        self.writes.existing.unwrap_or(match self.dialect {
            Dialect::Current => OnExisting::Update,
            Dialect::Older => OnExisting::Refuse,
        })
    }

    /// The effect of a `PUT` whose hidden field is `null`, or left out.
    pub(super) fn on_hidden(&self, type_name: &str, is_null: bool) -> OnHidden {
        let own = self.types.get(type_name);
        let (own, all) = if is_null {
            (own.and_then(|own| own.null_secret), self.writes.null_secret)
        } else {
            (own.and_then(|own| own.omitted_secret), self.writes.omitted_secret)
        };
        own.unwrap_or(all)
    }

    /// Whether this server knows a type.
    pub(super) fn knows(&self, type_name: &str) -> bool {
        self.types.get(type_name).is_none_or(|own| own.support != Support::Unknown)
            && catalog::find(type_name).is_some_and(|known| known.name == type_name)
    }
}

/// Who may ask for a token.
#[derive(Clone, Debug)]
pub struct Client {
    /// The `client_id`.
    pub id: String,
    /// The `client_secret`.
    pub secret: Sensitive,
}

/// How `GET` of one connection shows its secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SecretsOnGet {
    /// As the guide of each type says; `null` where it says nothing.
    ByGuide,
    /// `null`.
    Masked,
    /// The secret itself.
    Shown,
    /// Asterisks.
    Asterisks,
    /// Cipher text, the same for the same secret.
    Cipher,
    /// Cipher text with a new nonce each time.
    FreshCipher,
}

/// Where the server's own id of a connection is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// In lists and by `GET` of one connection.
    #[default]
    Everywhere,
    /// In lists alone.
    OnlyInLists,
    /// By `GET` of one connection alone.
    OnlyOnGet,
    /// Nowhere.
    Nowhere,
}

/// The fields of the entries of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListFields {
    /// Every field.
    #[default]
    All,
    /// Only the fields that all types share.
    Summary,
}

/// The environment variables of a project, as their list shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variables {
    /// The names of all of them; values are never shown.
    Named(Vec<String>),
    /// The token lacks the permission.
    Forbidden,
    /// The server is older than the call.
    NoSuchCall,
}

impl Default for Variables {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// The fault of every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// 500, and nothing is done.
    Error,
    /// 503, and nothing is done.
    Unavailable,
    /// 401, and nothing is done.
    Unauthorized,
    /// Writes are saved, and their deployment to the workers fails.
    Undeployed,
}

/// One field that the server rewrites at every write.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewrite {
    /// The type whose connections it touches.
    pub type_name: String,
    /// The field.
    pub field: String,
    /// The result for its value.
    pub to: RewriteTo,
}

/// The result for a value.
#[derive(Clone, Debug, PartialEq)]
pub enum RewriteTo {
    /// Its text in lower case.
    Lowercase,
    /// Its text in upper case.
    Uppercase,
    /// Always this value.
    Value(Value),
    /// The field is forgotten.
    Forgotten,
}

impl Rewrite {
    /// Names the field and what becomes of it.
    pub fn new(type_name: &str, field: &str, to: RewriteTo) -> Self {
        Self { type_name: type_name.to_owned(), field: field.to_owned(), to }
    }

    /// Changes the body of a write, if it is for this rewrite.
    pub(super) fn apply(&self, type_name: &str, body: &mut Map<String, Value>) {
        if self.type_name != type_name {
            return;
        }
        let Some(value) = body.get_mut(&self.field) else { return };
        match (&self.to, value) {
            (RewriteTo::Lowercase, Value::String(text)) => *text = text.to_lowercase(),
            (RewriteTo::Uppercase, Value::String(text)) => *text = text.to_uppercase(),
            (RewriteTo::Lowercase | RewriteTo::Uppercase, _) => {}
            (RewriteTo::Value(other), value) => *value = other.clone(),
            (RewriteTo::Forgotten, _) => {
                body.remove(&self.field);
            }
        }
    }
}
