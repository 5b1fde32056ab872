//! Logs go to stderr, as text or as JSON; traces, where they are built in, to a collector.

use std::io::IsTerminal as _;

use apinizer_gitops::cli::Context;
use apinizer_gitops::cli::args::LogFormat;
use tokio::runtime::Runtime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

#[cfg(feature = "otel")]
use crate::traces::{self, Traces};

/// The guard that is kept until the end: empty, unless traces are built in.
#[cfg(not(feature = "otel"))]
pub(crate) struct Traces;

#[cfg(not(feature = "otel"))]
impl Traces {
    #[expect(clippy::unused_self, reason = "with traces built in there is something to end")]
    pub(crate) fn end(self) {}
}

/// Starts logging as the flags say; `RUST_LOG` overrules them. A daemon has nothing but its logs
/// to tell what it does, so it says more than a command.
pub(crate) fn start(context: &Context, is_daemon: bool, runtime: &Runtime) -> Traces {
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
    let logs = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let logs = match global.log_format {
        LogFormat::Text => {
            logs.with_ansi(context.colors_stderr() && std::io::stderr().is_terminal()).boxed()
        }
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
    };
    let registry = registry().with(logs.with_filter(filter));
    #[cfg(feature = "otel")]
    let (registry, traces) = {
        let (layer, traces) = traces::start(context, runtime);
        (registry.with(layer), traces)
    };
    #[cfg(not(feature = "otel"))]
    let (_, traces) = (runtime, Traces);
    // A second start would be a mistake of ours, and no reason to stop.
    drop(registry.try_init());
    traces
}
