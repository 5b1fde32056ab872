//! A Lease as values: its holder, whether it is free, and the Lease that replaces it. Pure: both
//! clocks are given.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cluster::Kind;

/// A Lease as it was last seen to change.
///
/// Clocks of machines differ, so the time that a holder writes says nothing but that it wrote:
/// a Lease runs out when its spec has stayed the same for its duration on this machine's own
/// monotonic clock, whatever the times in it are.
#[derive(Debug, Default)]
pub(super) struct Observed {
    last: Option<Change>,
}

/// The spec since a change, and whether the Lease vanished with it then.
#[derive(Debug)]
struct Change {
    spec: Value,
    is_gone: bool,
    seen: Instant,
}

/// The result of a look at a Lease, for a replica that wants it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// There is none, or it has no holder, or its holder has been silent for too long.
    Free,
    /// The replica that looks holds it.
    Own,
    /// Another replica holds it, at least until then.
    Held { by: String, until: Instant },
}

impl Observed {
    /// Whether no Lease was seen yet.
    pub(super) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Supposes that the Lease was deleted just before the first look, with a holder that may not know.
    pub(super) fn suppose_deleted(&mut self, lasts: Duration, now: Instant) {
        let lease =
            held(None, "", "a replica whose lease was deleted", lasts, Timestamp::UNIX_EPOCH);
        self.last = Some(Change { spec: lease["spec"].clone(), is_gone: true, seen: now });
    }

    /// Notes the Lease that was read; `now` is after the answer came.
    pub(super) fn look(&mut self, lease: Option<&Value>, own: &str, now: Instant) -> Look {
        let is_gone = lease.is_none();
        let spec = match (lease, &self.last) {
            (Some(lease), _) => lease["spec"].clone(),
            // It was deleted by hand. Its holder may have renewed it just before, and may not know.
            (None, Some(last)) => last.spec.clone(),
            (None, None) => return Look::Free,
        };
        let seen = match &self.last {
            Some(last) if last.is_gone == is_gone && last.spec == spec => last.seen,
            _ => now,
        };
        let Change { spec, .. } = self.last.insert(Change { spec, is_gone, seen });
        match holder_in(spec) {
            None => Look::Free,
            Some(holder) if holder == own => Look::Own,
            Some(holder) => {
                let until = seen + duration(spec);
                if until <= now {
                    return Look::Free;
                }
                Look::Held { by: holder.to_owned(), until }
            }
        }
    }
}

/// The holder of a Lease; an empty name is none.
pub(super) fn holder(lease: &Value) -> Option<&str> {
    holder_in(&lease["spec"])
}

fn holder_in(spec: &Value) -> Option<&str> {
    spec["holderIdentity"].as_str().filter(|holder| !holder.is_empty())
}

/// When a Lease became free, or becomes, by the clock of its last holder: no other clock may rely on it.
pub(super) fn free_at(lease: &Value) -> Option<Timestamp> {
    let spec = &lease["spec"];
    let written: Timestamp = spec["renewTime"].as_str()?.parse().ok()?;
    let lasts = holder_in(spec).map_or(Duration::ZERO, |_| duration(spec));
    written.checked_add(lasts).ok()
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
    let mut new = lease.cloned().unwrap_or_else(|| Kind::Lease.named(name));
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
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(60);

    fn wall(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_own_clock_says_when_a_lease_runs_out() {
        // The holder's clock is a year behind: the times that it writes are long past by ours.
        let lease = held(None, "l", "a_1", LASTS, wall("2025-01-01T00:00:00Z"));
        let mut observed = Observed::default();
        let start = Instant::now();
        let until = start + LASTS;
        let by_a = || Look::Held { by: "a_1".to_owned(), until };
        assert_eq!(observed.look(Some(&lease), "b_1", start), by_a());
        tokio::time::advance(LASTS - Duration::from_millis(1)).await;
        assert_eq!(observed.look(Some(&lease), "b_1", Instant::now()), by_a());
        // Renewed with a time that goes backwards: it is a sign of life all the same.
        let renewed = held(Some(&lease), "l", "a_1", LASTS, wall("2024-01-01T00:00:00Z"));
        let seen = Instant::now();
        let look = observed.look(Some(&renewed), "b_1", seen);
        assert_eq!(look, Look::Held { by: "a_1".to_owned(), until: seen + LASTS });
        // The holder's clock is a year ahead: silence frees it all the same.
        let ahead = held(Some(&lease), "l", "a_1", LASTS, wall("2030-01-01T00:00:00Z"));
        observed.look(Some(&ahead), "b_1", Instant::now());
        tokio::time::advance(LASTS).await;
        assert_eq!(observed.look(Some(&ahead), "b_1", Instant::now()), Look::Free);
        assert_eq!(observed.look(Some(&ahead), "a_1", Instant::now()), Look::Own);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_keeps_the_fields_of_others() {
        let made =
            held(None, "l", "a", Duration::from_millis(1500), wall("2026-01-02T03:04:05.678Z"));
        assert_eq!(
            made["spec"],
            json!({
                "holderIdentity": "a", "leaseDurationSeconds": 2, "leaseTransitions": 0,
                "acquireTime": "2026-01-02T03:04:05.678000Z", "renewTime": "2026-01-02T03:04:05.678000Z",
            })
        );
        let mut read = made;
        read["metadata"]["resourceVersion"] = json!("7");
        read["metadata"]["annotations"] = json!({"who": "else"});
        let renewed = held(Some(&read), "l", "a", LASTS, wall("2026-01-02T03:05:00Z"));
        assert_eq!(renewed["metadata"], read["metadata"]);
        assert_eq!(renewed["spec"]["acquireTime"], read["spec"]["acquireTime"]);
        assert_eq!(renewed["spec"]["leaseTransitions"], json!(0));
        let freed = given_back(&renewed, wall("2026-01-02T03:06:00Z"));
        assert_eq!(Observed::default().look(Some(&freed), "b", Instant::now()), Look::Free);
        let taken = held(Some(&freed), "l", "b", LASTS, wall("2026-01-02T03:06:01Z"));
        assert_eq!(taken["spec"]["leaseTransitions"], json!(1));
        assert_eq!(taken["spec"]["acquireTime"], taken["spec"]["renewTime"]);
        assert_eq!(Observed::default().look(None, "b", Instant::now()), Look::Free);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_vanishes_is_waited_out() {
        let lease = held(None, "l", "a_1", LASTS, wall("2026-01-01T00:00:00Z"));
        let mut observed = Observed::default();
        observed.look(Some(&lease), "b_1", Instant::now());
        tokio::time::advance(LASTS / 2).await;
        // It may have been renewed just before, so its whole duration is waited for.
        let until = Instant::now() + LASTS;
        for _ in 0..2 {
            let look = observed.look(None, "b_1", Instant::now());
            assert_eq!(look, Look::Held { by: "a_1".to_owned(), until });
            tokio::time::advance(LASTS / 2).await;
        }
        assert_eq!(observed.look(None, "b_1", Instant::now()), Look::Free);
        // One that was given back before has no holder to wait for.
        let freed = given_back(&lease, wall("2026-01-01T00:01:00Z"));
        observed.look(Some(&freed), "b_1", Instant::now());
        assert_eq!(observed.look(None, "b_1", Instant::now()), Look::Free);
        // One that was never seen had a holder too, if there is a state.
        let mut observed = Observed::default();
        observed.suppose_deleted(LASTS, Instant::now());
        assert!(matches!(observed.look(None, "b_1", Instant::now()), Look::Held { .. }));
        tokio::time::advance(LASTS).await;
        assert_eq!(observed.look(None, "b_1", Instant::now()), Look::Free);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_without_a_duration_is_waited_for_longer() {
        let now = Instant::now();
        let until = now + Duration::from_secs(300);
        for duration in [json!(null), json!(0), json!(-1), json!("60"), json!(u64::MAX)] {
            let lease = json!({"spec": {"holderIdentity": "a", "leaseDurationSeconds": duration}});
            let look = Observed::default().look(Some(&lease), "b", now);
            assert_eq!(look, Look::Held { by: "a".to_owned(), until });
        }
    }
}
