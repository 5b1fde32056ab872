//! Objects inside lists: git owns the keys that it declares. Live keeps its others while the list is in
//! sync; a list that differs is sent as git has it, and no part of one element reaches another.

use serde_json::{Value, json};

use crate::world::{CANARY, World};

/// A webhook with a list of objects that servers add keys to.
fn document(list: &str, more: &str) -> String {
    format!("type: webhook\nname: hook\nfullUrl: 'https://h.example.com/x'\nroutes: {list}\n{more}")
}

fn declare(world: &World, list: &str, more: &str) {
    world.write("connections/hook.yaml", &document(list, more));
    world.commit("the routes");
}

/// A world in which git and live agree on a list.
fn settled(list: &str) -> World {
    let world = World::new();
    declare(&world, list, "");
    world.apply().code(0);
    world
}

/// The fields that a plan shows, as their pointer with git's side.
fn fields(world: &World) -> Vec<(Value, Value)> {
    let plan = world.plan_json(&[]);
    let changes = plan["changes"].as_array().unwrap();
    let fields = changes.iter().flat_map(|change| change["fields"].as_array().unwrap());
    fields.map(|field| (field["path"].clone(), field["after"].clone())).collect()
}

#[test]
fn a_key_that_git_drops_from_an_object_in_a_list_goes() {
    let world = settled("[{to: a, weight: 1}, {to: b, weight: 2}]");
    declare(&world, "[{to: a}, {to: b, weight: 2}]", "");
    let wanted = json!([{"to": "a"}, {"to": "b", "weight": 2}]);
    assert_eq!(fields(&world), [(json!("/routes"), wanted.clone())]);
    world.apply().code(0);
    assert_eq!(world.live("hook")["routes"], wanted);
    world.plan().code(0);
}

#[test]
fn a_put_for_another_field_keeps_the_keys_that_live_has_beside_gits() {
    let world = settled("[{to: a}, {to: b}]");
    let live = json!([{"to": "a", "note": {"of": "ops"}}, {"to": "b", "weight": 9}]);
    world.edit("hook", "routes", live.clone());
    world.plan().code(0);
    declare(&world, "[{to: a}, {to: b}]", "description: another\n");
    assert_eq!(fields(&world), [(json!("/description"), json!("another"))]);
    world.apply().code(0);
    assert_eq!(world.live("hook")["routes"], live);
    world.plan().code(0);
}

#[test]
fn a_list_that_differs_is_sent_as_git_has_it() {
    let world = settled("[{to: a}, {to: b}, {to: c, weight: 1}]");
    let live = json!([{"to": "a", "note": 1}, {"to": "b", "note": 2}, {"to": "c", "weight": 1}]);
    world.edit("hook", "routes", live.clone());
    declare(&world, "[{to: b}, {to: c}]", "");
    let wanted = json!([{"to": "b"}, {"to": "c"}]);
    let field = &world.plan_json(&[])["changes"][0]["fields"][0];
    assert_eq!((&field["before"], &field["after"]), (&live, &wanted));
    world.apply().code(0);
    assert_eq!(world.live("hook")["routes"], wanted);
    world.plan().code(0);
}

/// The server may take its own reading of a value for the value.
#[test]
fn a_key_that_the_server_makes_of_others_is_not_sent_beside_their_new_values() {
    let kafka = |value: &str| {
        format!(
            "type: kafka\nname: hook\ntopicName: t\npropertiesMap: {{acks: {{value: {value}}}}}\n"
        )
    };
    let world = World::new();
    world.write("connections/hook.yaml", &kafka("all"));
    world.commit("a topic");
    world.apply().code(0);
    let live = json!({"acks": {"value": "all", "valueByType": "all", "note": "by hand"}});
    world.edit("hook", "propertiesMap", live);
    world.write("connections/hook.yaml", &kafka("one"));
    world.commit("fewer acks");
    world.apply().code(0);
    let wanted = json!({"acks": {"value": "one", "note": "by hand"}});
    assert_eq!(world.live("hook")["propertiesMap"], wanted);
}

#[test]
fn a_mask_beside_the_keys_of_git_is_not_sent_back() {
    let world = settled("[{to: a}]");
    let live = json!([{"to": "a", "token": "*****"}]);
    world.edit("hook", "routes", live.clone());
    declare(&world, "[{to: a}]", "description: another\n");
    world.plan().code(1).says("routes");
    world.apply().code(1).says("would wipe it");
    assert_eq!(world.live("hook")["routes"], live);
}

/// The value that it was read from is git's, so no PUT can wipe it.
#[test]
fn a_mask_in_the_place_of_the_reading_of_a_value_blocks_nothing() {
    let world = World::new();
    let kafka = "type: kafka\nname: hook\ntopicName: t\n\
        propertiesMap: {ssl.key.password: {value: '${env:SMTP_PASSWORD}'}}\n";
    world.write("connections/hook.yaml", kafka);
    world.commit("a topic");
    world.apply().code(0);
    let live = json!({"ssl.key.password": {"value": CANARY, "valueByType": "*****"}});
    world.edit("hook", "propertiesMap", live);
    world.plan().code(0);
    world.write("connections/hook.yaml", &format!("{kafka}description: another\n"));
    world.commit("another description");
    world.plan().code(2);
    world.apply().code(0);
    let wanted = json!({"ssl.key.password": {"value": CANARY}});
    assert_eq!(world.live("hook")["propertiesMap"], wanted);
}

#[test]
fn a_secret_of_one_element_reaches_no_other_one() {
    let live = json!([
        {"to": "b", "weight": 1, "password": CANARY}, {"to": "a", "weight": 1, "password": CANARY}
    ]);
    for list in
        ["[{to: a, weight: 2}, {to: b, weight: 2}]", "[{to: b, weight: 1}, {to: c, weight: 1}]"]
    {
        let world = settled("[{to: b, weight: 1}, {to: a, weight: 1}]");
        world.edit("hook", "routes", live.clone());
        world.plan().code(0);
        declare(&world, list, "");
        world.plan().code(1).says("].password");
        world.apply().code(1).says("or as `null`");
        assert_eq!(world.live("hook")["routes"], live);
        declare(&world, &list.replace('}', ", password: null}"), "");
        world.apply().code(0);
        assert!(!world.live("hook").to_string().contains("c4nary"));
    }
}

#[test]
fn an_element_that_git_removes_takes_its_secret_along() {
    let world = settled("[{to: a}, {to: b}]");
    world.edit("hook", "routes", json!([{"to": "a", "password": CANARY}, {"to": "b"}]));
    declare(&world, "[{to: b}]", "");
    world.plan().code(2).says("(sensitive)");
    world.apply().code(0);
    assert_eq!(world.live("hook")["routes"], json!([{"to": "b"}]));
}

#[test]
fn a_reference_that_git_drops_from_an_element_blocks_its_put() {
    let world = settled("[{to: a, weight: 1, zone: '${env:SMTP_PASSWORD}'}]");
    let before = world.live("hook");
    declare(&world, "[{to: a, weight: 2}]", "");
    for arguments in [&["plan"][..], &["plan", "--output", "json"], &["apply", "--yes"]] {
        world.run(arguments).code(1).says("routes[0].zone");
    }
    world.run(&["plan", "--without-secrets"]).code(1);
    assert_eq!(world.live("hook"), before);
    // A server that leaves the value out of its answers tells no difference.
    world.edit("hook", "routes", json!([{"to": "a", "weight": 2}]));
    world.plan().code(1).says("routes[0].zone");
    declare(&world, "[{to: a, weight: 2, zone: null}]", "");
    world.edit("hook", "routes", before["routes"].clone());
    world.plan().code(2).says("${env:SMTP_PASSWORD}");
    world.apply().code(0);
    assert_eq!(world.live("hook")["routes"][0]["zone"], Value::Null);
}

#[test]
fn an_ignored_part_of_an_element_is_taken_from_no_other_element() {
    let world = World::new();
    let headers = "headerList: [{name: X-Env, value: foo}]\n";
    declare(&world, "[]", &format!("{headers}x-gitops: {{ignore: [/headerList/0/value]}}\n"));
    world.apply().code(0);
    let with = |value: &str| json!({"name": "X-Env", "value": value});
    world.edit("hook", "headerList", json!([with("bar")]));
    world.plan().code(0);
    let authorization = json!({"name": "Authorization", "value": CANARY});
    let live = json!([authorization, with("bar")]);
    world.edit("hook", "headerList", live.clone());
    world.plan().code(1).says("ignore `/headerList`");
    world.apply().code(1).says("headerList[0]");
    assert_eq!(world.live("hook")["headerList"], live);
}

#[test]
fn a_secret_of_live_is_not_shown_beside_another_name() {
    let world = World::new();
    declare(&world, "[]", "extra: {name: X-Token}\n");
    world.apply().code(0);
    world.edit("hook", "extra", json!({"name": "X-Token", "value": CANARY}));
    declare(&world, "[]", "extra: {name: X-Region}\n");
    // No output of a test may hold the canary.
    world.plan().code(2).says("X-Region");
}

#[test]
fn a_secret_of_an_object_of_which_live_shows_nothing_is_not_wiped() {
    let world = World::new();
    let tls = |mode: &str| format!("tls: {{mode: {mode}}}\n");
    declare(&world, "[]", &tls("a"));
    world.apply().code(0);
    let live = json!({"mode": "a", "keyStorePassword": null});
    world.edit("hook", "tls", live.clone());
    declare(&world, "[]", &tls("b"));
    world.plan().code(1).says("tls");
    world.apply().code(1).says("would wipe it");
    let renamed = document("[]", &format!("{}x-gitops: {{renamedFrom: hook}}\n", tls("a")));
    world.write("connections/hook.yaml", &renamed.replace("name: hook", "name: hook2"));
    world.commit("another name");
    world.plan().code(1).says("tls");
    world.apply().code(1);
    assert_eq!(world.live("hook")["tls"], live);
}

/// A webhook with a header that holds a reference, and another one.
fn with_headers(value: &str, more: &str) -> String {
    let token = "{name: Authorization, value: '${env:SMTP_PASSWORD}'}";
    format!("headerList: [{token}, {{name: X-A, value: {value}}}]\n{more}")
}

#[test]
fn keys_that_a_server_adds_beside_a_reference_count_as_moved_by_nobody() {
    let world = World::new();
    declare(&world, "[]", &with_headers("'1'", ""));
    world.apply().code(0);
    let mut live = world.live("hook")["headerList"].clone();
    live[0]["uid"] = json!("u0");
    world.edit("hook", "headerList", live);
    declare(&world, "[]", &with_headers("'2'", ""));
    assert_eq!(world.plan_json(&[])["changes"][0]["fields"][0]["origin"], json!("git"));
}

/// A server may sort a set, and no place tells whose secret it masks.
#[test]
fn a_masked_secret_of_a_set_reaches_no_other_element() {
    let world = World::new();
    let set = "additionalProperties: [{key: z, password: '${env:SMTP_PASSWORD}'}, {key: a}]\n";
    world.commit_email("mail", set);
    world.apply().code(0);
    let live = json!([{"key": "a", "password": null}, {"key": "z", "password": null}]);
    world.edit("mail", "additionalProperties", live.clone());
    world.commit_email("mail", &format!("{set}description: another\n"));
    world.apply().code(1).says("which git does not declare");
    assert_eq!(world.live("mail")["additionalProperties"], live);
}

#[test]
fn a_null_that_git_declares_in_an_object_can_be_taken_out_again() {
    let world = World::new();
    declare(&world, "[{to: a, token: null}]", "tls: {mode: a, password: null}\n");
    world.apply().code(0);
    declare(&world, "[{to: a}]", "tls: {mode: a}\n");
    world.plan().code(0);
    world.apply().code(0);
    assert_eq!(world.live("hook")["tls"], json!({"mode": "a", "password": null}));
}

#[test]
fn a_null_that_git_declares_for_a_secret_is_sent_where_live_shows_nothing() {
    let world = settled("[{to: a}]");
    world.edit("hook", "routes", json!([{"to": "a", "token": null}]));
    declare(&world, "[{to: a, token: null}]", "");
    world.plan().code(2);
    world.forget_calls();
    world.apply().code(0);
    assert_eq!(world.writes(), ["PUT hook"]);
    world.plan().code(0);
}
