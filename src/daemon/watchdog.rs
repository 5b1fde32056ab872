//! Whether the tasks of the daemon make progress.
//!
//! Every task says by when it will be heard of again: a loop that waits for its next turn says
//! when that is, a reconcile is given a time for each of its steps. A probe that only proves that
//! the web server answers would be green with everything else stuck.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How much later than it said a task may be heard of: machines are slow at times.
const GRACE: Duration = Duration::from_secs(30);

/// By when each task will be heard of; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Watchdog {
    expected: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl Watchdog {
    /// A task says that it is alive, and that it will say so again within this time.
    pub fn expect(&self, task: &str, within: Duration) {
        // A wait that ends beyond what the clock can tell ends never.
        let Some(by) = Instant::now().checked_add(within.saturating_add(GRACE)) else { return };
        let mut expected = self.expected();
        match expected.get_mut(task) {
            Some(known) => *known = by,
            None => {
                expected.insert(task.to_owned(), by);
            }
        }
    }

    /// A task has ended as it should.
    pub fn forget(&self, task: &str) {
        self.expected().remove(task);
    }

    /// The tasks that should have been heard of by now.
    #[must_use]
    pub fn late(&self) -> Vec<String> {
        let now = Instant::now();
        let expected = self.expected();
        expected.iter().filter(|(_, by)| **by < now).map(|(task, _)| task.clone()).collect()
    }

    fn expected(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_for_too_long_is_named() {
        let watchdog = Watchdog::default();
        watchdog.expect("loop", Duration::from_secs(10));
        watchdog.expect("prod", Duration::from_secs(600));
        tokio::time::advance(Duration::from_secs(39)).await;
        assert!(watchdog.late().is_empty());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(watchdog.late(), ["loop"]);
        watchdog.expect("loop", Duration::from_secs(10));
        assert!(watchdog.late().is_empty());
        watchdog.forget("loop");
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(watchdog.late(), ["prod"]);
    }
}
