//! The five calls on connections, and the list of a project's environment variables.

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::dialect::Refusal;
use super::dialect::{Answer, Deployed};
use super::options::{
    Fault, Names, OnExisting, OnHidden, Options, Rename, UnknownFields, Variables,
};
use super::server::{Call, Path};
use super::store::{Storable, Store, Stored};
use super::view::{self, Audience};
use crate::catalog::{self, Field, Kind};
use crate::name::{self, ConnectionName};
use crate::profile::{Support, TypeProfile};

/// Carries out a call on connections, or says why not.
pub(super) fn carry_out(
    store: &mut Store,
    options: &Options,
    call: &Call,
    body: &[u8],
) -> Result<Answer, Refusal> {
    let mut target = Target { store, options };
    match call {
        Call::List { project, type_name } => target.list(project, type_name.as_deref()),
        Call::Variables { project } => target.variables(project),
        Call::Get(path) => target.get(path),
        Call::Create(path) => target.create(path, body),
        Call::Update(path) => target.update(path, body),
        Call::Delete(path) => target.delete(path),
        // The other calls are answered before a connection is looked for.
        Call::Token | Call::NoSuchPath | Call::NoSuchMethod => {
            Err(Refusal::Other(StatusCode::NOT_FOUND))
        }
    }
}

struct Target<'a> {
    store: &'a mut Store,
    options: &'a Options,
}

impl Target<'_> {
    fn list(&mut self, project: &str, type_name: Option<&str>) -> Result<Answer, Refusal> {
        self.check_project(project, false)?;
        let type_name = type_name.ok_or(Refusal::NoType)?;
        if !self.options.knows(type_name) {
            return Err(Refusal::UnknownType(type_name.to_owned()));
        }
        let options = self.options;
        let draw = |listed: Vec<&Stored>| entries(options, project, &listed, Audience::List);
        Ok(Answer::entries(self.store.list(project, type_name, draw)))
    }

    fn variables(&self, project: &str) -> Result<Answer, Refusal> {
        self.check_project(project, false)?;
        let names = match &self.options.variables {
            Variables::Named(names) => names,
            Variables::Forbidden => return Err(Refusal::NoPermission),
            Variables::NoSuchCall => return Err(Refusal::Other(StatusCode::NOT_FOUND)),
        };
        let entry = |name: &String| {
            json!({
                "name": name, "description": null, "global": true, "globalValue": null,
                "globalVisible": false, "environmentValueList": null,
            })
        };
        let entries: Vec<Value> = names.iter().map(entry).collect();
        Ok(Answer::entries(self.options.dialect.entries(&entries)))
    }

    fn get(&self, path: &Path) -> Result<Answer, Refusal> {
        self.check_project(&path.project, false)?;
        let name = ConnectionName::new(&path.name);
        let named: Vec<&Stored> = self.store.named(&path.project, &name).collect();
        if named.is_empty() {
            return Err(missing(path, false));
        }
        Ok(Answer::entries(entries(self.options, &path.project, &named, Audience::Get)))
    }

    fn create(&mut self, path: &Path, body: &[u8]) -> Result<Answer, Refusal> {
        self.check_project(&path.project, false)?;
        let incoming = Incoming::read(self.options, body)?.named_as(path)?;
        let old = self.find(&path.project, &path.name, &incoming.type_name);
        if let Some(old) = &old {
            if self.options.on_existing() != OnExisting::Update {
                return Err(Refusal::AlreadyExists(path.name.clone()));
            }
            check_type(&old.type_name, &incoming)?;
        }
        self.store(path, old.as_ref(), incoming)
    }

    fn update(&mut self, path: &Path, body: &[u8]) -> Result<Answer, Refusal> {
        self.check_project(&path.project, true)?;
        let name = ConnectionName::new(&path.name);
        if self.store.get(&path.project, &name).is_none() {
            return Err(missing(path, true));
        }
        let incoming = match self.options.writes.rename {
            Rename::Allowed => Incoming::read(self.options, body)?,
            Rename::Refused => Incoming::read(self.options, body)?.named_as(path)?,
        };
        let old = self.find(&path.project, &path.name, &incoming.type_name);
        let old = old.ok_or_else(|| missing(path, true))?;
        check_type(&old.type_name, &incoming)?;
        if ConnectionName::new(&incoming.name) != name
            && self.find(&path.project, &incoming.name, &incoming.type_name).is_some()
        {
            return Err(Refusal::AlreadyExists(incoming.name));
        }
        self.store(path, Some(&old), incoming)
    }

    fn delete(&mut self, path: &Path) -> Result<Answer, Refusal> {
        self.check_project(&path.project, true)?;
        let name = ConnectionName::new(&path.name);
        let key = self.store.get(&path.project, &name).map(Stored::key);
        let taken = key.and_then(|key| self.store.take(&path.project, &key));
        let stored = taken.ok_or_else(|| missing(path, true))?;
        Ok(self.options.dialect.written(self.deployed(&stored.body())))
    }

    /// The connection that a write to this name and type is about.
    fn find(&self, project: &str, name: &str, type_name: &str) -> Option<Stored> {
        let name = ConnectionName::new(name);
        let any_type = self.options.writes.names == Names::OnceInProject;
        let mut named = self.store.named(project, &name);
        named.find(|stored| any_type || stored.type_name == type_name).cloned()
    }

    fn store(
        &mut self,
        path: &Path,
        old: Option<&Stored>,
        mut incoming: Incoming,
    ) -> Result<Answer, Refusal> {
        if let Some(old) = old {
            self.keep_hidden(old, &mut incoming)?;
        }
        let deployed = self.deployed(&incoming.body);
        let new = Storable::new(incoming.body, "api").ok_or(Refusal::BadBody)?;
        self.store.put(self.options.seed, &path.project, old.map(Stored::key).as_ref(), new);
        Ok(self.options.dialect.written(deployed))
    }

    /// Treats hidden fields for which a write brings no value as the options say.
    fn keep_hidden(&self, old: &Stored, incoming: &mut Incoming) -> Result<(), Refusal> {
        let before = old.body();
        let Some(known) = catalog::find(&old.type_name) else { return Ok(()) };
        for field in known.fields().filter(|field| view::is_hidden(self.options, known, field)) {
            let is_null = match incoming.body.get(field.name) {
                None => false,
                Some(Value::Null) => true,
                Some(_) => continue,
            };
            let Some(value) = before.get(field.name).filter(|value| !value.is_null()) else {
                continue;
            };
            match self.options.on_hidden(known.name, is_null) {
                OnHidden::Clear => {}
                OnHidden::Keep => {
                    incoming.body.insert(field.name.to_owned(), value.clone());
                }
                OnHidden::Refuse => {
                    let problem = (field.name.to_owned(), "is required".to_owned());
                    return Err(Refusal::Invalid(vec![problem]));
                }
            }
        }
        Ok(())
    }

    fn deployed(&self, body: &Map<String, Value>) -> Deployed {
        if body.get("deployToWorker") == Some(&Value::Bool(false)) {
            Deployed::NotAsked
        } else if self.options.fault == Some(Fault::Undeployed) {
            Deployed::Failed
        } else {
            Deployed::Done
        }
    }

    fn check_project(&self, name: &str, changing: bool) -> Result<(), Refusal> {
        let access = &self.options.access;
        let known = access.any_project
            || access.projects.iter().any(|project| project == name)
            || self.store.has_project(name);
        if known { Ok(()) } else { Err(Refusal::NoProject { name: name.to_owned(), changing }) }
    }
}

/// The answer that shows these connections.
fn entries(options: &Options, project: &str, shown: &[&Stored], audience: Audience) -> Bytes {
    let drawn = shown.iter().map(|stored| view::draw(options, project, stored, audience));
    options.dialect.entries(&drawn.map(Value::Object).collect::<Vec<_>>())
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

// The body of a write, checked as far as servers check it.

/// The body of a write that can be read.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) type_name: String,
    pub(super) name: String,
    pub(super) body: Map<String, Value>,
}

impl Incoming {
    /// Reads and checks the body of a write.
    pub(super) fn read(options: &Options, bytes: &[u8]) -> Result<Self, Refusal> {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(bytes) else {
            return Err(Refusal::BadBody);
        };
        let type_name = text(&body, "type")?;
        let known = catalog::find(&type_name)
            .filter(|known| known.name == type_name && options.knows(&type_name))
            .ok_or_else(|| Refusal::UnknownType(type_name.clone()))?;
        let name = text(&body, "name")?;
        if let Some(problem) = name::problem_with(&name) {
            return Err(Refusal::Invalid(vec![("name".to_owned(), problem.to_owned())]));
        }
        let mut problems = Vec::new();
        for field in known.fields() {
            let Some(value) = body.get(field.name) else { continue };
            if let Some(problem) = misfit(field, value) {
                problems.push((field.name.to_owned(), problem.to_owned()));
            }
        }
        let is_known = |name: &str| {
            ["type", "name"].contains(&name)
                || known.field(name).is_some()
                || catalog::is_bookkeeping(known, name)
        };
        let own = options.types.get(&type_name);
        problems.extend(own.map(|own| refused(own, &body)).unwrap_or_default());
        let unknown_fields = own.and_then(|own| own.unknown_fields);
        match unknown_fields.unwrap_or(options.writes.unknown_fields) {
            UnknownFields::Kept => {}
            UnknownFields::Dropped => body.retain(|name, _| is_known(name)),
            UnknownFields::Refused => problems.extend(
                body.keys()
                    .filter(|name| !is_known(name))
                    .map(|name| (name.clone(), "is not known".to_owned())),
            ),
        }
        if !problems.is_empty() {
            return Err(Refusal::Invalid(problems));
        }
        for rewrite in &options.writes.rewrites {
            rewrite.apply(&type_name, &mut body);
        }
        if let Some(own) = own {
            rewrite(own, &mut body);
        }
        Ok(Self { type_name, name, body })
    }

    /// Refuses a name that is not the one of the path.
    pub(super) fn named_as(self, path: &Path) -> Result<Self, Refusal> {
        if self.name.to_lowercase() == path.name.to_lowercase() {
            Ok(self)
        } else {
            Err(Refusal::NameMismatch { path: path.name.clone(), body: self.name })
        }
    }
}

/// The fields that a type's profile refuses.
fn refused(own: &TypeProfile, body: &Map<String, Value>) -> Vec<(String, String)> {
    let is_refused = |name: &&String| {
        own.support == Support::Refused
            || (own.refused.contains(*name) && body.get(*name).is_some_and(|v| !v.is_null()))
    };
    let names = body.keys().filter(is_refused);
    names.map(|name| (name.clone(), "is not valid".to_owned())).collect()
}

/// Changes what a type's profile says that the server does not keep as it is.
fn rewrite(own: &TypeProfile, body: &mut Map<String, Value>) {
    body.retain(|name, _| !own.forgotten.contains(name));
    for name in &own.rewritten {
        if let Some(Value::String(text)) = body.get_mut(name) {
            let upper = text.to_uppercase();
            *text = if upper == *text { text.to_lowercase() } else { upper };
        }
    }
}

fn text(body: &Map<String, Value>, field: &str) -> Result<String, Refusal> {
    match body.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Refusal::Invalid(vec![(field.to_owned(), "is required".to_owned())])),
    }
}

/// Says why a value cannot be read into its field; as lenient as the servers' own reader.
fn misfit(field: &Field, value: &Value) -> Option<&'static str> {
    match (&field.kind, value) {
        (_, Value::Null) => None,
        (Kind::Integer { .. }, value) if !value.is_i64() && !value.is_u64() => {
            Some("has to be a whole number")
        }
        (Kind::Boolean, value) if !value.is_boolean() => Some("has to be true or false"),
        (Kind::Text | Kind::Choice(_), Value::Array(_) | Value::Object(_)) => {
            Some("has to be a text")
        }
        (Kind::List(_) | Kind::Set(_), value) if !value.is_array() => Some("has to be an array"),
        (Kind::Object(_) | Kind::Map(_), value) if !value.is_object() => {
            Some("has to be an object")
        }
        _ => None,
    }
}
