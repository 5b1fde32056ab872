//! Asking the API what is live: the lists of all types, and single connections.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;

use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesUnordered};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::api::{CallError, Client, Listed};
use crate::catalog;
use crate::inventory::Record;
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;

/// The lists of all types as they once were; no longer made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks;

/// The lists of all types on their way: what else a reconcile reads is read meanwhile.
#[derive(Debug)]
pub struct Asked(AbortOnDropHandle<Vec<(&'static str, Answer)>>);

/// The answers of all lists.
#[derive(Debug)]
pub struct Answers(Vec<(&'static str, Answer)>);

/// A list, or why there is none.
type Answer = Result<Listed, String>;

const ENDED: &str = "the run ended before the answer";

/// Asks for the lists of all types, each read as soon as it is there.
#[must_use]
pub fn ask(client: &Client, concurrency: usize, _before: Option<&Marks>) -> Asked {
    let calls: Vec<_> = catalog::all().map(|known| list(client.clone(), known.name)).collect();
    let lists = stream::iter(calls).buffered(concurrency.max(1)).collect();
    Asked(AbortOnDropHandle::new(tokio::spawn(lists.in_current_span())))
}

async fn list(client: Client, type_name: &'static str) -> (&'static str, Answer) {
    let call = async move { client.list(type_name).await.map_err(|error| error.cause()) };
    let task = AbortOnDropHandle::new(tokio::spawn(call.in_current_span()));
    (type_name, done(task.await).unwrap_or_else(|| Err(ENDED.to_owned())))
}

/// What a task gave; `None`: it was ended with the runtime.
fn done<T>(joined: Result<T, JoinError>) -> Option<T> {
    joined.map_err(|error| error.try_into_panic().map(resume_unwind)).ok()
}

impl Asked {
    /// Waits for the answers.
    pub async fn answers(self) -> Answers {
        let none = || catalog::all().map(|known| (known.name, Err(ENDED.to_owned()))).collect();
        Answers(done(self.0.await).unwrap_or_else(none))
    }
}

impl Answers {
    /// Their marks, where every list could be read.
    #[must_use]
    pub fn marks(&self, _before: &Marks) -> Option<Marks> {
        None
    }

    /// Whether all of them are as they were.
    #[must_use]
    pub fn are(&self, _before: &Marks) -> bool {
        false
    }

    /// What they show. A list that failed is noted as incomplete and stops the creates and
    /// deletes of the run; it is never taken for an empty one.
    #[must_use]
    pub fn live(self, record: &Record) -> Live {
        let answers = self.0;
        let mut live = Live::default();
        let mut shown = Vec::new();
        let lists_some =
            answers.iter().any(|(_, answer)| matches!(answer, Ok(Listed::Complete(_))));
        for (type_name, answer) in answers {
            match answer {
                Ok(Listed::Complete(connections)) => {
                    shown.extend(connections.into_iter().map(|one| (type_name, one)));
                }
                Ok(Listed::Unsupported) => {
                    let owns_some = record.inventory.values().any(|o| o.type_name == type_name);
                    if lists_some && !owns_some {
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
        note_repeated(&mut shown, &mut live.incomplete);
        live.connections = shown.into_iter().map(|(_, one)| (one.name.clone(), one)).collect();
        live
    }
}

/// Sorts what the lists show by name, and notes lists with a name that is in one before.
fn note_repeated(shown: &mut [(&str, LiveConnection)], incomplete: &mut BTreeMap<String, String>) {
    shown.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    for pair in shown.windows(2) {
        if let [(_, first), (type_name, again)] = pair
            && first.name == again.name
        {
            let problem = format!(
                "the name `{}` is also in the list of {}, and names are unique in a project",
                again.name, first.type_name
            );
            incomplete.insert((*type_name).to_owned(), problem);
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
    let mut waiting = names.into_iter();
    let mut calls = FuturesUnordered::new();
    loop {
        while calls.len() < concurrency.max(1)
            && let Some(name) = waiting.next()
        {
            calls.push(single(client, name));
        }
        let Some((name, answer)) = calls.next().await else { break };
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
