//! The calls that were made, for tests and drills that have to know.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Method;
use bytes::Bytes;
use serde::Serialize;

use super::faults::Fault;
use crate::secret::SensitiveValue;

/// How many calls are kept; older ones are only counted.
const KEPT: usize = 50_000;

/// One call that a sandbox was sent, in the order in which they arrived.
#[derive(Clone, Serialize)]
pub struct LoggedCall {
    /// Its place among all calls since the start, from 1.
    pub number: u64,
    /// When it arrived, since the start.
    #[serde(rename = "after_ms", serialize_with = "milliseconds")]
    pub after: Duration,
    /// Its method.
    pub method: String,
    /// Its path and query, as they were sent.
    pub path: String,
    /// The status that it was answered with; `None`: not yet, or the connection was broken.
    pub status: Option<u16>,
    /// The fault that struck it.
    #[serde(serialize_with = "fault_name")]
    pub fault: Option<Fault>,
    #[serde(skip)]
    body: Bytes,
}

impl LoggedCall {
    /// The JSON body that came with it. It may hold secrets: never print it.
    #[must_use]
    pub fn body(&self) -> Option<SensitiveValue> {
        serde_json::from_slice(&self.body).ok().map(SensitiveValue::new)
    }

    /// Method and path, as tests like to compare them.
    #[must_use]
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
        }?;
        match &self.fault {
            Some(fault) => write!(f, " ({fault})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for LoggedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {self}", self.number)
    }
}

fn milliseconds<S: serde::Serializer>(after: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(after.as_secs_f64() * 1000.0)
}

fn fault_name<S: serde::Serializer>(fault: &Option<Fault>, to: S) -> Result<S::Ok, S::Error> {
    match fault {
        Some(fault) => to.collect_str(fault),
        None => to.serialize_none(),
    }
}

/// The calls since the start, or since they were last taken.
#[derive(Debug)]
pub(super) struct Log {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: VecDeque<LoggedCall>,
    count: u64,
}

impl Log {
    /// Starts counting.
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), state: Mutex::default() }
    }

    /// Notes a call that has arrived, and gives its number.
    pub(super) fn arrived(&self, method: &Method, path: &str, body: Bytes) -> u64 {
        let after = self.start.elapsed();
        let mut state = self.lock();
        state.count += 1;
        let number = state.count;
        if state.calls.len() >= KEPT {
            state.calls.pop_front();
        }
        state.calls.push_back(LoggedCall {
            number,
            after,
            method: method.to_string(),
            path: path.to_owned(),
            status: None,
            fault: None,
            body,
        });
        number
    }

    /// Notes how a call ended, if it is still kept.
    pub(super) fn ended(&self, number: u64, status: Option<u16>, fault: Option<Fault>) {
        let mut state = self.lock();
        let found = state.calls.binary_search_by_key(&number, |call| call.number);
        if let Some(call) = found.ok().and_then(|index| state.calls.get_mut(index)) {
            call.status = status;
            call.fault = fault;
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
