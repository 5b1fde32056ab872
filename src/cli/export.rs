//! `export`: live connections as documents.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::args::ExportArgs;
use super::context::Context;
use super::session::{Session, known_types};
use crate::api::Retries;
use crate::config::{Location, Target};
use crate::document::Severity;
use crate::export::{self, Export, KnownReferences, files, template};
use crate::plan::Filter;
use crate::reconcile::{Engine, client, load_target};
use crate::report::diagnostics;
use crate::report::exit::failed_if;
use crate::report::words::counted;
use crate::source::{Repository, Snapshot};

/// Runs `export`; the exit code.
///
/// # Errors
/// The target cannot be read, or the folder cannot be written.
pub async fn run(args: &ExportArgs, context: &Context) -> Result<u8, CommandError> {
    known_types(&args.types)?;
    let filter = Filter::new(&args.names, &args.types);
    let targets: Vec<String> = args.target.iter().cloned().collect();
    let session = Session::new(context, &targets)?;
    let target = session.single_target()?;
    let engine = &session.engine;
    let retries = Retries::new(context.retries(), CancellationToken::new());
    let client = client(engine, target).map_err(CommandError::failed)?.with_retries(retries);
    let (live, twice) = export::live_connections(&client, &filter, target.manager.concurrency)
        .await
        .map_err(CommandError::failed)?;
    let known = known_references(engine, target, context)?;
    let mut export = Export::of(&live, &known, prefix(target), args.full);
    export.passed_over.extend(twice.iter().map(|name| {
        format!(
            "`{name}` cannot be declared: the server lists more than one connection of that name"
        )
    }));
    export.leave_out_known(&engine.redactor);
    for value in export.variables.iter().filter_map(|variable| variable.value.as_ref()) {
        engine.redactor.learn(value.expose());
    }
    let written = files::files(&export, args.single_file || args.dir.is_none());
    let problems = export::problems(&written);
    match &args.dir {
        Some(folder) => write(folder, &written, &export, args.force, context)?,
        None => context.print(&as_one_text(&export)),
    }
    if live.is_empty() && twice.is_empty() && !context.global.quiet {
        context.say("no connection of the target matches");
    }
    for line in export.passed_over.iter().chain(&export.left_out) {
        context.say_line(&format!("warning: {line}"));
    }
    if !problems.is_empty() {
        context.say(&diagnostics::text(&problems, &context.style_stderr()));
    }
    let is_error = problems.iter().any(|problem| problem.severity == Severity::Error);
    Ok(failed_if(is_error || !export.passed_over.is_empty()))
}

/// Writes the files into a folder that declares none of their connections otherwise.
fn write(
    folder: &Path,
    written: &[files::ExportFile],
    export: &Export,
    force: bool,
    context: &Context,
) -> Result<(), CommandError> {
    let twice = export::declared_elsewhere(folder, written, &export.documents);
    if let [(name, file), ..] = twice.map_err(CommandError::failed)?.as_slice() {
        let file = folder.join(file);
        return Err(CommandError::WithHint(
            format!("`{name}` is declared in {} already, so nothing was written", file.display()),
            "name another --dir, or choose what is exported with --name or --type".to_owned(),
        ));
    }
    let paths = files::write(folder, written, force).map_err(|error| match error {
        files::WriteError::Exist(_) => CommandError::WithHint(
            error.to_string(),
            "name another --dir, or overwrite them with --force".to_owned(),
        ),
        error => CommandError::failed(error),
    })?;
    files::write_schema(folder).map_err(CommandError::failed)?;
    if !context.global.quiet {
        let (count, folder) = (counted(export.documents.len(), "connection"), folder.display());
        context.say(&format!("wrote {count} to {folder}, in {}", counted(paths.len(), "file")));
    }
    Ok(())
}

/// The start of the names of variables: the project, unless that itself is a secret.
pub(super) fn prefix(target: &Target) -> &str {
    if target.project == target.project_as_written { &target.project } else { &target.name }
}

/// The documents, and behind them the names of their variables as comments.
fn as_one_text(export: &Export) -> String {
    let mut text = files::stream(&export.documents);
    if export.variables.is_empty() {
        return text;
    }
    text.push('\n');
    for line in template(&export.variables).lines() {
        let comment = match line {
            "" => "#".to_owned(),
            line if line.starts_with('#') => line.to_owned(),
            line => format!("# {line}"),
        };
        text.push_str(&comment);
        text.push('\n');
    }
    text
}

/// The references of the state and, where the source is on this machine, of its documents. An
/// export comes before both as often as not, so neither has to be there.
fn known_references(
    engine: &Engine,
    target: &Target,
    context: &Context,
) -> Result<KnownReferences, CommandError> {
    let record = engine.state_file(target).read().map_err(CommandError::failed)?;
    let mut documents = Vec::new();
    if let Location::Path(path) = &engine.config.source.location {
        let load = || {
            let repository = Arc::new(Repository::open(path)?);
            let commit = repository.head(engine.config.source.branch.as_deref())?;
            load_target(engine, target, &Snapshot::Commit { repository, commit })
        };
        match tokio::task::block_in_place(load) {
            Ok(loaded) => documents = loaded.contents.documents,
            Err(error) if context.global.verbose > 0 => {
                context.say_line(&format!("the documents in git cannot be read: {error}"));
            }
            Err(_) => {}
        }
    }
    Ok(KnownReferences::of(&record, &documents, &engine.environment))
}
