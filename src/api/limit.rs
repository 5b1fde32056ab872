//! The moment by which every write has to be over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The moment by which every write of a run has to be over; clones share it. A process that may
/// act for a target only for a time moves it on as long as it may; without one, which is the
/// default, writes have all the time there is.
#[derive(Clone, Debug, Default)]
pub struct WriteLimit {
    until: Vec<Arc<Mutex<Instant>>>,
}

impl WriteLimit {
    /// Writes have to be over by then.
    #[must_use]
    pub fn at(until: Instant) -> Self {
        Self { until: vec![Arc::new(Mutex::new(until))] }
    }

    /// Both limits at once: the earlier one counts.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self { until: self.until.iter().chain(&other.until).cloned().collect() }
    }

    /// Moves the limit, for all who share it.
    pub fn move_to(&self, at: Instant) {
        for until in &self.until {
            *until.lock().unwrap_or_else(PoisonError::into_inner) = at;
        }
    }

    /// Whether a write that begins now, and may take so long, is over in time.
    #[must_use]
    pub fn has_room_for(&self, longest: Duration) -> bool {
        let Some(over) = Instant::now().checked_add(longest) else { return self.until.is_empty() };
        let is_in_time = |until: &Arc<Mutex<Instant>>| {
            over <= *until.lock().unwrap_or_else(PoisonError::into_inner)
        };
        self.until.iter().all(is_in_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_write_has_to_be_over_before_the_earliest_limit() {
        assert!(WriteLimit::default().has_room_for(Duration::MAX), "there is no limit");
        let early = WriteLimit::at(Instant::now() + 10 * SECOND);
        let both = early.and(&WriteLimit::at(Instant::now() + 60 * SECOND));
        assert!(both.has_room_for(10 * SECOND));
        tokio::time::advance(SECOND).await;
        assert!(!both.has_room_for(10 * SECOND));
        early.move_to(Instant::now() + 20 * SECOND);
        assert!(both.has_room_for(20 * SECOND));
        assert!(!both.has_room_for(21 * SECOND));
        assert!(!both.has_room_for(Duration::MAX));
    }
}
