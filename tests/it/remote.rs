//! A source that is a url: real servers, real authentication, and hosts that fail.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::git_servers::{Server, USER, serve, served};
use crate::running::{Running, eventually};
use crate::world::{CANARY, World, git_in, one_target};

/// The token of the tests is the text that `World` searches all output for.
const TOKEN: &str = CANARY;

/// Follows a url from now on.
pub(crate) fn follow(world: &mut World, url: &str, source: &str, target: &str) {
    world.source(&format!("url: '{url}', poll: 1s{source}"), target);
}

/// Follows a url from now on, and takes orders with a token.
fn takes_orders(world: &mut World, url: &str) {
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "admin".to_owned());
    let target = one_target(&format!("url: '{url}', poll: 1s"), "resync: 1s");
    world.config(&format!("server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{target}"));
}

fn give_token(world: &mut World, token: &str) {
    world.env.insert("APINIZER_GITOPS_GIT_TOKEN".to_owned(), token.to_owned());
}

/// Declares an email connection and pushes it.
pub(crate) fn push_email(world: &World, to: &Path, name: &str, more: &str) -> String {
    let commit = world.commit_email(name, more);
    push(world, to);
    commit
}

pub(crate) fn push(world: &World, to: &Path) {
    world.git(&["push", "-q", "--force", to.to_str().unwrap(), "HEAD"]);
}

pub(crate) fn live_port(world: &World, name: &str) -> Value {
    let is_live = world.names().contains(&name.to_owned());
    if is_live { world.live(name)["port"].clone() } else { Value::Null }
}

/// The one mirror in the state folder.
pub(crate) fn mirror(world: &World) -> PathBuf {
    let entries = fs::read_dir(world.state_dir().join("mirrors")).unwrap();
    let mut mirrors = entries.map(|e| e.unwrap().path()).filter(|path| path.is_dir());
    mirrors.next().unwrap()
}

/// Whether a file below a folder holds a text.
fn is_in_files(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return is_in_files(&path, text);
        }
        let content = fs::read(&path).unwrap();
        content.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// The command lines of all processes of the machine.
fn command_lines() -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect()
}

#[test]
fn a_url_over_http_is_read_by_every_command_and_its_token_stays_secret() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    let Some(server) = Server::http(&world, "web", Some(TOKEN), false, "") else { return };
    let commit = push_email(&world, &bare, "a", "port: 1\n");
    let url = server.url("http", "gateway.git");
    follow(&mut world, &url, "", "");

    world.run(&["plan"]).code(1).says("give a token");
    give_token(&mut world, "wrong");
    world.run(&["plan"]).code(1).says("Authentication failed");
    give_token(&mut world, TOKEN);
    world.plan().code(2).says("+ email");
    assert!(world.state().is_empty());
    world.apply().code(0);
    assert_eq!(world.record()["last_good"]["commit"], json!(commit));
    push_email(&world, &bare, "a", "port: 2\n");
    world.run(&["run", "--once"]).code(0);
    assert_eq!(live_port(&world, "a"), json!(2));

    assert!(!is_in_files(&world.state_dir(), TOKEN));
    let encoded = base64(&format!("{USER}:{TOKEN}"));
    let requests = server.requests();
    assert!(requests.contains(&encoded), "that is how it is sent: {requests}");
    assert!(!is_in_files(&world.state_dir(), &encoded));
}

#[test]
fn other_revisions_of_a_url_are_planned_against_and_applied_statelessly() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    let base = push_email(&world, &bare, "a", "port: 1\n");
    follow(&mut world, &format!("file://{}", bare.display()), "", "");
    world.run(&["apply", "--yes", "--rev", &base]).code(0);
    world.git(&["switch", "-qc", "feature"]);
    world.remove("connections/a.yaml");
    let tip = world.commit_email("b", "");
    world.git(&["push", "-q", bare.to_str().unwrap(), "feature"]);
    world.plan().code(0);
    for rev in ["feature", tip.as_str()] {
        let ran = world.run(&["plan", "--rev", rev, "--base", &base]).code(2);
        ran.says("+ email").says("- email");
    }
    world.run(&["plan", "--rev", "nothing"]).code(1).says("no revision `nothing`");
    world.run(&["validate", "--rev", "feature"]).code(0);
    fs::remove_dir_all(world.state_dir()).unwrap();
    world.run(&["apply", "--yes", "--rev", "feature", "--base", &base]).code(0);
    assert_eq!(world.names(), ["b"]);
    assert!(world.state().is_empty());
}

#[test]
fn a_url_over_https_is_followed_by_the_daemon() {
    let mut world = World::new();
    let bare = serve(&world, "team/gateway.git");
    let Some(server) = Server::http(&world, "web", Some(TOKEN), true, "") else { return };
    push_email(&world, &bare, "a", "port: 1\n");
    follow(&mut world, &server.url("https", "team/gateway.git"), "", "resync: 24h");
    give_token(&mut world, TOKEN);
    world.env.insert("GIT_SSL_CAINFO".to_owned(), server.certificate());
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    push_email(&world, &bare, "a", "port: 2\n");
    eventually("a push", || live_port(&world, "a") == json!(2));
    world.write_email("a", "port: 3\n");
    world.git(&["commit", "-qa", "--amend", "-m", "rewritten"]);
    push(&world, &bare);
    eventually("a force-push", || live_port(&world, "a") == json!(3));
    let status = daemon.status(&world);
    assert_eq!(status["source"]["branch"], json!("main"));
    assert_eq!(status["source"]["error"], Value::Null);
    assert!(status["source"]["fetched_at"].is_string());
    assert!(!status.to_string().contains(TOKEN) && !daemon.logs().contains(TOKEN));
}

#[test]
fn a_token_that_is_mounted_as_a_file_rotates_without_a_restart() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    let Some(server) = Server::http(&world, "web", Some("first"), false, "") else { return };
    push_email(&world, &bare, "a", "port: 1\n");
    follow(&mut world, &server.url("http", "gateway.git"), "", "resync: 24h");
    let file = world.path("token");
    world.env.insert("APINIZER_GITOPS_GIT_TOKEN_FILE".to_owned(), file.display().to_string());
    world.plan().code(1).says("there is no token to fetch `source.url` with");
    fs::write(&file, "first\n").unwrap();
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    server.password("second");
    eventually("refused", || {
        let error = daemon.status(&world)["source"]["error"].clone();
        error.as_str().is_some_and(|text| text.contains("Authentication failed"))
    });
    push_email(&world, &bare, "a", "port: 2\n");
    fs::write(&file, "second\n").unwrap();
    eventually("a push after the rotation", || live_port(&world, "a") == json!(2));
    assert_eq!(daemon.status(&world)["source"]["error"], Value::Null);
}

#[test]
fn a_redirect_does_not_take_the_token_along() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    let Some(other) = Server::http(&world, "other", None, false, "") else { return };
    let to = other.url("http", "$1");
    let redirect = format!("url.redirect = ( \"^/git/moved/(.*)\" => \"{to}\" )\n");
    let Some(server) = Server::http(&world, "web", Some(TOKEN), false, &redirect) else { return };
    push_email(&world, &bare, "a", "");
    follow(&mut world, &server.url("http", "moved/gateway.git"), "", "");
    give_token(&mut world, TOKEN);
    world.plan().code(1).says("the server redirects, and a token is not sent on");
    assert!(server.requests().contains("Basic"));
    let requests = other.requests();
    assert!(!requests.contains("gateway.git"), "{requests}");
}

#[test]
fn ssh_takes_a_key_and_minds_the_known_hosts() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    let Some(server) = Server::ssh(&world) else { return };
    push_email(&world, &bare, "a", "port: 1\n");
    follow(&mut world, &server.ssh_url(&bare), "", "resync: 24h");
    let use_ssh = |world: &mut World, key, hosts| {
        world.env.insert("GIT_SSH_COMMAND".to_owned(), server.ssh_command(key, hosts));
    };
    use_ssh(&mut world, "user", "nobody_is_known");
    world.plan().code(1).says("Host key verification failed").says("known_hosts");
    use_ssh(&mut world, "stranger", "known_hosts");
    world.plan().code(1).says("Permission denied");
    use_ssh(&mut world, "user", "known_hosts");
    world.plan().code(2);
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    push_email(&world, &bare, "a", "port: 2\n");
    eventually("a push", || live_port(&world, "a") == json!(2));
    assert_eq!(daemon.status(&world)["source"]["error"], Value::Null);
}

#[test]
fn a_force_push_and_gc_leave_the_last_good_commit() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    push_email(&world, &bare, "base", "");
    let good = push_email(&world, &bare, "a", "port: 1\n");
    follow(&mut world, &format!("file://{}", bare.display()), "", "resync: 1s");
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    eventually("applied", || daemon.status(&world)["targets"][0]["commit_applied"] == json!(good));
    // History is rewritten to a commit that is refused, and nothing names the good one any more.
    world.git(&["reset", "-q", "--hard", "HEAD~"]);
    world.write("connections/b.yaml", "type: email\nname: b\nhost: h\npassword: in-the-clear\n");
    world.commit("a mistake");
    push(&world, &bare);
    eventually("refused", || daemon.status(&world)["targets"][0]["state"] == json!("refused"));
    git_in(&mirror(&world), &["gc", "-q", "--prune=now"]);
    world.edit("a", "port", json!(9));
    eventually("drift from the good commit", || live_port(&world, "a") == json!(1));
    drop(daemon);
    // And by another process, which remembers nothing.
    world.edit("a", "port", json!(9));
    let _daemon = Running::start(&world, &[]);
    eventually("drift from the good commit again", || live_port(&world, "a") == json!(1));
}

#[test]
fn the_trailer_of_a_merged_commit_is_found_in_the_mirror() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    for name in ["a", "b", "c", "d", "e"] {
        world.commit_email(name, "");
    }
    push(&world, &bare);
    follow(&mut world, &format!("file://{}", bare.display()), "", "max_deletes: 1");
    world.apply().code(0);
    world.git(&["switch", "-qc", "cleanup"]);
    for name in ["b", "c", "d"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    world.commit("Remove three\n\nAllow-Deletes: true");
    world.git(&["switch", "-q", "main"]);
    world.commit_email("f", "");
    world.git(&["merge", "-q", "--no-ff", "-m", "Merge the cleanup", "cleanup"]);
    push(&world, &bare);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "e", "f"]);
}

#[test]
fn stale_locks_in_the_mirror_are_recovered_from() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    push_email(&world, &bare, "a", "port: 1\n");
    follow(&mut world, &format!("file://{}", bare.display()), "", "resync: 24h");
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    // As a fetch leaves them that was killed; the default branch moves too.
    let locks = ["HEAD.lock", "refs/heads/main.lock", "refs/heads/trunk.lock", "packed-refs.lock"];
    for lock in locks {
        fs::write(mirror(&world).join(lock), "").unwrap();
    }
    world.git(&["branch", "-m", "main", "trunk"]);
    push_email(&world, &bare, "a", "port: 2\n");
    git_in(&bare, &["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    eventually("a push behind locks", || live_port(&world, "a") == json!(2));
    assert_eq!(daemon.status(&world)["source"]["branch"], json!("trunk"));
}

#[test]
fn a_host_that_hangs_holds_up_nothing_and_no_child_shows_the_token() {
    let mut world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // The first request is answered by asking who it is, the next one never.
    let asked = std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut buffer = [0; 1024];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                let length = stream.read(&mut buffer).unwrap();
                head.extend_from_slice(&buffer[..length]);
            }
            if String::from_utf8_lossy(&head).contains("Authorization: Basic") {
                held.push(stream);
                return held;
            }
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n\
                          Content-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
        held
    });
    follow(&mut world, &format!("http://{address}/gateway.git"), "", "");
    give_token(&mut world, TOKEN);
    let mut daemon = Running::start(&world, &[]);
    let _held = asked.join().unwrap();
    let lines = command_lines();
    let about: Vec<_> = lines.iter().filter(|line| line.contains(&address)).collect();
    assert!(about.iter().any(|line| line.contains("remote-http")), "{about:?}");
    let encoded = base64(&format!("{USER}:{TOKEN}"));
    for line in &lines {
        assert!(!line.contains(TOKEN) && !line.contains(&encoded), "{line}");
    }
    assert_eq!(daemon.get(&world, "/healthz").0, 200);
    daemon.signal("-TERM");
    assert_eq!(daemon.ends(), 0);
    eventually("no child is left", || !command_lines().iter().any(|l| l.contains(&address)));
    assert!(world.writes().is_empty());
}

#[test]
fn a_host_that_is_down_is_told_and_the_fetched_commit_stays_in_force() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    let url = format!("file://{}", bare.display());
    push_email(&world, &bare, "a", "port: 1\n");
    takes_orders(&mut world, &url);
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    let ordered = ["reconcile", "--wait", "--server", &daemon.address];
    world.run(&ordered).code(0).says("default: in sync");
    push_email(&world, &bare, "a", "port: 1\n");
    let away = served(&world).join("away.git");
    fs::rename(&bare, &away).unwrap();
    world.run(&ordered).code(1).says("the newest commit was not read: git failed to fetch");
    let told = |daemon: &Running| {
        let error = daemon.status(&world)["source"]["error"].clone();
        error.as_str().is_some_and(|text| text.starts_with("git failed to fetch"))
    };
    eventually("told", || told(&daemon));
    world.edit("a", "port", json!(9));
    eventually("drift", || live_port(&world, "a") == json!(1));
    drop(daemon);

    // Another branch that was never fetched is not mistaken for the one that was.
    follow(&mut world, &url, ", branch: release", "resync: 1s");
    world.edit("a", "port", json!(9));
    let daemon = Running::start(&world, &[]);
    eventually("told", || daemon.status(&world)["targets"][0]["state"] == json!("failing"));
    assert!(daemon.logs().contains("cannot be fetched"), "{}", daemon.logs());
    assert_eq!(live_port(&world, "a"), json!(9));
    fs::rename(&away, &bare).unwrap();
    world.git(&["switch", "-qc", "release"]);
    push_email(&world, &bare, "a", "port: 5\n");
    eventually("recovered", || live_port(&world, "a") == json!(5));
    eventually("no error is left", || daemon.status(&world)["source"]["error"] == Value::Null);
}

#[test]
fn a_url_that_was_never_reached_is_told_as_that() {
    let mut world = World::new();
    let missing = served(&world).join("missing.git");
    takes_orders(&mut world, &format!("file://{}", missing.display()));
    let daemon = Running::start(&world, &[]);
    eventually("failing", || daemon.status(&world)["targets"][0]["state"] == json!("failing"));
    let status = daemon.status(&world);
    for error in [&status["source"]["error"], &status["targets"][0]["error"]] {
        assert!(error.as_str().unwrap().starts_with("git failed to fetch"), "{error}");
    }
    assert_eq!(daemon.get(&world, "/readyz").0, 200);
    let ordered = ["reconcile", "--wait", "--server", &daemon.address];
    world.run(&ordered).code(1).says("default: failed: git failed to fetch");
    world.plan().code(1).says("git failed to fetch");
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
