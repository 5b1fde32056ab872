//! The behaviours of a sandbox, over HTTP.

mod control;
mod dialects;
mod shown;
mod tokens;
mod writes;

use apinizer_gitops::testing::sandbox::{Dialect, Options, Sandbox};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

/// A sandbox with a client.
struct Trial {
    running: Sandbox,
    client: reqwest::Client,
}

impl Trial {
    async fn of(options: Options) -> Self {
        let running = Sandbox::start(options).await.unwrap();
        Self { running, client: reqwest::Client::new() }
    }

    async fn current() -> Self {
        Self::of(Options::default()).await
    }

    async fn older() -> Self {
        Self::of(Options::default().in_dialect(Dialect::Older)).await
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.running.url());
        self.client.request(method.parse::<Method>().unwrap(), url)
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Response> {
        let mut request = self.request(method, path).bearer_auth("any");
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    /// Calls the API and reads the JSON of the answer.
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let response = self.send(method, path, body).await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn list(&self, type_name: &str) -> Value {
        let path = format!("/apiops/projects/demo/connections/?type={type_name}");
        let (status, mut body) = self.call("GET", &path, None).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["resultList"].take()
    }

    async fn get(&self, name: &str) -> Value {
        let (status, mut body) = self.call("GET", &one(name), None).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(body["resultCount"], 1);
        body["resultList"][0].take()
    }

    async fn create(&self, body: &Value) -> Value {
        let path = one(body["name"].as_str().unwrap());
        let (status, body) = self.call("POST", &path, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    fn stored(&self, name: &str) -> Option<Value> {
        self.running.control().get("demo", name)
    }
}

/// The path of a connection of the project `demo`.
fn one(name: &str) -> String {
    format!("/apiops/projects/demo/connections/{name}/")
}

fn email(name: &str) -> Value {
    json!({
        "type": "email",
        "name": name,
        "host": "smtp.example.com",
        "port": 587,
        "auth": true,
        "username": "orders",
        "password": "hunter2",
    })
}

fn webhook(name: &str) -> Value {
    json!({"type": "webhook", "name": name, "fullUrl": "https://example.com/"})
}
