//! Live's side of a comparison.

use std::fmt;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::live::LiveConnection;
use crate::pointer::steps;

/// The view of a live connection: its entry in the list, and its own `GET` where there was
/// one. `GET` is believed first; a field that it leaves out is taken from the list.
pub struct LiveView<'a> {
    /// The entry of the list, or the connection's own answer.
    pub entry: &'a LiveConnection,
    /// The connection's own answer.
    pub single: Option<&'a LiveConnection>,
    // Their objects, read when first asked for and gone with the view.
    entry_body: OnceLock<Map<String, Value>>,
    single_body: OnceLock<Map<String, Value>>,
}

impl<'a> LiveView<'a> {
    /// Looks at an entry, and at the connection's own answer where there is one.
    #[must_use]
    pub fn new(entry: &'a LiveConnection, single: Option<&'a LiveConnection>) -> Self {
        Self { entry, single, entry_body: OnceLock::new(), single_body: OnceLock::new() }
    }

    /// The value at a pointer.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.get_secret(path).or_else(|| at(self.entry_body(), path))
    }

    /// The value at a pointer in the connection's own answer: lists never show secrets.
    #[must_use]
    pub fn get_secret(&self, path: &str) -> Option<&Value> {
        at(self.single_body()?, path)
    }

    /// The object that is believed first.
    pub(in crate::plan) fn body(&self) -> &Map<String, Value> {
        self.single_body().unwrap_or_else(|| self.entry_body())
    }

    /// The object of the list's entry.
    pub(in crate::plan) fn entry_body(&self) -> &Map<String, Value> {
        self.entry_body.get_or_init(|| self.entry.body())
    }

    fn single_body(&self) -> Option<&Map<String, Value>> {
        self.single.map(|single| self.single_body.get_or_init(|| single.body()))
    }
}

impl fmt::Debug for LiveView<'_> {
    /// Without the objects, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, single, .. } = self;
        f.debug_struct("LiveView")
            .field("entry", entry)
            .field("single", single)
            .finish_non_exhaustive()
    }
}

/// The value at a pointer of a connection's body.
pub(in crate::plan) fn at<'v>(body: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    let mut steps = path.starts_with('/').then(|| steps(path))?;
    let mut value = body.get(&*steps.next()?)?;
    for step in steps {
        value = match value {
            Value::Object(map) => map.get(&*step)?,
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}
