//! Gates: calls that wait until a test lets them on.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::http::Method;
use tokio::sync::watch;

/// Where a gate holds a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before anything was done.
    Before,
    /// When all was done, before the answer is sent.
    After,
}

/// Holds calls until it is opened or dropped.
#[derive(Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    method: Option<Method>,
    path: String,
    moment: Moment,
    arrived: watch::Sender<usize>,
    bar: watch::Sender<Bar>,
}

/// What a gate does with the calls that come to it.
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
    #[must_use]
    pub fn arrived(&self) -> usize {
        *self.inner.arrived.borrow()
    }

    /// Waits until it has held so many calls.
    pub async fn wait_for(&self, calls: usize) {
        let mut arrived = self.inner.arrived.subscribe();
        // The sender lives as long as the gate, so the wait cannot fail.
        let _ = arrived.wait_for(|count| *count >= calls).await;
    }

    /// Lets the calls on that it holds, and those that would come.
    pub fn open(self) {
        drop(self);
    }

    /// Lets none of the calls on that it holds: those held before anything was done leave no
    /// trace, as when the client dies before its request is out.
    pub fn abandon(self) {
        self.inner.bar.send_replace(Bar::Gone);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.inner.bar.send_if_modified(|bar| {
            let held = *bar == Bar::Down;
            if held {
                *bar = Bar::Up;
            }
            held
        });
    }
}

/// The gates that stand.
#[derive(Debug, Default)]
pub(super) struct Gates {
    gates: Mutex<Vec<Weak<Inner>>>,
}

impl Gates {
    /// Puts a gate up for the calls whose method and path fit.
    pub(super) fn put_up(&self, method: Option<Method>, path: &str, moment: Moment) -> Gate {
        let inner = Arc::new(Inner {
            method,
            path: path.to_owned(),
            moment,
            arrived: watch::Sender::new(0),
            bar: watch::Sender::new(Bar::Down),
        });
        let mut gates = self.lock();
        gates.retain(|gate| gate.strong_count() > 0);
        gates.push(Arc::downgrade(&inner));
        Gate { inner }
    }

    /// Waits before every gate that holds this call; `false`: it goes no further.
    pub(super) async fn pass(&self, method: &Method, path: &str, moment: Moment) -> bool {
        let waits: Vec<watch::Receiver<Bar>> = self
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|gate| {
                gate.moment == moment
                    && gate.method.as_ref().is_none_or(|of| of == method)
                    && path.contains(&gate.path)
            })
            .map(|gate| {
                gate.arrived.send_modify(|count| *count += 1);
                gate.bar.subscribe()
            })
            .collect();
        let mut goes_on = true;
        for mut bar in waits {
            // A gate that is gone is open.
            let left = bar.wait_for(|bar| *bar != Bar::Down).await.map(|bar| *bar);
            goes_on &= !matches!(left, Ok(Bar::Gone));
        }
        goes_on
    }

    /// Opens all gates, so that a server that stops waits for none.
    pub(super) fn open_all(&self) {
        for gate in self.lock().drain(..).filter_map(|gate| gate.upgrade()) {
            gate.bar.send_replace(Bar::Up);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Inner>>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
