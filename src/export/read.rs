//! Reading whole connections: each by its own GET, with what only its list shows.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;

use crate::api::{CallError, Client, Listed};
use crate::catalog;
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::Filter;

/// Reads the connections of a target that a filter admits, and the names that lists show more than
/// once, which no document can declare. A type that the server does not know has none; a connection
/// that vanishes between list and GET is passed over.
///
/// # Errors
/// A list or a connection cannot be read: an export with holes would pass for a whole one.
pub(crate) async fn connections(
    client: &Client,
    filter: &Filter,
    concurrency: usize,
) -> Result<(Vec<LiveConnection>, BTreeSet<ConnectionName>), CallError> {
    let concurrency = concurrency.max(1);
    let types = catalog::all().filter(|candidate| filter.admits_type(candidate.name));
    let calls: Vec<_> = types.map(|candidate| client.list(candidate.name)).collect();
    let mut lists = stream::iter(calls).buffered(concurrency);
    let (mut listed, mut twice) = (BTreeMap::new(), BTreeSet::new());
    while let Some(list) = lists.next().await {
        if let Listed::Complete(connections) = list? {
            let admitted = connections.into_iter().filter(|c| filter.admits(&c.type_name, &c.name));
            for connection in admitted {
                let earlier = listed.insert(connection.name.clone(), connection);
                twice.extend(earlier.map(|earlier| earlier.name));
            }
        }
    }
    listed.retain(|name, _| !twice.contains(name));
    Ok((each(client, listed.into_values(), concurrency).await?, twice))
}

/// Reads connections of lists one by one; one that vanished since is passed over.
///
/// # Errors
/// A connection cannot be read.
pub(crate) async fn each(
    client: &Client,
    listed: impl IntoIterator<Item = LiveConnection>,
    concurrency: usize,
) -> Result<Vec<LiveConnection>, CallError> {
    let mut singles = stream::iter(listed)
        .map(|entry| async move {
            let single = client.get(&entry.name).await?;
            Ok(single.and_then(|single| whole(&single, &entry)))
        })
        .buffered(concurrency.max(1));
    let mut connections = Vec::new();
    while let Some(single) = singles.next().await {
        connections.extend(single?);
    }
    Ok(connections)
}

/// The answer to GET, with the fields that only the list shows: Kafka's stores are named only
/// there.
fn whole(single: &LiveConnection, entry: &LiveConnection) -> Option<LiveConnection> {
    let mut body = single.body().clone();
    for (key, value) in entry.body() {
        if body.get(key).is_none_or(Value::is_null) {
            body.insert(key.clone(), value.clone());
        }
    }
    LiveConnection::from_entry(body)
}
