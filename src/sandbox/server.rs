//! What a sandbox is made of, and the way of a request through it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request, Response};
use bytes::Bytes;

use super::answer::{Answer, Reply};
use super::call::Call;
use super::data::Saver;
use super::dialect::Refusal;
use super::faults::{Drawing, Fault};
use super::gate::{Gates, Moment};
use super::log::Log;
use super::options::Options;
use super::rate::Rate;
use super::store::Store;
use super::tokens::Tokens;
use super::{connections, spoil};

/// The largest body of a request.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// One sandbox: what its calls, its console and its data file share.
#[derive(Debug)]
pub(super) struct Server {
    options: RwLock<Arc<Options>>,
    store: Mutex<Store>,
    pub(super) tokens: Tokens,
    pub(super) drawing: Drawing,
    pub(super) gates: Gates,
    rate: Rate,
    pub(super) log: Log,
    pub(super) saver: Option<Saver>,
}

impl Server {
    /// Puts a sandbox together.
    pub(super) fn new(options: Options, store: Store, saver: Option<Saver>) -> Self {
        Self {
            drawing: Drawing::new(options.seed, options.faults.clone()),
            options: RwLock::new(Arc::new(options)),
            store: Mutex::new(store),
            tokens: Tokens::default(),
            gates: Gates::default(),
            rate: Rate::default(),
            log: Log::new(),
            saver,
        }
    }

    /// The options as they are now.
    pub(super) fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the options, and draws every list anew.
    pub(super) fn alter(&self, change: impl FnOnce(&mut Options)) {
        let mut store = self.store();
        let mut options = self.options.write().unwrap_or_else(PoisonError::into_inner);
        let before = options.faults.clone();
        change(Arc::make_mut(&mut options));
        if options.faults != before {
            self.drawing.set_chances(options.faults.clone());
        }
        store.redraw(&options);
    }

    /// Changes options that no list shows.
    pub(super) fn alter_unseen(&self, change: impl FnOnce(&mut Options)) {
        change(Arc::make_mut(&mut self.options.write().unwrap_or_else(PoisonError::into_inner)));
    }

    /// The connections. Where both are held, this lock is taken before that of the options.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request, read whole.
struct Received {
    method: Method,
    /// Path and query, as they were sent.
    target: String,
    call: Call,
    authorization: Option<String>,
    body: Bytes,
}

/// Answers every request that is not for the control surface.
pub(super) async fn answer(
    State(server): State<Arc<Server>>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return Reply::Broken.into_response();
    };
    let received = Received {
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        call: Call::of(&parts.method, parts.uri.path(), parts.uri.query()),
        authorization: parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        method: parts.method,
        body,
    };
    // A task of its own: a server does not stop in the middle of a write because the client
    // has gone, so neither does this one.
    let task = tokio::spawn(async move { server.take(received).await });
    task.await.unwrap_or(Reply::Broken).into_response()
}

impl Server {
    async fn take(&self, received: Received) -> Reply {
        let Received { method, target, .. } = &received;
        // The form of a token request is a secret that no test has to see.
        let seen = if received.call == Call::Token { Bytes::new() } else { received.body.clone() };
        let number = self.log.arrived(method, target, seen);
        let struck = self.drawing.draw(method, target, &received.call);
        if !self.gates.pass(method, target, Moment::Before).await {
            self.log.ended(number, Reply::Broken.status(), None);
            return Reply::Broken;
        }
        let pause = self.options().latency + struck.slow;
        wait(pause).await;
        let options = self.options();
        let over = self.rate.count(options.rate_limit, Instant::now());
        let fault = struck.fault.or(over);
        let reply = match &fault {
            Some(fault) if fault.strikes_before() => spoil::instead(options.dialect, fault),
            _ => {
                let undeployed = fault == Some(Fault::Undeployed);
                let answer = match self.carry_out(&options, &received, undeployed).await {
                    Ok(answer) => answer,
                    Err(refusal) => options.refused(&refusal),
                };
                match &fault {
                    Some(fault) => spoil::after(options.dialect, fault, answer),
                    None => Reply::Whole(answer),
                }
            }
        };
        self.log.ended(number, reply.status(), fault.or_else(|| slowness(struck.slow)));
        self.gates.pass(method, target, Moment::After).await;
        reply
    }

    async fn carry_out(
        &self,
        options: &Options,
        received: &Received,
        undeployed: bool,
    ) -> Result<Answer, Refusal> {
        match &received.call {
            Call::NoSuchPath => return Err(Refusal::NoSuchPath),
            Call::NoSuchMethod => return Err(Refusal::NoSuchMethod),
            Call::Token => return self.tokens.issue(options, &received.body),
            _ => self.tokens.check(options, received.authorization.as_deref())?,
        }
        let (answer, change) = {
            let mut store = self.store();
            // Read again under the lock: what is drawn now has to fit what was drawn before.
            let options = self.options();
            let answer = connections::carry_out(
                &mut store,
                &options,
                &received.call,
                &received.body,
                undeployed,
            )?;
            // Noted under the lock of the store, so that the file that holds this change is
            // known by its number.
            let change = received.call.is_write().then(|| self.saver.as_ref().map(Saver::note));
            (answer, change.flatten())
        };
        if let (Some(saver), Some(change)) = (&self.saver, change)
            && !saver.wait(change).await
        {
            return Err(Refusal::NotSaved);
        }
        Ok(answer)
    }
}

/// Waits, and not much longer than asked: the runtime's timer counts whole milliseconds, which
/// is too coarse for the few that a benchmark asks for.
async fn wait(pause: Duration) {
    const SHORT: Duration = Duration::from_millis(50);
    if pause.is_zero() {
        return;
    }
    let precise = pause < SHORT
        && tokio::task::spawn_blocking(move || std::thread::sleep(pause)).await.is_ok();
    if !precise {
        tokio::time::sleep(pause).await;
    }
}

fn slowness(slow: Duration) -> Option<Fault> {
    (!slow.is_zero()).then_some(Fault::Slow(slow))
}
