//! Which failures are tried again, how soon, how often, and what ends it.

use super::*;

fn error(kind: ErrorKind, retry_after: Option<u64>) -> CallError {
    CallError {
        call: "GET".into(),
        kind,
        message: "failed".into(),
        retry_after: retry_after.map(Duration::from_secs),
        gave_up: None,
    }
}

fn retries() -> Retries {
    Retries::new(RetryPolicy::command(), CancellationToken::new())
}

/// Fails a call until it is not tried again: how often it failed, and why it ended.
async fn fail(retries: &Retries, error: &CallError) -> (u32, GiveUp) {
    let mut tries = Tries::default();
    loop {
        if let Err(why) = retries.pause(&mut tries, error).await {
            return (tries.failed(), why);
        }
    }
}

async fn first(retries: &Retries, error: &CallError) -> Result<(), GiveUp> {
    retries.pause(&mut Tries::default(), error).await
}

#[tokio::test(start_paused = true)]
async fn only_passing_failures_are_tried_again() {
    use ErrorKind::{
        AlreadyExists, AnswerLost, BrokenAnswer, Ending, Forbidden, NoProject, NoServer, NotFound,
        NotHttp, ProxyRefused, RateLimited, Refused, ServerError, TooLarge, Unauthorized,
        Unreachable, Untrusted,
    };
    for kind in [NoServer, Unreachable, AnswerLost, NotHttp, BrokenAnswer, ServerError, RateLimited]
    {
        assert_eq!(first(&retries(), &error(kind, None)).await, Ok(()), "{kind:?}");
    }
    let last = [
        AlreadyExists,
        Forbidden,
        NoProject,
        NotFound,
        Ending,
        ProxyRefused,
        Refused,
        TooLarge,
        Unauthorized,
        Untrusted,
    ];
    for kind in last {
        let result = first(&retries(), &error(kind, None)).await;
        assert_eq!(result, Err(GiveUp::Final), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_gives_the_target_up_and_an_answer_takes_it_back() {
    let retries = retries();
    let start = Instant::now();
    let mut policy_met = false;
    // Several calls fail side by side; the time is counted once.
    for _ in 0..4 {
        let (_, why) = fail(&retries, &error(ErrorKind::Unreachable, None)).await;
        policy_met |= why == GiveUp::Target(Duration::from_secs(30));
    }
    assert!(policy_met);
    assert!(start.elapsed() <= Duration::from_secs(31));
    assert!(retries.stopped().is_some());
    retries.answered();
    assert!(retries.stopped().is_none());
}

#[tokio::test(start_paused = true)]
async fn each_call_has_its_attempts_and_its_time() {
    let policy = RetryPolicy { give_up_after: Duration::from_secs(600), ..RetryPolicy::command() };
    let patient = Retries::new(policy, CancellationToken::new());
    let failed = error(ErrorKind::ServerError, None);
    assert_eq!(fail(&patient, &failed).await, (10, GiveUp::Attempts(10)));
    let broken = error(ErrorKind::BrokenAnswer, None);
    assert_eq!(fail(&patient, &broken).await, (6, GiveUp::Attempts(6)));

    // Other calls are answered all the time, so that the target is not given up.
    let policy = RetryPolicy { attempts: 1000, ..RetryPolicy::command() };
    let retries = Retries::new(policy, CancellationToken::new());
    let start = Instant::now();
    let mut tries = Tries::default();
    let why = loop {
        retries.answered();
        if let Err(why) = retries.pause(&mut tries, &failed).await {
            break why;
        }
    };
    assert_eq!(why, GiveUp::Call(Duration::from_secs(30)));
    assert!(start.elapsed() <= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn all_calls_together_have_a_budget_that_successes_fill() {
    let policy = RetryPolicy { retries: 3, ..RetryPolicy::command() };
    let retries = Retries::new(policy, CancellationToken::new());
    let failed = error(ErrorKind::ServerError, None);
    for _ in 0..3 {
        assert_eq!(first(&retries, &failed).await, Ok(()));
    }
    assert_eq!(first(&retries, &failed).await, Err(GiveUp::Budget));
    retries.answered();
    assert_eq!(first(&retries, &failed).await, Err(GiveUp::Budget));
    retries.answered();
    assert_eq!(first(&retries, &failed).await, Ok(()));
    for _ in 0..100 {
        retries.answered();
    }
    for _ in 0..3 {
        assert_eq!(first(&retries, &failed).await, Ok(()), "what is won back has a limit");
    }
    assert_eq!(first(&retries, &failed).await, Err(GiveUp::Budget));
}

#[tokio::test(start_paused = true)]
async fn a_named_pause_is_kept_up_to_the_limit() {
    let retries = retries();
    let start = Instant::now();
    let mut tries = Tries::default();
    let named = |seconds| error(ErrorKind::RateLimited, Some(seconds));
    assert_eq!(retries.pause(&mut tries, &named(45)).await, Ok(()));
    assert!(start.elapsed() >= Duration::from_secs(45));
    let why = retries.pause(&mut tries, &named(46)).await;
    assert_eq!(why, Err(GiveUp::Target(Duration::from_secs(30))));
    let why = retries.pause(&mut tries, &named(3600)).await;
    assert_eq!(why, Err(GiveUp::LongPause(Duration::from_secs(3600))));
    assert!(retries.stopped().is_none(), "it does answer");
}

#[tokio::test(start_paused = true)]
async fn one_named_pause_comes_on_top_of_the_time() {
    let (retries, start) = (retries(), Instant::now());
    let limited = error(ErrorKind::RateLimited, Some(27));
    let mut tries = Tries::default();
    // Other calls are answered meanwhile.
    while retries.pause(&mut tries, &limited).await.is_ok() {
        retries.answered();
    }
    assert_eq!(start.elapsed().as_secs(), 54);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_no_length_is_no_leave_to_hammer() {
    let retries = retries();
    let start = Instant::now();
    let (failed, why) = fail(&retries, &error(ErrorKind::RateLimited, Some(0))).await;
    assert!(start.elapsed() > Duration::from_secs(1), "{failed} {why}");
}

#[tokio::test(start_paused = true)]
async fn waits_are_drawn_between_nothing_and_the_backoff() {
    let failed = error(ErrorKind::ServerError, None);
    let mut waits = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        first(&retries(), &failed).await.unwrap();
        waits.push(start.elapsed().as_millis());
    }
    assert!(waits.iter().all(|wait| *wait <= 201), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait < 60) && waits.iter().any(|wait| *wait > 140));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_run_ends_a_wait() {
    let ending = CancellationToken::new();
    let retries = Retries::new(RetryPolicy::daemon(), ending.clone());
    let start = Instant::now();
    let limited = error(ErrorKind::RateLimited, Some(60));
    let (why, ()) = tokio::join!(first(&retries, &limited), async { ending.cancel() });
    assert_eq!(why, Err(GiveUp::Ending));
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_refused_token_stays_refused() {
    let retries = retries();
    retries.stop(&error(ErrorKind::Unauthorized, None));
    retries.answered();
    assert_eq!(retries.stopped().map(|e| e.kind), Some(ErrorKind::Unauthorized));
}

#[test]
fn the_backoff_doubles_up_to_its_cap() {
    let retries = retries();
    let millis: Vec<u128> =
        [1, 2, 8, 9, 40].map(|n| retries.longest_backoff(n).as_millis()).to_vec();
    assert_eq!(millis, [200, 400, 25_600, 30_000, 30_000]);
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_write_has_to_be_over_before_the_earliest_limit() {
    assert!(WriteLimit::default().has_room_for(Duration::MAX).await, "there is no limit");
    let (early, mover) = WriteLimit::at(Instant::now() + 10 * SECOND);
    let (late, _late_mover) = WriteLimit::at(Instant::now() + 60 * SECOND);
    let both = early.and(&late);
    assert!(both.has_room_for(10 * SECOND).await);
    tokio::time::advance(SECOND).await;
    let waiting = tokio::time::timeout(SECOND, both.has_room_for(10 * SECOND)).await;
    assert!(waiting.is_err(), "more time may come");
    mover.move_to(Instant::now() + 20 * SECOND);
    assert!(both.has_room_for(20 * SECOND).await);
    drop(mover);
    assert!(!both.has_room_for(21 * SECOND).await);
    assert!(!both.has_room_for(Duration::MAX).await);
}

#[tokio::test(start_paused = true)]
async fn a_command_gives_a_wrong_address_up_soon() {
    let refused = error(ErrorKind::NoServer, None);
    for failed in [error(ErrorKind::NotHttp, None), refused.clone()] {
        let retries = retries();
        let start = Instant::now();
        let (_, why) = fail(&retries, &failed).await;
        assert_eq!(why, GiveUp::Target(3 * SECOND));
        assert!(start.elapsed() <= 4 * SECOND && retries.stopped().is_some());
    }

    // A server that answered before is being started again.
    let retries = retries();
    retries.answered();
    let mut tries = Tries::default();
    let start = Instant::now();
    while start.elapsed() < 4 * SECOND {
        retries.pause(&mut tries, &refused).await.unwrap();
    }

    let daemon = Retries::new(RetryPolicy::daemon(), CancellationToken::new());
    let (_, why) = fail(&daemon, &refused).await;
    assert_ne!(why, GiveUp::Target(3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_person_who_waits_is_told_once_that_calls_are_made_again() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let policy = RetryPolicy {
        tell: Some(|text| TOLD.lock().push(text.to_owned())),
        ..RetryPolicy::command()
    };
    let retries = Retries::new(policy, CancellationToken::new());
    for _ in 0..3 {
        first(&retries, &error(ErrorKind::ServerError, None)).await.unwrap();
        retries.answered();
    }
    assert_eq!(*TOLD.lock(), ["failed; trying again for up to 30s"]);
    tokio::time::advance(11 * SECOND).await;
    first(&retries, &error(ErrorKind::ServerError, None)).await.unwrap();
    assert_eq!(TOLD.lock().len(), 2, "it is another outage");
}
