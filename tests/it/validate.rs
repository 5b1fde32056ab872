//! `validate`: all problems in one run, whatever the files hold.

use crate::rules::with_rules;
use crate::world::World;

#[test]
fn a_file_that_is_too_large_hides_no_other_problem() {
    let world = World::new();
    world.write_email("a", "port: 70000\n");
    let large = format!("# {}\n", "x".repeat(5 * 1024 * 1024));
    world.write("connections/large.yaml", &large);
    let folder = world.repo().join("connections").display().to_string();
    world.run(&["validate", &folder]).code(1).says("70000").says("large.yaml");
    world.commit("both");
    world.run(&["validate", "--rev", "HEAD"]).code(1).says("70000").says("large.yaml");
    world.plan().code(1).says("70000").says("large.yaml");
}

#[test]
fn named_files_are_told_that_no_rule_checks_them() {
    let mut world = World::new();
    world.commit_email("a", "port: 25\n");
    let file = world.repo().join("connections/a.yaml").display().to_string();
    let note = "the rules of the config are not checked";
    let forms = ["text", "json", "markdown", "github"];
    for form in forms {
        let ran = world.run(&["validate", &file, "--output", form]).code(0);
        assert!(!ran.stdout.contains(note), "there are none: {ran:?}");
    }
    with_rules(&mut world, "", &["smtp|deny|connection.port == 25"]);
    for form in forms {
        let ran = world.run(&["validate", &file, "--output", form]).code(0);
        assert!(ran.stdout.contains(note), "{form}: {ran:?}");
        let ran = world.run(&["validate", "--output", form]).code(1).says("by the rule `smtp`");
        assert!(!ran.stdout.contains(note), "{form}: {ran:?}");
    }
}

#[test]
fn the_forms_agree() {
    let world = World::new();
    world.write("connections/a.yaml", "type: email\nname: a\nhost: h\npassword: in-the-clear\n");
    world.write("connections/notes.txt", "");
    for (form, mark) in [
        ("text", "error[AG303]"),
        ("json", "\"AG303\""),
        ("markdown", "AG303"),
        ("github", "::error file="),
    ] {
        let ran = world.run(&["validate", "--output", form]).code(1).says(mark);
        assert!(!format!("{ran:?}").contains("in-the-clear"), "{form}");
        assert!(ran.stdout.contains("connections/notes.txt"), "{form}: {}", ran.stdout);
    }
}

/// A key is a secret whatever the field is called.
#[test]
fn a_private_key_is_refused_in_any_field() {
    let world = World::new();
    let key = "-----BEGIN PRIVATE KEY-----\n      MIIE\n      -----END PRIVATE KEY-----\n";
    for field in ["description: |", "additionalProperties:\n  - key: k\n    value: |"] {
        let text = format!("type: email\nname: a\nhost: h\n{field}\n      {key}");
        world.write("connections/a.yaml", &text);
        let ran = world.run(&["validate"]).code(1).says("AG304");
        assert!(!format!("{ran:?}").contains("MIIE"), "{ran:?}");
    }
}

#[test]
fn warnings_alone_are_no_failure_but_with_strict() {
    let world = World::new();
    world.write("connections/a.yaml", "type: email\nname: a\nhost: h\nhots: x\n");
    world.run(&["validate"]).code(0).says("warning[AG201]").says("host");
    world.run(&["validate", "--strict"]).code(1).says("error[AG201]").says("1 error in 1 file");
    world.write_email("a", "");
    world.run(&["validate", "--strict"]).code(0);
}

#[test]
fn an_export_validates_and_plans_to_nothing() {
    let world = World::new();
    world.commit_email("a", "port: 2525\n");
    world.apply().code(0);
    let folder = world.repo().join("exported").display().to_string();
    world.run(&["export", "--dir", &folder]).code(0);
    world.run(&["validate", &folder]).code(0);
    world.run(&["export", "--dir", &folder]).code(1).says("--force");
    world.commit("what is live");
    let plan = world.plan_json(&["--path", "exported"]);
    assert_eq!(plan["changes"].as_array().map(Vec::len), Some(0), "{plan}");
}

#[test]
fn a_secret_whose_colon_is_forgotten_is_not_shown() {
    let head = "type: email\nname: a\nhost: h\n";
    for text in [
        &format!("{head}password in-the-clear\n"),
        &format!("{head}password:\nin-the-clear\n"),
        "{\"type\": \"email\", \"name\": \"c\", \"host\": \"h\", \"password\" \"in-the-clear\"}\n",
        "{type: email, name: c, host: h, password in-the-clear}\n",
        "{type: webhook, name: c, headerList: [{name: Authorization, value in-the-clear}]}\n",
        "{type: email, name: c, password in-the-clear, password in-the-clear}\n",
    ] {
        let world = World::new();
        world.write("connections/a.yaml", text);
        world.commit("a");
        for form in ["text", "json", "markdown", "github"] {
            let ran = world.run(&["validate", "--output", form]).code(1);
            assert!(!format!("{ran:?}").contains("in-the-clear"), "{form}: {ran:?}");
        }
        let ran = world.plan().code(1);
        assert!(!format!("{ran:?}").contains("in-the-clear"), "{ran:?}");
    }
}

#[test]
fn the_config_file_is_no_document_wherever_it_is_named() {
    let mut world = World::new();
    world.write_email("a", "");
    world.target("");
    let config = std::fs::read_to_string(world.path("apinizer-gitops.yaml")).unwrap();
    world.write("connections/prod.yaml", &config);
    let file = world.repo().join("connections/prod.yaml");
    world.use_config(&file);
    for path in [world.repo(), world.repo().join("connections"), file] {
        world.run(&["validate", &path.display().to_string()]).code(0);
    }
    world.write("connections/other.yaml", &config);
    world.run(&["validate", &world.repo().display().to_string()]).code(1).says("other.yaml");
}

#[test]
fn skipped_files_are_told() {
    use std::os::unix::ffi::OsStringExt as _;
    use std::os::unix::fs::symlink;

    let world = World::new();
    world.write_email("a", "");
    let folder = world.repo().join("connections");
    symlink("a.yaml", folder.join("link.yaml")).unwrap();
    let odd = std::ffi::OsString::from_vec(b"\xff.yaml".to_vec());
    std::fs::write(folder.join(odd), "type: email\n").unwrap();
    world.commit("a link and a name that is no text");
    let path = folder.display().to_string();
    for arguments in [&["validate"][..], &["validate", "--rev", "HEAD"], &["validate", &path]] {
        let ran = world
            .run(arguments)
            .code(0)
            .says("link.yaml is skipped: symbolic links are not followed")
            .says("is skipped: its name is not UTF-8");
        assert_eq!(ran.stderr, "");
    }
    symlink("connections/a.yaml", world.repo().join("latest")).unwrap();
    let named = |name: &str| world.repo().join(name).display().to_string();
    world.run(&["validate", &named("latest")]).code(1).says("is a symbolic link");
    world.run(&["validate", &named("connections/link.yaml")]).code(0).says("other commands skip");
    world.write("README.md", "x");
    world.run(&["validate", &named("README.md")]).code(0).says("README.md is skipped");
    world.run(&["validate", "/dev/null"]).code(1).says("/dev/null is neither a file nor a folder");
    symlink("connections", world.repo().join("linked")).unwrap();
    world.run(&["validate", &named("linked")]).code(0).says("link.yaml is skipped");
}

#[test]
fn a_config_that_init_writes_is_valid_and_stays() {
    let mut world = World::new();
    let ran =
        world.run(&["init", "--target", "staging"]).code(0).says("wrote apinizer-gitops.yaml");
    ran.says("Next: commit them, set APINIZER_TOKEN and EXAMPLE_SMTP_PASSWORD");
    let config = world.path("apinizer-gitops.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    world.run(&["init"]).code(1).says("apinizer-gitops.yaml exists, and is not overwritten");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), text);
    world.use_config(&config);
    world.run(&["validate", "--strict"]).code(0);
    world.env.insert("EXAMPLE_SMTP_PASSWORD".into(), "s3cret-of-smtp".into());
    world.commit("init");
    world.plan().code(2).says("staging: project demo").says("example-mails");
    let other = world.path("other/apinizer-gitops.yaml");
    world.use_config(&other);
    world.run(&["init"]).code(1).says("give it with --url");
    let again = ["init", "--url", "nowhere", "--project", "demo"];
    world.run(&again).code(1).says("url");
    assert!(!other.exists(), "nothing is written that is not valid");
    let outside = ["init", "--url", "https://gateway.example.com", "--project", "demo"];
    std::fs::create_dir(world.path("other")).unwrap();
    std::fs::write(world.path("other/connections"), "").unwrap();
    world.run(&outside).code(1).says("connections: File exists");
    std::fs::remove_file(world.path("other/connections")).unwrap();
    world.run(&outside).code(0).says("Next: `git init`, commit them, set APINIZER_TOKEN");
    // `--repo` is relative to the current folder, wherever the config is, and the first path is the base.
    let far = world.path("far/apinizer-gitops.yaml");
    std::fs::create_dir(world.path("far")).unwrap();
    world.use_config(&far);
    let layers = ["--repo", "elsewhere", "--path", "base", "--path", "overlay"];
    world.run(&[&outside[..], &layers].concat()).code(0);
    assert!(world.path("elsewhere/base/example.yaml").exists());
    world.run(&["validate"]).code(0);
}
