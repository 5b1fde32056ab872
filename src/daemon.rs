//! The daemon: keeps every target equal to git for as long as it runs.
//!
//! One task, the `supervisor`, reads the source and tells; one task for each target, its
//! `keeper`, reconciles. A target that is down holds no other back, and whatever wakes the
//! daemon only says that there is something to look at.

mod cause;
mod fetching;
mod follow;
mod keeper;
mod measure;
mod news;
mod once;
mod orders;
mod pass;
mod quiet;
mod schedule;
pub mod status;
mod supervisor;
mod tasks;
mod telling;
pub mod trigger;
mod watchdog;

pub use cause::Cause;
pub use once::once;
pub use status::Board;
pub use supervisor::{Daemon, Reload, Reloaded, run};
pub use trigger::Trigger;
pub use watchdog::{Watchdog, Watched};
