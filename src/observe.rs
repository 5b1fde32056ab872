//! Asking the API what is live: the lists of all types, and single connections.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::api::{CallError, Client, Listed};
use crate::catalog;
use crate::inventory::Record;
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;

/// Lists all types. A list that failed is noted as incomplete and stops the creates and deletes
/// of the run; it is never taken for an empty one.
pub async fn lists(client: &Client, record: &Record, concurrency: usize) -> Live {
    let calls: Vec<_> = catalog::all().map(|t| list(client, t.name)).collect();
    let answers: Vec<(&str, Result<Listed, CallError>)> =
        stream::iter(calls).buffered(concurrency.max(1)).collect().await;
    let mut live = Live::default();
    let lists_some = answers.iter().any(|(_, answer)| matches!(answer, Ok(Listed::Complete(_))));
    for (type_name, answer) in answers {
        match answer {
            Ok(Listed::Complete(connections)) => add(&mut live, type_name, connections),
            Ok(Listed::Unsupported) => {
                let owns_some = record.inventory.values().any(|o| o.type_name == type_name);
                if lists_some && !owns_some {
                    live.unsupported.push(type_name.to_owned());
                } else {
                    let problem = "the server says that it does not know the type".to_owned();
                    live.incomplete.insert(type_name.to_owned(), problem);
                }
            }
            Err(error) => {
                live.incomplete.insert(type_name.to_owned(), error.message);
            }
        }
    }
    live
}

async fn list(
    client: &Client,
    type_name: &'static str,
) -> (&'static str, Result<Listed, CallError>) {
    (type_name, client.list(type_name).await)
}

fn add(live: &mut Live, type_name: &str, connections: Vec<LiveConnection>) {
    for connection in connections {
        let name = connection.name.clone();
        if let Some(other) = live.connections.insert(name.clone(), connection) {
            let problem = format!(
                "the name `{name}` is also in the list of {}, and names are unique in a project",
                other.type_name
            );
            live.incomplete.insert(type_name.to_owned(), problem);
        }
    }
}

async fn single(
    client: &Client,
    name: ConnectionName,
) -> (ConnectionName, Result<Option<LiveConnection>, CallError>) {
    let answer = client.get(&name).await;
    (name, answer)
}

/// The answers of single reads.
#[derive(Debug, Default)]
pub struct Singles {
    /// The connections that are there.
    pub found: BTreeMap<ConnectionName, LiveConnection>,
    /// Reads that failed.
    pub failed: BTreeMap<ConnectionName, CallError>,
}

/// Reads connections one by one; a name that is not there is in neither map.
pub async fn singles(
    client: &Client,
    names: BTreeSet<ConnectionName>,
    concurrency: usize,
) -> Singles {
    let mut singles = Singles::default();
    let calls: Vec<_> = names.into_iter().map(|name| single(client, name)).collect();
    let mut answers = stream::iter(calls).buffer_unordered(concurrency.max(1));
    while let Some((name, answer)) = answers.next().await {
        match answer {
            Ok(Some(connection)) => {
                singles.found.insert(name, connection);
            }
            Ok(None) => {}
            Err(error) => {
                singles.failed.insert(name, error);
            }
        }
    }
    singles
}
