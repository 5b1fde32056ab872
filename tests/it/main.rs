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
mod basics;
mod branches;
mod browser;
mod chaos;
#[cfg(feature = "kubernetes")]
mod cluster;
mod consent;
mod converging;
mod counts;
mod crashes;
mod credentials;
mod daemon;
mod degraded;
mod deployed;
mod disk;
mod docs;
mod documents;
mod exports;
mod flags;
mod git_faults;
mod isolate;
mod kills;
mod late_lists;
mod limits;
mod lists;
mod lost_answers;
mod made_anew;
mod meanwhile;
mod metrics;
mod model;
mod notify;
mod observed;
mod overlays;
mod ownership;
mod protection;
mod reliability;
mod reloads;
mod remote;
mod removed_by_a_commit;
mod renames;
mod replaces;
#[cfg(feature = "kubernetes")]
mod replicas;
mod rotation;
mod same_names;
mod saved_plans;
mod secrets;
mod secrets_kept;
mod secrets_shown;
mod shutdown;
mod signatures;
mod state_file;
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
mod working_tree;
