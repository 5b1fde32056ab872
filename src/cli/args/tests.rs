use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    crate::cli::parse(std::iter::once("apinizer-gitops").chain(line.split_whitespace()))
}

fn plan(line: &str) -> (GlobalArgs, PlanArgs) {
    let cli = parse(line).unwrap();
    let Command::Plan(plan) = cli.command else { panic!("{line} is no plan") };
    (cli.global, *plan)
}

#[test]
fn the_definition_is_sound() {
    crate::cli::command().debug_assert();
}

#[test]
fn global_flags_are_taken_before_and_after_the_command() {
    let flags = "--repo r --path a --path b --url https://x --project P --env-file e \
                 --state-dir s --color never --log-format json -vv";
    for line in [format!("{flags} plan"), format!("plan {flags}")] {
        let (global, _) = plan(&line);
        assert_eq!(global.repo.as_deref(), Some("r".as_ref()));
        assert_eq!(global.paths, ["a", "b"]);
        assert_eq!(global.url.as_deref(), Some("https://x"));
        assert_eq!(global.project.as_deref(), Some("P"));
        assert_eq!(global.env_files, [PathBuf::from("e")]);
        assert_eq!(global.state_dir.as_deref(), Some("s".as_ref()));
        assert_eq!((global.color, global.log_format), (Color::Never, LogFormat::Json));
        assert_eq!((global.verbose, global.quiet), (2, false));
    }
}

#[test]
fn the_flags_of_a_command_are_taken_before_its_name_too() {
    for line in [
        "--output json --target a --worktree -v plan --name x",
        "--output=json --target=a --worktree --verbose plan --name x",
        "-v plan --output json --target a --worktree --name x",
    ] {
        let (global, plan) = plan(line);
        assert_eq!((plan.output, plan.read.worktree), (Output::Json, true), "{line}");
        assert_eq!((plan.narrow.targets, plan.narrow.names), (vec!["a".into()], vec!["x".into()]));
        assert_eq!(global.verbose, 1, "{line}");
    }
    assert!(matches!(parse("--yes apply saved").unwrap().command, Command::Apply(a) if a.yes));
    for wrong in ["--bogus plan", "--output json", "--output json plna", "--dir x plan", "--"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_empty_config_path_is_none() {
    assert_eq!(parse("plan --config=").unwrap().global.config, None);
    assert_eq!(plan("plan --config x").0.config.as_deref(), Some("x".as_ref()));
}

#[test]
fn plan_and_apply_share_their_flags() {
    let shared = "--target a --target b --name orders-* --type email --rev v1 --base v0 \
                  --allow-deletes --resend-secrets --lock-timeout 1m30s --output markdown";
    let (_, plan) = plan(&format!("plan {shared} --out p --list-unmanaged"));
    let cli = parse(&format!("apply {shared} --yes saved")).unwrap();
    let Command::Apply(apply) = cli.command else { panic!() };
    assert_eq!(plan.narrow, apply.narrow);
    assert_eq!(plan.read, apply.read);
    assert_eq!(plan.writes, apply.writes);
    assert_eq!(plan.narrow.targets, ["a", "b"]);
    assert_eq!(plan.writes.lock_timeout, std::time::Duration::from_secs(90));
    assert_eq!(apply.plan_file.as_deref(), Some("saved".as_ref()));
}

#[test]
fn the_sandbox_has_projects_of_its_own() {
    let cli = parse("sandbox --project A --project B --fault unavailable");
    let Command::Sandbox(sandbox) = cli.unwrap().command else { panic!() };
    assert_eq!(sandbox.projects, ["A", "B"]);
    assert_eq!(sandbox.fault, Some(crate::sandbox::Fault::Unavailable));
    assert_eq!(sandbox.listen.port(), 8089);
}

#[test]
fn what_contradicts_itself_is_a_usage_error() {
    for line in [
        "",
        "plan --rev a --worktree",
        "plan --without-secrets --verify-secrets",
        "plan --token secret",
        "apply --password secret",
        "plan --lock-timeout soon",
        "validate --rev HEAD file.yaml",
        "export --single-file",
        "forget",
        "plan -q -v",
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.use_stderr(), "{line}");
    }
    assert!(!parse("--help").unwrap_err().use_stderr());
    assert!(!parse("plan --help").unwrap_err().use_stderr());
    assert!(!parse("--version").unwrap_err().use_stderr());
}

#[test]
fn every_flag_and_command_has_its_sentence() {
    fn check(command: &clap::Command, path: &str) {
        assert!(command.get_about().is_some(), "{path}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
        }
        for sub in command.get_subcommands() {
            check(sub, &format!("{path} {}", sub.get_name()));
        }
    }
    check(&crate::cli::command(), "apinizer-gitops");
}
