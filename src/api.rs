//! The Management API's connection endpoints: five calls, two dialects, one way of failing.
//!
//! [`Client`] is one target. A call becomes an address (`address`), one HTTP exchange with a
//! deadline and a bound (`exchange`, over the TLS of `connector`), and an answer that is read
//! without being told the server's dialect (`envelope`, `answer`, `failure`); `listing` and `deployment` say
//! what a success holds. `token` keeps the bearer token, `retry` says whether and when a call is
//! made again, `pace` makes all calls of a client wait while a server asks for it, and `limit`
//! keeps back a write that could still be under way when another process may write. What a server
//! says reaches an error only through `words`.

mod address;
mod answer;
mod client;
mod connector;
mod deployment;
mod envelope;
mod error;
mod exchange;
mod failure;
mod limit;
mod listing;
mod pace;
mod retry;
mod settings;
mod token;
mod transport;
mod words;

#[cfg(test)]
mod tests;

pub use address::AddressError;
pub use client::Client;
pub use deployment::Deployment;
pub use error::{CallError, ErrorKind};
pub use limit::WriteLimit;
pub use retry::{GiveUp, Retries, RetryPolicy, Tries};
pub use settings::{ClientError, ClientSettings};
pub use token::Credentials;

/// What a list of one type gave.
#[derive(Debug)]
pub enum Listed {
    /// The whole list.
    Complete(Vec<crate::live::LiveConnection>),
    /// This version of the server does not know the type.
    Unsupported,
}
