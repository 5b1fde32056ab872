//! `run --once`: one reconcile of every target, by the same passes as the daemon's.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::pass::{Ending, Mode, Pass, nothing, pass};
use super::tasks::FINISHING;
use super::{Daemon, Opened};
use crate::leadership::{Alone, Leadership};
use crate::plan::TargetPlan;
use crate::secret::Redactor;
use crate::source::SourceError;

/// How long a single reconcile waits for the right to act where replicas share the targets.
const ELECTION: Duration = Duration::from_secs(30);

/// Makes one reconcile of every target.
///
/// # Errors
/// The source cannot be read.
pub(crate) async fn once(daemon: &Daemon) -> Result<Vec<TargetPlan>, SourceError> {
    let Opened { engine, source } = daemon.open_first(&Redactor::default())?;
    if let Some(mirror) = source.mirror() {
        mirror.fetch(&daemon.shutdown).await?;
    }
    let seen = tokio::task::block_in_place(|| source.look())?;
    let (mode, asked) = (Mode { writes: daemon.writes, once: true }, &daemon.asked);
    let leadership: &dyn Leadership =
        if daemon.writes { engine.leadership.as_ref() } else { &Alone };
    let (engine, source, seen) = (&engine, &source, &seen);
    let passes = engine.config.targets.iter().map(async |target| {
        let term = match leadership.elected_within(target, ELECTION, &daemon.shutdown).await {
            Ok(term) => term,
            Err(problem) => return nothing(target, Some(problem), false),
        };
        let ending = Ending { stop: term.over().child_token(), limit: term.limit().clone() };
        let result = tokio::select! {
            result = pass(Pass { engine, target, source, seen, mode, asked: asked.clone(), ending }) => result,
            () = too_long_after(&daemon.shutdown) => {
                let problem = format!("some calls did not end within {} s and are left", FINISHING.as_secs());
                nothing(target, Some(problem), false)
            }
        };
        term.give_back().await;
        result
    });
    let results = futures_util::future::join_all(passes).await;
    let ended = |mut result: super::pass::PassResult| {
        if result.suspended {
            result.plan.hold_suspended();
        }
        if result.carried_out { result.plan } else { result.plan.without_calls() }
    };
    Ok(results.into_iter().map(ended).collect())
}

/// Waits until the calls in flight have had their time after the shutdown.
async fn too_long_after(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(FINISHING).await;
}
