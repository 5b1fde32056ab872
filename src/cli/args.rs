//! Every command, and the flags that all of them take; those of one command are in `verbs`. The doc
//! comments are the help text.
//!
//! No flag takes a credential of a real server (those of the sandbox are made up): what the tool proves
//! itself with comes from the environment, since a command line is seen by every process of the machine
//! and kept in shell histories.

mod verbs;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use verbs::{
    ApplyArgs, DaemonArgs, ExportArgs, ForgetArgs, HistoryArgs, NarrowArgs, Output, PlanArgs,
    ProbeArgs, PullArgs, ReadArgs, ReconcileArgs, RunArgs, SandboxArgs, StatusArgs, TextOrJson,
    ValidateArgs, ValidateOutput, WriteArgs,
};

/// The text below the help of the program.
const EXIT_CODES: &str = "\
Exit codes:
  0  done; of plan: live is what git declares
  1  something failed, was blocked or is invalid; also a usage error
  2  plan: changes are pending or drift is reported; pull: files were changed; probe: the
     server behaves otherwise
  3  something was held back by a safety rule; the message names the way past it

Credentials are taken from the environment only: APINIZER_TOKEN, or APINIZER_USERNAME and
APINIZER_PASSWORD, or whatever the config refers to with ${env:NAME}; NAME_FILE names a file that
holds the value of NAME.";

/// Keeps the connections of Apinizer projects equal to what a git repository declares.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "apinizer-gitops",
    version,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = EXIT_CODES,
)]
pub struct Cli {
    /// The flags that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// One command.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write a config and an example document for one target; nothing is overwritten.
    ///
    /// Takes --url, --project, --path, --repo and --config, and asks on a terminal for what is missing.
    Init {
        /// The target's name.
        #[arg(long, value_name = "NAME", default_value = "prod")]
        target: String,
    },
    /// Check documents and config without the API and without secrets.
    ///
    /// Syntax, fields, references, duplicates, overlays and the config are checked. Ends with 0
    /// when clean or with warnings only, with 1 on any error.
    Validate(ValidateArgs),
    /// Show what would change; nothing is changed, on the server or in the state.
    ///
    /// Ends with 0 in sync, 2 with changes pending or drift reported, 3 when some of the changes
    /// would be held back, 1 on an error or when something is blocked.
    Plan(Box<PlanArgs>),
    /// Plan, ask, and carry the plan out.
    ///
    /// Ends with 0 when all is done, 1 when anything failed or was blocked, 3 when something was
    /// held back for safety.
    Apply(Box<ApplyArgs>),
    /// Run the daemon, which keeps every target equal to git.
    Run(RunArgs),
    /// Write live connections as documents, with references where secrets stand.
    Export(ExportArgs),
    /// Write what drifted in live into the files of the working tree that declare it.
    ///
    /// Comments, order, quotes and references stay. What cannot be written, such as a secret, is
    /// listed with the reason. Ends with 0 when there was nothing to write, 2 when files were changed
    /// or, with --check, would be, 1 on an error.
    Pull(PullArgs),
    /// Explain a connection type, one of its fields, the config, `x-gitops`, `rules`, or a code.
    Explain {
        /// A connection type or a field of one, `config`, `x-gitops`, `rules`, or the code of a problem,
        /// AG303 for example; without it, all types are listed.
        #[arg(value_name = "TYPE[.FIELD]|config|x-gitops|rules|CODE")]
        subject: Option<String>,
    },
    /// Print the JSON Schema of documents, of one type, or of the config.
    Schema {
        /// A connection type, or `config`; without it, the schema of any document.
        #[arg(value_name = "TYPE|config")]
        subject: Option<String>,
    },
    /// Show what a running daemon says of its targets.
    ///
    /// Ends with 0 when all is healthy, else with 1.
    Status(StatusArgs),
    /// Have a running daemon fetch and reconcile now; needs `server.token`.
    Reconcile(ReconcileArgs),
    /// Have a running daemon look at its targets and write nothing; needs `server.token`.
    Suspend(DaemonArgs),
    /// Have a running daemon write to suspended targets again; needs `server.token`.
    Resume(DaemonArgs),
    /// Show what was written, found, held, consented to and asked for, from the history files.
    ///
    /// The events of each target are kept beside its state, the last 500 of them and older ones that still stand.
    History(HistoryArgs),
    /// Find out how a real server behaves, with connections of the probe's own in a scratch project.
    ///
    /// Makes one connection of each type in --project, which no target of the config may use,
    /// watches, and deletes all that it made. Ends with 0 when the server behaves as assumed, 2
    /// when something differs, 1 on an error.
    Probe(ProbeArgs),
    /// Serve the connection API from memory or a file, for trying, drills and tests.
    Sandbox(SandboxArgs),
    /// Show the whole loop on this machine: example repository, sandbox and daemon.
    Demo {
        /// The folder to work in, kept afterwards [default: a temporary one, removed at the end].
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
        /// Where the daemon serves its status page; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Take names out of the inventory without a call: they are unmanaged from then on.
    Forget(ForgetArgs),
    /// Print the completion script of a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the man page.
    Man {
        /// Write a page for the program and one for each command into this folder.
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// The flags that every command takes, before or after its name.
#[derive(Args, Clone, Debug, Default)]
pub struct GlobalArgs {
    /// The config file [default: apinizer-gitops.yaml in the current folder, where there is one].
    #[arg(
        long,
        value_name = "FILE",
        env = "APINIZER_GITOPS_CONFIG",
        value_parser = OsStringValueParser::new().map(PathBuf::from),
        global = true,
        help_heading = CONFIG
    )]
    pub config: Option<PathBuf>,
    /// The git repository to read [without a config: the current folder].
    #[arg(long, value_name = "FOLDER", global = true, help_heading = SINGLE_TARGET)]
    pub repo: Option<PathBuf>,
    /// A folder of the repository to read; later ones patch earlier ones [default: connections].
    #[arg(
        long = "path",
        value_name = "PATH",
        global = true,
        help_heading = SINGLE_TARGET
    )]
    pub paths: Vec<String>,
    /// The Manager's URL; with --project it takes the place of a config file.
    #[arg(long, value_name = "URL", global = true, help_heading = SINGLE_TARGET)]
    pub url: Option<String>,
    /// The Apinizer project.
    #[arg(long, value_name = "NAME", global = true, help_heading = SINGLE_TARGET)]
    pub project: Option<String>,
    /// A dotenv file with variables for ${env:NAME}; those that are set already win (repeatable).
    #[arg(
        long = "env-file",
        value_name = "FILE",
        global = true,
        help_heading = CONFIG
    )]
    pub env_files: Vec<PathBuf>,
    /// The folder that keeps the state [default: as the config says].
    #[arg(long, value_name = "FOLDER", global = true, help_heading = CONFIG)]
    pub state_dir: Option<PathBuf>,
    /// Whether output is coloured; NO_COLOR is honoured.
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        global = true,
        help_heading = DISPLAY
    )]
    pub color: Color,
    /// The form of the logs on stderr.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        global = true,
        help_heading = DISPLAY
    )]
    pub log_format: LogFormat,
    /// Show every name below a reason; log more: -v what is done, -vv each call, -vvv everything.
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = DISPLAY)]
    pub verbose: u8,
    /// Log nothing but errors, and show no progress.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = DISPLAY)]
    pub quiet: bool,
}

const CONFIG: &str = "Config and environment";
const SINGLE_TARGET: &str = "One target without a config file";
const DISPLAY: &str = "Display";

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal that can show it.
    #[default]
    Auto,
    /// Into pipes and files too.
    Always,
    /// Not at all.
    Never,
}

/// The form of the logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line for each event.
    #[default]
    Text,
    /// One JSON object for each event.
    Json,
}

// Flags of a command that stand before its name.
//
// clap takes only the flags of the program there. Here every flag with a long name is taken on either side: what
// stands before the command is put behind it, and the rest is left to clap.

/// Puts the flags that only a command knows behind its name. A line with anything in it that is
/// not understood stays as it is, so that clap complains about what was typed.
pub(crate) fn flags_behind_the_command(
    program: &clap::Command,
    arguments: Vec<OsString>,
) -> Vec<OsString> {
    let Some(place) = place_of_command(program, &arguments) else { return arguments };
    let mut ordered = arguments;
    // The program's own name stays first.
    if let Some(before) = ordered.get_mut(1..=place) {
        before.rotate_right(1);
    }
    ordered
}

/// Where the command's name stands, if flags that the program does not know come before it.
fn place_of_command(program: &clap::Command, arguments: &[OsString]) -> Option<usize> {
    let mut is_foreign = false;
    let mut place = 1;
    loop {
        let argument = arguments.get(place)?.to_str()?;
        if !argument.starts_with('-') {
            return (is_foreign && program.find_subcommand(argument).is_some()).then_some(place);
        }
        if argument.len() > 1 && !argument.starts_with("--") {
            let letters = argument.chars().skip(1);
            if !letters.into_iter().all(|letter| is_switch(program, letter)) {
                return None;
            }
            place += 1;
            continue;
        }
        let (flag, has_value) = match argument.split_once('=') {
            Some((flag, _)) => (flag, true),
            None => (argument, false),
        };
        let name = flag.strip_prefix("--").filter(|name| !name.is_empty())?;
        is_foreign |= !knows(program, name);
        place += if takes_value(program, name)? && !has_value { 2 } else { 1 };
    }
}

/// Whether the program has a flag of one letter that takes no value.
fn is_switch(program: &clap::Command, letter: char) -> bool {
    program
        .get_arguments()
        .any(|flag| flag.get_short() == Some(letter) && !flag.get_action().takes_values())
}

fn knows(command: &clap::Command, name: &str) -> bool {
    command.get_arguments().any(|flag| flag.get_long() == Some(name))
}

/// Whether a flag takes a value: of the program, or of whichever command has it. `None`: no
/// command has it, or they do not agree.
fn takes_value(program: &clap::Command, name: &str) -> Option<bool> {
    let mut answers = std::iter::once(program)
        .chain(program.get_subcommands())
        .flat_map(clap::Command::get_arguments)
        .filter(|flag| flag.get_long() == Some(name))
        .map(|flag| flag.get_action().takes_values());
    let first = answers.next()?;
    answers.all(|answer| answer == first).then_some(first)
}

#[cfg(test)]
mod tests;
