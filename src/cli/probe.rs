//! `probe`: how a real server behaves, found out in a scratch project.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::apply::stop_on_signals;
use super::args::{ProbeArgs, TextOrJson};
use super::context::{Context, needs_terminal, says_yes};
use super::session::Session;
use crate::api::Retries;
use crate::config::{Config, Target};
use crate::name::ConnectionName;
use crate::probe::{self, Findings};
use crate::reconcile::client;
use crate::report::FORMAT_VERSION;
use crate::report::exit::{DONE, FAILED, PENDING};

/// Connections of this project can serve all projects.
const SHARED_PROJECT: &str = "admin";

/// Runs `probe`; the exit code.
///
/// # Errors
/// The project is in use, a call fails, or connections of the probe are left.
pub async fn run(args: &ProbeArgs, context: &Context) -> Result<u8, CommandError> {
    if !args.yes {
        needs_terminal("add --yes to probe without asking")?;
    }
    if context.global.url.is_some() {
        return Err(CommandError::WithHint(
            "a probe needs a config, which says which projects are in use".to_owned(),
            "write a config with this server as a target, and leave --url out".to_owned(),
        ));
    }
    // `--project` names the scratch project here, and no target.
    let mut context = context.clone();
    context.global.project = None;
    let context = &context;
    let config = context.config()?;
    let targets: Vec<String> = args.target.iter().cloned().collect();
    let session = Session::with_config(context, config.clone(), &targets)?;
    let scratch = scratch(&config, session.single_target()?, &args.scratch)?;
    let stop = CancellationToken::new();
    let client = client(&session.engine, &scratch).map_err(CommandError::failed)?;
    let client = client.with_retries(Retries::new(context.retries(), stop.clone()));
    let leftovers = probe::leftovers(&client).await.map_err(CommandError::failed)?;
    tell(&leftovers, context);
    if !args.yes {
        context.say(&format!(
            "Make, change and delete connections of the probe's own here?\n  {}: project {} at {}",
            scratch.name, scratch.project, scratch.manager.url_as_written
        ));
        if !says_yes()? {
            context.say("Nothing was made.");
            return Ok(FAILED);
        }
    }
    stop_on_signals(&stop, context);
    let left = probe::delete_all(&client, &leftovers, false).await;
    if !left.is_empty() {
        return Err(CommandError::Failed(format!("leftovers remain: {}", left.join("; "))));
    }
    let findings = probe::run(&client).await.map_err(CommandError::failed)?;
    show(&findings, &scratch, args, context)
}

/// The target with the scratch project in the place of its own, unless a target uses that.
fn scratch(config: &Config, target: &Target, project: &str) -> Result<Target, CommandError> {
    let is_same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    // Whatever the URLs: one server may have several names.
    let project = project.trim().trim_matches('/');
    let is_in_use = |one: &&Target| is_same(one.project.trim(), project);
    let problem = match config.targets.iter().find(is_in_use) {
        Some(user) => format!("the target `{}` uses the project `{project}`", user.name),
        None if is_same(project, SHARED_PROJECT) => {
            format!("connections of the project `{project}` can serve all projects")
        }
        None => {
            let (project, project_as_written) = (project.to_owned(), project.to_owned());
            return Ok(Target { project, project_as_written, ..target.clone() });
        }
    };
    let hint = "name a project that nothing depends on with --project".to_owned();
    Err(CommandError::WithHint(problem, hint))
}

fn tell(leftovers: &[ConnectionName], context: &Context) {
    if !leftovers.is_empty() {
        context.say("An earlier probe left these, which are deleted first:");
        leftovers.iter().for_each(|name| context.say_line(&format!("  {name}")));
    }
}

fn show(
    findings: &Findings,
    scratch: &Target,
    args: &ProbeArgs,
    context: &Context,
) -> Result<u8, CommandError> {
    let Findings { profile, refusals } = findings;
    let differences = profile.differences();
    match args.output {
        TextOrJson::Text => {
            let mut text = profile.to_yaml();
            text.push_str(match &differences[..] {
                [] => "\nAll is as apinizer-gitops assumes.\n",
                _ => "\nNot as apinizer-gitops assumes:\n",
            });
            text.extend(differences.iter().map(|line| format!("  {line}\n")));
            context.print(&text);
        }
        TextOrJson::Json => context.print_json(&json!({
            "format_version": FORMAT_VERSION,
            "target": scratch.name,
            "url": scratch.manager.url_as_written,
            "project": scratch.project,
            "profile": profile,
            "differences": differences,
            "refusals": refusals,
        })),
    }
    for refusal in refusals {
        context.say_line(&format!("refused: {refusal}"));
    }
    if let Some(file) = &args.out {
        std::fs::write(file, profile.to_yaml())
            .map_err(CommandError::at("cannot write the profile to", file))?;
    }
    Ok(if differences.is_empty() { DONE } else { PENDING })
}
