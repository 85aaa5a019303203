//! What an administrator of one cloud may try.

use std::path::PathBuf;

use countersign_core::genesis::Genesis;
use countersign_core::names;
use countersign_core::segment::{self, Segment};
use countersign_service::chain::Chain;
use countersign_service::head::{Head, load_head, swap_head};
use countersign_service::keys::{chain_signer, sign_document};
use countersign_service::seal::ZSTD_LEVEL;

use super::stage::Trace;
use super::world::{Delivery, World, files, read, remove, replace};
use crate::ui::Failure;

/// A way to tamper with the chain of aws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// A byte of a segment is another one.
    FlippedByte,
    /// A record is another one, compressed as it should be.
    AlteredRecord,
    /// A segment is gone.
    RemovedSegment,
    /// The store and the head are those of noon.
    RolledBack,
    /// All is sealed anew with the right key, one record changed.
    Rebuilt,
    /// The genesis is another one, signed with the right key.
    ReplacedGenesis,
    /// Another cloud's store lost an anchor of it.
    RemovedAnchor,
}

/// All of them, in the order in which they are shown.
pub const ATTACKS: [Attack; 7] = [
    Attack::FlippedByte,
    Attack::AlteredRecord,
    Attack::RemovedSegment,
    Attack::RolledBack,
    Attack::Rebuilt,
    Attack::ReplacedGenesis,
    Attack::RemovedAnchor,
];

/// The chain that is attacked, as a folder.
const SEALED: &str = "data/aws/sealed";

impl Attack {
    /// Of the folder in which it is carried out.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlippedByte => "flipped-byte",
            Self::AlteredRecord => "altered-record",
            Self::RemovedSegment => "removed-segment",
            Self::RolledBack => "rolled-back",
            Self::Rebuilt => "rebuilt",
            Self::ReplacedGenesis => "replaced-genesis",
            Self::RemovedAnchor => "removed-anchor",
        }
    }

    /// What was done, for people.
    pub fn what(self) -> &'static str {
        match self {
            Self::FlippedByte => "one byte of a segment is flipped",
            Self::AlteredRecord => "StopLogging is edited, the segment compressed again",
            Self::RemovedSegment => "the segment that holds StopLogging is removed",
            Self::RolledBack => "store and head are put back to their state of noon",
            Self::Rebuilt => "the chain is sealed anew with its key, without StopLogging",
            Self::ReplacedGenesis => "a new genesis, signed with its key, promises less",
            Self::RemovedAnchor => "an anchor of the chain in azure's store is removed",
        }
    }

    /// What verify must find of it.
    pub fn trace(self) -> Trace {
        let (check, code) = match self {
            Self::FlippedByte => ("record-hashes", "CS-501"),
            Self::AlteredRecord => ("record-hashes", "CS-502"),
            Self::RemovedSegment => ("segments-contiguous", "CS-302"),
            Self::RolledBack => ("anchors-consistent", "CS-1102"),
            Self::Rebuilt => ("anchors-consistent", "CS-1101"),
            Self::ReplacedGenesis => ("genesis", "CS-103"),
            Self::RemovedAnchor => ("anchors-consistent", "CS-1104"),
        };
        Trace {
            chain: "aws",
            check,
            code,
        }
    }

    /// Does it, in a copy; `index` is StopLogging's.
    ///
    /// # Errors
    /// When something on this machine stands in the way.
    pub async fn carry_out(self, copy: &World, index: u64) -> Result<(), Failure> {
        match self {
            Self::FlippedByte => {
                let path = segment_of(copy, index)?;
                let mut bytes = read(&path)?;
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                replace(&path, &bytes)
            }
            Self::AlteredRecord => altered_record(copy, index).await,
            Self::RemovedSegment => remove(&segment_of(copy, index)?),
            Self::RolledBack => copy.restore_noon(),
            Self::Rebuilt => rebuilt(copy).await,
            Self::ReplacedGenesis => replaced_genesis(copy).await,
            Self::RemovedAnchor => {
                let chain = aws(copy).await?;
                let anchors = copy
                    .path("data/azure/sealed")
                    .join(names::anchors(chain.origin()));
                match files(&anchors)?.first() {
                    Some(first) => remove(first),
                    None => Err(Failure::failed("azure keeps no anchor of aws")),
                }
            }
        }
    }
}

async fn aws(copy: &World) -> Result<Chain, Failure> {
    let deployment = copy.deployment().await?;
    let chains = deployment.chains_named("aws").map_err(Failure::undone)?;
    let chain = chains.first().copied().cloned();
    chain.ok_or_else(|| Failure::failed("there is no chain aws"))
}

/// The object that holds a leaf: the last that starts at or before it.
fn segment_of(copy: &World, index: u64) -> Result<PathBuf, Failure> {
    let after = names::segment(index + 1);
    let segments = files(&copy.path(SEALED).join("segments"))?;
    let found = segments
        .into_iter()
        .rfind(|path| *path < copy.path(SEALED).join(&after));
    found.ok_or_else(|| Failure::failed("there is no such segment"))
}

/// The record without what the attacker did, in canonical form and all.
fn without_stop_logging(text: &str) -> String {
    text.replace("\"StopLogging\"", "\"GetTrailStatus\"")
}

async fn altered_record(copy: &World, index: u64) -> Result<(), Failure> {
    let path = segment_of(copy, index)?;
    let chain = aws(copy).await?;
    let segment = Segment::open(&read(&path)?, &chain.key).map_err(Failure::failed)?;
    let body = without_stop_logging(&String::from_utf8_lossy(segment.body()));
    let object = segment::encode(segment.header_line(), &[body.as_bytes()], ZSTD_LEVEL);
    replace(&path, &object.map_err(Failure::failed)?)
}

/// As good a forgery as the chain's key allows.
async fn rebuilt(copy: &World) -> Result<(), Failure> {
    for folder in ["segments", "tile", "index", "checkpoints"] {
        remove(&copy.path(SEALED).join(folder))?;
    }
    let chain = aws(copy).await?;
    let stored = load_head(&*chain.head, chain.origin()).await;
    let version = stored
        .map_err(Failure::undone)?
        .and_then(|head| head.version);
    swap_head(
        &*chain.head,
        chain.origin(),
        version.as_ref(),
        &Head::empty(),
    )
    .await
    .map_err(Failure::undone)?;
    for (half, delivery) in World::deliveries_of_aws().into_iter().enumerate() {
        let forged = without_stop_logging(&delivery).into_bytes();
        let delivery = Delivery {
            chain: "aws",
            from: format!("logs/{half}/aws-cloudtrail.json"),
            bytes: forged,
        };
        copy.seal(delivery).await?;
        copy.anchor_aws_alone().await?;
    }
    Ok(())
}

async fn replaced_genesis(copy: &World) -> Result<(), Failure> {
    let path = copy.path(SEALED).join(names::GENESIS);
    let chain = aws(copy).await?;
    let mut genesis = Genesis::open(&read(&path)?, &chain.key).map_err(Failure::failed)?;
    genesis.retention_days = 1;
    genesis.quorum = 0;
    let signer = chain_signer(&chain.settings, &copy.deployment().await?.stores).await;
    let signer = signer.map_err(Failure::undone)?;
    let file = sign_document(&mut genesis, &*signer).await;
    let mut file = file.map_err(Failure::undone)?;
    file.push(b'\n');
    replace(&path, &file)
}
