//! Live's side of a comparison.

use serde_json::{Map, Value};

use crate::live::{Edit, LiveConnection};
use crate::pointer::look_up;

/// The view of a live connection: its entry in the list, and its own answer to `GET` where it
/// was read. The own answer is believed first; a field that it leaves out is taken from the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveView<'a> {
    /// The entry of the list, or the connection's own answer where no list shows it.
    pub(crate) entry: &'a LiveConnection,
    /// The connection's own answer.
    pub(crate) own: Option<&'a LiveConnection>,
}

impl<'a> LiveView<'a> {
    /// Looks at the own answer of a connection alone.
    pub(crate) fn of(own: &'a LiveConnection) -> Self {
        Self { entry: own, own: Some(own) }
    }

    /// The value at a pointer.
    pub(crate) fn get(&self, path: &str) -> Option<&'a Value> {
        self.shown_by_get(path).or_else(|| look_up(self.entry.body(), path))
    }

    /// The value at a pointer in the connection's own answer: lists never show secrets.
    pub(crate) fn shown_by_get(&self, path: &str) -> Option<&'a Value> {
        look_up(self.own?.body(), path)
    }

    /// The object that is believed first.
    pub(crate) fn body(&self) -> &'a Map<String, Value> {
        self.own.unwrap_or(self.entry).body()
    }

    /// The last edit that the server tells of.
    pub(crate) fn last_edit(&self) -> Option<Edit> {
        self.own.and_then(LiveConnection::last_edit).or_else(|| self.entry.last_edit())
    }

    /// The server's id, where it shows one.
    pub(crate) fn id(&self) -> Option<&'a String> {
        self.own.and_then(|own| own.id.as_ref()).or(self.entry.id.as_ref())
    }
}
