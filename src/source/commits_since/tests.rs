//! Histories as people make them: merges, resets, wrong clocks, shallow clones.

use super::*;
use crate::source::Repository;
use crate::source::fixture::{Fixture, git_in};

fn since(git: &Fixture, tip: &CommitId, last_good: Option<&CommitId>) -> CommitsSince {
    Repository::open(&git.at).unwrap().commits_since(tip, last_good).unwrap()
}

fn subjects(history: &CommitsSince) -> Vec<&str> {
    let mut subjects: Vec<&str> = history.commits.iter().map(|c| c.subject.as_str()).collect();
    subjects.sort_unstable();
    subjects
}

#[test]
fn only_the_last_paragraph_consents() {
    for message in [
        "Drop it\n\nAllow-Deletes: true\n",
        "Drop it\n\nWhy\n\nSigned-off-by: A <a@b>\nallow-deletes: True\n",
        "Drop it\r\n\r\nAllow-Deletes: true\r\n",
        "Drop it\n\nALLOW-DELETES:true",
    ] {
        assert!(consents(message.as_bytes()), "{message:?}");
    }
    for message in [
        "Allow-Deletes: true",
        "Drop it\n\nAllow-Deletes: true\n\nNo: not at the end\n",
        "Drop it\n\nAllow-Deletes: false\n",
        "Drop it\n\nAllow-Deletes: true please\n",
        "Drop it\n\nWe write Allow-Deletes: true to consent\n",
        "Drop it\n\n\0Allow-Deletes: true\n",
        "",
    ] {
        assert!(!consents(message.as_bytes()), "{message:?}");
    }
}

#[test]
fn a_merge_brings_the_commits_of_its_branch() {
    let git = Fixture::new();
    git.commit("base");
    let good = git.commit("good");
    git.git(&["switch", "--quiet", "--create", "topic", "HEAD~1"]);
    let topic = git.commit("topic\n\nAllow-Deletes: true");
    git.git(&["switch", "--quiet", "main"]);
    git.git(&["merge", "--quiet", "--no-ff", "--message", "merge", "topic"]);
    let tip = git.id("HEAD");
    let history = since(&git, &tip, Some(&good));
    assert_eq!(subjects(&history), ["merge", "topic"]);
    assert!(history.complete);
    let merge = history.commits.iter().find(|c| c.id == tip).unwrap();
    assert_eq!(merge.parents, [good, topic.clone()]);
    assert!(!merge.allow_deletes);
    assert!(history.commits.iter().find(|c| c.id == topic).unwrap().allow_deletes);
    assert_eq!(subjects(&since(&git, &tip, None)), ["base", "good", "merge", "topic"]);
}

#[test]
fn a_branch_that_goes_back_brings_nothing() {
    let git = Fixture::new();
    let first = git.commit("first");
    let second = git.commit("second");
    assert!(since(&git, &first, Some(&second)).commits.is_empty());
    assert!(since(&git, &second, Some(&second)).commits.is_empty());
}

#[test]
fn clocks_that_run_backwards_do_not_matter() {
    let git = Fixture::new();
    let at = |time: &str, message: &str| {
        let date = format!("@{time} +0000");
        std::process::Command::new("git")
            .args(["commit", "--quiet", "--allow-empty", "--message", message])
            .current_dir(&git.at)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@b")])
            .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@b")])
            .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
            .status()
            .unwrap();
        git.id("HEAD")
    };
    at("1000000", "old\n\nAllow-Deletes: true");
    at("990000", "older by its clock");
    let good = at("980000", "good");
    let tip = at("970000", "tip");
    assert_eq!(subjects(&since(&git, &tip, Some(&good))), ["tip"]);
    git.git(&["switch", "--quiet", "--create", "side", "HEAD~3"]);
    let side = at("2000000", "side");
    assert_eq!(subjects(&since(&git, &side, Some(&good))), ["side"]);
}

#[test]
fn a_shallow_clone_names_the_missing_commit() {
    let git = Fixture::new();
    let first = git.commit("first");
    let second = git.commit("second");
    let third = git.commit("third");
    let url = format!("file://{}", git.at.display());
    git_in(&git.beside(""), &["clone", "--quiet", "--depth=2", &url, "shallow"]);
    let shallow = Repository::open(&git.beside("shallow")).unwrap();
    assert_eq!(shallow.head(None).unwrap().id, third);
    assert!(shallow.has_commit(&second).unwrap() && !shallow.has_commit(&first).unwrap());
    assert!(shallow.commit(&first).unwrap().is_none());
    let near = shallow.commits_since(&third, Some(&second)).unwrap();
    assert_eq!((subjects(&near), near.complete), (vec!["third"], true));
    let all = shallow.commits_since(&third, None).unwrap();
    assert_eq!((subjects(&all), all.complete), (vec!["second", "third"], false));
    let error = shallow.commits_since(&third, Some(&first)).unwrap_err();
    assert!(matches!(error, SourceError::NoSuchCommit { .. }), "{error}");
    let error = shallow.folders(&first, &[".".into()], None).unwrap_err();
    assert!(matches!(error, SourceError::NoSuchCommit { .. }), "{error}");
}
