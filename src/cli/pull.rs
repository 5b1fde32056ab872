//! `pull`: writes what changed in live into the files of the working tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use tokio::task::block_in_place;

use super::CommandError;
use super::args::{PullArgs, ReadArgs, TextOrJson, WriteArgs};
use super::context::Context;
use super::export::prefix;
use super::session::Session;
use crate::config::{Location, Target};
use crate::document;
use crate::export::{self, Export, KnownReferences, files};
use crate::name::ConnectionName;
use crate::plan::TargetPlan;
use crate::pull::{NotWritten, Pull, PullTarget, Texts, drift_of};
use crate::reconcile::{Prepared, RunOptions, load_request, load_target};
use crate::report::exit::{DONE, PENDING};
use crate::report::pull::{self as report, FileChange};
use crate::report::words::counted;
use crate::source::{Repository, Snapshot};

/// Runs `pull`; the exit code.
///
/// # Errors
/// A target cannot be looked at, or a file may not or cannot be written.
pub async fn run(args: &PullArgs, context: &Context) -> Result<u8, CommandError> {
    let config = context.config()?;
    let targets = config.targets.clone();
    let mut session = Session::with_config(context, config, &args.narrow.targets)?;
    if let Location::Url(_) = session.engine.config.source.location {
        return Err(CommandError::WithHint(
            "`pull` writes into the files of a checkout, and the source is a url".to_owned(),
            "clone it, and name the clone with --repo".to_owned(),
        ));
    }
    let base = args.base.as_deref();
    let options =
        session.options(context, "pull", &args.narrow, &WriteArgs::default(), base).await?;
    let snapshot = session.snapshot(&ReadArgs { worktree: true, ..ReadArgs::default() }).await?;
    let repository = session.open().await?.repository().map_err(CommandError::failed)?;
    let prepared = session.prepare(&snapshot, &options).await;
    super::plan::show_errors(context, &prepared);
    for TargetPlan { name, errors, notices, .. } in prepared.iter().map(|prepared| &prepared.plan) {
        if let Some(problem) = errors.first() {
            return Err(CommandError::Failed(format!("{name}: {problem}")));
        }
        notices.iter().for_each(|notice| context.say_line(&format!("note: {name}: {notice}")));
    }
    let declared = || declared_names(&session, &snapshot, &targets);
    let mut run = PullRun {
        session: &session,
        snapshot: &snapshot,
        options: &options,
        targets: &targets,
        root: repository.root().unwrap_or_default(),
        pull: Pull::default(),
        before: Texts::new(),
        new: BTreeMap::new(),
        declared: if args.unmanaged { block_in_place(declared)? } else { BTreeSet::new() },
        not_written: Vec::new(),
    };
    for prepared in &prepared {
        block_in_place(|| run.edit(prepared))?;
        if args.unmanaged {
            run.add_unmanaged(prepared, context).await?;
        }
    }
    let mut changes = run.changes();
    refuse_links(&snapshot, &changes)?;
    let read = |target: &Target| target.paths.clone();
    let paths: Vec<String> = session.engine.config.targets.iter().flat_map(read).collect();
    if !args.force {
        refuse_uncommitted(&repository, &paths, &changes)?;
    }
    let write = || write_all(&run.root, &mut changes);
    let written = if args.check { Ok(()) } else { block_in_place(write) };
    if written.is_ok() || !changes.is_empty() {
        run.tell(&changes, args, context);
    }
    written?;
    Ok(if changes.is_empty() { DONE } else { PENDING })
}

/// The targets that read a file or folder.
fn readers<'t>(targets: &'t [Target], place: &Path) -> Vec<&'t str> {
    let plain = |path: &Path| -> PathBuf {
        path.components().filter(|step| *step != Component::CurDir).collect()
    };
    let place = plain(place);
    let reads = |path: &String| place.starts_with(plain(Path::new(path)));
    let readers = targets.iter().filter(|target| target.paths.iter().any(reads));
    readers.map(|target| target.name.as_str()).collect()
}

/// The names that documents have, for whatever target.
fn declared_names(
    session: &Session,
    snapshot: &Snapshot,
    targets: &[Target],
) -> Result<BTreeSet<ConnectionName>, CommandError> {
    let engine = &session.engine;
    let paths: Vec<String> = targets.iter().flat_map(|target| target.paths.clone()).collect();
    let listing = snapshot.folders(&paths, engine.config_file.as_deref());
    let listing = listing.map_err(CommandError::failed)?;
    let reader = snapshot.reader();
    Ok(document::layers(&listing.folders, &engine.cache, &reader).into_keys().collect())
}

/// One run of `pull`: the texts of the working tree as they change.
struct PullRun<'a> {
    session: &'a Session,
    snapshot: &'a Snapshot,
    options: &'a RunOptions,
    /// All targets of the config.
    targets: &'a [Target],
    /// The folder that paths are relative to.
    root: PathBuf,
    pull: Pull,
    /// The texts as they were read.
    before: Texts,
    /// New files, by path.
    new: BTreeMap<String, String>,
    /// The names that documents have, for whatever target.
    declared: BTreeSet<ConnectionName>,
    not_written: Vec<NotWritten>,
}

impl PullRun<'_> {
    /// Writes the drift of one target into the texts.
    fn edit(&mut self, prepared: &Prepared<'_>) -> Result<(), CommandError> {
        let (engine, target) = (&self.session.engine, prepared.target);
        let Some(ready) = &prepared.ready else { return Ok(()) };
        let live_of = |name: &ConnectionName| ready.observed.listed(name);
        let entries = &prepared.plan.entries;
        let (drift, not_written) = drift_of(&target.name, entries, &ready.opened.desired, live_of);
        self.not_written.extend(not_written);
        let listing = self.snapshot.folders(&target.paths, engine.config_file.as_deref());
        let listing = listing.map_err(CommandError::failed)?;
        let reader = self.snapshot.reader();
        let layers = document::layers(&listing.folders, &engine.cache, &reader);
        let files = listing.folders.iter().flat_map(|folder| &folder.files);
        let wanted: BTreeSet<&Arc<str>> = drift
            .iter()
            .filter_map(|d| layers.get(&d.name))
            .flatten()
            .map(|layer| &layer.file)
            .collect();
        for entry in files.filter(|entry| wanted.contains(&entry.path)) {
            let bytes = self.snapshot.read(entry).map_err(CommandError::failed)?;
            let unreadable = CommandError::at("cannot read", Path::new(&*entry.path));
            let text = String::from_utf8(bytes).map_err(unreadable)?;
            self.before.entry(Arc::clone(&entry.path)).or_insert_with(|| text.clone());
            self.pull.texts.entry(Arc::clone(&entry.path)).or_insert(text);
        }
        let known_targets = &engine.config.target_names;
        let request = load_request(target, &listing.folders, known_targets);
        let resolution = engine.resolution(target, self.options);
        let pull_target = PullTarget { request, name: &target.name, resolution, layers };
        for drift in &drift {
            self.not_written.extend(self.pull.add(drift, &pull_target));
        }
        Ok(())
    }

    /// Adds documents for the connections of one target that git does not declare.
    async fn add_unmanaged(
        &mut self,
        prepared: &Prepared<'_>,
        context: &Context,
    ) -> Result<(), CommandError> {
        let (engine, target) = (&self.session.engine, prepared.target);
        let Some(ready) = &prepared.ready else { return Ok(()) };
        let folder = Path::new(target.paths.first().map_or("", String::as_str));
        if self.root.join(folder).is_file() {
            let message = format!("new documents go into the first path of `{}`", target.name);
            let message = format!("{message}, and {} is a file", folder.display());
            return Err(CommandError::Failed(message));
        }
        let unmanaged: BTreeSet<_> = prepared.plan.unmanaged().map(|entry| &entry.name).collect();
        let listed =
            ready.observed.live.connections.iter().filter(|(name, _)| unmanaged.contains(name));
        let (fresh, known): (Vec<_>, Vec<_>) = listed
            .map(|(_, live)| live.clone())
            .partition(|live| !self.declared.contains(&live.name));
        self.not_written.extend(known.into_iter().map(|live| NotWritten {
            target: target.name.clone(),
            type_name: live.type_name,
            name: live.name,
            field: None,
            reason: "a document of that name is there, for another target".to_owned(),
        }));
        let client = &ready.opened.connection.client;
        let live = export::read_each(client, fresh, target.manager.concurrency).await;
        let live = live.map_err(CommandError::failed)?;
        let loaded = load_target(engine, target, self.snapshot).map_err(CommandError::failed)?;
        let (record, documents) = (&ready.record, &loaded.contents.documents);
        let known = KnownReferences::of(record, documents, &engine.environment);
        let mut export = Export::of(&live, &known, prefix(target), false);
        export.leave_out_known(&engine.redactor);
        if readers(self.targets, folder).iter().any(|reader| *reader != target.name) {
            export.declare_for(&target.name);
        }
        for line in export.passed_over.iter().chain(&export.left_out) {
            context.say_line(&format!("warning: {line}"));
        }
        for variable in &export.variables {
            variable.value.iter().for_each(|value| engine.redactor.learn(value.expose()));
            let (name, about) = (&variable.name, &variable.about);
            context.say_line(&format!("a new document refers to ${{env:{name}}}: {about}"));
        }
        self.declared.extend(export.documents.iter().map(|document| document.name.clone()));
        let path_of = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let is_taken = |name: &str| {
            let path = path_of(name);
            self.new.contains_key(&path) || self.root.join(path).symlink_metadata().is_ok()
        };
        for file in files::new_files(&export, &is_taken) {
            self.new.insert(path_of(&file.name), file.text);
        }
        Ok(())
    }

    /// Shows the differences and the list of what is not written, and says how many files were changed and
    /// which of them several targets read.
    fn tell(&self, changes: &[FileChange], args: &PullArgs, context: &Context) {
        let redact = |text: &str| self.session.engine.redactor.redact(text);
        match args.output {
            TextOrJson::Json => {
                context.print_json(&report::json(changes, &self.not_written, &redact));
            }
            TextOrJson::Text => {
                let text = report::text(changes, &self.not_written, &context.style());
                context.print(&redact(&text));
            }
        }
        if context.global.quiet {
            return;
        }
        for FileChange { path, .. } in changes.iter().filter(|change| change.before.is_some()) {
            let readers = readers(self.targets, Path::new(path));
            if readers.len() > 1 {
                let readers = readers.join(", ");
                context.say_line(&format!("note: {path} is read for several targets: {readers}"));
            }
        }
        let did = if args.check { "would change" } else { "changed" };
        context.say(&match changes.len() {
            0 => "nothing to write".to_owned(),
            count => format!("{did} {}", counted(count, "file")),
        });
    }

    /// The files that are not as they were read, and the new ones.
    fn changes(&self) -> Vec<FileChange> {
        let changed = self.before.iter().filter_map(|(path, before)| {
            let after = self.pull.texts.get(path).filter(|after| *after != before)?.clone();
            Some(FileChange { path: path.to_string(), before: Some(before.clone()), after })
        });
        let new = self.new.iter().map(|(path, after)| FileChange {
            path: path.clone(),
            before: None,
            after: after.clone(),
        });
        changed.chain(new).collect()
    }
}

/// Refuses to write outside the working tree.
fn refuse_links(snapshot: &Snapshot, changes: &[FileChange]) -> Result<(), CommandError> {
    let Snapshot::Disk(files) = snapshot else { return Ok(()) };
    let Some(change) = changes.iter().find(|change| files.crosses_link(&change.path)) else {
        return Ok(());
    };
    let message = format!("{} is behind a symbolic link: nothing was written", change.path);
    Err(CommandError::Failed(message))
}

/// Refuses to change files that are not as a commit has them: what somebody wrote into them could
/// not be told from what is pulled.
fn refuse_uncommitted(
    repository: &Repository,
    paths: &[String],
    changes: &[FileChange],
) -> Result<(), CommandError> {
    let uncommitted = block_in_place(|| repository.uncommitted(paths, true));
    let Some(uncommitted) = uncommitted else {
        return Err(CommandError::WithHint(
            "git did not say which files have changes that are not committed".to_owned(),
            "to write anyway, pull with --force".to_owned(),
        ));
    };
    let is_in_danger = |change: &&FileChange| uncommitted.contains(&change.path);
    let named: Vec<&str> =
        changes.iter().filter(is_in_danger).map(|change| change.path.as_str()).collect();
    if named.is_empty() {
        return Ok(());
    }
    Err(CommandError::WithHint(
        format!("changes that are not committed are in {}: nothing was written", named.join(", ")),
        "commit or stash them, or pull with --force".to_owned(),
    ))
}

/// Writes the files up to the first that cannot be written; `changes` are then those that are written.
fn write_all(root: &Path, changes: &mut Vec<FileChange>) -> Result<(), CommandError> {
    for (count, change) in changes.iter().enumerate() {
        if let Err(error) = write(root, change) {
            changes.truncate(count);
            return Err(error);
        }
    }
    Ok(())
}

/// Writes a file whole or not at all. A file that somebody changed meanwhile stays as it is.
fn write(root: &Path, change: &FileChange) -> Result<(), CommandError> {
    let path = root.join(&change.path);
    let failed = CommandError::at("cannot write", &path);
    let folder = path.parent().unwrap_or(root);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = files::ExportFile { name, text: change.after.clone() };
    if let Some(before) = &change.before {
        let found = path.symlink_metadata().map_err(&failed)?;
        if !found.is_file() || std::fs::read(&path).map_err(&failed)? != before.as_bytes() {
            let message = format!("{} has changed meanwhile: it is left as it is", path.display());
            return Err(CommandError::Failed(message));
        }
    }
    files::write(folder, &[file], change.before.is_some()).map_err(CommandError::failed)?;
    // The first line of a new document names the schema.
    let has_schema = || folder.join(files::SCHEMA_FILE).symlink_metadata().is_ok();
    if change.before.is_none() && !has_schema() {
        files::write_schema(folder).map_err(CommandError::failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_before_one_that_cannot_be_written_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let change = |path: &str, now: &str| {
            std::fs::write(folder.path().join(path), now).unwrap();
            let (before, after) = (Some("as read".to_owned()), "pulled".to_owned());
            FileChange { path: path.to_owned(), before, after }
        };
        let mut changes =
            vec![change("a", "as read"), change("b", "changed meanwhile"), change("c", "as read")];
        let error = write_all(folder.path(), &mut changes).unwrap_err();
        assert!(error.to_string().contains("b has changed meanwhile"), "{error}");
        assert_eq!(changes.iter().map(|change| &*change.path).collect::<Vec<_>>(), ["a"]);
        let text = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap();
        assert_eq!([text("a"), text("b"), text("c")], ["pulled", "changed meanwhile", "as read"]);
    }
}
