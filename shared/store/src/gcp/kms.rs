//! Ed25519 keys in Cloud KMS.

use async_trait::async_trait;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::access::{Access, Service};
use super::call::Request;
use super::failure::{Failure, NOT_GOOGLE};
use crate::secret::{RemoteKey, SecretError};

const PUBLIC_KEY_PERMISSION: &str = "cloudkms.cryptoKeyVersions.viewPublicKey";
const SIGN_PERMISSION: &str = "cloudkms.cryptoKeyVersions.useToSign";

const ALGORITHM: &str = "EC_SIGN_ED25519";

/// What Cloud KMS signs at most, in bytes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// What stands before the 32 bytes of an Ed25519 key in its
/// SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A version of a Cloud KMS key with the algorithm `EC_SIGN_ED25519`.
#[derive(Debug)]
pub struct KmsKey {
    access: Access,
    /// `projects/…/cryptoKeyVersions/N`.
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKey {
    #[serde(default)]
    name: String,
    pem: String,
    algorithm: String,
    /// An int64, which JSON writes as text.
    pem_crc32c: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignRequest {
    /// Base64.
    data: String,
    data_crc32c: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    #[serde(default)]
    name: String,
    /// Base64.
    signature: String,
    signature_crc32c: String,
    /// Whether the service checked the sum of the data.
    #[serde(default)]
    verified_data_crc32c: bool,
}

impl KmsKey {
    /// The key at `version`: `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`.
    /// Nothing is called yet.
    pub fn open(access: &Access, version: &str) -> Self {
        Self {
            access: access.clone(),
            version: version.to_owned(),
        }
    }

    /// The path of the version with something after it.
    fn path<'a>(&'a self, last: &'a str, more: Option<&'a str>) -> Vec<&'a str> {
        let (before, _) = self.version.rsplit_once('/').unwrap_or_default();
        let mut path = vec!["v1"];
        path.extend(before.split('/'));
        path.push(last);
        path.extend(more);
        path
    }

    fn number(&self) -> &str {
        self.version.rsplit('/').next().unwrap_or_default()
    }

    fn failed(&self, failure: Failure, permission: &str) -> SecretError {
        failure.into_secret(self.describe(), true, permission)
    }

    fn unsuitable(&self, reason: impl Into<String>, next: &str) -> SecretError {
        SecretError::Unsuitable {
            secret: self.describe(),
            reason: reason.into(),
            next: next.to_owned(),
        }
    }

    /// An answer whose parts do not fit: something on the way changed it.
    fn garbled(&self, what: &str) -> SecretError {
        SecretError::Transient {
            secret: self.describe(),
            cause: format!("{what} with a CRC32C that is not its own").into(),
        }
    }

    /// Whether an answer is that of this key. The project may be answered by
    /// its number, or not at all by a stand-in.
    fn is_ours(&self, name: &str) -> bool {
        let inside = |name: &str| {
            let part = name.split_once("/locations/");
            part.map(|(_, part)| part.to_owned())
        };
        name.is_empty() || inside(name) == inside(&self.version)
    }
}

#[async_trait]
impl RemoteKey for KmsKey {
    async fn public_key(&self) -> Result<[u8; 32], SecretError> {
        let path = self.path(self.number(), Some("publicKey"));
        let request = Request::get(Service::Kms, &path);
        let key: PublicKey = self
            .access
            .read_json(&request)
            .await
            .map_err(|failure| self.failed(failure, PUBLIC_KEY_PERMISSION))?;
        if key.algorithm != ALGORITHM {
            return Err(self.unsuitable(
                format!("its algorithm is {}", key.algorithm),
                "make a key with --purpose=asymmetric-signing --default-algorithm=ec-sign-ed25519",
            ));
        }
        if crc32c::crc32c(key.pem.as_bytes()).to_string() != key.pem_crc32c {
            return Err(self.garbled("its public key came"));
        }
        if !self.is_ours(&key.name) {
            return Err(self.unsuitable("the answer is about another key", NOT_GOOGLE));
        }
        ed25519_of_pem(&key.pem)
            .ok_or_else(|| self.unsuitable("its public key is no Ed25519 key in PEM", NOT_GOOGLE))
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SecretError> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(SecretError::Refused {
                secret: self.describe(),
                reason: format!(
                    "{} bytes are more than the {MAX_MESSAGE_BYTES} that it signs",
                    message.len()
                ),
                next: "sign a shorter message".to_owned(),
            });
        }
        let body = SignRequest {
            data: BASE64.encode(message),
            data_crc32c: crc32c::crc32c(message).to_string(),
        };
        let body = serde_json::to_vec(&body)
            .map_err(|error| self.unsuitable(error.to_string(), "report this"))?;
        let last = format!("{}:asymmetricSign", self.number());
        let path = self.path(&last, None);
        let request = Request::post(Service::Kms, &path, Zeroizing::new(body));
        // Free of effects, so that it may be repeated like a read.
        let signed: Signed = self
            .access
            .read_json(&request)
            .await
            .map_err(|failure| self.failed(failure, SIGN_PERMISSION))?;
        if !signed.verified_data_crc32c {
            return Err(self.garbled("it did not see the message"));
        }
        let signature = BASE64
            .decode(signed.signature.as_bytes())
            .unwrap_or_default();
        if crc32c::crc32c(&signature).to_string() != signed.signature_crc32c {
            return Err(self.garbled("its signature came"));
        }
        if !self.is_ours(&signed.name) {
            return Err(self.unsuitable("the answer is about another key", NOT_GOOGLE));
        }
        signature.try_into().map_err(|signature: Vec<u8>| {
            self.unsuitable(
                format!("its signature has {} bytes, not 64", signature.len()),
                "check that the algorithm of the key is EC_SIGN_ED25519",
            )
        })
    }

    fn max_message_bytes(&self) -> usize {
        MAX_MESSAGE_BYTES
    }

    fn describe(&self) -> String {
        format!("gcpkms:{}", self.version)
    }
}

/// The Ed25519 key of a PEM document.
fn ed25519_of_pem(pem: &str) -> Option<[u8; 32]> {
    let body = pem
        .trim()
        .strip_prefix("-----BEGIN PUBLIC KEY-----")?
        .strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.split_whitespace().collect();
    let der = BASE64.decode(body.as_bytes()).ok()?;
    der.strip_prefix(&SPKI_PREFIX)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ed25519_key_is_read_from_pem_and_no_other() {
        // The example of RFC 8410, section 10.1.
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let key = ed25519_of_pem(pem).expect("it is one");
        assert_eq!(key[..4], [0x19, 0xbf, 0x44, 0x09]);
        let x25519 = pem.replace("K2VwAyEA", "K2VuAyEA");
        for other in ["", pem.trim_end_matches("-\n"), &x25519] {
            assert!(ed25519_of_pem(other).is_none(), "{other}");
        }
    }
}
