//! Whose turn it is, by the clock of the replica that looks.

use super::*;

mod histories;

const LASTS: Duration = Duration::from_secs(60);

fn held_by_a(until: Instant) -> LeaseTurn {
    LeaseTurn::Wait { holder: Some("a_1".to_owned()), until }
}

fn whose_turn(
    observed: &mut ObservedLease,
    lease: Option<&Value>,
    own: &str,
    now: Instant,
) -> LeaseTurn {
    observed.turn(lease, own, Duration::ZERO, now)
}

fn wall(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn only_the_own_clock_says_when_a_lease_runs_out() {
    // The holder's clock is a year behind: the times that it writes are long past by ours.
    let lease = held(None, "l", "a_1", LASTS, wall("2025-01-01T00:00:00Z"));
    let mut observed = ObservedLease::default();
    assert!(!observed.saw_a_holder());
    let start = Instant::now();
    let until = start + LASTS;
    assert_eq!(whose_turn(&mut observed, Some(&lease), "b_1", start), held_by_a(until));
    tokio::time::advance(LASTS - Duration::from_millis(1)).await;
    assert_eq!(whose_turn(&mut observed, Some(&lease), "b_1", Instant::now()), held_by_a(until));
    // Renewed with a time that goes backwards: it is a sign of life all the same.
    let renewed = held(Some(&lease), "l", "a_1", LASTS, wall("2024-01-01T00:00:00Z"));
    let seen = Instant::now();
    let turn = whose_turn(&mut observed, Some(&renewed), "b_1", seen);
    assert_eq!(turn, held_by_a(seen + LASTS));
    // The holder's clock is a year ahead: silence frees it all the same.
    let ahead = held(Some(&lease), "l", "a_1", LASTS, wall("2030-01-01T00:00:00Z"));
    whose_turn(&mut observed, Some(&ahead), "b_1", Instant::now());
    tokio::time::advance(LASTS).await;
    assert_eq!(whose_turn(&mut observed, Some(&ahead), "b_1", Instant::now()), LeaseTurn::Claim);
    assert_eq!(whose_turn(&mut observed, Some(&ahead), "a_1", Instant::now()), LeaseTurn::Claim);
    assert!(observed.saw_a_holder(), "a Lease that is deleted after this is waited out");
}

#[tokio::test(start_paused = true)]
async fn a_write_keeps_the_fields_of_others() {
    let made = held(None, "l", "a", Duration::from_millis(1500), wall("2026-01-02T03:04:05.678Z"));
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
    assert_eq!(
        whose_turn(&mut ObservedLease::default(), Some(&freed), "b", Instant::now()),
        LeaseTurn::Claim
    );
    let taken = held(Some(&freed), "l", "b", LASTS, wall("2026-01-02T03:06:01Z"));
    assert_eq!(taken["spec"]["leaseTransitions"], json!(1));
    assert_eq!(taken["spec"]["acquireTime"], taken["spec"]["renewTime"]);
    assert_eq!(
        whose_turn(&mut ObservedLease::default(), None, "b", Instant::now()),
        LeaseTurn::Claim
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_in_the_place_of_a_deleted_one_is_waited_out() {
    let lease = deleted("l", LASTS, wall("2026-01-01T00:00:00Z"));
    assert_eq!(how_lost(Some(&lease), "a_1"), Some("it was deleted".to_owned()));
    let (mut observed, now) = (ObservedLease::default(), Instant::now());
    let turn = whose_turn(&mut observed, Some(&lease), "b_1", now);
    assert_eq!(turn, LeaseTurn::Wait { holder: Some(DELETED.to_owned()), until: now + LASTS });
    let turn = whose_turn(&mut observed, Some(&lease), "b_1", now + LASTS);
    assert_eq!(turn, LeaseTurn::Claim);
}

#[test]
fn a_free_lease_is_left_to_others_for_a_while() {
    let (mut observed, now) = (ObservedLease::default(), Instant::now());
    let modesty = Duration::from_secs(2);
    let mut turn = |after: u64| {
        let seconds = Duration::from_secs(after);
        observed.turn(None, "b_1", modesty, now + seconds)
    };
    assert_eq!(turn(0), LeaseTurn::Wait { holder: None, until: now + modesty });
    assert_eq!(turn(1), LeaseTurn::Wait { holder: None, until: now + modesty });
    assert_eq!(turn(2), LeaseTurn::Claim);
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_a_duration_is_waited_for_longer() {
    let now = Instant::now();
    let until = now + Duration::from_secs(300);
    for duration in [json!(null), json!(0), json!(-1), json!("60"), json!(u64::MAX)] {
        let lease = json!({"spec": {"holderIdentity": "a", "leaseDurationSeconds": duration}});
        let turn = whose_turn(&mut ObservedLease::default(), Some(&lease), "b", now);
        assert_eq!(turn, LeaseTurn::Wait { holder: Some("a".to_owned()), until });
    }
}
