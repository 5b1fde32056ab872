//! `run --once`: one reconcile of every target, by the same passes as the daemon's.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::pass::{Ending, Manner, Pass, nothing, pass};
use super::supervisor::{Daemon, engine};
use super::tasks::FINISHING;
use crate::apply::{TargetOutcome, only_planned};
use crate::leadership::{Alone, Leadership};
use crate::secret::Redactor;
use crate::source::SourceError;

/// How long a single reconcile waits for the right to act where replicas share the targets.
const ELECTION: Duration = Duration::from_secs(30);

/// Makes one reconcile of every target.
///
/// # Errors
/// The source cannot be read.
pub async fn once(daemon: &Daemon) -> Result<Vec<TargetOutcome>, SourceError> {
    let (engine, source) = engine(daemon, &Redactor::default())?;
    if let Some(mirror) = source.mirror() {
        mirror.fetch(&daemon.shutdown).await?;
    }
    let seen = tokio::task::block_in_place(|| source.look())?;
    let manner = Manner { writes: daemon.writes, once: true };
    let leadership: &dyn Leadership =
        if daemon.writes { engine.leadership.as_ref() } else { &Alone };
    let passes = engine.config.targets.iter().map(async |target| {
        let term = match leadership.elected_within(target, ELECTION, &daemon.shutdown).await {
            Ok(term) => term,
            Err(problem) => return nothing(target, Some(problem), false),
        };
        let ending = Ending { stop: term.over().child_token(), limit: term.limit().clone() };
        let passing = pass(Pass {
            engine: &engine,
            target,
            source: &source,
            seen: &seen,
            manner,
            ending,
        });
        let passed = tokio::select! {
            passed = passing => passed,
            () = too_long_after(&daemon.shutdown) => {
                let problem = format!("some calls did not end within {} s and are left", FINISHING.as_secs());
                nothing(target, Some(problem), false)
            }
        };
        term.give_back().await;
        passed
    });
    let passed = futures_util::future::join_all(passes).await;
    Ok(passed
        .into_iter()
        .map(|passed| {
            let plan = passed.plan;
            passed.outcome.unwrap_or_else(|| only_planned(&plan))
        })
        .collect())
}

/// Waits until calls that were begun have had their time after the end of the run was asked for.
async fn too_long_after(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(FINISHING).await;
}
