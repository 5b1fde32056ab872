//! `apply`: plans, asks, and carries the plan out; or carries a saved plan out as it stands.

use std::io::{self, IsTerminal as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::args::{ApplyArgs, NarrowArgs, Output, WriteArgs};
use super::context::{Context, needs_terminal, says_yes};
use super::plan::{
    SAVED_VERSION, SavedPlan, leave_out_said, place_digest, saved_target, show_errors,
};
use super::session::{Session, refuse_unsigned};
use super::signals::{EndSignals, cancel_on};
use crate::plan::saved::{SavedTarget, ends_otherwise, keep_listed};
use crate::plan::{Change, ChangeResult, Plan, TargetPlan};
use crate::reconcile::{Prepared, ReadBackMode, RunOptions, carry_out};
use crate::report::exit::{DONE, FAILED, HELD, PENDING};
use crate::report::{self, Style};
use crate::source::Snapshot;

/// Runs `apply`; the exit code.
///
/// # Errors
/// The config, the source or the plan file cannot be used, or nobody can be asked.
pub async fn run(args: &ApplyArgs, context: &Context) -> Result<u8, CommandError> {
    let asks = !args.yes;
    if asks {
        needs_terminal("add --yes to apply without asking")?;
    }
    let mut args = args.clone();
    let saved = args.plan_file.as_deref().map(read_saved).transpose()?;
    let mut agreed = saved.map(|saved| repeat_options(saved, &mut args)).transpose()?;
    let mut session = Session::new(context, &args.narrow.targets)?;
    refuse_unsigned(&session.engine.config, args.read.worktree)?;
    let base = args.read.base.as_deref();
    session.asked = base.is_none().then(|| context.asked("apply"));
    let mut options = session.options(context, "apply", &args.narrow, &args.writes, base).await?;
    options.read_back = ReadBackMode::Due;
    options.follows = args.read.rev.is_none();
    let mut snapshot = session.snapshot(&args.read).await?;
    if asks {
        match show_and_confirm(&session, &snapshot, &options, context).await? {
            ControlFlow::Continue(shown) => agreed = agreed.or(Some(shown)),
            ControlFlow::Break(code) => return Ok(code),
        }
        // The answer may have come late: a commit since then is a difference too.
        session.fetch().await?;
        snapshot = session.snapshot(&args.read).await?;
    }
    // Not before: at the prompt Ctrl-C ends the program as it does everywhere.
    stop_on_signals(&options.stop, context);
    options.writes = true;
    let term = session.elected(options.lock_timeout, &options.stop).await?;
    options.limit = term.limit().clone();
    let prepared = session.prepare(&snapshot, &options).await;
    if !asks {
        show_errors(context, &prepared);
    }
    let stale = agreed.as_deref().map_or(Ok(Vec::new()), |agreed| moved(agreed, &prepared));
    if !stale.as_ref().is_ok_and(Vec::is_empty) {
        drop(prepared);
        term.give_back().await;
        let stale = stale?;
        context.say("held: the plan no longer fits, and nothing was applied:");
        stale.iter().for_each(|line| context.say_line(&format!("  {line}")));
        context.say("Make a new plan and apply that.");
        return Ok(HELD);
    }
    let mut outcomes =
        carry_all_out(&session, prepared, agreed.as_deref(), &options, context).await;
    term.give_back().await;
    if asks && args.output == Output::Text {
        // The plan that was asked about has shown the problems.
        outcomes.iter_mut().for_each(|outcome| outcome.diagnostics.clear());
    } else if args.output == Output::Text {
        leave_out_said(&mut outcomes, context, &session);
    }
    print(&outcomes, args.output, context);
    Ok(report::exit::of_outcomes(&outcomes))
}

fn print(outcomes: &[TargetPlan], output: Output, context: &Context) {
    match output {
        Output::Text => {
            // The changes that were made were shown as they were made.
            let summary = shows_progress(context) && io::stdout().is_terminal();
            let style = Style { summary, ..context.style() };
            context.print(&report::outcome::text(outcomes, &style));
        }
        Output::Json => context.print_json(&report::outcome::json(outcomes)),
        Output::Markdown => context.print(&report::outcome::markdown(outcomes)),
    }
}

/// Shows the plan and asks: the changes that are agreed on, or the exit code, where there is nothing
/// to do or the answer is no.
async fn show_and_confirm(
    session: &Session,
    snapshot: &Snapshot,
    options: &RunOptions,
    context: &Context,
) -> Result<ControlFlow<u8, Vec<SavedTarget>>, CommandError> {
    let prepared = session.prepare(snapshot, options).await;
    let mut plan = session.plan_of(snapshot, &prepared);
    show_errors(context, &prepared);
    leave_out_said(&mut plan.targets, context, session);
    // A plan that was not shown cannot be agreed to: stderr is a terminal, and stdout may be a file.
    context.say(&report::plan::text(&plan, &context.style_stderr()));
    if !plan.targets.iter().any(has_work) {
        let code = report::exit::of_plan(&plan);
        return Ok(ControlFlow::Break(if code == PENDING { DONE } else { code }));
    }
    if !confirmed(&plan, context)? {
        context.say("Nothing was applied.");
        return Ok(ControlFlow::Break(FAILED));
    }
    Ok(ControlFlow::Continue(prepared.iter().map(saved_target).collect()))
}

async fn carry_all_out(
    session: &Session,
    mut prepared: Vec<Prepared<'_>>,
    agreed: Option<&[SavedTarget]>,
    options: &RunOptions,
    context: &Context,
) -> Vec<TargetPlan> {
    let style = context.style_stderr();
    let shows = shows_progress(context);
    let mut total = 0;
    for prepared in &mut prepared {
        let of_target = |agreed: &&SavedTarget| agreed.name == prepared.target.name;
        if let Some(agreed) = agreed.and_then(|all| all.iter().find(of_target)) {
            keep_listed(&mut prepared.plan, &agreed.changes);
        }
        total += prepared.plan.changes().iter().filter(|change| change.needs_call()).count();
    }
    let ended = AtomicUsize::new(0);
    let (style, ended) = (&style, &ended);
    let runs = prepared.into_iter().map(|prepared| async move {
        if prepared.is_suspended() == Some(true) {
            return prepared.plan.without_calls();
        }
        let name = prepared.target.name.clone();
        let progress = |change: &Change, result: &ChangeResult| {
            if matches!(result, ChangeResult::NotStarted) {
                return;
            }
            let number = ended.fetch_add(1, Ordering::Relaxed) + 1;
            if shows {
                let lead = format!("[{number}/{total}] {name} ");
                let width = style.width.saturating_sub(lead.chars().count());
                let line = report::outcome::progress(change, result, &Style { width, ..*style });
                context.say(&format!("{lead}{line}"));
            }
        };
        carry_out(&session.engine, prepared, options, agreed.is_some(), &progress).await
    });
    futures_util::future::join_all(runs).await
}

/// Whether each change is told on stderr as it ends.
fn shows_progress(context: &Context) -> bool {
    !context.global.quiet && io::stderr().is_terminal()
}

/// Whether there is anything to ask about.
fn has_work(target: &TargetPlan) -> bool {
    let needs_call = |change: &Change| change.needs_call();
    target
        .entries
        .iter()
        .any(|entry| entry.adopted || entry.change.as_deref().is_some_and(needs_call))
}

/// Asks whether the plan is to be applied, with each target that it changes.
fn confirmed(plan: &Plan, context: &Context) -> Result<bool, CommandError> {
    context.say("Apply this plan?");
    for target in plan.targets.iter().filter(|target| has_work(target)) {
        context.say(&format!("  {}", report::words::target(target)));
    }
    says_yes()
}

/// The first Ctrl-C, SIGTERM or hang-up finishes the calls in flight, the second ends at once.
pub(super) fn stop_on_signals(stop: &CancellationToken, context: &Context) {
    let quiet = context.global.quiet;
    cancel_on(EndSignals::of_command(), stop, move || {
        if !quiet {
            tracing::warn!("finishing the calls in flight; once more ends at once");
        }
    });
}

fn read_saved(file: &Path) -> Result<SavedPlan, CommandError> {
    let unreadable = |problem: String| {
        CommandError::WithHint(
            format!("{} is no saved plan: {problem}", file.display()),
            "`apinizer-gitops plan --out FILE` writes one".to_owned(),
        )
    };
    let bytes = std::fs::read(file).map_err(|e| unreadable(e.to_string()))?;
    let saved: SavedPlan = serde_json::from_slice(&bytes)
        .map_err(|e| unreadable(format!("line {}, column {}", e.line(), e.column())))?;
    if saved.apinizer_gitops_plan != SAVED_VERSION {
        return Err(unreadable(format!("it has version {}", saved.apinizer_gitops_plan)));
    }
    // A run without named targets is one of all targets.
    if saved.targets.is_empty() {
        return Err(unreadable("it lists no target".to_owned()));
    }
    // Without them nothing would tell whether anything moved.
    if let Some(target) = saved.targets.iter().find(|target| target.digests.is_none()) {
        return Err(unreadable(format!("it has no digests of the target `{}`", target.name)));
    }
    Ok(saved)
}

/// Repeats the options of the run that made the plan, on today's revision; the targets of the plan.
fn repeat_options(
    saved: SavedPlan,
    args: &mut ApplyArgs,
) -> Result<Vec<SavedTarget>, CommandError> {
    let SavedPlan { options, targets, .. } = saved;
    let ApplyArgs { narrow, writes, read, .. } = args;
    let is_other = |given: &[String], saved: &[String]| !given.is_empty() && given != saved;
    let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
    if is_other(&narrow.targets, &names)
        || is_other(&narrow.names, &options.narrow.names)
        || is_other(&narrow.types, &options.narrow.types)
        || is_other(&writes.allow_delete, &options.writes.allow_delete)
        || is_other(&writes.allow, &options.writes.allow)
        || writes.allow_deletes && !options.writes.allow_deletes
        || writes.resend_secrets && !options.writes.resend_secrets
        || read.worktree && !options.worktree
        || read.rev.is_some() && options.worktree
        || read.base.is_some() && read.base != options.base
    {
        return Err(CommandError::WithHint(
            "a saved plan is carried out as it stands".to_owned(),
            "give what narrows it, consents, `--resend-secrets`, `--base` and `--worktree` to the \
             `plan` that saves it"
                .to_owned(),
        ));
    }
    *narrow = NarrowArgs { targets: names, ..options.narrow };
    *writes = WriteArgs { lock_timeout: writes.lock_timeout, ..options.writes };
    read.worktree = options.worktree;
    read.base = options.base;
    Ok(targets)
}

/// The differences since then, one sentence each: nothing is done if there is any.
fn moved(agreed: &[SavedTarget], prepared: &[Prepared<'_>]) -> Result<Vec<String>, CommandError> {
    let mut all = Vec::new();
    for prepared in prepared {
        let mut moved = Vec::new();
        let target = prepared.target;
        let Some(then) = agreed.iter().find(|agreed| agreed.name == target.name) else {
            all.push(format!("the plan does not list the target `{}`", target.name));
            continue;
        };
        if then.place != place_digest(target) {
            all.push(format!(
                "the target `{}`, project {} at {}, has another URL or project than the plan is of",
                target.name, target.project_as_written, target.manager.url_as_written
            ));
            continue;
        }
        match (&then.digests, prepared.digests()) {
            (Some(then), Some(now)) => moved.extend(then.moved(&now)),
            (Some(_), None) => return Err(CommandError::Failed(prepared.plan.errors.join("; "))),
            // A target that could not be looked at when it was asked about has no changes in the
            // list.
            (None, _) => {}
        }
        moved.extend(ends_otherwise(&prepared.plan, &then.changes));
        // Connections that failed lists do not show may not have moved.
        if !moved.is_empty() && !prepared.plan.errors.is_empty() {
            return Err(CommandError::Failed(prepared.plan.errors.join("; ")));
        }
        all.extend(moved);
    }
    Ok(all)
}
