//! `explain`, `schema`, `completions`, `man`: what the program knows, without a config.

use std::path::Path;

use clap_complete::Shell;

use super::CommandError;
use super::context::Context;
use crate::{catalog, config, report};

/// Runs `explain`.
///
/// # Errors
/// There is no such type or field.
pub fn explain(subject: Option<&str>, context: &Context) -> Result<(), CommandError> {
    let text = report::explain::explain(subject, &context.style()).map_err(CommandError::Failed)?;
    context.print(&text);
    Ok(())
}

/// Runs `schema`.
///
/// # Errors
/// There is no such type.
pub fn schema(subject: Option<&str>, context: &Context) -> Result<(), CommandError> {
    let schema = match subject {
        None => catalog::schema::schema_for_any(),
        Some("config") => config::schema(),
        Some(name) => match catalog::find(name) {
            Some(connection_type) => catalog::schema::schema_for(connection_type),
            None => {
                let types = "`apinizer-gitops explain` lists the types; `config` is the config";
                let message = format!("there is no connection type `{name}`");
                let hint = catalog::did_you_mean_type(name, types);
                return Err(CommandError::WithHint(message, hint));
            }
        },
    };
    context.print_json(&schema);
    Ok(())
}

/// Runs `completions`.
pub fn completions(shell: Shell, context: &Context) {
    let mut script = Vec::new();
    let mut command = super::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    context.print(&String::from_utf8_lossy(&script));
}

/// Runs `man`: one page to stdout, or a page for each command into a folder.
///
/// # Errors
/// The folder cannot be written.
pub fn man(folder: Option<&Path>, context: &Context) -> Result<(), CommandError> {
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(CommandError::failed)?;
        return clap_mangen::generate_to(super::command(), folder).map_err(CommandError::failed);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(super::command()).render(&mut page).map_err(CommandError::failed)?;
    context.print(&String::from_utf8_lossy(&page));
    Ok(())
}
