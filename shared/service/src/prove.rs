//! Proofs that a leaf stands in a chain, at a head that a quorum cosigned: made
//! from the stores in O(log n) reads, checked before they are given out.

use std::collections::BTreeMap;

use countersign_core::anchor::Anchor;
use countersign_core::checkpoint::Checkpoint;
use countersign_core::json::{Canonicalizer, scan};
use countersign_core::keys::VerifierKey;
use countersign_core::merkle::proof::{TileSet, inclusion_tiles};
use countersign_core::names::{self, Object};
use countersign_core::note::{Note, SignatureLine};
use countersign_core::proof::{ProofFile, Proven};
use countersign_core::record::{Carrier, RecordReader};
use countersign_core::segment::{self, Segment};
use countersign_core::tlog_proof::TlogProof;
use countersign_sources::{Input, SourceError, survey};
use countersign_store::{GetError, ListError, ObjectPages};
use futures_util::future::try_join_all;

use crate::chain::{Chain, Deployment, Witness};
use crate::find::Numbered;
use crate::head::load_head;
use crate::objects::{MAX_OBJECT_BYTES, MAX_SMALL_BYTES};

/// Heads that lack a quorum though enough witnesses know of later ones are passed
/// over so often at most: more than that, and somebody filled the stores.
const MAX_HEADS_TRIED: usize = 256;

/// A proof that was checked against the policy.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The proof file.
    pub file: ProofFile,
    /// What it shows.
    pub proven: Proven,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The chain is shorter.
    #[error("{origin} has no leaf {index}: it ends at {size} (`countersign log` lists indexes)")]
    NoSuchLeaf {
        /// The chain.
        origin: String,
        /// The leaf asked for.
        index: u64,
        /// The chain's size.
        size: u64,
    },
    /// No checkpoint covers the leaf.
    #[error("leaf {index} of {origin} is not published yet: run anchor")]
    NotPublished {
        /// The chain.
        origin: String,
        /// The leaf asked for.
        index: u64,
    },
    /// No checkpoint that covers the leaf has a quorum.
    #[error(
        "leaf {index} of {origin} is not published yet: run anchor (there are checkpoints, but none of them has the policy's quorum of cosignatures, {quorum})"
    )]
    NoQuorum {
        /// The chain.
        origin: String,
        /// The leaf asked for.
        index: u64,
        /// The policy's quorum in words.
        quorum: String,
    },
    /// What is stored contradicts itself.
    #[error("{object} of {origin} {problem}: run verify")]
    Evidence {
        /// The chain.
        origin: String,
        /// The object.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An object cannot be read.
    #[error(transparent)]
    Get(#[from] GetError),
    /// A store cannot be listed.
    #[error(transparent)]
    List(#[from] ListError),
    /// Reading was broken off.
    #[error("the work was broken off: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

impl ProveError {
    /// The stores contradict themselves, as opposed to what could not be done.
    pub fn is_evidence(&self) -> bool {
        matches!(self, Self::Evidence { .. })
    }
}

/// Proves a leaf of a chain at the newest checkpoint that has a quorum.
///
/// # Errors
/// When no such checkpoint covers it, or the stores do not show what they should.
pub async fn prove(
    deployment: &Deployment,
    chain: &Chain,
    index: u64,
) -> Result<Proof, ProveError> {
    let record = leaf(chain, index).await?;
    let (checkpoint, note) = newest_covering(deployment, chain, index).await?;
    let size = checkpoint.size;
    let tiles = inclusion_tiles(index, size)
        .into_iter()
        .map(|id| async move {
            let bytes = chain.sealed.get(&id.path(), id.byte_len() as u64).await;
            Ok::<_, ProveError>((
                id,
                bytes.map_err(|error| missing(chain, error, &id.path()))?,
            ))
        });
    let mut set = TileSet::new(size);
    for (id, bytes) in try_join_all(tiles).await? {
        set.insert(id, &bytes)
            .map_err(|error| evidence(chain, id.path(), format!("does not hold ({error})")))?;
    }
    let wrong = |problem: String| evidence(chain, names::checkpoint(size), problem);
    let path = set
        .inclusion(index)
        .map_err(|error| wrong(format!("cannot be proven from its tiles ({error})")))?;
    let proof = TlogProof {
        extra: None,
        index,
        path,
        checkpoint: note.to_string(),
    };
    let file = ProofFile::new(record, &proof);
    let (file, proven) = ProofFile::check(&file.to_bytes(), &deployment.policy)
        .map_err(|error| wrong(format!("does not prove leaf {index} ({error})")))?;
    Ok(Proof { file, proven })
}

/// The ids that the event in a file may have in a chain: that of the file as one
/// event, and that of the only event of the file as a delivery.
///
/// # Errors
/// When the file cannot be read or is broken.
pub fn event_ids(
    chain: &Chain,
    file: &dyn Input,
    max_bytes: u64,
) -> Result<Vec<[u8; 32]>, SourceError> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(
        &mut std::io::Read::take(file.open()?, max_bytes),
        &mut bytes,
    )?;
    let event = scan::trim(&bytes);
    let mut ids = vec![Carrier::of(event, &mut Canonicalizer::exact()).event_id()];
    if let Some(part) = survey(file, chain.settings.cloud, max_bytes)?.only
        && part.records == 1
    {
        let line = part.body.strip_suffix(b"\n").unwrap_or(&part.body);
        if let Ok(record) = RecordReader::default().read(line) {
            ids.push(record.event_id());
        }
    }
    ids.dedup();
    Ok(ids)
}

/// The index of the first record that holds an event with one of these ids. Reads
/// the chain from its beginning; `each` is told how far it got.
///
/// # Errors
/// When a segment cannot be read or does not hold.
pub async fn find_event(
    chain: &Chain,
    ids: &[[u8; 32]],
    mut each: impl FnMut(u64),
) -> Result<Option<u64>, ProveError> {
    let mut pages = ObjectPages::new(&*chain.sealed, "segments/");
    while let Some(objects) = pages.next().await? {
        for object in objects {
            let Some(Object::Segment { start }) = Object::parse(&object.key) else {
                continue;
            };
            let segment = open_segment(chain, start).await?;
            each(segment.header.end);
            let ids = ids.to_vec();
            let search = move || {
                let mut reader = RecordReader::default();
                segment::lines(segment.body()).position(|line| {
                    let record = reader.read(line);
                    record.is_ok_and(|record| ids.contains(&record.event_id()))
                })
            };
            if let Some(nth) = tokio::task::spawn_blocking(search).await? {
                return Ok(Some(start + 1 + nth as u64));
            }
        }
    }
    Ok(None)
}

/// A leaf's bytes.
async fn leaf(chain: &Chain, index: u64) -> Result<String, ProveError> {
    let none = |size| ProveError::NoSuchLeaf {
        origin: chain.origin().to_owned(),
        index,
        size,
    };
    let segments = Numbered {
        store: &*chain.sealed,
        folder: "segments/",
    };
    let start = segments.at_most(index).await?.ok_or(none(0))?;
    let segment = open_segment(chain, start).await?;
    if index >= segment.header.end {
        return Err(none(segment.header.end));
    }
    let line = segment.lines().nth((index - start) as usize);
    let line = line.ok_or(none(segment.header.end))?;
    String::from_utf8(line.to_vec()).map_err(|_| {
        let problem = format!("holds a leaf {index} that is not text");
        evidence(chain, names::segment(start), problem)
    })
}

async fn open_segment(chain: &Chain, start: u64) -> Result<Segment, ProveError> {
    let name = names::segment(start);
    let object = chain.sealed.get(&name, MAX_OBJECT_BYTES).await?;
    let key = chain.key.clone();
    let opened = tokio::task::spawn_blocking(move || Segment::open(&object, &key)).await?;
    let segment = opened.map_err(|error| {
        let problem = format!("does not hold ({error})");
        evidence(chain, name.clone(), problem)
    })?;
    if segment.header.start != start {
        let problem = format!("is the segment at {}", segment.header.start);
        return Err(evidence(chain, name, problem));
    }
    Ok(segment)
}

/// The newest checkpoint over a leaf that has a quorum, with every cosignature
/// at hand.
async fn newest_covering(
    deployment: &Deployment,
    chain: &Chain,
    index: u64,
) -> Result<(Checkpoint, Note), ProveError> {
    // No more than a hint: whoever can write the head does not decide.
    let hint = match load_head(&*chain.head, chain.origin()).await {
        Ok(Some(head)) => head.value.published,
        _ => 0,
    };
    let checkpoints = Numbered {
        store: &*chain.sealed,
        folder: "checkpoints/",
    };
    let published = checkpoints.newest(hint).await?.unwrap_or_default();
    if published <= index {
        return Err(ProveError::NotPublished {
            origin: chain.origin().to_owned(),
            index,
        });
    }
    if deployment.has_quorum(chain, |_| false) {
        let head = cosigned(deployment, chain, published).await?;
        return Ok((head.checkpoint, head.note));
    }
    let mut limit = None;
    let mut unread = None;
    for _ in 0..MAX_HEADS_TRIED {
        let anchored = match newest_anchors(deployment, chain, published, limit).await {
            Ok(anchored) => anchored,
            Err(error) => {
                unread = Some(error);
                break;
            }
        };
        // Whether the outside witnesses were there shows in the head itself.
        let own = |key: &VerifierKey| deployment.witnesses.iter().any(|own| own.key == *key);
        let reached_by = |size: u64| {
            deployment.has_quorum(chain, |key| {
                !own(key)
                    || anchored
                        .iter()
                        .any(|(at, newest)| at.key == *key && *newest >= size)
            })
        };
        let mut sizes: Vec<u64> = anchored.iter().map(|(_, newest)| *newest).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        // Above this size too few witnesses have seen anything.
        let Some(size) = sizes.into_iter().find(|size| reached_by(*size)) else {
            break;
        };
        if size <= index {
            break;
        }
        let head = cosigned(deployment, chain, size).await?;
        if deployment.has_quorum(chain, |key| head.by.contains(key)) {
            return Ok((head.checkpoint, head.note));
        }
        limit = Some(size - 1);
    }
    Err(unread.map_or_else(
        || ProveError::NoQuorum {
            origin: chain.origin().to_owned(),
            index,
            quorum: deployment.policy.describe_quorum(),
        },
        ProveError::List,
    ))
}

/// The newest size, not above the limit, that each witness anchored of a chain.
async fn newest_anchors<'a>(
    deployment: &'a Deployment,
    chain: &'a Chain,
    published: u64,
    limit: Option<u64>,
) -> Result<Vec<(&'a Witness, u64)>, ListError> {
    let folder = names::anchors(chain.origin());
    let mut newest = Vec::new();
    let mut unread = None;
    for witness in deployment.witnesses_of(chain) {
        let anchors = Numbered {
            store: &*witness.sealed,
            folder: &folder,
        };
        let found = match limit {
            None => anchors.newest(published).await,
            Some(limit) => anchors.at_most(limit).await,
        };
        match found {
            Ok(found) => newest.extend(found.map(|size| (witness, size))),
            Err(error) => unread = Some(error),
        }
    }
    // The others may do without a store that is out of reach.
    let known = |key: &VerifierKey| newest.iter().any(|(witness, _)| witness.key == *key);
    match unread {
        Some(error) if !deployment.has_quorum(chain, known) => Err(error),
        _ => Ok(newest),
    }
}

/// A head with the cosignatures of it that were found.
struct CosignedHead {
    checkpoint: Checkpoint,
    note: Note,
    by: Vec<VerifierKey>,
}

/// The checkpoint of a size, with the earliest cosignature of each witness.
async fn cosigned(
    deployment: &Deployment,
    chain: &Chain,
    size: u64,
) -> Result<CosignedHead, ProveError> {
    let name = names::checkpoint(size);
    let stored = chain.sealed.get(&name, MAX_SMALL_BYTES).await;
    let bytes = stored.map_err(|error| missing(chain, error, &name))?;
    let wrong = |problem: String| evidence(chain, name.clone(), problem);
    let (checkpoint, note) = Checkpoint::open(&bytes, &chain.key)
        .map_err(|error| wrong(format!("does not hold ({error})")))?;
    if checkpoint.size != size {
        return Err(wrong(format!("is the checkpoint of {}", checkpoint.size)));
    }
    let log = note
        .signatures()
        .iter()
        .filter(|line| line.names(&chain.key));
    let mut lines: Vec<SignatureLine> = log.cloned().collect();
    let mut by: Vec<VerifierKey> = Vec::new();
    for witness in &deployment.witnesses {
        for (name, outside) in anchors_of(chain, witness, size).await.unwrap_or_default() {
            let key = match outside {
                None => Some(witness.key.clone()).filter(|_| witness.witnesses(chain)),
                Some(id) => deployment.outside_witness(&id),
            };
            let Some(key) = key.filter(|key| !by.contains(key)) else {
                continue;
            };
            let Ok(bytes) = witness.sealed.get(&name, MAX_SMALL_BYTES).await else {
                continue;
            };
            let Ok(anchor) = Anchor::open(&bytes, &chain.key, &key) else {
                continue;
            };
            if anchor.note.text() != note.text() {
                let problem = format!(
                    "and {name} in {} are two heads of one size",
                    witness.sealed.describe()
                );
                return Err(wrong(problem));
            }
            let signatures = anchor.note.signatures().iter();
            lines.extend(signatures.filter(|line| line.names(&key)).cloned());
            by.push(key);
        }
    }
    let note = Note::new(note.text().to_owned(), lines)
        .map_err(|error| wrong(format!("and its cosignatures make no note ({error})")))?;
    Ok(CosignedHead {
        checkpoint,
        note,
        by,
    })
}

/// The anchors of a size in a witness's store, the earliest first, each with the
/// key id if it is an outside witness's.
async fn anchors_of(
    chain: &Chain,
    witness: &Witness,
    size: u64,
) -> Result<Vec<(String, Option<String>)>, ListError> {
    let prefix = format!("{}{size:020}.", names::anchors(chain.origin()));
    let mut found = BTreeMap::new();
    let mut pages = ObjectPages::new(&*witness.sealed, &prefix);
    while let Some(objects) = pages.next().await? {
        for object in objects {
            if let Some(Object::Anchor {
                seconds, outside, ..
            }) = Object::parse(&object.key)
            {
                found.insert((seconds, object.key.clone()), (object.key, outside));
            }
        }
    }
    Ok(found.into_values().collect())
}

fn evidence(chain: &Chain, object: String, problem: String) -> ProveError {
    ProveError::Evidence {
        origin: chain.origin().to_owned(),
        object,
        problem,
    }
}

/// What was published and is gone is evidence; what cannot be read is not.
fn missing(chain: &Chain, error: GetError, name: &str) -> ProveError {
    match error {
        GetError::NotFound { .. } => {
            let problem = "is missing though it was published".to_owned();
            evidence(chain, name.to_owned(), problem)
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    /// Publishes and witnesses without the witnesses of these clouds.
    async fn anchor_without(world: &mut World, clouds: &[&str]) {
        let mut away = Vec::new();
        for cloud in clouds {
            let name = format!("audit.example.org/witness/{cloud}");
            away.extend(world.signers.remove_entry(&name));
        }
        world.anchor().await;
        world.signers.extend(away);
        world.clock.advance(60_000);
    }

    #[tokio::test]
    async fn the_newest_head_with_a_quorum_is_taken() {
        let mut world = World::new(&["aws", "azure", "gcp"]).await;
        world.seal("aws", &["a"]).await;
        let early = prove(&world.deployment, world.chain("aws"), 1).await;
        assert!(matches!(early, Err(ProveError::NotPublished { .. })));
        anchor_without(&mut world, &[]).await;
        let anchored = prove(&world.deployment, world.chain("aws"), 1)
            .await
            .unwrap();
        let anchored = anchored.proven.checkpoint.size;

        // One of two witnesses sleeps: what is newer has no quorum.
        for text in ["b", "c", "d"] {
            world.seal("aws", &[text]).await;
            anchor_without(&mut world, &["gcp"]).await;
        }
        let chain = world.chain("aws");
        let proof = prove(&world.deployment, chain, 1).await.unwrap();
        assert_eq!(proof.proven.checkpoint.size, anchored);
        assert_eq!(proof.proven.cosigned.len(), 2);
        let newer = prove(&world.deployment, chain, anchored + 1).await;
        assert!(
            matches!(newer, Err(ProveError::NoQuorum { .. })),
            "{newer:?}"
        );
        let beyond = prove(&world.deployment, chain, 1 << 40).await;
        assert!(matches!(beyond, Err(ProveError::NoSuchLeaf { .. })));

        anchor_without(&mut world, &[]).await;
        let chain = world.chain("aws");
        for index in 0..anchored + 2 {
            let proof = prove(&world.deployment, chain, index).await.unwrap();
            assert!(proof.proven.checkpoint.size > anchored);
        }
        // A tile that is gone or another one proves nothing.
        for key in world.objects("aws").await.into_keys() {
            if key.starts_with("tile/") {
                world.sealed["aws"]
                    .inner()
                    .tamper_replace(&key, vec![0; 32]);
            }
        }
        let tampered = prove(&world.deployment, chain, 1).await;
        assert!(tampered.is_err());
    }

    #[tokio::test]
    async fn one_cloud_alone_proves_by_its_checkpoint() {
        let mut world = World::new(&["aws"]).await;
        world.seal("aws", &["a", "b"]).await;
        anchor_without(&mut world, &[]).await;
        let proof = prove(&world.deployment, world.chain("aws"), 2)
            .await
            .unwrap();
        assert!(proof.proven.cosigned.is_empty());
        assert!(proof.file.record.contains(r#""raw":"b""#));
    }

    #[tokio::test]
    async fn an_event_is_found_however_it_is_spelled() {
        let world = World::new(&["aws"]).await;
        world.seal("aws", &["a", "b"]).await;
        world.seal("aws", &["c"]).await;
        let chain = world.chain("aws");
        let find = async |file: &[u8]| {
            let ids = event_ids(chain, &file.to_vec(), 1 << 20).unwrap();
            find_event(chain, &ids, |_| ()).await.unwrap()
        };
        assert_eq!(find(b"b").await, Some(2));
        assert_eq!(find(b"c\r\n").await, Some(4));
        assert_eq!(find(b"d").await, None);
        assert_eq!(find(b"a\nb").await, None);
    }
}
