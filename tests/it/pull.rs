//! `pull`: what somebody changed in the console goes into the files, and nothing else changes in them.

mod drawn;
mod random;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::world::{CANARY, World, email_body};

/// The text of a file of the repository.
fn text(world: &World, name: &str) -> String {
    fs::read_to_string(world.repo().join(name)).unwrap()
}

/// A world in which one file of the repository is committed and applied.
fn applied(name: &str, text: &str) -> World {
    let world = World::new();
    world.write(name, text);
    world.commit("what is there from the start");
    world.apply().code(0);
    world.forget_calls();
    world
}

const MAIL: &str = "\
# Mails to customers.
type: email
name: 'a'   # the name stays
host: \"smtp.example.com\" # asked for by Ada
port: 587

auth: true
username: 'u'
password: ${env:SMTP_PASSWORD}
description: |  # shown in the console
  one
  two


# The end.
";

#[test]
fn values_that_moved_change_and_nothing_else() {
    let world = applied("connections/a.yaml", MAIL);
    world.edit("a", "host", json!("mail.example.org"));
    world.edit("a", "port", json!(2525));
    world.edit("a", "username", json!("it's me"));
    world.edit("a", "description", json!("one\nthree: 3 # x\n"));
    let ran = world.run(&["pull"]).code(2);
    ran.says("+port: 2525").says("-port: 587").says("changed 1 file");
    let wanted = MAIL
        .replace("smtp.example.com", "mail.example.org")
        .replace("587", "2525")
        .replace("'u'", "'it''s me'")
        .replace("  two\n", "  three: 3 # x\n");
    assert_eq!(text(&world, "connections/a.yaml"), wanted);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["plan", "--worktree"]).code(0);
    world.commit("as it is live");
    world.plan().code(0);
    world.run(&["pull"]).code(0);
}

#[test]
fn check_only_says_it() {
    let world = applied("connections/a.yaml", MAIL);
    world.edit("a", "port", json!(2525));
    world.run(&["pull", "--check"]).code(2).says("+port: 2525").says("would change 1 file");
    assert_eq!(text(&world, "connections/a.yaml"), MAIL);
    let told = world.run(&["pull", "--check", "--output", "json"]).code(2).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["files"][0]["path"], "connections/a.yaml");
}

#[test]
fn windows_line_ends_a_byte_order_mark_and_the_mode_stay() {
    let crlf = format!("\u{feff}{}", MAIL.replace('\n', "\r\n"));
    let world = applied("connections/a.yaml", &crlf);
    let path = world.repo().join("connections/a.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    world.edit("a", "port", json!(2525));
    world.edit("a", "description", json!("x\ny\nz\n"));
    world.run(&["pull"]).code(2);
    let wanted = crlf.replace("587", "2525").replace("  one\r\n  two", "  x\r\n  y\r\n  z");
    assert_eq!(text(&world, "connections/a.yaml"), wanted);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    world.run(&["plan", "--worktree"]).code(0);
}

#[test]
fn what_git_moved_is_not_pulled_and_what_both_moved_is_listed() {
    let world = applied("connections/a.yaml", MAIL);
    let edited = MAIL.replace("587", "465").replace("smtp.example.com", "git.example.com");
    world.write("connections/a.yaml", &edited);
    world.commit("git moves two fields");
    world.edit("a", "host", json!("console.example.com"));
    let ran = world.run(&["pull"]).code(0);
    let ran =
        ran.says("not written: default: email a.host: git moved it too, and git's value stays");
    assert!(!ran.stdout.contains("port"), "{}", ran.stdout);
    assert_eq!(text(&world, "connections/a.yaml"), edited);
}

#[test]
fn references_secrets_and_deleted_connections_are_listed() {
    let mut world = World::new();
    world.target("vars: {host: smtp.example.com}");
    let mail = "type: email\nname: a\nhost: ${var:host}\nport: 587\nauth: true\n\
                username: ${env:SMTP_USER}\npassword: ${env:SMTP_PASSWORD}\n";
    world.env.insert("SMTP_USER".to_owned(), "the-user-of-the-mail".to_owned());
    world.write("connections/a.yaml", mail);
    world.write_email("gone", "");
    world.write_email("typed", "description: d\n");
    world.commit("what is there from the start");
    world.apply().code(0);
    world.edit("a", "host", json!("mail.example.org"));
    world.edit("a", "username", json!("somebody"));
    world.edit("typed", "description", json!(format!("the password is {CANARY}")));
    assert!(world.control().remove(crate::world::PROJECT, "gone"));
    let ran = world.run(&["pull"]).code(0);
    ran.says("email a.host: git writes it as \"${var:host}\", and references stay")
        .says("email a.username: it holds a reference to the environment")
        .says("email gone: it was deleted outside git")
        .says("email typed.description: live shows a secret or a value of the environment there");
    assert_eq!(text(&world, "connections/a.yaml"), mail);
    world.git(&["diff", "--exit-code"]);
}

#[test]
fn the_layer_that_declares_a_value_is_changed() {
    let mut world = World::new();
    world.target("paths: [base, overlay]");
    let base = "# base\ntype: email\nname: a\nhost: smtp.example.com\nport: 587\n\
                password: ${env:SMTP_PASSWORD}\n";
    world.write("base/a.yaml", base);
    world.write("overlay/a.yml", "# overlay\nname: a\nport: 25 # here\n");
    world.commit("two layers");
    world.apply().code(0);
    world.edit("a", "host", json!("mail.example.org"));
    world.edit("a", "port", json!(2525));
    world.run(&["pull"]).code(2).says("changed 2 files");
    assert_eq!(text(&world, "base/a.yaml"), base.replace("smtp.example.com", "mail.example.org"));
    assert_eq!(text(&world, "overlay/a.yml"), "# overlay\nname: a\nport: 2525 # here\n");
    world.run(&["plan", "--worktree"]).code(0);
}

#[test]
fn uncommitted_changes_are_refused_without_force() {
    let world = applied("connections/a.yaml", MAIL);
    let edited = MAIL.replace("# The end.", "# Somebody writes here.");
    world.write("connections/a.yaml", &edited);
    world.edit("a", "port", json!(2525));
    for hidden_from_git in ["--no-assume-unchanged", "--assume-unchanged", "--skip-worktree"] {
        world.git(&["update-index", hidden_from_git, "connections/a.yaml"]);
        let ran = world.run(&["pull"]).code(1);
        ran.says("changes that are not committed are in connections/a.yaml");
        assert_eq!(text(&world, "connections/a.yaml"), edited);
    }
    world.run(&["pull", "--force"]).code(2);
    assert_eq!(text(&world, "connections/a.yaml"), edited.replace("587", "2525"));
}

#[test]
fn a_working_tree_that_lacks_documents_is_refused() {
    let world = applied("connections/x/a.yaml", MAIL);
    world.write_email("b", "");
    world.commit("another folder");
    world.apply().code(0);
    world.git(&["sparse-checkout", "set", "--no-cone", "/connections/b.yaml"]);
    world.edit("a", "port", json!(2525));
    world.forget_calls();
    for command in [&["pull"][..], &["plan", "--worktree"], &["apply", "--yes", "--worktree"]] {
        world.run(command).code(1).says("connections/x/a.yaml is not checked out");
    }
    assert!(world.writes().is_empty());
    let ran = world.plan().code(2);
    assert!(!ran.stdout.contains("not committed"), "{ran:?}");
}

#[test]
fn unmanaged_connections_become_documents() {
    let mut world = World::settled(&["a"]);
    world.make(email_body("Console Mail"));
    world.write("connections/console-mail.yaml", "# a file of that name\n");
    world.commit("a file without a document");
    world.run(&["pull"]).code(0);
    let ran = world.run(&["pull", "--unmanaged"]).code(2);
    ran.says("+++ b/connections/console-mail-2.yaml").says("a new document refers to ${env:");
    let written = text(&world, "connections/console-mail-2.yaml");
    let variable = written.split("${env:").nth(1).unwrap().split('}').next().unwrap().to_owned();
    world.env.insert(variable, CANARY.to_owned());
    world.run(&["plan", "--worktree"]).code(0);
    assert!(world.repo().join("connections/.apinizer-gitops.schema.json").exists());
    world.commit("what was made in the console");
    world.apply().code(0);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_new_document_is_for_the_target_that_has_its_connection() {
    let mut world = World::new();
    world.alter_projects(&["one", "two"]);
    let target = |name: &str, paths: &str| {
        format!(
            "  - {{name: {name}, url: '{{url}}', project: {name}, token: '${{env:APINIZER_TOKEN}}', paths: [{paths}]}}\n"
        )
    };
    let targets = target("one", "connections, ./one") + &target("two", "./connections, two");
    world.config(&format!("source: {{path: '{{repo}}'}}\ntargets:\n{targets}"));
    world.write("connections/a.yaml", MAIL);
    world.write("two/a.yaml", "name: a\nport: 25\n");
    world.write("one/patched.yaml", &MAIL.replace("'a'", "patched"));
    world.commit("a document for both, and one for the first");
    world.apply().code(0);
    for (project, name) in [("one", "both"), ("two", "both"), ("two", "alone"), ("two", "patched")]
    {
        world.control().put(project, email_body(name)).unwrap();
    }
    world.run(&["pull", "--unmanaged", "--target", "two"]).code(2).says("changed 2 files").says(
        "not written: two: email patched: a document of that name is there, for another target",
    );
    for name in ["connections/alone.yaml", "connections/both.yaml"] {
        let written = text(&world, name);
        assert!(written.contains("x-gitops:\n  targets:\n    - two\n"), "{written}");
    }
    world.run(&["plan", "--worktree", "--without-secrets", "--target", "one"]).code(0);
}

#[test]
fn a_bare_repository_has_no_files_to_write() {
    let mut world = applied("connections/a.yaml", MAIL);
    world.git(&["clone", "-q", "--bare", ".", "../bare"]);
    let bare = world.path("bare").display().to_string();
    world.source(&format!("path: '{bare}'"), "");
    world.run(&["pull"]).code(1).says("bare");
    world.source(&format!("url: 'file://{bare}'"), "");
    world.run(&["pull"]).code(1).says("the source is a url");
}

/// A database whose URL holds a password in live is no place to pull from.
#[test]
fn a_secret_inside_another_field_is_not_pulled() {
    let database = "type: database\nname: db\ndbType: POSTGRES\njdbcUrl: jdbc:postgresql://h/db\n\
                    username: u\npassword: ${env:SMTP_PASSWORD}\ndescription: d\n";
    let world = applied("connections/db.yaml", database);
    world.edit("db", "jdbcUrl", json!("jdbc:postgresql://h/db?user=x&password=tiger-of-scott"));
    world.edit("db", "description", json!("another"));
    world.edit(
        "db",
        "username",
        json!("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"),
    );
    let ran = world.run(&["pull"]).code(2);
    let ran =
        ran.says("database db.jdbcUrl: live shows a secret or a value of the environment there");
    let ran = ran.says("database db.username: live shows a secret");
    assert!(!ran.stdout.contains("tiger") && !ran.stdout.contains("MIIE"), "{}", ran.stdout);
    let wanted = database.replace("description: d", "description: another");
    assert_eq!(text(&world, "connections/db.yaml"), wanted);
}

#[test]
fn two_targets_that_disagree_leave_the_second_alone() {
    let mut world = World::new();
    world.alter_projects(&["one", "two"]);
    let target = |name: &str, more: &str| {
        format!(
            "  - {{name: {name}, url: '{{url}}', project: {name}, token: '${{env:APINIZER_TOKEN}}'{more}}}\n"
        )
    };
    let targets =
        format!("{}{}", target("one", ""), target("two", ", drift: report, adopt: always"));
    world.config(&format!("source: {{path: '{{repo}}'}}\ntargets:\n{targets}"));
    world.write("connections/a.yaml", MAIL);
    world.commit("one document for two targets");
    world.apply().code(0);
    let edit = |project: &str, field: &str, value: serde_json::Value| {
        assert!(
            world.control().edit(project, "a", |body| drop(body.insert(field.to_owned(), value)))
        );
    };
    edit("one", "port", json!(2525));
    edit("two", "port", json!(2626));
    edit("one", "username", json!("both"));
    edit("two", "username", json!("both"));
    let ran = world.run(&["pull"]).code(2);
    ran.says("not written: two: email a.port: another target has another value there")
        .says("note: connections/a.yaml is read for several targets: one, two");
    let wanted = MAIL.replace("587", "2525").replace("'u'", "'both'");
    assert_eq!(text(&world, "connections/a.yaml"), wanted);
    world.run(&["plan", "--worktree", "--target", "one"]).code(0);
    world.git(&["checkout", "-q", "."]);
    world.run(&["pull", "--target", "two"]).code(2).says("changed 1 file");
    assert_eq!(text(&world, "connections/a.yaml"), wanted.replace("2525", "2626"));
}

#[test]
fn a_document_that_would_no_longer_load_stays() {
    let mut world = World::new();
    world.target("drift: report\n");
    world.write("connections/a.yaml", MAIL);
    world.commit("what is there from the start");
    world.apply().code(0);
    world.edit("a", "host", json!(null));
    world.edit("a", "description", json!(null));
    let ran = world.run(&["pull"]).code(2);
    ran.says("email a.host: its file would be refused: ");
    let written = text(&world, "connections/a.yaml");
    assert!(written.contains("description: null  # shown in the console\n"), "{written}");
    assert!(written.contains("host: \"smtp.example.com\""), "{written}");
}

#[test]
fn nothing_is_written_behind_a_link_or_below_a_file() {
    let mut world = World::settled(&["a"]);
    world.make(email_body("Console Mail"));
    let outside = world.path("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, world.repo().join("linked")).unwrap();
    world.target("paths: [linked, connections]");
    world.run(&["pull", "--unmanaged"]).code(1).says("is behind a symbolic link");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    world.target("paths: [connections/a.yaml]");
    world.run(&["pull", "--unmanaged"]).code(1).says("and connections/a.yaml is a file");
}

#[test]
fn without_the_state_a_commit_says_what_both_sides_had() {
    let world = applied("connections/a.yaml", MAIL);
    fs::remove_dir_all(world.state_dir()).unwrap();
    world.edit("a", "port", json!(2525));
    world.run(&["pull"]).code(0).says("email a: it is not in the inventory");
    world.run(&["pull", "--base", "HEAD"]).code(2);
    assert_eq!(text(&world, "connections/a.yaml"), MAIL.replace("587", "2525"));
    assert!(!world.state_dir().exists());
}
