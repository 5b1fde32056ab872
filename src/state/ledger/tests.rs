use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn ledger() -> (tempfile::TempDir, StateFile, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::of(folder.path(), "https://a.example.com", "p");
    let ledger = Ledger::new(Record::default(), Some(file.clone()), None);
    ledger.edit(|record| record.suspended = true);
    (folder, file, ledger)
}

#[test]
fn a_write_that_broke_off_is_not_taken_for_done() {
    let (_folder, file, ledger) = ledger();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    // A task that starts from here on is cancelled.
    runtime.shutdown_background();
    let _entered = handle.enter();
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(saved) = pin!(ledger.save()).poll(&mut context) else { panic!("it waits") };
    let error = saved.unwrap_err().to_string();
    assert!(error.contains("cannot be written: writing broke off"), "{error}");
    assert!(!file.exists());
}

#[tokio::test]
async fn the_lock_is_held_until_an_abandoned_write_is_over() {
    let (_folder, file, ledger) = ledger();
    // Opening it waits until somebody reads.
    let slow = file.path().with_extension("new");
    assert!(std::process::Command::new("mkfifo").arg(&slow).status().unwrap().success());
    let lock = file.lock(Duration::ZERO, "first").await.unwrap();
    let record = ledger.read(Clone::clone);
    let ledger = Ledger::new(record, Some(file.clone()), Some(lock));
    ledger.edit(|record| record.suspended = true);
    let saving = async move { ledger.save().await };
    tokio::time::timeout(Duration::from_millis(50), saving).await.unwrap_err();
    let second = file.lock(Duration::ZERO, "second").await;
    std::fs::read(&slow).unwrap();
    assert!(matches!(second, Err(StateError::Locked { .. })), "{second:?}");
    file.lock(Duration::from_secs(30), "third").await.unwrap();
}
