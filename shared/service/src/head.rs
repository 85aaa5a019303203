//! What the head stores hold: a chain's head, and what a witness last saw of a chain.

use bytes::Bytes;
use countersign_core::merkle::{Frontier, Hash};
use countersign_core::names::origin_hash;
use countersign_core::signed::canonical;
use countersign_core::witness::Witnessed;
use countersign_store::{HeadError, HeadStore, SwapError, Version};
use serde::{Deserialize, Serialize};

/// Starts of unpublished segments that a head lists at most: a head stays far
/// below what a head store holds. More than that, and the oldest are left out
/// (their deliveries are then no longer recognized as duplicates).
const MAX_LISTED_SEGMENTS: usize = 4096;

/// A chain's head: the pointer that follows the committed segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The tree up to the last committed segment.
    pub frontier: Frontier,
    /// The newest published size that the head knows of.
    pub published: u64,
    /// Starts of the segments since then, oldest first.
    pub segments: Vec<u64>,
    /// Sizes of the newest index objects, oldest first.
    pub indexes: Vec<u64>,
}

impl Head {
    /// The head of a chain without leaves.
    pub fn empty() -> Self {
        Self {
            frontier: Frontier::new(),
            published: 0,
            segments: Vec::new(),
            indexes: Vec::new(),
        }
    }

    /// Leaves up to here.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the tree up to here.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Moves over a committed segment.
    pub fn push_segment(&mut self, leaves: &[Hash]) {
        self.segments.push(self.size());
        let over = self.segments.len().saturating_sub(MAX_LISTED_SEGMENTS);
        self.segments.drain(..over);
        for leaf in leaves {
            self.frontier.push(*leaf);
        }
    }

    /// Takes note that a size was published, keeping the newest `window` indexes.
    pub fn push_index(&mut self, size: u64, window: usize) {
        if let Err(at) = self.indexes.binary_search(&size) {
            self.indexes.insert(at, size);
        }
        self.published = self.published.max(size);
        self.segments.retain(|start| *start >= self.published);
        let over = self.indexes.len().saturating_sub(window);
        self.indexes.drain(..over);
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadDocument {
    countersign: String,
    frontier: Vec<Hash>,
    indexes: Vec<u64>,
    origin: String,
    published: u64,
    root: Hash,
    segments: Vec<u64>,
    size: u64,
}

const HEAD_TYPE: &str = "head/v1";

/// A head and its version in the store.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// What is stored.
    pub value: T,
    /// For the next swap; none where nothing is stored.
    pub version: Option<Version>,
}

/// Why what a head store holds cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] HeadError),
    /// The document is damaged or of another chain.
    #[error(
        "{key} in {store} is not the state of {origin}: {problem}; do not delete it: run verify, then restore it from the newest anchored head"
    )]
    Damaged {
        /// The store.
        store: String,
        /// The document's key.
        key: String,
        /// The chain.
        origin: String,
        /// What is wrong.
        problem: String,
    },
}

/// The key of a chain's head.
pub fn head_key(origin: &str) -> String {
    format!("head-{}", origin_hash(origin))
}

/// Loads a chain's head; none if there is none.
///
/// # Errors
/// When the store fails, or the head is damaged.
pub async fn load_head(
    store: &dyn HeadStore,
    origin: &str,
) -> Result<Option<Loaded<Head>>, StateError> {
    let key = head_key(origin);
    let Some(stored) = store.load(&key).await? else {
        return Ok(None);
    };
    let damaged = |problem: String| StateError::Damaged {
        store: store.describe(),
        key: key.clone(),
        origin: origin.to_owned(),
        problem,
    };
    let document: HeadDocument =
        serde_json::from_slice(&stored.bytes).map_err(|error| damaged(error.to_string()))?;
    if document.countersign != HEAD_TYPE || document.origin != origin {
        return Err(damaged(format!(
            "it is the {} of {}",
            document.countersign, document.origin
        )));
    }
    let frontier = Frontier::from_parts(document.size, document.frontier)
        .map_err(|error| damaged(error.to_string()))?;
    if frontier.root() != document.root {
        return Err(damaged("its root is not the root of its frontier".into()));
    }
    Ok(Some(Loaded {
        value: Head {
            frontier,
            published: document.published,
            segments: document.segments,
            indexes: document.indexes,
        },
        version: Some(stored.version),
    }))
}

/// Moves a chain's head by compare-and-swap.
///
/// # Errors
/// As [`HeadStore::swap`].
pub async fn swap_head(
    store: &dyn HeadStore,
    origin: &str,
    expected: Option<&Version>,
    head: &Head,
) -> Result<Version, SwapError> {
    let document = HeadDocument {
        countersign: HEAD_TYPE.into(),
        frontier: head.frontier.nodes().to_vec(),
        indexes: head.indexes.clone(),
        origin: origin.into(),
        published: head.published,
        root: head.root(),
        segments: head.segments.clone(),
        size: head.size(),
    };
    let bytes = Bytes::from(canonical(&document));
    store.swap(&head_key(origin), expected, bytes).await
}

/// What a witness last saw of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessState {
    /// The newest head that it may have cosigned.
    pub witnessed: Witnessed,
    /// The newest anchor whose record is known to be sealed: its object name.
    pub recorded: Option<String>,
    /// The newest anchor that was or is to be written, of `witnessed`: its object
    /// name. It is announced here first, so that any run can finish what another
    /// one began.
    pub announced: Option<String>,
}

impl WitnessState {
    /// The announced anchor, unless its record is known to be sealed.
    pub fn unfinished(&self) -> Option<&str> {
        let announced = self.announced.as_deref();
        announced.filter(|name| self.recorded.as_deref() < Some(name))
    }
}

impl Default for WitnessState {
    fn default() -> Self {
        Self {
            witnessed: Witnessed {
                size: 0,
                root: Hash::EMPTY_ROOT,
            },
            recorded: None,
            announced: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessDocument {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    announced: Option<String>,
    countersign: String,
    origin: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    recorded: Option<String>,
    root: Hash,
    size: u64,
    witness: String,
}

const WITNESS_TYPE: &str = "witness-state/v1";

/// The key of what a witness (by key name) last saw of a chain.
pub fn witness_key(witness: &str, origin: &str) -> String {
    let (witness, origin) = (origin_hash(witness), origin_hash(origin));
    format!("witness-{}-{origin}", &witness[..16])
}

/// Loads what a witness last saw of a chain: nothing, where nothing is stored.
///
/// # Errors
/// When the store fails, or the state is damaged.
pub async fn load_witness(
    store: &dyn HeadStore,
    witness: &str,
    origin: &str,
) -> Result<Loaded<WitnessState>, StateError> {
    let key = witness_key(witness, origin);
    let Some(stored) = store.load(&key).await? else {
        return Ok(Loaded {
            value: WitnessState::default(),
            version: None,
        });
    };
    let damaged = |problem: String| StateError::Damaged {
        store: store.describe(),
        key: key.clone(),
        origin: origin.to_owned(),
        problem,
    };
    let document: WitnessDocument =
        serde_json::from_slice(&stored.bytes).map_err(|error| damaged(error.to_string()))?;
    if document.countersign != WITNESS_TYPE
        || document.origin != origin
        || document.witness != witness
    {
        return Err(damaged(format!(
            "it is {}'s of {}",
            document.witness, document.origin
        )));
    }
    Ok(Loaded {
        value: WitnessState {
            witnessed: Witnessed {
                size: document.size,
                root: document.root,
            },
            recorded: document.recorded,
            announced: document.announced,
        },
        version: Some(stored.version),
    })
}

/// Moves what a witness last saw of a chain, by compare-and-swap.
///
/// # Errors
/// As [`HeadStore::swap`].
pub async fn swap_witness(
    store: &dyn HeadStore,
    witness: &str,
    origin: &str,
    expected: Option<&Version>,
    state: &WitnessState,
) -> Result<Version, SwapError> {
    let document = WitnessDocument {
        announced: state.announced.clone(),
        countersign: WITNESS_TYPE.into(),
        origin: origin.into(),
        recorded: state.recorded.clone(),
        root: state.witnessed.root,
        size: state.witnessed.size,
        witness: witness.into(),
    };
    let bytes = Bytes::from(canonical(&document));
    store
        .swap(&witness_key(witness, origin), expected, bytes)
        .await
}
