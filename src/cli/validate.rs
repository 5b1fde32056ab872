//! `validate`: everything that can be checked without the API and without secrets.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::args::{ReadArgs, ValidateArgs, ValidateOutput};
use super::context::Context;
use super::error::CommandError;
use super::session::{Session, config_in_repository};
use crate::config::{Config, Location};
use crate::document::{Diagnostic, LoadRequest, ParseCache, Severity, load};
use crate::report::diagnostics;
use crate::source::{Files, Repository, Snapshot, SourceError};

/// Runs `validate`; the exit code.
///
/// # Errors
/// The config or the files cannot be read at all.
pub async fn run(args: &ValidateArgs, context: &Context) -> Result<u8, CommandError> {
    let config = match config(context, !args.files.is_empty()) {
        Err(CommandError::Invalid(problems)) => {
            show(args.output, &problems, context);
            return Ok(1);
        }
        other => other?,
    };
    let mut problems = config.as_ref().map(|c| c.1.clone()).unwrap_or_default();
    let config = config.map(|c| c.0);
    let has_config_errors = problems.iter().any(|d| d.severity == Severity::Error);
    if !args.files.is_empty() || config.is_none() {
        if !has_config_errors || !args.files.is_empty() {
            problems.extend(check_named_files(args, context)?);
        }
    } else if let Some(config) = config.filter(|_| !has_config_errors) {
        problems.extend(check_targets(args, context, config).await?);
    }
    show(args.output, &problems, context);
    Ok(u8::from(problems.iter().any(|d| d.severity == Severity::Error)))
}

/// The config with its problems, if there is one. Secrets are not needed, so what refers to the
/// environment is not looked up.
fn config(
    context: &Context,
    files_are_named: bool,
) -> Result<Option<(Config, Vec<Diagnostic>)>, CommandError> {
    let Some(path) = context.config_path() else {
        if context.global.url.is_none() && context.global.project.is_none() {
            return Ok(None);
        }
        let loaded = Config::from_flags(&context.flags(), &context.environment);
        return match loaded {
            Ok(loaded) => Ok(Some((loaded.config, loaded.warnings))),
            Err(problems) => Err(context.config_problems(&problems)),
        };
    };
    match Config::load_unresolved(&path, &context.environment) {
        Ok(loaded) => Ok(Some((loaded.config, loaded.warnings))),
        Err(problems) if files_are_named => {
            // The named files are checked all the same.
            Err(context.config_problems(&problems))
        }
        Err(problems) => Err(CommandError::Invalid(problems)),
    }
}

/// Checks files as they are on disk. Without a config nothing is known of targets and vars.
fn check_named_files(
    args: &ValidateArgs,
    context: &Context,
) -> Result<Vec<Diagnostic>, CommandError> {
    let here = std::env::current_dir().map_err(CommandError::failed)?;
    let mut paths: Vec<String> = args.files.iter().map(|p| p.display().to_string()).collect();
    if paths.is_empty() {
        let root = context.global.repo.clone().unwrap_or_else(|| PathBuf::from("."));
        let chosen = if context.global.paths.is_empty() {
            vec!["connections".to_owned()]
        } else {
            context.global.paths.clone()
        };
        paths = chosen.iter().map(|path| root.join(path).display().to_string()).collect();
    }
    let files = Files::named_in(here);
    let listing = files.folders(&paths, None).map_err(CommandError::failed)?;
    for folder in &listing.folders {
        if !folder.exists {
            return Err(CommandError::Failed(format!("there is no {}", folder.path)));
        }
    }
    let cache = ParseCache::default();
    let request =
        LoadRequest { folders: &listing.folders, target: None, known_targets: None, vars: None };
    let read = |entry: &crate::source::FileEntry| files.read(entry).map_err(|e| e.to_string());
    Ok(load(&request, &cache, &read).diagnostics)
}

/// Checks what the config's targets read: on disk, or in a commit with `--rev`.
async fn check_targets(
    args: &ValidateArgs,
    context: &Context,
    config: Config,
) -> Result<Vec<Diagnostic>, CommandError> {
    let on_disk = args.rev.is_none();
    let config_file = config_in_repository(context, &config);
    let snapshot = match (&config.source.location, on_disk) {
        (Location::Path(path), true) => Snapshot::Disk(files_of(path)?),
        _ => {
            let mut session = Session::with_config(context, config.clone(), &args.targets)?;
            let read = ReadArgs { rev: args.rev.clone(), ..ReadArgs::default() };
            session.snapshot(&read).await?
        }
    };
    let known: BTreeSet<String> = config.targets.iter().map(|t| t.name.clone()).collect();
    let cache = ParseCache::default();
    let mut problems = Vec::new();
    for target in &config.targets {
        if !args.targets.is_empty() && !args.targets.contains(&target.name) {
            continue;
        }
        let listing = snapshot
            .folders(&target.paths, config_file.as_deref())
            .map_err(CommandError::failed)?;
        if let Some(missing) = listing.folders.iter().find(|folder| !folder.exists) {
            return Err(CommandError::Failed(format!(
                "the path `{}` of the target `{}` does not exist",
                missing.path, target.name
            )));
        }
        let request = LoadRequest {
            folders: &listing.folders,
            target: Some(&target.name),
            known_targets: Some(&known),
            vars: Some(&target.vars),
        };
        let read = |e: &crate::source::FileEntry| snapshot.read(e).map_err(|e| e.to_string());
        problems.extend(load(&request, &cache, &read).diagnostics);
    }
    Ok(problems)
}

/// The working tree of a checkout; a plain folder serves too, since nothing is committed here.
fn files_of(path: &std::path::Path) -> Result<Files, CommandError> {
    match Repository::open(path).and_then(|repository| repository.worktree()) {
        Ok(files) => Ok(files),
        Err(SourceError::NotARepository { .. }) => Ok(Files::of_worktree(path.to_path_buf())),
        Err(error) => Err(CommandError::failed(error)),
    }
}

/// Writes the problems in the form that was asked for.
pub(super) fn show(output: ValidateOutput, problems: &[Diagnostic], context: &Context) {
    match output {
        ValidateOutput::Text => {
            context.print(&diagnostics::text(problems, context.style().color));
        }
        ValidateOutput::Json => context.print_json(&diagnostics::json(problems)),
        ValidateOutput::Markdown => context.print(&diagnostics::markdown(problems)),
        ValidateOutput::Github => context.print(&diagnostics::github(problems)),
        ValidateOutput::Sarif => context.print_json(&diagnostics::sarif(problems)),
    }
}
