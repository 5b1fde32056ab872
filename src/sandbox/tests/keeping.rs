use super::super::SandboxError;
use super::*;

fn options(path: &std::path::Path) -> Options {
    Options { data: Some(path.to_owned()), ..Options::default() }
}

#[tokio::test]
async fn a_written_connection_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.json");
    let trial = Trial::of(options(&path)).await;
    trial.create(&email("orders")).await;
    trial.create(&webhook("hook")).await;
    trial.call("DELETE", &one("hook"), None).await;
    let shown = trial.get("orders").await;
    // Dropped, not stopped: an answered write is in the file already.
    drop(trial);
    let again = Trial::of(options(&path)).await;
    assert_eq!(again.get("orders").await, shown);
    assert_eq!(again.list("email").await.as_array().expect("a list").len(), 1);
    assert_eq!(again.running.control().names("demo"), ["orders"]);
    again.create(&webhook("hook")).await;
    assert_ne!(again.get("hook").await["id"], shown["id"]);
}

#[tokio::test]
async fn concurrent_writes_are_all_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.json");
    let trial = Trial::of(options(&path)).await;
    let bodies: Vec<Value> = (0..50).map(|number| email(&format!("c{number}"))).collect();
    futures_util::future::join_all(bodies.iter().map(|body| trial.create(body))).await;
    let again = Trial::of(options(&path)).await;
    assert_eq!(again.running.control().names("demo").len(), 50);
}

#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.json");
    let trial = Trial::of(options(&path)).await;
    trial.create(&email("orders")).await;
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.json");
    for text in [
        "{",
        "[]",
        r#"{"version":9,"next_id":1,"connections":[]}"#,
        r#"{"version":1,"next_id":"hunter2","connections":[]}"#,
    ] {
        std::fs::write(&path, text).expect("a file");
        let error = Sandbox::start(options(&path)).await.expect_err("a damaged file");
        assert!(matches!(error, SandboxError::Damaged { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), text);
    }
}

#[tokio::test]
async fn a_stop_keeps_edits_of_the_console() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.json");
    let trial = Trial::of(options(&path)).await;
    trial.running.control().put("demo", email("orders")).expect("a connection");
    trial.running.stop().await;
    let again = Trial::of(options(&path)).await;
    assert_eq!(again.stored("orders"), Some(email("orders")));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("none").join("data.json");
    let error = Sandbox::start(options(&path)).await.expect_err("no folder");
    assert!(matches!(error, SandboxError::File { .. }), "{error}");
}

#[tokio::test]
async fn a_write_that_cannot_be_kept_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("a folder");
    let trial = Trial::of(options(&inner.join("data.json"))).await;
    std::fs::remove_dir_all(&inner).expect("a folder");
    let (status, _) = trial.call("POST", &one("a"), Some(&email("a"))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}
