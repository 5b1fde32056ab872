//! The hold that tests and drills have on a sandbox besides calling it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::log::LoggedCall;
use super::options::Options;
use super::server::Server;
use super::store::{Storable, Stored};
use crate::name::ConnectionName;

/// Who edits where nobody is named.
const CONSOLE: &str = "console";

/// A hold on a running sandbox: it edits connections as a user would in the Manager's
/// console, watches the calls, and changes how the server behaves. Nothing of it is logged as a call.
#[derive(Clone, Debug)]
pub struct Control {
    server: Arc<Server>,
}

/// A body that cannot be stored.
#[derive(Debug, thiserror::Error)]
#[error("a connection is an object with the texts `type` and `name`")]
pub struct NotAConnection;

impl Control {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// Stores a connection as it stands, without any check but a `type` and a `name`.
    ///
    /// # Errors
    /// Where the body has no `type` or no `name`.
    pub fn put(&self, project: &str, body: Value) -> Result<(), NotAConnection> {
        let Value::Object(body) = body else { return Err(NotAConnection) };
        let new = Storable::new(body, CONSOLE).ok_or(NotAConnection)?;
        let mut store = self.server.store();
        let old = store.get(project, &new.name).map(Stored::key);
        store.put(self.server.options().seed, project, old.as_ref(), new);
        self.server.save(&store);
        Ok(())
    }

    /// Changes a stored connection; `false`: there is none of that name, or the changed body
    /// has no `type` or no `name`. Another name renames it.
    pub fn edit(
        &self,
        project: &str,
        name: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> bool {
        self.edit_as(CONSOLE, project, name, change)
    }

    /// [`Control::edit`] as a user of that name.
    pub fn edit_as(
        &self,
        user: &str,
        project: &str,
        name: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> bool {
        let name = ConnectionName::new(name);
        let mut store = self.server.store();
        let Some(stored) = store.get(project, &name) else { return false };
        let (key, mut body) = (stored.key(), stored.body());
        change(&mut body);
        let Some(new) = Storable::new(body, user) else { return false };
        store.put(self.server.options().seed, project, Some(&key), new);
        self.server.save(&store);
        true
    }

    /// Removes a connection; `false`: there is none of that name.
    pub fn remove(&self, project: &str, name: &str) -> bool {
        let mut store = self.server.store();
        let key = store.get(project, &ConnectionName::new(name)).map(Stored::key);
        let removed = key.and_then(|key| store.take(project, &key)).is_some();
        self.server.save(&store);
        removed
    }

    /// The stored body with its secrets, less the fields that the server fills.
    pub fn get(&self, project: &str, name: &str) -> Option<Value> {
        let store = self.server.store();
        store.get(project, &ConnectionName::new(name)).map(|stored| Value::Object(stored.body()))
    }

    /// The server's own id of a connection.
    pub fn id(&self, project: &str, name: &str) -> Option<String> {
        let store = self.server.store();
        store.get(project, &ConnectionName::new(name)).map(|stored| stored.id.clone())
    }

    /// The names of a project's connections, sorted without regard to case.
    pub fn names(&self, project: &str) -> Vec<String> {
        let store = self.server.store();
        let of_project = store.all().filter(|(name, _)| *name == project);
        of_project.map(|(_, stored)| stored.name.as_str().to_owned()).collect()
    }

    /// All projects and bodies with their secrets, for a dump.
    pub(super) fn all(&self) -> Vec<(String, String, Map<String, Value>)> {
        let store = self.server.store();
        store
            .all()
            .map(|(project, stored)| (project.to_owned(), stored.id.clone(), stored.body()))
            .collect()
    }

    /// The calls since the start, or since they were last taken; the newest 50,000.
    pub fn calls(&self) -> Vec<LoggedCall> {
        self.server.log.calls()
    }

    /// Takes the calls out, so that the next look shows only newer ones.
    pub fn take_calls(&self) -> Vec<LoggedCall> {
        self.server.log.take()
    }

    /// How many calls have arrived since the start, taken or not.
    pub fn call_count(&self) -> u64 {
        self.server.log.count()
    }

    /// Changes the options of the running server. A change of address, data file or seed has
    /// no effect.
    pub fn alter(&self, change: impl FnOnce(&mut Options)) {
        self.server.alter(change);
    }

    /// Lets every token expire that the server issued.
    pub fn expire_tokens(&self) {
        self.server.tokens.expire();
    }
}
