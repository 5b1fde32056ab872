//! The catalog's terms in words.

use serde_json::Value;

use crate::catalog::{Choices, Fact, Field, HiddenPlace, Kind, Required, Secrecy, SecretsOnGet};

pub(super) fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Choice(_) => "choice".to_owned(),
        Kind::Integer { .. } => "integer".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::Bytes => "file".to_owned(),
        Kind::List(item) => format!("list of {}", several(item)),
        Kind::Set(item) => format!("set of {}", several(item)),
        Kind::Object(_) => "object".to_owned(),
        Kind::Map(value) => format!("map of {}", several(value)),
        Kind::Any => "anything".to_owned(),
    }
}

fn several(value: &Kind) -> String {
    match value {
        Kind::Text | Kind::Any => kind(value),
        _ => format!("{}s", kind(value)),
    }
}

pub(super) fn kind_in_full(value: &Kind) -> String {
    let short = kind(value);
    match value {
        Kind::Integer { min, max } => format!("{short} from {min} to {max}"),
        Kind::Bytes => format!("{short}: its content in base64, as one text or as a list of them"),
        Kind::List(_) => format!("{short}, compared and written whole; the order matters"),
        Kind::Set(_) => format!("{short}, compared and written whole; the order does not matter"),
        Kind::Map(_) => format!("{short}, compared and written whole"),
        _ => short,
    }
}

pub(super) fn required_in_short(field: &Field) -> &'static str {
    match field.required {
        Required::When(_) => "sometimes",
        Required::Disputed => "disputed",
        _ if field.must_be_declared() => "yes",
        _ => "no",
    }
}

pub(super) fn secret_in_short(field: &Field) -> &'static str {
    match field.secrecy {
        Secrecy::Plain => "no",
        Secrecy::Secret { .. } => "yes",
        Secrecy::Hidden(_) => "inside",
    }
}

/// The default as YAML would write it, `-` where there is none.
pub(super) fn default(field: &Field) -> String {
    match field.default.map(crate::catalog::Default::to_json) {
        None => "-".to_owned(),
        Some(Value::String(text)) if !text.is_empty() => text,
        Some(value) => value.to_string(),
    }
}

/// The words that a choice, or each item of a list of choices, may be.
pub(super) fn allowed(kind: &Kind) -> Vec<(&'static str, String)> {
    match kind {
        Kind::Choice(choices) => by_document(choices),
        Kind::List(item) | Kind::Set(item) => allowed(item),
        _ => Vec::new(),
    }
}

fn by_document(choices: &Choices) -> Vec<(&'static str, String)> {
    let same_spelling = choices.guide.iter().all(|word| choices.openapi.contains(word));
    let mut lines = vec![("Values", choices.guide.join(", "))];
    if !(choices.openapi.is_empty() || same_spelling && choices.documents_agree()) {
        lines.push(("OpenAPI", choices.openapi.join(", ")));
    }
    lines
}

pub(super) fn hidden(place: HiddenPlace) -> &'static str {
    match place {
        HiddenPlace::Url => {
            "a password in the URL has to be a reference: `user:${env:NAME}@`, `password=${env:NAME}`"
        }
        HiddenPlace::Headers => {
            "`Authorization` and its like have to be references: `Bearer ${env:NAME}`"
        }
        HiddenPlace::KafkaProperties => {
            "passwords, keys and tokens in it, those in `sasl.jaas.config` too, have to be references"
        }
        HiddenPlace::KeyValueList | HiddenPlace::NamedValues => {
            "a value whose key speaks of a password, secret, token or key has to be a reference"
        }
        HiddenPlace::Community => {
            "with V1 and V2c it is the credential and has to be a reference, save `public`"
        }
        HiddenPlace::HostnameOrKey => "a key in the place of a host name has to be a reference",
    }
}

pub(super) fn fact(fact: Fact) -> &'static str {
    match fact {
        Fact::Both => "the guide and the OpenAPI file",
        Fact::GuideOnly => "the guide only",
        Fact::OpenApiOnly => "the OpenAPI file only",
    }
}

pub(super) fn secrets_on_get(shown: SecretsOnGet) -> &'static str {
    match shown {
        SecretsOnGet::Shown => "Reading one connection shows its secrets, the guide says.",
        SecretsOnGet::Masked => "Reading one connection masks its secrets, the guide says.",
        SecretsOnGet::NotStated => {
            "The guide does not say whether reading one connection shows its secrets."
        }
    }
}
