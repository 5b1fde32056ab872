//! Mirrors of real repositories, fetched by file URLs.

use std::fs;

use super::fetch::{Tip, read_tip};
use super::*;
use crate::source::fixture::{Fixture, git_in};

fn url(git: &Fixture) -> String {
    format!("file://{}", git.at.display())
}

fn mirror(git: &Fixture, branch: Option<&str>) -> Mirror {
    let redactor = Redactor::default();
    let state = git.beside("state");
    Mirror::new(&url(git), branch, &state, &Environment::default(), &redactor).unwrap()
}

fn fetch(mirror: &Mirror) -> Result<CommitId, SourceError> {
    mirror.fetch_until(&CancellationToken::new())
}

fn keep(mirror: &Mirror, target: &str, commit: &CommitId) -> Result<CommitId, SourceError> {
    mirror.inner.keep(target, commit.clone(), &CancellationToken::new())
}

/// The same mirror, whose server and locks are waited for less long.
fn with_deadline(mirror: &Mirror, deadline: Duration) -> Mirror {
    let old = &mirror.inner;
    let inner = Inner {
        url: old.url.clone(),
        branch: old.branch.clone(),
        folder: old.folder.clone(),
        environment: old.environment.clone(),
        redactor: old.redactor.clone(),
        deadline,
        status: Mutex::default(),
        opened: Mutex::default(),
        checked: Mutex::default(),
    };
    Mirror { inner: Arc::new(inner) }
}

#[test]
fn the_default_branch_is_mirrored_with_its_history() {
    let git = Fixture::new();
    let mirror = mirror(&git, None);
    assert!(matches!(fetch(&mirror), Err(SourceError::Unborn { .. })));
    let first = git.commit("first");
    let second = git.commit("second");
    assert_eq!(fetch(&mirror).unwrap(), second);
    let repository = Repository::open(mirror.path()).unwrap();
    assert_eq!(repository.head(None).unwrap().id, second);
    assert!(repository.has_commit(&first).unwrap());
    let status = mirror.status();
    assert_eq!((status.branch.as_deref(), status.error), (Some("main"), None));
    assert!(status.fetched_at.is_some());

    let third = git.commit("third");
    assert_eq!(fetch(&mirror).unwrap(), third);
    assert_eq!(repository.head(None).unwrap().id, third);
}

#[test]
fn a_force_push_is_followed_and_kept_commits_stay() {
    let git = Fixture::new();
    git.commit("base");
    let gone = git.commit("gone");
    let mirror = mirror(&git, Some("main"));
    fetch(&mirror).unwrap();
    keep(&mirror, "prod / with: odd ~name", &gone).unwrap();
    git.git(&["commit", "--quiet", "--allow-empty", "--amend", "--message", "rewritten"]);
    assert_eq!(fetch(&mirror).unwrap(), git.id("HEAD"));
    git_in(mirror.path(), &["gc", "--quiet", "--prune=now"]);
    let repository = Repository::open(mirror.path()).unwrap();
    assert!(repository.has_commit(&gone).unwrap());
    let missing = CommitId("1".repeat(40));
    assert!(keep(&mirror, "prod", &missing).is_err());
}

#[test]
fn a_default_branch_that_is_renamed_is_followed() {
    let git = Fixture::new();
    git.commit("first");
    let mirror = mirror(&git, None);
    fetch(&mirror).unwrap();
    // `main` and `main/x` cannot be there together.
    git.git(&["branch", "--quiet", "--move", "main", "trunk"]);
    let second = git.commit("second");
    assert_eq!(fetch(&mirror).unwrap(), second);
    git.git(&["branch", "--quiet", "--move", "trunk", "trunk/new"]);
    assert_eq!(fetch(&mirror).unwrap(), second);
    assert_eq!(mirror.status().branch.as_deref(), Some("trunk/new"));
    let repository = Repository::open(mirror.path()).unwrap();
    assert_eq!(repository.head(None).unwrap().id, second);
}

#[test]
fn a_server_that_is_gone_leaves_the_fetched_commit() {
    let git = Fixture::new();
    let first = git.commit("first");
    let mirror = mirror(&git, None);
    fetch(&mirror).unwrap();
    let fetched_at = mirror.status().fetched_at;
    fs::rename(&git.at, git.beside("away")).unwrap();
    let error = fetch(&mirror).unwrap_err();
    assert!(matches!(error, SourceError::Failed { .. }), "{error}");
    let status = mirror.status();
    assert_eq!(status.fetched_at, fetched_at);
    assert_eq!(status.error.as_deref(), Some(error.to_string().as_str()));
    let repository = Repository::open(mirror.path()).unwrap();
    assert_eq!(repository.head(None).unwrap().id, first);
    fs::rename(git.beside("away"), &git.at).unwrap();
    assert_eq!(fetch(&mirror).unwrap(), first);
    assert_eq!(mirror.status().error, None);
}

#[test]
fn a_branch_that_is_not_there_is_named() {
    let git = Fixture::new();
    git.commit("first");
    let error = fetch(&mirror(&git, Some("release"))).unwrap_err();
    assert!(matches!(error, SourceError::NoSuchBranch { .. }), "{error}");
    assert!(error.to_string().contains("`release`"), "{error}");
}

#[test]
fn a_lock_of_a_killed_child_is_recovered_from() {
    let git = Fixture::new();
    git.commit("first");
    let mirror = mirror(&git, None);
    fetch(&mirror).unwrap();
    let second = git.commit("second");
    let lock = mirror.path().join("refs/heads/main.lock");
    fs::write(&lock, "").unwrap();
    assert_eq!(fetch(&mirror).unwrap(), second);
    assert!(!lock.exists());
    let kept = mirror.path().join(format!("{KEPT_REFERENCES}/{}.lock", digest("prod")));
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::write(&kept, "").unwrap();
    assert_eq!(keep(&mirror, "prod", &second).unwrap(), second);
}

#[test]
fn a_half_made_or_damaged_mirror_is_made_anew() {
    let git = Fixture::new();
    let first = git.commit("first");
    let mirror = mirror(&git, None);
    fs::create_dir_all(mirror.path().join("objects")).unwrap();
    fs::create_dir_all(mirror.path().with_extension("new").join("refs")).unwrap();
    assert_eq!(fetch(&mirror).unwrap(), first);
    keep(&mirror, "prod", &first).unwrap();
    git.git(&["commit", "--quiet", "--allow-empty", "--amend", "--message", "rewritten"]);
    // As after a loss of power: the reference is there and empty.
    fs::write(mirror.path().join("refs/heads/main"), "").unwrap();
    let second = git.commit("second");
    assert_eq!(fetch(&mirror).unwrap(), second);
    let repository = Repository::open(mirror.path()).unwrap();
    assert_eq!(repository.head(None).unwrap().id, second);
    assert!(repository.has_commit(&first).unwrap(), "what is kept was taken along");
}

#[test]
fn kept_commits_outlive_a_rebuild_that_was_cut_off() {
    let git = Fixture::new();
    git.commit("base");
    let gone = git.commit("gone");
    let mirror = mirror(&git, Some("main"));
    fetch(&mirror).unwrap();
    keep(&mirror, "prod", &gone).unwrap();
    git.git(&["commit", "--quiet", "--allow-empty", "--amend", "--message", "rewritten"]);
    // Killed between the two moves, with a fresh one that nobody will look at.
    fs::create_dir_all(mirror.path().with_extension("new").join("refs")).unwrap();
    fs::rename(mirror.path(), mirror.path().with_extension("old")).unwrap();
    assert_eq!(fetch(&mirror).unwrap(), git.id("HEAD"));
    let repository = Repository::open(mirror.path()).unwrap();
    assert!(repository.has_commit(&gone).unwrap());
}

#[test]
fn a_kept_commit_waits_for_a_rebuild_and_for_no_server() {
    let git = Fixture::new();
    let first = git.commit("first");
    let mirror = mirror(&git, None);
    fetch(&mirror).unwrap();
    let (folder, never) = (mirror.path(), CancellationToken::new());
    let replacing = MirrorLock::take(folder, TO_KEEP, Duration::ZERO, &never).unwrap();
    let impatient = with_deadline(&mirror, Duration::from_millis(300));
    let waited = keep(&impatient, "prod", &first);
    assert!(matches!(waited, Err(SourceError::TimedOut { .. })), "{waited:?}");
    drop(replacing);
    let _fetching = MirrorLock::take(folder, TO_FETCH, Duration::ZERO, &never).unwrap();
    assert_eq!(keep(&mirror, "prod", &first).unwrap(), first);
}

#[test]
fn other_revisions_are_brought_when_asked_for() {
    let git = Fixture::new();
    let first = git.commit("first");
    git.git(&["switch", "--quiet", "--create", "feature/x"]);
    let side = git.commit("side");
    git.git(&["tag", "--annotate", "--message", "x", "v1"]);
    let second = git.commit("second");
    git.git(&["switch", "--quiet", "main"]);
    let mirror = mirror(&git, None);
    fetch(&mirror).unwrap();
    let revision = |rev: &str| mirror.inner.revision(rev, &CancellationToken::new());
    for (rev, wanted) in
        [("feature/x", &second), ("v1", &side), (side.0.as_str(), &side), ("main", &first)]
    {
        assert_eq!(&revision(rev).unwrap(), wanted, "{rev}");
    }
    assert!(matches!(revision("gone"), Err(SourceError::NoSuchRevision { .. })));
    assert!(matches!(revision("--all"), Err(SourceError::NoSuchRevision { .. })));
}

#[test]
fn a_password_reaches_neither_the_command_line_nor_a_message() {
    let git = Fixture::new();
    let redactor = Redactor::default();
    let environment =
        Environment::new([("APINIZER_GITOPS_GIT_TOKEN".to_owned(), "s3cr3t".to_owned())]);
    // Nothing listens there.
    let url = "http://127.0.0.1:9/repo.git";
    let mirror = Mirror::new(url, None, &git.beside("state"), &environment, &redactor).unwrap();
    let error = fetch(&mirror).unwrap_err();
    assert!(matches!(error, SourceError::Failed { .. }), "{error}");
    let call = mirror.inner.over_network(mirror.path(), DEADLINE).unwrap().shown();
    assert!(call.contains("credential.http://127.0.0.1:9.helper="), "{call}");
    for form in ["s3cr3t", "Z2l0OnMzY3IzdA=="] {
        assert!(!call.contains(form), "{call}");
        assert!(!redactor.redact(form).contains(form));
    }
}

#[test]
fn a_server_that_hangs_is_given_up_with_all_that_was_started() {
    let git = Fixture::new();
    // Connections are made, and nobody answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (environment, redactor) = (Environment::default(), Redactor::default());
    let url = format!("http://{address}/repo.git");
    let mirror = Mirror::new(&url, None, &git.beside("state"), &environment, &redactor).unwrap();
    let mirror = with_deadline(&mirror, Duration::from_millis(300));
    let error = fetch(&mirror).unwrap_err();
    assert!(matches!(error, SourceError::TimedOut { .. }), "{error}");
    assert_eq!(mirror.status().error, Some(error.to_string()));
    let is_about_it = |process: fs::DirEntry| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&address)
    };
    crate::source::fixture::eventually("no child is left", || {
        !fs::read_dir("/proc").unwrap().flatten().any(is_about_it)
    });
}

#[test]
fn two_mirrors_of_one_url_wait_for_each_other() {
    let git = Fixture::new();
    git.commit("first");
    let (one, two) = (mirror(&git, None), mirror(&git, None));
    let tip = git.commit("second");
    std::thread::scope(|scope| {
        for mirror in [&one, &two] {
            let tip = &tip;
            scope.spawn(move || assert_eq!(&fetch(mirror).unwrap(), tip));
        }
    });
}

#[tokio::test]
async fn a_fetch_that_is_dropped_lets_go_of_the_mirror() {
    let git = Fixture::new();
    let tip = git.commit("first");
    let mirror = mirror(&git, None);
    let never = CancellationToken::new();
    let dropped = tokio::time::timeout(Duration::from_millis(1), mirror.fetch(&never)).await;
    drop(dropped);
    assert_eq!(mirror.fetch(&never).await.unwrap(), tip);
    assert_eq!(mirror.fetch_revision("main").await.unwrap(), tip);
}

const SAID: &str = "ref: refs/heads/trunk\tHEAD\naaa\tHEAD\nbbb\trefs/heads/x/refs/heads/main\n\
                    ccc\trefs/heads/main\nddd\trefs/tags/v1\neee\trefs/tags/v1^{}\n";

#[test]
fn the_branch_is_the_wanted_one_or_the_default() {
    let tip = |branch: &str, id: &str| Tip { branch: branch.into(), id: CommitId(id.into()) };
    assert_eq!(read_tip(SAID, None, "u").unwrap(), tip("trunk", "aaa"));
    assert_eq!(read_tip(SAID, Some("refs/heads/main"), "u").unwrap(), tip("main", "ccc"));
    assert_eq!(read_tip(SAID, Some("refs/tags/v1"), "u").unwrap(), tip("refs/tags/v1", "eee"));
    let missing = read_tip(SAID, Some("refs/heads/no"), "u").unwrap_err();
    assert!(matches!(missing, SourceError::NoSuchBranch { .. }), "{missing}");
    assert!(matches!(read_tip("", None, "u"), Err(SourceError::Unborn { .. })));
    assert!(matches!(read_tip("aaa\tHEAD\n", None, "u"), Err(SourceError::NoSuchBranch { .. })));
}
