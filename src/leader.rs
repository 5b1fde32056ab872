//! Which process acts for a target.
//!
//! A daemon that is alone acts for all of its targets, for as long as it runs. With the section
//! `kubernetes` in the config (and the feature of that name in the build), replicas share the
//! targets between them: there is a Lease for each, and only its holder acts. Either way a
//! [`Term`] is the right to act, with a token that ends when the right does and a limit for
//! writes: none begins that might still be under way when another replica may begin its own.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::api::WriteLimit;
use crate::config::Target;
use crate::reconcile::Engine;

#[cfg(feature = "kubernetes")]
mod election;
#[cfg(feature = "kubernetes")]
mod lease;

/// How this process comes to act for targets.
#[derive(Debug, Default)]
pub struct Leadership {
    #[cfg(feature = "kubernetes")]
    replica: Option<election::Replica>,
}

/// What one target loop applies to for the right to act.
#[derive(Debug, Default)]
pub struct Candidate {
    #[cfg(feature = "kubernetes")]
    election: Option<election::Election>,
}

/// The right to act for one target.
#[derive(Debug)]
pub struct Term {
    over: CancellationToken,
    limit: WriteLimit,
    #[cfg(feature = "kubernetes")]
    tenure: Option<election::Tenure>,
}

/// Why the right to act is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// The replica that has it.
    pub holder: Option<String>,
    /// Why nobody can say.
    pub problem: Option<String>,
    /// By when there is more to say.
    pub again_in: Duration,
}

impl Leadership {
    /// As the config says; a process that writes nothing needs no right to.
    #[must_use]
    pub fn new(engine: &Engine, writes: bool) -> Self {
        #[cfg(feature = "kubernetes")]
        if let (true, Some(cluster)) = (writes, &engine.cluster) {
            let replica = election::Replica::new(cluster.clone(), engine);
            return Self { replica: Some(replica) };
        }
        let _ = (engine, writes);
        Self::default()
    }

    /// The candidate for one target.
    #[must_use]
    pub fn candidate(&self, target: &Target) -> Candidate {
        #[cfg(feature = "kubernetes")]
        if let Some(replica) = &self.replica {
            return Candidate { election: Some(replica.election(target)) };
        }
        let _ = target;
        Candidate::default()
    }
}

/// The rights to act for several targets, for a command that does all in one go.
#[derive(Debug)]
pub struct Terms {
    terms: Vec<Term>,
    limit: WriteLimit,
}

impl Leadership {
    /// Waits for the right to act for each of the targets; `stop` is cancelled when one is lost.
    ///
    /// # Errors
    /// The time is over; why one is not to be had, in words.
    pub async fn elected_for(
        &self,
        targets: &[Target],
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Terms, String> {
        let mut terms = Terms { terms: Vec::new(), limit: WriteLimit::default() };
        for target in targets {
            match self.candidate(target).elected_within(patience, stop).await {
                Ok(term) => {
                    terms.limit = terms.limit.and(&term.limit);
                    let (over, stop) = (term.over.clone(), stop.clone());
                    if !term.is_for_good() {
                        tokio::spawn(async move {
                            over.cancelled().await;
                            stop.cancel();
                        });
                    }
                    terms.terms.push(term);
                }
                Err(problem) => {
                    terms.give_back().await;
                    return Err(format!("target {}: {problem}", target.name));
                }
            }
        }
        Ok(terms)
    }
}

impl Terms {
    /// By when writes have to be over.
    #[must_use]
    pub fn limit(&self) -> &WriteLimit {
        &self.limit
    }

    /// Gives the rights back. Whoever calls this has nothing under way any more.
    pub async fn give_back(self) {
        for term in self.terms {
            term.give_back().await;
        }
    }
}

impl Candidate {
    /// Waits until this process may act; `None`: it ends before. `told` hears why it may not yet.
    pub async fn elected(
        &self,
        shutdown: &CancellationToken,
        told: impl Fn(Standby),
    ) -> Option<Term> {
        #[cfg(feature = "kubernetes")]
        if let Some(election) = &self.election {
            let tenure = election.win(shutdown, told).await?;
            let (over, limit) = (tenure.over().clone(), tenure.limit().clone());
            return Some(Term { over, limit, tenure: Some(tenure) });
        }
        let _ = told;
        (!shutdown.is_cancelled()).then(|| Term::for_good(shutdown))
    }
}

impl Candidate {
    /// As [`Candidate::elected`], for somebody who waits for it.
    ///
    /// # Errors
    /// The time is over; why the right is not there, in words.
    pub async fn elected_within(
        &self,
        patience: Duration,
        shutdown: &CancellationToken,
    ) -> Result<Term, String> {
        let last = std::sync::Mutex::new(None);
        let told = |standby| {
            *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(standby);
        };
        let elected = tokio::time::timeout(patience, self.elected(shutdown, told)).await;
        if let Ok(term) = elected {
            return term.ok_or_else(|| "the run is ending".to_owned());
        }
        let last = last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Err(match last {
            Some(Standby { problem: Some(problem), .. }) => problem,
            Some(Standby { holder: Some(holder), .. }) => format!(
                "{holder} acts for the target: suspend it or stop it first, or wait until its \
                 lease has run out"
            ),
            _ => "the target's lease was not to be had in time".to_owned(),
        })
    }
}

impl Term {
    /// The right of a process that is alone: it ends with the process.
    #[must_use]
    pub fn for_good(shutdown: &CancellationToken) -> Self {
        Self {
            over: shutdown.child_token(),
            limit: WriteLimit::default(),
            #[cfg(feature = "kubernetes")]
            tenure: None,
        }
    }

    /// Whether it ends with the process and not before.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        #[cfg(feature = "kubernetes")]
        return self.tenure.is_none();
        #[cfg(not(feature = "kubernetes"))]
        true
    }

    /// Cancelled once nothing may be begun any more.
    #[must_use]
    pub fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// By when writes have to be over.
    #[must_use]
    pub fn limit(&self) -> &WriteLimit {
        &self.limit
    }

    /// Gives the right back. Whoever calls this has nothing under way any more.
    pub async fn give_back(self) {
        #[cfg(feature = "kubernetes")]
        if let Some(tenure) = self.tenure {
            tenure.give_back().await;
        }
    }
}
