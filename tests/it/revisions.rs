//! Every way to name a revision, for a source that is a path and for one that is a url.

use std::fs;

use apinizer_gitops::testing::sandbox::{Options, SecretsOnGet};
use serde_json::json;

use crate::git_servers::serve;
use crate::remote::{follow, push};
use crate::world::{World, email, git_in};

/// A repository whose commits give `a` the ports 1, 2 and 3, pushed to a bare one. The branch
/// `feature/x` and the annotated tag `v2` are at the second.
fn three_commits() -> (World, String) {
    let world = World::new();
    let bare = serve(&world, "gateway.git");
    for port in 1..=3 {
        world.commit_email("a", &format!("port: {port}\n"));
        if port == 2 {
            world.git(&["branch", "feature/x"]);
            world.git(&["tag", "-a", "-m", "the second", "v2"]);
        }
    }
    push(&world, &bare);
    world.git(&["push", "-q", bare.to_str().unwrap(), "feature/x", "v2"]);
    (world, format!("file://{}", bare.display()))
}

/// The port that a revision declares.
#[track_caller]
fn port(world: &World, rev: &str) -> u64 {
    let plan = world.plan_json(&["--rev", rev]);
    let fields = plan["changes"][0]["fields"].as_array();
    let fields = fields.unwrap_or_else(|| panic!("{rev}: {plan}"));
    let port = fields.iter().find(|field| field["path"] == json!("/port")).unwrap();
    port["after"].as_u64().unwrap()
}

#[test]
fn revisions_of_a_url_are_found_beside_a_branch_too() {
    let (mut world, url) = three_commits();
    let first = world.git(&["rev-parse", "HEAD~2"]).trim().to_owned();
    for branch in ["", ", branch: main", ", branch: refs/heads/main"] {
        follow(&mut world, &url, branch, "");
        for (rev, wanted) in [
            ("HEAD", 3),
            ("HEAD~1", 2),
            ("HEAD^^", 1),
            ("main", 3),
            ("main~1", 2),
            ("refs/heads/main~2", 1),
            ("v2", 2),
            ("v2~0", 2),
            ("v2^{commit}~1", 1),
            ("feature/x", 2),
            ("feature/x~0", 2),
            ("feature/x~1", 1),
            (first.as_str(), 1),
            (&first[..10], 1),
        ] {
            assert_eq!(port(&world, rev), wanted, "{rev} with `{branch}`");
        }
        for rev in ["nothing", "nothing~1", "HEAD~7", "v2:connections", "--all"] {
            let rev = format!("--rev={rev}");
            world.run(&["plan", &rev]).code(1).says("has no revision");
        }
    }
    follow(&mut world, &url, ", branch: feature/x", "");
    assert_eq!((port(&world, "HEAD"), port(&world, "HEAD~1")), (2, 1));
    fs::remove_dir_all(world.state_dir()).unwrap();
    follow(&mut world, &url, ", branch: main", "");
    world.run(&["apply", "--yes", "--rev", "HEAD~1"]).code(0);
    world.run(&["plan", "--base", "HEAD~1"]).code(2).says("3");
}

#[test]
fn a_branch_that_is_an_annotated_tag_is_read() {
    let (mut world, url) = three_commits();
    follow(&mut world, &url, ", branch: refs/tags/v2", "");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(2));
    world.source("path: '{repo}', branch: refs/tags/v2", "");
    world.plan().code(0);
    world.git(&["tag", "-f", "-a", "-m", "the third", "v2"]);
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(3));
    let bare = url.strip_prefix("file://").unwrap();
    world.git(&["push", "-qf", bare, "v2"]);
    follow(&mut world, &url, ", branch: refs/tags/v2", "");
    world.plan().code(0);
}

#[test]
fn a_tag_with_the_name_of_a_branch_is_told() {
    let (mut world, url) = three_commits();
    world.git(&["tag", "main", "HEAD~2"]);
    world.git(&["push", "-q", url.strip_prefix("file://").unwrap(), "refs/tags/main"]);
    let told =
        "`main` is a tag and a branch: the tag is read; write refs/heads/main for the branch";
    for source in ["path: '{repo}'", &format!("url: '{url}'")] {
        world.source(source, "");
        for rev in ["main", "main~0"] {
            world.run(&["plan", "--rev", rev]).code(2).says(told);
            assert_eq!(port(&world, rev), 1);
        }
        let plan = world.run(&["plan", "--rev", "refs/heads/main"]).code(2);
        assert!(!plan.stderr.contains("is a tag"), "{}", plan.stderr);
        assert_eq!(port(&world, "refs/heads/main"), 3);
        let plan = world.run(&["plan", "--rev", "HEAD"]).code(2);
        assert!(!plan.stderr.contains("is a tag"), "{}", plan.stderr);
    }
}

#[test]
fn a_partial_clone_is_told_as_such() {
    let (mut world, url) = three_commits();
    git_in(
        url.strip_prefix("file://").unwrap().as_ref(),
        &["config", "uploadpack.allowFilter", "1"],
    );
    let partial = world.path("partial");
    let place = partial.to_str().unwrap().to_owned();
    git_in(&world.repo(), &["clone", "-q", "--filter=blob:none", &url, &place]);
    world.source(&format!("path: '{place}'"), "");
    world.plan().code(2);
    let told = "it is a partial clone";
    let plan = world.run(&["plan", "--rev", "HEAD~1"]).code(1).says(told);
    assert!(!plan.stdout.contains("fsck") && !plan.stderr.contains("fsck"));
    world.run(&["plan", "--base", "HEAD~1"]).code(1).says(told);
}

/// Without a state an empty path may have had a say in what live was edited to.
#[test]
fn a_secret_that_git_changes_is_sent_where_live_shows_the_one_of_the_base() {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.env.insert("SECOND".into(), "another-secret".into());
    world.target("paths: [connections, over]");
    world.write("over/.keep", "");
    world.settle(&["a", "b"]);
    let base = world.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let changed = email("b", "").replace("SMTP_PASSWORD", "SECOND");
    world.write("connections/b.yaml", &changed);
    world.commit("another secret");
    world.run(&["apply", "--yes", "--base", &base]).code(0);
    assert_eq!(world.live("b")["password"], json!("another-secret"));
}
