//! Values for every secret that the examples refer to, made up at random for one run. They stay
//! in the memory of the process: nothing prints them and no file holds them.

use std::collections::BTreeMap;

use aws_lc_rs::rand;

use super::DemoError;
use crate::digest::hex;
use crate::environment::Environment;
use crate::secret::Sensitive;

/// The secrets of one run, by variable.
pub(super) struct Secrets(BTreeMap<String, String>);

/// Makes up a value for every variable that the texts name.
pub(super) fn make<'t>(texts: impl Iterator<Item = &'t str>) -> Result<Secrets, DemoError> {
    let mut secrets = BTreeMap::new();
    for name in texts.flat_map(names) {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| DemoError::Random)?;
        secrets.insert(name.to_owned(), hex(&bytes));
    }
    Ok(Secrets(secrets))
}

impl Secrets {
    /// The tokens that the sandbox takes.
    pub(super) fn tokens(&self) -> Vec<Sensitive> {
        let tokens = self.0.iter().filter(|(name, _)| name.ends_with("APINIZER_TOKEN"));
        tokens.map(|(_, token)| Sensitive::new(token.clone())).collect()
    }

    /// The environment of the demo: these secrets and nothing of the user's.
    pub(super) fn into_environment(self) -> Environment {
        Environment::new(self.0)
    }
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("${env:").skip(1).filter_map(|rest| {
        let name = rest.split_once('}')?.0;
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        (!name.is_empty() && name.bytes().all(fits)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_gets_a_value_of_its_own() {
        let text = "a: ${env:A}\nb: x${env:B_2}${env:A} ${env:...} ${env:";
        let secrets = make([text].into_iter()).unwrap().0;
        assert_eq!(secrets.keys().collect::<Vec<_>>(), ["A", "B_2"]);
        assert_ne!(secrets["A"], secrets["B_2"]);
    }
}
