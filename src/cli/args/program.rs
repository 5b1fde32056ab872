//! The arguments of the commands about the program itself: `status`, `reconcile`,
//! `suspend`, `resume`, `completions`, `man`.

use std::path::PathBuf;

use clap::Args;

use super::Output;

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
    /// Wait for the end of the reconcile, show its outcome, and end with 1 unless live is as git
    /// declares it.
    #[arg(long)]
    pub wait: bool,
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
