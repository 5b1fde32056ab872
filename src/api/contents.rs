//! The contents of a success: lists and single reads, and the deployment result of a write.
//!
//! Creates and deletes are decided by what a list does not show, so a list that is short of one
//! entry is worse than none. Whatever does not add up makes the answer a broken one.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Listed;
use super::answer::{Answer, Envelope, Failure, broken, success};
use super::error::ErrorKind;
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
    let other = connections.iter().find(|one| one.type_name != type_name);
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
struct ListedVariable {
    name: String,
}

/// Reads the names of a project's environment variables.
pub(super) fn variables(answer: Answer) -> Result<BTreeSet<String>, Failure> {
    if answer.status == reqwest::StatusCode::NOT_FOUND {
        let message = "the server does not have this call, which came with version 2026.04";
        return Err(Failure::new(ErrorKind::Refused, message));
    }
    let variables: Vec<ListedVariable> = counted(success(&answer.into_body()?)?)?;
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

/// The deployment result of a write that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deployment {
    /// Deployed, or the server did not speak of it.
    Done,
    /// Saved, but not deployed to the workers: which environments or pods failed, and why.
    Failed(Vec<String>),
}

impl Deployment {
    /// Reads a `deploymentResult`; the texts in it pass through `clean` before they are kept.
    ///
    /// One `success: false` anywhere in it is a failure, whatever stands above it.
    pub(super) fn read(result: Option<&Value>, clean: impl Fn(&str) -> String) -> Self {
        let mut failed = Vec::new();
        if let Some(result) = result {
            collect(result, "", &mut failed);
        }
        if failed.is_empty() {
            Self::Done
        } else {
            Self::Failed(failed.iter().map(|text| clean(text)).collect())
        }
    }
}

/// The keys under which results are nested, of either dialect.
const NESTED: [&str; 3] = ["deploymentResults", "detailList", "firstFromApiResultList"];

fn collect(result: &Value, place: &str, failed: &mut Vec<String>) {
    match result {
        Value::Array(results) => results.iter().for_each(|one| collect(one, place, failed)),
        Value::Object(result) => {
            let place = place_of(result, place);
            let before = failed.len();
            for nested in NESTED.iter().filter_map(|key| result.get(*key)) {
                collect(nested, &place, failed);
            }
            // The failure of a whole is told by its parts, where one of them says so.
            if failed.len() == before && says_failed(result) {
                failed.push(told(result, &place));
            }
        }
        _ => {}
    }
}

fn says_failed(result: &Map<String, Value>) -> bool {
    match result.get("success") {
        Some(Value::Bool(success)) => !success,
        Some(Value::String(success)) => success.eq_ignore_ascii_case("false"),
        _ => false,
    }
}

fn place_of(result: &Map<String, Value>, outer: &str) -> String {
    let environment = text(result, "environmentName").or_else(|| text(result, "envName"));
    let mut place = match environment {
        Some(name) => format!("environment {name}"),
        None => outer.to_owned(),
    };
    if let Some(pod) = text(result, "podName") {
        if !place.is_empty() {
            place.push_str(", ");
        }
        place.push_str("pod ");
        place.push_str(pod);
    }
    place
}

fn told(result: &Map<String, Value>, place: &str) -> String {
    let place = if place.is_empty() { "deployment" } else { place };
    match text(result, "message").or_else(|| text(result, "detail")) {
        Some(why) => format!("{place}: {why}"),
        None => format!("{place}: the server does not say why"),
    }
}

fn text<'a>(result: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    result.get(key)?.as_str().filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

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

    fn failed(result: &Value) -> Vec<String> {
        match Deployment::read(Some(result), str::to_owned) {
            Deployment::Failed(failed) => failed,
            Deployment::Done => Vec::new(),
        }
    }

    #[test]
    fn silence_and_success_are_done() {
        assert_eq!(Deployment::read(None, str::to_owned), Deployment::Done);
        for result in [
            json!(null),
            json!({}),
            json!({"success": true, "deploymentResults": [{"environmentName": "a", "success": true}]}),
            json!({"success": true, "envName": "a", "detail": "fine", "detailList": []}),
        ] {
            assert!(failed(&result).is_empty(), "{result}");
        }
    }

    #[test]
    fn the_older_shape_names_environments() {
        let result = json!({"success": false, "deploymentResults": [
            {"environmentName": "prod", "success": false, "message": "worker is down"},
            {"environmentName": "test", "success": true, "message": "fine"},
            {"environmentName": "dev", "success": false},
        ]});
        assert_eq!(
            failed(&result),
            ["environment prod: worker is down", "environment dev: the server does not say why"]
        );
    }

    #[test]
    fn the_current_shape_names_pods_at_any_depth() {
        let result = json!({"success": true, "envName": "prod", "detailList": [
            {"success": true, "podName": "w-0"},
            {"success": false, "podName": "w-1", "detailList": [
                {"success": false, "detail": "no route"}
            ]},
        ]});
        assert_eq!(failed(&result), ["environment prod, pod w-1: no route"]);
    }

    #[test]
    fn a_failure_without_parts_is_told_itself() {
        assert_eq!(failed(&json!({"success": false, "detail": "busy"})), ["deployment: busy"]);
    }
}
