use std::path::Path;

use super::*;
use crate::document::{Diagnostic, Severity};
use crate::environment::Environment;

mod properties;

/// No problem, snippet or value may ever repeat this.
const CANARY: &str = "hunter2-canary";

const WHOLE: &str = "\
source:
  url: https://git.example.com/team/gateway-config.git
  branch: main
  poll: 1m
  verify: {ssh_allowed_signers: signers}
targets:
  - name: prod
    url: https://apinizer.example.com/
    project: Payments
    token: ${env:APINIZER_TOKEN}
    paths: [connections, ./overlays//prod/]
    vars: {smtp_host: smtp.example.com, port: 587, tls: true, quoted: '17', long: 017, host: '${HOST}'}
    prune: false
    max_deletes: 5
    adopt: never
    drift: report
    resync: 1h30m
    concurrency: 16
    on_invalid: isolate
    verify_secrets: 0s
    timeout: 500ms
    max_response: 10MB
    ca_file: /etc/ssl/corp.pem
  - name: staging
    url: https://staging.example.com
    project: Payments
    username: gitops
    password: ${env:STAGING_PASSWORD}
server:
  listen: none
  token: ${env:ADMIN_TOKEN}
  webhook_secret: ${env:HOOK_SECRET}
notify:
  - {kind: slack, url: \"${env:SLACK_URL}\", events: [applied, failed]}
  - {kind: gitea, url: https://git.example.com, secret: \"${env:GITEA}\"}
state_dir: state
fingerprint_key: ${env:FINGERPRINT_KEY}
";

/// One target with everything that has to be there, and room for more keys.
fn target(more: &str) -> String {
    format!(
        "targets:\n  - name: prod\n    url: https://a.example\n    project: P\n    token: ${{env:T}}\n{more}"
    )
}

fn rule(when: &str) -> String {
    target(&format!("    vars: {{hosts: a}}\nrules: [{{name: r, deny: x, when: \"{when}\"}}]\n"))
}

fn environment() -> Environment {
    let variables = [("HOME", "/home/u"), ("URL", "https://a.example/hunter2-canary")];
    Environment::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

fn parse(text: &str) -> Result<Config, Vec<Diagnostic>> {
    Config::parse(
        Path::new("/etc/gitops/apinizer-gitops.yaml"),
        text.as_bytes(),
        &environment(),
        Resolve::All,
    )
}

/// The problems as lines: place, code, message, help, snippet.
fn problems(text: &str) -> String {
    let found = match parse(text) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    found
        .iter()
        .map(|d| {
            let Diagnostic { code, message, help, mark, .. } = d;
            let help = help.as_deref().map(|help| format!(" [{help}]")).unwrap_or_default();
            format!(
                "{}:{}+{} {code} {message}{help}\n    {}\n",
                mark.line, mark.column, mark.length, mark.text
            )
        })
        .collect()
}

fn codes(text: &str) -> Vec<&'static str> {
    match parse(text) {
        Ok(loaded) => loaded.warnings.iter().map(|d| d.code).collect(),
        Err(problems) => {
            assert!(problems.iter().any(|d| d.severity == Severity::Error));
            problems.iter().map(|d| d.code).collect()
        }
    }
}

#[test]
fn every_key_is_read() {
    let config = parse(WHOLE).unwrap();
    assert_eq!(config.warnings, []);
    let source = &config.source;
    assert_eq!(
        source.location,
        Location::Url("https://git.example.com/team/gateway-config.git".to_owned())
    );
    assert_eq!(source.branch.as_deref(), Some("main"));
    assert_eq!(source.poll, Duration::from_secs(60));
    assert_eq!(source.verify, Some(Verify::SshAllowedSigners("/etc/gitops/signers".into())));
    let [prod, staging] = config.targets.as_slice() else { panic!() };
    assert_eq!(
        (prod.name.as_str(), prod.manager.url.as_str()),
        ("prod", "https://apinizer.example.com")
    );
    assert_eq!(prod.paths, ["connections", "overlays/prod"]);
    insta::assert_snapshot!(
        serde_json::to_string(&prod.vars).unwrap(),
        @r#"{"host":"${HOST}","long":"017","port":587,"quoted":"17","smtp_host":"smtp.example.com","tls":true}"#
    );
    assert_eq!((prod.policy.prune, prod.policy.max_deletes), (false, MaxDeletes::Count(5)));
    assert_eq!((prod.policy.adopt, prod.policy.drift), (Adopt::Never, OnDrift::Report));
    assert_eq!((prod.resync, prod.manager.concurrency), (Duration::from_secs(5400), 16));
    assert_eq!((prod.policy.on_invalid, prod.verify_secrets), (OnInvalid::Isolate, Duration::ZERO));
    assert_eq!(
        (prod.manager.timeout, prod.manager.max_response),
        (Duration::from_millis(500), 10_000_000)
    );
    assert_eq!(prod.manager.ca_file.as_deref(), Some(Path::new("/etc/ssl/corp.pem")));
    assert_eq!(
        staging.manager.credentials,
        Credentials::ClientCredentials {
            username: SecretText("gitops".to_owned()),
            password: SecretText("${env:STAGING_PASSWORD}".to_owned()),
        }
    );
    assert_eq!(config.server.listen, None);
    assert_eq!(config.server.token, Some(SecretText("${env:ADMIN_TOKEN}".to_owned())));
    assert_eq!(config.notify.len(), 2);
    assert_eq!(config.notify[0].kind, NotifyKind::Slack);
    assert_eq!(config.notify[0].events, [NotifyEvent::Applied, NotifyEvent::Failed]);
    assert_eq!(config.notify[1].events.len(), 6);
    assert_eq!(config.state_dir, Path::new("/etc/gitops/state"));
    assert_eq!(config.fingerprint_key, Some(SecretText("${env:FINGERPRINT_KEY}".to_owned())));
}

#[test]
fn defaults_are_those_of_the_table() {
    let config = parse(&target("")).unwrap();
    assert_eq!(config.source.location, Location::Path("/etc/gitops".into()));
    assert_eq!((config.source.branch, config.source.poll), (None, Duration::from_secs(30)));
    let prod = &config.targets[0];
    assert_eq!(prod.paths, ["connections"]);
    assert_eq!((prod.policy.prune, prod.policy.max_deletes), (true, MaxDeletes::Percent(30)));
    assert_eq!((prod.policy.adopt, prod.policy.drift), (Adopt::Always, OnDrift::Correct));
    assert_eq!((prod.resync, prod.manager.concurrency), (Duration::from_secs(300), 8));
    assert_eq!(prod.policy.on_invalid, OnInvalid::Refuse);
    assert_eq!(prod.verify_secrets, Duration::from_secs(3600));
    assert_eq!(
        (prod.manager.timeout, prod.manager.max_response),
        (Duration::from_secs(30), 256 << 20)
    );
    assert_eq!(config.server.listen, "127.0.0.1:8080".parse().ok());
    assert_eq!(config.state_dir, Path::new("/home/u/.local/state/apinizer-gitops"));
    let reporting = parse(&target("    drift: report\n")).unwrap();
    assert_eq!(reporting.targets[0].policy.adopt, Adopt::Equal);
}

#[test]
fn the_state_folder_is_systemds_then_the_users() {
    let state_dir = |variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let environment = Environment::new(variables);
        Config::parse(Path::new("x.yaml"), target("").as_bytes(), &environment, Resolve::All)
            .unwrap()
            .state_dir
    };
    assert_eq!(state_dir(&[("STATE_DIRECTORY", "/a:/b"), ("HOME", "/h")]), Path::new("/a"));
    assert_eq!(state_dir(&[("XDG_STATE_HOME", "/x")]), Path::new("/x/apinizer-gitops"));
    assert_eq!(state_dir(&[]), Path::new("/var/lib/apinizer-gitops"));
}

#[test]
fn every_mistake_of_a_file_is_told_at_once() {
    insta::assert_snapshot!(problems("\
sourc:
  path: /srv/x
targets:
  - name: prod
    url: ftp://a.example
    project: P
    token: hunter2-canary
    paths: [/abs, ../up, connections, connections]
    resync: 5 parsecs
    max_deletes: 130%
    adopt: allways
    concurrency: 0
    prune: yes
  - name: prod
    url: https://b.example
    username: u
    vars: {a: '${env:X}', b: [1]}
server: {listen: here}
notify:
  - {kind: slack, url: https://hooks.slack.example/hunter2-canary, events: [aplied]}
"), @r#"
1:1+5 AG602 the config has no key `sourc` [did you mean `source`?]
    sourc:
5:10+15 AG610 the target's `url` cannot be used: its scheme is neither https nor http [write an http or https URL without user info, query or fragment]
        url: ftp://a.example
7:12+3 AG607 `token` is a secret and holds something else than `${env:NAME}` [put the value into the environment and write `token: ${env:APINIZER_TOKEN}`]
        token: ...
8:13+4 AG614 an entry of `paths` is absolute [write it relative to the root of the repository, as `connections`]
        paths: [/abs, ../up, connections, connections]
8:19+5 AG614 an entry of `paths` leads out of the repository with `..` [write it relative to the root of the repository, as `connections`]
        paths: [/abs, ../up, connections, connections]
8:39+11 AG615 `paths` names a folder twice [keep one of them]
        paths: [/abs, ../up, connections, connections]
9:13+9 AG606 the value of `resync` cannot be used [a duration is written as `30s`, `5m`, `1h30m` or `500ms`]
        resync: 5 parsecs
10:18+4 AG606 the value of `max_deletes` cannot be used [it is a share such as `30%` (1% to 100%) or an exact count such as `5`; `0` is none]
        max_deletes: 130%
11:12+7 AG606 the value of `adopt` is not one of its words [did you mean `always`? The words are always, equal, never]
        adopt: allways
12:18+1 AG606 the value of `concurrency` cannot be used [write a whole number from 1 to 256]
        concurrency: 0
13:12+3 AG606 the value of `prune` cannot be used [write `true` or `false`]
        prune: yes
14:5+1 AG604 a target has no `project` [The Apinizer project, case-sensitive.]
      - name: prod
14:5+1 AG604 a target has no `password` [write `username` and `password`]
      - name: prod
17:15+10 AG608 the var `a` holds a reference, and vars are plain [vars are shown; write `${env:NAME}` in the document itself]
        vars: {a: '${env:X}', b: ...}
17:30+3 AG605 `b` is a single value, and here is a list [write a value of the kind that `explain config` shows for the key]
        vars: {a: '${env:X}', b: ...}
18:18+4 AG606 the value of `listen` cannot be used [write an address and a port, as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::1]:8080`, or `none`]
    server: {listen: here}
20:24+3 AG607 the `url` of a slack notification is a secret and holds something else than `${env:NAME}` [put the URL into the environment and write `url: ${env:NOTIFY_URL}`]
      - {kind: slack, url: ..., events: [aplied]}
20:77+6 AG606 the value of `events` is not one of its words [did you mean `applied`? The words are applied, failed, drift, held, recovered, source_failed]
      - {kind: slack, url: ...                                       , events: [aplied]}
"#);
}

#[test]
fn a_literal_secret_is_never_shown() {
    for text in [
        target(&format!("    timeout: {CANARY}\n")).replace("timeout", "tokne"),
        target("").replace("${env:T}", CANARY),
        target("").replace("${env:T}", &format!("x${{env:T}}{CANARY}")),
        target("").replace("${env:T}", &format!("[{CANARY}]")),
        target("").replace("${env:T}", &format!("|\n      {CANARY}\n      {CANARY}\n    bad: 1")),
        target("").replace("${env:T}", &format!("\"{CANARY}")),
        target("").replace("${env:T}", &format!("${{{CANARY}:x}}")),
        target("").replace("https://", &format!("https://u:{CANARY}@")),
        target("").replace("https://a.example", "${env:URL}?q"),
        target("").replace("https://a.example", &format!("${{env:URL}}?q={CANARY}")),
        target("").replace("https://a.example", &format!("https://a.example/?q={CANARY}")),
        target(&format!("    token: {CANARY}\n")),
        target(&format!("source: {{url: 'https://{CANARY}@git.example/x'}}\n")),
        target(&format!("source: {{url: 'https://git.example/x?token={CANARY}'}}\n")),
        target(&format!("server: {{token: {CANARY}, listen: x}}\n")),
        target(&format!("notify: [{{kind: webhook, url: 'https://x/{CANARY}', event: 1}}]\n")),
        target(&format!("notify: [{{kind: slak, url: 'https://x/{CANARY}'}}]\n")),
        target(&format!("fingerprint_key: {CANARY}\nstate_dri: x\n")),
        format!("{}\t- x: {CANARY}\n  {CANARY}: [\n", target("")),
    ] {
        let found = parse(&text).unwrap_err();
        assert!(!found.is_empty());
        assert!(!format!("{found:?}").contains(CANARY), "{text}\n{found:#?}");
    }
}

#[test]
fn values_of_the_environment_are_used_and_not_shown() {
    let text = target("").replace("https://a.example", "${env:URL}");
    let config = parse(&text).unwrap();
    assert_eq!(config.targets[0].manager.url, "https://a.example/hunter2-canary");
    assert_eq!(config.targets[0].manager.url_as_written, "${env:URL}");
    assert_eq!(config.resolved.len(), 1);
    let unset = target("").replace("https://a.example", "${env:NOT_THERE}");
    assert_eq!(codes(&unset), ["AG609"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &unset).unwrap();
    let config = Config::load(file.path(), &environment(), Resolve::Known).unwrap();
    assert_eq!(config.targets[0].manager.url, "${env:NOT_THERE}");
}

#[test]
fn each_mistake_has_its_code() {
    for (text, expected) in [
        ("a: [", "AG601"),
        ("a: 1\n---\nb: 1\n", "AG601"),
        (&target("").replace("targets", "target"), "AG602"),
        (&target("    prune: true\n    prune: true\n"), "AG603"),
        ("{}", "AG604"),
        ("source: {}\n", "AG604"),
        (&target("").replace("    project: P\n", ""), "AG604"),
        (&target("").replace("    token: ${env:T}\n", ""), "AG604"),
        (&target("").replace("token", "password"), "AG604"),
        (&target("source: {verify: {}}\n"), "AG604"),
        (&target("source: {verify: }\n"), "AG604"),
        (&target("notify: [{kind: github, url: 'https://x'}]\n"), "AG604"),
        (&target("notify: [{kind: slack, url: '${env:U}', events: [aplied]}]\n"), "AG606"),
        (&target("notify: [{kind: slack, url: 'https://x'}]\n"), "AG607"),
        ("- a\n", "AG605"),
        ("targets: {}\n", "AG605"),
        (&target("    paths: connections\n"), "AG605"),
        (&target("    resync:\n"), "AG605"),
        (&target("    resync: 0s\n"), "AG606"),
        (&target("    project_: x\n").replace("project: P", "project: ''"), "AG606"),
        ("targets: []\n", "AG606"),
        (&target("    paths: []\n"), "AG606"),
        (&target("    max_deletes: 0%\n"), "AG606"),
        (&target("").replace("${env:T}", "${T}"), "AG607"),
        (&target("    ca_file: ${var:x}\n"), "AG608"),
        (&target("    ca_file: ${vault:x}\n"), "AG608"),
        (&target("    vars: {a: '${env:HOME}'}\n"), "AG608"),
        (&target("").replace("https://", "https://u@"), "AG610"),
        (&target("source: {url: 'https://t@h/x'}\n"), "AG610"),
        (&target("source: {url: 'ext::sh -c x'}\n"), "AG610"),
        (&target("").replace("https", "http"), "AG611"),
        (&target("source: {url: 'http://host/x'}\n"), "AG611"),
        (&target("    paths: [a/../..]\n"), "AG614"),
        (&target("source: {path: a, url: b}\n"), "AG615"),
        (&target("    username: u\n"), "AG615"),
        (&target("notify: [{kind: slack, url: '${env:U}', secret: '${env:S}'}]\n"), "AG615"),
        (&target("").replace("prod", "'a\\u0007'").replace('\'', "\""), "AG616"),
        (&target("    vars: {'a b': 1}\n"), "AG616"),
        (&rule("target.vars.host == ''"), "AG619"),
        (&rule("target.name in ['prod', 'staging']"), "AG619"),
    ] {
        assert!(codes(text).contains(&expected), "{expected} {:?}\n{text}", codes(text));
    }
    let twice = |name: &str, url: &str| {
        format!(
            "{}  - {{name: {name}, url: '{url}', project: P, token: '${{env:T}}'}}\n",
            target("")
        )
    };
    assert_eq!(codes(&twice("prod", "https://b.example")), ["AG612"]);
    for url in ["https://A.example:443/", "https://a.example."] {
        assert_eq!(codes(&twice("other", url)), ["AG613"], "{url}");
    }
    assert!(parse(&twice("other", "https://b.example")).is_ok());
}

#[test]
fn files_that_cannot_be_read_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    let load = || Config::load(&path, &environment(), Resolve::All).unwrap_err().remove(0);
    assert!(load().message.contains("cannot be read"));
    std::fs::write(&path, b"a: \xff\n").unwrap();
    assert!(load().message.contains("UTF-8"));
    std::fs::write(&path, "a: 1\n".repeat(300_000)).unwrap();
    assert!(load().message.contains("1 MiB"));
    std::fs::write(&path, format!("\u{feff}{}", WHOLE.replace('\n', "\r\n"))).unwrap();
    assert!(Config::load(&path, &environment(), Resolve::All).is_ok());
}

#[test]
fn flags_make_the_target_default() {
    let flags = FlagSource {
        repo: Some("/srv/x".into()),
        paths: vec!["a".to_owned(), "b".to_owned()],
        url: Some("http://localhost:8089/".to_owned()),
        project: Some("Payments".to_owned()),
    };
    let config = Config::from_flags(&flags, &environment()).unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(config.source.location, Location::Path("/srv/x".into()));
    let target = &config.targets[0];
    assert_eq!(
        (target.name.as_str(), target.manager.url.as_str()),
        ("default", "http://localhost:8089")
    );
    assert_eq!(target.paths, ["a", "b"]);
    assert_eq!(
        target.manager.credentials,
        Credentials::Token(SecretText("${env:APINIZER_TOKEN}".to_owned()))
    );
    let user = Environment::new([("APINIZER_USERNAME".to_owned(), "u".to_owned())]);
    let config = Config::from_flags(&flags, &user).unwrap();
    assert!(matches!(config.targets[0].manager.credentials, Credentials::ClientCredentials { .. }));
    let problems = Config::from_flags(&FlagSource::default(), &environment()).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(problems[0].message.contains("--"));
}

#[test]
fn the_digest_changes_with_name_and_paths_only() {
    let of = |text: &str| config_digest(&parse(text).unwrap().targets[0]);
    let plain = of(&target(""));
    assert_eq!(plain.len(), 64);
    assert_eq!(plain, of(&target("    vars: {a: 1}\n    paths: [connections/]\n")));
    assert_ne!(plain, of(&target("    paths: [connections, b]\n")));
    assert_ne!(plain, of(&target("").replace("prod", "staging")));
}

#[test]
fn references_are_resolved_and_text_stays() {
    let environment = Environment::new([("A".to_owned(), "x".to_owned())]);
    let resolve = |text: &str| SecretText(text.to_owned()).resolve(&environment);
    assert_eq!(resolve("${env:A}").unwrap().expose(), "x");
    assert_eq!(resolve("user-${env:A}").unwrap().expose(), "user-x");
    assert!(matches!(resolve("${env:B}"), Err(Unset::Missing(name)) if name == "B"));
}

#[test]
fn a_lease_leaves_time_for_the_longest_call() {
    let kubernetes = |text: &str| parse(&target(text)).unwrap().kubernetes.unwrap();
    let plain = kubernetes("kubernetes:\n");
    assert_eq!((plain.lease, plain.state_in_secret), (Duration::from_secs(60), false));
    let full = kubernetes(
        "kubernetes: {lease: 90s, state: secret, namespace: gitops, service_account: sa, api: https://k:6443/}\n",
    );
    assert_eq!((full.lease, full.state_in_secret), (Duration::from_secs(90), true));
    assert_eq!(full.service_account, Path::new("/etc/gitops/sa"));
    assert_eq!(full.api.as_deref(), Some("https://k:6443"));
    assert_eq!(codes(&target("kubernetes: {lease: 59s}\n")), ["AG606"]);
    assert_eq!(codes(&target("    timeout: 40s\nkubernetes:\n")), ["AG606"]);
    for api in ["http://k:6443", "https://u:p@k", "k:6443", "ftp://127.0.0.1"] {
        assert_eq!(codes(&target(&format!("kubernetes: {{api: '{api}'}}\n"))), ["AG610"], "{api}");
    }
    assert!(codes(&target("kubernetes: {api: 'http://127.0.0.1:8001'}\n")).is_empty());
}
