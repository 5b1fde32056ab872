//! The arguments of the commands about a daemon and the program itself: `status`, `history`,
//! `reconcile`, `suspend`, `resume`, `completions`, `man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use super::Output;
use crate::config::parse_duration;

/// The arguments of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// The daemon's URL [default: server.listen of the config].
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Only ask whether the daemon makes progress, as the health check of a container does; needs
    /// no token and prints nothing.
    #[arg(long, conflicts_with = "watch")]
    pub probe: bool,
    /// Show it again whenever it changes, until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
    /// The form of the status.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// The arguments of `suspend` and `resume`.
#[derive(Args, Clone, Debug)]
pub struct OrderArgs {
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
    pub order: OrderArgs,
    /// Wait for the end of the reconcile, show its outcome, and end with 1 unless the newest commit
    /// of the source is in force. Drift that a target only reports (`drift: report`) ends with 0,
    /// as it does with `apply`.
    #[arg(long)]
    pub wait: bool,
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

/// The arguments of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// The arguments of `man`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// Write a page for the program and one for each command into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}
