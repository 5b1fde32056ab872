//! End to end: the binary, a sandbox over real HTTP, real git repositories.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod answers;
mod faults;
mod git_servers;
mod ran;
mod receiver;
mod running;
mod world;

mod allow_delete;
mod architecture;
mod attacked;
mod basics;
mod branches;
mod browser;
mod chaos;
#[cfg(feature = "kubernetes")]
mod cluster;
mod converging;
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
mod late_lists;
mod lists;
mod lost_answers;
mod made_anew;
mod metrics;
mod model;
mod moments;
mod notify;
mod observed;
mod overlays;
mod reliability;
mod remote;
mod renames;
mod replaces;
#[cfg(feature = "kubernetes")]
mod replicas;
mod rotation;
mod rules;
mod rules_found;
mod same_names;
mod saved_plans;
mod secrets;
mod secrets_kept;
mod shutdown;
mod signatures;
mod status;
mod still;
mod suspended_targets;
mod terminal;
#[cfg(feature = "otel")]
mod traces;
mod validate;
mod watching;
mod web;
mod without_secrets;
