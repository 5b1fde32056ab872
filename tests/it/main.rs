//! End to end: the binary, a sandbox over real HTTP, real git repositories.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod git_servers;
mod running;
mod world;

mod architecture;
mod basics;
mod browser;
#[cfg(feature = "kubernetes")]
mod cluster;
mod crashes;
mod daemon;
mod deletes;
mod deployed;
mod docs;
mod documents;
mod exports;
mod faults;
mod flags;
mod git_faults;
mod inventory;
mod isolate;
mod metrics;
mod model;
mod moments;
mod notify;
mod observed;
mod remote;
mod renames;
mod replaces;
#[cfg(feature = "kubernetes")]
mod replicas;
mod rules;
mod rules_found;
mod saved_plans;
mod secrets;
mod signatures;
mod status;
mod validate;
mod watching;
mod web;
