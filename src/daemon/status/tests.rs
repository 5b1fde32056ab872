use super::*;
use crate::audit::Reconciled;
use crate::name::CommitId;
use crate::plan::ConnectionState;

#[test]
fn every_field_is_where_readers_find_it() {
    let commit = |id: &str| Commit {
        id: CommitId(id.repeat(3)),
        subject: "Add \"mail\"".to_owned(),
        author: "Ada <ada@example.com>".to_owned(),
        time: 1,
    };
    let connection = |name: &str, unverified| Entry {
        reason: Some("over the limit".to_owned()),
        unverified,
        last_change: unverified.then_some(60),
        ..Entry::new(name.into(), "email".to_owned(), ConnectionState::Held)
    };
    let time = Timestamp::new(3, 999).unwrap();
    let board = Board::default();
    board.status.send_modify(|status| Arc::make_mut(status).started = time);
    board.edit_source(|source| {
        source.is_url = true;
        source.location = "https://h".to_owned();
        source.branch = Some("main".to_owned());
        source.worktree = true;
        source.commit = Some(commit("a"));
        source.fetched_at = Some(time);
        source.error = Some("gone".to_owned());
    });
    let mut target = TargetStatus {
        suspended: true,
        commit_seen: Some(commit("b")),
        commit_applied: Some(commit("c")),
        last_reconcile: Some(time),
        trouble: Trouble { notices: vec!["a notice".to_owned()], ..Trouble::default() },
        connections: Arc::new(vec![connection("x", true), connection("y", false)]),
        key: TargetKey { name: "t".into(), project: "p".into(), url: "u".into() },
        ..TargetStatus::default()
    };
    target.past.remember(PastReconcile {
        ended: Reconciled {
            time,
            outcome: "held".to_owned(),
            commit: Some(CommitId("d".to_owned())),
            cause: "start".to_owned(),
            seconds: 1.5,
            ..Reconciled::default()
        },
        ..PastReconcile::default()
    });
    board.status.send_modify(|status| {
        Arc::make_mut(status).targets = vec![Arc::new(target)];
    });
    let text = serde_json::to_string(&*board.status()).unwrap();
    let expected = concat!(
        r#"{"version":""#,
        env!("CARGO_PKG_VERSION"),
        r#"","started":"1970-01-01T00:00:03.000000999Z","source":{"url":"https://h","branch":"main","worktree":true,"commit":"aaa","#,
        r#""subject":"Add \"mail\"","author":"Ada <ada@example.com>","time":"1970-01-01T00:00:01Z","#,
        r#""fetched_at":"1970-01-01T00:00:03Z","error":"gone"},"targets":[{"name":"t","project":"p","#,
        r#""url":"u","state":"waiting","suspended":true,"commit_seen":"bbb","commit_applied":"ccc","#,
        r#""last_reconcile":"1970-01-01T00:00:03Z","next_reconcile":null,"answered":null,"error":null,"#,
        r#""notices":["a notice"],"warnings":[],"document_errors":[],"connections":[{"type":"email","name":"x","state":"held","#,
        r#""reason":"over the limit","last_change":"1970-01-01T00:01:00Z","unverified":true},"#,
        r#"{"type":"email","name":"y","state":"held","reason":"over the limit","last_change":null}],"#,
        r#""history":[{"time":"1970-01-01T00:00:03Z","cause":"start","commit":"d","outcome":"held","#,
        r#""counts":{"done":0,"degraded":0,"failed":0,"blocked":0,"held":0,"drifted":0,"#,
        r#""not_started":0,"adopted":0,"unchanged":0},"error":null,"duration":1.5}],"events":[]}]}"#,
    );
    assert_eq!(text, expected);
    assert!(board.status().is_ready() && !Status::default().is_ready());
    board.edit_source(|source| source.is_url = false);
    assert_eq!(serde_json::to_value(&*board.status()).unwrap()["source"]["path"], "https://h");
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
