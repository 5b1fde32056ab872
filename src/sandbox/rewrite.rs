//! Writes that do not stick: what a server makes of a value as it stores it.

use std::str::FromStr;

use serde_json::{Map, Value};

/// One field that the server rewrites at every write.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewrite {
    /// The type whose connections it touches.
    pub type_name: String,
    /// The field.
    pub field: String,
    /// What becomes of its value.
    pub to: RewriteTo,
}

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum RewriteTo {
    /// Its text in lower case.
    Lowercase,
    /// Its text in upper case.
    Uppercase,
    /// Always this value.
    Value(Value),
    /// The field is forgotten.
    Forgotten,
}

impl Rewrite {
    /// Changes the body of a write, if it is for this rewrite.
    pub(super) fn apply(&self, type_name: &str, body: &mut Map<String, Value>) {
        if self.type_name != type_name {
            return;
        }
        let Some(value) = body.get_mut(&self.field) else { return };
        match (&self.to, value) {
            (RewriteTo::Lowercase, Value::String(text)) => *text = text.to_lowercase(),
            (RewriteTo::Uppercase, Value::String(text)) => *text = text.to_uppercase(),
            (RewriteTo::Lowercase | RewriteTo::Uppercase, _) => {}
            (RewriteTo::Value(other), value) => *value = other.clone(),
            (RewriteTo::Forgotten, _) => {
                body.remove(&self.field);
            }
        }
    }
}

/// A rewrite that is not written as it should be.
#[derive(Debug, thiserror::Error)]
#[error(
    "rewrite `{0}` is not of the form TYPE.FIELD=lowercase, =uppercase, =forgotten or =JSON, \
     such as `email.host=lowercase`"
)]
pub struct RewriteError(String);

impl FromStr for Rewrite {
    type Err = RewriteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || RewriteError(text.to_owned());
        let (place, to) = text.split_once('=').ok_or_else(wrong)?;
        let (type_name, field) = place.split_once('.').ok_or_else(wrong)?;
        let to = match to {
            "lowercase" => RewriteTo::Lowercase,
            "uppercase" => RewriteTo::Uppercase,
            "forgotten" => RewriteTo::Forgotten,
            json => RewriteTo::Value(serde_json::from_str(json).map_err(|_| wrong())?),
        };
        if type_name.is_empty() || field.is_empty() {
            return Err(wrong());
        }
        Ok(Self { type_name: type_name.to_owned(), field: field.to_owned(), to })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rewrites_are_read_from_text() {
        let rewrite: Rewrite = "email.host=lowercase".parse().expect("a rewrite");
        assert_eq!(rewrite.to, RewriteTo::Lowercase);
        let rewrite: Rewrite = "email.port=25".parse().expect("a rewrite");
        assert_eq!(rewrite.to, RewriteTo::Value(json!(25)));
        for wrong in ["email.host", "host=lowercase", "email.host=lower", ".a=1"] {
            let error = wrong.parse::<Rewrite>().expect_err(wrong);
            assert!(error.to_string().contains(wrong));
        }
    }

    #[test]
    fn a_rewrite_touches_its_field_only() {
        let rewrite: Rewrite = "email.host=uppercase".parse().expect("a rewrite");
        let body = json!({"host": "smtp", "from": "a"});
        let mut email = body.as_object().expect("an object").clone();
        let mut ftp = email.clone();
        rewrite.apply("email", &mut email);
        rewrite.apply("ftp", &mut ftp);
        assert_eq!(Value::Object(email), json!({"host": "SMTP", "from": "a"}));
        assert_eq!(Value::Object(ftp), body);
    }
}
