//! Secrets and signatures that a cloud keeps: a seed in a secret store, or a
//! key that never leaves its key service.

use std::fmt::Debug;

use async_trait::async_trait;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::error::BoxError;

/// One secret of a secret store, by its address.
///
/// The content is never logged, and no error repeats it.
#[async_trait]
pub trait Secret: Send + Sync + Debug {
    /// The content, if it holds at most `max_bytes` bytes; `None` if there is
    /// no such secret, or none with a content.
    ///
    /// # Errors
    ///
    /// [`SecretError`].
    async fn read(&self, max_bytes: usize) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError>;

    /// Makes the secret with this content, where there is none. Of several that
    /// make it at a time one succeeds, as far as the service can tell them
    /// apart; who makes one reads it back before it is used.
    ///
    /// # Errors
    ///
    /// [`SecretError`]; after `Exists` and `Unknown` the caller reads it.
    async fn create(&self, content: &[u8]) -> Result<(), SecretError>;

    /// The address, as in the settings: `awssecret:countersign/aws`.
    fn describe(&self) -> String;
}

/// An Ed25519 key of a key service, which signs and never shows it.
#[async_trait]
pub trait RemoteKey: Send + Sync + Debug {
    /// The public key, 32 bytes (RFC 8032).
    ///
    /// # Errors
    ///
    /// [`SecretError`].
    async fn public_key(&self) -> Result<[u8; 32], SecretError>;

    /// The pure Ed25519 signature (RFC 8032) of `message`, of at most
    /// [`max_message_bytes`](Self::max_message_bytes). Signing is free of
    /// effects, so that a lost call may be repeated.
    ///
    /// # Errors
    ///
    /// [`SecretError`].
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SecretError>;

    /// The longest message that the service signs, in bytes.
    fn max_message_bytes(&self) -> usize;

    /// The address, as in the settings: `awskms:alias/countersign`.
    fn describe(&self) -> String;
}

/// Why a secret or a key could not be used, classed like the errors of stores.
/// No message holds any of a secret's content.
#[derive(Debug, Error)]
pub enum SecretError {
    /// There is a secret already, and it was left as it is.
    #[error("{secret} exists already and was left as it is: read it to learn what it holds")]
    Exists {
        /// The address.
        secret: String,
    },
    /// It may have been made or not.
    #[error("it is not known whether {secret} was made ({cause}): read it before anything else")]
    Unknown {
        /// The address.
        secret: String,
        /// What was seen of the failure.
        cause: BoxError,
    },
    /// There is no such key.
    #[error("{secret} does not exist: correct the setting, or make the key")]
    NotFound {
        /// The address.
        secret: String,
    },
    /// What stands there is not what it is taken for.
    #[error("{secret} cannot be used: {reason}; {next}")]
    Unsuitable {
        /// The address.
        secret: String,
        /// What is wrong with it.
        reason: String,
        /// What a person should do.
        next: String,
    },
    /// Not permitted, or cannot work.
    #[error("{secret} was refused: {reason}; {next}")]
    Refused {
        /// The address.
        secret: String,
        /// Why.
        reason: String,
        /// What a person should do.
        next: String,
    },
    /// Not this time.
    #[error("{secret} could not be reached ({cause}); it may be tried again")]
    Transient {
        /// The address.
        secret: String,
        /// What was seen of the failure.
        cause: BoxError,
    },
}
