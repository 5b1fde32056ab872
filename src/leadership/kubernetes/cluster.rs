//! The Kubernetes cluster around the process: listing, watching, reading, making and replacing objects.
//!
//! Leases and Secrets need no more than GET, POST and PUT with the `resourceVersion` that was read, so that
//! of two writers one is told of the conflict; a watch is a GET that goes on. Token, certificates and
//! namespace are files of the service account; the token is read again for each call, since it rotates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use parking_lot::Mutex;
use reqwest::{Certificate, Method, StatusCode};
use serde_json::Value;

use crate::api::{USER_AGENT, read_at_most, reason, retry_after};
use crate::config::Kubernetes;
use crate::digest::sha256_hex;
use crate::environment::Environment;

/// The largest answer that is read: a Secret of 1 MiB in base64, with room for other fields.
const LARGEST: usize = 4 * 1024 * 1024;

/// How much of a message of the API is repeated.
const LONGEST_MESSAGE: usize = 500;

/// The pause before a call is made again, unless the cluster asks for another.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause that the cluster may ask for: then another replica acts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The longest that one call may take.
const LONGEST_CALL: Duration = Duration::from_secs(10);

/// The kinds of objects that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectKind {
    /// `coordination.k8s.io/v1`.
    Lease,
    /// `v1`.
    Secret,
}

/// Why the cluster cannot be asked; no text holds a token.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ClusterError {
    /// Nothing says where the API is.
    #[error(
        "this process is not in a Kubernetes cluster (KUBERNETES_SERVICE_HOST is not set); name the \
         API with `kubernetes.api`"
    )]
    Nowhere,
    /// A file of the service account cannot be used.
    #[error(
        "the service account's {path} {problem} (does the pod mount its token, or is \
         `kubernetes.service_account` wrong?)"
    )]
    Account {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        problem: String,
    },
    /// No answer came.
    #[error("the Kubernetes API does not answer ({call}): {problem}")]
    NoAnswer {
        /// The call in words.
        call: String,
        /// The reason.
        problem: String,
    },
    /// It has too much to do, or failed.
    #[error("the Kubernetes API cannot answer now ({call}): {status}")]
    Busy {
        /// The call in words.
        call: String,
        /// The status.
        status: u16,
        /// The pause that it asks for.
        again_in: Option<Duration>,
    },
    /// It refused.
    #[error("the Kubernetes API refuses ({call}): {status}{message}{advice}")]
    Refused {
        /// The call in words.
        call: String,
        /// The status.
        status: u16,
        /// Its message.
        message: String,
        /// The advice.
        advice: &'static str,
    },
}

/// The API of the cluster, with the service account of this process.
#[derive(Debug)]
pub(super) struct Cluster {
    settings: Kubernetes,
    in_cluster: Option<String>,
    timeout: Duration,
    // Made anew after a failed connection: the certificates may have been replaced.
    http: Mutex<Option<reqwest::Client>>,
}

/// The changes that a watch shows.
#[derive(Debug)]
pub(super) struct WatchedChanges {
    response: reqwest::Response,
    // The beginning of the next line.
    unread: Vec<u8>,
}

impl ClusterError {
    /// The pause before the call is made again; `None`: it would be refused again.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::NoAnswer { .. } => Some(PAUSE),
            Self::Busy { again_in, .. } => Some(again_in.unwrap_or(PAUSE).min(LONGEST_PAUSE)),
            _ => None,
        }
    }

    /// Whether it answers that it cannot now.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Whether the Role lacks the right to make the call.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status: 403, .. })
    }
}

impl ObjectKind {
    fn path(self, namespace: &str) -> String {
        match self {
            Self::Lease => format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"),
            Self::Secret => format!("/api/v1/namespaces/{namespace}/secrets"),
        }
    }

    /// The version and kind that an object of this kind states.
    fn head(self) -> [(&'static str, &'static str); 2] {
        let (version, kind) = match self {
            Self::Lease => ("coordination.k8s.io/v1", "Lease"),
            Self::Secret => ("v1", "Secret"),
        };
        [("apiVersion", version), ("kind", kind)]
    }

    /// The beginning of an object of this kind.
    pub(super) fn named(self, name: &str) -> Value {
        let [(_, version), (_, kind)] = self.head();
        serde_json::json!({
            "apiVersion": version,
            "kind": kind,
            "metadata": {
                "name": name,
                "labels": {"app.kubernetes.io/managed-by": "apinizer-gitops"},
            },
        })
    }
}

/// The name of the Lease and of the Secret of a target: a part that people recognise, and a
/// digest that depends on URL and project and on nothing else.
pub(super) fn object_name(url: &str, project: &str) -> String {
    let digest = sha256_hex(&format!("{url}\n{project}"));
    let readable: String = project
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .take(30)
        .collect();
    let digest = &digest[..12];
    if readable.is_empty() {
        return format!("apinizer-gitops-{digest}");
    }
    format!("apinizer-gitops-{readable}-{digest}")
}

impl Cluster {
    /// Names the cluster; nothing is read or sent yet.
    pub(super) fn new(settings: &Kubernetes, environment: &Environment) -> Self {
        let host = environment.plain("KUBERNETES_SERVICE_HOST").map(|host| {
            // An address of IPv6 stands in brackets.
            if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
        });
        let port = environment.plain("KUBERNETES_SERVICE_PORT").unwrap_or("443");
        Self {
            settings: settings.clone(),
            in_cluster: host.map(|host| format!("https://{host}:{port}")),
            timeout: (settings.lease / 6).min(LONGEST_CALL),
            http: Mutex::new(None),
        }
    }

    /// Reads an object; `None`: there is none.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(super) async fn get(
        &self,
        kind: ObjectKind,
        name: &str,
    ) -> Result<Option<Value>, ClusterError> {
        let call = format!("GET {kind:?} {name}");
        let (status, body) = self.call(Method::GET, kind, Some(name), None, &call).await?;
        match status {
            StatusCode::OK => parsed(&body, &call).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(refused_call(call, status, &body)),
        }
    }

    /// Reads all objects of a kind, by name, and the version from which on changes have to be watched.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(super) async fn list(
        &self,
        kind: ObjectKind,
    ) -> Result<(BTreeMap<String, Value>, String), ClusterError> {
        let call = format!("list of each {kind:?}");
        let (status, body) = self.call(Method::GET, kind, None, None, &call).await?;
        if status != StatusCode::OK {
            return Err(refused_call(call, status, &body));
        }
        let mut list = parsed(&body, &call)?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
        let Value::Array(items) = list["items"].take() else {
            return Err(no_answer(&call, "the answer is no list"));
        };
        let with_name = |mut object: Value| {
            let name = object["metadata"]["name"].as_str()?.to_owned();
            // In a list the objects do not say what they are.
            for (key, value) in kind.head() {
                object[key] = value.into();
            }
            Some((name, object))
        };
        Ok((items.into_iter().filter_map(with_name).collect(), version))
    }

    /// Watches all objects of a kind from a version on, for so long.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(super) async fn watch(
        &self,
        kind: ObjectKind,
        version: &str,
        lasts: Duration,
    ) -> Result<WatchedChanges, ClusterError> {
        let call = format!("watch of each {kind:?}");
        let seconds = lasts.as_secs().max(1);
        let query = format!("?watch=true&resourceVersion={version}&timeoutSeconds={seconds}");
        let request = self.request(Method::GET, kind, &query, None)?.timeout(lasts + self.timeout);
        let answered = tokio::time::timeout(self.timeout, request.send()).await;
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.no_answer(&call, &error)),
            Err(_) => return Err(no_answer(&call, "no answer in time")),
        };
        let status = response.status();
        if status != StatusCode::OK {
            let (status, body) = self.answer(response, &call).await?;
            return Err(refused_call(call, status, &body));
        }
        Ok(WatchedChanges { response, unread: Vec::new() })
    }

    /// Makes an object, or replaces the version of it that was read; the object as it is now. `None`:
    /// another client made, changed or deleted it meanwhile.
    ///
    /// # Errors
    /// The cluster cannot be asked, or refuses.
    pub(super) async fn write(
        &self,
        kind: ObjectKind,
        object: &Value,
    ) -> Result<Option<Value>, ClusterError> {
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        let replaces = metadata["resourceVersion"].is_string();
        let method = if replaces { Method::PUT } else { Method::POST };
        let call = format!("{method} {kind:?} {name}");
        let place = replaces.then_some(name);
        let (status, body) = self.call(method, kind, place, Some(object), &call).await?;
        match status {
            StatusCode::OK | StatusCode::CREATED => parsed(&body, &call).map(Some),
            StatusCode::CONFLICT => Ok(None),
            StatusCode::NOT_FOUND if replaces => Ok(None),
            status => Err(refused_call(call, status, &body)),
        }
    }

    async fn call(
        &self,
        method: Method,
        kind: ObjectKind,
        name: Option<&str>,
        object: Option<&Value>,
        call: &str,
    ) -> Result<(StatusCode, BytesMut), ClusterError> {
        let below = name.map(|name| format!("/{name}")).unwrap_or_default();
        match self.request(method, kind, &below, object)?.send().await {
            Ok(response) => self.answer(response, call).await,
            Err(error) => Err(self.no_answer(call, &error)),
        }
    }

    /// A call on objects of a kind; `below` is the rest of the URL.
    fn request(
        &self,
        method: Method,
        kind: ObjectKind,
        below: &str,
        object: Option<&Value>,
    ) -> Result<reqwest::RequestBuilder, ClusterError> {
        let namespace = match &self.settings.namespace {
            Some(namespace) => namespace.clone(),
            None => self.account("namespace")?,
        };
        let base = self.settings.api.as_ref().or(self.in_cluster.as_ref());
        let base = base.ok_or(ClusterError::Nowhere)?;
        let url = format!("{base}{}{below}", kind.path(&namespace));
        let mut request = self.http(base)?.request(method, url);
        // `kubectl proxy` brings its own.
        if base.starts_with("https://") || self.settings.service_account.join("token").exists() {
            request = request.bearer_auth(self.account("token")?);
        }
        Ok(match object {
            Some(object) => request.json(object),
            None => request,
        })
    }

    /// Reads an answer whole; one that says that the cluster cannot answer now is an error.
    async fn answer(
        &self,
        response: reqwest::Response,
        call: &str,
    ) -> Result<(StatusCode, BytesMut), ClusterError> {
        let status = response.status();
        let again_in = retry_after(response.headers(), SystemTime::now());
        let read = read_at_most(response, LARGEST as u64).await;
        let body = read.map_err(|error| self.no_answer(call, &error))?.ok_or_else(|| {
            no_answer(call, &format!("the answer is larger than {LARGEST} bytes"))
        })?;
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let (call, status) = (call.to_owned(), status.as_u16());
            return Err(ClusterError::Busy { call, status, again_in });
        }
        Ok((status, body))
    }

    fn no_answer(&self, call: &str, error: &reqwest::Error) -> ClusterError {
        *self.http.lock() = None;
        no_answer(call, &reason(error))
    }

    fn http(&self, base: &str) -> Result<reqwest::Client, ClusterError> {
        let mut kept = self.http.lock();
        if let Some(http) = &*kept {
            return Ok(http.clone());
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .timeout(self.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // The API is in the cluster; a proxy of the environment leads out of it.
            .no_proxy();
        if base.starts_with("https://") {
            let path = self.settings.service_account.join("ca.crt");
            let unusable = |problem: String| ClusterError::Account { path: path.clone(), problem };
            let pem = std::fs::read(&path).map_err(|e| unusable(format!("cannot be read: {e}")))?;
            let authorities = Certificate::from_pem_bundle(&pem)
                .map_err(|_| unusable("holds no certificates in PEM form".to_owned()))?;
            builder = builder.tls_certs_only(authorities);
        } else {
            builder = builder.tls_certs_only(Vec::new());
        }
        let http = builder
            .build()
            .map_err(|error| no_answer("no HTTP client can be made", &reason(&error)))?;
        *kept = Some(http.clone());
        Ok(http)
    }

    /// A file of the service account, less the white space around.
    fn account(&self, name: &str) -> Result<String, ClusterError> {
        let path = self.settings.service_account.join(name);
        let unusable = |problem: String| ClusterError::Account { path: path.clone(), problem };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| unusable(format!("cannot be read: {error}")))?;
        let text = text.trim();
        if text.is_empty() || text.chars().any(|c| c.is_control() || c == '/') && name != "token" {
            return Err(unusable("holds nothing that can be used".to_owned()));
        }
        Ok(text.to_owned())
    }
}

impl WatchedChanges {
    /// The next change: the object by its name, or `None` in its place if it was deleted. The watch has
    /// ended where there is no change.
    pub(super) async fn next(&mut self) -> Option<(String, Option<Value>)> {
        loop {
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let mut event: Value = serde_json::from_slice(&line).ok()?;
                let object = event["object"].take();
                let name = object["metadata"]["name"].as_str().map(str::to_owned);
                match event["type"].as_str()? {
                    "ADDED" | "MODIFIED" => return Some((name?, Some(object))),
                    "DELETED" => return Some((name?, None)),
                    "BOOKMARK" => {}
                    // Such as an older version than the cluster remembers.
                    _ => return None,
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            if self.unread.len() + chunk.len() > LARGEST {
                return None;
            }
            self.unread.extend_from_slice(&chunk);
        }
    }
}

fn parsed(body: &[u8], call: &str) -> Result<Value, ClusterError> {
    serde_json::from_slice(body).map_err(|_| no_answer(call, "the answer is no JSON"))
}

fn no_answer(call: &str, problem: &str) -> ClusterError {
    ClusterError::NoAnswer { call: call.to_owned(), problem: problem.to_owned() }
}

fn refused_call(call: String, status: StatusCode, body: &[u8]) -> ClusterError {
    let said = serde_json::from_slice::<Value>(body).ok();
    let said = said.as_ref().and_then(|status| status["message"].as_str()).unwrap_or_default();
    let said: String = said.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect();
    ClusterError::Refused {
        call,
        status: status.as_u16(),
        message: if said.is_empty() { said } else { format!(": {said}") },
        advice: match status {
            StatusCode::UNAUTHORIZED => {
                "; the token of the service account is not accepted: it may have run out"
            }
            StatusCode::FORBIDDEN => {
                "; its Role needs list, watch, get, create and update on leases, and with `state: secret` \
                 get, create and update on secrets"
            }
            _ => "",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_in_kubernetes_and_differ_by_url_and_project() {
        let names = [
            object_name("https://a.example.com", "Payments"),
            object_name("https://a.example.com", "payments"),
            object_name("https://b.example.com", "Payments"),
            object_name("https://a.example.com", "Ödemeler / 支付"),
            object_name("https://a.example.com", &"x".repeat(300)),
            object_name("https://a.example.com", "支付"),
        ];
        for name in &names {
            assert!(name.len() <= 63, "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
        }
        let different: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}
