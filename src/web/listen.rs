//! Accepting connections, and how much of this process one client may hold.
//!
//! Anybody may open a connection, so its cost is bounded before anything else is looked at: the time
//! to send a head, the size of it, how long it lives, and how many there are. `axum::serve` bounds
//! none of these. A new connection always finds a slot, since it may be a probe: where all are
//! taken, the oldest connection without a request loses its slot, or the oldest of all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::{AccessKeys, Peer, Site, routes};
use crate::daemon::LogThrottle;

/// How long the head of a request may take, the wait for it on an idle connection included.
const HEAD: Duration = Duration::from_secs(15);

/// The largest head, in bytes; a browser's is a tenth of it.
const LARGEST_HEAD: usize = 16 * 1024;

/// The most headers of one request.
const MOST_HEADERS: usize = 64;

/// The most connections at once; one more ends another.
pub(super) const MOST_CONNECTIONS: usize = 256;

/// How long a connection may live, so that one that is read slowly does not hold its slot for
/// ever. A page that follows events connects again by itself.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long answers in flight may take when the listener ends.
const DRAIN: Duration = Duration::from_secs(5);

/// The pause after the system could not accept, for want of file descriptors for example.
const PAUSE: Duration = Duration::from_millis(200);

/// The listener of a daemon. A new config may move it, or change the tokens that requests need.
pub(crate) struct Listener {
    site: Site,
    shutdown: CancellationToken,
    open: Mutex<Option<OpenListener>>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct OpenListener {
    /// The address as it was asked for, which may leave the port to the system.
    address: SocketAddr,
    socket: std::net::TcpListener,
    ending: CancellationToken,
}

impl Listener {
    /// Names what is served; nothing is bound yet.
    #[must_use]
    pub(crate) fn new(site: Site, shutdown: CancellationToken) -> Self {
        Self { site, shutdown, open: Mutex::default(), tasks: TaskTracker::new() }
    }

    /// Serves at an address from now on, and nowhere else; `None`: nowhere. Returns the address
    /// that was bound, if another than before was asked for.
    ///
    /// # Errors
    /// The address cannot be bound; then all stays as it was.
    pub(crate) fn serve(
        &self,
        address: Option<SocketAddr>,
        keys: AccessKeys,
    ) -> std::io::Result<Option<SocketAddr>> {
        let mut open = self.open.lock();
        let Some(address) = address else {
            if let Some(old) = open.take() {
                old.ending.cancel();
            }
            return Ok(None);
        };
        let same = open.as_ref().filter(|old| old.address == address);
        let is_new = same.is_none();
        let socket = match same {
            Some(old) => old.socket.try_clone()?,
            None => {
                let socket = std::net::TcpListener::bind(address)?;
                socket.set_nonblocking(true)?;
                socket
            }
        };
        let bound = socket.local_addr()?;
        let listener = TcpListener::from_std(socket.try_clone()?)?;
        let ending = self.shutdown.child_token();
        let site = self.site.clone();
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(serve(listener, site, keys, ending.clone(), shutdown));
        if let Some(old) = open.replace(OpenListener { address, socket, ending }) {
            old.ending.cancel();
        }
        Ok(is_new.then_some(bound))
    }

    /// Waits until every answer has ended; the shutdown has to be under way.
    pub(crate) async fn ended(&self) {
        drop(self.open.lock().take());
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Accepts until it is told to end, and waits for the answers in flight. Unless the whole daemon
/// shuts down, a client that has connected and sent no request yet is still answered.
pub(super) async fn serve(
    listener: TcpListener,
    site: Site,
    keys: AccessKeys,
    ending: CancellationToken,
    shutdown: CancellationToken,
) {
    let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let routes = routes(site, keys, is_loopback, ending.clone());
    let slots = ConnectionSlots::default();
    let throttle = LogThrottle::default();
    let connections = TaskTracker::new();
    loop {
        let (stream, address) = tokio::select! {
            () = ending.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if throttle.count((), Instant::now()).is_some() {
                        warn!("no connection can be accepted: {error}");
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let routes = routes.clone();
        let (ending, shutdown) = (ending.clone(), shutdown.clone());
        let slot = slots.take();
        let peer = Peer(address.ip().to_canonical());
        connections.spawn(async move {
            tokio::select! {
                () = slot.taken.cancelled() => debug!("a connection made room for another"),
                () = answer((stream, peer), routes, ending, shutdown, &slot) => {}
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The slots of the connections.
#[derive(Clone, Default)]
struct ConnectionSlots(Arc<Mutex<TakenSlots>>);

#[derive(Default)]
struct TakenSlots {
    next: u64,
    /// By whether a request has come, and by number.
    taken: BTreeMap<(bool, u64), CancellationToken>,
}

/// The slot of one connection, until it is dropped or another connection takes it.
struct ConnectionSlot {
    slots: ConnectionSlots,
    number: u64,
    /// Cancelled when another connection takes the slot.
    taken: CancellationToken,
}

impl ConnectionSlots {
    /// Takes a slot. Where there is none, the oldest connection without a request loses its own;
    /// where all have asked, the oldest of them, which is read slowly or follows events.
    fn take(&self) -> ConnectionSlot {
        let mut slots = self.0.lock();
        if slots.taken.len() >= MOST_CONNECTIONS
            && let Some((_, loser)) = slots.taken.pop_first()
        {
            loser.cancel();
        }
        let number = slots.next;
        slots.next += 1;
        let taken = CancellationToken::new();
        slots.taken.insert((false, number), taken.clone());
        ConnectionSlot { slots: self.clone(), number, taken }
    }
}

impl ConnectionSlot {
    /// Notes that a request has come.
    fn asked(&self) {
        let mut slots = self.slots.0.lock();
        if let Some(taken) = slots.taken.remove(&(false, self.number)) {
            slots.taken.insert((true, self.number), taken);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut slots = self.slots.0.lock();
        slots.taken.remove(&(false, self.number));
        slots.taken.remove(&(true, self.number));
    }
}

/// Serves one connection until it ends, lived too long or the listener ends.
async fn answer(
    (stream, peer): (TcpStream, Peer),
    routes: Router,
    ending: CancellationToken,
    shutdown: CancellationToken,
    slot: &ConnectionSlot,
) {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS);
    let asked = CancellationToken::new();
    let begins = asked.clone();
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        slot.asked();
        begins.cancel();
        routes.call(request)
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A connection without a request is closed by a graceful end, and the request that is on its
    // way to it would be lost.
    let ends = async {
        ending.cancelled().await;
        tokio::select! {
            () = asked.cancelled() => {}
            () = shutdown.cancelled() => {}
        }
    };
    let ended = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = ends => None,
        () = tokio::time::sleep(LIFETIME) => None,
    };
    let ended = match ended {
        Some(result) => Ok(result),
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("a connection ended: {error}"),
        Err(_) => debug!("a connection was cut"),
    }
}
