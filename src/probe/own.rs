//! The connections that a probe made: what they are called, how they are known again, and how they
//! are deleted.

use crate::api::{CallError, Client, ErrorKind, Listed, Tries};
use crate::catalog;
use crate::live::LiveConnection;
use crate::name::ConnectionName;

/// The beginning of the name of every connection that a probe makes.
const PREFIX: &str = "apinizer-gitops-probe-";

/// The description of every connection that a probe makes.
pub(super) const MARKER: &str = "Made by the probe of apinizer-gitops and deleted by it";

/// How often a delete is sent before it is given up; a name in two types needs two.
const DELETES: usize = 5;

/// The beginning of the names of one run.
pub(super) fn prefix_of_a_run() -> String {
    format!("{PREFIX}{:016x}", fastrand::u64(..))
}

/// The connections that an earlier probe left in the project: its name and its marker say so.
///
/// # Errors
/// A list or a connection cannot be read.
pub(crate) async fn leftovers(client: &Client) -> Result<Vec<ConnectionName>, CallError> {
    let mut found = Vec::new();
    for own_type in catalog::all() {
        let Listed::Complete(listed) = client.list(own_type.name).await? else { continue };
        for entry in listed.into_iter().filter(|entry| entry.name.as_str().starts_with(PREFIX)) {
            let named = client.named(&entry.name).await?;
            if named.iter().all(|one| is_marked(one, false))
                && !named.is_empty()
                && !found.contains(&entry.name)
            {
                found.push(entry.name);
            }
        }
    }
    Ok(found)
}

/// Deletes connections of a probe; those that are left, each with the reason. `made_now`: this run
/// made them, under names that are drawn by chance.
pub(crate) async fn delete_all(
    client: &Client,
    names: &[ConnectionName],
    made_now: bool,
) -> Vec<String> {
    let mut left = Vec::new();
    for name in names {
        if let Err(why) = delete(client, name, made_now).await {
            left.push(format!("{name}: {why}"));
        }
    }
    left
}

async fn delete(client: &Client, name: &ConnectionName, made_now: bool) -> Result<(), String> {
    let mut tries = Tries::default();
    for _ in 0..DELETES {
        let named = client.named(name).await.map_err(|error| error.to_string())?;
        if named.is_empty() {
            return Ok(());
        }
        if !named.iter().all(|one| is_marked(one, made_now)) {
            return Err("its description is not the one that a probe writes".to_owned());
        }
        match client.delete(name).await {
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => {
                let retries = client.retries();
                retries.pause(&mut tries, &error).await.map_err(|_| error.to_string())?;
            }
        }
    }
    Err("the server still shows it after it was deleted".to_owned())
}

/// Whether a connection is that of a probe: its description says so, or this run made it, under a name
/// that was drawn by chance, whatever the server shows of its description.
fn is_marked(live: &LiveConnection, made_now: bool) -> bool {
    let description = live.body().get("description").and_then(|value| value.as_str());
    made_now || description.is_some_and(|text| text.eq_ignore_ascii_case(MARKER))
}
