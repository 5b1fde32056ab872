//! Reading real repositories, made by the program `git`.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::source::fixture::{Fixture, git_in};

mod faults;

fn paths(listing: &Listing) -> Vec<&str> {
    listing.folders.iter().flat_map(|f| &f.files).map(|file| &*file.path).collect()
}

fn listed(repository: &Repository, id: &CommitId, wanted: &[&str]) -> Listing {
    let wanted: Vec<String> = wanted.iter().map(|p| (*p).to_owned()).collect();
    repository.folders(id, &wanted, None).unwrap()
}

fn open(path: &Path) -> Repository {
    Repository::open(path).unwrap()
}

#[test]
fn a_commit_is_read_and_the_working_tree_is_not() {
    let git = Fixture::new();
    git.write("connections/a.yaml", "one");
    let first = git.commit("First\n\nMore");
    git.write("connections/a.yaml", "uncommitted");
    git.write("connections/b.yaml", "uncommitted");
    let repository = open(&git.at);
    let head = repository.head(None).unwrap();
    assert_eq!((&head.id, head.subject.as_str()), (&first, "First"));
    assert_eq!(head.author, "Ada <ada@example.com>");
    let listing = listed(&repository, &head.id, &["connections"]);
    assert_eq!(paths(&listing), ["connections/a.yaml"]);
    assert_eq!(repository.read(&listing.folders[0].files[0]).unwrap(), b"one");
}

#[test]
fn only_documents_are_listed_in_order() {
    let git = Fixture::new();
    for path in [
        "c/z.yaml",
        "c/a/x.yml",
        "c/a.yaml",
        "c/a-b.yaml",
        "c/.hidden.yaml",
        "c/.d/x.yaml",
        "c/README.md",
        "c/apinizer-gitops.yaml",
        "c/X.YAML",
        "other/o.yaml",
        "apinizer-gitops.yaml",
        "c/custom.yaml",
    ] {
        git.write(path, path);
    }
    symlink("z.yaml", git.at.join("c/link.yaml")).unwrap();
    symlink("../other", git.at.join("c/linked")).unwrap();
    let id = git.commit("all");
    let repository = open(&git.at);
    let wanted = ["c".to_owned(), "missing".to_owned()];
    let listing = repository.folders(&id, &wanted, Some("c/custom.yaml")).unwrap();
    let expected = ["c/a-b.yaml", "c/a.yaml", "c/a/x.yml", "c/z.yaml"];
    assert_eq!(paths(&listing), expected);
    assert!(listing.folders[0].exists && !listing.folders[1].exists);
    let link = |path: &str| format!("{path} is skipped: symbolic links are not followed");
    assert!(listing.unread_files.values().eq(&[link("c/link.yaml"), link("c/linked")]));
    assert_eq!(
        listing.skipped(),
        [
            "c/X.YAML is skipped: only names that end in .yaml or .yml are read",
            "c/.d/, c/.hidden.yaml are skipped: its name begins with a dot",
        ]
    );

    // The working tree is listed by the same rules and named by the same ids.
    let files = repository.worktree().unwrap();
    let on_disk = files.folders(&wanted, Some("c/custom.yaml")).unwrap();
    assert_eq!(on_disk.folders[0].files, listing.folders[0].files);
    assert_eq!(
        (&on_disk.unread_files, on_disk.skipped()),
        (&listing.unread_files, listing.skipped())
    );
    assert!(!on_disk.folders[1].exists);
    assert_eq!(files.read(&on_disk.folders[0].files[0]).unwrap(), b"c/a-b.yaml");
}

#[test]
fn a_path_may_be_the_root_a_file_or_a_link() {
    let git = Fixture::new();
    git.write("a.yaml", "a");
    git.write("d/e/b.yaml", "b");
    symlink("d", git.at.join("l")).unwrap();
    let id = git.commit("all");
    let repository = open(&git.at);
    for root in ["", ".", "./"] {
        assert_eq!(paths(&listed(&repository, &id, &[root])), ["a.yaml", "d/e/b.yaml"]);
    }
    assert_eq!(paths(&listed(&repository, &id, &["d/e/b.yaml"])), ["d/e/b.yaml"]);
    assert_eq!(paths(&listed(&repository, &id, &["./d//e/"])), ["d/e/b.yaml"]);
    for absent in ["l", "l/e", "a.yaml/x", "d/x"] {
        assert!(!listed(&repository, &id, &[absent]).folders[0].exists, "{absent}");
        let files = repository.worktree().unwrap();
        let folder = files.folders(&[absent.to_owned()], None).unwrap().folders.remove(0);
        assert!(!folder.exists, "{absent} on disk");
    }
}

#[test]
fn files_that_are_named_need_no_repository() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("c/d")).unwrap();
    fs::write(folder.path().join("c/d/a.yaml"), "a").unwrap();
    symlink("c", folder.path().join("link")).unwrap();
    let files = Files::named_in(folder.path().join("c"));
    let absolute = folder.path().join("c").to_str().unwrap().to_owned();
    for (named, shown) in [
        (".", "d/a.yaml".to_owned()),
        ("./d/", "d/a.yaml".to_owned()),
        ("d/a.yaml", "d/a.yaml".to_owned()),
        ("../link", "../link/d/a.yaml".to_owned()),
        (absolute.as_str(), format!("{absolute}/d/a.yaml")),
    ] {
        let listing = files.folders(&[named.to_owned()], None).unwrap();
        assert_eq!(paths(&listing), [shown.as_str()], "{named}");
        assert_eq!(files.read(&listing.folders[0].files[0]).unwrap(), b"a");
    }
}

#[test]
fn branches_tags_and_detached_heads_are_resolved() {
    let git = Fixture::new();
    let repository = open(&git.at);
    for branch in [None, Some("main")] {
        let error = repository.head(branch).unwrap_err();
        assert!(matches!(error, SourceError::Unborn { .. }), "{error}");
    }
    let first = git.commit("first");
    git.git(&["tag", "--annotate", "--message", "x", "v1"]);
    git.git(&["switch", "--quiet", "--create", "feature/x"]);
    let second = git.commit("second");
    assert_eq!(repository.head(Some("main")).unwrap().id, first);
    assert_eq!(repository.head(Some("feature/x")).unwrap().id, second);
    assert_eq!(repository.head(None).unwrap().id, second);
    git.git(&["checkout", "--quiet", "--detach", "main"]);
    assert_eq!(repository.head(None).unwrap().id, first);
    for rev in ["v1", "feature/x~1", "main", &first.0, &first.0[..10]] {
        assert_eq!(repository.resolve(rev).unwrap().id, first, "{rev}");
    }
    let error = repository.head(Some("gone")).unwrap_err();
    assert!(matches!(error, SourceError::NoSuchBranch { .. }), "{error}");
    for rev in ["gone", "", "--all", "HEAD:a.yaml", "main~5"] {
        let error = repository.resolve(rev).unwrap_err();
        assert!(matches!(error, SourceError::NoSuchRevision { .. }), "{rev}: {error}");
    }
    git.git(&["commit", "--quiet", "--allow-empty", "--amend", "--message", "amended"]);
    assert_eq!(repository.head(None).unwrap().subject, "amended");
}

#[test]
fn checkouts_of_every_shape_are_opened() {
    let git = Fixture::new();
    git.write("connections/deep/a.yaml", "a");
    let id = git.commit("first");
    git.git(&["clone", "--quiet", "--bare", ".", "../bare.git"]);
    git.git(&["worktree", "add", "--quiet", "-b", "other", "../linked"]);
    symlink("checkout", git.beside("current")).unwrap();
    for place in
        ["checkout", "checkout/.git", "checkout/connections/deep", "bare.git", "linked", "current"]
    {
        let repository = open(&git.beside(place));
        assert_eq!(repository.head(None).unwrap().id, id, "{place}");
        assert_eq!(paths(&listed(&repository, &id, &["."])), ["connections/deep/a.yaml"]);
        let bare = matches!(repository.worktree(), Err(SourceError::Bare { .. }));
        assert_eq!(bare, place == "bare.git");
    }
    assert_eq!(open(&git.beside("linked")).head(Some("other")).unwrap().id, id);
}

#[test]
fn a_link_that_flips_is_followed() {
    let git = Fixture::new();
    let first = git.commit("first");
    git.git(&["clone", "--quiet", ".", "../next"]);
    let next = git.beside("next");
    let second = {
        git_in(&next, &["commit", "--quiet", "--allow-empty", "--message", "second"]);
        CommitId(git_in(&next, &["rev-parse", "HEAD"]).trim().to_owned())
    };
    let current = git.beside("current");
    symlink("checkout", &current).unwrap();
    let repository = open(&current);
    assert_eq!(repository.head(None).unwrap().id, first);
    symlink("next", git.beside("tmp")).unwrap();
    fs::rename(git.beside("tmp"), &current).unwrap();
    assert_eq!(repository.head(None).unwrap().id, second);
    fs::remove_file(&current).unwrap();
    let error = repository.head(None).unwrap_err();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error}");
    symlink("checkout", &current).unwrap();
    assert_eq!(repository.head(None).unwrap().id, first);
}

#[test]
fn reference_tables_are_read_by_the_program() {
    let git = Fixture::with(&["--ref-format=reftable"]);
    let repository = open(&git.at);
    assert!(matches!(repository.head(None), Err(SourceError::Unborn { .. })));
    let id = git.commit("first");
    git.git(&["tag", "--annotate", "--message", "x", "v1"]);
    for found in [repository.head(None), repository.head(Some("main")), repository.resolve("v1")] {
        assert_eq!(found.unwrap().id, id);
    }
    assert!(matches!(repository.head(Some("no")), Err(SourceError::NoSuchBranch { .. })));
    assert!(matches!(repository.resolve("no"), Err(SourceError::NoSuchRevision { .. })));
}

#[test]
fn submodules_are_passed_over() {
    let inner = Fixture::new();
    inner.write("a.yaml", "a");
    inner.commit("inner");
    let git = Fixture::new();
    git.write("c/b.yaml", "b");
    let inner = inner.at.to_str().unwrap();
    git.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "c/sub"]);
    let id = git.commit("outer");
    let repository = open(&git.at);
    let listing = listed(&repository, &id, &["c"]);
    assert_eq!(paths(&listing), ["c/b.yaml"]);
    let told = "c/sub is skipped: it is a repository of its own, a submodule";
    assert!(listing.unread_files.values().eq([told]));
    let files = repository.worktree().unwrap();
    assert!(files.folders(&["c".into()], None).unwrap().unread_files.values().eq([told]));
    // A submodule is a repository of its own, and can be the source.
    assert_eq!(open(&git.at.join("c/sub")).head(None).unwrap().subject, "inner");
}

#[test]
fn a_name_that_is_not_utf8_is_told() {
    use std::os::unix::ffi::OsStrExt;
    let git = Fixture::new();
    let name = std::ffi::OsStr::from_bytes(b"\xff.yaml");
    fs::create_dir(git.at.join("c")).unwrap();
    fs::write(git.at.join("c").join(name), "x").unwrap();
    let id = git.commit("first");
    let repository = open(&git.at);
    let told = "c/\u{fffd}.yaml is skipped: its name is not UTF-8";
    assert!(listed(&repository, &id, &["c"]).unread_files.values().eq([told]));
    let on_disk = repository.worktree().unwrap().folders(&["c".into()], None).unwrap();
    assert!(on_disk.unread_files.values().eq([told]));
}

#[test]
fn several_threads_read_at_once() {
    let git = Fixture::new();
    for n in 0..200 {
        git.write(&format!("c/{n:03}.yaml"), &n.to_string());
    }
    let id = git.commit("first");
    let repository = open(&git.at);
    let files = listed(&repository, &id, &["c"]).folders.remove(0).files;
    std::thread::scope(|scope| {
        for part in files.chunks(50) {
            let repository = &repository;
            scope.spawn(move || {
                for file in part {
                    let text = String::from_utf8(repository.read(file).unwrap()).unwrap();
                    assert_eq!(format!("c/{text:0>3}.yaml"), *file.path);
                }
            });
        }
    });
}
