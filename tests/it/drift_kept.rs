//! With `drift: report` a PUT that git asked for sends drift back as live shows it. Where live does not
//! show all of it the PUT is blocked: no plan says "only reported" of what a PUT overwrites.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{CANARY, World, email, refusal};

const TOKEN: &str = "{name: Authorization, value: '${env:SMTP_PASSWORD}'}";

/// A webhook with headers, declared on a target that only reports drift, and applied.
fn hook(headers: &str) -> World {
    let mut world = World::new();
    world.target("drift: report");
    declare(&world, headers, "");
    world.apply().code(0);
    world
}

fn declare(world: &World, headers: &str, more: &str) {
    let document = "type: webhook\nname: hook\nfullUrl: 'https://h.example.com/x'\n";
    world.write("connections/hook.yaml", &format!("{document}headerList: [{headers}]\n{more}"));
    world.commit("the headers");
}

fn header(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

#[test]
fn a_list_with_a_secret_that_live_shows_is_sent_back() {
    let headers = format!("{{name: X-A, value: '1'}}, {TOKEN}");
    let world = hook(&headers);
    let live = json!([header("X-A", "drifted"), header("Authorization", CANARY)]);
    world.edit("hook", "headerList", live.clone());
    declare(&world, &headers, "description: another\n");
    assert_eq!(world.changes(&[]), ["update hook", "drift hook"]);
    world.apply().code(0);
    assert_eq!(world.live("hook")["headerList"], live);
    assert_eq!(world.live("hook")["description"], json!("another"));
}

#[test]
fn a_rename_tells_the_drift_that_it_keeps() {
    let headers = format!("{{name: X-A, value: '1'}}, {TOKEN}");
    let world = hook(&headers);
    let live = json!([header("X-A", "drifted"), header("Authorization", CANARY)]);
    world.edit("hook", "headerList", live.clone());
    declare(&world, &headers, "x-gitops: {renamedFrom: hook}\n");
    let path = world.repo().join("connections/hook.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, text.replace("name: hook\n", "name: hook2\n")).unwrap();
    world.commit("another name");
    assert_eq!(world.changes(&[]), ["rename hook2", "drift hook2"]);
    world.apply().code(0);
    assert_eq!(world.live("hook2")["headerList"], live);
}

#[test]
fn drift_in_a_list_that_live_does_not_show_in_full_blocks_the_put() {
    for (headers, mask) in [("{name: X-A, value: '1'}", json!(null)), (TOKEN, json!("cipher"))] {
        let world = hook(headers);
        let live = json!([header("X-B", "2"), {"name": "Authorization", "value": mask}]);
        world.edit("hook", "headerList", live.clone());
        assert_eq!(world.changes(&[]), ["drift hook"]);
        declare(&world, headers, "description: another\n");
        world.plan().code(1).says("headerList");
        world.apply().code(1).says("drifted");
        assert_eq!(world.live("hook")["headerList"], live);
    }
}

#[test]
fn a_certificate_that_live_shows_is_sent_back() {
    let mut world = World::new();
    world.target("drift: report");
    let document = "type: graylog\nname: g\nhostname: h\ntlsEnabled: true\n\
        tlsTrustCertChainFile: QUFB\n";
    world.write("connections/g.yaml", document);
    world.commit("a certificate");
    world.apply().code(0);
    world.edit("g", "tlsTrustCertChainFile", json!("QkJC"));
    world.write("connections/g.yaml", &format!("{document}description: another\n"));
    world.commit("another description");
    world.apply().code(0).says("drift, only reported");
    assert_eq!(world.live("g")["tlsTrustCertChainFile"], json!("QkJC"));
}

#[test]
fn a_password_that_drifted_is_planned_as_a_write_of_the_next_put() {
    use apinizer_gitops::testing::sandbox::{Options, SecretsOnGet};
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    world.target("drift: report\nverify_secrets: 0s");
    world.settle(&["a"]);
    world.apply().code(0);
    world.edit("a", "password", json!("typed in the console"));
    assert_eq!(world.changes(&["--verify-secrets"]), ["drift a"]);
    world.write("connections/a.yaml", &email("a", "port: 2525\n"));
    world.commit("another port");
    assert_eq!(world.changes(&["--verify-secrets"]), ["update a"]);
    world.run(&["plan", "--verify-secrets"]).code(2).says("password");
}

#[test]
fn an_ignored_part_that_moves_makes_no_drift_beside_it_gits() {
    let headers = format!("{TOKEN}, {{name: X-A, value: '1'}}, {{name: X-B, value: '2'}}");
    let ignored = "x-gitops: {ignore: [/headerList/1/value]}\n";
    let world = hook(&headers);
    declare(&world, &headers, ignored);
    world.apply().code(0);
    let live = |a: &str| {
        json!([header("Authorization", CANARY), header("X-A", a), header("X-B", "drifted")])
    };
    for a in ["1", "allowed"] {
        world.edit("hook", "headerList", live(a));
        assert_eq!(world.changes(&[]), ["drift hook"]);
    }
    world.apply().code(0);
    assert_eq!(world.live("hook")["headerList"], live("allowed"));
}

#[test]
fn a_url_with_a_reference_that_the_console_edited_is_sent_back() {
    let mut world = World::new();
    world.target("drift: report");
    world.env.insert("HOST".into(), "h.example.com".into());
    let document = "type: webhook\nname: hook\nfullUrl: 'https://${env:HOST}/x'\n";
    world.write("connections/hook.yaml", document);
    world.commit("a host");
    world.apply().code(0);
    let url = json!("https://other.example.com/x");
    world.edit("hook", "fullUrl", url.clone());
    world.write("connections/hook.yaml", &format!("{document}description: another\n"));
    world.commit("another description");
    world.apply().code(0).says("drift, only reported");
    assert_eq!(world.live("hook")["fullUrl"], url);
    assert_eq!(world.live("hook")["description"], json!("another"));
}

#[test]
fn a_header_with_a_reference_that_the_console_removed_stays_removed() {
    let headers = format!("{TOKEN}, {{name: X-A, value: '1'}}");
    for live in [json!([]), json!([header("X-A", "1")]), json!(null)] {
        let world = hook(&headers);
        world.edit("hook", "headerList", live.clone());
        declare(&world, &headers, "description: another\n");
        world.apply().code(0).says("drift, only reported");
        assert_eq!(world.live("hook")["headerList"], live);
        assert_eq!(world.live("hook")["description"], json!("another"));
    }
}

#[test]
fn a_mask_inside_a_url_hides_no_other_host() {
    let world = World::new();
    let document =
        "type: webhook\nname: hook\nfullUrl: 'https://h.example.com/x?token=${env:TOKEN_A}'\n";
    world.write("connections/hook.yaml", document);
    world.commit("a webhook with a token");
    let mut with_token = world.command(&["apply", "--yes"]);
    let applied = with_token.env("TOKEN_A", "s3cr3t-token").output().unwrap();
    world.ended(applied).code(0);
    for (shown, code) in
        [("https://h.example.com/x?token=*****", 0), ("https://o.example.com/x?token=*****", 2)]
    {
        world.edit("hook", "fullUrl", json!(shown));
        let mut plan = world.command(&["plan"]);
        world.ended(plan.env("TOKEN_A", "s3cr3t-token").output().unwrap()).code(code);
    }
}

/// A connection whose host comes from the environment, on a target that only reports drift; its document.
pub(crate) fn with_host_of_the_environment() -> (World, String) {
    let mut world = World::new();
    world.target("drift: report");
    world.env.insert("HOST".into(), "one.example.com".into());
    let document = email("a", "").replace("smtp.example.com", "${env:HOST}");
    world.write("connections/a.yaml", &document);
    world.settle(&["b"]);
    (world, document)
}

#[test]
fn drift_is_only_reported_after_a_put_that_was_refused() {
    let (mut world, _) = with_host_of_the_environment();
    world.env.insert("HOST".into(), "two.example.com".into());
    world.control().fail_next(Some(Method::PUT), "/a/", refusal("not now"), 1);
    world.apply().code(1);
    world.env.insert("HOST".into(), "one.example.com".into());
    world.edit("a", "host", json!("by.hand"));
    world.apply().code(0).says("only reported");
    assert_eq!(world.live("a")["host"], json!("by.hand"));
}

#[test]
fn drift_beside_a_reference_is_kept_over_runs_under_another_key() {
    let mut world = World::new();
    world.target("drift: report");
    world.env.insert("SENDER".into(), "shop@example.com".into());
    world.commit_email("a", "from: ${env:SENDER}\n");
    world.settle(&["b"]);
    world.edit("a", "from", json!("console@example.com"));
    // The key of the fingerprints comes from the token.
    world.env.insert("APINIZER_TOKEN".into(), "rotated".into());
    for _ in 0..3 {
        world.apply().code(0);
        assert_eq!(world.live("a")["from"], json!("console@example.com"));
    }
}
