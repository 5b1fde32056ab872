use super::*;
use crate::plan::State;

#[test]
fn the_json_is_what_readers_rely_on() {
    let board = Board::default();
    board.edit_source(|source| {
        source.location = "/srv/config".to_owned();
        source.commit = Some(Commit {
            id: CommitId("a".repeat(40)),
            subject: "Add mail".to_owned(),
            author: "Ada <ada@example.com>".to_owned(),
            time: 0,
        });
    });
    board.status.send_modify(|status| {
        Arc::make_mut(status).targets = vec![Arc::new(TargetStatus {
            name: "prod".to_owned(),
            connections: Arc::new(vec![ConnectionState {
                type_name: "email".to_owned(),
                name: "mail".into(),
                state: State::InSync,
                reason: None,
                unverified: true,
                last_change: Some(60),
            }]),
            ..TargetStatus::default()
        })];
    });
    let json = board.to_json();
    assert_eq!(json["source"]["path"], "/srv/config");
    assert_eq!(json["source"]["time"], "1970-01-01T00:00:00Z");
    let target = &json["targets"][0];
    assert_eq!(target["state"], "waiting");
    assert!(target["next_reconcile"].is_null());
    let connection = &target["connections"][0];
    assert_eq!(connection["last_change"], "1970-01-01T00:01:00Z");
    assert_eq!(connection["unverified"], true);
    assert!(!board.status().is_ready());
}

#[test]
fn a_reader_is_woken_by_news_only() {
    let board = Board::default();
    let mut reader = board.subscribe();
    reader.mark_unchanged();
    board.edit_source(|source| source.error = None);
    assert!(!reader.has_changed().unwrap());
    let word = || "nobody".to_owned();
    let nobody = TargetKey { name: word(), project: word(), url: word() };
    board.edit_target(&nobody, |target| target.suspended = true);
    assert!(!reader.has_changed().unwrap());
    board.edit_source(|source| source.error = Some("gone".to_owned()));
    assert!(reader.has_changed().unwrap());
}

#[test]
fn the_history_forgets_its_oldest() {
    let mut target = TargetStatus::default();
    for second in 0..60 {
        target.remember(HistoryEntry {
            time: Timestamp::from_second(second).unwrap(),
            cause: Cause::Resync,
            commit: None,
            outcome: ReconcileOutcome::InSync,
            counts: Counts::default(),
            error: None,
            duration: Duration::ZERO,
        });
    }
    assert_eq!(target.history.len(), HISTORY);
    assert_eq!(target.history[0].time.as_second(), 59);
}
