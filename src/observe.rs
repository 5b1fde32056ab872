//! Asks the API for the live connections: the lists of all types, and single ones.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};

use crate::api::{CallError, Client, Listed};
use crate::catalog;
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;

/// Reads the lists of all types; `owned_types` are those that the inventory has. A list that failed
/// is noted as incomplete and stops the creates and deletes of the run; it is never treated as an
/// empty one.
pub(crate) async fn lists(
    client: &Client,
    concurrency: usize,
    owned_types: BTreeSet<String>,
) -> Live {
    let list = async |type_name: &'static str| {
        (type_name, client.list(type_name).await.map_err(|error| error.cause()))
    };
    let calls: Vec<_> = catalog::all().map(|known| list(known.name)).collect();
    let answers: Vec<_> = stream::iter(calls).buffered(concurrency.max(1)).collect().await;
    let lists_some = answers.iter().any(|(_, answer)| matches!(answer, Ok(Listed::Complete(_))));
    let mut live = Live::default();
    for (type_name, answer) in answers {
        match answer {
            Ok(Listed::Complete(connections)) => {
                for connection in connections {
                    add(&mut live, connection);
                }
            }
            Ok(Listed::Unsupported) => {
                if lists_some && !owned_types.contains(type_name) {
                    live.unsupported.push(type_name.to_owned());
                } else {
                    let problem = "the server says that it does not know the type".to_owned();
                    live.incomplete.insert(type_name.to_owned(), problem);
                }
            }
            Err(problem) => {
                live.incomplete.insert(type_name.to_owned(), problem);
            }
        }
    }
    live
}

/// Adds an entry of a list. A name that is there already is repeated: which of the two a call would
/// reach is not known.
fn add(live: &mut Live, connection: LiveConnection) {
    let (name, type_name) = (connection.name.clone(), connection.type_name.clone());
    if let Some(first) = live.connections.get(&name) {
        let lists = if first.type_name == type_name {
            format!("the list of {type_name} shows it twice")
        } else {
            format!("the lists of {} and {type_name} both show it", first.type_name)
        };
        live.repeated.insert(name, lists);
    } else {
        live.connections.insert(name, connection);
    }
}

/// The answers of single reads.
#[derive(Debug, Default)]
pub(crate) struct Singles {
    /// The connections that are there.
    pub found: BTreeMap<ConnectionName, LiveConnection>,
    /// Reads that failed. A name in neither map is not there.
    pub failed: BTreeMap<ConnectionName, CallError>,
}

/// Reads connections one by one.
pub(crate) async fn singles(
    client: &Client,
    names: BTreeSet<ConnectionName>,
    concurrency: usize,
) -> Singles {
    let single = async |name: ConnectionName| {
        let answer = client.get(&name).await;
        (name, answer)
    };
    let calls: Vec<_> = names.into_iter().map(single).collect();
    let mut calls = stream::iter(calls).buffer_unordered(concurrency.max(1));
    let mut singles = Singles::default();
    while let Some((name, answer)) = calls.next().await {
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
