//! The daemon: keeps every target equal to git for as long as it runs.

pub mod status;
pub mod trigger;
mod watchdog;

pub use status::Board;
pub use trigger::{Cause, Trigger};
pub use watchdog::Watchdog;
