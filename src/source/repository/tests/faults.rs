//! Repositories in trouble, under way, or of a kind that is refused.

use super::*;
use crate::source::fixture::call;

#[test]
fn a_file_that_changed_after_it_was_listed_is_not_read() {
    let git = Fixture::new();
    git.write("a.yaml", "a");
    let files = open(&git.at).worktree().unwrap();
    let entry = files.folders(&[".".into()], None).unwrap().folders[0].files[0].clone();
    git.write("a.yaml", "b");
    let error = files.read(&entry).unwrap_err();
    assert!(matches!(error, SourceError::Changed { .. }));
}

#[test]
fn a_sha256_repository_is_refused_in_words() {
    let git = Fixture::with(&["--object-format=sha256"]);
    git.commit("first");
    let error = open(&git.at).head(None).unwrap_err();
    assert!(error.to_string().contains("SHA-256"), "{error}");
}

#[test]
fn packed_and_collected_objects_stay_readable() {
    let git = Fixture::new();
    git.write("c/a.yaml", "one");
    let first = git.commit("first");
    let repository = open(&git.at);
    let listing = listed(&repository, &first, &["c"]);
    git.write("c/a.yaml", "two");
    let second = git.commit("second");
    git.git(&["pack-refs", "--all"]);
    git.git(&["gc", "--quiet", "--prune=now"]);
    assert_eq!(repository.read(&listing.folders[0].files[0]).unwrap(), b"one");
    assert_eq!(repository.head(Some("main")).unwrap().id, second);
    git.git(&["repack", "-a", "-d", "--quiet", "-f"]);
    assert_eq!(repository.read(&listing.folders[0].files[0]).unwrap(), b"one");
}

#[test]
fn a_folder_that_is_no_repository_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = Repository::open(folder.path()).err().unwrap();
    assert!(matches!(error, SourceError::NotARepository { .. }), "{error}");
    let error = Repository::open(&folder.path().join("gone")).err().unwrap();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error}");
}

#[test]
fn lost_and_damaged_objects_are_told_apart() {
    let git = Fixture::new();
    git.write("c/a.yaml", "one");
    let id = git.commit("first");
    let repository = open(&git.at);
    let file = listed(&repository, &id, &["c"]).folders[0].files[0].clone();
    let blob = crate::digest::hex(&file.blob);
    let object = git.at.join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    fs::remove_file(&object).unwrap();
    let error = repository.read(&file).unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("c/a.yaml"), "{error}");
    fs::write(&object, b"x").unwrap();
    let error = repository.read(&file).unwrap_err();
    assert!(matches!(error, SourceError::Corrupt { .. }), "{error}");
    let unknown = FileEntry { path: "x.yaml".into(), blob: [7; 20] };
    assert!(repository.read(&unknown).is_err());
}

#[test]
fn a_large_file_is_refused() {
    let git = Fixture::new();
    git.write("c/a.yaml", &"x".repeat(4 * 1024 * 1024 + 1));
    let id = git.commit("first");
    let repository = open(&git.at);
    let file = listed(&repository, &id, &["c"]).folders[0].files[0].clone();
    let error = repository.read(&file).unwrap_err();
    assert!(matches!(error, SourceError::TooLarge { size: 4_194_305, .. }), "{error}");
}

#[test]
fn a_rebase_or_a_bisection_under_way_is_not_followed() {
    let git = Fixture::new();
    git.write("a.yaml", "base");
    let base = git.commit("base");
    git.write("a.yaml", "theirs");
    git.commit("theirs");
    git.git(&["switch", "--quiet", "--create", "mine", &base.0]);
    git.write("a.yaml", "mine");
    let mine = git.commit("mine");
    let repository = open(&git.at);
    assert!(!call(&git.at, &["rebase", "main"]).status.success());
    assert_ne!(git.id("HEAD"), mine);
    assert_eq!(repository.head(None).unwrap().id, mine);
    git.git(&["rebase", "--abort"]);
    assert_eq!(repository.head(None).unwrap().id, mine);

    git.git(&["bisect", "start"]);
    git.git(&["checkout", "--quiet", "--detach", &base.0]);
    assert_eq!(repository.head(None).unwrap().id, mine);
    git.git(&["bisect", "reset"]);
    assert_eq!(repository.head(None).unwrap().id, mine);
}

#[test]
fn trees_that_nest_into_far_too_many_files_are_refused() {
    let git = Fixture::new();
    git.write("a.yaml", "a");
    git.commit("one file");
    let mut tree = git.id("HEAD:a.yaml").0;
    for level in 0..3 {
        let (mode, kind, ending) =
            if level == 0 { ("100644", "blob", ".yaml") } else { ("040000", "tree", "") };
        let lines = (10..74).map(|n| format!("{mode} {kind} {tree}\t{n}{ending}\n"));
        let listing = git.beside("listing");
        fs::write(&listing, lines.collect::<String>()).unwrap();
        let made = std::process::Command::new("git")
            .arg("mktree")
            .current_dir(&git.at)
            .stdin(fs::File::open(&listing).unwrap())
            .output()
            .unwrap();
        tree = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    }
    let id = CommitId(git.git(&["commit-tree", "-m", "bomb", &tree]).trim().to_owned());
    let error = open(&git.at).folders(&id, &[".".into()], None).unwrap_err();
    assert!(matches!(error, SourceError::TooManyFiles { limit: 200_000, .. }), "{error}");
}
