//! From a snapshot to a plan: load, recall, resolve, observe, decide. Nothing but GET is sent, and the
//! request for a token. In a run that writes, the state is locked, and raised protection and a state that was
//! lost are noted in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::earlier_commits::CommitReader;
use super::load::{LoadedTarget, load_by_rules, load_request};
use super::{
    Connection, Engine, Prepared, ReadBackMode, Ready, RunOptions, Step, blocking, connect,
    isolates, now, plan_of,
};
use crate::api::{Client, ENDING, before_the_end};
use crate::audit::TrailerConsent;
use crate::config::{OnDrift, Target};
use crate::desired::{self, Desired, DesiredConnection};
use crate::diagnostic::Diagnostic;
use crate::document::{self, Invalid};
use crate::live::Live;
use crate::name::{CommitId, ConnectionName};
use crate::observe::{self, Singles};
use crate::plan::compare::{CompareSettings, Keys};
use crate::plan::earlier_commits::{EarlierCommits, Noting, forget_path, keep_beside, keep_due};
use crate::plan::reading::{self, ReadBack};
use crate::plan::renames::{open_renames, renames_of};
use crate::plan::unanswered::settle;
use crate::plan::{
    Judge, Observed, Planned, Settings, Tally, TargetPlan, join, keep_protection,
    marks_that_are_over, plan, raise_protection,
};
use crate::record::{GoodCommit, ReadableSecrets, Record};
use crate::source::{Snapshot, SourceError};
use crate::state::Ledger;

/// Reads, loads, resolves, observes and plans one target. Problems are told in the plan.
pub async fn prepare<'e>(
    engine: &'e Engine,
    target: &'e Target,
    snapshot: &Snapshot,
    options: &RunOptions,
) -> Prepared<'e> {
    let mut prepared = Prepared {
        target,
        plan: plan_of(target),
        commit: snapshot.commit().cloned(),
        refused: false,
        credentials_refused: false,
        failed_step: None,
        ready: None,
    };
    let reconcile = Reconcile { engine, target, snapshot, options };
    if let Err((step, problem)) = reconcile.fill(&mut prepared).await {
        prepared.failed_step = Some(step);
        prepared.plan.errors.push(problem);
    }
    prepared.plan.count_matches(&target.rules);
    prepared
}

/// One reconcile of one target.
pub(super) struct Reconcile<'a> {
    pub(super) engine: &'a Engine,
    pub(super) target: &'a Target,
    pub(super) snapshot: &'a Snapshot,
    pub(super) options: &'a RunOptions,
}

/// The things that a reconcile knows before it looks at live.
pub(crate) struct Opened {
    pub(super) loaded: Arc<LoadedTarget>,
    pub(crate) desired: Desired,
    pub(crate) connection: Connection,
    /// Whether the record's fingerprints were made under today's key.
    pub(super) key_is_known: bool,
    /// The record as it was read, with the protection that the commit raises and without the marks that it takes
    /// back: what is saved at once.
    pub(super) before: Record,
    /// Of a run that writes the state: it holds the lock until the outcome of the plan is remembered.
    pub(super) ledger: Option<Ledger>,
}

impl Opened {
    fn keys(&self) -> Keys<'_> {
        let Connection { key, profile, .. } = &self.connection;
        Keys { key, is_known: self.key_is_known, profile: profile.as_deref() }
    }

    /// Remembers protection at once: the run may end before its outcome, or be of a suspended target.
    async fn save_protection(&self) -> Result<(), (Step, String)> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        ledger.edit_if_changed(|known| known.connections.clone_from(&self.before.connections));
        ledger.save().await.map_err(|error| (Step::State, error.to_string()))
    }
}

impl Reconcile<'_> {
    /// Makes the plan; the error stops the target as a whole.
    async fn fill(&self, prepared: &mut Prepared<'_>) -> Result<(), (Step, String)> {
        let (mut opened, mut record) = self.open(prepared).await?;
        let asked = self.ask(&opened, &mut record, prepared).await;
        if asked.is_err() {
            // Protection counts from the first reconcile that saw it, whatever its lists gave.
            opened.save_protection().await?;
        }
        let (earlier, live) = asked?;
        let mut observed = self.look_closer(live, &opened, &record, prepared).await;
        let found_done = settle(&mut record, &observed, opened.keys());
        let (desired, live) = (&mut opened.desired, &observed.live);
        let is_commit = self.snapshot.commit().is_some();
        if is_commit {
            // A call that was settled may have put another connection under a name.
            raise_protection(&mut record, desired);
        }
        let is_whole = is_commit && !opened.loaded.contents.has_errors();
        let may_lift = |connection: &DesiredConnection| {
            is_whole && earlier.absent_path_of(&connection.name, Some(connection)).is_none()
        };
        for old in marks_that_are_over(&record, desired, live, may_lift) {
            for known in [&mut record, &mut opened.before] {
                known.edit(&old, |memory| memory.protected_by = None);
            }
        }
        keep_protection(desired, &record, live, may_lift);
        opened.save_protection().await?;
        let mut planned = self.decide_rows(&opened, record, &earlier, &mut observed).await?;
        // No plan is made of a part of the answers: the end of the run is no fault of a connection.
        let mut problems = observed.failed.values().chain(observed.live.incomplete.values());
        if problems.any(|problem| before_the_end(problem).is_none()) {
            return Err((Step::Observe, ENDING.to_owned()));
        }
        planned.redact(&self.engine.redactor);
        if self.engine.config.target_names.len() > 1 {
            planned.name_target(&self.target.name);
        }
        let Planned { plan, record, tally, .. } = planned;
        prepared.take(plan);
        let good = self.good_commit(&opened, &earlier);
        let consents = self.trailer_consents(&opened.before, &record);
        let snapshot = self.snapshot.clone();
        prepared.ready =
            Some(Ready { opened, record, observed, tally, found_done, good, consents, snapshot });
        Ok(())
    }

    /// Reads documents, credentials and state, and resolves the documents. The record is the one that
    /// the reconcile changes.
    async fn open(&self, prepared: &mut Prepared<'_>) -> Result<(Opened, Record), (Step, String)> {
        let loaded = self.load(prepared).map_err(|problem| (Step::Load, problem))?;
        let connection = connect(self.engine, self.target);
        let connection = connection.map_err(|error| (Step::Connect, error.to_string()))?;
        let connection = connection.with_retries(self.options);
        let recalled = self.recall(&connection, prepared).await;
        let (mut before, ledger) = recalled.map_err(|problem| (Step::State, problem))?;
        let desired = self.resolve(&loaded, prepared);
        if self.snapshot.commit().is_some() {
            raise_protection(&mut before, &desired);
        }
        let mut record = before.clone();
        let key_is_known = self.check_key(&mut record, &connection, prepared);
        Ok((Opened { loaded, desired, connection, key_is_known, before, ledger }, record))
    }

    /// Asks the API for the lists, and git for the earlier commits meanwhile. Both come after the state
    /// was locked: what another process changed before is in the lists and in the record.
    async fn ask(
        &self,
        opened: &Opened,
        record: &mut Record,
        prepared: &mut Prepared<'_>,
    ) -> Result<(EarlierCommits, Live), (Step, String)> {
        let Self { engine, target, snapshot, .. } = *self;
        let is_stateless = self.options.base_revision.is_some();
        let Opened { connection, loaded, .. } = opened;
        let commit = snapshot.commit().map(|commit| &commit.id);
        let owned_types = record.inventory().map(|(_, owned)| owned.type_name.clone()).collect();
        let concurrency = target.manager.concurrency;
        let lists = observe::lists(&connection.client, concurrency, owned_types);
        let earlier = async {
            let reader = CommitReader { engine, target, snapshot, loaded, is_stateless };
            let is_new = record.last_good.as_ref().map(|good| &good.commit) != commit;
            // Of a commit that is known there is nothing to ask git for.
            let earlier = if is_new { blocking(|| reader.ask(record)) } else { reader.ask(record) };
            let earlier = earlier.map_err(|error| (Step::EarlierCommits, error.to_string()))?;
            tell_missing_paths(loaded, record, is_stateless, prepared)
                .map_err(|problem| (Step::Load, problem))?;
            Ok(earlier)
        };
        let (live, earlier) = tokio::try_join!(async { Ok(lists.await) }, earlier)?;
        self.check_answers(&live, connection, prepared)
            .map_err(|problem| (Step::Observe, problem))?;
        self.check_variables(loaded, &connection.client, &mut prepared.plan).await;
        Ok((earlier, live))
    }

    /// Warns in the plan of variables that the project does not have. Documents that use none cause no
    /// call; a list that is refused, or a read that fails, is a note and nothing else.
    async fn check_variables(&self, loaded: &LoadedTarget, client: &Client, plan: &mut TargetPlan) {
        let used = &loaded.variables;
        if used.is_empty() {
            return;
        }
        let note = |problem: &str| {
            format!(
                "Apinizer's variables in the documents were not checked, which takes the permission \
                 `GLOBAL_SETTINGS` with VIEW: {problem}"
            )
        };
        let known = match client.variables().await {
            Ok(known) => known,
            Err(error) => return plan.notices.push(note(&error.cause())),
        };
        if used.is_subset(&known) {
            return;
        }
        match blocking(|| self.unknown_variables(&known)) {
            Ok(found) => {
                plan.diagnostics.extend(found);
                plan.diagnostics
                    .sort_by_cached_key(|d| (d.mark.file.clone(), d.mark.line, d.mark.column));
            }
            Err(error) => plan.notices.push(note(&error.to_string())),
        }
    }

    /// Warnings of Apinizer's variables in the documents that are not among these.
    fn unknown_variables(&self, known: &BTreeSet<String>) -> Result<Vec<Diagnostic>, SourceError> {
        let Self { engine, target, snapshot, .. } = *self;
        let listing = snapshot.folders(&target.paths, engine.config_file.as_deref())?;
        let names = &engine.config.target_names;
        let request = load_request(target, &listing.folders, names);
        Ok(document::unknown_variables(&request, &engine.cache, &snapshot.reader(), known))
    }

    /// Notes what is due, joins the rows and decides them.
    async fn decide_rows(
        &self,
        opened: &Opened,
        mut record: Record,
        earlier: &EarlierCommits,
        observed: &mut Observed,
    ) -> Result<Planned, (Step, String)> {
        let Opened { loaded, desired, connection, before, .. } = opened;
        let blocked = loaded.blocked(record.last_good.as_ref());
        let blocked = blocked.map_err(|problem| (Step::Load, problem))?;
        let invalid = with_old_names(blocked, loaded, desired, &record, &observed.live);
        let loaded_whole = !loaded.contents.has_errors();
        let filter = &self.options.requests.filter;
        if loaded_whole {
            let live = &observed.live;
            Noting { desired, live, filter, earlier }.note(&mut record);
        }
        let (record, tally) = (&record, Tally::default());
        let decide = |observed: &Observed, sendable: &ReadableSecrets| {
            let settings = Settings {
                policy: &self.target.policy,
                run: &self.options.requests,
                compare: self.compare_settings(opened, record),
                sendable,
                live: &observed.live,
                loaded_whole,
                unread_files: &loaded.unread_files,
                earlier,
                judge: self.judge(&tally),
                without_consents: false,
            };
            let rows = join(desired, &invalid, earlier, observed, record);
            plan(rows, record, &settings)
        };
        let mut planned = decide(observed, &record.readable);
        if !planned.to_read.is_empty() {
            let read = self.read(connection, planned.to_read).await;
            observed.read_alone.extend(read.found.keys().cloned());
            observed.singles.extend(read.found);
            let failed = read.failed.into_iter().map(|(name, error)| (name, error.to_string()));
            observed.failed.extend(failed);
            planned = decide(observed, &planned.record.readable);
        }
        // A secret that this reconcile proved to be readable lets others of its type be sent back.
        if planned.record.readable != record.readable {
            planned = decide(observed, &planned.record.readable);
        }
        keep_due(&mut planned.record, before, self.snapshot.commit().is_none(), filter);
        let renews = loaded_whole && self.snapshot.commit().is_some() && !filter.is_narrow();
        if let Some(good) = planned.record.last_good.as_mut().filter(|_| !renews) {
            if self.options.requests.allow_deletes && !filter.is_narrow() {
                let (absent, today) = (earlier.absent_paths(), loaded.counts());
                absent.keys().for_each(|path| forget_path(good, path, &today));
            }
            keep_beside(good, loaded.of_part(filter), loaded.counts());
        }
        Ok(planned)
    }

    /// The commit as the state keeps it, if it loaded whole and the run is not narrowed. Lost and unread
    /// paths are kept with it until they are back or somebody consents. A consent clears their
    /// names. A path that today's config does not read stays known itself: it may still declare something.
    fn good_commit(&self, opened: &Opened, earlier: &EarlierCommits) -> Option<GoodCommit> {
        let Self { engine, target, options, .. } = *self;
        let whole = !opened.loaded.contents.has_errors();
        let commit =
            self.snapshot.commit().filter(|_| whole && !options.requests.filter.is_narrow())?;
        let mut good = opened.loaded.as_good_commit(engine.config_digest(target), &commit.id);
        let is_consented = options.requests.allow_deletes || earlier.consents.by_tip;
        let absent_paths = earlier.absent_paths();
        let last_good = opened.before.last_good.as_ref();
        // A connection that is held for a path stays as the files of before declared it.
        let declared = Arc::make_mut(&mut good.declared);
        for name in absent_paths.values().flatten().filter(|_| !is_consented) {
            let applied = last_good.and_then(|good| good.declared.get(name));
            if let (Some(now), Some(applied)) = (declared.get_mut(name), applied) {
                now.files.clone_from(&applied.files);
            }
        }
        good.absent_paths = absent_paths;
        if is_consented {
            good.absent_paths.retain(|path, _| !good.paths.contains_key(path));
            good.absent_paths.values_mut().for_each(BTreeSet::clear);
            return Some(good);
        }
        // A path that touched no name is lost as well, though no name says so.
        for path in earlier.lost_paths.keys() {
            let then = last_good.and_then(|good| good.paths.get(path)).copied();
            good.paths.insert(path.clone(), then.unwrap_or_default().max(1));
        }
        Some(good)
    }

    /// The consents of trailers, for the audit trail; those are new that the record did not have before.
    fn trailer_consents(&self, before: &Record, record: &Record) -> Vec<TrailerConsent> {
        let Snapshot::Commit { repository, .. } = self.snapshot else { return Vec::new() };
        let known = trailers_of(before);
        let told = trailers_of(record).into_iter().map(|consent| {
            let is_new = !known.contains(&consent);
            let (name, commit, trailer) = consent;
            let found = blocking(|| repository.commit(commit)).ok().flatten();
            TrailerConsent {
                type_name: record.owned(name).map(|owned| owned.type_name.clone()),
                name: name.clone(),
                commit: commit.clone(),
                author: found.map(|found| found.author).unwrap_or_default(),
                trailer,
                is_new,
            }
        });
        told.collect()
    }

    /// Loads the documents; a commit with errors is refused, unless the target isolates them.
    fn load(&self, prepared: &mut Prepared<'_>) -> Result<Arc<LoadedTarget>, String> {
        let loaded = load_by_rules(self.engine, self.target, self.snapshot);
        let loaded = loaded.map_err(|error| error.to_string())?;
        // Those of no target are told with the first one.
        let first = self.engine.config.targets.first().map(|target| &target.name);
        let is_of_target =
            |warning: &&Diagnostic| warning.target.as_ref().or(first) == Some(&self.target.name);
        let of_config = self.engine.config.warnings.iter().filter(is_of_target);
        let problems = of_config.chain(&loaded.contents.diagnostics);
        prepared.plan.diagnostics = problems.cloned().collect();
        prepared.plan.notices.extend(loaded.notices.iter().cloned());
        if !loaded.contents.has_errors() || isolates(self.target) {
            return Ok(loaded);
        }
        prepared.refused = true;
        let what = match self.snapshot.commit() {
            Some(commit) => format!("commit {}", commit.id.short()),
            None => "the working tree".to_owned(),
        };
        let errors: Vec<_> = loaded.contents.errors().collect();
        let first = errors.first().map(|first| first.mark.to_string()).unwrap_or_default();
        let rules: BTreeSet<String> =
            errors.iter().filter_map(|d| Some(format!("`{}`", d.rule.as_ref()?))).collect();
        let rules = rules.into_iter().collect::<Vec<_>>().join(", ");
        let by = if rules.is_empty() { rules } else { format!(" (denied by the rule {rules})") };
        Err(match errors.len() {
            1 => format!("{what} has 1 error in its documents, at {first}{by}"),
            count => {
                format!("{what} has {count} errors in its documents, the first at {first}{by}")
            }
        })
    }

    /// Resolves all references before the first call: an answer may repeat a value, and its text is
    /// cleaned when it comes.
    fn resolve(&self, loaded: &LoadedTarget, prepared: &mut Prepared<'_>) -> Desired {
        let documents = &loaded.contents.documents;
        if !self.options.with_secrets {
            let names: Vec<String> = desired::env_names_of(documents).into_iter().collect();
            let names = match &names[..] {
                [] => "; no document refers to any".to_owned(),
                names => format!(": {}", names.join(", ")),
            };
            let notice = format!("values of the environment were not compared{names}");
            prepared.plan.notices.push(notice);
        }
        let resolution = self.engine.resolution(self.target, self.options);
        let resolve = || desired::resolve(documents, &resolution);
        if self.engine.environment.names_files() { blocking(resolve) } else { resolve() }
    }

    /// Gives an error of the whole target where none of the lists could be read.
    fn check_answers(
        &self,
        live: &Live,
        connection: &Connection,
        prepared: &mut Prepared<'_>,
    ) -> Result<(), String> {
        let stopped = connection.client.retries().stopped();
        if let Some(cause) = stopped.filter(|cause| !cause.is_transient()) {
            prepared.credentials_refused = true;
            return Err(cause.message);
        }
        if live.incomplete.len() < crate::catalog::all().len() {
            return Ok(());
        }
        let problems = live.incomplete.values().filter_map(|problem| before_the_end(problem));
        let problems: BTreeSet<&str> = problems.collect();
        let problems: Vec<&str> = problems.into_iter().take(3).collect();
        let problems = if problems.is_empty() { vec![ENDING] } else { problems };
        Err(format!("no list of connections could be read: {}", problems.join("; ")))
    }

    /// Reads the connections of which the lists do not say enough, and those whose secrets are due to
    /// be read back.
    async fn look_closer(
        &self,
        mut live: Live,
        opened: &Opened,
        record: &Record,
        prepared: &mut Prepared<'_>,
    ) -> Observed {
        let Opened { desired, connection, .. } = opened;
        let filter = &self.options.requests.filter;
        let is_stateless = self.options.base_revision.is_some();
        let read_alone = reading::to_read_alone(desired, &live, record, filter, is_stateless);
        let due = self.secrets_due(desired, &live, record);
        let wanted = read_alone.union(&due).cloned().collect();
        let read = self.read(connection, wanted).await;
        let mut failed = BTreeMap::new();
        let mut unverified = Vec::new();
        for (name, error) in read.failed {
            if read_alone.contains(&name) {
                failed.insert(name, error.to_string());
            } else {
                tracing::debug!(connection = %name, "secrets could not be read back: {error}");
                unverified.push(error);
            }
        }
        if let Some(first) = unverified.first() {
            let count = unverified.len();
            prepared.plan.notices.push(format!(
                "secrets could not be read back in {count} of the connections that are due, \
                 and are tried again: {first}"
            ));
        }
        for found in read.found.values() {
            // A list that an own answer contradicts is not complete.
            if !live.connections.contains_key(&found.name) {
                let problem = format!("it lacks `{}`, which GET shows", found.name);
                live.incomplete.entry(found.type_name.clone()).or_insert(problem);
            }
        }
        Observed { live, singles: read.found, failed, read_alone }
    }

    /// Reads connections one by one.
    async fn read(&self, connection: &Connection, names: BTreeSet<ConnectionName>) -> Singles {
        let concurrency = self.target.manager.concurrency;
        let read = observe::singles(&connection.client, names, concurrency).await;
        for found in read.found.values() {
            found.teach_secrets(&self.target.name, &self.engine.redactor);
        }
        read
    }

    fn secrets_due(
        &self,
        desired: &Desired,
        live: &Live,
        record: &Record,
    ) -> BTreeSet<ConnectionName> {
        let every = match self.options.read_back {
            ReadBackMode::Nothing => return BTreeSet::new(),
            _ if !self.options.with_secrets => return BTreeSet::new(),
            ReadBackMode::All => Duration::ZERO,
            ReadBackMode::Due | ReadBackMode::Spread => self.target.verify_secrets,
        };
        let share = || reading::share_per_resync(desired.len(), every, self.target.resync);
        let is_spread = self.options.read_back == ReadBackMode::Spread;
        let read_back =
            ReadBack { now: now(), every, at_most: if is_spread { share() } else { None } };
        reading::secrets_due(desired, live, record, &self.options.requests.filter, &read_back)
    }

    pub(super) fn judge<'r>(&'r self, tally: &'r Tally) -> Judge<'r> {
        let (user, allow) = (&self.target.rules, &self.options.requests.allow);
        Judge { user, allow, now: now(), tally }
    }

    pub(super) fn compare_settings<'r>(
        &self,
        opened: &'r Opened,
        record: &'r Record,
    ) -> CompareSettings<'r> {
        let loaded = &opened.loaded;
        let is_stateless = self.options.base_revision.is_some();
        // Without a state nobody remembers what a lost path declared: live keeps what may be of it.
        let lacks_a_path = || loaded.counts().into_values().any(|documents| documents == 0);
        CompareSettings {
            keys: opened.keys(),
            readable: &record.readable,
            is_stateless,
            has_lost_path: is_stateless && !self.options.requests.allow_deletes && lacks_a_path(),
            corrects_drift: self.target.policy.drift == OnDrift::Correct,
            resend_secrets: self.options.resend_secrets,
        }
    }
}

/// The blocked names, with the old names of their renames: while a rename is not done, its old
/// name is kept from everything else.
fn with_old_names(
    mut blocked: BTreeMap<ConnectionName, Invalid>,
    loaded: &LoadedTarget,
    desired: &Desired,
    record: &Record,
    live: &Live,
) -> BTreeMap<ConnectionName, Invalid> {
    let of_blocked = loaded.renames_of_blocked(&blocked, record.last_good.as_ref());
    let open = open_renames(renames_of(desired).chain(&of_blocked), record, live);
    let is_known = |old: &ConnectionName| {
        let is_declared = live.connections.contains_key(old) && desired.contains_key(old);
        is_declared || record.owned(old).is_some()
    };
    // A name that is blocked so blocks what is to be renamed to it.
    while let Some((old, new)) = open.iter().find(|(old, new)| {
        blocked.contains_key(**new) && !blocked.contains_key(**old) && is_known(old)
    }) {
        let reason = format!("waits until `{new}`, which is not valid, is renamed from it");
        blocked.insert((*old).clone(), reason.into());
    }
    blocked
}

/// A path that is not there is an error without an inventory or a good commit, and else a notice.
fn tell_missing_paths(
    loaded: &LoadedTarget,
    record: &Record,
    is_stateless: bool,
    prepared: &mut Prepared<'_>,
) -> Result<(), String> {
    let lacking = loaded.contents.folders.iter().filter(|(_, _, documents)| *documents == 0);
    for (path, exists, _) in lacking.filter(|(_, exists, _)| is_stateless || !exists) {
        let lacks = if *exists { "is empty" } else { "does not exist" };
        let mut text = format!("the path `{path}` {lacks} in this revision");
        let knows_nothing = record.last_good.is_none() || record.inventory().next().is_none();
        if !exists && knows_nothing {
            return Err(text);
        }
        if is_stateless {
            text += ": without a state nobody remembers what it declared, so deletes are held, and live \
                     keeps what is not as the base declares it";
        }
        prepared.plan.notices.push(text);
    }
    Ok(())
}

/// The trailers that a record remembers: the connection that each is about, the commit, its words.
fn trailers_of(record: &Record) -> BTreeSet<(&ConnectionName, &CommitId, String)> {
    let mut trailers = BTreeSet::new();
    for (name, memory) in &record.connections {
        if let Some(commit) = memory.due.as_ref().and_then(|due| due.consent.as_ref()) {
            trailers.insert((name, commit, "Allow-Deletes".to_owned()));
        }
        for (rule, consent) in &memory.consents {
            trailers.insert((name, &consent.by, format!("Allow-Rule: {rule}")));
        }
    }
    trailers
}
