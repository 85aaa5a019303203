//! The genesis of a chain: written once, by `init`, and named by the first segment.

use serde::{Deserialize, Serialize};

use crate::keys::VerifierKey;
use crate::merkle::Hash;
use crate::segment::body_sha256;
use crate::signed::{self, DocumentError, document};
use crate::time;

/// What held when a chain began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// `genesis/v1`
    pub countersign: String,
    /// RFC 3339 in UTC, milliseconds.
    pub created_at: String,
    /// The chain.
    pub origin: String,
    /// Cosignatures of other clouds that a checkpoint needs; 0 where there is no other cloud.
    pub quorum: u32,
    /// How long its objects are retained at least.
    pub retention_days: u32,
    /// Over the genesis without this member.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature: Option<String>,
    /// The chain that this one goes on from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub succeeds: Option<Succeeds>,
    /// The chain's key.
    pub vkey: String,
    /// The witnesses of the other clouds.
    pub witnesses: Vec<GenesisWitness>,
}

document!(Genesis, "genesis/v1");

/// A witness in a genesis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisWitness {
    /// Its key's name.
    pub name: String,
    /// Its key.
    pub vkey: String,
}

/// The last head of the chain that a new chain succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succeeds {
    /// The closed chain.
    pub origin: String,
    /// Its last root.
    pub root: Hash,
    /// Its last size.
    pub size: u64,
}

impl Genesis {
    /// Reads `genesis.json` as stored (one line and LF) and checks its form and
    /// signature, and that it names the key that signed it.
    ///
    /// # Errors
    /// What does not hold.
    pub fn open(file: &[u8], key: &VerifierKey) -> Result<Self, GenesisError> {
        let line = file.strip_suffix(b"\n").ok_or(GenesisError::NoLine)?;
        let genesis: Self = signed::open(line, key)?;
        if genesis.vkey != key.to_string() {
            return Err(GenesisError::Key(genesis.vkey));
        }
        if time::to_utc(&genesis.created_at).as_deref() != Some(&genesis.created_at[..]) {
            return Err(GenesisError::Time);
        }
        Ok(genesis)
    }
}

/// Hex SHA-256 of `genesis.json` as stored, LF included.
pub fn file_sha256(file: &[u8]) -> String {
    body_sha256(file)
}

/// Why a genesis does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Not one line and LF.
    #[error("is not one line that ends with LF")]
    NoLine,
    /// Not a signed genesis of this chain.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It names another key than the one that signed it.
    #[error("names the key {0}, not the one that signed it")]
    Key(String),
    /// `created_at` is no time.
    #[error("`created_at` is not RFC 3339 in UTC")]
    Time,
}
