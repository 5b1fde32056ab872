//! The command line: what may be typed, and what each verb does.
//!
//! Arguments are data ([`args`]): their doc comments are the help, the man page and the
//! completions. A verb is in the file of its name; those that ask a running daemon are in `daemon_client`,
//! those that say what the program knows in `describe`.

pub mod apply;
pub mod args;
pub mod context;
mod daemon_client;
pub mod demo;
pub mod describe;
pub mod export;
pub mod forget;
pub mod history;
pub mod init;
pub mod plan;
pub mod probe;
pub mod pull;
pub mod run;
pub mod sandbox;
pub mod session;
pub mod signals;
pub mod validate;

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

pub use crate::cli::args::{Cli, Command};
pub use crate::cli::context::Context;
use crate::document::Diagnostic;
use crate::report::{Role, Style, diagnostics, escape, wrapped};

/// Reads a command line, the program's name first.
///
/// # Errors
/// A usage error, or a call for help or the version, as clap tells them apart by
/// [`clap::Error::use_stderr`]. A usage error has to end the process with 1, never with clap's
/// own 2, since 2 always means pending changes.
pub fn parse<I, T>(arguments: I) -> Result<Cli, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let arguments = arguments.into_iter().map(Into::into).collect();
    let arguments = args::flags_behind_the_command(&command(), arguments);
    let mut cli = <Cli as clap::Parser>::try_parse_from(arguments)?;
    // A variable that is empty counts as unset, as everywhere.
    cli.global.config.take_if(|path| path.as_os_str().is_empty());
    Ok(cli)
}

/// The whole command as data, for completions and man pages.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs a command; its exit code.
///
/// # Errors
/// The command could not do its work, or its result could not be written; the process ends with 1.
pub async fn run(command: &Command, context: &Context) -> Result<u8, CommandError> {
    let code = perform(command, context).await?;
    context.written()?;
    Ok(code)
}

async fn perform(command: &Command, context: &Context) -> Result<u8, CommandError> {
    match command {
        Command::Init { target } => init::run(target, context),
        Command::Validate(args) => validate::run(args, context).await,
        Command::Plan(args) => plan::run(args, context).await,
        Command::Apply(args) => apply::run(args, context).await,
        Command::Run(args) => run::run(args, context).await,
        Command::Export(args) => export::run(args, context).await,
        Command::Probe(args) => probe::run(args, context).await,
        Command::Pull(args) => pull::run(args, context).await,
        Command::Sandbox(args) => sandbox::run(args, context).await,
        Command::Demo { dir, listen } => demo::run(dir.as_deref(), *listen, context).await,
        Command::Explain { subject } => describe::explain(subject.as_deref(), context),
        Command::Schema { subject } => describe::schema(subject.as_deref(), context),
        Command::Status(args) => daemon_client::status(args, context).await,
        Command::Reconcile(args) => daemon_client::reconcile(args, context).await,
        Command::Suspend(args) => daemon_client::suspension("suspend", args, context).await,
        Command::Resume(args) => daemon_client::suspension("resume", args, context).await,
        Command::History(args) => history::run(args, context),
        Command::Forget(args) => forget::run(args, context).await,
        Command::Completions { shell } => describe::completions(*shell, context),
        Command::Man { dir } => describe::man(dir.as_deref(), context),
    }
}

/// Why a command could not do its work: one message, its hint, and exit code 1.
#[derive(Clone, Debug)]
pub enum CommandError {
    /// A sentence, shown behind `error: `.
    Failed(String),
    /// A sentence, and what to do about it.
    WithHint(String, String),
    /// The problems of the config.
    Problems(Vec<Diagnostic>),
}

impl Display for CommandError {
    /// The error in one line of the log.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) => f.write_str(message),
            Self::WithHint(message, hint) => write!(f, "{message}; {hint}"),
            Self::Problems(problems) => {
                let problems: Vec<_> = problems.iter().map(Diagnostic::to_string).collect();
                f.write_str(&problems.join("; "))
            }
        }
    }
}

impl CommandError {
    /// Takes any error that is a sentence for the user.
    pub fn failed(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// Takes an error about a file or folder; `what` begins the sentence.
    pub(super) fn at<E: Display>(what: &str, path: &Path) -> impl Fn(E) -> Self {
        let what = format!("{what} {}", path.display());
        move |error| Self::Failed(format!("{what}: {error}"))
    }

    /// The text for stderr.
    pub fn text(&self, style: &Style) -> String {
        let error = style.paint(Role::Wrong, "error");
        let (message, hint) = match self {
            Self::Failed(message) => (message, String::new()),
            Self::WithHint(message, hint) => (message, format!("\nhint: {hint}")),
            Self::Problems(problems) => return diagnostics::text(problems, style),
        };
        fitted(&format!("{error}: {}", escape::lines(&format!("{message}{hint}"))), style)
    }
}

/// Lines that end between words on a terminal; anywhere else a message stays in one line, to be
/// searched for.
fn fitted(text: &str, style: &Style) -> String {
    if !style.is_terminal {
        return text.to_owned();
    }
    text.lines().flat_map(|line| wrapped(line, style.width)).collect::<Vec<_>>().join("\n")
}
