//! The common part of all writes: sending until the outcome is known, and remembering what was
//! acknowledged.

use std::sync::Arc;

use super::{ChangeResult, Job};
use crate::api::{CallError, Deployment, ErrorKind, Tries};
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::compare::{CompareSettings, Comparison};
use crate::record::{Base, Degraded, LONGEST_PAUSE, Owned};

/// A write that was made.
pub(super) enum Made<T> {
    /// The server acknowledged it.
    Acknowledged(Deployment),
    /// Its answer was lost, and what live shows proves that it was made.
    Arrived(T),
}

impl<T> Made<T> {
    /// Whether the workers got it: of a lost answer nothing else is known.
    pub(super) fn deployment(self) -> Deployment {
        match self {
            Self::Acknowledged(deployment) => deployment,
            Self::Arrived(_) => Deployment::Done,
        }
    }
}

/// How a change ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) result: ChangeResult,
    /// Whether a call of it may have done something that no answer told of: the note of the call stays, and
    /// the next run settles it.
    pub(super) in_doubt: bool,
    /// The server's words, where it refused what this very document asks for, and will again.
    pub(super) refused: Option<String>,
}

impl From<ChangeResult> for Ended {
    fn from(result: ChangeResult) -> Self {
        Self { result, in_doubt: false, refused: None }
    }
}

impl Ended {
    /// Whether a call of it was done is not known.
    pub(super) fn not_known(result: ChangeResult) -> Self {
        Self { in_doubt: true, ..result.into() }
    }
}

/// Sends a write until its outcome is known. After an answer was lost, `look` reads what became of it
/// before anything is sent again: `Some` or an error ends the loop. An attempt that is refused ends it too,
/// unless `hints_at_arrival` says of such a refusal that an earlier attempt may have arrived.
pub(super) async fn send<T, C, L>(
    job: &Job<'_>,
    call: impl Fn() -> C,
    hints_at_arrival: impl Fn(ErrorKind) -> bool,
    look: impl Fn(CallError) -> L,
) -> Result<Made<T>, Ended>
where
    C: Future<Output = Result<Deployment, CallError>>,
    L: Future<Output = Result<Option<T>, Ended>>,
{
    let mut tries = Tries::default();
    loop {
        let error = match call().await {
            Ok(deployment) => return Ok(Made::Acknowledged(deployment)),
            Err(error) => error,
        };
        let is_first = tries.failed() == 0;
        let may_have_arrived =
            error.may_have_been_done() || (!is_first && hints_at_arrival(error.kind));
        if !may_have_arrived {
            // An earlier attempt may have been carried out, or may still arrive.
            let result =
                if is_first { failed(&error) } else { ChangeResult::Failed(error.to_string()) };
            let refused = (error.kind == ErrorKind::Refused).then_some(error.message);
            return Err(Ended { result, in_doubt: !is_first, refused });
        }
        if let Some(arrived) = look(error.clone()).await? {
            return Ok(Made::Arrived(arrived));
        }
        if let Err(why) = job.client.retries().pause(&mut tries, &error).await {
            let result = failed(&CallError { gave_up: Some(why), ..error });
            return Err(Ended::not_known(result));
        }
    }
}

fn failed(error: &CallError) -> ChangeResult {
    match error.kind {
        ErrorKind::Ending => ChangeResult::NotStarted,
        _ => ChangeResult::Failed(error.to_string()),
    }
}

/// Reads a connection; a failure ends the change.
pub(super) async fn read(
    job: &Job<'_>,
    name: &ConnectionName,
) -> Result<Option<LiveConnection>, ChangeResult> {
    let found = job.client.get(name).await.map_err(|error| failed(&error))?;
    Ok(learned(job, found))
}

/// Reads the effect of a write that was sent. The end of the run does not end this: a
/// write that was sent is finished and remembered.
pub(super) async fn look_after(
    job: &Job<'_>,
    name: &ConnectionName,
) -> Result<Option<LiveConnection>, Ended> {
    let found = match job.client.get(name).await {
        Err(_) if job.control.stop.is_cancelled() => job.client.finishing().get(name).await,
        found => found,
    };
    let unknown = |error: CallError| {
        let why = format!("it is not known whether the write was done: {error}");
        Ended::not_known(ChangeResult::Failed(why))
    };
    Ok(learned(job, found.map_err(unknown)?))
}

fn learned(job: &Job<'_>, found: Option<LiveConnection>) -> Option<LiveConnection> {
    if let Some(live) = &found {
        live.teach_secrets(&job.target.name, job.resolution.redactor);
    }
    found
}

/// Why a write ends whose connection was shown before, and is not shown by its own GET: neither answer
/// proves the other wrong.
pub(super) const NOT_SHOWN: &str = "its own GET does not show it; the next run looks again";

/// Why a change ends whose connection is no longer the one that was planned for.
pub(super) const MADE_ANEW: &str =
    "it was deleted and another one made since the plan was made; the next run compares that one";

/// Whether another connection than the planned one is live under a name: whether that one may be
/// adopted is for a plan to say.
pub(super) fn is_made_anew(job: &Job<'_>, name: &ConnectionName, fresh: &LiveConnection) -> bool {
    let id_in_plan = job.observed.live.connections.get(name).and_then(|live| live.id.as_ref());
    id_in_plan.is_some() && fresh.id.is_some() && id_in_plan != fresh.id.as_ref()
}

/// The base after a PUT: fields that were written agree now, fields that live kept have their older
/// base.
pub(super) fn base_after_put(
    desired: &DesiredConnection,
    comparison: &Comparison,
    settings: &CompareSettings<'_>,
) -> Base {
    let mut base = settings.base_of(desired);
    for path in comparison.kept() {
        match comparison.base.get(path) {
            Some(older) => base.insert(path.to_owned(), older.clone()),
            None => base.remove(path),
        };
    }
    for (path, older) in comparison.base.iter().filter(|(path, _)| desired.ignores(path)) {
        base.insert(path.clone(), older.clone());
    }
    base
}

/// Remembers an acknowledged write.
pub(super) fn remember(
    job: &Job<'_>,
    desired: &DesiredConnection,
    base: Base,
    id: Option<String>,
    deployment: &Deployment,
) -> ChangeResult {
    let name = &desired.name;
    job.ledger.edit_memory(name, |memory| {
        memory.intent = None;
        let known = memory.owned.take().unwrap_or_default();
        memory.owned = Some(Owned {
            type_name: desired.connection_type.name.to_owned(),
            id,
            base: Arc::new(base),
            protect: desired.options.protect,
            renamed_from: desired.options.renamed_from.clone(),
            secrets_checked: desired.declares_secret().then_some(job.control.now),
            shown_secrets: known.shown_secrets,
            last_change: Some(job.control.now),
            last_commit: job.control.last_commits.get(name).cloned().unwrap_or(known.last_commit),
        });
    });
    note_deployment(job, name, deployment, None)
}

/// The first pause before a connection that was not deployed is written again, in seconds.
const FIRST_PAUSE: i64 = 60;

/// Remembers whether the workers got a write; `deleted` is the type of what it deleted.
pub(super) fn note_deployment(
    job: &Job<'_>,
    name: &ConnectionName,
    deployment: &Deployment,
    deleted: Option<&str>,
) -> ChangeResult {
    let Deployment::Failed(where_and_why) = deployment else {
        job.ledger.edit_memory(name, |memory| memory.degraded = None);
        return ChangeResult::Done;
    };
    let reason = where_and_why.join("; ");
    job.ledger.edit_memory(name, |memory| {
        let attempts = memory.degraded.as_ref().map_or(0, |known| known.attempts);
        let pause = FIRST_PAUSE.saturating_mul(1 << attempts.min(6)).min(LONGEST_PAUSE);
        memory.degraded = Some(Degraded {
            reason: reason.clone(),
            attempts: attempts.saturating_add(1),
            next: job.control.now.saturating_add(pause),
            deleted: deleted.map(str::to_owned),
        });
    });
    ChangeResult::Degraded(reason)
}
