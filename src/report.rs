//! Views of plans, outcomes and problems.

pub mod diagnostics;
pub mod explain;
