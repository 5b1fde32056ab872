use std::time::Duration;

use super::*;
use apinizer_gitops::testing::sandbox::{Access, TokenClient};
use apinizer_gitops::testing::secret::Sensitive;

const LIST: &str = "/apiops/projects/demo/connections/?type=email";

impl Trial {
    async fn list_with(&self, token: Option<&str>) -> (StatusCode, Value) {
        let mut request = self.request("GET", LIST);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn ask(&self, grant: &str, id: &str, secret: &str) -> (StatusCode, Value) {
        let form = [("grant_type", grant), ("client_id", id), ("client_secret", secret)];
        let request = self.request("POST", "/apiops/auth/token").form(&form);
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }
}

fn sensitive(text: &str) -> Sensitive {
    Sensitive::new(text.to_owned())
}

#[tokio::test]
async fn a_call_needs_a_token() {
    for (dialect, field, value) in
        [(Dialect::Older, "error", "invalid_token"), (Dialect::Current, "status", "FAILURE")]
    {
        let tokens = vec![sensitive("right")];
        let trial = Trial::of(Options {
            access: Access { tokens, ..Access::default() },
            ..Options::default().in_dialect(dialect)
        })
        .await;
        for token in [None, Some("wrong")] {
            let (status, answer) = trial.list_with(token).await;
            assert_eq!((status, &answer[field]), (StatusCode::UNAUTHORIZED, &json!(value)));
        }
        assert_eq!(trial.list_with(Some("right")).await.0, StatusCode::OK);
    }
    let open = Trial::current().await;
    assert_eq!(open.list_with(Some("any")).await.0, StatusCode::OK);
    assert_eq!(open.list_with(None).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn client_credentials_give_a_token_that_expires() {
    let client = TokenClient { id: "ops".to_owned(), secret: sensitive("p&ss w+rd") };
    for (dialect, code) in [(Dialect::Older, "token_expired"), (Dialect::Current, "")] {
        let trial = Trial::of(Options {
            access: Access {
                client: Some(client.clone()),
                token_ttl: Duration::from_secs(60),
                ..Access::default()
            },
            ..Options::default().in_dialect(dialect)
        })
        .await;
        let (status, answer) = trial.ask("client_credentials", "ops", "p&ss w+rd").await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["expires_in"], 60);
        let token = answer["access_token"].as_str().unwrap().to_owned();
        assert_eq!(trial.list_with(Some(&token)).await.0, StatusCode::OK);
        assert_eq!(trial.list_with(Some("any")).await.0, StatusCode::UNAUTHORIZED);
        trial.running.control().expire_tokens();
        let (status, answer) = trial.list_with(Some(&token)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer["error"].as_str().unwrap_or_default(), code);

        let (status, answer) = trial.ask("client_credentials", "ops", "wrong").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let expected = if dialect == Dialect::Older { "unauthorized_client" } else { "" };
        assert_eq!(answer["error"].as_str().unwrap_or_default(), expected);
        let (status, _) = trial.ask("password", "ops", "p&ss w+rd").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(trial.running.control().calls()[0].body().is_none(), "the form is not kept");
    }
}

#[tokio::test]
async fn a_token_of_no_time_has_expired_at_once() {
    let trial = Trial::of(Options {
        access: Access { token_ttl: Duration::ZERO, ..Access::default() },
        ..Options::default()
    })
    .await;
    let (_, answer) = trial.ask("client_credentials", "anybody", "x").await;
    let token = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(trial.list_with(Some(&token)).await.0, StatusCode::UNAUTHORIZED);
}
