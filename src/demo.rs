//! The stage of `demo`: a repository made from the examples, the secrets that they refer to, and
//! a sandbox in which somebody has worked by hand.
//!
//! The command decides what happens on it, with the same `plan`, `apply` and `run` that
//! everybody uses: the demo shows nothing that the program would not do elsewhere.

mod examples;
mod repository;
mod secrets;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::environment::Environment;
use crate::sandbox::{
    Access, Answers, Control, NotAConnection, Options, Running, Sandbox, SandboxError, Variables,
};

pub(crate) use examples::EXAMPLES;

/// The project that stands for production.
pub(crate) const PROJECT: &str = "Shop";

/// The project beside it.
const STAGING: &str = "ShopStaging";

/// The address of the sandbox where it is free.
const SANDBOX: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8089);

/// Why there is no stage.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The folder holds something.
    #[error("{} is not empty; name a new folder with --dir", .0.display())]
    NotEmpty(PathBuf),
    /// A file or folder cannot be made.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The repository cannot be made.
    #[error("the repository of the demo cannot be made: {0}")]
    Git(#[from] git2::Error),
    /// The sandbox does not start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// An example of this program is wrong.
    #[error("{0}")]
    Example(#[from] NotAConnection),
    /// The system gives no random bytes.
    #[error("the system gives no random numbers for the demo's secrets")]
    Random,
}

/// Everything that the demo plays on.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The sandbox.
    pub sandbox: Running,
    /// The checkout that can be edited.
    pub repository: PathBuf,
    /// The folder of the state.
    pub state: PathBuf,
    /// Where the daemon should listen.
    pub listen: SocketAddr,
    /// The secrets that the documents and the config refer to, made up for this run.
    pub environment: Environment,
}

impl Stage {
    /// Builds the stage in a folder that is empty or not there yet.
    ///
    /// # Errors
    /// The folder, the repository or the sandbox cannot be had.
    pub(crate) async fn build(folder: &Path, listen: SocketAddr) -> Result<Self, DemoError> {
        let secrets = secrets::make(EXAMPLES.iter().map(|(_, text)| *text))?;
        let tokens = secrets.tokens();
        let options = |listen| Options {
            listen,
            access: Access {
                projects: vec![PROJECT.to_owned(), STAGING.to_owned()],
                tokens: tokens.clone(),
                ..Access::default()
            },
            // The one that the examples use.
            variables: Variables::Named(vec!["LEDGER_HOST".to_owned()]),
            answers: Answers { bookkeeping: true, ..Answers::default() },
            ..Options::default()
        };
        let sandbox = match Sandbox::start(options(SANDBOX.into())).await {
            Err(SandboxError::Listen { .. }) => {
                Sandbox::start(options((Ipv4Addr::LOCALHOST, 0).into())).await?
            }
            started => started?,
        };
        work_by_hand(sandbox.control())?;
        let listen = free(listen);
        let repository = folder.join("gateway-config");
        repository::make(&repository, &sandbox.url(), listen)?;
        Ok(Self {
            sandbox,
            repository,
            state: folder.join("state"),
            listen,
            environment: secrets.into_environment(),
        })
    }
}

/// The address itself where it is free, else a free port beside it.
fn free(listen: SocketAddr) -> SocketAddr {
    let bind = |address: SocketAddr| TcpListener::bind(address)?.local_addr();
    let other = || bind(SocketAddr::new(listen.ip(), 0));
    bind(listen).or_else(|_| other()).unwrap_or(listen)
}

/// The connections from before git: one under its old name, one that drifted from what git
/// will declare, and one that git knows nothing of.
fn work_by_hand(control: &Control) -> Result<(), NotAConnection> {
    control.put(
        PROJECT,
        json!({
            "type": "email", "name": "invoice-mails", "host": "smtp.example.com", "port": 465,
            "auth": true, "username": "invoices@example.com", "password": "set-by-hand",
            "from": "invoices@example.com",
        }),
    )?;
    control.put(
        PROJECT,
        json!({
            "type": "webhook", "name": "fraud-check", "httpMethod": "POST", "timeout": 30,
            "fullUrl": "https://fraud.example.com/v1/events",
        }),
    )?;
    control.put(
        PROJECT,
        json!({
            "type": "linux-script", "name": "old-build-host", "hostName": "build.example.com",
            "username": "build", "password": "set-by-hand",
        }),
    )
}
