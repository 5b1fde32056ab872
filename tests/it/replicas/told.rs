//! What replicas say about refusals of the API and about what others did to their objects.

use super::*;

#[test]
fn missing_rights_of_the_role_are_told_and_nothing_is_written() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    cluster.forbid(&["leases"]);
    world.commit_email("a", "");
    let first = Replica::start(&world, &cluster, "first", "");
    first.comes_to(&world, "failing");
    let error = first.error(&world);
    for part in ["403", "cannot get resource", "in the namespace \"gitops\"", "its Role needs"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(first.get(&world, "/readyz").0, 503);
    assert!(writes(&world).is_empty());
    // A command says so at once too, however long it would wait for another replica.
    let path = world.path("first/apinizer-gitops.yaml");
    let apply = ["apply", "--yes", "--lock-timeout", "1h"];
    let said = command(&world, &path, "by-hand", &apply).output().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("its Role needs"), "{said:?}");
    // Without the right to the Secrets there is no state, and so no write either.
    cluster.forbid(&["secrets"]);
    eventually("the state", || first.error(&world).contains("secret/"));
    assert!(writes(&world).is_empty());
}

#[test]
fn a_refused_token_or_lease_is_told_in_the_words_of_the_api() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "port: 1\n");
    let invalid =
        "Lease.coordination.k8s.io \"l\" is invalid: spec.leaseDurationSeconds: Invalid value: 0";
    cluster.trouble("create leases", Trouble::Invalid(invalid), usize::MAX);
    let first = Replica::start(&world, &cluster, "first", "");
    eventually("the reason", || first.error(&world).contains(&format!("422: {invalid}")));
    cluster.revoke("first-token");
    eventually("the token", || {
        let error = first.error(&world);
        error.contains("401") && error.contains("token of the service account is not accepted")
    });
    let error = first.error(&world);
    assert!(!error.contains("Role"), "{error}");
    assert!(writes(&world).is_empty());
    cluster.trouble("create leases", Trouble::Busy, 2);
    cluster.allow("first-token");
    first.comes_to(&world, "in_sync");
}

#[test]
fn a_role_without_list_costs_calls_and_no_hand_over() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    cluster.forbid(&["list leases", "watch leases"]);
    world.commit_email("a", "port: 1\n");
    let mut first = Replica::start(&world, &cluster, "first", "");
    first.comes_to(&world, "in_sync");
    let second = Replica::start(&world, &cluster, "second", "");
    second.comes_to(&world, "standby");
    assert_eq!(first.terminate(), 0);
    world.commit_email("a", "port: 2\n");
    eventually("the second acts", || port(&world, "a") == json!(2));
    let told = |replica: &Replica| replica.logs().matches("each Lease is read by a call").count();
    assert_eq!((told(&first), told(&second)), (1, 1), "{}", second.logs());
    assert!(second.logs().contains("cannot list resource"), "{}", second.logs());
    cluster.forbid(&["watch leases"]);
    eventually("it lists", || second.logs().contains("the leases are listed again and again"));
    cluster.forbid(&[]);
    eventually("it watches", || second.logs().contains("the leases can be read again"));
}

/// What the holder needs only later is told at once.
#[test]
fn a_holder_that_may_no_longer_read_leases_says_so_and_acts_on() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "port: 1\n");
    let first = Replica::start(&world, &cluster, "first", "");
    first.comes_to(&world, "in_sync");
    cluster.forbid(&["get leases", "list leases"]);
    cluster.end_watches();
    eventually("it says so", || first.logs().contains("its Role needs list, watch, get"));
    world.commit_email("a", "port: 2\n");
    eventually("it acts on", || port(&world, "a") == json!(2));
}

#[test]
fn a_deleted_lease_or_state_is_told_to_be_deleted() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "port: 1\n");
    let first = Replica::start(&world, &cluster, "first", "");
    first.comes_to(&world, "in_sync");
    cluster.delete("leases");
    eventually("the Lease", || first.logs().contains("the lease is lost: it was deleted"));
    // There is a state, so a replica acted that may not know yet.
    first.comes_to(&world, "standby");
    first.comes_to(&world, "in_sync");
    let gate = world.control().gate(Some(axum::http::Method::PUT), "/a/", Moment::After);
    world.commit_email("a", "port: 2\n");
    world.block_on(gate.wait_for(1));
    cluster.delete("secrets");
    gate.open();
    eventually("the state", || {
        first.target(&world).to_string().contains("it was deleted meanwhile")
            || first.logs().contains("it was deleted meanwhile")
    });
    assert!(!first.logs().contains("another process wrote it"), "{}", first.logs());
    first.comes_to(&world, "in_sync");
    assert_eq!(port(&world, "a"), json!(2));
}

#[test]
fn one_whose_lease_is_taken_away_stands_by() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("a", "port: 1\n");
    let first = Replica::start(&world, &cluster, "first", "");
    first.comes_to(&world, "in_sync");
    // Another's label is no reason to stop.
    cluster.edit("leases", |lease| lease["metadata"]["labels"]["team"] = json!("gateways"));
    world.commit_email("a", "port: 2\n");
    eventually("it acts on", || port(&world, "a") == json!(2));
    cluster.edit("leases", |lease| lease["spec"]["holderIdentity"] = json!("thief_1"));
    first.comes_to(&world, "standby");
    eventually("it says who", || first.target(&world).to_string().contains("standby"));
    // The thief is silent, so the target comes back after the lease.
    world.commit_email("a", "port: 3\n");
    eventually("it acts again", || port(&world, "a") == json!(3));
    assert_eq!(cluster.holders(), ["first"]);
}

#[test]
fn a_state_of_another_writer_is_not_overwritten() {
    let world = World::new();
    let cluster = Cluster::start(&world);
    world.commit_email("keep", "");
    world.commit_email("a", "port: 1\n");
    let gate = world.control().gate(Some(axum::http::Method::POST), "/a/", Moment::After);
    let first = Replica::start(&world, &cluster, "first", "");
    world.block_on(gate.wait_for(1));
    // The note before the create is there, and now somebody writes beside it.
    cluster.edit("secrets", |secret| secret["metadata"]["labels"]["by"] = json!("hand"));
    gate.open();
    eventually("the state is told to be another's", || {
        first.target(&world)["error"].to_string().contains("another process wrote it")
            || first.target(&world)["state"] == json!("in_sync")
    });
    first.comes_to(&world, "in_sync");
    // The next one reads the state again and finds its own create by the note.
    cluster.edit("secrets", |secret| {
        assert_eq!(secret["metadata"]["labels"]["by"], json!("hand"));
        assert_eq!(secret["kind"], json!("Secret"));
        // No value of the environment is in it, packed or not.
        assert!(secret["data"]["state.json.gz"].is_string());
    });
    world.commit_without(&["a"]);
    eventually("it was owned", || world.names() == ["keep"]);
}
