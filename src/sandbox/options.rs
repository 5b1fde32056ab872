//! How a sandbox behaves: every choice that servers in the field make differently.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;

use crate::catalog::{self, ConnectionType};
pub use crate::profile::{
    Dialect, Mask, Names, OnExisting, OnMasked, OnMissing, Profile, Rename, UnknownFields, Unset,
};
use crate::profile::{Support, TypeProfile};
use crate::secret::Sensitive;

/// How a sandbox behaves. Most of it can be changed while it runs, with
/// [`Control::alter`](super::Control::alter).
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// All that `probe` can find out.
    pub profile: Profile,
    /// Who may call, and what there is to call.
    pub access: Access,
    /// Where the server's own id of a connection is shown.
    pub ids: Ids,
    /// Shows when a connection was created and changed, and by whom.
    pub bookkeeping: bool,
    /// Cipher text in the place of a secret has a new nonce each time.
    pub fresh_nonces: bool,
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
    pub client: Option<TokenClient>,
    /// How long a token lasts that was asked for.
    pub token_ttl: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self::of_profile(Profile::default())
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
        }
    }
}

impl Options {
    /// Behaves as a profile says; types that it does not name behave as their guides say.
    pub fn of_profile(mut profile: Profile) -> Self {
        for known in catalog::all() {
            profile.types.entry(known.name.to_owned()).or_insert_with(|| TypeProfile {
                masked: SecretsOnGet::ByGuide.masks(known),
                ..TypeProfile::default()
            });
        }
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            profile,
            access: Access::default(),
            ids: Ids::Everywhere,
            bookkeeping: false,
            fresh_nonces: false,
            variables: Variables::default(),
            latency: Duration::ZERO,
            fault: None,
        }
    }

    /// Behaves as by default, but for a change.
    pub fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut options = Self::default();
        change(&mut options);
        options
    }

    /// Shows secrets in this way.
    pub fn showing(secrets: SecretsOnGet) -> Self {
        Self::with(|options| options.show(secrets))
    }

    /// Speaks a dialect, and is as it is in all else.
    #[must_use]
    pub fn in_dialect(mut self, dialect: Dialect) -> Self {
        self.profile.dialect = Some(dialect);
        self
    }

    /// Changes the behaviour of each type.
    pub fn each_type(&mut self, change: impl Fn(&ConnectionType, &mut TypeProfile)) {
        for known in catalog::all() {
            change(known, self.of_type(known.name));
        }
    }

    /// The behaviour of one type.
    pub fn of_type(&mut self, type_name: &str) -> &mut TypeProfile {
        self.profile.types.entry(type_name.to_owned()).or_default()
    }

    /// Shows the secrets of all types in this way by `GET` of one connection; lists never show any.
    pub fn show(&mut self, secrets: SecretsOnGet) {
        self.fresh_nonces = secrets == SecretsOnGet::FreshCipher;
        self.each_type(|known, own| {
            own.masked.retain(|name, _| known.field(name).is_some_and(|field| !field.is_secret()));
            own.masked.extend(secrets.masks(known));
        });
    }

    /// The dialect that it speaks.
    pub(super) fn dialect(&self) -> Dialect {
        self.profile.dialect.unwrap_or(Dialect::Current)
    }

    /// The effect of `POST` where the name exists.
    pub(super) fn on_existing(&self) -> OnExisting {
        self.profile.existing.unwrap_or(match self.dialect() {
            Dialect::Current => OnExisting::Update,
            Dialect::Older => OnExisting::Refuse,
        })
    }

    /// Whether this server knows a type.
    pub(super) fn knows(&self, type_name: &str) -> bool {
        self.profile.types.get(type_name).is_some_and(|own| own.support != Support::Unknown)
            && catalog::find(type_name).is_some()
    }
}

/// Who may ask for a token.
#[derive(Clone, Debug)]
pub struct TokenClient {
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

impl SecretsOnGet {
    /// The secrets of a type in whose place `GET` shows something else.
    fn masks(self, known: &ConnectionType) -> BTreeMap<String, Mask> {
        let mask = match self {
            Self::Shown => return BTreeMap::new(),
            Self::ByGuide if known.secrets_on_get == catalog::SecretsOnGet::Shown => {
                return BTreeMap::new();
            }
            Self::ByGuide | Self::Masked => Mask::Nothing,
            Self::Asterisks => Mask::Asterisks,
            Self::Cipher | Self::FreshCipher => Mask::OtherText,
        };
        known.secrets().map(|field| (field.name.to_owned(), mask)).collect()
    }
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
