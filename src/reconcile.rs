//! One reconcile of one target: read the source, load, resolve, observe, plan; and, where
//! asked for, apply. Commands and the daemon both call it, so none can do what another would
//! not.

mod carry_out;
mod earlier_commits;
mod load;
mod prepare;
mod recall;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Client, ClientSettings, Retries, RetryPolicy, SharedClients, WriteLimit};
use crate::audit::{Asked, HistoryFile, Trail, TrailerConsent, Trails};
use crate::config::{
    Config, Credentials, Location, OnInvalid, SecretText, SourceConfig, Target, config_digest,
};
use crate::desired::Resolution;
use crate::digest::sha256_hex;
use crate::document::ParseCache;
use crate::environment::{Environment, Unset};
use crate::leadership::{self, Leadership};
use crate::links::Links;
use crate::plan::saved::Digests;
use crate::plan::unanswered::FoundDone;
use crate::plan::{Observed, RunRequests, Tally, TargetPlan};
use crate::profile::Profile;
use crate::record::{GoodCommit, Record};
use crate::secret::{FingerprintKey, Redactor, Sensitive};
use crate::source::{self, Commit, Mirror, Repository, Snapshot, SourceError};
use crate::state::{KnownStates, StateFile};

use prepare::Opened;

pub use carry_out::carry_out;
use load::LastLoaded;
pub(crate) use load::{load_request, load_target};
pub use prepare::prepare;

/// The values that live as long as the process: the configuration, the environment, parsed
/// documents.
pub struct Engine {
    /// The configuration.
    pub config: Config,
    /// Where references are looked up.
    pub environment: Environment,
    /// Learns every secret that is resolved or read.
    pub redactor: Redactor,
    /// The documents of blobs that were parsed.
    pub cache: Arc<ParseCache>,
    /// The documents of the last commit of each target.
    loaded: LastLoaded,
    /// The config file relative to the root of the repository, if it lies in it.
    pub config_file: Option<String>,
    /// The mirror that is read, where the source is a url.
    pub mirror: Option<Mirror>,
    /// The API clients of targets, kept for their connections and tokens.
    pub clients: Clients,
    /// Decides which process acts for a target.
    pub leadership: Arc<dyn Leadership>,
    /// The audit trails of targets.
    trails: Trails,
    /// The states that this process read or wrote.
    pub(crate) states: KnownStates,
}

impl Engine {
    /// Starts with nothing read.
    pub fn new(config: Config, environment: Environment) -> Self {
        let redactor = Redactor::default();
        learn_what_was_resolved(&config, &redactor);
        Self {
            leadership: leadership::of(&config, &environment),
            config_file: config.file_in_repository(),
            config,
            environment,
            redactor,
            cache: Arc::default(),
            loaded: LastLoaded::default(),
            mirror: None,
            clients: Clients::default(),
            trails: Trails::default(),
            states: KnownStates::default(),
        }
    }

    /// The source of the config; nothing is read yet.
    ///
    /// # Errors
    /// The url may not be fetched.
    pub(crate) fn source(&self) -> Result<source::Source, SourceError> {
        let SourceConfig { location, branch, verify, .. } = &self.config.source;
        let (path, mirror) = match location {
            Location::Path(path) => (path.clone(), None),
            Location::Url(url) => {
                let state_dir = &self.config.state_dir;
                let (environment, redactor) = (&self.environment, &self.redactor);
                let mirror = Mirror::new(url, branch.as_deref(), state_dir, environment, redactor)?;
                (mirror.path().to_path_buf(), Some(mirror))
            }
        };
        Ok(source::Source::new(path, mirror, branch.clone(), verify.clone()))
    }

    /// The same with what another config's run learnt of secrets.
    #[must_use]
    pub fn with_redactor(self, redactor: Redactor) -> Self {
        learn_what_was_resolved(&self.config, &redactor);
        Self { redactor, ..self }
    }

    /// The file that holds the state of a target.
    pub fn state_file(&self, target: &Target) -> StateFile {
        let file = StateFile::of_target(&self.config.state_dir, target);
        file.kept_in(self.leadership.state_store(target)).noted_in(&self.states)
    }

    /// The audit trail of a target; one that does not keep its history is only logged.
    pub(crate) fn trail(&self, target: &Target, keeps_history: bool) -> Arc<Trail> {
        let file = || keeps_history.then(|| HistoryFile(self.state_file(target).history()));
        self.trails.of(&target.name, &self.redactor, file)
    }

    /// The digest that decides which documents a target reads, and from where: while it stays the
    /// same, the state answers for the last good commit, and the repository need not be asked.
    pub fn config_digest(&self, target: &Target) -> String {
        let location = match &self.config.source.location {
            Location::Path(path) => format!("path {}", path.display()),
            Location::Url(url) => format!("url {url}"),
        };
        let branch = self.config.source.branch.as_deref().unwrap_or_default();
        sha256_hex(&format!("{location}\n{branch}\n{}", config_digest(target)))
    }

    /// Where commits and files are shown on the web. What came from the environment is not shown in a
    /// link either.
    pub(crate) fn links(&self) -> Option<Links> {
        let SourceConfig { links, location, as_written, .. } = &self.config.source;
        links.clone().or_else(|| {
            match location {
                Location::Url(url) => Some(url.clone()).filter(|url| url == as_written),
                Location::Path(path) => Repository::open(path).ok()?.origin(),
            }
            .and_then(|url| Links::of(&url))
        })
    }

    /// How the references of a target are resolved.
    pub(crate) fn resolution<'a>(
        &'a self,
        target: &'a Target,
        options: &RunOptions,
    ) -> Resolution<'a> {
        let environment = options.with_secrets.then_some(&self.environment);
        let profile = target.profile.as_ref();
        Resolution { vars: &target.vars, environment, redactor: &self.redactor, profile }
    }
}

/// The options of a run.
#[derive(Clone)]
pub struct RunOptions {
    /// Whether anything is written, the state included.
    pub writes: bool,
    /// The requests of the run: its filter and its consents.
    pub requests: RunRequests,
    /// `--base`: the revision that stands for the state.
    pub base_revision: Option<Snapshot>,
    /// `--resend-secrets`.
    pub resend_secrets: bool,
    /// Whether values of the environment are resolved and compared.
    pub with_secrets: bool,
    /// Whether the snapshot is applied as the newest of the branch, and not as one that was named.
    pub follows: bool,
    /// Which secrets are read back.
    pub read_back: ReadBackMode,
    /// How long another process on the same state is waited for.
    pub lock_timeout: Duration,
    /// How calls are made again.
    pub retries: RetryPolicy,
    /// Why the run is made, and who asked for it.
    pub asked: Asked,
    /// Ends waits and begins nothing more: a shutdown, or a newer commit.
    pub stop: CancellationToken,
    /// By when every write has to be over.
    pub limit: WriteLimit,
}

/// Which secrets are read back in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBackMode {
    /// None.
    Nothing,
    /// All that are due.
    Due,
    /// Those that are due, spread over the resyncs.
    Spread,
    /// All (`--verify-secrets`).
    All,
}

/// A step of a reconcile that can fail for the target as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Reading and loading the documents.
    Load,
    /// Resolving the credentials and making the client.
    Connect,
    /// Locking or reading the state.
    State,
    /// Comparing with what earlier commits declared.
    EarlierCommits,
    /// Asking the API for the lists.
    Observe,
}

/// A target whose plan is made; [`carry_out()`] does the rest.
pub struct Prepared<'e> {
    /// The target.
    pub target: &'e Target,
    /// The plan; with errors and without changes where the target could not be looked at.
    pub plan: TargetPlan,
    /// The commit that was looked at; `None`: the working tree.
    pub commit: Option<Commit>,
    /// Whether the commit was refused for its documents.
    pub refused: bool,
    /// Whether the server refused the credentials, or its certificate is not trusted: more calls
    /// would only be more refusals.
    pub credentials_refused: bool,
    /// The step that failed, where the target could not be looked at.
    pub failed_step: Option<Step>,
    /// The inputs of carrying it out; `None` where the target could not be looked at.
    pub(crate) ready: Option<Ready>,
}

/// The inputs of carrying a plan out.
pub(crate) struct Ready {
    /// The things that were known before.
    pub(crate) opened: Opened,
    /// The record as the plan leaves it.
    pub(crate) record: Record,
    /// The answers that were read of live.
    pub(crate) observed: Observed,
    pub(crate) tally: Tally,
    /// The calls of earlier runs that were found done.
    pub(crate) found_done: Vec<FoundDone>,
    /// The declarations of this commit, if it loaded whole and the run is not narrowed.
    pub(crate) good: Option<GoodCommit>,
    /// The consents that commits give by their trailers.
    pub(crate) consents: Vec<TrailerConsent>,
    /// The commit that was read, or the working tree.
    pub(crate) snapshot: Snapshot,
}

impl Prepared<'_> {
    /// Digests of the inputs of the plan; `None` where the target could not be looked at.
    pub fn digests(&self) -> Option<Digests> {
        let Ready { opened, observed, .. } = self.ready.as_ref()?;
        Some(Digests::of(&opened.desired, observed, &opened.before))
    }

    /// Whether somebody suspended the target; `None` where it could not be looked at.
    pub fn is_suspended(&self) -> Option<bool> {
        self.ready.as_ref().map(|ready| ready.opened.before.suspended)
    }

    /// Takes a plan's entries, and adds its notices and errors to those that were told before it.
    fn take(&mut self, plan: TargetPlan) {
        self.plan.entries = plan.entries;
        self.plan.notices.extend(plan.notices);
        self.plan.errors.extend(plan.errors);
    }
}

/// The plan of a target, with nothing in it yet.
pub(crate) fn plan_of(target: &Target) -> TargetPlan {
    TargetPlan {
        name: target.name.clone(),
        project: target.project_as_written.clone(),
        url: target.manager.url_as_written.clone(),
        ..TargetPlan::default()
    }
}

/// Whether a target applies the valid documents of a commit that does not load whole.
fn isolates(target: &Target) -> bool {
    target.policy.on_invalid == OnInvalid::Isolate
}

/// Runs work that blocks on git or the disk without holding up the tasks beside it. That wakes another
/// thread, so a resync does it only where it reads something.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Has the values of the environment that the config refers to kept out of whatever is told. Of a
/// url errors name the host alone, in small letters.
fn learn_what_was_resolved(config: &Config, redactor: &Redactor) {
    for value in config.resolved.iter().map(Sensitive::expose) {
        redactor.learn(value);
        redactor.learn(&value.to_lowercase());
        let url = url::Url::parse(value).ok();
        if let Some(host) = url.as_ref().and_then(url::Url::host_str) {
            redactor.learn(host);
        }
    }
}

// The credentials and the client of a target.

/// The clients of targets, kept between reconciles as long as their credentials stay the same.
#[derive(Default)]
pub struct Clients {
    by_target: Mutex<BTreeMap<String, (String, Client)>>,
    shared: SharedClients,
}

/// Why a target cannot be called.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// A credential has no value.
    #[error("the credentials of the target are not there: {0}")]
    Unset(#[from] Unset),
    /// The environment names no usable proxy.
    #[error("{0}")]
    Proxy(String),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] api::ClientError),
}

/// A client, and the key that fingerprints are made under.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) key: FingerprintKey,
    /// How its server behaves.
    pub(crate) profile: Option<Arc<Profile>>,
}

/// The client of a target, for commands that only read.
///
/// # Errors
/// A credential has no value, or the client cannot be made.
pub(crate) fn client(engine: &Engine, target: &Target) -> Result<Client, ConnectError> {
    connect(engine, target).map(|connection| connection.client)
}

/// Resolves the credentials of a target and gives its client.
fn connect(engine: &Engine, target: &Target) -> Result<Connection, ConnectError> {
    let environment = &engine.environment;
    // A token in a file is another one every hour, for as long as this process runs.
    let resolve = |what: &str, written: &SecretText| {
        let value = written.resolve(environment)?;
        if written.holds_reference() {
            engine.redactor.learn_next((&target.name, what), value.expose());
        }
        Ok::<_, Unset>(value)
    };
    let (credentials, credential, whole) = match &target.manager.credentials {
        Credentials::Token(token) => {
            let token = resolve("token", token)?;
            (api::ResolvedCredentials::Token(token.clone()), token.clone(), token)
        }
        Credentials::ClientCredentials { username, password } => {
            let username = resolve("username", username)?;
            let password = resolve("password", password)?;
            let credential = password.clone();
            let whole = format!("{}\0{}", username.expose(), password.expose());
            let credentials = api::ResolvedCredentials::ClientCredentials { username, password };
            (credentials, credential, Sensitive::new(whole))
        }
    };
    let key = match &engine.config.fingerprint_key {
        Some(text) => FingerprintKey::derive(&resolve("fingerprint_key", text)?),
        None => FingerprintKey::derive(&credential),
    };
    // Not the key's own check value, which may be shared by two credentials.
    let print = FingerprintKey::derive(&whole).check_value();
    let mut clients = engine.clients.by_target.lock();
    let client = match clients.get(&target.name) {
        Some((known, client)) if *known == print => client.clone(),
        _ => {
            let proxy = api::Proxy::for_url(&target.manager.url, environment)
                .map_err(ConnectError::Proxy)?;
            let settings = settings(target, credentials, proxy);
            let client = Client::new(settings, engine.redactor.clone(), &engine.clients.shared)?;
            clients.insert(target.name.clone(), (print, client.clone()));
            client
        }
    };
    Ok(Connection { client, key, profile: target.profile.clone() })
}

impl Connection {
    /// The same for one run, whose retries have a budget of their own.
    fn with_retries(self, options: &RunOptions) -> Self {
        let retries = Retries::new(options.retries, options.stop.child_token());
        let client = self.client.with_retries(retries.within(options.limit.clone()));
        Self { client, ..self }
    }
}

fn settings(
    target: &Target,
    credentials: api::ResolvedCredentials,
    proxy: Option<api::Proxy>,
) -> ClientSettings {
    ClientSettings {
        target: target.name.clone(),
        url: target.manager.url.clone(),
        project: target.project.clone(),
        credentials,
        timeout: target.manager.timeout,
        max_response: target.manager.max_response,
        ca_file: target.manager.ca_file.clone(),
        proxy,
        concurrency: target.manager.concurrency,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Resolve;

    #[test]
    fn the_host_of_a_url_of_the_environment_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.yaml");
        let text = "source: {path: .}\ntargets: [{name: t, url: '${env:U}', project: '${env:P}', \
                    token: '${env:T}'}]\n";
        std::fs::write(&file, text).unwrap();
        let variables = [("U", "https://Secret-Host.example:81/x"), ("P", "Secret"), ("T", "t")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment::new(variables);
        let config = Config::load(&file, &environment, Resolve::All).unwrap();
        let redactor = Engine::new(config, environment).redactor;
        let said = redactor.redact("no address of secret-host.example:81 for the project Secret");
        assert_eq!(said, "no address of (sensitive):81 for the project (sensitive)");
    }
}
