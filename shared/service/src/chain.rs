//! A deployment that is open: its policy, and its chains and witnesses with
//! their stores.

use std::path::Path;
use std::sync::Arc;

use countersign_core::keys::{KeyKind, VerifierKey};
use countersign_core::policy::{Policy, PolicyError};
use countersign_core::segment::body_sha256;
use countersign_store::{HeadStore, Retention, SealedStore};
use data_encoding::HEXLOWER;

use crate::config::{ChainSettings, Settings, WitnessSettings};
use crate::stores::{AccessError, Stores};

/// A policy file has at most this many bytes.
const MAX_POLICY_BYTES: u64 = 1 << 20;

/// A chain and its stores.
#[derive(Debug, Clone)]
pub struct Chain {
    /// Its settings.
    pub settings: ChainSettings,
    /// Its key, as the policy pins it.
    pub key: VerifierKey,
    /// Its sealed store.
    pub sealed: Arc<dyn SealedStore>,
    /// Its head store.
    pub head: Arc<dyn HeadStore>,
}

impl Chain {
    /// The chain's origin.
    pub fn origin(&self) -> &str {
        &self.settings.origin
    }

    /// The retention of an object that is written now.
    pub fn retention(&self, now_millis: u64) -> Retention {
        retention(now_millis, self.settings.retention_days)
    }
}

/// A witness and its stores.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Its settings.
    pub settings: WitnessSettings,
    /// Its key, as the policy pins it.
    pub key: VerifierKey,
    /// Where its anchors are kept.
    pub sealed: Arc<dyn SealedStore>,
    /// Where its state is kept.
    pub state: Arc<dyn HeadStore>,
}

impl Witness {
    /// Whether it witnesses that chain: it stands in another cloud.
    pub fn witnesses(&self, chain: &Chain) -> bool {
        self.settings.cloud != chain.settings.cloud
    }
}

/// A retention of that many days from now.
pub fn retention(now_millis: u64, days: u32) -> Retention {
    Retention::Until(now_millis.saturating_add(u64::from(days) * 86_400_000))
}

/// All chains and witnesses of the settings, under a pinned policy.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The settings.
    pub settings: Settings,
    /// The policy.
    pub policy: Policy,
    /// Hex SHA-256 of the policy file.
    pub policy_sha256: String,
    /// The chains, in the order of their names.
    pub chains: Vec<Chain>,
    /// The witnesses, in the order of their names.
    pub witnesses: Vec<Witness>,
    /// What opened their stores, and opens their keys.
    pub stores: Arc<Stores>,
}

/// Why a deployment cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The policy file cannot be read.
    #[error(
        "the policy {path} cannot be read: {error}; `countersign init` writes it, an auditor gets it from outside the stores"
    )]
    PolicyRead {
        /// The file.
        path: String,
        /// What went wrong.
        error: std::io::Error,
    },
    /// The policy file is no policy.
    #[error("the policy {path}: {error}")]
    Policy {
        /// The file.
        path: String,
        /// What is wrong and where.
        error: PolicyError,
    },
    /// The policy does not know a chain of the settings.
    #[error(
        "the policy has no `log` line for the chain {origin}: is it the policy of these settings? `countersign init` adds chains"
    )]
    UnknownChain {
        /// Its origin.
        origin: String,
    },
    /// The policy does not know a witness of the settings.
    #[error(
        "the policy has no `witness` line with the key name {name}: is it the policy of these settings?"
    )]
    UnknownWitness {
        /// Its key name.
        name: String,
    },
    /// A store cannot be reached.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No chain of that name.
    #[error("there is no chain `{name}` in the settings; there are: {known}")]
    NoSuchChain {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// Reads a policy file.
///
/// # Errors
/// When it cannot be read or is none.
pub fn read_policy(path: &Path) -> Result<(Policy, Vec<u8>), OpenError> {
    let read = || -> std::io::Result<Vec<u8>> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() || metadata.len() > MAX_POLICY_BYTES {
            return Err(std::io::Error::other("it is not a policy file"));
        }
        std::fs::read(path)
    };
    let bytes = read().map_err(|error| OpenError::PolicyRead {
        path: path.display().to_string(),
        error,
    })?;
    let policy = Policy::parse(&bytes).map_err(|error| OpenError::Policy {
        path: path.display().to_string(),
        error,
    })?;
    Ok((policy, bytes))
}

impl Deployment {
    /// Opens all stores of the settings. Nothing is created; a store that is not
    /// there shows when it is read.
    ///
    /// # Errors
    /// When the policy cannot be read or does not know a chain or witness, or there
    /// is no way to reach a store.
    pub async fn open(settings: Settings, policy_path: Option<&Path>) -> Result<Self, OpenError> {
        let stores = Stores::new(settings.reach.clone());
        Self::open_with(settings, policy_path, Arc::new(stores)).await
    }

    /// Opens all stores of the settings through `stores`, which is kept to open
    /// the keys.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(
        settings: Settings,
        policy_path: Option<&Path>,
        stores: Arc<Stores>,
    ) -> Result<Self, OpenError> {
        let path = policy_path.unwrap_or(&settings.policy);
        let (policy, bytes) = read_policy(path)?;
        let (mut chains, mut witnesses) = (Vec::new(), Vec::new());
        for chain in &settings.chains {
            chains.push(open_chain(chain, &policy, &stores).await?);
        }
        for witness in &settings.witnesses {
            witnesses.push(open_witness(witness, &policy, &stores).await?);
        }
        Ok(Self {
            policy,
            policy_sha256: body_sha256(&bytes),
            chains,
            witnesses,
            settings,
            stores,
        })
    }

    /// The chains of that name: one, or its shards.
    ///
    /// # Errors
    /// When there is none.
    pub fn chains_named(&self, name: &str) -> Result<Vec<&Chain>, OpenError> {
        let of_name =
            |chain: &&Chain| chain.settings.name == name || chain.settings.display_name() == name;
        let found: Vec<_> = self.chains.iter().filter(of_name).collect();
        if found.is_empty() {
            return Err(OpenError::NoSuchChain {
                name: name.to_owned(),
                known: self.settings.chain_names().join(", "),
            });
        }
        Ok(found)
    }

    /// The chain of that origin.
    pub fn chain(&self, origin: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.origin() == origin)
    }

    /// The witnesses that stand in another cloud than the chain.
    pub fn witnesses_of<'a>(&'a self, chain: &'a Chain) -> impl Iterator<Item = &'a Witness> {
        self.witnesses
            .iter()
            .filter(|witness| witness.witnesses(chain))
    }

    /// The key of an outside witness by its key id in hex, as the policy or the
    /// settings know it.
    pub fn outside_witness(&self, key_id: &str) -> Option<VerifierKey> {
        let inside = |key: &VerifierKey| self.witnesses.iter().any(|known| known.key == *key);
        let of_policy = self.policy.witnesses().iter();
        let of_settings = self.settings.outside_witnesses.iter();
        of_policy
            .map(|witness| witness.key.clone())
            .chain(of_settings.filter_map(|witness| witness.vkey.parse().ok()))
            .find(|key| HEXLOWER.encode(&key.id()) == key_id && !inside(key))
    }

    /// Whether these witnesses (by key name) make the policy's quorum for a chain;
    /// those of the chain's own cloud never count.
    pub fn has_quorum(&self, chain: &Chain, cosigned: impl Fn(&VerifierKey) -> bool) -> bool {
        let own = |key: &VerifierKey| {
            let of_key = |witness: &&Witness| witness.key == *key;
            self.witnesses
                .iter()
                .find(of_key)
                .is_some_and(|witness| !witness.witnesses(chain))
        };
        self.policy
            .satisfied_by(|witness| !own(&witness.key) && cosigned(&witness.key))
    }
}

async fn open_chain(
    settings: &ChainSettings,
    policy: &Policy,
    stores: &Stores,
) -> Result<Chain, OpenError> {
    let key = policy
        .log(&settings.origin)
        .ok_or_else(|| OpenError::UnknownChain {
            origin: settings.origin.clone(),
        })?;
    Ok(Chain {
        key: key.clone(),
        sealed: stores.sealed(&settings.sealed, settings.lock).await?,
        head: stores.head(&settings.head).await?,
        settings: settings.clone(),
    })
}

async fn open_witness(
    settings: &WitnessSettings,
    policy: &Policy,
    stores: &Stores,
) -> Result<Witness, OpenError> {
    let witness = policy
        .witness(&settings.key_name)
        .filter(|witness| witness.key.kind() == KeyKind::Witness)
        .ok_or_else(|| OpenError::UnknownWitness {
            name: settings.key_name.clone(),
        })?;
    Ok(Witness {
        key: witness.key.clone(),
        sealed: stores.sealed(&settings.sealed, settings.lock).await?,
        state: stores.head(&settings.state).await?,
        settings: settings.clone(),
    })
}
