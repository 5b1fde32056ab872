//! The sandbox behind faults and gates: answers that fail by script or by chance, and calls that
//! wait until a test lets them on.

mod answers;
mod gates;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use apinizer_gitops::testing::sandbox::{self, Dialect, Options, Sandbox};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) use answers::Fault;
use answers::broken;
use gates::{Bar, Shared};
pub(crate) use gates::{Gate, Moment};

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
    running: Sandbox,
    control: Control,
}

impl Server {
    pub(crate) async fn start(options: Options) -> Self {
        let faults = Arc::new(Faults::default());
        faults.lock().dialect = options.profile.dialect;
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
