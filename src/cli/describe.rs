//! `explain`, `schema`, `completions`, `man`: what the program knows, without a config.

use std::path::Path;

use clap_complete::Shell;

use super::CommandError;
use super::context::Context;
use super::session::connection_type;
use crate::report::exit::DONE;
use crate::{catalog, config, report};

/// Runs `explain`.
///
/// # Errors
/// There is no such type or field.
pub fn explain(subject: Option<&str>, context: &Context) -> Result<u8, CommandError> {
    let text = report::explain::explain(subject, &context.style()).map_err(CommandError::Failed)?;
    context.print(&text);
    Ok(DONE)
}

/// Runs `schema`.
///
/// # Errors
/// There is no such type.
pub fn schema(subject: Option<&str>, context: &Context) -> Result<u8, CommandError> {
    let schema = match subject {
        None => catalog::schema::schema_for_any(),
        Some("config") => config::schema(),
        Some(name) => catalog::schema::schema_for(connection_type(name)?),
    };
    context.print_json(&schema);
    Ok(DONE)
}

/// Runs `completions`.
pub(super) fn completions(shell: Shell, context: &Context) -> Result<u8, CommandError> {
    let mut script = Vec::new();
    let mut command = super::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    context.print(&String::from_utf8_lossy(&script));
    Ok(DONE)
}

/// Runs `man`: one page to stdout, or a page for each command into a folder.
///
/// # Errors
/// The folder cannot be written.
pub fn man(folder: Option<&Path>, context: &Context) -> Result<u8, CommandError> {
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(CommandError::at("cannot make", folder))?;
        clap_mangen::generate_to(super::command(), folder)
            .map_err(CommandError::at("cannot write into", folder))?;
        return Ok(DONE);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(super::command()).render(&mut page).map_err(CommandError::failed)?;
    context.print(&String::from_utf8_lossy(&page));
    Ok(DONE)
}
