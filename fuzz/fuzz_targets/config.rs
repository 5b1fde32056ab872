//! No bytes of a config may make reading it panic.
#![no_main]

use std::path::Path;

use apinizer_gitops::testing::config::{Config, Resolve};
use apinizer_gitops::testing::environment::Environment;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let environment = Environment::new([("TOKEN".to_owned(), "t".to_owned())]);
    let _ = Config::parse(Path::new("/config/apinizer-gitops.yaml"), bytes, &environment, Resolve::All);
});
