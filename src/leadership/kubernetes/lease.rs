//! A Lease as values: whose turn it is, for how long a renewal holds, and the Lease that replaces it.
//! Pure: both clocks are given.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cluster::ObjectKind;

/// A Lease whose holder writes is renewed so often in its duration.
const RENEWALS: u32 = 9;

/// The share of its duration after which a Lease is renewed whose holder writes nothing. The rest of it is
/// for renewals that fail.
const IDLE: f64 = 0.7;

/// The share of a Lease's duration that is left unused at its end.
const MARGIN: u32 = 10;

/// How often a renewal that failed is tried again within the duration.
const RETRIES: u32 = 30;

/// The holder of a Lease that a replica makes in the place of one that was deleted. The last holder may
/// have renewed that one just before, and may not know, so all wait for the duration of the new one. It
/// does not matter then when, or whether, a replica saw the deletion.
const DELETED: &str = "a replica whose lease was deleted";

/// A Lease as a replica that wants it last saw it change.
///
/// Clocks of machines differ, so the time that a holder writes says nothing but that it wrote:
/// a Lease runs out when its spec has stayed the same for its duration on this machine's own
/// monotonic clock, whatever the times in it are.
#[derive(Debug, Default)]
pub(super) struct ObservedLease {
    // The spec, and when it was first seen so.
    last: Option<(Value, Instant)>,
    free_since: Option<Instant>,
}

/// The decision of a replica about a Lease that it wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LeaseTurn {
    /// It writes itself into the Lease.
    Claim,
    /// It waits: another replica holds the Lease, or one that holds fewer may take it first.
    Wait { holder: Option<String>, until: Instant },
}

impl ObservedLease {
    /// Whether a replica held the Lease when it was last read.
    pub(super) fn saw_a_holder(&self) -> bool {
        self.last.as_ref().is_some_and(|(spec, _)| holder_in(spec).is_some())
    }

    /// Notes the Lease that was read, and says whose turn it is; `now` is after the answer came. A
    /// Lease that is free is left to others for as long as `wait` says.
    pub(super) fn turn(
        &mut self,
        lease: Option<&Value>,
        own: &str,
        wait: Duration,
        now: Instant,
    ) -> LeaseTurn {
        let spec = lease.map_or(&Value::Null, |lease| &lease["spec"]);
        if self.last.as_ref().is_none_or(|(last, _)| last != spec) {
            self.last = Some((spec.clone(), now));
        }
        let seen = self.last.as_ref().map_or(now, |(_, seen)| *seen);
        match (holder_in(spec), seen + duration(spec)) {
            // A claim of ours whose answer was lost.
            (Some(holder), _) if holder == own => LeaseTurn::Claim,
            (Some(holder), until) if until > now => {
                self.free_since = None;
                LeaseTurn::Wait { holder: Some(holder.to_owned()), until }
            }
            _ => {
                let until = *self.free_since.get_or_insert(now) + wait;
                if until > now { LeaseTurn::Wait { holder: None, until } } else { LeaseTurn::Claim }
            }
        }
    }
}

/// The times of a Lease that is held. They count from the moment before the last renewal was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    lasts: Duration,
    /// By when every write has to be over.
    pub(super) until: Instant,
    /// The next renewal, if a write is about to begin.
    pub(super) soonest: Instant,
    /// The next renewal, if none is.
    pub(super) renew_at: Instant,
}

impl Times {
    /// The times after a renewal that was sent then.
    pub(super) fn renewed(lasts: Duration, sent: Instant) -> Self {
        Self {
            lasts,
            until: sent + (lasts - lasts / MARGIN),
            soonest: sent + lasts / RENEWALS,
            renew_at: sent + lasts.mul_f64(IDLE),
        }
    }

    /// The times after a renewal that failed then.
    pub(super) fn failed(self, now: Instant) -> Self {
        let soonest = now + self.lasts / RETRIES;
        Self { soonest, renew_at: soonest.min(self.until), ..self }
    }
}

/// Why a replica does not hold a Lease that was read again after its renewal met another version.
pub(super) fn how_lost(found: Option<&Value>, own: &str) -> Option<String> {
    match found.map(holder) {
        Some(Some(holder)) if holder == own => None,
        Some(Some(DELETED)) | None => Some("it was deleted".to_owned()),
        Some(Some(holder)) => Some(format!("{holder} took it")),
        Some(None) => Some("it was freed by hand".to_owned()),
    }
}

/// The holder of a Lease; an empty name is none.
pub(super) fn holder(lease: &Value) -> Option<&str> {
    holder_in(&lease["spec"])
}

fn holder_in(spec: &Value) -> Option<&str> {
    spec["holderIdentity"].as_str().filter(|holder| !holder.is_empty())
}

/// How long a holder may be silent. A Lease without a sensible duration is given the longest
/// that one is likely to have: rather wait than act beside another.
fn duration(spec: &Value) -> Duration {
    const UNKNOWN: Duration = Duration::from_secs(300);
    match spec["leaseDurationSeconds"].as_u64() {
        Some(seconds @ 1..=86_400) => Duration::from_secs(seconds),
        _ => UNKNOWN,
    }
}

/// The Lease to write to hold it from now on: the one that was read with another spec, so that
/// other fields and labels stay, or a new one.
pub(super) fn held(
    lease: Option<&Value>,
    name: &str,
    own: &str,
    lasts: Duration,
    wall: Timestamp,
) -> Value {
    let mut new = lease.cloned().unwrap_or_else(|| ObjectKind::Lease.named(name));
    let before = new["spec"].clone();
    let now = time(wall);
    let is_own = holder(&new) == Some(own);
    let taken = before["leaseTransitions"].as_u64().unwrap_or(0);
    new["spec"] = json!({
        "holderIdentity": own,
        // Others wait for whole seconds, never for less than the holder counts on.
        "leaseDurationSeconds": lasts.as_secs() + u64::from(lasts.subsec_nanos() > 0),
        "acquireTime": if is_own { before["acquireTime"].clone() } else { json!(now) },
        "renewTime": now,
        "leaseTransitions": if is_own || before.is_null() { taken } else { taken + 1 },
    });
    new
}

/// The Lease to make in the place of one that was deleted.
pub(super) fn deleted(name: &str, lasts: Duration, wall: Timestamp) -> Value {
    held(None, name, DELETED, lasts, wall)
}

/// The Lease to write to give it back: any replica may take it at once.
pub(super) fn given_back(lease: &Value, wall: Timestamp) -> Value {
    let mut new = lease.clone();
    new["spec"]["holderIdentity"] = json!("");
    new["spec"]["leaseDurationSeconds"] = json!(1);
    new["spec"]["renewTime"] = json!(time(wall));
    new
}

fn time(wall: Timestamp) -> String {
    wall.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests;
