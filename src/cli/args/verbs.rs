//! The arguments of each command, and those that several commands share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::parse_duration;
use crate::sandbox::{Dialect, Fault, SecretsOnGet};

/// The form in which a result is written to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people at a terminal.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

/// The form of a result that has no use on a pull request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people at a terminal.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The targets and the filter of a run. `--name` and `--type` narrow it: it deletes nothing outside them.
/// `--target` alone does not: on that target the run is a whole one.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NarrowArgs {
    /// Only this target of the config (repeatable).
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<String>,
    /// Only connections whose name matches, without regard to case (repeatable).
    #[arg(long = "name", value_name = "GLOB")]
    pub names: Vec<String>,
    /// Only connections of this type (repeatable).
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
}

/// Which files are read, and what live is compared with besides.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadArgs {
    /// Read this commit, branch or tag instead of the config's branch.
    #[arg(long, value_name = "REV")]
    pub rev: Option<String>,
    /// Work without a state: base and inventory are what this commit declared.
    #[arg(long, value_name = "REV")]
    pub base: Option<String>,
    /// Read the working tree, uncommitted files and all, instead of a commit.
    #[arg(long, conflicts_with = "rev")]
    pub worktree: bool,
}

/// The writes that are allowed beyond those that the rules let through by themselves.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteArgs {
    /// Consent to deletes that a limit or a missing path holds back.
    #[arg(long)]
    pub allow_deletes: bool,
    /// Consent to the delete of this connection, though no commit asked for it: its exact name
    /// (repeatable).
    #[arg(long, value_name = "NAME")]
    pub allow_delete: Vec<String>,
    /// Consent to changes that this rule of the config holds (repeatable).
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,
    /// Send every declared secret again, whatever was sent before.
    #[arg(long)]
    pub resend_secrets: bool,
    /// How long an apply waits for another process that works on the same state; a plan never waits.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    #[serde(skip)]
    pub lock_timeout: Duration,
}

/// The arguments of `plan`.
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    /// The filter of the run.
    #[command(flatten)]
    pub narrow: NarrowArgs,
    /// Which files are read.
    #[command(flatten)]
    pub read: ReadArgs,
    /// The writes that are allowed.
    #[command(flatten)]
    pub writes: WriteArgs,
    /// Save the plan for `apply FILE`; there is no secret in it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Neither resolve nor compare values from the environment; says so and lists their names.
    #[arg(long, conflicts_with_all = ["verify_secrets", "resend_secrets"])]
    pub without_secrets: bool,
    /// Read each secret back that the API shows, and compare it.
    #[arg(long)]
    pub verify_secrets: bool,
    /// List the live connections that git neither declares nor owns.
    #[arg(long)]
    pub list_unmanaged: bool,
    /// Show each change in one line, without its differences, equal reasons once (text, markdown).
    #[arg(long)]
    pub summary: bool,
    /// The form of the plan.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// The arguments of `apply`.
#[derive(Args, Clone, Debug)]
pub struct ApplyArgs {
    /// A plan saved by `plan --out`: it is carried out as it stands or, if anything moved, not at
    /// all.
    #[arg(value_name = "PLANFILE")]
    pub plan_file: Option<PathBuf>,
    /// The filter of the run.
    #[command(flatten)]
    pub narrow: NarrowArgs,
    /// Which files are read.
    #[command(flatten)]
    pub read: ReadArgs,
    /// The writes that are allowed.
    #[command(flatten)]
    pub writes: WriteArgs,
    /// Do not ask; required where there is no terminal.
    #[arg(short, long)]
    pub yes: bool,
    /// The form of the outcome; the plan that is asked about is text.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// The arguments of `pull`.
#[derive(Args, Clone, Debug)]
pub struct PullArgs {
    /// The filter of the run.
    #[command(flatten)]
    pub narrow: NarrowArgs,
    /// Take this commit, the last that was applied, for the values on which git and live last agreed:
    /// where the state is on another machine.
    #[arg(long, value_name = "REV")]
    pub base: Option<String>,
    /// Also write new documents for live connections that git does not declare, as `export` does.
    #[arg(long)]
    pub unmanaged: bool,
    /// Only say what would be written.
    #[arg(long)]
    pub check: bool,
    /// Change files that have changes which are not committed, too.
    #[arg(long)]
    pub force: bool,
    /// The form of what is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: TextOrJson,
}

/// The arguments of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Never write, neither to the API nor to the state; keep reporting.
    #[arg(long)]
    pub dry_run: bool,
    /// Make one reconcile and exit as `apply` does; with `--dry-run`, as `plan` does.
    #[arg(long)]
    pub once: bool,
    /// Follow the files of the working tree instead of commits; deletes and replaces are held.
    #[arg(long)]
    pub worktree: bool,
    /// Where to serve status page, API, probes and metrics, instead of the config's
    /// server.listen; `none` for nowhere.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Only this target of the config (repeatable).
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<String>,
}

/// The arguments of `forget`.
#[derive(Args, Clone, Debug)]
pub struct ForgetArgs {
    /// The connections to forget.
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// The target whose inventory holds them; needed where the config has several.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// How long to wait for another process that works on the same state.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub lock_timeout: Duration,
}

/// The arguments of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// The daemon's URL [default: server.listen of the config].
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Only ask whether the daemon makes progress, as the health check of a container does; needs
    /// no token and prints nothing.
    #[arg(long)]
    pub probe: bool,
    /// The form of the status.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// The arguments of `suspend` and `resume`.
#[derive(Args, Clone, Debug)]
pub struct DaemonArgs {
    /// The daemon's URL [default: server.listen of the config].
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Only this target of the daemon.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
}

/// The arguments of `reconcile`.
#[derive(Args, Clone, Debug)]
pub struct ReconcileArgs {
    /// The daemon and the target.
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// Wait for the end of the reconcile, show its outcome, and end with 1 unless the newest commit
    /// of the source is in force. Drift that a target only reports (`drift: report`) ends with 0,
    /// as it does with `apply`.
    #[arg(long)]
    pub wait: bool,
}

/// The arguments of `history`.
#[derive(Args, Clone, Debug)]
pub struct HistoryArgs {
    /// Only this target of the config (repeatable).
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<String>,
    /// Only connections whose name matches, without regard to case (repeatable).
    #[arg(long = "name", value_name = "GLOB")]
    pub names: Vec<String>,
    /// Only events since then: how long ago, as in `36h`, or a time, as in `2026-01-31T08:00:00Z`.
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub since: Option<Timestamp>,
    /// The form of the history.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: TextOrJson,
}

fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = parse_duration(text).ok().and_then(|ago| SignedDuration::try_from(ago).ok());
    let since = ago.and_then(|ago| Timestamp::now().checked_sub(ago).ok());
    since.ok_or_else(|| "it is neither a duration nor a time".to_owned())
}

/// The form in which problems are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ValidateOutput {
    /// For people at a terminal, with the source lines.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
    /// Workflow commands that GitHub shows beside the lines.
    Github,
}

/// The arguments of `validate`.
#[derive(Args, Clone, Debug)]
pub struct ValidateArgs {
    /// Files and folders to check, as they are on disk; without any, what the config's targets
    /// read.
    #[arg(value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Check the files of this commit instead of those on disk.
    #[arg(long, value_name = "REV", conflicts_with = "files")]
    pub rev: Option<String>,
    /// Only what this target of the config reads (repeatable).
    #[arg(long = "target", value_name = "NAME", conflicts_with = "files")]
    pub targets: Vec<String>,
    /// Take warnings for errors.
    #[arg(long)]
    pub strict: bool,
    /// The form of the problems.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: ValidateOutput,
}

/// The arguments of `export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Write into this folder, one file for each connection, instead of to stdout.
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// Write one file with all documents.
    #[arg(long, requires = "dir")]
    pub single_file: bool,
    /// Only connections of this type (repeatable).
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only connections whose name matches, without regard to case (repeatable).
    #[arg(long = "name", value_name = "GLOB")]
    pub names: Vec<String>,
    /// Also write the fields that hold their documented default.
    #[arg(long)]
    pub full: bool,
    /// Overwrite files that exist.
    #[arg(long)]
    pub force: bool,
    /// The target to read; needed where the config has several.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
}

/// The arguments of `sandbox`.
#[derive(Args, Clone, Debug)]
pub struct SandboxArgs {
    /// The address to serve on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    pub listen: SocketAddr,
    /// Begin with the connections of this file: JSON, a list of connections for each project.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Behave as this profile says, which `probe --out` wrote.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dialect", "secrets"])]
    pub profile: Option<PathBuf>,
    /// Which dialect of the API it speaks.
    #[arg(long, value_enum, value_name = "DIALECT", default_value = "current")]
    pub dialect: Dialect,
    /// How GET of one connection shows secrets; lists never show them.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "masked")]
    pub secrets: SecretsOnGet,
    /// A project that exists (repeatable); without any, every project does.
    // The id is that of the global flag, of which this one takes the place.
    #[arg(id = "project", long = "project", value_name = "NAME")]
    pub projects: Vec<String>,
    /// An environment variable that each project has (repeatable).
    #[arg(long = "variable", value_name = "NAME")]
    pub variables: Vec<String>,
    /// Who may call it.
    #[command(flatten)]
    pub access: SandboxAccess,
    /// The fault of every call, until `PUT /sandbox/fault` says otherwise.
    #[arg(long, value_enum, value_name = "FAULT")]
    pub fault: Option<Fault>,
    /// How long each answer is held back.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    pub latency: Duration,
}

/// Who may call a sandbox. The tokens are made up for a server that holds nothing real, so they may
/// stand on a command line.
#[derive(Args, Clone, Debug)]
pub struct SandboxAccess {
    /// The bearer token that it asks for; without one and without --client-id it takes any.
    #[arg(long, value_name = "TEXT", env = "APINIZER_SANDBOX_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The client id that it gives tokens to.
    #[arg(long, value_name = "TEXT", requires = "client_secret")]
    pub client_id: Option<String>,
    /// The client secret that goes with --client-id.
    #[arg(
        long,
        value_name = "TEXT",
        env = "APINIZER_SANDBOX_CLIENT_SECRET",
        hide_env_values = true
    )]
    pub client_secret: Option<String>,
    /// How long a token that it gave is good for.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    pub token_ttl: Duration,
}

/// The arguments of `probe`.
#[derive(Args, Clone, Debug)]
pub struct ProbeArgs {
    /// The target whose server and credentials are used; needed where the config has several.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// The scratch project to make connections in; none that a target of the config uses.
    // The id is that of the global flag, of which this one takes the place.
    #[arg(id = "project", long = "project", value_name = "NAME")]
    pub scratch: String,
    /// Write what was found as a profile, which holds no value of a connection.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Do not ask before connections are made; required without a terminal.
    #[arg(long)]
    pub yes: bool,
    /// The form of what was found.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: TextOrJson,
}
