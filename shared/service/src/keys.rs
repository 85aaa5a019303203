//! Where signing keys come from.

use std::path::{Path, PathBuf};

use countersign_core::keys::{KeyError, KeyKind, Seed, SeedSigner};
use zeroize::Zeroizing;

use crate::config::{ChainSettings, KeyLocation, WitnessSettings};
use crate::files::{Place, write_whole};

/// A seed file holds 64 digits and LF; more than this is something else.
const MAX_SEED_FILE_BYTES: u64 = 128;

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
    /// No seed file.
    #[error("the key file {path} is not a seed: {error}; restore it from its copy")]
    Seed {
        /// The file.
        path: PathBuf,
        /// What is wrong (never the content).
        error: KeyError,
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
}

/// The signer of a chain.
///
/// # Errors
/// When its seed cannot be read.
pub fn chain_signer(chain: &ChainSettings) -> Result<SeedSigner, KeyOpenError> {
    let KeyLocation::File(path) = &chain.key;
    let seed = read_seed(path)?;
    let seed = match chain.shard {
        // Each shard has a key of its own.
        Some(_) => seed.derived(&chain.origin),
        None => seed,
    };
    signer(&chain.origin, KeyKind::Log, &seed, path)
}

/// The signer of a witness.
///
/// # Errors
/// When its seed cannot be read.
pub fn witness_signer(witness: &WitnessSettings) -> Result<SeedSigner, KeyOpenError> {
    let KeyLocation::File(path) = &witness.key;
    signer(&witness.key_name, KeyKind::Witness, &read_seed(path)?, path)
}

/// Makes a seed file where there is none; says whether it did.
///
/// # Errors
/// When it cannot be written.
pub fn make_seed_file(location: &KeyLocation) -> Result<bool, KeyOpenError> {
    let KeyLocation::File(path) = location;
    if path.exists() {
        return Ok(false);
    }
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut *bytes).map_err(KeyOpenError::Random)?;
    let seed = Seed::from_bytes(*bytes);
    match write_whole(path, seed.to_file().as_bytes(), 0o600, Place::New) {
        Ok(()) => Ok(true),
        Err(error) => Err(KeyOpenError::Write {
            path: path.clone(),
            error,
        }),
    }
}

fn signer(name: &str, kind: KeyKind, seed: &Seed, path: &Path) -> Result<SeedSigner, KeyOpenError> {
    SeedSigner::new(name, kind, seed).map_err(|error| KeyOpenError::Seed {
        path: path.to_owned(),
        error,
    })
}

fn read_seed(path: &Path) -> Result<Seed, KeyOpenError> {
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
    if !metadata.is_file() || metadata.len() > MAX_SEED_FILE_BYTES {
        return Err(read(std::io::Error::other("it is not a seed file")));
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(read)?);
    Seed::parse(&bytes).map_err(|error| KeyOpenError::Seed {
        path: path.to_owned(),
        error,
    })
}
