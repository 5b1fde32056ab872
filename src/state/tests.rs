//! Reading and replacing the state, on a disk that works and on one that does not.

use super::*;
use serde_json::json;

fn dir() -> (tempfile::TempDir, StateFile) {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::of(folder.path(), "https://a.example.com", "Pay ments/ä");
    (folder, file)
}

#[test]
fn an_absent_state_is_empty_and_a_written_one_comes_back() {
    let (_folder, file) = dir();
    assert_eq!(file.read().unwrap(), Record::default());
    let record = Record { suspended: true, ..Record::default() };
    file.write(&record).unwrap();
    assert_eq!(file.read().unwrap(), record);
    let only: Vec<_> = fs::read_dir(file.path().parent().unwrap()).unwrap().collect();
    assert_eq!(only.len(), 1, "no temporary file stays");
}

#[test]
fn a_suspension_outlives_another_folder_that_has_no_state() {
    let (_folder, file) = dir();
    let known = KnownStates::default();
    let record = Record { suspended: true, ..Record::default() };
    file.noted_in(&known).write(&record).unwrap();
    let (_other, elsewhere) = dir();
    let found = elsewhere.noted_in(&known).read().unwrap();
    assert!(found.suspended && found.lost_at.is_some());
}

#[test]
fn a_state_that_cannot_be_read_is_never_overwritten() {
    let (_folder, file) = dir();
    for (text, expected) in [
        ("{", "damaged"),
        ("[]", "damaged"),
        (
            r#"{"version":1,"url":"https://a.example.com","project":"Pay ments/ä","record":3}"#,
            "damaged",
        ),
        (r#"{"version":99,"url":"x","project":"y"}"#, "version 99"),
        (r#"{"version":1,"url":"https://b","project":"y","record":{}}"#, "belongs to"),
    ] {
        fs::write(file.path(), text).unwrap();
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
    }
}

/// A file that version 1 of the program wrote: later versions go on reading it.
#[test]
fn version_1_is_read() {
    let (_folder, file) = dir();
    let first = json!({
        "version": 1, "url": "https://a.example.com", "project": "Pay ments/ä",
        "record": {
            "last_good": {"commit": "c0ffee", "config": "d", "declared": {"A": ["a.yaml"]}, "paths": {"connections": 1}},
            "last_applied": "c0ffee", "key_check": "00",
            "inventory": {"A": {"type": "email", "id": "1", "base": {"/host": {"is": "h"},
                "/password": {"is": "${env:P}", "print": "00:11", "unverified": true}}, "protect": true,
                "secrets_checked": 5, "last_change": 6}},
            "intents": {"B": {"type": "email", "from": "A", "base": {}}},
            "deletes": {"C": {"commit": "c0ffee", "consent": true, "held": {"limit": {"due": 4, "allowed": 3, "inventory": 9}}}},
            "degraded": {"D": {"reason": "pod x", "attempts": 2, "next": 7}},
            "unstable": {"E": {"/host": {"print": "00:22", "puts": 2, "reported": true}}},
            "readable": {"email": ["/password"]}, "suspended": false
        }
    });
    fs::write(file.path(), first.to_string()).unwrap();
    let record = file.read().unwrap();
    let owned = record.owned(&"a".into()).unwrap();
    assert!(owned.protect && owned.is_unverified());
    assert_eq!((owned.secrets_checked, owned.last_change), (Some(5), Some(6)));
    let memory = |name: &str| record.memory(&name.into()).unwrap();
    assert_eq!(memory("b").intent.as_ref().unwrap().from, Some("A".into()));
    let due = memory("c").due.as_ref().unwrap();
    assert!(due.asks_for_a_delete() && due.consent.is_none() && due.over_limit.is_some());
    assert_eq!(memory("d").degraded.as_ref().unwrap().attempts, 2);
    assert!(memory("e").unstable["/host"].given_up);
    assert!(record.readable.has("email", "/password"));
    let good = record.last_good.as_ref().unwrap();
    assert_eq!(good.declared[&"a".into()].type_name, "email");
    file.write(&record).unwrap();
    assert_eq!(file.read().unwrap(), record);
}

const STEPS: [DiskStep; 6] = [
    DiskStep::Folder,
    DiskStep::Create,
    DiskStep::Content,
    DiskStep::Sync,
    DiskStep::Rename,
    DiskStep::SyncFolder,
];

/// Replaces a file on a disk on which one step goes wrong. Where that kills, nothing works after it.
fn write_failing(
    file: &StateFile,
    record: &Record,
    failing: DiskStep,
    kills: bool,
) -> Result<(), StateError> {
    let is_dead = std::cell::Cell::new(false);
    file.write_to_disk(record, |step| {
        if is_dead.get() {
            return Err(io::Error::other("dead"));
        }
        if step != failing {
            return Ok(());
        }
        is_dead.set(kills);
        if step == DiskStep::Content {
            fs::write(file.path().with_extension("new"), "{\"version\"")?;
        }
        Err(io::ErrorKind::StorageFull.into())
    })
}

fn names_in(file: &StateFile) -> usize {
    fs::read_dir(file.path().parent().unwrap()).unwrap().count()
}

#[test]
fn a_disk_that_fails_leaves_the_old_state_and_no_rest() {
    for step in STEPS {
        let (_folder, file) = dir();
        let (old, new) = (Record::default(), Record { suspended: true, ..Record::default() });
        file.write(&old).unwrap();
        let error = write_failing(&file, &new, step, false).unwrap_err().to_string();
        assert!(error.contains("cannot be written"), "{step:?}: {error}");
        // The folder's own sync comes after the rename: the new state is there, and is reported
        // as not written, since it may not outlive a power cut.
        let expected = if step == DiskStep::SyncFolder { &new } else { &old };
        assert_eq!(file.read().unwrap(), *expected, "{step:?}");
        assert_eq!(names_in(&file), 1, "{step:?}");
        file.write(&new).unwrap();
        assert_eq!(file.read().unwrap(), new, "{step:?}");
    }
}

#[test]
fn a_kill_between_any_two_steps_leaves_a_whole_state() {
    for step in STEPS {
        let (_folder, file) = dir();
        let (old, new) = (Record::default(), Record { suspended: true, ..Record::default() });
        file.write(&old).unwrap();
        write_failing(&file, &new, step, true).unwrap_err();
        let found = file.read().unwrap();
        assert!(found == old || found == new, "{step:?}");
        file.write(&new).unwrap();
        assert_eq!(file.read().unwrap(), new, "{step:?}");
        assert_eq!(names_in(&file), 1, "{step:?}: what the kill left is gone");
    }
}

#[test]
fn a_folder_that_vanishes_is_made_again() {
    let (folder, file) = dir();
    file.write(&Record::default()).unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    let record = Record { suspended: true, ..Record::default() };
    file.write(&record).unwrap();
    assert_eq!(file.read().unwrap(), record);
}
