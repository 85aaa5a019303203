//! Anchors as they are stored: listed and opened before anything else is read.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_core::anchor::{Anchor, AnchorError};
use countersign_core::keys::VerifierKey;
use countersign_core::merkle::Hash;
use countersign_core::names::{self, Object};
use countersign_store::SealedStore;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::fetch::{Absent, get, list};
use super::requests::Meter;
use crate::chain::{Chain, Deployment};
use crate::objects::MAX_SMALL_BYTES;

/// An anchor object that holds.
#[derive(Debug, Clone)]
pub(super) struct StoredAnchor {
    /// The witness, by its place in the deployment; none for one outside of it.
    pub(super) witness: Option<usize>,
    pub(super) key: VerifierKey,
    pub(super) size: u64,
    pub(super) seconds: u64,
    pub(super) root: Hash,
    pub(super) sha256: [u8; 32],
}

/// An anchor object that does not.
#[derive(Debug, Clone)]
pub(super) struct BadAnchorObject {
    pub(super) witness: String,
    pub(super) name: String,
    pub(super) why: String,
}

/// All anchors of one chain, in all stores.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    pub(super) stored: Vec<StoredAnchor>,
    pub(super) bad: Vec<BadAnchorObject>,
    /// What stands there by witness, size and seconds, whether it holds or not.
    pub(super) present: BTreeSet<(usize, u64, u64)>,
    /// The witnesses whose stores could not be read, and why.
    pub(super) unreadable: Vec<(usize, String)>,
}

impl Anchors {
    pub(super) fn is_unreadable(&self, witness: usize) -> bool {
        self.unreadable.iter().any(|(other, _)| *other == witness)
    }
}

/// Reads all anchors of a chain. Those made after `first_reading` (milliseconds
/// since 1970) are not matched: the segments that they cover may be newer still.
pub(super) async fn load(
    deployment: &Deployment,
    chain: &Chain,
    meter: &Arc<Meter>,
    first_reading: u64,
    concurrency: usize,
) -> Anchors {
    let mut anchors = Anchors::default();
    for (place, witness) in deployment.witnesses.iter().enumerate() {
        let prefix = names::anchors(chain.origin());
        let sealed = &*meter.anchors(witness);
        let mut found = Vec::new();
        let listing = list(sealed, &prefix, None, |object| {
            if let Some(Object::Anchor {
                size,
                seconds,
                outside,
                ..
            }) = Object::parse(&object.key)
                && seconds.saturating_mul(1000) <= first_reading
            {
                found.push((object.key, size, seconds, outside));
            }
            true
        });
        if let Err(why) = listing.await {
            if witness.witnesses(chain) {
                anchors.unreadable.push((place, why));
            }
            continue;
        }
        let jobs = found
            .into_iter()
            .filter_map(|(name, size, seconds, outside)| {
                let (place, key) = match outside {
                    // The cosignatures of the chain's own cloud never count.
                    None if !witness.witnesses(chain) => return None,
                    None => (Some(place), witness.key.clone()),
                    Some(id) => (None, deployment.outside_witness(&id)?),
                };
                Some((name, size, seconds, place, key))
            });
        let reads = stream::iter(jobs).map(|(name, size, seconds, place, key)| async move {
            let read = open(sealed, &chain.key, &key, &name, size, seconds).await;
            (name, size, seconds, place, key, read)
        });
        let mut reads = reads.buffered(concurrency.max(1));
        while let Some((name, size, seconds, witness, key, read)) = reads.next().await {
            if let Some(witness) = witness {
                anchors.present.insert((witness, size, seconds));
            }
            match read {
                Ok((root, sha256)) => anchors.stored.push(StoredAnchor {
                    witness,
                    key,
                    size,
                    seconds,
                    root,
                    sha256,
                }),
                Err(Absent::Unreadable(why)) => {
                    anchors.unreadable.push((place, why));
                }
                Err(absent) => anchors.bad.push(BadAnchorObject {
                    witness: key.name().to_owned(),
                    name,
                    why: absent.to_string(),
                }),
            }
        }
    }
    anchors
}

/// What a look for a single anchor object gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Present,
    Missing,
    Unreadable,
}

/// Looks for an anchor that the listing did not show.
pub(super) async fn look(sealed: &dyn SealedStore, chain: &Chain, size: u64, seconds: u64) -> Look {
    let name = names::anchor_of(chain.origin(), size, seconds);
    match get(sealed, &name, MAX_SMALL_BYTES).await {
        Ok(_) | Err(Absent::Corrupt(_)) => Look::Present,
        Err(Absent::Missing) => Look::Missing,
        Err(Absent::Unreadable(_)) => Look::Unreadable,
    }
}

async fn open(
    store: &dyn SealedStore,
    log: &VerifierKey,
    witness: &VerifierKey,
    name: &str,
    size: u64,
    seconds: u64,
) -> Result<(Hash, [u8; 32]), Absent> {
    let bytes = get(store, name, MAX_SMALL_BYTES).await?;
    let anchor = Anchor::open(&bytes, log, witness)
        .map_err(|error: AnchorError| Absent::Corrupt(error.to_string()))?;
    if (anchor.checkpoint.size, anchor.seconds) != (size, seconds) {
        let found = format!(
            "is of size {} at {}",
            anchor.checkpoint.size, anchor.seconds
        );
        return Err(Absent::Corrupt(found));
    }
    Ok((anchor.checkpoint.root, Sha256::digest(&bytes).into()))
}
