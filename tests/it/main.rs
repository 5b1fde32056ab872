//! End to end: the binary, a sandbox over real HTTP, real git repositories.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod running;
mod world;

mod architecture;
mod basics;
mod crashes;
mod daemon;
mod docs;
mod deletes;
mod faults;
mod flags;
mod inventory;
mod isolate;
mod model;
mod notify;
mod moments;
mod renames;
mod rules;
mod saved_plans;
mod secrets;
mod validate;
mod web;
