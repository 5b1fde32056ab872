//! Lists and single reads: believed only whole.
//!
//! Creates and deletes are decided by what a list does not show, so a list that is short of one
//! entry is worse than none. Whatever does not add up makes the answer a broken one.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Listed;
use super::answer::{Answer, broken, success};
use super::envelope::Envelope;
use super::error::ErrorKind;
use super::failure::Failure;
use crate::live::LiveConnection;
use crate::name::ConnectionName;

/// Reads the list of one type.
pub(super) fn list(answer: Answer, type_name: &str) -> Result<Listed, Failure> {
    if answer.status.is_success() && answer.status != reqwest::StatusCode::OK {
        let status = answer.status.as_u16();
        return Err(broken(&format!("the server answered {status}, which is not a complete list")));
    }
    let connections = match answer.into_body().and_then(|body| connections(&body)) {
        Ok(connections) => connections,
        Err(failure) if failure.unknown_type => return Ok(Listed::Unsupported),
        Err(failure) => return Err(failure),
    };
    let other = connections.iter().find(|one| !one.type_name.eq_ignore_ascii_case(type_name));
    if let Some(LiveConnection { name, type_name: found, .. }) = other {
        return Err(broken(&format!("the list holds `{name}`, which is of type `{found}`")));
    }
    Ok(Listed::Complete(connections))
}

/// Reads the connections of one name; none when the server says that exactly this one does not
/// exist.
pub(super) fn named(answer: Answer) -> Result<Vec<LiveConnection>, Failure> {
    match answer.into_body().and_then(|body| connections(&body)) {
        Ok(found) if found.is_empty() => {
            Err(broken("the server answered with a success and no connection"))
        }
        Err(failure) if failure.kind == ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Reads one connection; `None` when the server says that exactly this one does not exist.
pub(super) fn single(
    answer: Answer,
    name: &ConnectionName,
) -> Result<Option<LiveConnection>, Failure> {
    let mut found = named(answer)?;
    match (found.pop(), found.len()) {
        (Some(connection), 0) if connection.name == *name => Ok(Some(connection)),
        (Some(connection), 0) => {
            Err(broken(&format!("the server answered with `{}` instead", connection.name)))
        }
        (Some(_), more) => Err(broken(&format!(
            "the server answered with {} connections instead of one",
            more + 1
        ))),
        (None, _) => Ok(None),
    }
}

/// An entry in the list of environment variables; its values are not read.
#[derive(Deserialize)]
struct Variable {
    name: String,
}

/// Reads the names of a project's environment variables.
pub(super) fn variables(answer: Answer) -> Result<BTreeSet<String>, Failure> {
    if answer.status == reqwest::StatusCode::NOT_FOUND {
        let message = "the server does not have this call, which came with version 2026.04";
        return Err(Failure::new(ErrorKind::Refused, message));
    }
    let variables: Vec<Variable> = counted(success(&answer.into_body()?)?)?;
    Ok(variables.into_iter().map(|variable| variable.name).collect())
}

/// The entries, once they are as many as the server says.
fn counted<T>(envelope: Envelope<Vec<T>>) -> Result<Vec<T>, Failure> {
    let count = match &envelope.result_count {
        None | Some(Value::Null) => None,
        Some(count) => Some(number(count).ok_or_else(|| broken("`resultCount` is no number"))?),
    };
    match (envelope.result_list, count) {
        (Some(entries), None) => Ok(entries),
        (Some(entries), Some(count)) if entries.len() as u64 == count => Ok(entries),
        (Some(entries), Some(count)) => Err(broken(&format!(
            "the list is not complete: `resultCount` is {count}, the entries are {}",
            entries.len()
        ))),
        (None, None | Some(0)) => Ok(Vec::new()),
        (None, Some(count)) => Err(broken(&format!(
            "the list is not complete: `resultCount` is {count} and there is no `resultList`"
        ))),
    }
}

fn number(count: &Value) -> Option<u64> {
    match count {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The connections of a success.
fn connections(body: &[u8]) -> Result<Vec<LiveConnection>, Failure> {
    let entries: Vec<Map<String, Value>> = counted(success(body)?)?;
    let read = entries.into_iter().enumerate().map(|(index, entry)| {
        LiveConnection::from_entry(entry).ok_or_else(|| {
            broken(&format!("entry {} of the list has no name or no type", index + 1))
        })
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    const LIST: &str = r#"{"success": true, "resultCount": 2, "resultList": [
        {"type": "email", "name": "a"}, {"type": "email", "name": "b"}]}"#;

    fn answered(body: &[u8]) -> Answer {
        Answer {
            status: reqwest::StatusCode::OK,
            says_html: false,
            redirects_to: None,
            retry_after: None,
            body: Ok(Bytes::copy_from_slice(body)),
        }
    }

    #[test]
    fn no_beginning_of_a_list_is_a_list() {
        for end in 0..LIST.len() {
            let read = list(answered(&LIST.as_bytes()[..end]), "email");
            assert_eq!(
                read.err().map(|failure| failure.kind),
                Some(ErrorKind::BrokenAnswer),
                "{end}"
            );
        }
        assert!(list(answered(LIST.as_bytes()), "email").is_ok());
    }

    proptest! {
        #[test]
        fn a_damaged_list_is_whole_or_broken(at in 0..LIST.len(), byte: u8) {
            let mut body = LIST.as_bytes().to_vec();
            body[at] = byte;
            if let Ok(Listed::Complete(connections)) = list(answered(&body), "email") {
                prop_assert_eq!(connections.len(), 2);
            }
        }
    }
}
