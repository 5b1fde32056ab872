//! docs/reference/commands.md: every command and flag, from the definition that parses them.

use clap::{Arg, Command};

#[test]
fn every_command_and_flag() {
    let program = apinizer_gitops::cli::command();
    let mut text = format!(
        "# Commands\n\nGenerated from the definition that parses the command line; `--help` and \
         `man` show the same. Flags are taken before and after the command.\n\n```text\n{}\n```\n\n\
         ## Flags of every command\n\n",
        program.get_after_help().unwrap()
    );
    arguments(&mut text, &program);
    for command in program.get_subcommands() {
        let name = command.get_name();
        let usage = command.clone().bin_name(format!("apinizer-gitops {name}")).render_usage();
        let about = command.get_long_about().or_else(|| command.get_about()).unwrap();
        let usage = usage.to_string().replace("Usage: ", "");
        text += &format!("\n## {name}\n\n{about}\n\n```text\n{usage}\n```\n\n");
        arguments(&mut text, command);
    }
    super::assert_generated("reference/commands.md", &text);
}

/// The command's own arguments as a list.
fn arguments(text: &mut String, command: &Command) {
    for argument in command.get_arguments() {
        if ["help", "version"].contains(&argument.get_id().as_str()) || argument.is_hide_set() {
            continue;
        }
        let about = argument.get_long_help().or_else(|| argument.get_help()).unwrap();
        let about = about.to_string();
        let about = about.trim_end_matches('.');
        *text += &format!("- `{}`: {about}.{}\n", spelling(argument), additions(argument));
    }
}

/// The argument as it is typed.
fn spelling(argument: &Arg) -> String {
    let values: Vec<&str> =
        argument.get_value_names().into_iter().flatten().map(clap::builder::Str::as_str).collect();
    let takes_value = argument.get_action().takes_values();
    let value = if takes_value { values.join(" ") } else { String::new() };
    if argument.is_positional() {
        return value;
    }
    let long = argument.get_long().map(|long| format!("--{long}"));
    let short = argument.get_short().map(|short| format!("-{short}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    format!("{} {value}", names.join(", ")).trim_end().to_owned()
}

/// The words that may be given, the default, the variable of the environment.
fn additions(argument: &Arg) -> String {
    let mut said = Vec::new();
    let words: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|word| match word.get_help() {
            Some(help) => format!("`{}` ({help})", word.get_name()),
            None => format!("`{}`", word.get_name()),
        })
        .collect();
    if !words.is_empty() {
        said.push(format!("One of {}.", words.join(", ")));
    }
    let defaults = argument.get_default_values();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        let defaults: Vec<_> = defaults.iter().map(|value| value.to_string_lossy()).collect();
        said.push(format!("Default: `{}`.", defaults.join(" ")));
    }
    if let Some(variable) = argument.get_env() {
        said.push(format!("From the environment: `{}`.", variable.to_string_lossy()));
    }
    if said.is_empty() { String::new() } else { format!(" {}", said.join(" ")) }
}
