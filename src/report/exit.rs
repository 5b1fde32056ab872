//! Exit codes of a plan or an outcome.

use crate::plan::{Action, ChangeResult, Plan, TargetPlan};

/// All is as git declares it, or was made so.
pub const DONE: u8 = 0;
/// Something failed, is blocked or is invalid.
pub const FAILED: u8 = 1;
/// Changes are pending, or drift is reported.
pub const PENDING: u8 = 2;
/// A safety rule holds something back.
pub const HELD: u8 = 3;

/// The exit code of a command that either found all well or something wrong.
pub(crate) fn failed_if(is_wrong: bool) -> u8 {
    if is_wrong { FAILED } else { DONE }
}

/// The exit code of a plan: 1 wins over 3, and 3 over 2.
pub fn of_plan(plan: &Plan) -> u8 {
    let changes = || plan.targets.iter().flat_map(TargetPlan::changes);
    if plan.targets.iter().any(|target| !target.errors.is_empty())
        || changes().any(|change| change.action == Action::Blocked)
    {
        FAILED
    } else if changes().any(|change| change.held) || plan.targets.iter().any(|one| one.waits) {
        HELD
    } else if changes().next().is_some() {
        PENDING
    } else {
        DONE
    }
}

/// The exit code of what was applied: 1 wins over 3.
pub fn of_outcomes(outcomes: &[TargetPlan]) -> u8 {
    let results = || outcomes.iter().flat_map(TargetPlan::results);
    let is_held = |result: &ChangeResult| matches!(result, ChangeResult::Held(_));
    if outcomes.iter().any(|outcome| !outcome.errors.is_empty())
        || results().any(|(_, result)| !result.is_success() && !is_held(result))
    {
        FAILED
    } else if results().any(|(_, result)| is_held(result)) || outcomes.iter().any(|one| one.waits) {
        HELD
    } else {
        DONE
    }
}
