//! Names for the variables that stand for secrets: `PROJECT_NAME_FIELD`, each once; and the template of
//! an env file for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::spelling::upper_snake;
use super::{KnownReferences, Variable};
use crate::secret::Sensitive;

/// The variables of one export.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    taken: BTreeSet<String>,
    variables: Vec<Variable>,
    /// Where in the list each of them is.
    noted: BTreeMap<String, usize>,
}

impl Names {
    /// Starts with the names that git has given already, which mean something else.
    pub(super) fn new(prefix: &str, known: &KnownReferences) -> Self {
        Self {
            prefix: upper_snake(prefix),
            taken: known.variables(),
            variables: Vec::new(),
            noted: BTreeMap::new(),
        }
    }

    /// Makes a name that no other secret has.
    pub(super) fn invent(&mut self, connection: &str, label: &str) -> String {
        let words = [self.prefix.clone(), upper_snake(connection), upper_snake(label)];
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let mut name = words.join("_");
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert(0, '_');
        }
        let mut candidate = name.clone();
        let mut number = 2;
        while !self.taken.insert(candidate.clone()) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        candidate
    }

    /// Notes that a document refers to a variable, or offers to.
    pub(super) fn note(
        &mut self,
        name: String,
        about: &str,
        offered: bool,
        value: Option<Sensitive>,
    ) {
        let known = self.noted.get(&name).and_then(|index| self.variables.get_mut(*index));
        if let Some(noted) = known {
            noted.offered &= offered;
            return;
        }
        // It ends in a comment: a line break in the name of a property may not leave it.
        let about = about.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.noted.insert(name.clone(), self.variables.len());
        self.variables.push(Variable { name, about, offered, value });
    }

    /// The variables in the order in which they were noted.
    pub(super) fn into_variables(self) -> Vec<Variable> {
        self.variables
    }
}

/// The lines of an env file with the names of the variables, none of their values; those that
/// documents only offer are commented out.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_share_a_name() {
        let mut names = Names::new("Payments", &KnownReferences::default());
        assert_eq!(names.invent("order-mails", "password"), "PAYMENTS_ORDER_MAILS_PASSWORD");
        assert_eq!(names.invent("order_mails", "password"), "PAYMENTS_ORDER_MAILS_PASSWORD_2");
        assert_eq!(names.invent("Order Mails", "password"), "PAYMENTS_ORDER_MAILS_PASSWORD_3");
        let mut names = Names::new("24-7", &KnownReferences::default());
        assert_eq!(names.invent("支付", "password"), "_24_7_PASSWORD");
    }
}
