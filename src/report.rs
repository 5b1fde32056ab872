//! To be written.

pub mod explain;
