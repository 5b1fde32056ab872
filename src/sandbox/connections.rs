//! The five calls on connections, and the list of a project's environment variables.

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::dialect::{Deployed, Refusal, SandboxAnswer};
use super::options::{
    Fault, Names, OnExisting, OnMasked, Options, Rename, UnknownFields, Variables,
};
use super::store::{Store, Stored};
use super::view::{self, Audience};
use crate::catalog::{self, Field, Kind};
use crate::name::{self, ConnectionName};
use crate::profile::{Support, TypeProfile};

/// Carries out a call on connections, or says why not.
pub(super) fn carry_out(
    store: &mut Store,
    options: &Options,
    call: &ConnectionCall,
    body: &[u8],
) -> Result<SandboxAnswer, Refusal> {
    let mut target = ApiCalls { store, options };
    match call {
        ConnectionCall::List { project, type_name } => target.list(project, type_name.as_deref()),
        ConnectionCall::Variables { project } => target.variables(project),
        ConnectionCall::Get(path) => target.get(path),
        ConnectionCall::Create(path) => target.create(path, body),
        ConnectionCall::Update(path) => target.update(path, body),
        ConnectionCall::Delete(path) => target.delete(path),
        // The other calls are answered before a connection is looked for.
        ConnectionCall::Token | ConnectionCall::NoSuchPath | ConnectionCall::NoSuchMethod => {
            Err(Refusal::Other(StatusCode::NOT_FOUND))
        }
    }
}

struct ApiCalls<'a> {
    store: &'a mut Store,
    options: &'a Options,
}

impl ApiCalls<'_> {
    fn list(&mut self, project: &str, type_name: Option<&str>) -> Result<SandboxAnswer, Refusal> {
        self.check_project(project, false)?;
        let type_name = type_name.ok_or(Refusal::NoType)?;
        if !self.options.knows(type_name) {
            return Err(Refusal::UnknownType(type_name.to_owned()));
        }
        let options = self.options;
        let draw = |listed: Vec<&Stored>| entries(options, project, &listed, Audience::List);
        Ok(SandboxAnswer::entries(self.store.list(project, type_name, draw)))
    }

    fn variables(&self, project: &str) -> Result<SandboxAnswer, Refusal> {
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
        Ok(SandboxAnswer::entries(self.options.dialect().entries(&entries)))
    }

    fn get(&self, path: &Path) -> Result<SandboxAnswer, Refusal> {
        self.check_project(&path.project, false)?;
        let name = ConnectionName::new(&path.name);
        let named: Vec<&Stored> = self.store.named(&path.project, &name).collect();
        if named.is_empty() {
            return Err(missing(path, false));
        }
        Ok(SandboxAnswer::entries(entries(self.options, &path.project, &named, Audience::Get)))
    }

    fn create(&mut self, path: &Path, body: &[u8]) -> Result<SandboxAnswer, Refusal> {
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

    fn update(&mut self, path: &Path, body: &[u8]) -> Result<SandboxAnswer, Refusal> {
        self.check_project(&path.project, true)?;
        let name = ConnectionName::new(&path.name);
        if self.store.get(&path.project, &name).is_none() {
            return Err(missing(path, true));
        }
        let mut incoming = Incoming::read(self.options, body)?;
        if self.options.profile.rename == Some(Rename::Refused) {
            incoming = incoming.named_as(path)?;
        }
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

    fn delete(&mut self, path: &Path) -> Result<SandboxAnswer, Refusal> {
        self.check_project(&path.project, true)?;
        let name = ConnectionName::new(&path.name);
        let key = self.store.get(&path.project, &name).map(Stored::key);
        let taken = key.and_then(|key| self.store.take(&path.project, &key));
        let stored = taken.ok_or_else(|| missing(path, true))?;
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
        path: &Path,
        old: Option<&Stored>,
        mut incoming: Incoming,
    ) -> Result<SandboxAnswer, Refusal> {
        if let Some(old) = old {
            self.keep_masked(old, &mut incoming)?;
        }
        let deployed = self.deployed(&incoming.body);
        let new = Stored::new(incoming.body, "api").ok_or(Refusal::BadBody)?;
        self.store.put(&path.project, old.map(Stored::key).as_ref(), new);
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
                OnMasked::Refuse => {
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
    options.dialect().entries(&drawn.map(Value::Object).collect::<Vec<_>>())
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
            return Err(Refusal::Invalid(problems));
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

// Which call a request makes: the paths are exact, to the last slash.

/// One call of the connection API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectionCall {
    /// `POST .../auth/token`.
    Token,
    /// `GET .../connections/?type=T`.
    List { project: String, type_name: Option<String> },
    /// `GET .../environmentVariables/`.
    Variables { project: String },
    /// `GET .../connections/{name}/`.
    Get(Path),
    /// `POST .../connections/{name}/`.
    Create(Path),
    /// `PUT .../connections/{name}/`.
    Update(Path),
    /// `DELETE .../connections/{name}/`.
    Delete(Path),
    /// A path of the API with a method that it does not take.
    NoSuchMethod,
    /// No path of the API.
    NoSuchPath,
}

/// The path of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) project: String,
    pub(super) name: String,
}

impl ConnectionCall {
    /// Reads method, path and query.
    pub(super) fn of(method: &Method, path: &str, query: Option<&str>) -> Self {
        if path == "/apiops/auth/token" {
            return if method == Method::POST { Self::Token } else { Self::NoSuchMethod };
        }
        let Some(rest) = path.strip_prefix("/apiops/projects/") else { return Self::NoSuchPath };
        let segments: Option<Vec<String>> = rest.split('/').map(decoded).collect();
        let Some(segments) = segments else { return Self::NoSuchPath };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let [project, rest @ .., ""] = &segments[..] else { return Self::NoSuchPath };
        if project.is_empty() {
            return Self::NoSuchPath;
        }
        let project = (*project).to_owned();
        match (rest, method) {
            (["connections"], &Method::GET) => Self::List { project, type_name: type_of(query) },
            (["environmentVariables"], &Method::GET) => Self::Variables { project },
            (["connections" | "environmentVariables"], _) => Self::NoSuchMethod,
            (["connections", name], method) if !name.is_empty() => {
                let path = Path { project, name: (*name).to_owned() };
                match *method {
                    Method::GET => Self::Get(path),
                    Method::POST => Self::Create(path),
                    Method::PUT => Self::Update(path),
                    Method::DELETE => Self::Delete(path),
                    _ => Self::NoSuchMethod,
                }
            }
            _ => Self::NoSuchPath,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &Method, path: &str) -> ConnectionCall {
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        ConnectionCall::of(method, path, query)
    }

    #[test]
    fn paths_are_exact() {
        let path = Path { project: "My Project".to_owned(), name: "a/b".to_owned() };
        let text = "/apiops/projects/My%20Project/connections/a%2Fb/";
        assert_eq!(call(&Method::GET, text), ConnectionCall::Get(path.clone()));
        assert_eq!(call(&Method::POST, text), ConnectionCall::Create(path.clone()));
        assert_eq!(call(&Method::PUT, text), ConnectionCall::Update(path.clone()));
        assert_eq!(call(&Method::DELETE, text), ConnectionCall::Delete(path));
        assert_eq!(call(&Method::PATCH, text), ConnectionCall::NoSuchMethod);
        for wrong in [
            "/apiops/projects/p/connections/a",
            "/apiops/projects/p/connections",
            "/apiops/projects/p/connections//",
            "/apiops/projects//connections/a/",
            "/apiops/projects/p/connections/a/b/",
            "/apiops/projects/p/connections/%ff/",
            "/apiops/auth/token/",
            "/",
        ] {
            assert_eq!(call(&Method::GET, wrong), ConnectionCall::NoSuchPath, "{wrong}");
        }
    }

    #[test]
    fn lists_name_a_type() {
        let project = "p".to_owned();
        let list = "/apiops/projects/p/connections/";
        let of = |type_name: Option<&str>| ConnectionCall::List {
            project: project.clone(),
            type_name: type_name.map(str::to_owned),
        };
        assert_eq!(call(&Method::GET, list), of(None));
        assert_eq!(call(&Method::GET, &format!("{list}?type=")), of(None));
        assert_eq!(call(&Method::GET, &format!("{list}?a=b&type=email")), of(Some("email")));
        assert_eq!(
            call(&Method::GET, &format!("{list}?type=linux%2Dscript")),
            of(Some("linux-script"))
        );
        assert_eq!(call(&Method::POST, list), ConnectionCall::NoSuchMethod);
        let variables = "/apiops/projects/p/environmentVariables/";
        assert_eq!(
            call(&Method::GET, variables),
            ConnectionCall::Variables { project: project.clone() }
        );
        assert_eq!(call(&Method::POST, variables), ConnectionCall::NoSuchMethod);
    }
}
