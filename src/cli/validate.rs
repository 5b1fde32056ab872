//! `validate`: everything that can be checked without the API and without secrets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::CommandError;
use super::args::{ReadArgs, ValidateArgs, ValidateOutput};
use super::context::Context;
use super::session::{Session, keep_targets};
use crate::config::{Config, Location, Resolve};
use crate::document::{Diagnostic, LoadRequest, ParseCache, Severity, load};
use crate::reconcile::load_request;
use crate::report::diagnostics;
use crate::report::exit::{FAILED, failed_if};
use crate::source::{FileEntry, Files, Folder, Listing, Repository, Snapshot, SourceError};

/// Runs `validate`; the exit code.
///
/// # Errors
/// The config or the files cannot be read at all.
pub async fn run(args: &ValidateArgs, context: &Context) -> Result<u8, CommandError> {
    let mut config = match config(context) {
        Ok(config) => config,
        Err(problems) => {
            show(args.output, &problems, &BTreeSet::new(), context);
            return Ok(FAILED);
        }
    };
    let mut problems = config.as_mut().map(|c| std::mem::take(&mut c.warnings)).unwrap_or_default();
    let mut notes = BTreeSet::new();
    let has_rules = config.iter().flat_map(|c| &c.targets).any(|target| !target.rules.is_empty());
    if has_rules && !args.files.is_empty() {
        let note = "the rules of the config are not checked, since named files belong to no target; \
                    `apinizer-gitops validate` without files checks them";
        notes.insert(note.to_owned());
    }
    problems.extend(match config.filter(|_| args.files.is_empty()) {
        Some(config) => check_targets(args, context, config, &mut notes).await?,
        None => check_named_files(args, context, &mut notes)?,
    });
    if args.strict {
        problems.iter_mut().for_each(|problem| problem.severity = Severity::Error);
    }
    show(args.output, &problems, &notes, context);
    Ok(failed_if(problems.iter().any(|d| d.severity == Severity::Error)))
}

/// The config with its problems, if there is one. Secrets are not needed, so what refers to the
/// environment is not looked up.
fn config(context: &Context) -> Result<Option<Config>, Vec<Diagnostic>> {
    let has_target = context.global.url.is_some() || context.global.project.is_some();
    let has_config = has_target || context.config_path().is_some();
    has_config.then(|| context.load_config(Resolve::Known)).transpose()
}

/// Checks files as they are on disk, for no target: nothing is known of targets and vars.
fn check_named_files(
    args: &ValidateArgs,
    context: &Context,
    notes: &mut BTreeSet<String>,
) -> Result<Vec<Diagnostic>, CommandError> {
    if args.rev.is_some() || !args.targets.is_empty() {
        return Err(CommandError::Failed("`--rev` and `--target` need a config".to_owned()));
    }
    let here = std::env::current_dir().map_err(CommandError::failed)?;
    let mut paths: Vec<String> = args.files.iter().map(|p| p.display().to_string()).collect();
    if paths.is_empty() {
        let root = context.global.repo.clone().unwrap_or_else(|| PathBuf::from("."));
        let mut chosen = context.global.paths.clone();
        if chosen.is_empty() {
            chosen.push("connections".to_owned());
        }
        paths = chosen.iter().map(|path| root.join(path).display().to_string()).collect();
    }
    let files = Files::named_in(here.clone());
    let mut listing = files.folders(&paths, None).map_err(CommandError::failed)?;
    notes.extend(notes_of(&listing));
    for folder in &mut listing.folders {
        let named = here.join(&*folder.path);
        if !folder.exists {
            return Err(CommandError::Failed(match named.exists() {
                true => format!("{} is neither a file nor a folder", folder.path),
                false => format!("there is no {}", folder.path),
            }));
        }
        notes.extend(note_on_named(&named, folder)?);
        without_config(context, &here, &mut folder.files);
    }
    let cache = ParseCache::default();
    let request = LoadRequest::without_config(&listing.folders);
    let read = |entry: &FileEntry| files.read(entry).map_err(|e| e.to_string());
    Ok(load(&request, &cache, &read).diagnostics)
}

/// The note about a file that is named itself; none about a folder.
///
/// # Errors
/// It is a symbolic link, and nothing is read through it.
fn note_on_named(named: &Path, folder: &Folder) -> Result<Option<String>, CommandError> {
    let path = &folder.path;
    if named.is_dir() {
        return Ok(None);
    }
    match (folder.files.is_empty(), named.is_symlink()) {
        (true, true) => Err(CommandError::Failed(format!(
            "{path} is a symbolic link whose name does not end in `.yaml` or `.yml`: it is not read"
        ))),
        (true, false) => Ok(Some(format!("{path} is skipped: its name is not that of a document"))),
        (false, true) => Ok(Some(format!(
            "{path} is checked, and other commands skip it: symbolic links are not followed"
        ))),
        (false, false) => Ok(None),
    }
}

/// Leaves out the config file, which is no document wherever it lies.
fn without_config(context: &Context, here: &Path, files: &mut Vec<FileEntry>) {
    let config = context.config_path().and_then(|path| path.canonicalize().ok());
    let Some(config) = config else { return };
    files.retain(|entry| {
        let file = here.join(&*entry.path);
        file.file_name() != config.file_name() || file.canonicalize().ok().as_ref() != Some(&config)
    });
}

/// The notes about files that are not read.
fn notes_of(listing: &Listing) -> BTreeSet<String> {
    listing.unread_files.values().cloned().chain(listing.skipped()).collect()
}

/// Checks what the config's targets read: on disk, or in a commit with `--rev`.
async fn check_targets(
    args: &ValidateArgs,
    context: &Context,
    mut config: Config,
    notes: &mut BTreeSet<String>,
) -> Result<Vec<Diagnostic>, CommandError> {
    keep_targets(&mut config, &args.targets)?;
    let on_disk = args.rev.is_none();
    let config_file = config.file_in_repository();
    let snapshot = match (&config.source.location, on_disk) {
        (Location::Path(path), true) => Snapshot::Disk(files_of(path)?),
        _ => {
            let mut session = Session::with_config(context, config.clone(), &[])?;
            let read = ReadArgs { rev: args.rev.clone(), ..ReadArgs::default() };
            session.snapshot(&read).await?
        }
    };
    let cache = ParseCache::default();
    let mut problems = Vec::new();
    for target in &config.targets {
        let listing = snapshot
            .folders(&target.paths, config_file.as_deref())
            .map_err(CommandError::failed)?;
        if let Some(missing) = listing.folders.iter().find(|folder| !folder.exists) {
            return Err(CommandError::Failed(format!(
                "the path `{}` of the target `{}` does not exist",
                missing.path, target.name
            )));
        }
        notes.extend(notes_of(&listing));
        let request = load_request(target, &listing.folders, &config.target_names);
        problems.extend(load(&request, &cache, &snapshot.reader()).diagnostics);
    }
    Ok(problems)
}

/// The working tree of a checkout; a plain folder serves too, since nothing is committed here.
fn files_of(path: &Path) -> Result<Files, CommandError> {
    match Repository::open(path).and_then(|repository| repository.worktree()) {
        Ok(files) => Ok(files),
        Err(SourceError::NotARepository { .. }) => Ok(Files::of_worktree(path.to_path_buf())),
        Err(error) => Err(CommandError::failed(error)),
    }
}

/// Writes the problems in the form that was asked for, and the notes about files that are not read.
fn show(
    output: ValidateOutput,
    problems: &[Diagnostic],
    notes: &BTreeSet<String>,
    context: &Context,
) {
    match output {
        ValidateOutput::Text => {
            context.print(&diagnostics::text_with_notes(problems, notes, &context.style()));
        }
        ValidateOutput::Json => {
            let mut shown = diagnostics::json(problems);
            shown["notes"] = serde_json::json!(notes);
            context.print_json(&shown);
        }
        ValidateOutput::Markdown => context.print(&diagnostics::markdown(problems, notes)),
        ValidateOutput::Github => context.print(&diagnostics::github(problems, notes)),
    }
}
