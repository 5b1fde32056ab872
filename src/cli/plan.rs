//! `plan`: shows what would change; calls only GET.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CommandError;
use super::args::{NarrowArgs, Output, PlanArgs, WriteArgs};
use super::context::Context;
use super::session::{Session, refuse_unsigned};
use crate::config::Target;
use crate::digest::sha256_hex;
use crate::document::{Diagnostic, Severity};
use crate::plan::saved::{SavedTarget, changes_of};
use crate::plan::{Plan, TargetPlan};
use crate::reconcile::{Prepared, ReadBackMode};
use crate::report::{self, Style, diagnostics};

/// The version of a saved plan's format.
pub(super) const SAVED_VERSION: u32 = 1;

/// A plan on disk. No secret is in it, and no digest covers the value of one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedPlan {
    /// The version of the format.
    pub apinizer_gitops_plan: u32,
    /// The options of the run that made it.
    pub options: SavedOptions,
    /// One for each target.
    pub targets: Vec<SavedTarget>,
    /// The plan itself, as `plan --output json` shows it.
    pub plan: Value,
}

/// The options of the run that made a plan, which its application repeats.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedOptions {
    /// Its filter.
    #[serde(flatten)]
    pub narrow: NarrowArgs,
    /// Its consents.
    #[serde(flatten)]
    pub writes: WriteArgs,
    /// `--worktree`.
    pub worktree: bool,
    /// `--base`, as the id of its commit.
    pub base: Option<String>,
}

/// Runs `plan`; the exit code.
///
/// # Errors
/// The config or the source cannot be used.
pub async fn run(args: &PlanArgs, context: &Context) -> Result<u8, CommandError> {
    let mut session = Session::new(context, &args.narrow.targets)?;
    let base = args.read.base.as_deref();
    let mut options = session.options(context, "plan", &args.narrow, &args.writes, base).await?;
    options.with_secrets = !args.without_secrets;
    if args.verify_secrets {
        options.read_back = ReadBackMode::All;
    }
    let snapshot = session.snapshot(&args.read).await?;
    let mut prepared = session.prepare(&snapshot, &options).await;
    if let Err(note) = refuse_unsigned(&session.engine.config, args.read.worktree) {
        prepared.iter_mut().for_each(|one| one.plan.notices.push(note.to_string()));
    }
    let mut plan = session.plan_of(&snapshot, &prepared);
    show_errors(context, &prepared);
    if args.output == Output::Text {
        leave_out_said(&mut plan.targets, context, &session);
    }
    let (list_unmanaged, summary) = (args.list_unmanaged, args.summary);
    let style = Style { list_unmanaged, summary, ..context.style() };
    show(context, &plan, args.output, &style);
    let code = report::exit::of_plan(&plan);
    if let Some(file) = &args.out {
        let base = options.base_revision.as_ref().and_then(|base| base.commit());
        let options = SavedOptions {
            narrow: args.narrow.clone(),
            writes: args.writes.clone(),
            worktree: args.read.worktree,
            base: base.map(|commit| commit.id.0.clone()),
        };
        save(file, &plan, &prepared, options)?;
    }
    Ok(code)
}

/// Shows a plan in the form that was asked for.
fn show(context: &Context, plan: &Plan, output: Output, style: &Style) {
    match output {
        Output::Text => context.print(&report::plan::text(plan, style)),
        Output::Json => context.print_json(&report::plan::json(plan, style)),
        Output::Markdown => context.print(&report::plan::markdown(plan, style)),
    }
}

/// Leaves out of a text the problems that stderr has said; a comment or JSON holds all of them.
pub(super) fn leave_out_said(targets: &mut [TargetPlan], context: &Context, session: &Session) {
    if context.global.quiet {
        return;
    }
    let of_config = &session.engine.config.warnings;
    let is_new = |d: &Diagnostic| d.severity == Severity::Warning && !of_config.contains(d);
    targets.iter_mut().for_each(|target| target.diagnostics.retain(is_new));
}

/// The errors of documents, each once, on stderr.
pub(super) fn show_errors(context: &Context, prepared: &[Prepared<'_>]) {
    let all = prepared.iter().flat_map(|prepared| &prepared.plan.diagnostics);
    let errors: Vec<_> = all.filter(|d| d.severity == Severity::Error).cloned().collect();
    let quiet = context.global.quiet && prepared.iter().all(|p| !p.refused);
    if !errors.is_empty() && !quiet {
        context.say(&diagnostics::text(&errors, &context.style_stderr()));
    }
}

fn save(
    file: &Path,
    plan: &Plan,
    prepared: &[Prepared<'_>],
    options: SavedOptions,
) -> Result<(), CommandError> {
    if let Some(not_seen) = prepared.iter().find(|prepared| prepared.ready.is_none()) {
        return Err(CommandError::Failed(format!(
            "the plan is not saved, since the target `{}` could not be looked at",
            not_seen.target.name
        )));
    }
    let saved = SavedPlan {
        apinizer_gitops_plan: SAVED_VERSION,
        options,
        targets: prepared.iter().map(saved_target).collect(),
        plan: report::plan::json(plan, &Style::default()),
    };
    let text = serde_json::to_string_pretty(&saved).map_err(CommandError::failed)?;
    std::fs::write(file, text + "\n").map_err(CommandError::at("cannot write the plan to", file))
}

/// The part of a saved plan that is of one target; the same is kept of a plan that is asked about.
pub(super) fn saved_target(prepared: &Prepared<'_>) -> SavedTarget {
    SavedTarget {
        name: prepared.target.name.clone(),
        place: place_digest(prepared.target),
        digests: prepared.digests(),
        changes: changes_of(&prepared.plan),
    }
}

/// The digest by which a saved plan knows the URL and the project that it is of.
pub(super) fn place_digest(target: &Target) -> String {
    sha256_hex(&format!("{}\n{}", target.manager.url, target.project))
}
