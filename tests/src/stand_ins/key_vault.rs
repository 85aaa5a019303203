//! The secrets of one Azure Key Vault.
//!
//! A call without a token is answered with the challenge that tells the client
//! where to get one. Any token may do anything but `denied`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use countersign_service::clock::Clock;
use serde_json::{Value, json};

use super::answer::{header, json as answer, lock, parameter, read_request, with_header};
use super::ed25519::random_id;

const MAX_VALUE_BYTES: usize = 25 << 10;
const CHALLENGE: &str = "Bearer authorization=\"https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000\", resource=\"https://vault.azure.net\"";

/// A vault with nothing in it.
pub fn router(clock: Arc<dyn Clock>) -> Router {
    let vault = Arc::new(Vault {
        clock,
        secrets: Mutex::default(),
    });
    Router::new().fallback(handle).with_state(vault)
}

struct Vault {
    clock: Arc<dyn Clock>,
    /// The versions of each, the newest last.
    secrets: Mutex<BTreeMap<String, Vec<Version>>>,
}

#[derive(Clone)]
struct Version {
    id: String,
    value: String,
    content_type: Value,
    enabled: bool,
    created_seconds: u64,
}

async fn handle(State(vault): State<Arc<Vault>>, request: Request) -> Response {
    let (request, body) = match read_request(request).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let token =
        header(request.headers(), "authorization").and_then(|value| value.strip_prefix("Bearer "));
    let Some(token) = token else {
        let message = "AKV10000: Request is missing a Bearer or PoP token.";
        let response = error(StatusCode::UNAUTHORIZED, "Unauthorized", message, None);
        return with_header(response, "www-authenticate", CHALLENGE);
    };
    if token == "denied" {
        let message = "Caller is not authorized to perform action on resource.";
        return error(
            StatusCode::FORBIDDEN,
            "Forbidden",
            message,
            Some("ForbiddenByRbac"),
        );
    }
    if parameter(request.uri(), "api-version").is_none() {
        let message = "api-version must be specified";
        return error(StatusCode::BAD_REQUEST, "BadParameter", message, None);
    }
    let host = header(request.headers(), "host")
        .unwrap_or_default()
        .to_owned();
    let parts: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (request.method().as_str(), &parts[..]) {
        ("PUT", ["secrets", name]) => vault.put(&host, name, &input),
        ("GET", ["secrets", name]) => vault.read(&host, name, None),
        ("GET", ["secrets", name, "versions"]) => vault.versions(&host, name),
        ("GET", ["secrets", name, version]) => vault.read(&host, name, Some(version)),
        ("PATCH", ["secrets", name, version]) => vault.change(&host, name, version, &input),
        _ => error(
            StatusCode::NOT_FOUND,
            "NotFound",
            "The stand-in does not know this method.",
            None,
        ),
    }
}

impl Vault {
    fn put(&self, host: &str, name: &str, input: &Value) -> Response {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let value = input.get("value").and_then(Value::as_str);
        let value = value.filter(|value| value.len() <= MAX_VALUE_BYTES);
        let Some(value) =
            value.filter(|_| (1..=127).contains(&name.len()) && name.bytes().all(is_name))
        else {
            let message =
                "The name must have 1 to 127 letters, digits and dashes, the value at most 25 KiB.";
            return error(StatusCode::BAD_REQUEST, "BadParameter", message, None);
        };
        let version = Version {
            id: random_id().replace('-', ""),
            value: value.to_owned(),
            content_type: input.get("contentType").cloned().unwrap_or_default(),
            enabled: input.pointer("/attributes/enabled") != Some(&Value::Bool(false)),
            created_seconds: self.clock.unix_seconds(),
        };
        let shown = version.show(host, name);
        lock(&self.secrets)
            .entry(name.to_owned())
            .or_default()
            .push(version);
        answer(StatusCode::OK, &shown)
    }

    fn read(&self, host: &str, name: &str, version: Option<&str>) -> Response {
        let secrets = lock(&self.secrets);
        let versions = secrets.get(name).map(Vec::as_slice).unwrap_or_default();
        let found = match version.filter(|version| !version.is_empty()) {
            Some(id) => versions.iter().find(|version| version.id == id),
            None => versions.last(),
        };
        match found {
            None => not_found(name),
            Some(version) if !version.enabled => {
                let message = "Operation get is not allowed on a disabled secret.";
                error(
                    StatusCode::FORBIDDEN,
                    "Forbidden",
                    message,
                    Some("SecretDisabled"),
                )
            }
            Some(version) => answer(StatusCode::OK, &version.show(host, name)),
        }
    }

    fn versions(&self, host: &str, name: &str) -> Response {
        let secrets = lock(&self.secrets);
        let Some(versions) = secrets.get(name) else {
            return not_found(name);
        };
        let shown = versions.iter().map(|version| {
            let mut shown = version.show(host, name);
            if let Some(shown) = shown.as_object_mut() {
                shown.remove("value");
            }
            shown
        });
        let body = json!({"value": shown.collect::<Vec<_>>(), "nextLink": null});
        answer(StatusCode::OK, &body)
    }

    fn change(&self, host: &str, name: &str, version: &str, input: &Value) -> Response {
        let mut secrets = lock(&self.secrets);
        let versions = secrets
            .get_mut(name)
            .map(Vec::as_mut_slice)
            .unwrap_or_default();
        let Some(found) = versions.iter_mut().find(|found| found.id == version) else {
            return not_found(name);
        };
        if let Some(enabled) = input
            .pointer("/attributes/enabled")
            .and_then(Value::as_bool)
        {
            found.enabled = enabled;
        }
        let mut shown = found.show(host, name);
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("value");
        }
        answer(StatusCode::OK, &shown)
    }
}

impl Version {
    fn show(&self, host: &str, name: &str) -> Value {
        json!({
            "value": self.value, "contentType": self.content_type, "id": format!("http://{host}/secrets/{name}/{}", self.id),
            "attributes": {
                "enabled": self.enabled, "created": self.created_seconds, "updated": self.created_seconds,
                "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
            },
        })
    }
}

fn not_found(name: &str) -> Response {
    let message = format!("A secret with (name/id) {name} was not found in this key vault.");
    error(StatusCode::NOT_FOUND, "SecretNotFound", &message, None)
}

fn error(status: StatusCode, code: &str, message: &str, inner: Option<&str>) -> Response {
    let mut body = json!({"error": {"code": code, "message": message}});
    if let Some(inner) = inner {
        body["error"]["innererror"] = json!({"code": inner});
    }
    answer(status, &body)
}
