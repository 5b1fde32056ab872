//! A Kubernetes API as small as the calls that the program makes and those of people beside it: objects
//! by path, a `resourceVersion` that every write moves on, watches, and the refusals of a real API
//! server in its words.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::{Value, json};

use crate::world::World;

pub(crate) const NAMESPACE: &str = "gitops";

#[derive(Default)]
struct Objects {
    by_path: BTreeMap<String, Value>,
    version: u64,
    /// Each change with its version, its path and the event that watches show.
    changes: Vec<(u64, String, Value)>,
    /// How often the API server was restarted, which ends its watches.
    restarts: u64,
    tokens: BTreeMap<String, Access>,
    /// Calls that no Role allows, such as `list leases`, and kinds.
    forbidden: Vec<String>,
    /// A call, its trouble, and how many of them have it.
    trouble: Option<(&'static str, Trouble, usize)>,
    /// The calls that came, such as `update leases`.
    calls: Vec<String>,
}

/// How the calls with a token are answered; those with an unknown one get a 401.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Answered,
    /// The API is out of reach.
    CutOff,
    /// Calls on Leases are never answered.
    LeasesHang,
}

/// What an API server says in place of an answer.
#[derive(Clone, Copy)]
pub(crate) enum Trouble {
    /// It has too much to do, and asks for a pause of a second.
    Busy,
    /// It finds the object invalid.
    Invalid(&'static str),
}

/// The fake; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Cluster {
    objects: Arc<Mutex<Objects>>,
    /// Wakes the watches.
    changed: Arc<tokio::sync::watch::Sender<()>>,
    url: String,
}

impl Cluster {
    pub(crate) fn start(world: &World) -> Self {
        let mut cluster = Self::default();
        let routes = Router::new().fallback(answer).with_state(cluster.clone());
        cluster.url = world.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, routes).await });
            url
        });
        cluster
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn allow(&self, token: &str) {
        self.objects().tokens.insert(token.to_owned(), Access::Answered);
    }

    /// Puts the API out of reach of this token.
    pub(crate) fn cut_off(&self, token: &str) {
        self.objects().tokens.insert(token.to_owned(), Access::CutOff);
        self.changed.send_replace(());
    }

    /// Answers no call of this token on Leases.
    pub(crate) fn let_leases_hang(&self, token: &str) {
        self.objects().tokens.insert(token.to_owned(), Access::LeasesHang);
        self.changed.send_replace(());
    }

    /// Knows this token no longer.
    pub(crate) fn revoke(&self, token: &str) {
        self.objects().tokens.remove(token);
        self.changed.send_replace(());
    }

    /// Takes rights from the Role: calls such as `list leases`, or all on a kind.
    pub(crate) fn forbid(&self, calls: &[&str]) {
        self.objects().forbidden = calls.iter().map(|call| (*call).to_owned()).collect();
    }

    /// Answers so many of the next calls, such as `update secrets`, with a trouble.
    pub(crate) fn trouble(&self, call: &'static str, trouble: Trouble, times: usize) {
        self.objects().trouble = Some((call, trouble, times));
    }

    /// The calls since the last time.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.objects().calls)
    }

    /// The names of the objects of a kind.
    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        let objects = self.objects();
        let of_kind =
            objects.by_path.keys().filter_map(|path| path.split_once(&format!("/{kind}/")));
        of_kind.map(|(_, name)| name.to_owned()).collect()
    }

    /// Who holds the Leases, nobody left out.
    pub(crate) fn holders(&self) -> Vec<String> {
        let objects = self.objects();
        let leases = objects.by_path.iter().filter(|(path, _)| path.contains("/leases/"));
        leases
            .filter_map(|(_, lease)| lease["spec"]["holderIdentity"].as_str())
            .filter_map(|holder| holder.split('_').next())
            .filter(|holder| !holder.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Changes the one object of a kind, as another client would.
    pub(crate) fn edit(&self, kind: &str, change: impl FnOnce(&mut Value)) {
        let mut objects = self.objects();
        let is_of_kind = |path: &&String| path.contains(&format!("/{kind}/"));
        let path = objects.by_path.keys().find(is_of_kind).unwrap().clone();
        let mut object = objects.by_path[&path].clone();
        change(&mut object);
        objects.set(path, object);
        drop(objects);
        self.changed.send_replace(());
    }

    /// Deletes the objects of a kind, as somebody does by hand.
    pub(crate) fn delete(&self, kind: &str) {
        self.allow("by-hand");
        let paths: Vec<String> = self.objects().by_path.keys().cloned().collect();
        for path in paths.iter().filter(|path| path.contains(&format!("/{kind}/"))) {
            let host = self.url.trim_start_matches("http://");
            let head = "Authorization: Bearer by-hand\r\nConnection: close";
            let request = format!("DELETE {path} HTTP/1.1\r\nHost: {host}\r\n{head}\r\n\r\n");
            let mut connection = std::net::TcpStream::connect(host).unwrap();
            connection.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }

    /// Ends all watches, as a restart of the API server does.
    pub(crate) fn end_watches(&self) {
        self.objects().restarts += 1;
        self.changed.send_replace(());
    }

    /// Streams the changes since a version, until the time is over or the API is out of reach.
    fn watch(&self, call: &Call<'_>, token: &str, query: &str) -> Response {
        let asked = |key: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == key).and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let (since, seconds) =
            (asked("resourceVersion").unwrap(), asked("timeoutSeconds").unwrap());
        let (below, token) = (format!("{}/", call.path), token.to_owned());
        let restarts = self.objects().restarts;
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        let state = (self.clone(), self.changed.subscribe(), since);
        let lines = futures_util::stream::unfold(state, move |(cluster, mut changed, since)| {
            let (below, token) = (below.clone(), token.clone());
            async move {
                loop {
                    let (access, now, next) = {
                        let objects = cluster.objects();
                        let is_next = |(version, path, _): &&(u64, String, Value)| {
                            *version > since && path.starts_with(&below)
                        };
                        let next = objects.changes.iter().find(is_next);
                        let next = next.map(|(version, _, event)| (*version, format!("{event}\n")));
                        (objects.tokens.get(&token).copied(), objects.restarts, next)
                    };
                    match (access, next) {
                        (None | Some(Access::CutOff), _) => return None,
                        _ if now != restarts => return None,
                        (Some(Access::LeasesHang), _) => std::future::pending().await,
                        (Some(Access::Answered), Some((version, line))) => {
                            return Some((Ok::<_, Infallible>(line), (cluster, changed, version)));
                        }
                        (Some(Access::Answered), None) => {}
                    }
                    tokio::time::timeout_at(end, changed.changed()).await.ok()?.ok()?;
                }
            }
        });
        Body::from_stream(lines).into_response()
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }

    fn carry_out(&self, call: &Call<'_>, body: &[u8]) -> Response {
        let Call { method, path, kind, name, .. } = call;
        let mut objects = self.objects();
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        let known = objects.by_path.get(*path).cloned();
        let resource = call.resource();
        let missing = || status(404, &format!("{resource} \"{name}\" not found"));
        let (path, uid) = match (method.as_str(), &known) {
            ("GET", _) if name.is_empty() => return Json(objects.list(path)).into_response(),
            ("GET", Some(object)) => return Json(object).into_response(),
            ("GET", None) => return missing(),
            ("POST", _) => {
                let name = sent["metadata"]["name"].as_str().unwrap_or_default();
                let path = format!("{path}/{name}");
                if objects.by_path.contains_key(&path) {
                    return status(409, &format!("{resource} \"{name}\" already exists"));
                }
                (path, json!(format!("uid-{}", objects.version)))
            }
            ("PUT", Some(known)) if known["metadata"]["uid"] == sent["metadata"]["uid"] => {
                let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
                if version(&sent) != version(known) {
                    let why = "the object has been modified; please apply your changes to the latest version and try again";
                    let begin = "Operation cannot be fulfilled on";
                    return status(409, &format!("{begin} {resource} \"{name}\": {why}"));
                }
                ((*path).to_owned(), known["metadata"]["uid"].clone())
            }
            // It was deleted, or made anew: the object that is sent still has its uid.
            ("PUT", _) if sent["metadata"]["uid"].is_string() => {
                let why = "StorageError: invalid object, Code: 4, Key: ..., AdditionalErrorMsg: Precondition failed";
                let begin = "Operation cannot be fulfilled on";
                return status(409, &format!("{begin} {resource} \"{name}\": {why}"));
            }
            ("DELETE", Some(_)) => {
                objects.remove(path);
                return status(200, "Success");
            }
            ("PUT" | "DELETE", _) => return missing(),
            _ => {
                return status(
                    405,
                    "the server does not allow this method on the requested resource",
                );
            }
        };
        let singular = kind.trim_end_matches('s');
        assert!(
            sent["kind"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(singular)),
            "{sent}"
        );
        let mut object = sent;
        object["metadata"]["uid"] = uid;
        let object = objects.set(path, object);
        let code = if known.is_some() { StatusCode::OK } else { StatusCode::CREATED };
        (code, Json(object)).into_response()
    }
}

impl Objects {
    /// Makes or changes an object.
    fn set(&mut self, path: String, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let kind = if self.by_path.contains_key(&path) { "MODIFIED" } else { "ADDED" };
        self.by_path.insert(path.clone(), object.clone());
        self.changes.push((self.version, path, json!({"type": kind, "object": object})));
        object
    }

    fn remove(&mut self, path: &str) {
        self.version += 1;
        let mut object = self.by_path.remove(path).unwrap();
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let event = json!({"type": "DELETED", "object": object});
        self.changes.push((self.version, path.to_owned(), event));
    }

    /// The objects of a kind, which do not say of what kind they are.
    fn list(&self, path: &str) -> Value {
        let below = format!("{path}/");
        let of_kind = self.by_path.iter().filter(|(path, _)| path.starts_with(&below));
        let items = of_kind.map(|(_, object)| {
            let mut object = object.clone();
            object.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
            object
        });
        json!({
            "metadata": {"resourceVersion": self.version.to_string()},
            "items": items.collect::<Vec<_>>(),
        })
    }

    /// The trouble of a call, if it has one.
    fn trouble_of(&mut self, call: &str) -> Option<Trouble> {
        let (troubled, trouble, left) = self.trouble.as_mut()?;
        let has_trouble = *troubled == call && *left > 0;
        *left -= usize::from(has_trouble);
        has_trouble.then_some(*trouble)
    }
}

/// A call as rights name it.
struct Call<'u> {
    method: Method,
    path: &'u str,
    verb: &'static str,
    kind: &'u str,
    name: &'u str,
}

impl<'u> Call<'u> {
    /// `None`: it is in another namespace.
    fn of(method: Method, path: &'u str, query: &str) -> Option<Self> {
        let (_, below) = path.split_once(&format!("/namespaces/{NAMESPACE}/"))?;
        let (kind, name) = below.split_once('/').unwrap_or((below, ""));
        let verb = match method.as_str() {
            "GET" if query.contains("watch=true") => "watch",
            "GET" if name.is_empty() => "list",
            "GET" => "get",
            "POST" => "create",
            "PUT" => "update",
            "DELETE" => "delete",
            _ => "another",
        };
        Some(Self { method, path, verb, kind, name })
    }

    fn group(&self) -> &'static str {
        if self.kind == "leases" { "coordination.k8s.io" } else { "" }
    }

    /// The kind with its group.
    fn resource(&self) -> String {
        format!("{}.{}", self.kind, self.group()).trim_end_matches('.').to_owned()
    }

    fn forbidden(&self) -> String {
        let named =
            if self.name.is_empty() { String::new() } else { format!(" \"{}\"", self.name) };
        format!(
            "{}{named} is forbidden: User \"system:serviceaccount:{NAMESPACE}:apinizer-gitops\" cannot {} \
             resource \"{}\" in API group \"{}\" in the namespace \"{NAMESPACE}\"",
            self.resource(),
            self.verb,
            self.kind,
            self.group()
        )
    }
}

fn status(code: u16, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": if code == 200 { "Success" } else { "Failure" },
        "message": message, "code": code,
    });
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}

async fn answer(
    State(cluster): State<Cluster>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query = uri.query().unwrap_or_default();
    let Some(call) = Call::of(method, uri.path(), query) else {
        return status(403, "another namespace");
    };
    let name = format!("{} {}", call.verb, call.kind);
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let (access, is_forbidden, trouble) = {
        let mut objects = cluster.objects();
        objects.calls.push(name.clone());
        let is_forbidden = objects.forbidden.iter().any(|one| *one == name || one == call.kind);
        (objects.tokens.get(token).copied(), is_forbidden, objects.trouble_of(&name))
    };
    match access {
        None => return status(401, "Unauthorized"),
        Some(Access::CutOff) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Access::LeasesHang) if call.kind == "leases" => std::future::pending().await,
        Some(Access::LeasesHang | Access::Answered) => {}
    }
    if is_forbidden {
        return status(403, &call.forbidden());
    }
    match trouble {
        Some(Trouble::Busy) => {
            let text = "Too many requests, please try again later.";
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], text).into_response()
        }
        Some(Trouble::Invalid(text)) => status(422, text),
        None if call.verb == "watch" => cluster.watch(&call, token, query),
        None => {
            let answer = cluster.carry_out(&call, &body);
            cluster.changed.send_replace(());
            answer
        }
    }
}
