//! `sandbox`: the embedded server in the foreground.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::CommandError;
use super::args::SandboxArgs;
use super::context::Context;
use super::signals::EndSignals;
use crate::profile::Profile;
use crate::report::exit::DONE;
use crate::sandbox::{self, Access, Control, Sandbox, TokenClient};
use crate::secret::Sensitive;

/// Runs `sandbox` until it is told to end.
///
/// # Errors
/// The address or the data file cannot be used.
pub async fn run(args: &SandboxArgs, context: &Context) -> Result<u8, CommandError> {
    let mut ending = EndSignals::of_command();
    let running = Sandbox::start(options(args)?).await.map_err(CommandError::failed)?;
    args.data.iter().try_for_each(|file| begin_with(file, running.control()))?;
    context.print(&greeting(args, &running.url()));
    ending.next().await;
    running.stop().await;
    Ok(DONE)
}

fn options(args: &SandboxArgs) -> Result<sandbox::Options, CommandError> {
    let access = &args.access;
    let client =
        access.client_id.as_ref().zip(access.client_secret.as_ref()).map(|(id, secret)| {
            TokenClient { id: id.clone(), secret: Sensitive::new(secret.clone()) }
        });
    let behaviour = match &args.profile {
        Some(file) => sandbox::Options::of_profile(read(file)?),
        None => sandbox::Options::showing(args.secrets).in_dialect(args.dialect),
    };
    Ok(sandbox::Options {
        // As a Manager does it.
        bookkeeping: true,
        listen: args.listen,
        access: Access {
            any_project: args.projects.is_empty(),
            projects: args.projects.clone(),
            tokens: access.token.iter().map(|token| Sensitive::new(token.clone())).collect(),
            client,
            token_ttl: access.token_ttl,
        },
        variables: sandbox::Variables::Named(args.variables.clone()),
        latency: args.latency,
        fault: args.fault,
        ..behaviour
    })
}

/// Stores the connections of a file, of which no text is shown: it may hold secrets.
fn begin_with(file: &Path, control: &Control) -> Result<(), CommandError> {
    let unusable = CommandError::at("cannot use the connections of", file);
    let bytes = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
    let projects: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&bytes)
        .map_err(|e| unusable(format!("line {}, column {}", e.line(), e.column())))?;
    for (project, connections) in projects {
        for connection in connections {
            let stored = control.put(&project, connection);
            stored.ok_or_else(|| unusable("one has no `type` or no `name`".to_owned()))?;
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Profile, CommandError> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let profile = text.and_then(|text| Profile::parse(&text));
    profile.map_err(CommandError::at("cannot use the profile", file))
}

/// Where it listens, and lines to paste.
fn greeting(args: &SandboxArgs, url: &str) -> String {
    let project = args.projects.first().map_or("Demo", String::as_str);
    let path = percent_encoding::utf8_percent_encode(project, percent_encoding::NON_ALPHANUMERIC);
    // A token of the command line is in the shell's history already, but need not be on screen.
    let asks = args.access.token.is_some() || args.access.client_id.is_some();
    let token = if asks { "$APINIZER_TOKEN" } else { "any" };
    // With a token of its own the variable has to be set before.
    let variable = if asks { "" } else { "APINIZER_TOKEN=any " };
    let connections = format!("{url}/apiops/projects/{path}/connections");
    format!(
        "The sandbox listens on {url}; Ctrl-C ends it.\n\
         \n\
         Create a connection, as a client of the API would:\n  \
         curl -sX POST -H 'Content-Type: application/json' -H \"Authorization: Bearer {token}\" \\\n    \
         {connections}/mails/ -d '{{\"type\": \"email\", \"name\": \"mails\", \"host\": \"smtp.example.com\"}}'\n\
         List a type:\n  \
         curl -s -H \"Authorization: Bearer {token}\" '{connections}/?type=email'\n\
         Change one as somebody would in the console:\n  \
         curl -sX PATCH {url}/sandbox/connections/{path}/mails -d '{{\"port\": 25}}'\n\
         See what is stored and which calls were made:\n  \
         curl -s {url}/sandbox/connections\n  \
         curl -s {url}/sandbox/calls\n\
         Plan against it:\n  \
         {variable}apinizer-gitops plan --url {url} --project {project}\n",
    )
}
