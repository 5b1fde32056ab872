//! A server that takes whatever is sent to it, for what the program sends to others.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};

use crate::world::World;

/// Paths and bodies.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// What is answered to the next requests.
type Answer = Arc<Mutex<StatusCode>>;

/// A request that was received.
pub(crate) struct Received {
    /// `http://` and where it listens.
    pub(crate) address: String,
    requests: Requests,
    answer: Answer,
}

impl Received {
    /// Listens from now on.
    pub(crate) fn start(world: &World) -> Self {
        let requests = Requests::default();
        let answer = Answer::default();
        let state = (Arc::clone(&requests), Arc::clone(&answer));
        let routes = axum::Router::new().fallback(take).with_state(state);
        let address = world.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move { axum::serve(listener, routes).await });
            address
        });
        Self { address: format!("http://{address}"), requests, answer }
    }

    /// Answers with this status from now on, and repeats the path as many servers do.
    pub(crate) fn answers(&self, status: StatusCode) {
        *self.answer.lock().unwrap() = status;
    }

    /// The requests so far: path and body of each.
    pub(crate) fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.requests.lock().unwrap().clone()
    }
}

async fn take(
    State((requests, answer)): State<(Requests, Answer)>,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, String) {
    requests.lock().unwrap().push((uri.path().to_owned(), body.to_vec()));
    (*answer.lock().unwrap(), format!("Cannot POST {}", uri.path()))
}
