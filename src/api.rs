//! The Management API's connection endpoints: five calls, two dialects, one way of failing.
//!
//! [`Client`] is one target. A call gets an address (`address`) and becomes one HTTP exchange with a
//! deadline and a bound (`exchange`, over the TLS of `settings`, through the proxy that `proxy`
//! chooses); what fails below HTTP is told by `transport`. An answer is read without being told the
//! server's dialect (`answer`, `failure`); `listing` and `deployment` say what a success holds.
//! `token` keeps the bearer token, `retry` says whether and when a call is made again and keeps back
//! a write that could still be under way when another process may write, and `pace` makes all calls
//! of a client wait while a server asks for it. Whatever a server says reaches an error only through
//! `error::clean`.

mod address;
mod answer;
mod client;
mod deployment;
mod envelope;
mod error;
mod exchange;
mod failure;
mod listing;
mod pace;
mod proxy;
mod retry;
mod settings;
mod shared;
mod token;
mod transport;

#[cfg(test)]
mod tests;

pub(crate) use client::Client;
pub(crate) use deployment::Deployment;
pub(crate) use error::{CallError, ErrorKind};
pub(crate) use proxy::{Proxy, ProxyError};
pub use retry::{LimitMover, RetryPolicy, WriteLimit};
pub(crate) use retry::{Retries, Tries};
pub(crate) use settings::{ClientError, ClientSettings};
pub(crate) use shared::Shared;
pub(crate) use token::Credentials;
pub(crate) use transport::reason;

/// The answer to the list of one type.
#[derive(Debug)]
pub(crate) enum Listed {
    /// The whole list.
    Complete(Vec<crate::live::LiveConnection>),
    /// This version of the server does not know the type.
    Unsupported,
}
