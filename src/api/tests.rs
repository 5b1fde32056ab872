//! The client against small servers that answer as both dialects, proxies and accidents do.

mod dialects;
mod faults;
mod server;
mod tokens;

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::secret::{Redactor, Sensitive, SensitiveValue};
use server::{Reply, Server};

const LIMIT: u64 = 4096;

/// Retries that end soon and hardly wait.
fn quick() -> RetryPolicy {
    RetryPolicy {
        base: Duration::from_millis(1),
        cap: Duration::from_millis(2),
        attempts: 3,
        broken_answers: 2,
        ..RetryPolicy::command()
    }
}

fn settings(url: &str, credentials: ResolvedCredentials) -> ClientSettings {
    ClientSettings {
        target: "test".into(),
        url: url.into(),
        project: "My Project".into(),
        credentials,
        timeout: Duration::from_secs(20),
        max_response: LIMIT,
        ca_file: None,
        proxy: None,
        concurrency: 8,
    }
}

fn given(token: &str) -> ResolvedCredentials {
    ResolvedCredentials::Token(Sensitive::new(token.into()))
}

fn asked() -> ResolvedCredentials {
    ResolvedCredentials::ClientCredentials {
        username: Sensitive::new("user@example.com".into()),
        password: Sensitive::new("p&ss w%rd".into()),
    }
}

fn client_with(settings: ClientSettings, redactor: &Redactor) -> Client {
    let client = Client::new(settings, redactor.clone(), &SharedClients::default()).unwrap();
    client.with_retries(Retries::new(quick(), CancellationToken::new()))
}

fn client(server: &Server) -> Client {
    client_with(settings(&server.url, given("static-token")), &Redactor::default())
}

/// A server that says one thing to every request, and a client of it.
async fn saying(status: u16, body: &Value) -> (Server, Client) {
    let body = body.clone();
    let server = Server::start(move |_, _| Reply::json(status, &body)).await;
    let client = client(&server);
    (server, client)
}

fn orders() -> ConnectionName {
    ConnectionName::new("orders")
}

fn body() -> SensitiveValue {
    SensitiveValue::new(json!({"type": "email", "name": "orders", "password": "hunter2"}))
}

async fn listed(status: u16, body: &Value) -> Result<Vec<LiveConnection>, CallError> {
    let (_server, client) = saying(status, body).await;
    match client.list("email").await? {
        Listed::Complete(connections) => Ok(connections),
        Listed::Unsupported => panic!("unsupported"),
    }
}
