//! The template of an env file: names only.

use std::fmt::Write as _;

use super::Variable;

/// The lines of an env file with the names of the variables, none of their values; those that
/// documents only offer are commented out.
#[must_use]
pub(crate) fn template(variables: &[Variable]) -> String {
    let mut text = String::from(
        "# The variables that the exported documents refer to: names only. Keep the file with\n\
         # their values out of git, and name it with --env-file.\n",
    );
    for Variable { name, about, offered, .. } in variables {
        let comment = if *offered { "# " } else { "" };
        // Writing to a string cannot fail.
        write!(text, "\n# {about}\n{comment}{name}=\n").unwrap_or_default();
    }
    text
}
