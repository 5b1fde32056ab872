//! Resolving the references of credentials when they are needed.

use crate::environment::{Environment, Unset};
use crate::reference::{Segment, parse};
use crate::secret::Sensitive;

use super::SecretText;

impl SecretText {
    /// Whether it is made of `${env:NAME}` references and nothing else.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        parse(&self.0).is_ok_and(|segments| {
            !segments.is_empty() && segments.iter().all(|s| matches!(s, Segment::Env(_)))
        })
    }

    /// Whether any of it comes from the environment.
    #[must_use]
    pub fn holds_reference(&self) -> bool {
        parse(&self.0).is_ok_and(|segments| segments.iter().any(|s| matches!(s, Segment::Env(_))))
    }

    /// The value that its references stand for now.
    ///
    /// # Errors
    /// A variable has no value.
    pub fn resolve(&self, environment: &Environment) -> Result<Sensitive, Unset> {
        let mut value = String::new();
        // A text that is no template was refused at load; it would stand for itself.
        let Ok(segments) = parse(&self.0) else { return Ok(Sensitive::new(self.0.clone())) };
        for segment in segments {
            match segment {
                Segment::Text(text) => value.push_str(&text),
                Segment::Env(name) => value.push_str(environment.lookup(name)?.expose()),
                Segment::Var(name) | Segment::Apinizer(name) => {
                    return Err(Unset::Missing(name.to_owned()));
                }
            }
        }
        Ok(Sensitive::new(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_and_text_stays() {
        let environment = Environment::new([("A".to_owned(), "x".to_owned())]);
        let resolve = |text: &str| SecretText(text.to_owned()).resolve(&environment);
        assert_eq!(resolve("${env:A}").unwrap().expose(), "x");
        assert_eq!(resolve("user-${env:A}").unwrap().expose(), "user-x");
        assert!(matches!(resolve("${env:B}"), Err(Unset::Missing(name)) if name == "B"));
    }
}
