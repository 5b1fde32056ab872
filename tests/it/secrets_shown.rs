//! A secret that people typed elsewhere is shown nowhere.

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::running::{Running, eventually};
use crate::secrets::masked;
use crate::world::{CANARY, CHECKOUT, Ran, World, email_body, one_target, refusal};

#[test]
fn a_secret_that_was_typed_into_another_field_is_not_shown() {
    let mut world = World::settled(&["a", "b"]);
    world.commit_email("a", "description: what git says\n");
    world.apply().code(0);
    world.edit("a", "description", json!(format!("the password is {CANARY}, do not tell")));
    world.edit("a", "from", json!(CANARY));
    world.write_email("a", "description: what git says\nfrom: noreply@example.com\n");
    world.commit("declare from");
    for output in ["text", "json", "markdown"] {
        world.run(&["plan", "--output", output]).code(2).says("(sensitive)");
    }
    let folder = world.path("exported").display().to_string();
    world.run(&["export", "--dir", &folder]).code(0);
    let text = std::fs::read_to_string(world.path("exported/a.yaml")).unwrap();
    assert!(text.contains("the password is ${env:SMTP_PASSWORD}, do not tell"), "{text}");
    assert!(text.contains("from: ${env:SMTP_PASSWORD}\n"), "{text}");
    assert!(!text.contains(&CANARY[..9]), "{text}");
    world.target("drift: report");
    let daemon = Running::start(&world, &["--dry-run"]);
    eventually("it is ready", || daemon.get(&world, "/readyz").0 == 200);
    let page = daemon.get(&world, "/").1 + &daemon.get(&world, "/api/v1/status").1;
    assert!(!page.contains(&CANARY[..9]), "{page}");
}

#[test]
fn a_secret_that_was_typed_in_another_form_is_not_shown() {
    let mut world = World::settled(&["a"]);
    world.env.insert("SHORT".into(), "hunter2".into());
    world.commit_email("b", "description: x\nfrom: ${env:SHORT}\n");
    world.apply().code(0);
    let secret = STANDARD.encode(CANARY);
    for typed in [
        format!("as base64 {secret}."),
        "in a link c4nary-Zq%227%2F%C3%BC".to_owned(),
        format!("quoted {}", json!(CANARY)),
        "log in with hunter2, please".to_owned(),
        "hunter2".to_owned(),
    ] {
        world.edit("b", "description", json!(typed));
        let shown = world.run(&["plan", "--output", "json"]).code(2).says("(sensitive)").stdout
            + &world.run(&["export"]).stdout;
        for piece in [&secret, "c4nary", "hunter2"] {
            assert!(!shown.contains(piece), "{typed}: {shown}");
        }
    }
    // A key of a map holds no reference, so its field is left out.
    world.make(json!({
        "type": "snmp", "name": "s", "version": "V1", "connectionString": "udp:1/1",
        "securityOrCommunityName": "${C}", "pduOidForMessage": "1.2", "pduVariableMap": {CANARY: "x"},
    }));
    let exported = world.run(&["export"]).stdout;
    assert!(exported.contains("# pduVariableMap:") && !exported.contains("c4nary"), "{exported}");
}

#[test]
fn a_value_of_the_environment_in_gits_own_list_is_told_as_one() {
    let mut world = World::settled(&["a", "b"]);
    world.env.insert("TOKEN".into(), "hunter2-and-more".into());
    world.commit_email("a", "description: ${env:TOKEN}\n");
    world.commit_email("b", "extra: [hunter2-and-more]\n");
    let told = world.run(&["plan"]).code(2).says("extra").stdout;
    assert!(told.contains("+ (sensitive)"), "{told}");
}

#[test]
fn a_secret_in_a_name_is_not_shown() {
    let mut world = World::settled(&["a"]);
    world.env.insert("TOKEN".into(), "hunter2-and-more".into());
    world.env.insert("STAGE".into(), "prod".into());
    world.commit_email("a", "from: ${env:STAGE}@example.com\ndescription: ${env:TOKEN}\n");
    world.apply().code(0);
    for name in ["hunter2-and-more", "old aHVudGVyMi1hbmQtbW9yZQ==", "orders-prod"] {
        world.make(email_body(name));
    }
    let file = world.path("plan.json").display().to_string();
    let mut shown = String::new();
    for output in ["text", "json", "markdown"] {
        let plan = ["plan", "--output", output, "--list-unmanaged", "--out", &file];
        let ran = world.run(&plan).code(0).says("(sensitive)").says("orders-prod");
        shown += &(ran.stdout + &std::fs::read_to_string(&file).unwrap());
    }
    let folder = world.path("exported").display().to_string();
    let ran = world.run(&["export", "--dir", &folder]).code(1);
    let ran = ran.says("cannot be declared: its name shows a value of the environment");
    shown += &(ran.stdout + &ran.stderr);
    for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        shown += &format!("{:?}{}", entry.path(), std::fs::read_to_string(entry.path()).unwrap());
    }
    assert!(shown.contains("orders-prod.yaml"), "{shown}");
    let daemon = Running::start(&world, &["--dry-run"]);
    eventually("it is ready", || daemon.get(&world, "/readyz").0 == 200);
    shown += &(daemon.get(&world, "/").1 + &daemon.get(&world, "/api/v1/status").1);
    shown += &daemon.logs();
    for piece in ["hunter2", "aHVudGVy"] {
        assert!(!shown.contains(piece), "{shown}");
    }
}

#[test]
fn a_value_from_before_a_rotation_is_not_shown_after_a_reload() {
    let mut world = World::with(masked());
    let file = world.path("password");
    std::fs::write(&file, "the-older-value").unwrap();
    world.env.remove("SMTP_PASSWORD");
    world.env.insert("SMTP_PASSWORD_FILE".into(), file.display().to_string());
    world.target("resync: 1s");
    world.settle(&["a"]);
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    std::fs::write(&file, "the-newer-value").unwrap();
    world.target("resync: 2s");
    daemon.signal("-HUP");
    eventually("it is sent", || world.live("a")["password"] == json!("the-newer-value"));
    world.control().fail_next(Some(Method::PUT), "/a/", refusal("was the-older-value"), 99);
    world.commit_email("a", "port: 26\n");
    let shown = || daemon.logs() + &daemon.get(&world, "/api/v1/status").1;
    let is_told = |text: &str| text.contains("was (") || text.contains("was the-");
    eventually("what the server says is shown", || is_told(&shown()));
    let shown = shown();
    assert!(shown.contains("was (sensitive)") && !shown.contains("the-older-value"), "{shown}");
}

#[test]
fn a_value_of_the_environment_beside_the_keys_of_gits_object_is_hidden() {
    let world = World::new();
    world.commit_email("a", "extra: {one: 1}\n");
    world.apply().code(0);
    world.edit("a", "extra", json!({"one": 2, "note": CANARY}));
    // Nothing that the program writes may hold the canary.
    for form in ["text", "json", "markdown"] {
        world.run(&["plan", "--output", form]).code(2);
    }
}

/// Git and a Manager tell of a URL by its path alone.
#[test]
fn a_part_of_a_url_of_the_environment_is_not_shown() {
    let mut world = World::new();
    std::fs::rename(world.repo(), world.path("c4naryOfTheRepo")).unwrap();
    let url = format!("file://{}", world.path("c4naryOfTheRepo").display());
    world.env.insert("GIT_URL".to_owned(), url);
    world.env.insert("MANAGER".to_owned(), format!("{}/c4naryOfTheManager", world.url()));
    let config = one_target("url: '${env:GIT_URL}'", "").replace("{url}", "'${env:MANAGER}'");
    world.config(&config);
    let not_shown = |ran: Ran| assert!(!format!("{ran:?}").contains("c4nary"), "{ran:?}");
    let no_route = refusal("no route for /c4naryOfTheManager/apiops");
    world.control().fail_next(None, "type=", no_route, usize::MAX);
    not_shown(world.plan().code(1));
    std::fs::rename(world.path("c4naryOfTheRepo"), world.repo()).unwrap();
    not_shown(world.plan());
    not_shown(world.run(&["apply", "--yes"]));
}

#[test]
fn a_url_and_a_project_of_the_environment_are_not_shown() {
    let project = "Zq-canary-project";
    let mut world = World::new();
    world.alter_projects(&[project, "another"]);
    world.env.insert("MANAGER".into(), world.url());
    world.env.insert("PROJECT".into(), project.into());
    let config = one_target(CHECKOUT, "").replace("project: demo", "project: ${env:PROJECT}");
    world.config(&config.replace("{url}", "${env:MANAGER}"));
    world.settle(&["a"]);
    world.commit_email("a", "port: 26\n");
    let file = world.path("plan.json").display().to_string();
    let port = world.url().rsplit(':').next().unwrap().to_owned();
    let hides = |text: &str| {
        assert!(!text.contains(project) && !text.contains(&port), "{text}");
    };
    world.run(&["plan", "--out", &file]).code(2);
    hides(&std::fs::read_to_string(&file).unwrap());
    world.env.insert("PROJECT".into(), "another".into());
    let ran = world.run(&["apply", &file, "--yes"]).code(3);
    hides(&ran.says("project ${env:PROJECT} at ${env:MANAGER}").stderr);
    world.env.insert("PROJECT".into(), project.into());

    let state = world.state_file();
    let lock = std::fs::File::create(state.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let ran = world.run(&["apply", "--yes", "--lock-timeout", "0s"]).code(1);
    hides(&ran.says("is locked by").stderr);
    drop(lock);
    std::fs::write(&state, "x").unwrap();
    let history = state.with_extension("history.jsonl");
    std::fs::remove_file(&history).unwrap();
    std::fs::create_dir(&history).unwrap();
    for command in [&["plan"][..], &["apply", "--yes"], &["forget", "a"], &["history"]] {
        let ran = Ran::from(world.command(command).output().unwrap()).code(1);
        hides(&(ran.stdout + &ran.stderr));
    }
}
