//! The configuration: one file, or a few flags for the single target.
//!
//! A file is read in three steps: YAML to values (`yaml`, as for documents), those to typed values
//! by the tables of keys (`keys`, `read`), and those to the [`Config`] with the checks that need
//! more than one key (`load`, `target`, `rules`, `notify`). Every problem of a file is found in one go.
//!
//! Values of the environment take part in two ways. Where a credential may stand, the reference
//! is kept as [`SecretText`] and resolved when it is used, so that a mounted secret can rotate.
//! Elsewhere it is resolved at load. Only the reference may be shown, which is why some values have a
//! twin `.._as_written`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::VariantNames;

use crate::diagnostic::Diagnostic;
use crate::environment::{Environment, Unset};
use crate::links::Links;
use crate::profile::Profile;
use crate::reference::{Segment, parse};
use crate::rules::UserRules;
use crate::secret::Sensitive;
use crate::source::{Repository, Verify};

mod fields;
mod flags;
mod keys;
mod load;
mod notify;
mod problems;
mod quantity;
mod read;
mod rules;
mod schema;
mod target;

pub(crate) use crate::source::CONFIG_FILE as FILE_NAME;
pub(crate) use flags::FlagSource;
pub(crate) use notify::{NotifyEvent, NotifyKind};
pub(crate) use quantity::{parse_duration, parse_listen, parse_max_deletes, parse_size};
pub use schema::schema;
pub(crate) use target::config_digest;

/// The whole configuration, checked. A secret in it is still a reference.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from; `None`: flags.
    pub file: Option<PathBuf>,
    /// Where the documents come from.
    pub source: SourceConfig,
    /// The targets, at least one, with names that differ.
    pub targets: Vec<Target>,
    /// The names of all targets of the file, also of those that a run leaves out.
    pub target_names: BTreeSet<String>,
    /// The daemon's HTTP listener.
    pub server: ServerConfig,
    /// Whom to tell.
    pub notify: Vec<Notify>,
    /// How replicas in a cluster share the targets; `None`: this process is alone.
    pub kubernetes: Option<Kubernetes>,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// The key of fingerprints as `${env:...}`; `None`: derived from the target's credential.
    pub fingerprint_key: Option<SecretText>,
    /// The values of the environment that were resolved at load, so that the redactor can learn
    /// them: they may not be shown either.
    pub resolved: Vec<Sensitive>,
    /// Problems that do not refuse it; every report of a target shows them.
    pub warnings: Vec<Diagnostic>,
}

impl Config {
    /// Its file relative to the root of the repository, if it lies in it: it is no document.
    pub(crate) fn file_in_repository(&self) -> Option<String> {
        let Location::Path(repository) = &self.source.location else { return None };
        let file = self.file.as_ref()?.canonicalize().ok()?;
        let root = Repository::open(repository).ok()?.root()?.canonicalize().ok()?;
        Some(file.strip_prefix(root).ok()?.to_str()?.to_owned())
    }
}

/// Which references are resolved at load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// All: a variable without a value is a problem of the config.
    All,
    /// Those whose variables have a value, as for `validate`; the others stay as they are written, and
    /// are not checked.
    Known,
}

/// A text that is kept as it is written, with or without `${env:NAME}` references; in a secret key it
/// holds nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretText(pub String);

impl SecretText {
    /// Whether it is made of `${env:NAME}` references and nothing else.
    pub fn is_reference(&self) -> bool {
        parse(&self.0).is_ok_and(|segments| {
            !segments.is_empty() && segments.iter().all(|s| matches!(s, Segment::Env(_)))
        })
    }

    /// Whether any of it comes from the environment.
    pub fn holds_reference(&self) -> bool {
        parse(&self.0).is_ok_and(|segments| segments.iter().any(|s| matches!(s, Segment::Env(_))))
    }

    /// The value that its references stand for now.
    ///
    /// # Errors
    /// A variable has no value.
    pub fn resolve(&self, environment: &Environment) -> Result<Sensitive, Unset> {
        let mut value = String::new();
        // A text that is no template was refused at load; it would stand for itself.
        let Ok(segments) = parse(&self.0) else { return Ok(Sensitive::new(self.0.clone())) };
        for segment in segments {
            match segment {
                Segment::Text(text) => value.push_str(&text),
                Segment::Env(name) => value.push_str(environment.lookup(name)?.expose()),
                Segment::Var(name) | Segment::Apinizer(name) => {
                    return Err(Unset::Missing(name.to_owned()));
                }
            }
        }
        Ok(Sensitive::new(value))
    }
}

/// Where the documents come from.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// A repository on this machine, or one that the tool fetches.
    pub location: Location,
    /// The path or url as the config has it, which is what may be shown.
    pub as_written: String,
    /// The branch; `None`: what HEAD names.
    pub branch: Option<String>,
    /// How often a url is fetched.
    pub poll: Duration,
    /// Only commits signed so are applied.
    pub verify: Option<Verify>,
    /// Where commits and files are shown on the web, where the config says it.
    pub links: Option<Links>,
}

/// Where the repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A checkout or a bare repository on this machine.
    Path(PathBuf),
    /// Whatever `git fetch` takes.
    Url(String),
}

/// One Manager URL, one project in it, and the credentials for it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// The Manager, and how it is called.
    pub manager: Manager,
    /// The project, case-sensitive.
    pub project: String,
    /// The project as the config has it, which is what may be shown.
    pub project_as_written: String,
    /// The folders to read, later ones patch earlier ones.
    pub paths: Vec<String>,
    /// Plain values by name: texts, numbers and booleans.
    pub vars: BTreeMap<String, Value>,
    /// The rules of the user that are for it.
    pub rules: UserRules,
    /// The rules for writes.
    pub policy: Policy,
    /// How often live is compared when git is quiet.
    pub resync: Duration,
    /// How often each secret that the API shows is read back.
    pub verify_secrets: Duration,
    /// The target that has to apply a commit before this one gets it.
    pub after: Option<After>,
    /// How its server behaves, as a probe found it.
    pub profile: Option<Arc<Profile>>,
}

impl Target {
    /// The project at its URL, of which no two targets are, and which has one state.
    pub(crate) fn project_at_url(&self) -> String {
        format!("{} at {}", self.project, self.manager.url)
    }
}

/// The identity of a target: one that is pointed elsewhere is another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TargetKey {
    /// Its name in the config.
    pub name: String,
    /// The project, as the config has it.
    pub project: String,
    /// The Manager's URL, as the config has it.
    pub url: String,
}

impl TargetKey {
    /// The key of a target of the config.
    pub(crate) fn of(target: &Target) -> Self {
        Self {
            name: target.name.clone(),
            project: target.project_as_written.clone(),
            url: target.manager.url_as_written.clone(),
        }
    }
}

/// The target that has to apply a commit first.
#[derive(Clone, Debug)]
pub struct After {
    /// Its name.
    pub target: String,
    /// For how long it has to have applied the commit whole.
    pub soak: Duration,
}

/// The Manager of a target, and how it is called.
#[derive(Clone, Debug)]
pub struct Manager {
    /// Its URL, without a trailing slash.
    pub url: String,
    /// The URL as the config has it, which is what may be shown.
    pub url_as_written: String,
    /// How the tool proves who it is.
    pub credentials: Credentials,
    /// Certificates to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// How many calls may be under way at once.
    pub concurrency: usize,
    /// The deadline of one call.
    pub timeout: Duration,
    /// The largest answer, in bytes.
    pub max_response: u64,
}

/// The rules for writes to a target.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether what git no longer declares is deleted.
    pub prune: bool,
    /// How many deletes a run may make.
    pub max_deletes: MaxDeletes,
    /// Which live connections are adopted.
    pub adopt: Adopt,
    /// Whether drift is written back or kept.
    pub drift: OnDrift,
    /// Whether a commit that does not load whole is refused.
    pub on_invalid: OnInvalid,
}

/// How the tool proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A bearer token.
    Token(SecretText),
    /// For a client-credentials token.
    ClientCredentials {
        /// The user; may hold references, may be plain.
        username: SecretText,
        /// The password.
        password: SecretText,
    },
}

/// How many deletes a run may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaxDeletes {
    /// A share of the inventory in percent, rounded down, never less than 3.
    Percent(u8),
    /// An exact count.
    Count(usize),
}

/// Which live connections are adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Adopt {
    /// All that git declares.
    Always,
    /// Those that are equal in all that can be read.
    Equal,
    /// None.
    Never,
}

/// Whether drift is written back or kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OnDrift {
    /// It is written back.
    Correct,
    /// It is shown and kept.
    Report,
}

/// Whether a commit that does not load whole is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OnInvalid {
    /// It is refused whole.
    Refuse,
    /// Its valid documents are applied, and nothing is deleted.
    Isolate,
}

/// The daemon's HTTP listener.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// Its address; `None`: switched off.
    pub listen: Option<std::net::SocketAddr>,
    /// For the calls that change something, and for page and API from other machines.
    pub token: Option<SecretText>,
    /// For `/hooks/*`.
    pub webhook_secret: Option<SecretText>,
}

/// How replicas in a Kubernetes cluster share the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// How long a replica that is silent keeps a target.
    pub lease: Duration,
    /// Whether the state is in a Secret for each target, and not in the state folder.
    pub state_in_secret: bool,
    /// The namespace of Leases and Secrets; `None`: that of the service account.
    pub namespace: Option<String>,
    /// The folder with the token, the certificates and the namespace of the service account.
    pub service_account: PathBuf,
    /// The URL of the Kubernetes API; `None`: that of the cluster around the process.
    pub api: Option<String>,
}

/// One receiver of notifications.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// Who is told, and in which form.
    pub kind: NotifyKind,
    /// Where it is sent; of a git host the address of the repository there.
    pub url: SecretText,
    /// The secret that signs or authorises it.
    pub secret: Option<SecretText>,
    /// Which events are told.
    pub events: Vec<NotifyEvent>,
}

#[cfg(test)]
mod tests;
