//! Objects inside lists: git owns the keys that it declares, live keeps its others, and a plan shows all
//! that a PUT changes in them.

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
fn an_object_that_moves_in_its_list_keeps_its_keys() {
    let world = settled("[{to: a}, {to: b}, {to: c, weight: 1}]");
    let live = json!([{"to": "a", "note": 1}, {"to": "b", "note": 2}, {"to": "c", "weight": 1}]);
    world.edit("hook", "routes", live);
    declare(&world, "[{to: b}, {to: c}]", "");
    let wanted = json!([{"to": "b", "note": 2}, {"to": "c"}]);
    assert_eq!(fields(&world), [(json!("/routes"), wanted.clone())]);
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
