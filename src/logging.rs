//! Logs go to stderr, as text or as JSON.

use std::io::IsTerminal as _;

use apinizer_gitops::cli::Context;
use apinizer_gitops::cli::args::LogFormat;
use tracing_subscriber::EnvFilter;

/// Starts logging as the flags say; `RUST_LOG` overrules them. A daemon has nothing but its logs
/// to tell what it does, so it says more than a command.
pub(crate) fn start(context: &Context, is_daemon: bool) {
    let global = &context.global;
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) if !is_daemon => "apinizer_gitops=warn",
        (false, 0 | 1) => "apinizer_gitops=info",
        (false, 2) => "apinizer_gitops=debug",
        (false, _) => "apinizer_gitops=trace,debug",
    };
    let filter = context
        .environment
        .plain("RUST_LOG")
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match global.log_format {
        LogFormat::Text => logs
            .with_ansi(context.colors_stderr() && std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
        LogFormat::Json => logs.json().flatten_event(true).with_target(false).try_init(),
    };
    // A second start would be a mistake of ours, and no reason to stop.
    drop(started);
}
