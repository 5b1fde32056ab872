//! `forget NAME...`: takes names out of the inventory without a call.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::args::{ForgetArgs, ReadArgs};
use super::context::Context;
use super::session::Session;
use crate::name::ConnectionName;
use crate::reconcile::load_target;
use crate::record::Record;
use crate::report::exit::DONE;

/// Runs `forget`; the exit code.
///
/// # Errors
/// The state cannot be used, or has none of a name.
pub async fn run(args: &ForgetArgs, context: &Context) -> Result<u8, CommandError> {
    let targets: Vec<String> = args.target.iter().cloned().collect();
    let mut session = Session::new(context, &targets)?;
    let declared = declared_now(&mut session).await;
    let target = session.single_target()?;
    let term = session.elected(args.lock_timeout, &CancellationToken::new()).await?;
    let forget = |record: &mut Record| -> (Vec<ConnectionName>, Vec<ConnectionName>) {
        let names: BTreeSet<_> = args.names.iter().map(|name| ConnectionName::new(name)).collect();
        names.into_iter().partition(|name| {
            let is_known = record.memory(name).is_some_and(|memory| {
                memory.owned.is_some() || memory.degraded.is_some() || memory.intent.is_some()
            });
            if is_known {
                record.forget(name);
            }
            is_known
        })
    };
    let file = session.engine.state_file(target);
    let edited = file.edit(args.lock_timeout, "forget", forget).await;
    term.give_back().await;
    let (forgotten, unknown) = edited.map_err(CommandError::failed)?;
    let trail = session.engine.trail(target, true).of_run(None, &context.asked("forget"));
    for name in &forgotten {
        let then = match &declared {
            Some(declared) if declared.contains(name) => {
                "git still declares it, or renames a connection from it, so the next run adopts it again"
            }
            Some(_) => "it is unmanaged from now on",
            None => "the next run adopts it again if git still declares it",
        };
        context.print(&format!("forgot {name}: {then}"));
        trail.forgot(name);
    }
    if unknown.is_empty() {
        return Ok(DONE);
    }
    let which = unknown.iter().map(ConnectionName::as_str).collect::<Vec<_>>().join(", ");
    Err(CommandError::Failed(format!("not in the inventory of `{}`: {which}", target.name)))
}

/// The names that the newest commit declares, and those that it renames connections from; `None`: it
/// cannot be read.
async fn declared_now(session: &mut Session) -> Option<BTreeSet<ConnectionName>> {
    let snapshot = session.snapshot(&ReadArgs::default()).await.ok()?;
    let target = session.single_target().ok()?;
    let load = || load_target(&session.engine, target, &snapshot);
    let documents = tokio::task::block_in_place(load).ok()?.contents.documents;
    let names = documents.into_iter().flat_map(|d| [Some(d.name), d.options.renamed_from]);
    Some(names.flatten().collect())
}
