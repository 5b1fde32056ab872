//! Logs go to stderr, as text or as JSON; traces, where they are built in, to a collector.

use std::io::{self, IsTerminal as _, Write};

use apinizer_gitops::cli::Context;
use apinizer_gitops::cli::args::LogFormat;
use serde_json::Value;
use tokio::runtime::Runtime;
use tracing_subscriber::filter::filter_fn;
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
    let logs = fmt::layer().with_target(false);
    let logs = match global.log_format {
        LogFormat::Text => {
            let colors = context.style_stderr().color && std::io::stderr().is_terminal();
            // A line of text names its target and commit itself.
            #[expect(
                clippy::redundant_closure_for_method_calls,
                reason = "a method is no filter for every lifetime"
            )]
            let is_event = filter_fn(|metadata| metadata.is_event());
            let logs = logs.with_writer(|| Lines(shorter)).with_ansi(colors);
            logs.with_filter(is_event).boxed()
        }
        LogFormat::Json => {
            let logs = logs.with_writer(|| Lines(shorter_json)).json();
            // The list of spans has the current one too.
            logs.flatten_event(true).with_current_span(false).boxed()
        }
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

/// The longest line of the log in bytes: what collectors take whole.
const LONGEST: usize = 8 * 1024;

/// Writes each line whole, or shorter where it is too long.
struct Lines(fn(&[u8]) -> Vec<u8>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() <= LONGEST {
            io::stderr().write_all(line)?;
        } else {
            io::stderr().write_all(&(self.0)(line))?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The beginning of a line of text.
fn shorter(line: &[u8]) -> Vec<u8> {
    let end = format!("... ({} bytes)\n", line.len());
    let text = String::from_utf8_lossy(line);
    let kept = text.floor_char_boundary(LONGEST - end.len());
    format!("{}{end}", &text[..kept]).into_bytes()
}

/// A line of JSON whose longest texts are cut.
fn shorter_json(line: &[u8]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice(line) else { return shorter(line) };
    let mut most = LONGEST / 2;
    while most > 8 {
        cut(&mut value, most);
        let text = format!("{value}\n");
        if text.len() <= LONGEST {
            return text.into_bytes();
        }
        most /= 2;
    }
    b"{\"message\":\"a line of the log is too long and left out\"}\n".to_vec()
}

/// Cuts every text of a value that has more bytes than this.
fn cut(value: &mut Value, most: usize) {
    match value {
        Value::String(text) if text.len() > most => {
            text.truncate(text.floor_char_boundary(most - 3));
            text.push_str("...");
        }
        Value::Array(values) => values.iter_mut().for_each(|value| cut(value, most)),
        Value::Object(values) => values.values_mut().for_each(|value| cut(value, most)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_cut_and_stays_json() {
        let long = "ü\u{1b}".repeat(LONGEST);
        let line = serde_json::json!({"level": "WARN", "message": long, "spans": [{"name": "a"}]});
        let cut = shorter_json(line.to_string().as_bytes());
        assert!(cut.len() <= LONGEST && cut.ends_with(b"\n"));
        let cut: Value = serde_json::from_slice(&cut).unwrap();
        assert_eq!((&cut["level"], &cut["spans"]), (&line["level"], &line["spans"]));
        assert!(cut["message"].as_str().unwrap().ends_with("..."));
        let text = shorter(long.as_bytes());
        assert!(text.len() <= LONGEST && text.ends_with(b" bytes)\n"));
        let many: Vec<usize> = (0..LONGEST).collect();
        assert!(shorter_json(serde_json::json!(many).to_string().as_bytes()).len() <= LONGEST);
    }
}
