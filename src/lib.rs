//! Keeps the connections of Apinizer projects equal to what a git repository declares.
//!
//! One reconcile reads like the list of modules: a commit ([`source`]) becomes documents
//! ([`document`]), documents and the environment become the desired state ([`desired`]), the
//! Management API ([`api`]) shows what is live ([`live`]), both meet in a plan ([`plan`]), the
//! plan is carried out ([`apply`]) and the result is told ([`report`]). [`reconcile`] is that
//! one pass; commands ([`cli`]) and the [`daemon`] both call it.
//!
//! `catalog`, `document`, `reference`, `secret`, `desired`, `live` and `plan` are the pure core:
//! they take values and return values, and import neither the client, nor the web server, nor
//! the command line.

pub mod api;
pub mod apply;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod desired;
pub mod diagnostic;
mod digest;
pub mod document;
pub mod environment;
pub mod export;
pub mod leadership;
pub mod live;
pub mod name;
pub mod notify;
pub mod observe;
mod parallel;
mod places;
pub mod plan;
mod pointer;
pub mod reconcile;
pub mod record;
pub mod reference;
pub mod report;
pub mod sandbox;
pub mod secret;
pub mod source;
pub mod state;
pub mod web;
mod yaml;
