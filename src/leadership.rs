//! Which process acts for a target.
//!
//! A daemon that is alone acts for all of its targets, for as long as it runs. With the section
//! `kubernetes` in the config, replicas share the targets: there is a Lease for each, and only its
//! holder acts. Either way a [`Term`] is the right to act, with a token that is cancelled when the right
//! is over and a limit for writes: none begins that might still be under way when another replica may
//! begin its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::api::WriteLimit;
use crate::config::{Config, Target};
use crate::environment::Environment;
use crate::state::StateStore;

mod kubernetes;

/// Decides which process acts for a target.
pub trait Leadership: fmt::Debug + Send + Sync {
    /// Waits until this process may act for the target; `None`: it ends before. `told` hears why
    /// it may not yet.
    fn elected<'a>(
        &'a self,
        target: &'a Target,
        shutdown: &'a CancellationToken,
        told: &'a (dyn Fn(Standby) + Send + Sync),
    ) -> BoxFuture<'a, Option<Term>>;

    /// The store that keeps the state of a target for all processes that may act for it; `None`:
    /// the state is in a file.
    fn state_store(&self, target: &Target) -> Option<Arc<dyn StateStore>>;
}

/// The leadership that the config asks for.
#[must_use]
pub(crate) fn of(config: &Config, environment: &Environment) -> Arc<dyn Leadership> {
    if let Some(settings) = &config.kubernetes {
        return Arc::new(kubernetes::Replicas::new(config, settings, environment));
    }
    Arc::new(Alone)
}

/// A process that shares its targets with no other, or writes nothing.
#[derive(Debug)]
pub(crate) struct Alone;

impl Leadership for Alone {
    fn elected<'a>(
        &'a self,
        _: &'a Target,
        shutdown: &'a CancellationToken,
        _: &'a (dyn Fn(Standby) + Send + Sync),
    ) -> BoxFuture<'a, Option<Term>> {
        Box::pin(async { (!shutdown.is_cancelled()).then(|| Term::for_good(shutdown)) })
    }

    fn state_store(&self, _: &Target) -> Option<Arc<dyn StateStore>> {
        None
    }
}

/// The right to act for one target, or for all those of a command.
#[derive(Debug)]
pub struct Term {
    over: CancellationToken,
    limit: WriteLimit,
    renewals: Vec<Renewal>,
}

/// The task that renews a right which may be lost. It frees the right when it is given back;
/// dropped before that, the right simply runs out.
#[derive(Debug)]
struct Renewal {
    giving_back: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// Why the right to act is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// The replica that has it.
    pub holder: Option<String>,
    /// Why it cannot be known which replica has it.
    pub problem: Option<String>,
    /// Whether asking again would end the same: a person has to act first.
    pub refused: bool,
    /// By when there is more to say.
    pub again_in: Duration,
}

impl Term {
    /// The right of a process that is alone: it ends with the process.
    #[must_use]
    pub fn for_good(shutdown: &CancellationToken) -> Self {
        Self { over: shutdown.child_token(), limit: WriteLimit::default(), renewals: Vec::new() }
    }

    /// Whether it ends with the process and not before.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        self.renewals.is_empty()
    }

    /// Cancelled once no further call may start.
    #[must_use]
    pub fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// By when writes have to be over.
    #[must_use]
    pub fn limit(&self) -> &WriteLimit {
        &self.limit
    }

    /// Gives the right back. The caller has nothing under way any more.
    pub async fn give_back(self) {
        for Renewal { giving_back, task } in self.renewals {
            giving_back.cancel();
            // The task neither panics nor is aborted while it is waited for.
            let _ = task.await;
        }
    }
}

impl dyn Leadership {
    /// Waits for the right to act for each of the targets; `stop` is cancelled when one is lost.
    ///
    /// # Errors
    /// The time is over; why one is not to be had, in words.
    pub async fn elected_for(
        &self,
        targets: &[Target],
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Term, String> {
        let (over, limit) = (stop.clone(), WriteLimit::default());
        let mut all = Term { over, limit, renewals: Vec::new() };
        for target in targets {
            match self.elected_within(target, patience, stop).await {
                Ok(term) => {
                    all.limit = all.limit.and(&term.limit);
                    let (over, stop) = (term.over.clone(), stop.clone());
                    if !term.is_for_good() {
                        tokio::spawn(async move {
                            over.cancelled().await;
                            stop.cancel();
                        });
                    }
                    all.renewals.extend(term.renewals);
                }
                Err(problem) => {
                    all.give_back().await;
                    return Err(format!("target {}: {problem}", target.name));
                }
            }
        }
        Ok(all)
    }

    /// As [`Leadership::elected`], for a caller that waits for a limited time.
    ///
    /// # Errors
    /// The time is over; why the right is not there, in words.
    pub async fn elected_within(
        &self,
        target: &Target,
        patience: Duration,
        shutdown: &CancellationToken,
    ) -> Result<Term, String> {
        let (last, refused) = (Mutex::new(None), Notify::new());
        let told = |standby: Standby| {
            if standby.refused {
                refused.notify_one();
            }
            *last.lock() = Some(standby);
        };
        tokio::select! {
            biased;
            term = self.elected(target, shutdown, &told) => {
                return term.ok_or_else(|| "the run is ending".to_owned());
            }
            () = refused.notified() => {}
            () = tokio::time::sleep(patience) => {}
        }
        let last = last.lock().take();
        Err(match last {
            Some(Standby { problem: Some(problem), .. }) => problem,
            Some(Standby { holder: Some(holder), .. }) => format!(
                "{holder} acts for the target: stop it first, or wait until its lease has run out"
            ),
            _ => "the target's lease could not be acquired in time".to_owned(),
        })
    }
}
