//! End to end: the binary, a sandbox over real HTTP, real git repositories.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod git_servers;
mod ran;
mod receiver;
mod running;
mod world;

mod architecture;
mod attacked;
mod basics;
mod branches;
mod browser;
mod chaos;
#[cfg(feature = "kubernetes")]
mod cluster;
mod counts;
mod crashes;
mod credentials;
mod daemon;
mod degraded;
mod deletes;
mod deployed;
mod disk;
mod docs;
mod documents;
mod exports;
mod flags;
mod git_faults;
mod inventory;
mod isolate;
mod kills;
mod lists;
mod lost_answers;
mod metrics;
mod model;
mod moments;
mod notify;
mod observed;
mod reliability;
mod remote;
mod renames;
mod replaces;
#[cfg(feature = "kubernetes")]
mod replicas;
mod rules;
mod rules_found;
mod saved_plans;
mod secrets;
mod shutdown;
mod signatures;
mod status;
mod terminal;
#[cfg(feature = "otel")]
mod traces;
mod validate;
mod watching;
mod web;
