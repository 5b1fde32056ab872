//! Whether and when a call is made again.
//!
//! One [`Retries`] belongs to one reconcile of one target and is shared by all its calls: each
//! call has a number of attempts, all together have a time in which nothing succeeded. Waits
//! that a server names are kept up to a limit; a run that ends, or a newer commit, ends them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::{CallError, ErrorKind};
use super::limit::WriteLimit;

/// The numbers of the retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most that is waited before the second attempt; it doubles with each further one.
    pub base: Duration,
    /// The most that is waited between two attempts of our own accord.
    pub cap: Duration,
    /// How often one call is attempted.
    pub attempts: u32,
    /// How often one call is attempted when the answers are no answers of the API.
    pub broken_answers: u32,
    /// After this long without one success the target is given up.
    pub give_up_after: Duration,
    /// A server that asks for a longer pause is not waited for. Such a pause comes on top of
    /// `give_up_after`, at most once.
    pub longest_pause: Duration,
}

impl RetryPolicy {
    /// What suits a command that somebody waits for.
    #[must_use]
    pub fn command() -> Self {
        Self {
            base: Duration::from_millis(200),
            cap: Duration::from_secs(30),
            attempts: 10,
            broken_answers: 6,
            give_up_after: Duration::from_secs(30),
            longest_pause: Duration::from_secs(60),
        }
    }

    /// What suits one reconcile of the daemon, which goes on with the next one anyway.
    #[must_use]
    pub fn daemon() -> Self {
        Self { give_up_after: Duration::from_secs(120), ..Self::command() }
    }
}

/// The retries of one reconcile of one target; clones share them.
#[derive(Clone, Debug)]
pub struct Retries {
    shared: Arc<Shared>,
    limit: WriteLimit,
}

#[derive(Debug)]
struct Shared {
    policy: RetryPolicy,
    ending: CancellationToken,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    // The first failure since the last success.
    failing_since: Option<Instant>,
    stopped_by: Option<CallError>,
}

/// Why a call is not made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GiveUp {
    /// The failure is no passing one.
    #[error("trying again would not help")]
    Final,
    /// The run is ending, or a newer commit is there.
    #[error("the run is ending")]
    Ending,
    /// This call was attempted often enough.
    #[error("gave up after {0} attempts")]
    Attempts(u32),
    /// Nothing succeeded for too long.
    #[error("gave up on the target: no call succeeded for {0:?}")]
    Target(Duration),
    /// The server asks for a longer pause than this run takes.
    #[error("the server asks for a pause of {0:?}, which is too long to wait for")]
    LongPause(Duration),
}

impl Retries {
    /// Starts with nothing failed; cancelling `ending` ends every wait at once.
    #[must_use]
    pub fn new(policy: RetryPolicy, ending: CancellationToken) -> Self {
        let progress = Mutex::default();
        let shared = Arc::new(Shared { policy, ending, progress });
        Self { shared, limit: WriteLimit::default() }
    }

    /// Keeps back every write that might not be over in time.
    #[must_use]
    pub fn within(self, limit: WriteLimit) -> Self {
        Self { limit, ..self }
    }

    pub(super) fn limit(&self) -> &WriteLimit {
        &self.limit
    }

    /// Waits before the next attempt after the `attempt`th one (counted from 1) failed so.
    ///
    /// # Errors
    /// There is to be no next attempt.
    pub async fn pause(&self, attempt: u32, error: &CallError) -> Result<(), GiveUp> {
        let wait = self.wait_after(attempt, error)?;
        tokio::select! {
            biased;
            () = self.shared.ending.cancelled() => Err(GiveUp::Ending),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// What made this run give the target up as a whole: the server refused the credentials, or
    /// nothing answered for too long. Nothing more is sent then.
    #[must_use]
    pub fn stopped(&self) -> Option<CallError> {
        self.progress().stopped_by.clone()
    }

    /// Notes that the server answered a call as the API does, be it with a refusal.
    pub(super) fn answered(&self) {
        let mut progress = self.progress();
        progress.failing_since = None;
        // Other calls that got through do not make a refused token right.
        if progress.stopped_by.as_ref().is_some_and(CallError::is_transient) {
            progress.stopped_by = None;
        }
    }

    /// Gives the target up for the rest of this run.
    pub(super) fn stop(&self, error: &CallError) {
        self.progress().stopped_by.get_or_insert_with(|| error.clone());
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

    fn wait_after(&self, attempt: u32, error: &CallError) -> Result<Duration, GiveUp> {
        let policy = &self.shared.policy;
        if !error.is_transient() {
            return Err(GiveUp::Final);
        }
        if self.shared.ending.is_cancelled() {
            return Err(GiveUp::Ending);
        }
        let now = Instant::now();
        let mut progress = self.progress();
        let failing_since = *progress.failing_since.get_or_insert(now);
        if progress.stopped_by.is_some() {
            return Err(GiveUp::Target(policy.give_up_after));
        }
        if let Some(named) = error.retry_after.filter(|named| *named > policy.longest_pause) {
            return Err(GiveUp::LongPause(named));
        }
        let attempts = match error.kind {
            ErrorKind::BrokenAnswer => policy.broken_answers.min(policy.attempts),
            _ => policy.attempts,
        };
        if attempt >= attempts {
            return Err(GiveUp::Attempts(attempt));
        }
        let failing_for = now.saturating_duration_since(failing_since);
        let left = |budget: Duration| budget.saturating_sub(failing_for);
        let (wait, left) = match error.retry_after {
            Some(named) => (named, left(policy.give_up_after.saturating_add(policy.longest_pause))),
            // Full jitter: calls that failed together do not come back together.
            None => {
                let wait = self.longest_backoff(attempt).mul_f64(fastrand::f64());
                (wait, left(policy.give_up_after))
            }
        };
        if left.is_zero() || (error.retry_after.is_some() && wait > left) {
            // Quick refusals are no reason to leave calls of other kinds unmade; silence is.
            if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::AnswerLost) {
                progress.stopped_by = Some(error.clone());
            }
            return Err(GiveUp::Target(policy.give_up_after));
        }
        Ok(wait.min(left))
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind, retry_after: Option<u64>) -> CallError {
        CallError {
            call: "GET".into(),
            kind,
            message: "failed".into(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn retries() -> Retries {
        Retries::new(RetryPolicy::command(), CancellationToken::new())
    }

    async fn attempts_until_given_up(retries: &Retries, error: &CallError) -> (u32, GiveUp) {
        let mut attempt = 1;
        loop {
            match retries.pause(attempt, error).await {
                Ok(()) => attempt += 1,
                Err(why) => return (attempt, why),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_passing_failures_are_tried_again() {
        use ErrorKind::{
            AlreadyExists, AnswerLost, BrokenAnswer, Forbidden, NoProject, NotFound, RateLimited,
            Refused, ServerError, Unauthorized, Unreachable, Untrusted,
        };
        for kind in [Unreachable, AnswerLost, BrokenAnswer, ServerError, RateLimited] {
            assert_eq!(retries().pause(1, &error(kind, None)).await, Ok(()), "{kind:?}");
        }
        let last =
            [AlreadyExists, Forbidden, NoProject, NotFound, Refused, Unauthorized, Untrusted];
        for kind in last {
            assert_eq!(
                retries().pause(1, &error(kind, None)).await,
                Err(GiveUp::Final),
                "{kind:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_gives_the_target_up_and_an_answer_takes_it_back() {
        let retries = retries();
        let start = Instant::now();
        let mut policy_met = false;
        // Several calls fail side by side; the time is counted once.
        for _ in 0..4 {
            let (_, why) =
                attempts_until_given_up(&retries, &error(ErrorKind::Unreachable, None)).await;
            policy_met |= why == GiveUp::Target(Duration::from_secs(30));
        }
        assert!(policy_met);
        assert!(start.elapsed() <= Duration::from_secs(31));
        assert!(retries.stopped().is_some());
        retries.answered();
        assert!(retries.stopped().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn each_call_has_its_attempts() {
        let retries = retries();
        let mut attempt = 1;
        let why = loop {
            retries.answered();
            match retries.pause(attempt, &error(ErrorKind::ServerError, None)).await {
                Ok(()) => attempt += 1,
                Err(why) => break why,
            }
        };
        assert_eq!((attempt, why), (10, GiveUp::Attempts(10)));
        let broken = error(ErrorKind::BrokenAnswer, None);
        assert_eq!(attempts_until_given_up(&retries, &broken).await, (6, GiveUp::Attempts(6)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_pause_is_kept_up_to_the_limit() {
        let retries = retries();
        let start = Instant::now();
        assert_eq!(retries.pause(1, &error(ErrorKind::RateLimited, Some(45))).await, Ok(()));
        assert!(start.elapsed() >= Duration::from_secs(45));
        assert_eq!(
            retries.pause(2, &error(ErrorKind::RateLimited, Some(46))).await,
            Err(GiveUp::Target(Duration::from_secs(30)))
        );
        assert_eq!(
            retries.pause(2, &error(ErrorKind::RateLimited, Some(3600))).await,
            Err(GiveUp::LongPause(Duration::from_secs(3600)))
        );
        assert!(retries.stopped().is_none(), "it does answer");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_run_ends_a_wait() {
        let ending = CancellationToken::new();
        let retries = Retries::new(RetryPolicy::daemon(), ending.clone());
        let start = Instant::now();
        let pause = async { retries.pause(1, &error(ErrorKind::RateLimited, Some(60))).await };
        let (why, ()) = tokio::join!(pause, async { ending.cancel() });
        assert_eq!(why, Err(GiveUp::Ending));
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_refused_token_stays_refused() {
        let retries = retries();
        retries.stop(&error(ErrorKind::Unauthorized, None));
        retries.answered();
        assert_eq!(retries.stopped().map(|e| e.kind), Some(ErrorKind::Unauthorized));
    }

    #[test]
    fn the_backoff_doubles_up_to_its_cap() {
        let retries = retries();
        let millis: Vec<u128> =
            [1, 2, 8, 9, 40].map(|n| retries.longest_backoff(n).as_millis()).to_vec();
        assert_eq!(millis, [200, 400, 25_600, 30_000, 30_000]);
    }
}
