//! The task of one target: it waits for an order or until its next reconcile is due, and reconciles.
//! When that is, is decided by `DueFacts`, which is pure: chance and time are given.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::after::Wait;
use super::mailbox::{Mailbox, Order};
use super::outcome::{Asker, Cause};
use super::report::{Ended, Reporter};
use super::status::TargetState;
use super::target_reconcile::{TargetReconcile, TargetResult, options, reconcile_target};
use super::{LOCK_TIMEOUT, Watched};
use crate::config::Target;
use crate::leadership::{Leadership, Standby, Term};
use crate::plan::ConnectionState;
use crate::reconcile::{Engine, RunOptions};
use crate::record::Record;
use crate::source::{CheckedSnapshot, Commit, Source};

/// How long a reconcile may go on without a result of a change before the probe calls it stuck.
const LONGEST_RECONCILE: Duration = Duration::from_secs(15 * 60);

/// How long a reconcile keeps its slot at most, for which other targets wait.
const LONGEST_SLOT: Duration = Duration::from_secs(1);

/// The pause before a suspension that could not be saved is tried again.
const SUSPENSION_PAUSE: Duration = Duration::from_secs(1);

/// The pause between two looks at the state of the predecessor, for which another replica may act.
const WAIT_PAUSE: Duration = Duration::from_secs(3);

/// How many targets are reconciled at once, as long as that takes no longer than `LONGEST_SLOT`: what
/// each of them reads is in memory meanwhile.
const AT_ONCE: usize = 4;

/// How many more are reconciled beside them whose order is urgent.
const URGENT_AT_ONCE: usize = 2;

/// The slots of the targets that are reconciled now. An urgent order has slots of its own, so that it
/// waits for no resyncs.
pub(super) struct Slots {
    any: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
}

impl Default for Slots {
    fn default() -> Self {
        let [any, urgent] = [AT_ONCE, URGENT_AT_ONCE].map(|slots| Arc::new(Semaphore::new(slots)));
        Self { any, urgent }
    }
}

impl Slots {
    /// Waits for a slot for the target of a mailbox.
    async fn take(&self, mailbox: &Mailbox) -> Result<OwnedSemaphorePermit, AcquireError> {
        let urgent = async {
            mailbox.urgent().await;
            Arc::clone(&self.urgent).acquire_owned().await
        };
        tokio::select! {
            slot = Arc::clone(&self.any).acquire_owned() => slot,
            slot = urgent => slot,
        }
    }
}

/// The parts of a target's loop.
pub(super) struct TargetLoop {
    pub(super) engine: Arc<Engine>,
    pub(super) target: Target,
    pub(super) source: Source,
    /// The newest of the source.
    pub(super) checked: watch::Receiver<Option<CheckedSnapshot>>,
    pub(super) mailbox: Arc<Mailbox>,
    /// The mailboxes of the targets that come after this one.
    pub(super) followers: Vec<Arc<Mailbox>>,
    /// The slots of all targets.
    pub(super) slots: Arc<Slots>,
    pub(super) watched: Watched,
    pub(super) reporter: Reporter,
    /// Whether anything is written.
    pub(super) writes: bool,
    /// Decides whether this process may act for the target.
    pub(super) leadership: Arc<dyn Leadership>,
    /// The task is to end.
    pub(super) ending: CancellationToken,
}

impl TargetLoop {
    /// Reconciles until the task is to end, whenever this process may act for the target.
    pub(super) async fn run(self) {
        while let Some(term) = self.elected().await {
            self.act(&term).await;
            term.give_back().await;
        }
        // A suspension that was accepted outlives the end.
        self.try_to_save_suspensions().await;
        debug!(target = %self.target.name, "the loop of the target ends");
    }

    /// Waits until this process may act. A suspension is saved meanwhile.
    async fn elected(&self) -> Option<Term> {
        let stand_by = |standby: Standby| {
            self.watched.expect(standby.again_in);
            self.reporter.stand_by(standby);
        };
        // Beside each other: a state that another process has locked holds up no election.
        tokio::select! {
            biased;
            term = self.leadership.elected(&self.target, &self.ending, &stand_by) => term,
            never = self.keep_saving_suspensions() => match never {},
        }
    }

    async fn keep_saving_suspensions(&self) -> Infallible {
        loop {
            self.mailbox.suspension_posted().await;
            self.save_suspensions().await;
        }
    }

    /// Acts for the target until the term is over.
    async fn act(&self, term: &Term) {
        if let Ok(_slot) = self.slots.any.acquire().await {
            self.show_last_applied().await;
        }
        let (mut facts, mut wait) = (DueFacts::default(), None);
        // A replica that is elected looks at once; else the start is an order.
        let mut next = (!term.is_for_good()).then(|| (Instant::now(), Cause::Start));
        while let Some((causes, slot)) = self.due(next.take(), wait.take(), term.over()).await {
            let awaited = self.mailbox.awaited();
            let Some(checked) = self.checked.borrow().clone() else {
                // Nothing was read of the source yet. An order comes once it can be read.
                self.watched.rest();
                continue;
            };
            let (time, started) = (Timestamp::now(), Instant::now());
            self.watched.expect(LONGEST_RECONCILE);
            self.reporter.begins();
            let cause = Cause::of(&causes);
            let options = options(self.writes, cause.asked(), term);
            let commit = checked.snapshot.commit().map(|commit| commit.id.clone());
            self.mailbox.begin(commit, options.stop.clone());
            // On the heap while it lasts: a task at rest would keep its room, some 40 KiB a target.
            let mut result = Box::pin(self.reconcile(&checked, &options, slot)).await;
            let ended_by = self.mailbox.end();
            if result.wakes_followers {
                let order = Order { causes: BTreeSet::from([Cause::After]), ..Order::default() };
                self.followers.iter().for_each(|mailbox| mailbox.post(&order));
            }
            result.outcome = result.ended_as(options.stop.is_cancelled());
            facts = self.due_facts(cause, facts, &result).await;
            let (next_in, next_cause) = facts.next(fastrand::f64());
            let duration = started.elapsed();
            let is_interrupted = result.outcome == TargetState::Interrupted;
            let newer = ended_by.filter(|_| is_interrupted);
            let answers = awaited.filter(|_| !is_interrupted);
            answers.iter().for_each(|request| self.mailbox.answered(request.number));
            // Without replicas the predecessor wakes it, so nothing is polled.
            wait = result.wait.clone().filter(|_| !term.is_for_good());
            let ended = Ended { checked: &checked, newer, cause, answers, time, duration, next_in };
            self.reporter.report(result, &ended);
            next = Some((Instant::now() + next_in, next_cause));
            self.watched.expect(next_in);
        }
    }

    /// Reconciles, and saves a suspension meanwhile. One that takes long, since the server is slow or much
    /// is written, keeps no other target waiting.
    async fn reconcile(
        &self,
        checked: &CheckedSnapshot,
        options: &RunOptions,
        slot: OwnedSemaphorePermit,
    ) -> TargetResult {
        let Self { engine, target, source, .. } = self;
        // A long one that makes progress is not stuck.
        let progress = &|| self.watched.expect(LONGEST_RECONCILE);
        let reconcile = TargetReconcile { engine, target, source, checked, options, progress };
        let reconcile = async {
            tokio::select! {
                biased;
                result = reconcile_target(reconcile) => result,
                never = self.keep_saving_suspensions() => match never {},
            }
        };
        let mut reconcile = std::pin::pin!(reconcile);
        tokio::select! {
            result = &mut reconcile => return result,
            () = tokio::time::sleep(LONGEST_SLOT) => drop(slot),
        }
        reconcile.await
    }

    /// Shows the commit that an earlier run of the daemon applied last.
    async fn show_last_applied(&self) {
        let record = self.engine.state_file(&self.target).read_aside().await;
        let Some(id) = record.ok().and_then(|record| record.last_applied) else { return };
        // Its subject is in the repository, unless that cannot be read or no longer has it.
        let known = tokio::task::block_in_place(|| self.source.older(&id)).ok().flatten();
        let unknown = Commit { id, subject: String::new(), author: String::new(), time: 0 };
        let commit = known.and_then(|known| known.commit().cloned()).unwrap_or(unknown);
        self.reporter.applied_before(commit);
    }

    /// Waits until a reconcile is due and has a slot: for an order, for the time of the next one or for
    /// a change of the predecessor; `None`: the term is over.
    async fn due(
        &self,
        next: Option<(Instant, Cause)>,
        wait: Option<Wait>,
        over: &CancellationToken,
    ) -> Option<(BTreeSet<Cause>, OwnedSemaphorePermit)> {
        let time_comes = async {
            match next {
                Some((at, cause)) => {
                    tokio::time::sleep_until(at).await;
                    cause
                }
                None => std::future::pending().await,
            }
        };
        let cause = tokio::select! {
            biased;
            () = over.cancelled() => return None,
            () = self.mailbox.posted() => None,
            cause = time_comes => Some(cause),
            () = self.predecessor_has_changed(wait) => Some(Cause::After),
        };
        // Waiting for others is no standstill.
        self.watched.expect(LONGEST_RECONCILE);
        let mut causes = BTreeSet::from_iter(cause);
        loop {
            // A reconcile that does not know of a suspension would write against it. One that cannot
            // be saved holds no slot.
            let ready = async {
                self.save_suspensions().await;
                self.slots.take(&self.mailbox).await
            };
            let slot = tokio::select! {
                biased;
                () = over.cancelled() => return None,
                slot = ready => slot.ok()?,
            };
            causes.extend(self.mailbox.take());
            if over.is_cancelled() {
                // They are for the loop of the next config.
                self.mailbox.post(&Order { causes, ..Order::default() });
                return None;
            }
            if self.mailbox.suspension().is_none() {
                return Some((causes, slot));
            }
        }
    }

    /// Waits until the state of the predecessor says more than it did.
    async fn predecessor_has_changed(&self, wait: Option<Wait>) {
        let Some(wait) = wait else { return std::future::pending().await };
        let has_changed = || super::after::has_changed(&self.engine, &self.target, &wait);
        loop {
            let until = wait.until.map(|until| until.duration_since(Timestamp::now()));
            let left = until.and_then(|left| Duration::try_from(left).ok()).unwrap_or(WAIT_PAUSE);
            // It looks at itself a moment after the time is over.
            tokio::time::sleep((left + Duration::from_secs(1)).min(WAIT_PAUSE)).await;
            if tokio::task::block_in_place(has_changed) {
                return;
            }
        }
    }

    /// Saves the suspensions that were ordered, however often that has to be tried.
    async fn save_suspensions(&self) {
        while !self.try_to_save_suspensions().await {
            tokio::time::sleep(SUSPENSION_PAUSE).await;
        }
    }

    /// Saves the suspensions that were ordered; `false`: the state could not be written.
    async fn try_to_save_suspensions(&self) -> bool {
        while let Some(suspension) = self.mailbox.suspension() {
            let file = self.engine.state_file(&self.target);
            let suspend = |record: &mut Record| record.suspended = suspension.suspended;
            if let Err(error) = file.edit(LOCK_TIMEOUT, "run", suspend).await {
                self.watched.expect(LONGEST_RECONCILE);
                self.reporter.suspension_not_saved(&error);
                return false;
            }
            self.reporter.suspended(suspension);
            self.mailbox.suspension_saved(suspension);
        }
        true
    }

    async fn due_facts(&self, cause: Cause, before: DueFacts, result: &TargetResult) -> DueFacts {
        let failures = in_a_row(result.has_failed(), before.failures);
        let waits = result.plan.has(ConnectionState::Degraded);
        let degraded_in = if waits { self.degraded_in().await } else { None };
        let due_in = || super::after::due_in(&self.engine, &self.target);
        let soaked_in = if failures == 0 && result.is_noted { due_in() } else { None };
        let after_resync = cause == Cause::Resync;
        DueFacts {
            resync: self.target.resync,
            after_resync,
            failures,
            refusals: in_a_row(result.credentials_refused, before.refusals),
            asker: cause.asker(),
            degraded_in,
            soaked_in,
        }
    }

    /// How long until a connection that was saved but not deployed is due to be written again.
    async fn degraded_in(&self) -> Option<Duration> {
        let file = self.engine.state_file(&self.target);
        let record = file.read_aside().await.ok()?;
        let now = Timestamp::now().as_second();
        // One that is overdue after a reconcile could not be written by it (blocked, suspended, a
        // dry run), so it waits for the next one like everything else.
        let due = record.next_degraded_write(now)?;
        Some(Duration::from_secs((due - now).unsigned_abs()))
    }
}

/// How many reconciles in a row ended so, where the last one did or did not.
fn in_a_row(did: bool, before: u32) -> u32 {
    if did { before.saturating_add(1) } else { 0 }
}

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The first pause after the credentials were refused; it doubles with each further refusal. More
/// calls would only be more refusals, and may lock an account.
const FIRST_REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause after refused credentials, unless the resync is slower.
const LONGEST_REFUSED_PAUSE: Duration = Duration::from_secs(600);

/// The facts that the time of the next reconcile depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DueFacts {
    /// How often live is compared.
    pub(super) resync: Duration,
    /// Whether the last reconcile was a resync.
    pub(super) after_resync: bool,
    /// How many reconciles in a row failed.
    pub(super) failures: u32,
    /// In how many in a row the server refused the credentials.
    pub(super) refusals: u32,
    /// Who asked for the last one.
    pub(super) asker: Option<Asker>,
    /// When something that was saved but not deployed is due.
    pub(super) degraded_in: Option<Duration>,
    /// When a commit has stood applied whole for long enough for a follower.
    pub(super) soaked_in: Option<Duration>,
}

impl DueFacts {
    /// How long until the next reconcile if nothing happens before, and why it is made; `chance` is between
    /// 0 and 1. After a start or a commit, which all targets reconcile at once, their next ones are spread
    /// over half of the time, so that a server that serves them all is not asked by all at once; later ones
    /// stay apart.
    pub(super) fn next(&self, chance: f64) -> (Duration, Cause) {
        let again = Cause::Retry(self.asker);
        if self.refusals > 0 {
            let most = self.resync.max(LONGEST_REFUSED_PAUSE);
            let pause = pause(FIRST_REFUSED_PAUSE, self.refusals, most);
            return (spread(pause, 0.1, chance), again);
        }
        let share = if self.after_resync { 0.1 } else { 0.5 };
        let resync = (spread(self.resync, share, chance), Cause::Resync);
        let pause = pause(FIRST_PAUSE, self.failures, self.resync);
        let retry = (self.failures > 0).then(|| (spread(pause, 0.5, chance), again));
        let degraded = self.degraded_in.map(|delay| (delay.max(FIRST_PAUSE), Cause::Degraded));
        let soaked = self.soaked_in.map(|delay| (delay.max(FIRST_PAUSE), Cause::After));
        // Of two that are due together the resync is named: it looks at everything anyway.
        let others = [retry, degraded, soaked].into_iter().flatten();
        std::iter::once(resync).chain(others).min_by_key(|(delay, _)| *delay).unwrap_or(resync)
    }
}

/// The pause after so many failures in a row.
fn pause(first: Duration, failures: u32, most: Duration) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    first.saturating_mul(doubled).min(most.max(first))
}

/// Shortens a time by up to `share` of it.
pub(super) fn spread(time: Duration, share: f64, chance: f64) -> Duration {
    time.mul_f64(1.0 - share * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, FlagSource, TargetKey};
    use crate::daemon::news::NewsMemory;
    use crate::daemon::status::Board;
    use crate::environment::Environment;
    use crate::leadership::Alone;
    use crate::notify::Notifier;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_expected_of_a_target_that_waits_for_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let flags = FlagSource {
            repo: Some(folder.path().to_owned()),
            paths: Vec::new(),
            url: Some("https://apinizer.example.com".to_owned()),
            project: Some("shop".to_owned()),
        };
        let environment = Environment::new([("APINIZER_TOKEN".to_owned(), "t".to_owned())]);
        let mut config = Config::from_flags(&flags, &environment).unwrap();
        config.state_dir = folder.path().join("state");
        let engine = Arc::new(Engine::new(config, environment));
        let target = engine.config.targets[0].clone();
        let (board, mailbox) = (Board::default(), Arc::<Mailbox>::default());
        let notifier = Notifier::default();
        let trail = engine.trail(&target, true);
        let key = TargetKey::of(&target);
        let reporter = Reporter::new(key, "", &board, &NewsMemory::default(), &notifier, trail);
        // Nothing was read yet.
        let checked = watch::Sender::new(None);
        let ending = CancellationToken::new();
        let target_loop = TargetLoop {
            source: engine.source().unwrap(),
            checked: checked.subscribe(),
            mailbox: Arc::clone(&mailbox),
            followers: Vec::new(),
            slots: Arc::default(),
            watched: board.watchdog().watch("target"),
            reporter,
            writes: true,
            leadership: Arc::new(Alone),
            ending: ending.clone(),
            target,
            engine,
        };
        let running = tokio::spawn(target_loop.run());
        mailbox.post(&Order { causes: BTreeSet::from([Cause::Start]), ..Order::default() });
        let long = Instant::now() + MINUTE;
        while !(mailbox.is_empty() && board.watchdog().is_idle()) && Instant::now() < long {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(board.watchdog().is_idle(), "no order comes before the source was read");
        ending.cancel();
        running.await.unwrap();
    }

    #[test]
    fn pauses_grow_up_to_the_resync() {
        let pause = |failures, most| pause(FIRST_PAUSE, failures, most);
        let pauses: Vec<u64> = (1..=8).map(|n| pause(n, MINUTE).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX, MINUTE), MINUTE);
        // A resync that is shorter than any pause makes no hammering.
        assert_eq!(pause(3, Duration::from_millis(1)), FIRST_PAUSE);
    }

    #[test]
    fn refused_credentials_are_tried_again_slowly() {
        let facts = |refusals, resync| DueFacts {
            resync,
            after_resync: true,
            // Other failures before the refusals do not lengthen the pause.
            failures: 99,
            refusals,
            asker: None,
            degraded_in: Some(Duration::ZERO),
            soaked_in: None,
        };
        let seconds: Vec<u64> = [1, 2, 3, 4, 5, 99]
            .map(|refusals| facts(refusals, Duration::from_secs(1)).next(0.0).0.as_secs())
            .to_vec();
        assert_eq!(seconds, [60, 120, 240, 480, 600, 600]);
        assert_eq!(facts(99, 60 * MINUTE).next(0.0).0, 60 * MINUTE);
        assert_eq!(facts(1, MINUTE).next(1.0).1, Cause::Retry(None));
    }

    #[test]
    fn the_soonest_due_one_wins() {
        let calm = DueFacts {
            resync: 5 * MINUTE,
            after_resync: true,
            failures: 0,
            refusals: 0,
            asker: None,
            degraded_in: None,
            soaked_in: None,
        };
        assert_eq!(calm.next(0.0), (5 * MINUTE, Cause::Resync));
        assert!(calm.next(1.0).0 >= 4 * MINUTE);
        let after_a_commit = DueFacts { after_resync: false, ..calm };
        assert_eq!(after_a_commit.next(0.0).0, 5 * MINUTE);
        assert_eq!(after_a_commit.next(1.0).0, 5 * MINUTE / 2);
        let failing = DueFacts { failures: 2, ..calm };
        assert_eq!(failing.next(0.0), (Duration::from_secs(2), Cause::Retry(None)));
        assert!(failing.next(1.0).0 >= Duration::from_secs(1));
        let degraded = DueFacts { degraded_in: Some(MINUTE), ..calm };
        assert_eq!(degraded.next(0.5), (MINUTE, Cause::Degraded));
        let soaked = DueFacts { soaked_in: Some(MINUTE), ..calm };
        assert_eq!(soaked.next(0.5), (MINUTE, Cause::After));
        let overdue = DueFacts { degraded_in: Some(Duration::ZERO), ..calm };
        assert_eq!(overdue.next(0.5).0, FIRST_PAUSE);
    }
}
