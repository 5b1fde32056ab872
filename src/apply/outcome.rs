//! The outcome of a run on one target.

use serde::Serialize;

use crate::plan::{Action, Change, TargetPlan};

/// The outcome of applying a plan to one target.
#[derive(Clone, Debug, Default)]
pub struct TargetOutcome {
    /// The target's name in the config.
    pub name: String,
    /// The Apinizer project.
    pub project: String,
    /// The Manager's URL.
    pub url: String,
    /// Each change with its result, in the order of the plan.
    pub results: Vec<(Change, ChangeResult)>,
    /// The errors that stopped the target as a whole.
    pub errors: Vec<String>,
    /// Notices of a run that went on: a type the server does not know, a field that it rewrites.
    pub notices: Vec<String>,
    /// Connections adopted without a write.
    pub adopted: usize,
    /// Connections that were as git wants them.
    pub unchanged: usize,
}

/// The result of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeResult {
    /// It was made.
    Done,
    /// Live was found to be as git wants it: nothing was sent.
    NotNeeded,
    /// It was saved, but the workers did not get it: which, and why.
    Degraded(String),
    /// The call failed: what the server said.
    Failed(String),
    /// Something is wrong with this connection; nothing was sent.
    Blocked(String),
    /// A rule of deletes holds it back.
    Held(String),
    /// Drift that is only reported.
    Reported,
    /// The run ended before its turn.
    NotStarted,
}

/// How many changes ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Made.
    pub done: usize,
    /// Saved but not deployed.
    pub degraded: usize,
    /// Failed.
    pub failed: usize,
    /// Something is wrong with the connection.
    pub blocked: usize,
    /// A rule holds the delete or replace back.
    pub held: usize,
    /// Drift that is only reported.
    pub drifted: usize,
    /// Not started.
    pub not_started: usize,
    /// Adopted without a write.
    pub adopted: usize,
    /// As git wants them.
    pub unchanged: usize,
}

impl Counts {
    /// Counts an outcome.
    #[must_use]
    pub fn of(outcome: &TargetOutcome) -> Self {
        Self::of_all(std::slice::from_ref(outcome))
    }

    /// Counts the outcomes of several targets together.
    #[must_use]
    pub fn of_all(outcomes: &[TargetOutcome]) -> Self {
        let mut counts = Self {
            adopted: outcomes.iter().map(|outcome| outcome.adopted).sum(),
            unchanged: outcomes.iter().map(|outcome| outcome.unchanged).sum(),
            ..Self::default()
        };
        for (_, result) in outcomes.iter().flat_map(|outcome| &outcome.results) {
            *match result {
                ChangeResult::Done => &mut counts.done,
                ChangeResult::NotNeeded => &mut counts.unchanged,
                ChangeResult::Degraded(_) => &mut counts.degraded,
                ChangeResult::Failed(_) => &mut counts.failed,
                ChangeResult::Blocked(_) => &mut counts.blocked,
                ChangeResult::Held(_) => &mut counts.held,
                ChangeResult::Reported => &mut counts.drifted,
                ChangeResult::NotStarted => &mut counts.not_started,
            } += 1;
        }
        counts
    }
}

/// The outcome of a run that only plans: every change waits, or is what the plan says of it.
#[must_use]
pub fn only_planned(plan: &TargetPlan) -> TargetOutcome {
    let mut outcome = start(plan);
    outcome.results = plan
        .changes
        .iter()
        .map(|change| {
            let reason = || change.reason.clone().unwrap_or_default();
            let result = match change.action {
                _ if change.held => ChangeResult::Held(reason()),
                Action::Blocked => ChangeResult::Blocked(reason()),
                Action::Drift => ChangeResult::Reported,
                _ => ChangeResult::NotStarted,
            };
            (change.clone(), result)
        })
        .collect();
    outcome
}

/// An outcome without results yet.
pub(super) fn start(plan: &TargetPlan) -> TargetOutcome {
    TargetOutcome {
        name: plan.name.clone(),
        project: plan.project.clone(),
        url: plan.url.clone(),
        results: Vec::new(),
        errors: plan.errors.clone(),
        notices: plan.notices.clone(),
        adopted: plan.summary.adopt,
        unchanged: plan.summary.unchanged,
    }
}
