//! The calls that were made, for tests and drills that have to know.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::Method;
use bytes::Bytes;
use serde::Serialize;

use crate::secret::SensitiveValue;

/// How many calls are kept; older ones are only counted.
const KEPT: usize = 50_000;

/// One call that a sandbox was sent, in the order in which they arrived.
#[derive(Clone, Serialize)]
pub struct LoggedCall {
    /// Its place among all calls since the start, from 1.
    pub number: u64,
    /// Its method.
    pub method: String,
    /// Its path and query, as they were sent.
    pub path: String,
    /// The status that it was answered with; `None`: not yet.
    pub status: Option<u16>,
    /// When it arrived, in milliseconds since the sandbox started.
    pub after_ms: f64,
    /// How many calls were being answered then, this one included.
    pub at_once: usize,
    #[serde(skip)]
    body: Bytes,
}

impl LoggedCall {
    /// The JSON body that came with it. It may hold secrets: never print it.
    pub fn body(&self) -> Option<SensitiveValue> {
        serde_json::from_slice(&self.body).ok().map(SensitiveValue::new)
    }

    /// Method and path, as tests like to compare them.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl fmt::Display for LoggedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> ", self.method, self.path)?;
        match self.status {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("no answer"),
        }
    }
}

impl fmt::Debug for LoggedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {self}", self.number)
    }
}

/// The calls since the start, or since they were last taken.
#[derive(Debug, Default)]
pub(super) struct Log {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    started: Instant,
    calls: VecDeque<LoggedCall>,
    count: u64,
    at_once: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { started: Instant::now(), calls: VecDeque::new(), count: 0, at_once: 0 }
    }
}

impl Log {
    /// Notes a call that has arrived, and gives its number.
    pub(super) fn arrived(&self, method: &Method, path: &str, body: Bytes) -> u64 {
        let mut state = self.lock();
        state.count += 1;
        state.at_once += 1;
        let number = state.count;
        if state.calls.len() >= KEPT {
            state.calls.pop_front();
        }
        let call = LoggedCall {
            number,
            method: method.to_string(),
            path: path.to_owned(),
            status: None,
            after_ms: state.started.elapsed().as_secs_f64() * 1000.0,
            at_once: state.at_once,
            body,
        };
        state.calls.push_back(call);
        number
    }

    /// Notes how a call ended, if it is still kept.
    pub(super) fn ended(&self, number: u64, status: u16) {
        let mut state = self.lock();
        state.at_once = state.at_once.saturating_sub(1);
        let found = state.calls.binary_search_by_key(&number, |call| call.number);
        if let Some(call) = found.ok().and_then(|index| state.calls.get_mut(index)) {
            call.status = Some(status);
        }
    }

    /// The calls that are kept.
    pub(super) fn calls(&self) -> Vec<LoggedCall> {
        self.lock().calls.iter().cloned().collect()
    }

    /// Takes the calls out.
    pub(super) fn take(&self) -> Vec<LoggedCall> {
        std::mem::take(&mut self.lock().calls).into()
    }

    /// How many calls have arrived since the start.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
