//! Keeps the connections of Apinizer projects equal to what a git repository declares.
//!
//! One reconcile reads like the list of modules: a commit (`source`) becomes documents
//! (`document`), documents and the environment become the desired state (`desired`), the
//! Management API (`api`) shows what is live (`live`), both meet in a plan (`plan`), the
//! plan is carried out (`apply`) and the result is told (`report`). `reconcile` is that
//! one pass; commands (`cli`) and the `daemon` both call it.
//!
//! The pure core, whose modules ARCHITECTURE.md lists, takes values and returns values. It imports neither
//! the client, nor the web server, nor the command line.

mod api;
mod apply;
mod audit;
mod catalog;
pub mod cli;
mod config;
mod daemon;
mod demo;
mod desired;
mod diagnostic;
mod digest;
mod document;
mod environment;
mod export;
mod host;
mod leadership;
mod links;
mod live;
mod name;
mod notify;
mod observe;
mod parallel;
mod places;
mod plan;
mod pointer;
mod probe;
mod profile;
mod pull;
mod reconcile;
mod record;
mod reference;
mod report;
mod rules;
mod sandbox;
mod secret;
mod source;
mod state;
mod web;
mod yaml;

/// Items for this crate's own tests, benchmarks and fuzz targets; no interface for other crates.
#[doc(hidden)]
pub mod testing {
    pub mod api {
        pub use crate::api::{LimitMover, RetryPolicy, WriteLimit};
    }
    pub mod catalog {
        pub use crate::catalog::{all, find, hidden, schema};
    }
    pub mod config {
        pub use crate::config::{Config, Resolve, Target, schema};
    }
    pub mod desired {
        pub use crate::desired::{Desired, Resolution, resolve};
    }
    pub mod document {
        pub use crate::document::{LoadRequest, Loaded, ParseCache, code, load};
    }
    pub mod environment {
        pub use crate::environment::Environment;
    }
    pub mod live {
        pub use crate::live::LiveConnection;
    }
    pub mod plan {
        pub use crate::plan::{
            Action, Change, ChangeResult, Filter, Plan, RunRequests, TargetPlan,
        };
    }
    pub mod profile {
        pub use crate::profile::*;
    }
    pub mod reconcile {
        pub use crate::audit::Asked;
        pub use crate::reconcile::{
            Engine, Prepared, ReadBackMode, RunOptions, carry_out, prepare,
        };
    }
    pub mod reference {
        pub use crate::reference::{Segment, escape, parse};
    }
    pub mod report {
        pub use crate::report::{Style, diagnostics, exit, explain};
    }
    pub mod sandbox {
        pub use crate::sandbox::*;
    }
    pub mod secret {
        pub use crate::secret::{Redactor, Sensitive};
    }
    pub mod source {
        pub use crate::source::{FileEntry, Folder, Repository, Snapshot};
    }
    pub mod state {
        pub use crate::state::StateFile;
    }
}
