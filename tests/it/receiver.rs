//! A server that takes whatever is sent to it, for what the program sends to others.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;

use crate::world::World;

/// Paths and bodies.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A request that was received.
pub(crate) struct Received {
    /// `http://` and where it listens.
    pub(crate) address: String,
    requests: Requests,
}

impl Received {
    /// Listens from now on.
    pub(crate) fn start(world: &World) -> Self {
        let requests = Requests::default();
        let routes = axum::Router::new().fallback(take).with_state(Arc::clone(&requests));
        let address = world.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move { axum::serve(listener, routes).await });
            address
        });
        Self { address: format!("http://{address}"), requests }
    }

    /// The requests so far: path and body of each.
    pub(crate) fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.requests.lock().unwrap().clone()
    }
}

async fn take(State(requests): State<Requests>, uri: Uri, body: Bytes) {
    requests.lock().unwrap().push((uri.path().to_owned(), body.to_vec()));
}
