//! End to end: the binary, a sandbox over real HTTP, real git repositories.

mod world;

mod basics;
mod crashes;
mod deletes;
mod faults;
mod inventory;
mod model;
mod ownership;
mod renames;
mod saved_plans;
mod secrets;
mod sources;
