//! The trail of one target: writes events to the log and to the history file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tracing::{debug, info, warn};

use super::standing::Stands;
use super::{
    ALLOW, Asked, Event, EventKind, HistoryFile, KEPT, Line, Reconciled, Standing, WriteResult,
};
use crate::document::Diagnostic;
use crate::name::{CommitId, ConnectionName};
use crate::plan::unanswered::FoundDone;
use crate::plan::{
    Action, Change, ChangeResult, ConnectionState, Entry, Filter, RunRequests, TargetPlan,
};
use crate::rules::{Effect, Match};
use crate::secret::Redactor;

/// How many events and reconciles are kept for those who look at the status.
pub(super) const RECENT: usize = 50;

/// How many events that follow each other and are alike are kept of them.
const ALIKE: usize = 10;

/// How many fields an event names.
const MOST_FIELDS: usize = 30;

/// How many characters of a reason or an error are kept.
const LONGEST_REASON: usize = 1000;

/// By how many bytes the file grows until its lines are counted again.
const GROWTH: u64 = 64 * 1024;

/// The trails of targets, by name.
#[derive(Default)]
pub(crate) struct Trails(Mutex<BTreeMap<String, Arc<Trail>>>);

impl Trails {
    /// The trail of a target. The first call for a target decides its file for the whole process.
    pub(crate) fn of(
        &self,
        target: &str,
        redactor: &Redactor,
        file: impl FnOnce() -> Option<HistoryFile>,
    ) -> Arc<Trail> {
        let mut trails = self.0.lock();
        let trail = trails.entry(target.to_owned()).or_insert_with(|| {
            let inner = Mutex::default();
            let target = target.to_owned();
            Arc::new(Trail { target, file: file(), redactor: redactor.clone(), inner })
        });
        Arc::clone(trail)
    }
}

/// The trail of one target.
pub(crate) struct Trail {
    target: String,
    /// `None`: the run leaves nothing on disk, and only the log tells.
    file: Option<HistoryFile>,
    redactor: Redactor,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    standing: Standing,
    recent: VecDeque<RecentEvent>,
    /// The reconciles of the file, until they are taken.
    reconciles: VecDeque<Reconciled>,
    /// The newest reconcile of the file.
    reconciled: Option<Reconciled>,
    /// The length of the file that is known; another process may have written since.
    length: u64,
    /// Its length when it was last found to be short enough.
    short_enough: u64,
    /// The lines that could not be written yet.
    unwritten: VecDeque<Line>,
}

/// An event that was told.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RecentEvent {
    #[serde(flatten)]
    pub(crate) event: Arc<Event>,
    /// How many more that are alike came after it and are not kept: only the history file names them.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(more: &usize) -> bool {
    *more == 0
}

/// A reconcile that is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct PastReconcile {
    pub(crate) ended: Reconciled,
    /// The first of the changes that were sent; empty once it is too long ago, or after a restart.
    pub(crate) changes: Vec<Change>,
}

/// The past of a target as those see it who look at the status.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShownPast {
    /// The last reconciles, newest first.
    pub(crate) reconciles: Vec<PastReconcile>,
    /// The last events, newest first.
    pub(crate) events: Vec<RecentEvent>,
    /// Since when connections drift.
    pub(crate) drifting: BTreeMap<ConnectionName, Timestamp>,
}

/// How many changes of the earlier reconciles of a target are kept: nobody reads more on a page, and
/// each holds the values that it changed.
pub(crate) const MOST_CHANGES: usize = 30;

impl ShownPast {
    /// Adds a reconcile.
    pub(crate) fn remember(&mut self, reconcile: PastReconcile) {
        self.reconciles.insert(0, reconcile);
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        self.reconciles.truncate(RECENT);
        let mut room = MOST_CHANGES;
        for past in &mut self.reconciles {
            past.changes.truncate(room);
            room -= past.changes.len();
        }
    }
}

impl Trail {
    /// Puts what the trail knows into the past that is shown. The reconciles of before a restart are
    /// handed out once.
    pub(crate) fn show(&self, past: &mut ShownPast) {
        let mut inner = self.refreshed();
        past.events = inner.recent.iter().rev().cloned().collect();
        past.drifting = inner.standing.drifting();
        let older = std::mem::take(&mut inner.reconciles);
        if past.reconciles.is_empty() {
            let past_of = |ended| PastReconcile { ended, changes: Vec::new() };
            past.reconciles = older.into_iter().rev().map(past_of).collect();
        }
    }

    /// Keeps how a reconcile ended, unless it is no news.
    pub(crate) fn reconciled(&self, ended: &Reconciled) {
        let mut inner = self.refreshed();
        if ended.repeats(inner.reconciled.as_ref()) {
            return;
        }
        let error = ended.error.as_deref().map(cut);
        let ended = Reconciled { error, ..ended.clone() };
        self.append(&mut inner, Line::Reconciled(ended.clone()));
        inner.reconciled = Some(ended);
    }

    /// The part of one run, which is of a commit and made for a cause.
    pub(crate) fn of_run(self: &Arc<Self>, commit: Option<&CommitId>, asked: &Asked) -> RunTrail {
        RunTrail {
            trail: Arc::clone(self),
            commit: commit.cloned(),
            asked: asked.clone(),
            authors: BTreeMap::new(),
        }
    }

    /// Reads the file again where another process wrote to it.
    fn refreshed(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock();
        let Some(file) = &self.file else { return inner };
        let length = file.length();
        if length != inner.length
            && let Ok(lines) = file.lines()
        {
            let known = std::mem::replace(&mut *inner, Inner { length, ..Inner::default() });
            for line in lines.into_iter().chain(known.unwritten.iter().cloned()) {
                inner.add_line(line);
            }
            inner.unwritten = known.unwritten;
            if known.length > 0 {
                inner.reconciles.clear();
            }
        }
        inner
    }

    /// The newest event of each connection in the file.
    fn newest_events(&self) -> BTreeMap<ConnectionName, Event> {
        let events = self.file.as_ref().and_then(|file| file.read().ok()).unwrap_or_default();
        events.into_iter().filter_map(|event| Some((event.connection.clone()?, event))).collect()
    }

    /// Writes a line, after those that could not be written before. A history that cannot be written holds
    /// nothing up and is told of once; while another process keeps it locked each line takes a second.
    fn append(&self, inner: &mut Inner, line: Line) {
        let Some(file) = &self.file else { return };
        let was_broken = !inner.unwritten.is_empty();
        inner.unwritten.push_back(line);
        if inner.unwritten.len() > KEPT {
            inner.unwritten.pop_front();
        }
        let mut written = Ok(());
        while written.is_ok()
            && let Some(line) = inner.unwritten.front()
        {
            written = file.append(line);
            if written.is_ok() {
                inner.unwritten.pop_front();
            }
        }
        inner.length = file.length();
        if inner.length > inner.short_enough + GROWTH {
            written = written.and_then(|()| file.shorten());
            inner.length = file.length();
            inner.short_enough = inner.length;
        }
        match written {
            Err(error) if !was_broken => {
                warn!(target = self.target, "the history cannot be written: {error}");
            }
            Ok(()) if was_broken => info!(target = self.target, "the history can be written again"),
            _ => {}
        }
    }

    /// Tells an event, unless an equal one was told and still stands.
    fn tell(&self, event: Event) {
        let mut inner = self.refreshed();
        if inner.standing.has(&event) {
            return;
        }
        inner.standing.note(&event);
        log(&event);
        self.append(&mut inner, Line::Event(event.clone()));
        inner.keep_recent(Arc::new(event));
    }
}

impl Inner {
    /// Adds a line of the file, which come in their order.
    fn add_line(&mut self, line: Line) {
        match line {
            Line::Event(event) => {
                self.standing.note(&event);
                self.keep_recent(Arc::new(event));
            }
            Line::Reconciled(ended) => {
                self.reconciled = Some(ended.clone());
                self.reconciles.push_back(ended);
                if self.reconciles.len() > RECENT {
                    self.reconciles.pop_front();
                }
            }
        }
    }

    /// Keeps an event for those who look at the status. Of many that are alike the first are kept, so
    /// that they do not displace older ones.
    fn keep_recent(&mut self, event: Arc<Event>) {
        let is_alike = |told: &&RecentEvent| {
            let of =
                |event: &Event| (event.event, event.result, event.cause.clone(), event.by.clone());
            of(&told.event) == of(&event) && told.event.commit == event.commit
        };
        if self.recent.iter().rev().take_while(is_alike).count() >= ALIKE
            && let Some(last) = self.recent.back_mut()
        {
            last.more += 1;
            return;
        }
        self.recent.push_back(RecentEvent { event, more: 0 });
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }
}

impl EventKind {
    /// The event that a write is told as.
    fn of(action: Action) -> Option<Self> {
        match action {
            Action::Create => Some(Self::Create),
            Action::Update => Some(Self::Update),
            Action::Replace => Some(Self::Replace),
            Action::Rename => Some(Self::Rename),
            Action::Delete => Some(Self::Delete),
            Action::Blocked | Action::Drift => None,
        }
    }
}

/// One run on a target, for its trail.
pub(crate) struct RunTrail {
    trail: Arc<Trail>,
    commit: Option<CommitId>,
    asked: Asked,
    /// Who consented by a trailer to the change of a name.
    authors: BTreeMap<ConnectionName, String>,
}

impl RunTrail {
    /// Tells the drift that a plan found and that was not written. A list may be late: drift that the read
    /// before its write contradicts was none.
    pub(crate) fn tell_drift(&self, plan: &TargetPlan) {
        use ChangeResult::{Degraded, Done, NotNeeded};
        let changes = plan.entries.iter().flat_map(Entry::changes);
        let is_there =
            |change: &&Change| !matches!(change.result, Some(Done | Degraded(_) | NotNeeded));
        changes.filter(is_there).for_each(|change| self.drifted(change));
    }

    /// Tells the drift that is in a change.
    fn drifted(&self, change: &Change) {
        let fields: BTreeSet<&String> = change.drifted_fields().collect();
        if !fields.is_empty() {
            let fields = first(fields.into_iter());
            let why = change.edited.as_ref().map(|edit| format!("last {edit}"));
            self.tell(Event { fields, why, ..self.of_change(EventKind::Drift, change) });
        }
    }

    /// Tells the writes of earlier runs that this one found done: their answer was not seen. A run that was
    /// killed may have told one, and not saved it.
    pub(crate) fn found_done(&self, found: &[FoundDone]) {
        let told = if found.is_empty() { BTreeMap::new() } else { self.trail.newest_events() };
        for FoundDone { name, action, intent } in found {
            let Some(kind) = EventKind::of(*action) else { continue };
            let is_told = told.get(name).is_some_and(|event| {
                (event.event, &event.commit) == (kind, &intent.commit)
                    && event.result == Some(WriteResult::Done)
            });
            if is_told {
                continue;
            }
            let from = intent.from.as_ref().map(|from| format!(", renamed from `{from}`"));
            let from = from.unwrap_or_default();
            self.tell(Event {
                commit: intent.commit.clone(),
                type_name: Some(intent.type_name.clone()),
                connection: Some(name.clone()),
                result: Some(WriteResult::Done),
                why: Some(format!("found done: no run saw the answer to the call{from}")),
                ..self.event(kind)
            });
        }
    }

    /// Tells the consents that a run was given by its flags.
    pub(crate) fn consented_by_flags(&self, requests: &RunRequests) {
        let consent = |flag: &str, connection: Option<&ConnectionName>| {
            let (why, connection) = (Some(flag.to_owned()), connection.cloned());
            self.tell(Event { why, connection, ..self.event(EventKind::Consent) });
        };
        if requests.allow_deletes {
            consent("--allow-deletes", None);
        }
        requests.allow_delete.iter().for_each(|name| consent("--allow-delete", Some(name)));
        requests.allow.iter().for_each(|rule| consent(&format!("{ALLOW}{rule}"), None));
    }

    /// Notes the consent that the trailer of a commit gives to one name, and tells it once.
    pub(crate) fn consented_by_trailer(&mut self, consent: &TrailerConsent) {
        let TrailerConsent { type_name, name, commit, author, trailer, is_new } = consent;
        self.authors.insert(name.clone(), author.clone());
        if !is_new {
            return;
        }
        self.tell(Event {
            commit: Some(commit.clone()),
            type_name: type_name.clone(),
            connection: Some(name.clone()),
            why: Some(format!("the trailer {trailer}")),
            by: Some(author.clone()),
            ..self.event(EventKind::Consent)
        });
    }

    /// Tells how a write ended, and the drift that it was to correct. A change without a call is no write.
    pub(crate) fn wrote(&self, change: &Change, result: &ChangeResult) {
        let Some(kind) = EventKind::of(change.action) else { return };
        let (result, problem) = match result {
            ChangeResult::Done => (WriteResult::Done, None),
            ChangeResult::Degraded(why) => (WriteResult::Degraded, Some(why)),
            ChangeResult::Failed(why) => (WriteResult::Failed, Some(why)),
            _ => return,
        };
        self.drifted(change);
        let old = change.previous_name.as_ref().map(|old| format!("renamed from `{old}`"));
        let corrects = change.drifted_fields().next().map(|_| "corrects drift".to_owned());
        let why = problem.cloned().or(old).or_else(|| change.reason.clone()).or(corrects);
        let moved = change.fields.iter().filter(|_| change.action != Action::Delete);
        let fields = first(moved.map(|field| &field.path));
        let event = self.of_change(kind, change);
        let by = self.authors.get(&change.name).cloned().or(event.by.clone());
        self.tell(Event { result: Some(result), why, fields, by, ..event });
    }

    /// Tells which trouble stands after a look at the connections that `filter` admits, and which is over.
    pub(crate) fn tell_standing(&self, plan: &TargetPlan, filter: &Filter, carried_out: bool) {
        // A target that could not be looked at says nothing of its connections.
        if plan.entries.is_empty() && !plan.errors.is_empty() {
            return;
        }
        for entry in &plan.entries {
            let kind = match entry.state {
                ConnectionState::Held => EventKind::Held,
                ConnectionState::Blocked => EventKind::Blocked,
                ConnectionState::NotConverging => EventKind::NotConverging,
                _ if entry.adopted && carried_out => EventKind::Adopt,
                _ => continue,
            };
            let why = entry.reason.clone().filter(|_| kind != EventKind::Adopt);
            self.tell(Event { why, ..self.of_entry(kind, entry) });
        }
        let stands: BTreeMap<&ConnectionName, Stands> =
            plan.entries.iter().map(|entry| (&entry.name, Stands::of(entry))).collect();
        let settled = {
            let mut inner = self.trail.refreshed();
            inner.standing.forget_trouble(|type_name, name| {
                let is_seen = filter.admits(type_name, name);
                is_seen.then(|| stands.get(name).copied().unwrap_or_default())
            })
        };
        for (type_name, name) in settled {
            let (type_name, connection) = (Some(type_name), Some(name));
            self.tell(Event { type_name, connection, ..self.event(EventKind::Settled) });
        }
        self.warned(plan, filter);
    }

    /// Tells which rules of the user warn; each warning once while it stands.
    fn warned(&self, plan: &TargetPlan, filter: &Filter) {
        let of_document = |problem: &Diagnostic| {
            let why = Some(format!("{}: {}", problem.mark.file, problem.message));
            self.clean(Event { why, ..self.event(EventKind::Warned) })
        };
        let of_entry = |entry: &Entry| -> Vec<Event> {
            let rules = entry.change.iter().flat_map(|change| &change.rules);
            let warnings = rules.filter(|found| found.effect == Effect::Warn);
            let event = |found: &Match| {
                let why = Some(found.in_words());
                self.clean(Event { why, ..self.of_entry(EventKind::Warned, entry) })
            };
            warnings.map(event).collect()
        };
        let documents = plan.warnings().filter(|problem| problem.rule.is_some()).map(of_document);
        let warnings: Vec<Event> =
            documents.chain(plan.entries.iter().flat_map(of_entry)).collect();
        // A narrowed look does not see the others.
        if !filter.is_narrow() {
            self.trail.refreshed().standing.keep_warnings(&warnings);
        }
        warnings.into_iter().for_each(|event| self.trail.tell(event));
    }

    /// The newest commit loads.
    pub(crate) fn accepted(&self) {
        self.trail.refreshed().standing.forget_refusal();
    }

    /// Tells that the commit is refused.
    pub(crate) fn refused(&self, reason: &str) {
        self.tell(Event { why: Some(reason.to_owned()), ..self.event(EventKind::Refused) });
    }

    /// Tells that the target was suspended or resumed.
    pub(crate) fn suspended(&self, suspended: bool) {
        let kind = if suspended { EventKind::Suspended } else { EventKind::Resumed };
        self.tell(self.event(kind));
    }

    /// Tells that the state of the target was found to be gone at a time.
    pub(crate) fn lost_state(&self, time: Timestamp, why: &str) {
        let why = Some(why.to_owned());
        self.tell(Event { time, why, ..self.event(EventKind::LostState) });
    }

    /// Tells that a name left the inventory without a call.
    pub(crate) fn forgot(&self, name: &ConnectionName) {
        let connection = Some(name.clone());
        self.tell(Event { connection, ..self.event(EventKind::Forget) });
    }

    fn event(&self, event: EventKind) -> Event {
        let now = Timestamp::now();
        Event {
            time: Timestamp::from_second(now.as_second()).unwrap_or(now),
            event,
            target: self.trail.target.clone(),
            commit: self.commit.clone(),
            type_name: None,
            connection: None,
            fields: Vec::new(),
            result: None,
            why: None,
            cause: self.asked.cause.clone(),
            by: self.asked.by.clone(),
        }
    }

    fn of_change(&self, event: EventKind, change: &Change) -> Event {
        let type_name = Some(change.type_name.clone());
        Event { type_name, connection: Some(change.name.clone()), ..self.event(event) }
    }

    fn of_entry(&self, event: EventKind, entry: &Entry) -> Event {
        let type_name = Some(entry.type_name.clone());
        Event { type_name, connection: Some(entry.name.clone()), ..self.event(event) }
    }

    fn tell(&self, event: Event) {
        self.trail.tell(self.clean(event));
    }

    /// Takes secrets out of the texts of an event.
    fn clean(&self, mut event: Event) -> Event {
        let clean = |text: String| cut(&self.trail.redactor.redact(&text));
        event.why = event.why.map(clean);
        event.by = event.by.map(clean);
        event
    }
}

/// The consent of a commit's trailer to the delete of one connection, or to what a rule of the user holds of it.
#[derive(Clone, Debug)]
pub(crate) struct TrailerConsent {
    pub(crate) type_name: Option<String>,
    pub(crate) name: ConnectionName,
    pub(crate) commit: CommitId,
    /// The commit's author.
    pub(crate) author: String,
    /// `Allow-Deletes`, or `Allow-Rule` with the rule's name.
    pub(crate) trailer: String,
    /// Whether it is given for the first time.
    pub(crate) is_new: bool,
}

/// The beginning of a reason or an error.
fn cut(text: &str) -> String {
    text.chars().take(LONGEST_REASON).collect()
}

/// The first of some fields.
fn first<'p>(fields: impl Iterator<Item = &'p String>) -> Vec<String> {
    fields.take(MOST_FIELDS).cloned().collect()
}

fn log(event: &Event) {
    let kind = event.event.into_str();
    let target = event.target.as_str();
    let commit = event.commit.as_ref().map(CommitId::short);
    let type_name = event.type_name.as_deref();
    let connection = event.connection.as_ref().map(ConnectionName::as_str);
    let (cause, by) = (event.cause.as_str(), event.by.as_deref());
    let the_run_warns = matches!(
        event.event,
        EventKind::Held | EventKind::Blocked | EventKind::NotConverging | EventKind::Refused
    );
    if event.event == EventKind::LostState {
        warn!(target, event = kind, commit, cause, by, "{event}");
    } else if the_run_warns {
        // The run warns of it by itself, at once and again while it lasts.
        debug!(target, event = kind, commit, r#type = type_name, connection, cause, by, "{event}");
    } else {
        info!(target, event = kind, commit, r#type = type_name, connection, cause, by, "{event}");
    }
}
