//! Shared by the commands that look at targets: the targets that they are about, and the snapshot that
//! they read.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::args::{NarrowArgs, ReadArgs, WriteArgs};
use super::context::Context;
use crate::api::WriteLimit;
use crate::audit::Asked;
use crate::catalog::{self, ConnectionType, did_you_mean, did_you_mean_type};
use crate::config::{Config, Location, Target};
use crate::leadership::Term;
use crate::name::first_few;
use crate::plan::{Filter, Plan, RunRequests};
use crate::reconcile::{self, Engine, Prepared, ReadBackMode, RunOptions};
use crate::rules::Effect;
use crate::source::{CheckedSnapshot, Snapshot, Source, SourceError};

/// A command's engine, and where its documents come from.
pub struct Session {
    /// The engine.
    pub engine: Engine,
    /// Who asked for the command, where a refused signature belongs into the history.
    pub asked: Option<Asked>,
    source: Option<Source>,
}

impl Session {
    /// Starts from the config of the context; `targets` are the only ones that are looked at.
    ///
    /// # Errors
    /// The config cannot be used, or has no such target.
    pub fn new(context: &Context, targets: &[String]) -> Result<Self, CommandError> {
        Self::with_config(context, context.config()?, targets)
    }

    /// Starts from a config that was read already.
    ///
    /// # Errors
    /// It has no such target.
    pub fn with_config(
        context: &Context,
        mut config: Config,
        targets: &[String],
    ) -> Result<Self, CommandError> {
        keep_targets(&mut config, targets)?;
        let engine = Engine::new(config, context.environment.clone());
        Ok(Self { engine, asked: None, source: None })
    }

    /// The one target that a command is about.
    ///
    /// # Errors
    /// There are several.
    pub fn single_target(&self) -> Result<&Target, CommandError> {
        match &self.engine.config.targets[..] {
            [target] => Ok(target),
            _ => Err(CommandError::WithHint(
                "the config has several targets".to_owned(),
                "name one with --target".to_owned(),
            )),
        }
    }

    /// The options that a command starts from.
    ///
    /// # Errors
    /// A `--type` or `--allow` is none, or the base revision is not as it should be.
    pub async fn options(
        &mut self,
        context: &Context,
        cause: &str,
        narrow: &NarrowArgs,
        writes: &WriteArgs,
        base: Option<&str>,
    ) -> Result<RunOptions, CommandError> {
        known_types(&narrow.types)?;
        let allowed = writes.clone();
        self.knows_rules(&allowed.allow)?;
        let allow_delete = allowed.allow_delete.iter().map(|name| name.as_str().into());
        let base_revision = match base {
            Some(base) => Some(self.revision(base).await?),
            None => None,
        };
        Ok(RunOptions {
            writes: false,
            requests: RunRequests {
                filter: Filter::new(&narrow.names, &narrow.types),
                allow_deletes: allowed.allow_deletes,
                allow_delete: allow_delete.collect(),
                allow: allowed.allow,
                degraded_at_once: true,
            },
            base_revision,
            resend_secrets: allowed.resend_secrets,
            with_secrets: true,
            follows: true,
            read_back: ReadBackMode::Nothing,
            lock_timeout: allowed.lock_timeout,
            retries: context.retries(),
            asked: context.asked(cause),
            stop: CancellationToken::new(),
            limit: WriteLimit::default(),
        })
    }

    /// Checks that the targets have rules of these names.
    ///
    /// # Errors
    /// There is no such rule.
    fn knows_rules(&self, names: &[String]) -> Result<(), CommandError> {
        let rules = || self.engine.config.targets.iter().flat_map(|target| target.rules.iter());
        let holds = || rules().filter(|rule| rule.effect == Effect::Hold).map(|rule| &*rule.name);
        let holds_nothing = |name: &&String| !holds().any(|hold| hold == *name);
        let Some(name) = names.iter().find(holds_nothing) else { return Ok(()) };
        let problem = match rules().find(|rule| rule.name == *name) {
            Some(_) => format!("the rule `{name}` holds nothing, so nothing consents to it"),
            None => format!("there is no rule `{name}`"),
        };
        let hint = did_you_mean(holds(), name, "`rules` of the config names those with `hold`");
        Err(CommandError::WithHint(problem, hint))
    }

    /// The snapshot that the flags name, verified where the config asks for it.
    ///
    /// # Errors
    /// The repository, the revision or its signature is not as it should be.
    pub async fn snapshot(&mut self, read: &ReadArgs) -> Result<Snapshot, CommandError> {
        if let Some(rev) = &read.rev {
            return self.revision(rev).await;
        }
        let mut source = self.open().await?;
        source.worktree = read.worktree;
        if read.worktree {
            tokio::task::block_in_place(|| self.refuse_half_a_checkout(&source))?;
        }
        self.accepted(tokio::task::block_in_place(|| source.look()))
    }

    /// Refuses a working tree in which documents are not checked out: a layer would be missing without a word.
    fn refuse_half_a_checkout(&self, source: &Source) -> Result<(), CommandError> {
        let Ok(repository) = source.repository() else { return Ok(()) };
        let targets = &self.engine.config.targets;
        let paths: Vec<String> = targets.iter().flat_map(|target| target.paths.clone()).collect();
        let Some(file) = repository.not_checked_out(&paths).into_iter().next() else {
            return Ok(());
        };
        Err(CommandError::WithHint(
            format!(
                "{file} is not checked out, so the working tree does not say what git declares"
            ),
            "check it out with `git sparse-checkout add`, or run in a whole clone".to_owned(),
        ))
    }

    /// A revision that is named.
    ///
    /// # Errors
    /// There is no such revision, or it is not signed as the config asks.
    pub async fn revision(&mut self, rev: &str) -> Result<Snapshot, CommandError> {
        let source = self.open().await?;
        self.accepted(source.revision(rev).await)
    }

    fn accepted(
        &self,
        checked: Result<CheckedSnapshot, SourceError>,
    ) -> Result<Snapshot, CommandError> {
        let CheckedSnapshot { snapshot, refused, .. } = checked.map_err(CommandError::failed)?;
        let Some(refused) = refused else { return Ok(snapshot) };
        if let Some(asked) = &self.asked {
            for target in &self.engine.config.targets {
                let commit = snapshot.commit().map(|commit| &commit.id);
                self.engine.trail(target, true).of_run(commit, asked).refused(&refused);
            }
        }
        Err(CommandError::Failed(refused))
    }

    /// Fetches the source, where it is a url.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn fetch(&self) -> Result<(), CommandError> {
        let Some(mirror) = &self.engine.mirror else { return Ok(()) };
        mirror.fetch(&CancellationToken::new()).await.map(drop).map_err(CommandError::failed)
    }

    /// The source; one that is a url is fetched when it is first asked for.
    pub(super) async fn open(&mut self) -> Result<Source, CommandError> {
        if let Some(opened) = &self.source {
            return Ok(opened.clone());
        }
        let source = self.engine.source().map_err(CommandError::failed)?;
        self.engine.mirror = source.mirror().cloned();
        self.fetch().await?;
        self.source = Some(source.clone());
        Ok(source)
    }

    /// Waits for the right to act for the targets, where replicas share them.
    ///
    /// # Errors
    /// Another replica acts for one of them.
    pub async fn elected(
        &self,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Term, CommandError> {
        let targets = &self.engine.config.targets;
        let elected = self.engine.leadership.elected_for(targets, patience, stop).await;
        elected.map_err(CommandError::Failed)
    }

    /// Prepares every target.
    pub async fn prepare(&self, snapshot: &Snapshot, options: &RunOptions) -> Vec<Prepared<'_>> {
        let targets = self.engine.config.targets.iter();
        let prepare = |target| reconcile::prepare(&self.engine, target, snapshot, options);
        let mut prepared = futures_util::future::join_all(targets.map(prepare)).await;
        for prepared in prepared.iter_mut().filter(|one| one.is_suspended() == Some(true)) {
            prepared.plan.hold_suspended();
        }
        for prepared in &mut prepared {
            prepared.plan.notices.extend(self.uncommitted(snapshot, prepared.target));
            let after = prepared.target.after.as_ref().map(|after| &after.target);
            prepared.plan.notices.extend(after.map(|first| {
                format!("`after` binds the daemon alone: whether `{first}` has applied this commit is not asked")
            }));
        }
        prepared
    }

    /// A note on documents of the checkout that are not committed, where its commit is read.
    fn uncommitted(&self, snapshot: &Snapshot, target: &Target) -> Option<String> {
        let (Snapshot::Commit { repository, commit }, Location::Path(_)) =
            (snapshot, &self.engine.config.source.location)
        else {
            return None;
        };
        let find = || match repository.head(None) {
            Ok(head) if head.id == commit.id => {
                repository.uncommitted(&target.paths, false).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let files = tokio::task::block_in_place(find);
        let note = "changes that are not committed are not read without --worktree";
        (!files.is_empty()).then(|| format!("{note}: {}", first_few(&files, 3)))
    }

    /// The plan of all targets.
    pub fn plan_of(&self, snapshot: &Snapshot, prepared: &[Prepared<'_>]) -> Plan {
        Plan {
            commit: snapshot.commit().cloned(),
            source: self.engine.config.source.as_written.clone(),
            links: self.engine.links(),
            targets: prepared.iter().map(|p| p.plan.clone()).collect(),
        }
    }
}

/// Refuses to apply the working tree where commits have to be signed: no file there is.
pub(super) fn refuse_unsigned(config: &Config, worktree: bool) -> Result<(), CommandError> {
    if worktree && config.source.verify.is_some() {
        let why = "only signed commits are applied (`source.verify`), and the working tree is none";
        return Err(CommandError::Failed(why.to_owned()));
    }
    Ok(())
}

/// Leaves only the named targets in a config.
pub(super) fn keep_targets(config: &mut Config, names: &[String]) -> Result<(), CommandError> {
    for name in names {
        if !config.targets.iter().any(|target| target.name == *name) {
            let known: Vec<&str> = config.targets.iter().map(|t| t.name.as_str()).collect();
            return Err(CommandError::WithHint(
                format!("the config has no target `{name}`"),
                format!("it has {}", known.join(", ")),
            ));
        }
    }
    if !names.is_empty() {
        config.targets.retain(|target| names.contains(&target.name));
    }
    Ok(())
}

/// Refuses a `--type` that is none.
///
/// # Errors
/// There is no such type.
pub(super) fn known_types(types: &[String]) -> Result<(), CommandError> {
    types.iter().try_for_each(|type_name| connection_type(type_name).map(drop))
}

/// The type of that name.
///
/// # Errors
/// There is no such type.
pub(super) fn connection_type(name: &str) -> Result<&'static ConnectionType, CommandError> {
    catalog::find(name).ok_or_else(|| {
        let types = "`apinizer-gitops explain` lists the types; `config` is the config of `schema`";
        let message = format!("there is no connection type `{name}`");
        CommandError::WithHint(message, did_you_mean_type(name, types))
    })
}
