//! A server that speaks the connection part of the Management API, in both dialects.
//!
//! It is for trying things without a Manager, for drills and for CI, and the tests
//! run against it. It behaves as the vendor's guides say that servers behave, with an [`Options`]
//! profile of every point on which servers in the field differ. Tests put chance faults and gates
//! around it with [`Sandbox::start_behind`].
//!
//! Besides the API it answers under `/sandbox/`, to loopback only and without a token, the stored
//! connections and the calls that were made, and takes edits as a user would make them in the
//! console.

mod connections;
mod control;
mod dialect;
mod options;
mod server;
mod store;
mod view;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use control::Control;
pub use options::{
    Access, Dialect, Fault, Ids, Mask, Names, OnExisting, OnMasked, OnMissing, Options, Profile,
    Rename, SecretsOnGet, TokenClient, UnknownFields, Unset, Variables,
};
pub use server::LoggedCall;

use server::Server;

/// How long a stop waits for the calls in flight.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Why a sandbox does not start: its address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cannot listen on {address}: {source}; give another address")]
pub struct SandboxError {
    address: SocketAddr,
    source: io::Error,
}

/// An embedded server that runs.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    control: Control,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    /// Starts a sandbox. It listens when this returns, and stops when the value that is returned
    /// is stopped or dropped.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        Self::start_behind(options, |api| api).await
    }

    /// Starts a sandbox whose API is behind layers of the caller's: they see each call after it
    /// was logged, may answer in its place, and may change or hold back its answer.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn start_behind(
        options: Options,
        layers: impl FnOnce(Router) -> Router,
    ) -> Result<Self, SandboxError> {
        let listen = options.listen;
        let failed = |source| SandboxError { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let server = Arc::new(Server::new(options));
        let control = Control::new(Arc::clone(&server));
        let api = Router::new().fallback(server::answer).with_state(Arc::clone(&server));
        let api = layers(api).layer(from_fn_with_state(server, server::log));
        let routes = Router::new()
            .nest("/sandbox", control::routes(control.clone()))
            .fallback_service(api)
            .into_make_service_with_connect_info::<SocketAddr>();
        // Without this every small answer waits for the acknowledgement of the one before.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "the sandbox could not switch off Nagle's algorithm");
            }
        });
        let stop = CancellationToken::new();
        let serving =
            axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
        let task = tokio::spawn(async move { serving.await });
        Ok(Self { address, control, stop, task })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the Manager that it stands for, without a slash at its end.
    pub fn url(&self) -> String {
        let mut address = self.address;
        // Every address of this machine is no address that one can call.
        match address {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
                address.set_ip(Ipv6Addr::LOCALHOST.into());
            }
            _ => {}
        }
        format!("http://{address}")
    }

    /// A hold on it, for tests and drills.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops it: calls in flight are answered, and the address is free.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_DEADLINE, &mut self.task).await.is_err() {
            tracing::warn!("the sandbox stops with calls unanswered");
            self.task.abort();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
