//! The arguments of `sandbox` and `demo`. The tokens here are made up for a server that holds
//! nothing real, which is why they may stand on a command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use crate::config::parse_duration;

/// Which of the two dialects of the API the sandbox speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DialectArg {
    /// `status: SUCCESS`; POST on an existing name updates it.
    #[default]
    Current,
    /// `success: true`; POST on an existing name is refused.
    Older,
}

/// What the sandbox shows of a secret when one connection is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SecretsArg {
    /// `null`.
    #[default]
    Masked,
    /// The secret itself.
    Shown,
    /// Cipher text.
    Cipher,
}

/// The arguments of `sandbox`.
#[derive(Args, Clone, Debug)]
pub struct SandboxArgs {
    /// The address to serve on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    pub listen: SocketAddr,
    /// Keep the connections in this file instead of in memory only.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Which dialect of the API it speaks.
    #[arg(long, value_enum, value_name = "DIALECT", default_value_t)]
    pub dialect: DialectArg,
    /// What GET of one connection shows of secrets; lists never show them.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub secrets: SecretsArg,
    /// A project that exists (repeatable); without any, every project does.
    // The id is that of the global flag, of which this one takes the place.
    #[arg(id = "project", long = "project", value_name = "NAME", action = ArgAction::Append)]
    pub projects: Vec<String>,
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
    /// Faults and their shares, as error=0.2,reset=0.1 (repeatable); --help lists them.
    ///
    /// Each is `NAME[@METHOD]=SHARE[:NUMBER]`: a share of the calls, or of those of one method, from 0
    /// to 1. Which calls are struck follows from --fault-seed and from the calls that are made, so a
    /// drill can be repeated.
    ///
    /// Nothing is done:
    ///   error         500
    ///   unavailable   503; :SECONDS asks the client to wait
    ///   rate          429; :SECONDS to wait, else 1
    ///   unauthorized  401
    ///   forbidden     403
    ///   failure       200 with a failure inside
    ///   html          a proxy's page; :STATUS, else 502
    ///   reset         the connection breaks
    ///
    /// All is done, and the client cannot know:
    ///   late-error    500
    ///   late-html     a proxy's page with 502
    ///   lost          the connection breaks without an answer
    ///   truncate      the connection breaks in the middle of the answer
    ///
    /// Lists, writes and time:
    ///   shortlist     a list lacks its last entry, and counts it all the same
    ///   noname        the last entry of a list has no name
    ///   undeployed    a write is saved, and its deployment fails
    ///   slow          the answer takes longer; :MILLISECONDS, else 200
    #[arg(
        long = "fault",
        value_name = "FAULT=SHARE",
        value_delimiter = ',',
        action = ArgAction::Append,
        verbatim_doc_comment
    )]
    pub faults: Vec<String>,
    /// The seed of the faults, so that a drill can be repeated.
    #[arg(long = "fault-seed", alias = "seed", value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// How long each answer is held back.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    pub latency: Duration,
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
