//! Where signing keys come from, and signing with them.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use countersign_core::cosignature;
use countersign_core::keys::{KeyError, KeyKind, Seed, SeedSigner, SignError, VerifierKey};
use countersign_core::note::SignatureLine;
use countersign_core::signed::{self, Document};
use countersign_store::{KeyAddress, RemoteKey, Secret, SecretError};
use zeroize::Zeroizing;

use crate::config::{ChainSettings, WitnessSettings};
use crate::files::{Place, write_whole};
use crate::objects::{MAX_RETRIES, pause};
use crate::stores::{AccessError, Key, Stores};

/// A seed holds 64 digits and LF; more than this is something else.
const MAX_SEED_BYTES: usize = 128;

/// Signs for a key, which may be in a service far away.
#[async_trait]
pub trait Signer: Send + Sync + Debug {
    /// The public key that what it signs is verified with.
    fn key(&self) -> &VerifierKey;

    /// The longest message that it signs, in bytes.
    fn max_message_bytes(&self) -> usize {
        usize::MAX
    }

    /// The Ed25519 signature of a message.
    ///
    /// # Errors
    /// When the key cannot be used now, or for this message.
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

#[async_trait]
impl Signer for SeedSigner {
    fn key(&self) -> &VerifierKey {
        countersign_core::keys::Signer::key(self)
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        countersign_core::keys::Signer::sign(self, message)
    }
}

/// Signs a document; returns its canonical line.
///
/// # Errors
/// When the signer cannot sign.
pub async fn sign_document<T: Document + Send>(
    document: &mut T,
    signer: &dyn Signer,
) -> Result<Vec<u8>, SignError> {
    let signature = signer.sign(&signed::message(document)).await?;
    Ok(signed::with_signature(document, signer.key(), &signature))
}

/// Cosigns a checkpoint's body. Says nothing about whether it should be:
/// [`countersign_core::witness::decide`] first, and its outcome made durable.
///
/// # Errors
/// As [`cosignature::message_for`], or when the signer cannot sign.
pub async fn cosign(
    signer: &dyn Signer,
    seconds: u64,
    body: &str,
) -> Result<SignatureLine, SignError> {
    let message = cosignature::message_for(signer.key(), seconds, body)?;
    let signature = signer.sign(&message).await?;
    Ok(cosignature::line(signer.key(), seconds, &signature))
}

/// Signs with a key that never leaves its service.
#[derive(Debug)]
struct RemoteSigner {
    key: VerifierKey,
    remote: Arc<dyn RemoteKey>,
}

#[async_trait]
impl Signer for RemoteSigner {
    fn key(&self) -> &VerifierKey {
        &self.key
    }

    fn max_message_bytes(&self) -> usize {
        self.remote.max_message_bytes()
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let (bytes, most) = (message.len(), self.max_message_bytes());
        if bytes > most {
            return Err(SignError(format!(
                "{} signs at most {most} bytes, and this has {bytes}: keep a seed in a secret store instead of a key in a key service",
                self.remote.describe()
            )));
        }
        let mut tries = 0;
        let signature = loop {
            match self.remote.sign(message).await {
                Ok(signature) => break signature,
                Err(SecretError::Transient { .. }) if tries < MAX_RETRIES => {
                    tries += 1;
                    pause(tries).await;
                }
                Err(error) => return Err(SignError(error.to_string())),
            }
        };
        // What does not hold must not go out, whoever signed.
        if !self.key.verify(message, &signature) {
            return Err(SignError(format!(
                "what {} signed does not hold for its public key: is it the same key still?",
                self.remote.describe()
            )));
        }
        Ok(signature)
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyOpenError {
    /// The file cannot be read.
    #[error("the key file {path} cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// Others may read the file.
    #[error(
        "the key file {path} may be read by others: run chmod 600 on it, and think whether it was"
    )]
    Permissions {
        /// The file.
        path: PathBuf,
    },
    /// No seed.
    #[error("the key {key} is not a seed: {error}; restore it from its copy")]
    Seed {
        /// Where it is.
        key: String,
        /// What is wrong (never the content).
        error: KeyError,
    },
    /// There is no such secret.
    #[error("the key {key} does not exist: run init if it is new, else find out who removed it")]
    Missing {
        /// Where it should be.
        key: String,
    },
    /// The file cannot be written.
    #[error("the key file {path} cannot be written: {error}; put that right and run init again")]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// The system gives no random numbers.
    #[error("no random numbers for a new key: {0}")]
    Random(getrandom::Error),
    /// A shard's key is derived from a seed, which a key service does not give.
    #[error(
        "the key {key} cannot serve a chain with shards, for each has a key derived from a seed: use a seed in a file or a secret store"
    )]
    Shards {
        /// Where it is.
        key: String,
    },
    /// The key's service cannot be reached.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The key's service refuses.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The signer of a chain.
///
/// # Errors
/// When its key cannot be read or reached.
pub async fn chain_signer(
    chain: &ChainSettings,
    stores: &Stores,
) -> Result<Arc<dyn Signer>, KeyOpenError> {
    // Each shard has a key of its own.
    let derived = chain.shard.map(|_| &*chain.origin);
    signer(&chain.key, &chain.origin, KeyKind::Log, derived, stores).await
}

/// The signer of a witness.
///
/// # Errors
/// When its key cannot be read or reached.
pub async fn witness_signer(
    witness: &WitnessSettings,
    stores: &Stores,
) -> Result<Arc<dyn Signer>, KeyOpenError> {
    let name = &witness.key_name;
    signer(&witness.key, name, KeyKind::Witness, None, stores).await
}

/// The signer of a key that is neither a chain's nor a witness's.
///
/// # Errors
/// When it cannot be read or reached.
pub async fn named_signer(
    address: &KeyAddress,
    name: &str,
    kind: KeyKind,
    stores: &Stores,
) -> Result<Arc<dyn Signer>, KeyOpenError> {
    signer(address, name, kind, None, stores).await
}

/// Makes a seed where there is none; says whether it did. A key of a key service
/// is made by its owner.
///
/// # Errors
/// When it cannot be written.
pub async fn make_seed(address: &KeyAddress, stores: &Stores) -> Result<bool, KeyOpenError> {
    match (address, stores.key(address).await?) {
        (_, Some(Key::Remote(_))) => Ok(false),
        (_, Some(Key::Secret(secret))) => make_secret(&*secret).await,
        (KeyAddress::File(path), None) => {
            if path.exists() {
                return Ok(false);
            }
            let seed = new_seed()?;
            match write_whole(path, seed.to_file().as_bytes(), 0o600, Place::New) {
                Ok(()) => Ok(true),
                Err(error) => Err(KeyOpenError::Write {
                    path: path.clone(),
                    error,
                }),
            }
        }
        (other, None) => Err(KeyOpenError::Missing {
            key: other.to_string(),
        }),
    }
}

async fn make_secret(secret: &dyn Secret) -> Result<bool, KeyOpenError> {
    if secret.read(MAX_SEED_BYTES).await?.is_some() {
        return Ok(false);
    }
    let seed = new_seed()?;
    match secret.create(seed.to_file().as_bytes()).await {
        Ok(()) => Ok(true),
        // Another run was faster. Whatever stands there is read back before use.
        Err(SecretError::Exists { .. }) => Ok(false),
        Err(error @ SecretError::Unknown { .. }) => {
            match secret.read(MAX_SEED_BYTES).await?.is_some() {
                true => Ok(true),
                false => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn new_seed() -> Result<Seed, KeyOpenError> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut *bytes).map_err(KeyOpenError::Random)?;
    Ok(Seed::from_bytes(*bytes))
}

async fn signer(
    address: &KeyAddress,
    name: &str,
    kind: KeyKind,
    derived: Option<&str>,
    stores: &Stores,
) -> Result<Arc<dyn Signer>, KeyOpenError> {
    let no_seed = |error| KeyOpenError::Seed {
        key: address.to_string(),
        error,
    };
    let seed = match (address, stores.key(address).await?) {
        (_, Some(Key::Remote(_))) if derived.is_some() => {
            return Err(KeyOpenError::Shards {
                key: address.to_string(),
            });
        }
        (_, Some(Key::Remote(remote))) => {
            let key = VerifierKey::new(name, kind, remote.public_key().await?).map_err(no_seed)?;
            return Ok(Arc::new(RemoteSigner { key, remote }));
        }
        (_, Some(Key::Secret(secret))) => read_secret(&*secret).await?,
        (KeyAddress::File(path), None) => read_seed(path)?,
        (other, None) => {
            return Err(KeyOpenError::Missing {
                key: other.to_string(),
            });
        }
    };
    let seed = match derived {
        Some(info) => seed.derived(info),
        None => seed,
    };
    Ok(Arc::new(
        SeedSigner::new(name, kind, &seed).map_err(no_seed)?,
    ))
}

async fn read_secret(secret: &dyn Secret) -> Result<Seed, KeyOpenError> {
    let key = || secret.describe();
    let content = secret.read(MAX_SEED_BYTES).await?;
    let content = content.ok_or_else(|| KeyOpenError::Missing { key: key() })?;
    Seed::parse(&content).map_err(|error| KeyOpenError::Seed { key: key(), error })
}

fn read_seed(path: &Path) -> Result<Seed, KeyOpenError> {
    let bytes = read_secret_file(path, MAX_SEED_BYTES)?;
    Seed::parse(&bytes).map_err(|error| KeyOpenError::Seed {
        key: path.display().to_string(),
        error,
    })
}

/// Reads a file that none but its owner may read.
pub(crate) fn read_secret_file(
    path: &Path,
    max_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, KeyOpenError> {
    let read = |error| KeyOpenError::Read {
        path: path.to_owned(),
        error,
    };
    let metadata = std::fs::metadata(path).map_err(read)?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(KeyOpenError::Permissions {
            path: path.to_owned(),
        });
    }
    if !metadata.is_file() || metadata.len() > max_bytes as u64 {
        return Err(read(std::io::Error::other("it is no file of a key")));
    }
    Ok(Zeroizing::new(std::fs::read(path).map_err(read)?))
}

#[cfg(test)]
mod tests;
