//! The rate limit: so many calls in a second, the rest is told to come back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::faults::Fault;

const WINDOW: Duration = Duration::from_secs(1);

/// The calls of the current second.
#[derive(Debug, Default)]
pub(super) struct Rate {
    window: Mutex<Option<(Instant, u32)>>,
}

impl Rate {
    /// Counts a call at a moment; a fault where it is one too many.
    pub(super) fn count(&self, limit: Option<u32>, now: Instant) -> Option<Fault> {
        let limit = limit?;
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, calls) = match *window {
            Some((start, calls)) if now.duration_since(start) < WINDOW => (start, calls),
            _ => (now, 0),
        };
        *window = Some((start, calls.saturating_add(1)));
        (calls >= limit).then_some(Fault::RateLimited { after: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_second_begins_anew() {
        let rate = Rate::default();
        let start = Instant::now();
        let refused = |at: Duration| rate.count(Some(2), start + at).is_some();
        assert!(!refused(Duration::ZERO) && !refused(Duration::from_millis(1)));
        assert!(refused(Duration::from_millis(999)));
        assert!(!refused(WINDOW));
        assert!(rate.count(None, start).is_none());
    }
}
