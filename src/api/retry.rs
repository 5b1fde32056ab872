//! Whether and when a call is made again.
//!
//! One [`Retries`] belongs to one reconcile of one target and is shared by all its calls. Each call
//! has its [`Tries`]: a number of attempts and a time. All calls together have a number of retries,
//! which successes win back, and a time in which nothing succeeded. Waits that a server names are
//! kept up to a limit; a run that ends, or a newer commit, ends them.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::{CallError, ErrorKind, GiveUp};

/// The numbers of the retries.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The most that is waited before the second attempt; it doubles with each further one.
    pub base: Duration,
    /// The most that is waited between two attempts of our own accord.
    pub cap: Duration,
    /// How often one call is attempted.
    pub attempts: u32,
    /// How often one call is attempted when the answers are no answers of the API.
    pub broken_answers: u32,
    /// How many retries all calls together may make; every two calls that are answered win one
    /// back. A server that fails most calls is left alone, however many calls there are to make.
    pub retries: u32,
    /// After this long without one success the target is given up, and a call that failed for
    /// this long is not made again. The longest pause that the server named to a call, up to
    /// `longest_pause`, comes on top for that call.
    pub give_up_after: Duration,
    /// The same where no server is found that could answer, or it does not speak HTTP, and none
    /// answered before in this run.
    pub give_up_without_server_after: Duration,
    /// A server that asks for a longer pause is not waited for.
    pub longest_pause: Duration,
    /// Tells the person who waits that calls are made again, and why.
    pub tell: Option<fn(&str)>,
}

impl RetryPolicy {
    /// The policy of a command that somebody waits for.
    pub fn command() -> Self {
        Self {
            base: Duration::from_millis(200),
            cap: Duration::from_secs(30),
            attempts: 10,
            broken_answers: 6,
            retries: 200,
            give_up_after: Duration::from_secs(30),
            give_up_without_server_after: Duration::from_secs(3),
            longest_pause: Duration::from_secs(60),
            tell: None,
        }
    }

    /// The policy of one reconcile of the daemon. It ends soon, and the target is shown as failing: the
    /// daemon goes on with the next one anyway.
    pub fn daemon() -> Self {
        let give_up_after = Duration::from_secs(15);
        Self { give_up_after, give_up_without_server_after: give_up_after, ..Self::command() }
    }

    /// The policy for the end of a change that must not stay half made, when the run is ending.
    pub fn finishing() -> Self {
        Self {
            give_up_after: Duration::from_secs(10),
            longest_pause: Duration::from_secs(5),
            ..Self::command()
        }
    }

    /// How long nothing may succeed before the target is given up.
    fn give_up_after(&self, kind: ErrorKind, answered: bool) -> Duration {
        match kind {
            ErrorKind::NoServer | ErrorKind::NotHttp if !answered => {
                self.give_up_without_server_after.min(self.give_up_after)
            }
            _ => self.give_up_after,
        }
    }

    fn credit(&self) -> u32 {
        self.retries.saturating_mul(SUCCESSES_PER_RETRY)
    }
}

/// The attempts of one call that failed so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tries {
    failed: u32,
    failing_since: Option<Instant>,
    // The longest pause that the server named.
    named: Duration,
}

impl Tries {
    /// How many attempts failed.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }
}

/// A person is told of a new run of failures at most this often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The price of a retry in the budget of a run, in successes.
const SUCCESSES_PER_RETRY: u32 = 2;

/// The retries of one reconcile of one target; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Retries {
    shared: Arc<SharedRetries>,
    limit: WriteLimit,
}

#[derive(Debug)]
struct SharedRetries {
    policy: RetryPolicy,
    ending: CancellationToken,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    // The credit that is left for retries, counted in successes.
    credit: u32,
    // The first failure since the last success.
    failing_since: Option<Instant>,
    // Whether a call was ever answered.
    answered: bool,
    // When the person who waits was last told that calls are made again.
    told_at: Option<Instant>,
    stopped_by: Option<CallError>,
}

impl Retries {
    /// Starts with nothing failed; cancelling `ending` ends every wait at once.
    pub(crate) fn new(policy: RetryPolicy, ending: CancellationToken) -> Self {
        let credit = policy.credit();
        let progress = Mutex::new(Progress {
            credit,
            failing_since: None,
            answered: false,
            told_at: None,
            stopped_by: None,
        });
        let shared = Arc::new(SharedRetries { policy, ending, progress });
        Self { shared, limit: WriteLimit::default() }
    }

    /// Keeps back every write that might not be over in time.
    #[must_use]
    pub(crate) fn within(self, limit: WriteLimit) -> Self {
        Self { limit, ..self }
    }

    /// The retries of a call that the run can do without.
    pub(super) fn aside(&self) -> Self {
        let policy = RetryPolicy { attempts: 2, tell: None, ..self.shared.policy };
        Self::new(policy, self.shared.ending.clone())
    }

    pub(super) fn limit(&self) -> &WriteLimit {
        &self.limit
    }

    /// Counts an attempt that failed so, and waits before the next one.
    ///
    /// # Errors
    /// There is to be no next attempt.
    pub(crate) async fn pause(&self, tries: &mut Tries, error: &CallError) -> Result<(), GiveUp> {
        let wait = self.wait_after(tries, error)?;
        tokio::select! {
            biased;
            () = self.shared.ending.cancelled() => Err(GiveUp::Ending),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// The error that made this run give the target up as a whole: the server refused the
    /// credentials, or nothing answered for too long. Nothing more is sent then.
    pub(crate) fn stopped(&self) -> Option<CallError> {
        self.shared.progress.lock().stopped_by.clone()
    }

    /// Notes that the server answered a call as the API does, be it with a refusal.
    pub(super) fn answered(&self) {
        let mut progress = self.shared.progress.lock();
        progress.failing_since = None;
        progress.answered = true;
        progress.credit = progress.credit.saturating_add(1).min(self.shared.policy.credit());
        // Other calls that got through do not make a refused token right.
        if progress.stopped_by.as_ref().is_some_and(CallError::is_transient) {
            progress.stopped_by = None;
        }
    }

    /// Gives the target up for the rest of this run.
    pub(super) fn stop(&self, error: &CallError) {
        self.shared.progress.lock().stopped_by.get_or_insert_with(|| error.clone());
    }

    /// The most that is waited before the next attempt of our own accord.
    pub(super) fn longest_backoff(&self, attempt: u32) -> Duration {
        let policy = &self.shared.policy;
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        policy.base.saturating_mul(doubled).min(policy.cap)
    }

    pub(super) fn longest_pause(&self) -> Duration {
        self.shared.policy.longest_pause
    }

    pub(super) fn ending(&self) -> &CancellationToken {
        &self.shared.ending
    }

    fn wait_after(&self, tries: &mut Tries, error: &CallError) -> Result<Duration, GiveUp> {
        let policy = &self.shared.policy;
        if !error.is_transient() {
            return Err(GiveUp::Final);
        }
        if self.shared.ending.is_cancelled() {
            return Err(GiveUp::Ending);
        }
        let now = Instant::now();
        tries.failed = tries.failed.saturating_add(1);
        let call_fails_since = *tries.failing_since.get_or_insert(now);
        let mut progress = self.shared.progress.lock();
        let failing_since = *progress.failing_since.get_or_insert(now);
        let give_up_after = policy.give_up_after(error.kind, progress.answered);
        if progress.stopped_by.is_some() {
            return Err(GiveUp::Target(give_up_after));
        }
        if let Some(named) = error.retry_after.filter(|named| *named > policy.longest_pause) {
            return Err(GiveUp::LongPause(named));
        }
        let attempts = match error.kind {
            ErrorKind::BrokenAnswer => policy.broken_answers.min(policy.attempts),
            _ => policy.attempts,
        };
        if tries.failed >= attempts {
            return Err(GiveUp::Attempts(tries.failed));
        }
        // Full jitter: calls that failed together do not come back together.
        let own = self.longest_backoff(tries.failed).mul_f64(fastrand::f64());
        // A server that names no pause at all is still not asked again at once.
        let wait = error.retry_after.map_or(own, |named| named.max(own));
        tries.named = tries.named.max(error.retry_after.unwrap_or_default());
        let left = |since: Instant| {
            let failing_for = now.saturating_duration_since(since);
            let left = give_up_after.saturating_add(tries.named).saturating_sub(failing_for);
            let is_over = left.is_zero() || (error.retry_after.is_some() && wait > left);
            (!is_over).then_some(left)
        };
        let Some(left_of_target) = left(failing_since) else {
            // Quick refusals are no reason to leave calls of other kinds unmade; silence is.
            if error.is_silence() {
                progress.stopped_by = Some(error.clone());
            }
            return Err(GiveUp::Target(give_up_after));
        };
        let Some(left_of_call) = left(call_fails_since) else {
            return Err(GiveUp::Call(give_up_after));
        };
        let Some(credit) = progress.credit.checked_sub(SUCCESSES_PER_RETRY) else {
            return Err(GiveUp::Budget);
        };
        progress.credit = credit;
        if let Some(tell) = policy.tell
            && progress.told_at.is_none_or(|at| at + TELL_EVERY < failing_since)
        {
            progress.told_at = Some(now);
            tell(&format!("{}; trying again for up to {give_up_after:?}", error.message));
        }
        Ok(wait.min(left_of_target).min(left_of_call))
    }
}

/// The moment by which every write of a run has to be over; clones share it. A process that may
/// act for a target only for a time moves it on as long as it may; without one, which is the
/// default, writes have all the time there is.
#[derive(Clone, Debug, Default)]
pub struct WriteLimit {
    parts: Vec<LimitPart>,
}

#[derive(Clone, Debug)]
struct LimitPart {
    until: watch::Receiver<Instant>,
    wanted: Arc<Notify>,
}

/// Moves a [`WriteLimit`]; once it is dropped, the limit stays where it is.
#[derive(Debug)]
pub struct LimitMover {
    until: watch::Sender<Instant>,
    wanted: Arc<Notify>,
}

impl LimitMover {
    /// Moves the limit, for all who share it.
    pub fn move_to(&self, at: Instant) {
        self.until.send_replace(at);
    }

    /// Waits until a write is about to begin.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

impl WriteLimit {
    /// Writes have to be over by then.
    pub fn at(until: Instant) -> (Self, LimitMover) {
        let (sender, receiver) = watch::channel(until);
        let wanted = Arc::new(Notify::new());
        let part = LimitPart { until: receiver, wanted: Arc::clone(&wanted) };
        (Self { parts: vec![part] }, LimitMover { until: sender, wanted })
    }

    /// Both limits at once: the earlier one counts.
    pub fn and(&self, other: &Self) -> Self {
        Self { parts: self.parts.iter().chain(&other.parts).cloned().collect() }
    }

    /// Waits until a write that begins now, and may take so long, is over in time; `false`: the
    /// limit is too early, and nothing moves it on any more.
    pub async fn has_room_for(&self, longest: Duration) -> bool {
        let fits = |until: &Instant| {
            Instant::now().checked_add(longest).is_some_and(|over| over <= *until)
        };
        loop {
            self.parts.iter().for_each(|part| part.wanted.notify_one());
            let Some(early) = self.parts.iter().find(|part| !fits(&part.until.borrow())) else {
                return true;
            };
            if early.until.clone().wait_for(fits).await.is_err() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests;
