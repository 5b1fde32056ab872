//! The five calls on connections, and the list of a project's environment variables.

use axum::http::{Method, StatusCode, Uri};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::dialect::{Deployed, Refusal, SandboxAnswer};
use super::options::{
    Dialect, Fault, Names, OnExisting, OnMasked, Options, Rename, UnknownFields, Variables,
};
use super::store::{Store, Stored};
use super::view::{self, Audience};
use crate::catalog::{self, Field, Kind};
use crate::name::{self, ConnectionName};
use crate::profile::{Support, TypeProfile};

/// Carries out a call on connections, or says why not. Paths are exact, to the last slash.
pub(super) fn carry_out(
    store: &mut Store,
    options: &Options,
    method: &Method,
    uri: &Uri,
    body: &[u8],
) -> Result<SandboxAnswer, Refusal> {
    let no_such_path = || Refusal::by(StatusCode::NOT_FOUND);
    let no_such_method = || Refusal::by(StatusCode::METHOD_NOT_ALLOWED);
    let below = uri.path().strip_prefix("/apiops/projects/").ok_or_else(no_such_path)?;
    let segments: Option<Vec<String>> = below.split('/').map(decoded).collect();
    let segments = segments.unwrap_or_default();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let mut calls = ApiCalls { store, options };
    match (&segments[..], method) {
        (["", ..], _) => Err(no_such_path()),
        ([project, "connections", ""], &Method::GET) => calls.list(project, type_of(uri.query())),
        ([project, "environmentVariables", ""], &Method::GET) => calls.variables(project),
        ([_, "connections" | "environmentVariables", ""], _) => Err(no_such_method()),
        ([project, "connections", name, ""], method) if !name.is_empty() => {
            let path = Path { project, name };
            match *method {
                Method::GET => calls.get(path),
                Method::POST => calls.create(path, body),
                Method::PUT => calls.update(path, body),
                Method::DELETE => calls.delete(path),
                _ => Err(no_such_method()),
            }
        }
        _ => Err(no_such_path()),
    }
}

fn decoded(segment: &str) -> Option<String> {
    Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned())
}

fn type_of(query: Option<&str>) -> Option<String> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == "type")?;
    decoded(&value.replace('+', " ")).filter(|name| !name.is_empty())
}

/// The path of one connection.
#[derive(Clone, Copy)]
struct Path<'p> {
    project: &'p str,
    name: &'p str,
}

struct ApiCalls<'a> {
    store: &'a mut Store,
    options: &'a Options,
}

impl ApiCalls<'_> {
    fn list(&mut self, project: &str, type_name: Option<String>) -> Result<SandboxAnswer, Refusal> {
        self.check_project(project, false)?;
        let type_name = type_name
            .ok_or_else(|| Refusal::bad("invalid_parameter", "The parameter type is required!"))?;
        if !self.options.knows(&type_name) {
            return Err(Refusal::unknown_type(&type_name));
        }
        let options = self.options;
        let draw = |listed: Vec<&Stored>| drawn(options, project, &listed, Audience::List);
        Ok(SandboxAnswer::ok(self.store.list(project, &type_name, draw)))
    }

    fn variables(&self, project: &str) -> Result<SandboxAnswer, Refusal> {
        self.check_project(project, false)?;
        let names = match &self.options.variables {
            Variables::Named(names) => names,
            Variables::Forbidden => {
                let text = "User does not have required permission for this operation!";
                return Err(Refusal::bad("access_denied", text));
            }
            Variables::NoSuchCall => return Err(Refusal::by(StatusCode::NOT_FOUND)),
        };
        let entry = |name: &String| {
            json!({
                "name": name, "description": null, "global": true, "globalValue": null,
                "globalVisible": false, "environmentValueList": null,
            })
        };
        let entries: Vec<Value> = names.iter().map(entry).collect();
        Ok(SandboxAnswer::ok(self.options.dialect().entries(&entries)))
    }

    fn get(&self, path: Path<'_>) -> Result<SandboxAnswer, Refusal> {
        self.check_project(path.project, false)?;
        let name = ConnectionName::new(path.name);
        let named: Vec<&Stored> = self.store.named(path.project, &name).collect();
        if named.is_empty() {
            return Err(self.missing(path, false));
        }
        Ok(SandboxAnswer::ok(drawn(self.options, path.project, &named, Audience::Get)))
    }

    fn create(&mut self, path: Path<'_>, body: &[u8]) -> Result<SandboxAnswer, Refusal> {
        self.check_project(path.project, false)?;
        let incoming = Incoming::read(self.options, body)?.named_as(path)?;
        let old = self.find(path.project, path.name, &incoming.type_name);
        if let Some(old) = &old {
            if self.options.on_existing() != OnExisting::Update {
                return Err(Refusal::exists(self.options, path.name));
            }
            check_type(&old.type_name, &incoming)?;
        }
        self.store(path, old.as_ref(), incoming)
    }

    fn update(&mut self, path: Path<'_>, body: &[u8]) -> Result<SandboxAnswer, Refusal> {
        self.check_project(path.project, true)?;
        let name = ConnectionName::new(path.name);
        if self.store.get(path.project, &name).is_none() {
            return Err(self.missing(path, true));
        }
        let mut incoming = Incoming::read(self.options, body)?;
        if self.options.profile.rename == Some(Rename::Refused) {
            incoming = incoming.named_as(path)?;
        }
        let old = self.find(path.project, path.name, &incoming.type_name);
        let old = old.ok_or_else(|| self.missing(path, true))?;
        check_type(&old.type_name, &incoming)?;
        if ConnectionName::new(&incoming.name) != name
            && self.find(path.project, &incoming.name, &incoming.type_name).is_some()
        {
            return Err(Refusal::exists(self.options, &incoming.name));
        }
        self.store(path, Some(&old), incoming)
    }

    fn delete(&mut self, path: Path<'_>) -> Result<SandboxAnswer, Refusal> {
        self.check_project(path.project, true)?;
        let name = ConnectionName::new(path.name);
        let key = self.store.get(path.project, &name).map(Stored::key);
        let taken = key.and_then(|key| self.store.take(path.project, &key));
        let stored = taken.ok_or_else(|| self.missing(path, true))?;
        Ok(self.options.dialect().written(self.deployed(&stored.body())))
    }

    /// The connection that a write to this name and type is about.
    fn find(&self, project: &str, name: &str, type_name: &str) -> Option<Stored> {
        let name = ConnectionName::new(name);
        let any_type = self.options.profile.names != Some(Names::OnceInType);
        let mut named = self.store.named(project, &name);
        named.find(|stored| any_type || stored.type_name == type_name).cloned()
    }

    fn store(
        &mut self,
        path: Path<'_>,
        old: Option<&Stored>,
        mut incoming: Incoming,
    ) -> Result<SandboxAnswer, Refusal> {
        if let Some(old) = old {
            self.keep_masked(old, &mut incoming)?;
        }
        let deployed = self.deployed(&incoming.body);
        let new = Stored::new(incoming.body, "api").ok_or_else(bad_body)?;
        self.store.put(path.project, old.map(Stored::key).as_ref(), new);
        Ok(self.options.dialect().written(deployed))
    }

    /// Treats secrets and masked fields for which a write brings no value as the profile says.
    fn keep_masked(&self, old: &Stored, incoming: &mut Incoming) -> Result<(), Refusal> {
        let before = old.body();
        let Some(known) = catalog::find(&old.type_name) else { return Ok(()) };
        let Some(own) = self.options.profile.types.get(known.name) else { return Ok(()) };
        for field in known.fields().filter(|field| field.is_secret() || own.masks(field.name)) {
            let is_null = match incoming.body.get(field.name) {
                None => false,
                Some(Value::Null) => true,
                Some(_) => continue,
            };
            let Some(value) = before.get(field.name).filter(|value| !value.is_null()) else {
                continue;
            };
            let effect = if is_null { own.null_secret } else { own.omitted_secret };
            match effect.unwrap_or_default() {
                OnMasked::Clear => {}
                OnMasked::Keep => {
                    incoming.body.insert(field.name.to_owned(), value.clone());
                }
                OnMasked::Refuse => return Err(Refusal::invalid_field(field.name, "is required")),
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
        if known {
            return Ok(());
        }
        let text = match self.options.dialect() {
            Dialect::Current => format!("Project ({name}) is not found!"),
            Dialect::Older => format!(
                "Project (name: {name}) was not found or user does not have privilege to access it!"
            ),
        };
        Err(Refusal::missing(self.options, changing, text))
    }

    fn missing(&self, path: Path<'_>, changing: bool) -> Refusal {
        let text = format!("Connection (name: {}) was not found!", path.name);
        Refusal::missing(self.options, changing, text)
    }
}

/// The answer that shows these connections.
fn drawn(options: &Options, project: &str, shown: &[&Stored], audience: Audience) -> Bytes {
    let drawn = shown.iter().map(|stored| view::draw(options, project, stored, audience));
    options.dialect().entries(&drawn.map(Value::Object).collect::<Vec<_>>())
}

fn bad_body() -> Refusal {
    Refusal::bad("invalid_request", "The body has to be one JSON object!")
}

fn check_type(old: &str, incoming: &Incoming) -> Result<(), Refusal> {
    if old == incoming.type_name {
        return Ok(());
    }
    let Incoming { name, type_name, .. } = incoming;
    let text = format!("The type of connection ({name}) cannot change from {old} to {type_name}!");
    Err(Refusal::bad("invalid_request", text))
}

// The body of a write, checked as far as servers check it.

/// The body of a write that can be read.
struct Incoming {
    type_name: String,
    name: String,
    body: Map<String, Value>,
}

impl Incoming {
    /// Reads and checks the body of a write.
    fn read(options: &Options, bytes: &[u8]) -> Result<Self, Refusal> {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(bytes) else {
            return Err(bad_body());
        };
        let type_name = text(&body, "type")?;
        let known = catalog::find(&type_name)
            .filter(|known| known.name == type_name && options.knows(&type_name))
            .ok_or_else(|| Refusal::unknown_type(&type_name))?;
        let name = text(&body, "name")?;
        if let Some(problem) = name::problem_with(&name) {
            return Err(Refusal::invalid_field("name", problem));
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
        let own = options.profile.types.get(&type_name);
        problems.extend(own.map(|own| refused_fields(own, &body)).unwrap_or_default());
        match own.and_then(|own| own.unknown_fields).unwrap_or_default() {
            UnknownFields::Kept => {}
            UnknownFields::Dropped => body.retain(|name, _| is_known(name)),
            UnknownFields::Refused => problems.extend(
                body.keys()
                    .filter(|name| !is_known(name))
                    .map(|name| (name.clone(), "is not known".to_owned())),
            ),
        }
        if !problems.is_empty() {
            return Err(Refusal::invalid(problems));
        }
        if let Some(own) = own {
            rewrite(own, &mut body);
        }
        Ok(Self { type_name, name, body })
    }

    /// Refuses a name that is not the one of the path.
    fn named_as(self, path: Path<'_>) -> Result<Self, Refusal> {
        if self.name.to_lowercase() == path.name.to_lowercase() {
            return Ok(self);
        }
        let (path, body) = (path.name, &self.name);
        let text = format!("The name in the path ({path}) and in the body ({body}) do not match!");
        Err(Refusal::bad("invalid_request", text))
    }
}

/// The fields that a type's profile refuses.
fn refused_fields(own: &TypeProfile, body: &Map<String, Value>) -> Vec<(String, String)> {
    let is_refused = |name: &&String| {
        own.support == Support::Refused
            || (own.refused.contains(*name) && body.get(*name).is_some_and(|v| !v.is_null()))
    };
    let names = body.keys().filter(is_refused);
    names.map(|name| (name.clone(), "is not valid".to_owned())).collect()
}

/// Changes the fields that the server does not keep as they are, by the type's profile: a slash at the end of a
/// text is a change that is seen in any text, and that is made once.
fn rewrite(own: &TypeProfile, body: &mut Map<String, Value>) {
    body.retain(|name, _| !own.forgotten.contains(name));
    for name in &own.rewritten {
        if let Some(Value::String(text)) = body.get_mut(name)
            && !text.ends_with('/')
        {
            text.push('/');
        }
    }
}

fn text(body: &Map<String, Value>, field: &str) -> Result<String, Refusal> {
    match body.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Refusal::invalid_field(field, "is required")),
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
