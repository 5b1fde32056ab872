//! Views of plans, outcomes and problems.

pub mod diagnostics;
