//! The arguments of `sandbox`, `demo` and `probe`. The tokens here are made up for a server that holds
//! nothing real, which is why they may stand on a command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::TextOrJson;
use crate::config::parse_duration;
use crate::sandbox::{Dialect, Fault, SecretsOnGet};

/// The arguments of `sandbox`.
#[derive(Args, Clone, Debug)]
pub struct SandboxArgs {
    /// The address to serve on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    pub listen: SocketAddr,
    /// Keep the connections in this file instead of in memory only.
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

/// Who may call a sandbox.
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
    /// Answer 429 to more calls a second than this.
    #[arg(long, value_name = "CALLS")]
    pub rate_limit: Option<u32>,
}

/// The arguments of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// The folder to work in, kept afterwards [default: a temporary one, removed at the end].
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// Where the daemon serves its status page; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
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
