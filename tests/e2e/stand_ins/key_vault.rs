use countersign_tests::stand_ins::{Local, key_vault};
use serde_json::{Value, json};

use super::{Answer, call, clock};

const CODE: &str = "/error/code";

struct Vault(Local);

impl Vault {
    async fn new() -> Self {
        Self(Local::serve(|_| key_vault::router(clock())).await)
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("{path}?api-version=7.6");
        let headers = [("authorization", "Bearer any")];
        call(&self.0.url, method, &path, &headers, body.to_string()).await
    }
}

#[tokio::test]
async fn a_vault_keeps_every_version_of_a_secret_and_gives_the_newest() {
    let vault = Vault::new().await;
    vault
        .call("GET", "/secrets/seed", &Value::Null)
        .await
        .json_error(404, CODE, "SecretNotFound");
    let first = vault
        .call("PUT", "/secrets/seed", &json!({"value": "one"}))
        .await
        .is(200)
        .json();
    vault
        .call("PUT", "/secrets/seed", &json!({"value": "two"}))
        .await
        .is(200);
    let newest = vault
        .call("GET", "/secrets/seed", &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(
        (&newest["value"], &newest["attributes"]["enabled"]),
        (&json!("two"), &json!(true))
    );
    let id = first["id"].as_str().unwrap();
    let path = id
        .strip_prefix(&vault.0.url)
        .expect("the id is an address of the vault");
    assert_eq!(
        vault.call("GET", path, &Value::Null).await.is(200).json()["value"],
        "one"
    );

    let long = json!({"value": "x".repeat(25 * 1024 + 1)});
    vault
        .call("PUT", "/secrets/seed", &long)
        .await
        .json_error(400, CODE, "BadParameter");
    vault
        .call("PUT", "/secrets/a_b", &json!({"value": "x"}))
        .await
        .json_error(400, CODE, "BadParameter");
}

#[tokio::test]
async fn a_disabled_secret_is_not_given() {
    let vault = Vault::new().await;
    let put = vault
        .call("PUT", "/secrets/seed", &json!({"value": "one"}))
        .await
        .is(200)
        .json();
    let path = put["id"]
        .as_str()
        .unwrap()
        .strip_prefix(&vault.0.url)
        .unwrap()
        .to_owned();
    let changed = vault
        .call("PATCH", &path, &json!({"attributes": {"enabled": false}}))
        .await
        .is(200);
    assert_eq!(changed.json().get("value"), None);
    let refused = vault.call("GET", "/secrets/seed", &Value::Null).await;
    refused.json_error(403, "/error/innererror/code", "SecretDisabled");
}

#[tokio::test]
async fn a_vault_challenges_who_has_no_token_and_refuses_who_lacks_the_role() {
    let vault = Vault::new().await;
    let path = "/secrets/seed?api-version=7.6";
    let challenged =
        call(&vault.0.url, "GET", path, &[], "")
            .await
            .json_error(401, CODE, "Unauthorized");
    assert!(
        challenged
            .header("www-authenticate")
            .starts_with("Bearer authorization=\"https://")
    );
    let denied = call(
        &vault.0.url,
        "GET",
        path,
        &[("authorization", "Bearer denied")],
        "",
    )
    .await;
    denied.json_error(403, "/error/innererror/code", "ForbiddenByRbac");
}
