//! The command line: what may be typed, and one file for each verb.
//!
//! Arguments are data ([`args`]): their doc comments are the help, the man page and the
//! completions. What a verb does is in the file of its name.

pub mod args;

use std::ffi::OsString;

pub use args::{Cli, Command, GlobalArgs};

/// Reads a command line, the program's name first.
///
/// # Errors
/// A usage error, or a call for help or the version, as clap tells them apart by
/// [`clap::Error::use_stderr`]. A usage error has to end the process with 1, never with clap's
/// own 2, since 2 always means pending changes.
pub fn parse<I, T>(arguments: I) -> Result<Cli, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let mut cli = <Cli as clap::Parser>::try_parse_from(arguments)?;
    // A variable that is empty counts as unset, as everywhere.
    cli.global.config.take_if(|path| path.as_os_str().is_empty());
    Ok(cli)
}

/// The whole command as data, for completions and man pages.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}
