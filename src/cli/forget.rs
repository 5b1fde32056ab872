//! `forget NAME...`: takes names out of the inventory without a call.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::args::{ForgetArgs, ReadArgs};
use super::context::Context;
use super::error::CommandError;
use super::session::Session;
use crate::name::ConnectionName;
use crate::reconcile::load_target;

/// Runs `forget`; the exit code.
///
/// # Errors
/// The state cannot be used, or has none of a name.
pub async fn run(args: &ForgetArgs, context: &Context) -> Result<u8, CommandError> {
    let targets: Vec<String> = args.target.iter().cloned().collect();
    let mut session = Session::new(context, &targets)?;
    let declared = declared_now(&mut session).await;
    let target = session.single_target()?;
    let file = session.engine.state_file(target);
    let stop = CancellationToken::new();
    let terms = session.elected(args.lock_timeout, &stop).await?;
    let _lock = file.lock(args.lock_timeout, "forget").await.map_err(CommandError::failed)?;
    let mut record = file.read().map_err(CommandError::failed)?;
    let asked = context.asked("forget");
    let mut forgotten = Vec::new();
    let mut unknown = Vec::new();
    for name in &args.names {
        let name = ConnectionName::new(name);
        let was_degraded = record.memory(&name).is_some_and(|memory| memory.degraded.is_some());
        if record.forget(&name) || was_degraded {
            let then = if declared.contains(&name) {
                "git still declares it, so the next run adopts it again"
            } else {
                "it is unmanaged from now on"
            };
            forgotten.push(name.clone());
            context.print(&format!("forgot {name}: {then}"));
        } else {
            unknown.push(name.to_string());
        }
    }
    let written = if forgotten.is_empty() { Ok(()) } else { file.write(&record) };
    let written = written.map_err(CommandError::failed);
    terms.give_back().await;
    written?;
    let trail = session.engine.trail(target, true).pass(None, &asked);
    forgotten.iter().for_each(|name| trail.forgot(name));
    if unknown.is_empty() {
        return Ok(0);
    }
    let which = unknown.join(", ");
    Err(CommandError::Failed(format!("not in the inventory of `{}`: {which}", target.name)))
}

/// The names that the newest commit declares; none where it cannot be read.
async fn declared_now(session: &mut Session) -> BTreeSet<ConnectionName> {
    let Ok(snapshot) = session.snapshot(&ReadArgs::default()).await else {
        return BTreeSet::new();
    };
    let Ok(target) = session.single_target() else { return BTreeSet::new() };
    let load = || load_target(&session.engine, target, &snapshot);
    let loaded = tokio::task::block_in_place(load);
    let documents = loaded.map(|loaded| loaded.loaded.documents).unwrap_or_default();
    documents.into_iter().map(|document| document.name).collect()
}
