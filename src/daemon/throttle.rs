//! How often a failure is repeated in the log.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often a failure of one kind is logged while it lasts.
const EVERY: Duration = Duration::from_secs(300);

/// Limits how often a failure of one kind is logged: at once, and then every 5 minutes, whatever
/// the texts say and whatever other kinds take turns with it.
#[derive(Debug)]
pub(crate) struct LogThrottle<K> {
    logged: Mutex<Logged<K>>,
}

#[derive(Debug)]
struct Logged<K> {
    by_kind: BTreeMap<K, (Instant, u64)>,
    // A failure was logged, and not yet that it is over.
    in_trouble: bool,
}

impl<K> Default for LogThrottle<K> {
    fn default() -> Self {
        let logged = Logged { by_kind: BTreeMap::new(), in_trouble: false };
        Self { logged: Mutex::new(logged) }
    }
}

impl<K: Ord> LogThrottle<K> {
    /// Counts a failure. `Some`: it is to be logged now, with how often it came since it was last.
    pub(crate) fn count(&self, kind: K, now: Instant) -> Option<u64> {
        let mut logged = self.logged();
        let (at, repeats) = match logged.by_kind.entry(kind) {
            Entry::Vacant(entry) => {
                entry.insert((now, 0));
                logged.in_trouble = true;
                return Some(0);
            }
            Entry::Occupied(entry) => entry.into_mut(),
        };
        *repeats += 1;
        if now.duration_since(*at) < EVERY {
            return None;
        }
        *at = now;
        let repeats = std::mem::take(repeats);
        logged.in_trouble = true;
        Some(repeats)
    }

    /// Nothing fails any more: whether that is news to a reader of the log.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.forget(EVERY, now);
        std::mem::take(&mut self.logged().in_trouble)
    }

    /// Forgets the kinds that were last logged longer ago than this.
    pub(super) fn forget(&self, age: Duration, now: Instant) {
        self.logged().by_kind.retain(|_, (at, _)| now.duration_since(*at) < age);
    }

    fn logged(&self) -> MutexGuard<'_, Logged<K>> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A field that a log line only has where there is something to count.
pub(super) fn more_than_0(count: u64) -> Option<u64> {
    Some(count).filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_logged_at_once_and_then_every_five_minutes() {
        let throttle = LogThrottle::default();
        let start = Instant::now();
        let count = |kind, seconds| throttle.count(kind, start + Duration::from_secs(seconds));
        assert_eq!(count("refused", 0), Some(0));
        assert_eq!(count("timed out", 1), Some(0));
        assert_eq!(count("refused", 10), None);
        assert_eq!(count("timed out", 11), None, "two kinds that take turns");
        assert_eq!(count("refused", 299), None);
        assert_eq!(count("refused", 300), Some(3));
        assert_eq!(count("timed out", 302), Some(2));
        assert_eq!(count("refused", 301), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_comes_and_goes_is_logged_no_more_often() {
        let throttle = LogThrottle::default();
        let start = Instant::now();
        assert_eq!(throttle.count("refused", start), Some(0));
        assert!(throttle.is_over(start));
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.count("refused", later(20)), None);
        assert!(!throttle.is_over(later(30)), "the log did not say that it is back");
        assert!(!throttle.is_over(later(300)));
        assert_eq!(throttle.count("refused", later(301)), Some(0));
    }
}
