//! To be written.

pub mod diagnostics;
pub mod explain;
