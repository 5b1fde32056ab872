//! The sandbox behind faults and gates: answers that fail by script or by chance, and calls that
//! wait until a test lets them on.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use apinizer_gitops::testing::sandbox::{self, Dialect, Options, Running, Sandbox};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

/// One thing that goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 500, and nothing was done.
    Error,
    /// 500, and all was done.
    LateError,
    /// 503, and nothing was done.
    Unavailable,
    /// 429 with the seconds to wait, and nothing was done.
    RateLimited { after: u64 },
    /// 401, and nothing was done.
    Unauthorized,
    /// 403, and nothing was done.
    Forbidden,
    /// 200 with a failure inside, and nothing was done.
    Failure,
    /// 200 with success and nothing else, and nothing was done.
    BareSuccess,
    /// This JSON answer, and nothing was done.
    Answer { status: StatusCode, body: String, retry_after: Option<String> },
    /// The connection breaks before anything was done.
    Reset,
    /// All was done, and the connection breaks without an answer.
    Lost,
    /// All was done, and the connection breaks in the middle of the answer.
    Truncated,
    /// A page of a proxy with this status, and nothing was done.
    Html(StatusCode),
    /// A page of a proxy with status 502, and all was done.
    LateHtml,
    /// The answer takes so many milliseconds longer.
    Slow(u64),
    /// A list lacks its last entry, and counts it all the same.
    ShortList,
    /// The last entry of a list has no name.
    NoName,
    /// A list lacks the entry of this name, and counts only the others.
    Unlisted(String),
    /// A list shows the entry of this name twice.
    ListedTwice(String),
    /// A write is saved, and its deployment fails.
    Undeployed,
}

impl Fault {
    /// Whether the fault can strike this call.
    fn strikes(&self, call: &Call) -> bool {
        match self {
            Self::ShortList | Self::NoName | Self::Unlisted(_) | Self::ListedTwice(_) => {
                call.path.contains("/connections/?")
            }
            Self::Undeployed => call.method != Method::GET && !call.is_token(),
            Self::Unauthorized | Self::Forbidden => !call.is_token(),
            _ => true,
        }
    }

    /// The answer to a call that is not carried out; `None`: it is.
    fn instead(&self, dialect: Dialect) -> Option<Response> {
        let refused = |status, code| refused(dialect, status, code);
        Some(match self {
            Self::Reset => broken(),
            Self::Html(status) => page(*status),
            Self::Answer { status, body, retry_after } => {
                let mut response = answer(*status, body.clone());
                if let Some(after) = retry_after {
                    response
                        .headers_mut()
                        .insert(RETRY_AFTER, HeaderValue::from_str(after).unwrap());
                }
                response
            }
            Self::Failure => match dialect {
                Dialect::Current => refused(StatusCode::OK, ""),
                Dialect::Older => answer(StatusCode::OK, json!({"success": false}).to_string()),
            },
            Self::BareSuccess => answer(
                StatusCode::OK,
                match dialect {
                    Dialect::Current => json!({"status": "SUCCESS"}).to_string(),
                    Dialect::Older => json!({"success": true}).to_string(),
                },
            ),
            Self::Error => refused(StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
            Self::Unavailable => refused(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable"),
            Self::Unauthorized => refused(StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Forbidden => refused(StatusCode::FORBIDDEN, "access_denied"),
            Self::RateLimited { after } => {
                let code = "rate_limit_exceeded";
                let mut body = refusal(dialect, code);
                if dialect == Dialect::Older {
                    body["retry_after"] = json!(after);
                }
                let mut response = answer(StatusCode::TOO_MANY_REQUESTS, body.to_string());
                if dialect == Dialect::Current {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*after));
                }
                response
            }
            _ => return None,
        })
    }

    /// The rest of the answer to a call that was carried out.
    async fn spoil(&self, dialect: Dialect, response: Response) -> Response {
        match self {
            Self::Lost => broken(),
            Self::Truncated => cut(response).await,
            Self::LateHtml => page(StatusCode::BAD_GATEWAY),
            Self::LateError => {
                refused(dialect, StatusCode::INTERNAL_SERVER_ERROR, "internal_error")
            }
            Self::ShortList => with_list(response, true, |list| drop(list.pop())).await,
            Self::NoName => {
                let forget = |last: &mut Value| last.as_object_mut().unwrap().shift_remove("name");
                with_list(response, true, |list| drop(list.last_mut().map(forget))).await
            }
            Self::Unlisted(name) => {
                with_list(response, false, |list| list.retain(|entry| !is_of(entry, name))).await
            }
            Self::ListedTwice(name) => {
                let again = |list: &mut Vec<Value>| {
                    list.extend(list.clone().into_iter().filter(|entry| is_of(entry, name)));
                };
                with_list(response, false, again).await
            }
            Self::Undeployed => {
                changed(response, |body| undeploy(&mut body["deploymentResult"])).await
            }
            _ => response,
        }
    }
}

fn is_of(entry: &Value, name: &str) -> bool {
    entry["name"].as_str().is_some_and(|of| of.eq_ignore_ascii_case(name))
}

/// Lets a deployment fail, and the one of each pod or environment in it.
fn undeploy(deployment: &mut Value) {
    let Some(deployment) = deployment.as_object_mut() else { return };
    for (key, value) in deployment {
        match value {
            Value::Bool(success) => *success = false,
            Value::Array(inner) => inner.iter_mut().for_each(undeploy),
            Value::String(text) if key == "detail" || key == "message" => {
                *text = "Worker did not answer".to_owned();
            }
            _ => {}
        }
    }
}

fn refusal(dialect: Dialect, code: &str) -> Value {
    let text = "Something went wrong!";
    match dialect {
        Dialect::Current => json!({"status": "FAILURE", "resultMessage": text}),
        Dialect::Older => json!({"error": code, "error_description": text}),
    }
}

fn refused(dialect: Dialect, status: StatusCode, code: &str) -> Response {
    answer(status, refusal(dialect, code).to_string())
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn page(status: StatusCode) -> Response {
    let text = format!("<html><head><title>{status}</title></head></html>\r\n");
    (status, [(CONTENT_TYPE, "text/html")], text).into_response()
}

fn reset() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset)
}

/// A body that fails before its first byte takes the headers with it: they are still in the
/// server's buffer when it drops the connection.
fn broken() -> Response {
    Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(reset()) })))
}

/// Half of the body, then the connection breaks.
async fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let halves = stream::unfold(Some(half), |left| async move {
        let half = left?;
        if half.is_empty() {
            // The server sends its buffer when the body makes it wait, and forgets it when the
            // body fails at once.
            tokio::task::yield_now().await;
            return Some((Err(reset()), None));
        }
        Some((Ok(half), Some(Bytes::new())))
    });
    Response::from_parts(parts, Body::from_stream(halves))
}

async fn changed(response: Response, change: impl FnOnce(&mut Value)) -> Response {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        return Response::from_parts(parts, Body::from(body));
    };
    change(&mut value);
    answer(parts.status, value.to_string())
}

/// Changes the `resultList` of an answer; with a `lie` its count stays, and is 1 where the list
/// was empty.
async fn with_list(
    response: Response,
    lie: bool,
    change: impl FnOnce(&mut Vec<Value>),
) -> Response {
    changed(response, |body| {
        let Some(list) = body.get_mut("resultList").and_then(Value::as_array_mut) else { return };
        let before = list.len();
        change(list);
        let count = if lie { before.max(1) } else { list.len() };
        body["resultCount"] = json!(count);
    })
    .await
}

/// A call as faults and gates see it.
#[derive(Clone, Debug)]
struct Call {
    method: Method,
    /// Path and query, as they were sent.
    path: String,
}

impl Call {
    fn is_token(&self) -> bool {
        self.path.contains("/auth/token")
    }
}

/// Which calls a fault or a gate is for.
#[derive(Clone, Debug)]
struct Pattern {
    method: Option<Method>,
    path: String,
}

impl Pattern {
    fn fits(&self, call: &Call) -> bool {
        self.method.as_ref().is_none_or(|of| *of == call.method) && call.path.contains(&self.path)
    }
}

/// Where a gate holds a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before anything was done.
    Before,
    /// When all was done, before the answer is sent.
    After,
}

/// Holds calls until it is opened or dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pattern: Pattern,
    moment: Moment,
    arrived: watch::Sender<usize>,
    bar: watch::Sender<Bar>,
}

/// The action of a gate on the calls that come to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bar {
    /// They wait.
    Down,
    /// They go on.
    Up,
    /// They go no further, as if they had never come.
    Gone,
}

impl Gate {
    /// How many calls it has held so far.
    pub(crate) fn arrived(&self) -> usize {
        *self.shared.arrived.borrow()
    }

    /// Waits until it has held so many calls.
    pub(crate) async fn wait_for(&self, calls: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        // The sender lives as long as the gate, so the wait cannot fail.
        let _ = arrived.wait_for(|count| *count >= calls).await;
    }

    /// Lets the calls on that it holds, and those that would come.
    pub(crate) fn open(self) {
        drop(self);
    }

    /// Lets none of the calls on that it holds: those held before anything was done leave no
    /// trace, as when the client dies before its request is out.
    pub(crate) fn abandon(self) {
        self.shared.bar.send_replace(Bar::Gone);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if *self.shared.bar.borrow() == Bar::Down {
            self.shared.bar.send_replace(Bar::Up);
        }
    }
}

/// Faults of one kind that strike by chance, from 0 to 1.
pub(crate) type Chance = (Fault, f64);

/// The faults and gates of one server.
///
/// A draw by chance depends on the seed, the method, the path and how often that call was made
/// before, and not on what other calls are made at the same time: a drill with many calls in
/// flight is repeated exactly.
#[derive(Debug, Default)]
struct Faults {
    state: Mutex<Faulty>,
}

#[derive(Debug, Default)]
struct Faulty {
    dialect: Option<Dialect>,
    scripted: Vec<(Pattern, Fault, usize)>,
    chances: Vec<Chance>,
    seed: u64,
    calls: HashMap<u64, u64>,
    struck: usize,
    gates: Vec<Weak<Shared>>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Faulty> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits before every gate that holds this call; `false`: it goes no further.
    async fn pass(&self, call: &Call, moment: Moment) -> bool {
        let gates: Vec<Arc<Shared>> = self.lock().gates.iter().filter_map(Weak::upgrade).collect();
        let fitting = gates.iter().filter(|gate| gate.moment == moment && gate.pattern.fits(call));
        let bars: Vec<watch::Receiver<Bar>> = fitting
            .map(|gate| {
                gate.arrived.send_modify(|count| *count += 1);
                gate.bar.subscribe()
            })
            .collect();
        drop(gates);
        let mut goes_on = true;
        for mut bar in bars {
            // A gate that is gone is open.
            let left = bar.wait_for(|bar| *bar != Bar::Down).await.map(|bar| *bar);
            goes_on &= !matches!(left, Ok(Bar::Gone));
        }
        goes_on
    }
}

impl Faulty {
    /// Draws what strikes a call: how much longer it takes, and what else goes wrong.
    fn draw(&mut self, call: &Call) -> (Duration, Option<Fault>) {
        let mut drawn = Vec::new();
        let is_slow = |fault: &Fault| matches!(fault, Fault::Slow(_));
        for (pattern, fault, left) in &mut self.scripted {
            let fits = *left > 0 && pattern.fits(call) && fault.strikes(call);
            if fits && (is_slow(fault) || drawn.iter().all(is_slow)) {
                *left -= 1;
                drawn.push(fault.clone());
            }
        }
        if !self.chances.is_empty() {
            let key = hash(call.method.as_str().bytes().chain([b' ']).chain(call.path.bytes()));
            let calls = self.calls.entry(key).or_default();
            *calls += 1;
            let numbers = [self.seed, key, *calls];
            let seed = hash(numbers.iter().flat_map(|number| number.to_be_bytes()));
            let mut random = fastrand::Rng::with_seed(seed);
            // Every chance takes its draw, so that one does not change the luck of the next.
            let struck = self.chances.iter().filter(|(_, chance)| random.f64() < *chance);
            drawn.extend(struck.map(|(fault, _)| fault.clone()).filter(|f| f.strikes(call)));
        }
        self.struck += usize::from(!drawn.is_empty());
        let slow =
            drawn.iter().map(|fault| if let Fault::Slow(ms) = fault { *ms } else { 0 }).sum();
        (Duration::from_millis(slow), drawn.into_iter().find(|fault| !is_slow(fault)))
    }
}

/// FNV-1a: the same on every machine and in every release, as a seed has to be.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

async fn strike(State(faults): State<Arc<Faults>>, request: Request, next: Next) -> Response {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let call = Call { method: request.method().clone(), path };
    let (slow, fault, dialect) = {
        let mut state = faults.lock();
        let (slow, fault) = state.draw(&call);
        (slow, fault, state.dialect.unwrap_or(Dialect::Current))
    };
    if !faults.pass(&call, Moment::Before).await {
        return broken();
    }
    tokio::time::sleep(slow).await;
    let response = match fault {
        Some(fault) => match fault.instead(dialect) {
            Some(response) => response,
            None => fault.spoil(dialect, next.run(request).await).await,
        },
        None => next.run(request).await,
    };
    faults.pass(&call, Moment::After).await;
    response
}

/// A hold on a sandbox, its faults and its gates.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    sandbox: sandbox::Control,
    faults: Arc<Faults>,
}

impl Deref for Control {
    type Target = sandbox::Control;

    fn deref(&self) -> &Self::Target {
        &self.sandbox
    }
}

impl Control {
    /// Lets the next `times` calls fail whose method is this one (`None`: any) and whose path
    /// and query, as they are sent, contain the text; it comes before any chance.
    pub(crate) fn fail_next(&self, method: Option<Method>, path: &str, fault: Fault, times: usize) {
        let pattern = Pattern { method, path: path.to_owned() };
        self.faults.lock().scripted.push((pattern, fault, times));
    }

    /// Lets calls fail by chance from now on.
    pub(crate) fn fail_by_chance(&self, chances: &[Chance], seed: u64) {
        let mut state = self.faults.lock();
        (state.chances, state.seed) = (chances.to_vec(), seed);
    }

    /// Ends all faults.
    pub(crate) fn clear_faults(&self) {
        let mut state = self.faults.lock();
        state.scripted.clear();
        state.chances.clear();
    }

    /// How many calls were struck by a fault.
    pub(crate) fn struck(&self) -> usize {
        self.faults.lock().struck
    }

    /// Holds the calls whose method is this one (`None`: any) and whose path and query, as they
    /// are sent, contain the text, until the gate is opened or dropped.
    #[must_use]
    pub(crate) fn gate(&self, method: Option<Method>, path: &str, moment: Moment) -> Gate {
        let pattern = Pattern { method, path: path.to_owned() };
        let (arrived, bar) = (watch::Sender::new(0), watch::Sender::new(Bar::Down));
        let shared = Arc::new(Shared { pattern, moment, arrived, bar });
        self.faults.lock().gates.push(Arc::downgrade(&shared));
        Gate { shared }
    }
}

/// A sandbox behind faults and gates.
#[derive(Debug)]
pub(crate) struct Server {
    running: Running,
    control: Control,
}

impl Server {
    pub(crate) async fn start(options: Options) -> Self {
        let faults = Arc::new(Faults::default());
        faults.lock().dialect = Some(options.dialect);
        let state = Arc::clone(&faults);
        let layers = |api: axum::Router| api.layer(from_fn_with_state(state, strike));
        let running = Sandbox::start_behind(options, layers).await.unwrap();
        let control = Control { sandbox: running.control().clone(), faults };
        Self { running, control }
    }

    pub(crate) fn url(&self) -> String {
        self.running.url()
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Opens all gates and stops.
    pub(crate) async fn stop(self) {
        for gate in self.control.faults.lock().gates.drain(..).filter_map(|gate| gate.upgrade()) {
            gate.bar.send_replace(Bar::Up);
        }
        self.running.stop().await;
    }
}

fn drawn(seed: u64, others: bool) -> Vec<Option<Fault>> {
    let mut state = Faulty { chances: vec![(Fault::Error, 0.5)], seed, ..Faulty::default() };
    let call = |path: &str| Call { method: Method::GET, path: path.to_owned() };
    let draw = |_| {
        if others {
            state.draw(&call("/b"));
        }
        state.draw(&call("/a")).1
    };
    (0..200).map(draw).collect()
}

#[test]
fn a_seed_repeats_its_faults_whatever_else_is_called() {
    assert_eq!(drawn(1, false), drawn(1, true));
    assert_ne!(drawn(1, false), drawn(2, false));
    let struck = drawn(1, false).iter().flatten().count();
    assert!((70..=130).contains(&struck), "{struck} of 200 at a chance of 0.5");
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_it_was_told() {
    let server = Server::start(Options::default()).await;
    let control = server.control();
    for name in ["a", "b"] {
        control.put("demo", json!({"type": "email", "name": name})).unwrap();
    }
    let names = async || {
        let url = format!("{}/apiops/projects/demo/connections/?type=email", server.url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer: Value =
            client.get(url).bearer_auth("t").send().await.unwrap().json().await.unwrap();
        let list = answer["resultList"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> =
            list.iter().map(|entry| entry["name"].as_str().unwrap_or("-").to_owned()).collect();
        (answer["resultCount"].as_u64(), names.join(" "))
    };
    let all = (Some(2), "a b".to_owned());
    for (fault, count, listed) in [
        (Fault::Unlisted("a".to_owned()), Some(1), "b"),
        (Fault::ListedTwice("b".to_owned()), Some(3), "a b b"),
        (Fault::BareSuccess, None, ""),
        (Fault::ShortList, Some(2), "a"),
        (Fault::NoName, Some(2), "a -"),
    ] {
        control.fail_next(Some(Method::GET), "type=email", fault.clone(), 1);
        assert_eq!(names().await, (count, listed.to_owned()), "{fault:?}");
        assert_eq!(names().await, all, "{fault:?} struck once");
    }
    assert_eq!(control.struck(), 5);
}

#[tokio::test]
async fn a_gate_holds_a_call_before_or_after_it_is_done() {
    let server = Server::start(Options::default()).await;
    for (moment, done) in [(Moment::Before, false), (Moment::After, true)] {
        let gate = server.control().gate(Some(Method::POST), "", moment);
        let url = format!("{}/apiops/projects/demo/connections/a/", server.url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(url).bearer_auth("t");
        let call = tokio::spawn(request.json(&json!({"type": "email", "name": "a"})).send());
        gate.wait_for(1).await;
        assert_eq!(gate.arrived(), 1);
        assert_eq!(server.control().get("demo", "a").is_some(), done);
        assert!(!call.is_finished());
        gate.open();
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
        assert!(server.control().remove("demo", "a"));
    }
    server.stop().await;
}
