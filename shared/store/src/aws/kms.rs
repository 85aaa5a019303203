//! Ed25519 keys of AWS KMS.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::access::{Access, AccessError};
use super::clients::Client;
use super::failure::{self, Answer, Asked};
use super::region_of_arn;
use crate::address::KeyAddress;
use crate::secret::{RemoteKey, SecretError};

/// What KMS signs as it is, in bytes; more only as a digest, which would not be
/// pure Ed25519.
const MAX_MESSAGE_BYTES: usize = 4096;

/// An Ed25519 public key in DER (RFC 8410) is this and its 32 bytes.
const DER_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A key by its id, alias or ARN: `ECC_NIST_EDWARDS25519`, for signing.
///
/// Permissions: `kms:GetPublicKey`, and `kms:Sign` to sign.
#[derive(Clone)]
pub struct KmsKey {
    client: Client<aws_sdk_kms::Client>,
    id: String,
    address: String,
}

impl KmsKey {
    /// The key `id`; an ARN names its region itself, the others are looked up in
    /// that of `access`. Nothing is called yet.
    ///
    /// # Errors
    ///
    /// [`AccessError`], where no region is known or the endpoint is refused.
    pub fn open(access: &Access, id: &str) -> Result<Self, AccessError> {
        let address = KeyAddress::AwsKms(id.to_owned()).to_string();
        Ok(Self {
            client: access.kms(region_of_arn(id), &address)?,
            id: id.to_owned(),
            address,
        })
    }

    fn unsuitable(&self, reason: impl Into<String>) -> SecretError {
        SecretError::Unsuitable {
            secret: self.describe(),
            reason: reason.into(),
            next: "make one with: aws kms create-key --key-spec ECC_NIST_EDWARDS25519 --key-usage SIGN_VERIFY"
                .to_owned(),
        }
    }

    fn error<E>(&self, error: &SdkError<E, HttpResponse>, permission: &'static str) -> SecretError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let secret = self.describe();
        let refused = |reason: String, next: &str| SecretError::Refused {
            secret: secret.clone(),
            reason,
            next: next.to_owned(),
        };
        if let Some(answer) = Answer::of(error) {
            let reason = format!("{}: {}", answer.code, answer.message);
            match &*answer.code {
                "NotFoundException" => return SecretError::NotFound { secret },
                "DisabledException" => {
                    return refused(reason, "enable it: aws kms enable-key --key-id KEY");
                }
                "KMSInvalidStateException" => {
                    return refused(
                        reason,
                        "if it is to be deleted, take it back: aws kms cancel-key-deletion --key-id KEY",
                    );
                }
                "InvalidKeyUsageException" | "UnsupportedOperationException" => {
                    return self.unsuitable(reason);
                }
                _ => {}
            }
        }
        let resource = &self.id;
        failure::of(
            error,
            Asked {
                permission,
                resource,
            },
        )
        .of_read()
        .into_secret(secret)
    }
}

#[async_trait]
impl RemoteKey for KmsKey {
    async fn public_key(&self) -> Result<[u8; 32], SecretError> {
        let key = self
            .client
            .get_public_key()
            .key_id(&self.id)
            .send()
            .await
            .map_err(|error| self.error(&error, "kms:GetPublicKey"))?;
        match key.key_spec() {
            Some(KeySpec::EccNistEdwards25519) => {}
            other => {
                let spec = other.map_or("none", KeySpec::as_str);
                return Err(self.unsuitable(format!("its key spec is {spec}")));
            }
        }
        if key.key_usage() != Some(&KeyUsageType::SignVerify) {
            let usage = key.key_usage().map_or("none", KeyUsageType::as_str);
            return Err(self.unsuitable(format!("its key usage is {usage}")));
        }
        let der = key.public_key().map(AsRef::as_ref).unwrap_or_default();
        der.strip_prefix(&DER_PREFIX)
            .and_then(|key| key.try_into().ok())
            .ok_or_else(|| {
                self.unsuitable(format!(
                    "the {} bytes of its public key are not an Ed25519 key in DER",
                    der.len()
                ))
            })
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SecretError> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(SecretError::Refused {
                secret: self.describe(),
                reason: format!(
                    "KMS signs at most {MAX_MESSAGE_BYTES} bytes, and the message has {}",
                    message.len()
                ),
                next: "use a key whose seed is in Secrets Manager for this chain".to_owned(),
            });
        }
        // Pure Ed25519 over the message itself, not over a digest of it.
        let signed = self
            .client
            .sign()
            .key_id(&self.id)
            .message_type(MessageType::Raw)
            .signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512)
            .message(Blob::new(message))
            .send()
            .await
            .map_err(|error| self.error(&error, "kms:Sign"))?;
        let signature = signed.signature().map(AsRef::as_ref).unwrap_or_default();
        signature.try_into().map_err(|_| {
            self.unsuitable(format!(
                "it gave a signature of {} bytes, which is not Ed25519's",
                signature.len()
            ))
        })
    }

    fn max_message_bytes(&self) -> usize {
        MAX_MESSAGE_BYTES
    }

    fn describe(&self) -> String {
        self.address.clone()
    }
}

impl Debug for KmsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
