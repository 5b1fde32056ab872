//! The configs of deploy/ are configs that the program takes.

use std::path::Path;

use apinizer_gitops::testing::config::{Config, Resolve};
use apinizer_gitops::testing::environment::Environment;

#[track_caller]
fn loads(path: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    match Config::load(&path, &Environment::default(), Resolve::Known) {
        Ok(config) => config,
        Err(problems) => panic!("{}: {problems:?}", path.display()),
    }
}

#[test]
fn a_single_daemon_in_a_cluster() {
    let config = loads("deploy/kubernetes/base/apinizer-gitops.yaml");
    assert!(config.kubernetes.is_none());
    assert!(config.server.listen.is_some_and(|address| !address.ip().is_loopback()));
}

#[test]
fn replicas_in_a_cluster() {
    let config = loads("deploy/kubernetes/ha/apinizer-gitops.yaml");
    assert!(config.kubernetes.is_some_and(|kubernetes| kubernetes.state_in_secret));
}

#[test]
fn a_daemon_beside_a_sandbox() {
    assert_eq!(loads("deploy/compose/apinizer-gitops.yaml").targets[0].project, "ShopStaging");
}
