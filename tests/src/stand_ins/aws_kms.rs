//! AWS KMS with Ed25519 keys that really sign, in the JSON 1.1 protocol:
//! `CreateKey`, `CreateAlias`, `DescribeKey`, `GetPublicKey`, `Sign`, `EnableKey`,
//! `DisableKey` and `ScheduleKeyDeletion`.
//!
//! Keys are those of the region that a request is signed for. A signature is
//! not checked, but it must be there and of this hour's clock, and the access
//! key `denied` may do nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use countersign_core::time;
use countersign_service::clock::Clock;
use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::answer::{header, lock, read_request};
use super::ed25519::{new_key, random_id, spki};

const ACCOUNT: &str = "000000000000";
const MAX_MESSAGE_BYTES: usize = 4096;
const MAX_SKEW_MILLIS: u64 = 300_000;

/// KMS with no keys yet.
pub fn router(clock: Arc<dyn Clock>) -> Router {
    let keys = Arc::new(Keys {
        clock,
        state: Mutex::default(),
    });
    Router::new().fallback(handle).with_state(keys)
}

struct Keys {
    clock: Arc<dyn Clock>,
    state: Mutex<Regions>,
}

#[derive(Default)]
struct Regions {
    /// By ARN.
    keys: BTreeMap<String, Key>,
    /// ARNs by the ARN of the alias.
    aliases: BTreeMap<String, String>,
}

struct Key {
    id: String,
    signing: SigningKey,
    state: &'static str,
    description: String,
    created_millis: u64,
}

/// An error's type and message.
type Refusal = (StatusCode, &'static str, String);

fn refusal<T>(kind: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err((StatusCode::BAD_REQUEST, kind, message.into()))
}

async fn handle(State(keys): State<Arc<Keys>>, request: Request) -> Response {
    let (request, body) = match read_request(request).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let (status, body) = match keys.answer(&request, &body) {
        Ok(body) => (StatusCode::OK, body),
        Err((status, kind, message)) => (status, json!({"__type": kind, "message": message})),
    };
    (
        status,
        [(CONTENT_TYPE, "application/x-amz-json-1.1")],
        body.to_string(),
    )
        .into_response()
}

impl Keys {
    fn answer(&self, request: &Request, body: &[u8]) -> Result<Value, Refusal> {
        let target = header(request.headers(), "x-amz-target").unwrap_or_default();
        let Some(action) = target.strip_prefix("TrentService.") else {
            return refusal("UnknownOperationException", "");
        };
        let scope = self.signed(request)?;
        if scope.access_key == "denied" {
            let message = format!(
                "User: arn:aws:iam::{ACCOUNT}:user/denied is not authorized to perform: kms:{action} on this resource because no identity-based policy allows the kms:{action} action"
            );
            return refusal("AccessDeniedException", message);
        }
        let Ok(input) = serde_json::from_slice::<Value>(body) else {
            return refusal("SerializationException", "");
        };
        let mut state = lock(&self.state);
        if action == "CreateKey" {
            return state.create(&scope.region, &input, self.clock.unix_millis());
        }
        if action == "CreateAlias" {
            return state.alias(&scope.region, &input);
        }
        let id = text(&input, "KeyId");
        let arn = state.arn(&scope.region, id)?;
        let Some(key) = state.keys.get_mut(&arn) else {
            return refusal("NotFoundException", format!("Key '{arn}' does not exist"));
        };
        let state = match action {
            "DescribeKey" => return Ok(json!({"KeyMetadata": key.metadata(&arn)})),
            "EnableKey" => "Enabled",
            "DisableKey" => "Disabled",
            "ScheduleKeyDeletion" => "PendingDeletion",
            "GetPublicKey" | "Sign" => key.state,
            _ => return refusal("UnknownOperationException", ""),
        };
        if action != "GetPublicKey" && action != "Sign" {
            if key.state == "PendingDeletion" {
                return refusal(
                    "KMSInvalidStateException",
                    format!("{arn} is pending deletion."),
                );
            }
            key.state = state;
            return Ok(if action == "ScheduleKeyDeletion" {
                json!({"KeyId": arn, "KeyState": state})
            } else {
                json!({})
            });
        }
        match state {
            "Disabled" => refusal("DisabledException", format!("{arn} is disabled.")),
            "PendingDeletion" => refusal(
                "KMSInvalidStateException",
                format!("{arn} is pending deletion."),
            ),
            _ if action == "Sign" => key.sign(&arn, &input),
            _ => Ok(json!({
                "KeyId": arn, "PublicKey": BASE64.encode(&spki(&key.signing)), "KeySpec": "ECC_NIST_EDWARDS25519",
                "CustomerMasterKeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY",
                "SigningAlgorithms": ["ED25519_SHA_512", "ED25519_PH_SHA_512"],
            })),
        }
    }

    /// Who signed the request, for which region; refuses one that nobody signed,
    /// or whose clock is off.
    fn signed(&self, request: &Request) -> Result<Scope, Refusal> {
        let authorization = header(request.headers(), "authorization").unwrap_or_default();
        let credential = authorization
            .strip_prefix("AWS4-HMAC-SHA256 Credential=")
            .and_then(|rest| rest.split(',').next())
            .unwrap_or_default();
        let parts: Vec<&str> = credential.split('/').collect();
        let [access_key, _, region, "kms", "aws4_request"] = parts[..] else {
            let message = "Missing Authentication Token".to_owned();
            return Err((
                StatusCode::FORBIDDEN,
                "MissingAuthenticationTokenException",
                message,
            ));
        };
        let stamp = header(request.headers(), "x-amz-date").unwrap_or_default();
        let at_millis = amz_date_millis(stamp).unwrap_or(0);
        if at_millis.abs_diff(self.clock.unix_millis()) > MAX_SKEW_MILLIS {
            let now = time::from_unix_millis(self.clock.unix_millis());
            let message = format!("Signature expired: {stamp} is not within 5 min. of {now}");
            return Err((StatusCode::FORBIDDEN, "InvalidSignatureException", message));
        }
        Ok(Scope {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
        })
    }
}

struct Scope {
    access_key: String,
    region: String,
}

impl Regions {
    fn create(&mut self, region: &str, input: &Value, now_millis: u64) -> Result<Value, Refusal> {
        let spec = text(input, "KeySpec");
        if spec != "ECC_NIST_EDWARDS25519" || text(input, "KeyUsage") != "SIGN_VERIFY" {
            let message = format!(
                "The stand-in makes ECC_NIST_EDWARDS25519 keys to SIGN_VERIFY, not '{spec}'"
            );
            return refusal("UnsupportedOperationException", message);
        }
        let id = random_id();
        let arn = format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}");
        let key = Key {
            id,
            signing: new_key(),
            state: "Enabled",
            description: text(input, "Description").to_owned(),
            created_millis: now_millis,
        };
        let metadata = key.metadata(&arn);
        self.keys.insert(arn, key);
        Ok(json!({"KeyMetadata": metadata}))
    }

    fn alias(&mut self, region: &str, input: &Value) -> Result<Value, Refusal> {
        let name = text(input, "AliasName");
        if !name.starts_with("alias/") || name.starts_with("alias/aws/") {
            return refusal(
                "InvalidAliasNameException",
                "Alias must start with the prefix \"alias/\".",
            );
        }
        let alias = format!("arn:aws:kms:{region}:{ACCOUNT}:{name}");
        let arn = self.arn(region, text(input, "TargetKeyId"))?;
        if self.aliases.contains_key(&alias) {
            let message = format!("An alias with the name {alias} already exists");
            return refusal("AlreadyExistsException", message);
        }
        self.aliases.insert(alias, arn);
        Ok(json!({}))
    }

    /// The ARN of the key that a request names by ARN, id or alias.
    fn arn(&self, region: &str, id: &str) -> Result<String, Refusal> {
        let home = format!("arn:aws:kms:{region}:");
        let arn = match id {
            id if id.starts_with(&home) => id.to_owned(),
            id if id.starts_with("arn:") => {
                return refusal("NotFoundException", format!("Invalid arn {region}"));
            }
            id if id.starts_with("alias/") => format!("{home}{ACCOUNT}:{id}"),
            id => format!("{home}{ACCOUNT}:key/{id}"),
        };
        if !arn.contains(":alias/") {
            return Ok(arn);
        }
        match self.aliases.get(&arn) {
            Some(arn) => Ok(arn.clone()),
            None => refusal("NotFoundException", format!("Alias {arn} is not found.")),
        }
    }
}

impl Key {
    fn metadata(&self, arn: &str) -> Value {
        json!({
            "AWSAccountId": ACCOUNT, "KeyId": self.id, "Arn": arn, "Enabled": self.state == "Enabled",
            "KeyState": self.state, "Description": self.description, "KeyUsage": "SIGN_VERIFY",
            "KeySpec": "ECC_NIST_EDWARDS25519", "CustomerMasterKeySpec": "ECC_NIST_EDWARDS25519",
            "SigningAlgorithms": ["ED25519_SHA_512", "ED25519_PH_SHA_512"], "KeyManager": "CUSTOMER",
            "Origin": "AWS_KMS", "MultiRegion": false, "CreationDate": self.created_millis / 1000,
        })
    }

    fn sign(&self, arn: &str, input: &Value) -> Result<Value, Refusal> {
        let algorithm = text(input, "SigningAlgorithm");
        if algorithm != "ED25519_SHA_512" {
            let message = format!(
                "Algorithm {algorithm} and key spec ECC_NIST_EDWARDS25519 are incompatible here."
            );
            return refusal("InvalidKeyUsageException", message);
        }
        // RAW is the default.
        if !matches!(text(input, "MessageType"), "RAW" | "") {
            return refusal(
                "ValidationException",
                "ED25519_SHA_512 requires the message type RAW",
            );
        }
        let Ok(message) = BASE64.decode(text(input, "Message").as_bytes()) else {
            return refusal("SerializationException", "Message is not base64");
        };
        if message.is_empty() || message.len() > MAX_MESSAGE_BYTES {
            let bound = if message.is_empty() {
                "greater than or equal to 1"
            } else {
                "less than or equal to 4096"
            };
            let message = format!(
                "1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length {bound}"
            );
            return refusal("ValidationException", message);
        }
        let signature = self.signing.sign(&message);
        Ok(json!({
            "KeyId": arn, "Signature": BASE64.encode(&signature.to_bytes()), "SigningAlgorithm": algorithm,
        }))
    }
}

fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Milliseconds since 1970 of `20261124T210000Z`.
fn amz_date_millis(stamp: &str) -> Option<u64> {
    let part = |from, to| stamp.get(from..to);
    let rfc = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(9, 11)?,
        part(11, 13)?,
        part(13, 15)?
    );
    u64::try_from(time::parse(&rfc)?.unix_millis()).ok()
}
