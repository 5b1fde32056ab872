//! Arguments, logging, exit code; everything else is in the library.

use std::io::{ErrorKind, Write as _, stderr};
use std::panic::resume_unwind;
use std::process::ExitCode;

use apinizer_gitops::cli::{self, Context};

mod logging;
#[cfg(feature = "otel")]
mod traces;

/// A reconcile makes and drops millions of small values, which takes a third of its time with
/// glibc's allocator and most of it with musl's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match cli::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; a usage error is 1, since 2 means pending changes.
            let mut code = u8::from(error.use_stderr());
            if let Err(problem) = error.print()
                && problem.kind() != ErrorKind::BrokenPipe
            {
                let _ = writeln!(stderr(), "error: cannot write to stdout: {problem}");
                code = 1;
            }
            return ExitCode::from(code);
        }
    };
    let is_daemon = match &arguments.command {
        cli::Command::Run(run) => !run.once,
        command => matches!(command, cli::Command::Demo { .. }),
    };
    // A variable that is no text can be no reference's value.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let result = Context::new(arguments.global.clone(), variables)
        .map_err(|error| (error, Default::default()))
        .and_then(|context| {
            let style = context.style_stderr();
            let runtime = tokio::runtime::Runtime::new();
            let runtime = runtime.map_err(|e| (cli::CommandError::failed(e), style))?;
            let traces = logging::start(&context, is_daemon, &runtime);
            // On a worker, where the connections are that it waits for: on a thread of its own it
            // would have to be woken for every answer.
            let command = async move { cli::run(&arguments.command, &context).await };
            let result = match runtime.block_on(runtime.spawn(command)) {
                Ok(result) => result,
                Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
                Err(ended) => Err(cli::CommandError::failed(ended)),
            };
            traces.end();
            runtime.shutdown_background();
            result.map_err(|error| (error, style))
        });
    match result {
        Ok(code) => ExitCode::from(code),
        Err((error, style)) => {
            let _ = writeln!(stderr(), "{}", error.text(&style).trim_end());
            ExitCode::FAILURE
        }
    }
}
