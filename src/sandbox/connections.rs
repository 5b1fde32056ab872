//! The five calls on connections.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::answer::Answer;
use super::call::{Call, Path};
use super::dialect::{Deployed, Refusal};
use super::incoming::Incoming;
use super::options::{OnExisting, Options, Rename};
use super::store::{Storable, Store};
use super::view::{self, Audience};
use crate::name::ConnectionName;

/// Carries out a call on connections, or says why not.
pub(super) fn carry_out(
    store: &mut Store,
    options: &Options,
    call: &Call,
    body: &[u8],
    undeployed: bool,
) -> Result<Answer, Refusal> {
    let mut target = Target { store, options, undeployed };
    match call {
        Call::List { project, type_name } => target.list(project, type_name.as_deref()),
        Call::Get(path) => target.get(path),
        Call::Create(path) => target.create(path, body),
        Call::Update(path) => target.update(path, body),
        Call::Delete(path) => target.delete(path),
        Call::Token | Call::NoSuchPath => Err(Refusal::NoSuchPath),
        Call::NoSuchMethod => Err(Refusal::NoSuchMethod),
    }
}

struct Target<'a> {
    store: &'a mut Store,
    options: &'a Options,
    undeployed: bool,
}

impl Target<'_> {
    fn list(&mut self, project: &str, type_name: Option<&str>) -> Result<Answer, Refusal> {
        self.check_project(project, false)?;
        let type_name = type_name.ok_or(Refusal::NoType)?;
        if !self.options.knows(type_name) {
            return Err(Refusal::UnknownType(type_name.to_owned()));
        }
        let body = self.store.list(self.options, project, type_name);
        Ok(Answer::json_bytes(StatusCode::OK, body))
    }

    fn get(&self, path: &Path) -> Result<Answer, Refusal> {
        self.check_project(&path.project, false)?;
        let name = ConnectionName::new(&path.name);
        let stored = self.store.get(&path.project, &name).ok_or_else(|| missing(path, false))?;
        let shown = view::draw(self.options, &path.project, stored, Audience::Get);
        let body = self.options.dialect.entries([&*text_of(shown)].into_iter());
        Ok(Answer::json_bytes(StatusCode::OK, body))
    }

    fn create(&mut self, path: &Path, body: &[u8]) -> Result<Answer, Refusal> {
        self.check_project(&path.project, false)?;
        let incoming = Incoming::read(self.options, body)?.named_as(path)?;
        let name = ConnectionName::new(&path.name);
        if let Some(stored) = self.store.get(&path.project, &name) {
            if self.options.on_existing() != OnExisting::Update {
                return Err(Refusal::AlreadyExists(path.name.clone()));
            }
            check_type(&stored.type_name, &incoming)?;
        }
        self.store(path, Some(&name), incoming)
    }

    fn update(&mut self, path: &Path, body: &[u8]) -> Result<Answer, Refusal> {
        self.check_project(&path.project, true)?;
        let old = ConnectionName::new(&path.name);
        let stored = self.store.get(&path.project, &old).ok_or_else(|| missing(path, true))?;
        let old_type = stored.type_name.clone();
        let incoming = match self.options.rename {
            Rename::Allowed => Incoming::read(self.options, body)?,
            Rename::Refused => Incoming::read(self.options, body)?.named_as(path)?,
        };
        check_type(&old_type, &incoming)?;
        let new = ConnectionName::new(&incoming.name);
        if new != old && self.store.get(&path.project, &new).is_some() {
            return Err(Refusal::AlreadyExists(incoming.name));
        }
        self.store(path, Some(&old), incoming)
    }

    fn delete(&mut self, path: &Path) -> Result<Answer, Refusal> {
        self.check_project(&path.project, true)?;
        let name = ConnectionName::new(&path.name);
        let stored = self.store.take(&path.project, &name).ok_or_else(|| missing(path, true))?;
        let deployed = self.deployed(&path.name, &stored.body());
        Ok(self.options.dialect.written(deployed))
    }

    fn store(
        &mut self,
        path: &Path,
        old: Option<&ConnectionName>,
        incoming: Incoming,
    ) -> Result<Answer, Refusal> {
        let deployed = self.deployed(&incoming.name, &incoming.body);
        let new = Storable::new(incoming.body).ok_or(Refusal::BadBody)?;
        self.store.put(self.options, &path.project, old, new);
        Ok(self.options.dialect.written(deployed))
    }

    fn deployed(&self, name: &str, body: &Map<String, Value>) -> Deployed {
        if body.get("deployToWorker") == Some(&Value::Bool(false)) {
            Deployed::NotAsked
        } else if self.undeployed || self.options.deployments.fails_for(name) {
            Deployed::Failed
        } else {
            Deployed::Done
        }
    }

    fn check_project(&self, name: &str, changing: bool) -> Result<(), Refusal> {
        let known = self.options.any_project
            || self.options.projects.iter().any(|project| project == name)
            || self.store.has_project(name);
        if known { Ok(()) } else { Err(Refusal::NoProject { name: name.to_owned(), changing }) }
    }
}

fn missing(path: &Path, changing: bool) -> Refusal {
    Refusal::NoConnection { name: path.name.clone(), changing }
}

fn check_type(old: &str, incoming: &Incoming) -> Result<(), Refusal> {
    if old == incoming.type_name {
        return Ok(());
    }
    Err(Refusal::TypeChanged {
        name: incoming.name.clone(),
        from: old.to_owned(),
        to: incoming.type_name.clone(),
    })
}

fn text_of(body: Map<String, Value>) -> String {
    Value::Object(body).to_string()
}
