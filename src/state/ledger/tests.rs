use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::state::StateDir;

fn ledger() -> (tempfile::TempDir, StateFile, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let file = StateDir::new(folder.path()).file("https://a.example.com", "p");
    let ledger = Ledger::new(Record::default(), Some(file.clone()));
    ledger.edit(|record| record.suspended = true);
    (folder, file, ledger)
}

#[test]
fn a_write_that_broke_off_is_not_taken_for_done() {
    let (_folder, file, ledger) = ledger();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    // What is begun from here on is cancelled.
    runtime.shutdown_background();
    let _entered = handle.enter();
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(saved) = pin!(ledger.save()).poll(&mut context) else { panic!("it waits") };
    let error = saved.unwrap_err().to_string();
    assert!(error.contains("cannot be written: writing broke off"), "{error}");
    assert!(!file.exists());
}
