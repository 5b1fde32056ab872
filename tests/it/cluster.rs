//! A Kubernetes API as small as the calls that the program makes: objects by path, a
//! `resourceVersion` that every write moves on, and tokens that may be cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
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
    /// The tokens that are answered.
    tokens: BTreeSet<String>,
    /// Paths that nobody may use.
    forbidden: Option<String>,
    /// How many calls on Secrets are put off.
    busy: usize,
}

/// The fake; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Cluster {
    objects: Arc<Mutex<Objects>>,
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
        self.objects().tokens.insert(token.to_owned());
    }

    /// Answers this token no longer.
    pub(crate) fn cut_off(&self, token: &str) {
        self.objects().tokens.remove(token);
    }

    pub(crate) fn forbid(&self, kind: &str) {
        self.objects().forbidden = Some(format!("/{kind}"));
    }

    /// Everything may be used again.
    pub(crate) fn forbid_nothing(&self) {
        self.objects().forbidden = None;
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
        objects.version += 1;
        let version = objects.version.to_string();
        let found =
            objects.by_path.iter_mut().find(|(path, _)| path.contains(&format!("/{kind}/")));
        let (_, object) = found.unwrap();
        change(object);
        object["metadata"]["resourceVersion"] = json!(version);
    }

    /// Deletes the objects of a kind, as somebody does by hand.
    pub(crate) fn delete(&self, kind: &str) {
        self.objects().by_path.retain(|path, _| !path.contains(&format!("/{kind}/")));
    }

    /// Answers the next calls with "too many requests", and asks for a pause of a second.
    pub(crate) fn is_busy_for(&self, calls: usize) {
        self.objects().busy = calls;
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }

    fn carry_out(&self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        let mut objects = self.objects();
        let status =
            |code: StatusCode| (code, json!({"kind": "Status", "message": code.to_string()}));
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = sent["metadata"]["name"].as_str().unwrap_or_default();
        let known = objects.by_path.get(path).cloned();
        let path = match (method.as_str(), &known) {
            ("GET", Some(object)) => return (StatusCode::OK, object.clone()),
            ("GET" | "PUT", None) => return status(StatusCode::NOT_FOUND),
            ("POST", _) if objects.by_path.contains_key(&format!("{path}/{name}")) => {
                return status(StatusCode::CONFLICT);
            }
            ("POST", _) => format!("{path}/{name}"),
            ("PUT", Some(known)) => {
                let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
                if version(&sent) != version(known) {
                    return status(StatusCode::CONFLICT);
                }
                path.to_owned()
            }
            _ => return status(StatusCode::METHOD_NOT_ALLOWED),
        };
        objects.version += 1;
        let mut object = sent;
        object["metadata"]["resourceVersion"] = json!(objects.version.to_string());
        objects.by_path.insert(path, object.clone());
        (if known.is_some() { StatusCode::OK } else { StatusCode::CREATED }, object)
    }
}

async fn answer(
    State(cluster): State<Cluster>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path();
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let is_known = cluster.objects().tokens.contains(token);
    let is_forbidden = cluster.objects().forbidden.as_ref().is_some_and(|part| path.contains(part));
    if !is_known || !path.contains(&format!("/namespaces/{NAMESPACE}/")) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if method == Method::PUT && path.contains("/secrets/") {
        let mut objects = cluster.objects();
        if objects.busy > 0 {
            objects.busy -= 1;
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
        }
    }
    if is_forbidden {
        let message = json!({"message": "User \"gitops\" cannot do that"});
        return (StatusCode::FORBIDDEN, Json(message)).into_response();
    }
    let (status, object) = cluster.carry_out(&method, path, &body);
    (status, Json(object)).into_response()
}
