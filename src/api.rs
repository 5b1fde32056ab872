//! The Management API's connection endpoints: five calls, two dialects, one way of failing.

mod error;

pub use error::{CallError, ErrorKind};

/// What a list of one type gave.
#[derive(Debug)]
pub enum Listed {
    /// The whole list.
    Complete(Vec<crate::live::LiveConnection>),
    /// This version of the server does not know the type.
    Unsupported,
}

/// What a write said beyond its success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// Deployed, or the server did not speak of it.
    Done,
    /// Saved, but not deployed to the workers: which environments or pods failed, and why.
    Failed(Vec<String>),
}
