//! Flags of a command that stand before its name.
//!
//! clap takes only the flags of the program there. Here every flag is taken on either side: what
//! stands before the command is put behind it, and the rest is left to clap.

use std::ffi::OsString;

use clap::Command;

/// Puts the flags that only a command knows behind its name. A line with anything in it that is
/// not understood stays as it is, so that clap complains about what was typed.
pub(crate) fn flags_behind_the_command(
    program: &Command,
    arguments: Vec<OsString>,
) -> Vec<OsString> {
    let Some(place) = place_of_command(program, &arguments) else { return arguments };
    let mut ordered = arguments;
    // The program's own name stays first.
    if let Some(before) = ordered.get_mut(1..=place) {
        before.rotate_right(1);
    }
    ordered
}

/// Where the command's name stands, if flags that the program does not know come before it.
fn place_of_command(program: &Command, arguments: &[OsString]) -> Option<usize> {
    let mut is_foreign = false;
    let mut place = 1;
    loop {
        let argument = arguments.get(place)?.to_str()?;
        if !argument.starts_with('-') {
            return (is_foreign && program.find_subcommand(argument).is_some()).then_some(place);
        }
        if argument.len() > 1 && !argument.starts_with("--") {
            let letters = argument.chars().skip(1);
            if !letters.into_iter().all(|letter| is_switch(program, letter)) {
                return None;
            }
            place += 1;
            continue;
        }
        let (flag, has_value) = match argument.split_once('=') {
            Some((flag, _)) => (flag, true),
            None => (argument, false),
        };
        let name = flag.strip_prefix("--").filter(|name| !name.is_empty())?;
        is_foreign |= !knows(program, name);
        place += if takes_value(program, name)? && !has_value { 2 } else { 1 };
    }
}

/// Whether the program has a flag of one letter that takes no value.
fn is_switch(program: &Command, letter: char) -> bool {
    program
        .get_arguments()
        .any(|flag| flag.get_short() == Some(letter) && !flag.get_action().takes_values())
}

fn knows(command: &Command, name: &str) -> bool {
    command.get_arguments().any(|flag| flag.get_long() == Some(name))
}

/// Whether a flag takes a value: of the program, or of whichever command has it. `None`: no
/// command has it, or they do not agree.
fn takes_value(program: &Command, name: &str) -> Option<bool> {
    let mut answers = std::iter::once(program)
        .chain(program.get_subcommands())
        .flat_map(Command::get_arguments)
        .filter(|flag| flag.get_long() == Some(name))
        .map(|flag| flag.get_action().takes_values());
    let first = answers.next()?;
    answers.all(|answer| answer == first).then_some(first)
}
