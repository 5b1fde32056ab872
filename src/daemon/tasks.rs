//! The tasks of one config. When another one comes into force they finish what they began, and
//! those of the new one begin at once, but for the one that works on the same thing.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long tasks may take to finish their calls once they are to end.
pub(super) const FINISHING: Duration = Duration::from_secs(20);

/// The tokens that end with a task, by what it works on: a project at its URL, a mirror.
pub(super) type Over = BTreeMap<String, CancellationToken>;

/// The tasks of one config.
pub(super) struct Tasks {
    running: JoinSet<()>,
    over: Over,
}

impl Tasks {
    /// None yet; those of the config before may still be finishing.
    pub(super) fn after(mut over: Over) -> Self {
        over.retain(|_, task| !task.is_cancelled());
        Self { running: JoinSet::new(), over }
    }

    /// Starts one once no earlier one works on the same thing any more.
    pub(super) fn spawn(
        &mut self,
        works_on: String,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let over = CancellationToken::new();
        let earlier = self.over.insert(works_on, over.clone());
        self.running.spawn(async move {
            // Also when it is aborted.
            let _over = over.drop_guard();
            if let Some(earlier) = earlier {
                earlier.cancelled().await;
            }
            task.await;
        });
    }

    pub(super) fn over(&self) -> Over {
        self.over.clone()
    }

    /// Waits for those that were told to end, up to a deadline.
    pub(super) async fn end(mut self) {
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISHING, all).await.is_err() {
            warn!("some calls did not end within {} s and are left", FINISHING.as_secs());
            self.running.abort_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_waits_only_for_an_older_one_that_works_on_the_same() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let hangs = CancellationToken::new();
        let says = |word: &'static str| {
            let said = Arc::clone(&said);
            async move { said.lock().unwrap().push(word) }
        };
        let mut first = Tasks::after(Over::default());
        first.spawn("a".into(), hangs.clone().cancelled_owned());
        let over = first.over();
        let left = tokio::spawn(first.end());
        let mut second = Tasks::after(over);
        second.spawn("a".into(), says("a"));
        second.spawn("b".into(), says("b"));
        tokio::time::sleep(FINISHING / 2).await;
        assert_eq!(*said.lock().unwrap(), ["b"]);
        // One that does not end is left, and the next one begins.
        left.await.unwrap();
        second.end().await;
        assert_eq!(*said.lock().unwrap(), ["b", "a"]);
    }
}
