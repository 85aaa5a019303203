//! Secret Manager, Cloud KMS with `EC_SIGN_ED25519` keys that really sign, and
//! Resource Manager's liens, as their REST APIs have them.
//!
//! Any token may do anything, except `denied`, and `without:PERMISSION,…` may do
//! all but that. Payloads and messages are checked against the CRC-32C that
//! came with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use countersign_core::time;
use countersign_service::clock::Clock;
use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::answer::{header, is_denied, json as answer, lock, parameter, read_request};
use super::ed25519::{new_key, pem};

const MAX_MESSAGE_BYTES: usize = 64 << 10;
const MAX_SECRET_BYTES: usize = 64 << 10;

/// The services, with nothing in them.
pub fn router(clock: Arc<dyn Clock>) -> Router {
    let services = Arc::new(Services {
        clock,
        state: Mutex::default(),
    });
    Router::new().fallback(handle).with_state(services)
}

struct Services {
    clock: Arc<dyn Clock>,
    state: Mutex<Resources>,
}

/// By the name of the resource: `projects/p/secrets/s`.
#[derive(Default)]
struct Resources {
    secrets: BTreeMap<String, Vec<SecretVersion>>,
    rings: BTreeMap<String, ()>,
    keys: BTreeMap<String, Vec<KeyVersion>>,
    liens: Vec<Value>,
}

struct SecretVersion {
    data: Vec<u8>,
    state: &'static str,
}

struct KeyVersion {
    signing: SigningKey,
    state: &'static str,
}

/// A status, its name, and a message.
type Refusal = (StatusCode, &'static str, String);

fn invalid<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err((StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message.into()))
}

fn not_found<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err((StatusCode::NOT_FOUND, "NOT_FOUND", message.into()))
}

fn exists<T>(name: &str) -> Result<T, Refusal> {
    Err((
        StatusCode::CONFLICT,
        "ALREADY_EXISTS",
        format!("{name} already exists."),
    ))
}

fn not_in_state<T>(name: &str, state: &str) -> Result<T, Refusal> {
    let message = format!("{name} is not enabled, current state is: {state}.");
    Err((StatusCode::BAD_REQUEST, "FAILED_PRECONDITION", message))
}

async fn handle(State(services): State<Arc<Services>>, request: Request) -> Response {
    let (request, body) = match read_request(request).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let authorization = header(request.headers(), "authorization");
    if authorization.is_none_or(|value| !value.starts_with("Bearer ")) {
        let message = "Request is missing required authentication credential.";
        return error(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            message,
            &Value::Null,
        );
    }
    let path = request.uri().path().trim_start_matches("/v1/");
    let call = Call::of(request.method(), path);
    let permission = call.permission();
    if is_denied(authorization, permission) {
        let message =
            format!("Permission '{permission}' denied on resource '{path}' (or it may not exist).");
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED",
            "metadata": {"permission": permission, "resource": path},
        }]);
        return error(
            StatusCode::FORBIDDEN,
            "PERMISSION_DENIED",
            &message,
            &details,
        );
    }
    let input = if body.is_empty() {
        Ok(json!({}))
    } else {
        serde_json::from_slice(&body)
    };
    let done = match input {
        Ok(input) => services.perform(&call, request.uri(), &input),
        Err(_) => invalid("Invalid JSON payload received."),
    };
    match done {
        Ok(body) => answer(StatusCode::OK, &body),
        Err((status, name, message)) => error(status, name, &message, &Value::Null),
    }
}

/// A method of the API, with the name of the resource that it is about.
#[derive(Debug)]
enum Call {
    CreateSecret(String),
    Secret(String),
    AddVersion(String),
    /// The secret, the version, and what is done.
    SecretVersion(String, String, String),
    CreateRing(String),
    CreateKey(String),
    CreateKeyVersion(String),
    /// The key, the version, and what is done.
    KeyVersion(String, String, String),
    /// Of the project that the query names.
    Liens,
    CreateLien,
    Unknown,
}

impl Call {
    fn of(method: &Method, path: &str) -> Self {
        match (method.as_str(), path) {
            ("GET", "/v3/liens") => return Self::Liens,
            ("POST", "/v3/liens") => return Self::CreateLien,
            _ => {}
        }
        let (path, verb) = path.rsplit_once(':').unwrap_or((path, ""));
        let parts: Vec<&str> = path.split('/').collect();
        // Regional secrets have a location too.
        let tail = if parts.get(2) == Some(&"locations") {
            4
        } else {
            2
        };
        let name = |count: usize| parts[..count.min(parts.len())].join("/");
        let version = |at: usize| parts[at].to_owned();
        match (method.as_str(), &parts[tail.min(parts.len())..], verb) {
            ("POST", ["secrets"], "") => Self::CreateSecret(name(tail)),
            ("GET", ["secrets", _], "") => Self::Secret(name(tail + 2)),
            ("POST", ["secrets", _], "addVersion") => Self::AddVersion(name(tail + 2)),
            ("GET", ["secrets", _, "versions", _], "" | "access")
            | ("POST", ["secrets", _, "versions", _], "enable" | "disable" | "destroy") => {
                Self::SecretVersion(name(tail + 2), version(tail + 3), verb.to_owned())
            }
            ("POST", ["keyRings"], "") => Self::CreateRing(name(tail)),
            ("POST", ["keyRings", _, "cryptoKeys"], "") => Self::CreateKey(name(tail + 2)),
            ("POST", ["keyRings", _, "cryptoKeys", _, "cryptoKeyVersions"], "") => {
                Self::CreateKeyVersion(name(tail + 4))
            }
            (
                "GET",
                [
                    "keyRings",
                    _,
                    "cryptoKeys",
                    _,
                    "cryptoKeyVersions",
                    _,
                    "publicKey",
                ],
                "",
            ) => Self::KeyVersion(name(tail + 4), version(tail + 5), "publicKey".to_owned()),
            (
                "GET" | "POST" | "PATCH",
                ["keyRings", _, "cryptoKeys", _, "cryptoKeyVersions", _],
                verb,
            ) => {
                let verb = if *method == Method::PATCH {
                    "patch"
                } else {
                    verb
                };
                Self::KeyVersion(name(tail + 4), version(tail + 5), verb.to_owned())
            }
            _ => Self::Unknown,
        }
    }

    fn permission(&self) -> &'static str {
        match self {
            Self::CreateSecret(_) => "secretmanager.secrets.create",
            Self::Secret(_) => "secretmanager.secrets.get",
            Self::AddVersion(_) => "secretmanager.versions.add",
            Self::SecretVersion(_, _, verb) => match verb.as_str() {
                "access" => "secretmanager.versions.access",
                "enable" => "secretmanager.versions.enable",
                "disable" => "secretmanager.versions.disable",
                "destroy" => "secretmanager.versions.destroy",
                _ => "secretmanager.versions.get",
            },
            Self::CreateRing(_) => "cloudkms.keyRings.create",
            Self::CreateKey(_) => "cloudkms.cryptoKeys.create",
            Self::CreateKeyVersion(_) => "cloudkms.cryptoKeyVersions.create",
            Self::KeyVersion(_, _, verb) => match verb.as_str() {
                "publicKey" => "cloudkms.cryptoKeyVersions.viewPublicKey",
                "asymmetricSign" => "cloudkms.cryptoKeyVersions.useToSign",
                "patch" => "cloudkms.cryptoKeyVersions.update",
                _ => "cloudkms.cryptoKeyVersions.get",
            },
            Self::CreateLien => "resourcemanager.projects.updateLiens",
            Self::Liens | Self::Unknown => "resourcemanager.projects.get",
        }
    }
}

impl Services {
    fn perform(&self, call: &Call, uri: &Uri, input: &Value) -> Result<Value, Refusal> {
        let mut state = lock(&self.state);
        let created = time::from_unix_millis(self.clock.unix_millis());
        match call {
            Call::CreateSecret(parent) => {
                let name = format!("{parent}/secrets/{}", named(uri, "secretId")?);
                if state.secrets.contains_key(&name) {
                    return exists(&format!("Secret [{name}]"));
                }
                state.secrets.insert(name.clone(), Vec::new());
                Ok(
                    json!({"name": name, "createTime": created, "replication": input.get("replication")}),
                )
            }
            Call::Secret(name) => match state.secrets.get(name) {
                Some(_) => Ok(json!({"name": name})),
                None => not_found(format!("Secret [{name}] not found.")),
            },
            Call::AddVersion(name) => {
                let Some(versions) = state.secrets.get_mut(name) else {
                    return not_found(format!("Secret [{name}] not found."));
                };
                let data = checked(
                    input.pointer("/payload/data"),
                    input.pointer("/payload/dataCrc32c"),
                )?;
                if data.len() > MAX_SECRET_BYTES {
                    return invalid("The payload is larger than 64 KiB.");
                }
                versions.push(SecretVersion {
                    data,
                    state: "ENABLED",
                });
                let name = format!("{name}/versions/{}", versions.len());
                Ok(json!({"name": name, "createTime": created, "state": "ENABLED"}))
            }
            Call::SecretVersion(secret, version, verb) => {
                state.secret_version(secret, version, verb)
            }
            Call::Liens => {
                let parent = named(uri, "parent")?;
                let of_parent = state.liens.iter().filter(|lien| lien["parent"] == *parent);
                Ok(json!({"liens": of_parent.collect::<Vec<_>>()}))
            }
            Call::CreateLien => {
                let mut lien = input.clone();
                if !lien["parent"].is_string() || !lien["restrictions"].is_array() {
                    return invalid("A lien has a parent and restrictions.");
                }
                lien["name"] = json!(format!("liens/p{}", state.liens.len() + 1));
                lien["createTime"] = json!(created);
                state.liens.push(lien.clone());
                Ok(lien)
            }
            Call::CreateRing(parent) => {
                let name = format!("{parent}/keyRings/{}", named(uri, "keyRingId")?);
                if state.rings.insert(name.clone(), ()).is_some() {
                    return exists(&format!("KeyRing {name}"));
                }
                Ok(json!({"name": name, "createTime": created}))
            }
            Call::CreateKey(ring) => {
                if !state.rings.contains_key(ring) {
                    return not_found(format!("KeyRing {ring} not found."));
                }
                let algorithm = input
                    .pointer("/versionTemplate/algorithm")
                    .and_then(Value::as_str);
                if algorithm != Some("EC_SIGN_ED25519")
                    || input.get("purpose") != Some(&json!("ASYMMETRIC_SIGN"))
                {
                    return invalid(
                        "The stand-in makes keys to ASYMMETRIC_SIGN with EC_SIGN_ED25519.",
                    );
                }
                let name = format!("{ring}/cryptoKeys/{}", named(uri, "cryptoKeyId")?);
                if state.keys.contains_key(&name) {
                    return exists(&format!("CryptoKey {name}"));
                }
                state.keys.insert(name.clone(), vec![KeyVersion::new()]);
                Ok(json!({"name": name, "purpose": "ASYMMETRIC_SIGN", "createTime": created}))
            }
            Call::CreateKeyVersion(key) => {
                let Some(versions) = state.keys.get_mut(key) else {
                    return not_found(format!("CryptoKey {key} not found."));
                };
                versions.push(KeyVersion::new());
                Ok(versions[versions.len() - 1]
                    .describe(&format!("{key}/cryptoKeyVersions/{}", versions.len())))
            }
            Call::KeyVersion(key, version, verb) => {
                let name = format!("{key}/cryptoKeyVersions/{version}");
                let versions = state
                    .keys
                    .get_mut(key)
                    .map(Vec::as_mut_slice)
                    .unwrap_or_default();
                match nth(versions, version) {
                    Some(found) => found.perform(&name, verb, input),
                    None => not_found(format!("CryptoKeyVersion {name} not found.")),
                }
            }
            Call::Unknown => not_found("The stand-in does not know this method."),
        }
    }
}

impl Resources {
    fn secret_version(
        &mut self,
        secret: &str,
        version: &str,
        verb: &str,
    ) -> Result<Value, Refusal> {
        let Some(versions) = self.secrets.get_mut(secret) else {
            return not_found(format!("Secret [{secret}] not found or has no versions."));
        };
        let latest = versions.len().to_string();
        let number = if version == "latest" {
            latest.as_str()
        } else {
            version
        };
        let name = format!("{secret}/versions/{number}");
        let Some(found) = nth(versions, number) else {
            return not_found(format!("Secret Version [{name}] not found."));
        };
        let state = match verb {
            "enable" => "ENABLED",
            "disable" => "DISABLED",
            "destroy" => "DESTROYED",
            _ => found.state,
        };
        let is_refused = match verb {
            "" => false,
            "access" => state != "ENABLED",
            _ => found.state == "DESTROYED",
        };
        if is_refused {
            return not_in_state(&format!("Secret Version [{name}]"), found.state);
        }
        found.state = state;
        if verb != "access" {
            return Ok(json!({"name": name, "state": state}));
        }
        Ok(json!({"name": name, "payload": {
            "data": BASE64.encode(&found.data), "dataCrc32c": crc32c::crc32c(&found.data).to_string(),
        }}))
    }
}

impl KeyVersion {
    fn new() -> Self {
        Self {
            signing: new_key(),
            state: "ENABLED",
        }
    }

    fn describe(&self, name: &str) -> Value {
        json!({
            "name": name, "state": self.state, "algorithm": "EC_SIGN_ED25519", "protectionLevel": "SOFTWARE",
        })
    }

    fn perform(&mut self, name: &str, verb: &str, input: &Value) -> Result<Value, Refusal> {
        match verb {
            "" => return Ok(self.describe(name)),
            "patch" => {
                self.state = match input.get("state").and_then(Value::as_str) {
                    Some("ENABLED") => "ENABLED",
                    Some("DISABLED") => "DISABLED",
                    _ => return invalid("state must be ENABLED or DISABLED."),
                };
                return Ok(self.describe(name));
            }
            "publicKey" | "asymmetricSign" => {}
            _ => return not_found("The stand-in does not know this method."),
        }
        if self.state != "ENABLED" {
            return not_in_state(name, self.state);
        }
        if verb == "publicKey" {
            let pem = pem(&self.signing);
            let sum = crc32c::crc32c(pem.as_bytes()).to_string();
            return Ok(json!({
                "pem": pem, "algorithm": "EC_SIGN_ED25519", "pemCrc32c": sum, "name": name,
                "protectionLevel": "SOFTWARE",
            }));
        }
        if input.get("digest").is_some() {
            return invalid("EC_SIGN_ED25519 signs data, not a digest.");
        }
        let data = checked(input.get("data"), input.get("dataCrc32c"))?;
        if data.is_empty() || data.len() > MAX_MESSAGE_BYTES {
            return invalid("data must have from 1 byte to 64 KiB.");
        }
        let signature = self.signing.sign(&data).to_bytes();
        Ok(json!({
            "signature": BASE64.encode(&signature), "signatureCrc32c": crc32c::crc32c(&signature).to_string(),
            "verifiedDataCrc32c": input.get("dataCrc32c").is_some(), "name": name, "protectionLevel": "SOFTWARE",
        }))
    }
}

/// The version of this number, from 1.
fn nth<'a, T>(versions: &'a mut [T], number: &str) -> Option<&'a mut T> {
    let at = number.parse::<usize>().ok()?.checked_sub(1)?;
    versions.get_mut(at)
}

/// The bytes of a base64 field, which must have the CRC-32C given, if it is.
fn checked(data: Option<&Value>, sum: Option<&Value>) -> Result<Vec<u8>, Refusal> {
    let data = data.and_then(Value::as_str).unwrap_or_default();
    let Ok(data) = BASE64.decode(data.as_bytes()) else {
        return invalid("The data is not base64.");
    };
    let given = sum.map(|sum| sum.as_str().map_or_else(|| sum.to_string(), str::to_owned));
    match given {
        Some(sum) if sum != crc32c::crc32c(&data).to_string() => {
            invalid("The checksum in field dataCrc32c did not match the data in field data.")
        }
        _ => Ok(data),
    }
}

fn named(uri: &Uri, name: &str) -> Result<String, Refusal> {
    match parameter(uri, name) {
        Some(id) if !id.is_empty() => Ok(id),
        _ => invalid(format!("The parameter {name} is missing.")),
    }
}

fn error(status: StatusCode, name: &str, message: &str, details: &Value) -> Response {
    let mut body = json!({"error": {"code": status.as_u16(), "message": message, "status": name}});
    if !details.is_null() {
        body["error"]["details"] = details.clone();
    }
    answer(status, &body)
}
