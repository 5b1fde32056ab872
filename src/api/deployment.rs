//! The deployment result of a write: both shapes of `deploymentResult`.

use serde_json::{Map, Value};

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
    use super::*;
    use serde_json::json;

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
