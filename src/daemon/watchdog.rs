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
pub(crate) struct Watchdog {
    tasks: Arc<Mutex<Tasks>>,
}

#[derive(Debug, Default)]
struct Tasks {
    // There are two of one name while a new config replaces an older one.
    expected: BTreeMap<u64, (String, Instant)>,
    newest: u64,
}

/// A task that is watched over until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    watchdog: Watchdog,
    id: u64,
    name: String,
}

impl Watched {
    /// The task is alive, and will say so again within this time.
    pub(crate) fn expect(&self, within: Duration) {
        // A wait that ends beyond what the clock can tell ends never.
        let Some(by) = Instant::now().checked_add(within.saturating_add(GRACE)) else { return };
        let mut tasks = self.watchdog.tasks();
        match tasks.expected.get_mut(&self.id) {
            Some((_, known)) => *known = by,
            None => {
                tasks.expected.insert(self.id, (self.name.clone(), by));
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watchdog.tasks().expected.remove(&self.id);
    }
}

impl Watchdog {
    /// Watches over a task from when it first says that it is alive.
    #[must_use]
    pub(crate) fn watch(&self, name: impl Into<String>) -> Watched {
        let mut tasks = self.tasks();
        tasks.newest += 1;
        Watched { watchdog: self.clone(), id: tasks.newest, name: name.into() }
    }

    /// The tasks that should have been heard of by now.
    #[must_use]
    pub(crate) fn late(&self) -> Vec<String> {
        let now = Instant::now();
        let tasks = self.tasks();
        tasks.expected.values().filter(|(_, by)| *by < now).map(|(name, _)| name.clone()).collect()
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_for_too_long_is_named() {
        let watchdog = Watchdog::default();
        let (supervisor, prod) = (watchdog.watch("loop"), watchdog.watch("prod"));
        supervisor.expect(Duration::from_secs(10));
        prod.expect(Duration::from_secs(600));
        tokio::time::advance(Duration::from_secs(39)).await;
        assert!(watchdog.late().is_empty());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(watchdog.late(), ["loop"]);
        supervisor.expect(Duration::from_secs(10));
        assert!(watchdog.late().is_empty());
        drop(supervisor);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(watchdog.late(), ["prod"]);
    }

    #[tokio::test(start_paused = true)]
    async fn two_of_one_name_are_two() {
        let watchdog = Watchdog::default();
        let (older, newer) = (watchdog.watch("prod"), watchdog.watch("prod"));
        older.expect(Duration::from_secs(10));
        newer.expect(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(30)).await;
        newer.expect(Duration::from_secs(20));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(watchdog.late(), ["prod"], "the newer one says nothing of the older");
        drop(older);
        assert!(watchdog.late().is_empty());
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(watchdog.late(), ["prod"], "the end of the older one is not the newer's");
    }
}
