//! Publication: tiles, a signed index and a checkpoint up to the head, of what
//! was read back and hashed again.

use bytes::Bytes;
use countersign_core::checkpoint::{Checkpoint, CheckpointError};
use countersign_core::index::{Index, IndexLine, Summary, inspect};
use countersign_core::keys::SignError;
use countersign_core::merkle::Hash;
use countersign_core::merkle::tile::{TileBuilder, TileError, TileId, tiles_to_resume};
use countersign_core::names;
use countersign_core::record::{ANCHOR_SOURCE, RecordReader};
use countersign_core::segment::{FrameError, Segment, body_sha256};
use countersign_store::{GetError, ListError};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::chain::Chain;
use crate::keys::sign_document;
use crate::objects::{
    MAX_OBJECT_BYTES, MAX_SMALL_BYTES, WriteError, newest_checkpoint, put_same, put_with,
};
use crate::seal::{SealError, Sealer, ZSTD_LEVEL};

/// A tail of anchor records alone is published once its oldest is this old, so
/// that idle chains do not feed each other.
pub const ANCHOR_TAIL_MILLIS: i64 = 3_600_000;

/// An index is cut off, and its size published, at about this many bytes of lines.
const MAX_INDEX_BYTES: usize = 16 << 20;

/// Tiles that are written at a time.
const CONCURRENT_TILES: usize = 8;

/// A publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The size published before.
    pub from: u64,
    /// The size published now.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// Why a chain is not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The head cannot be loaded or moved.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What is stored is not what the chain's head says.
    #[error("ALARM: {object} of {origin} {problem}; nothing is signed over it: run verify")]
    Alarm {
        /// The chain.
        origin: String,
        /// The object.
        object: String,
        /// What is wrong.
        problem: String,
    },
    /// An object cannot be read.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The store cannot be listed.
    #[error(transparent)]
    List(#[from] ListError),
    /// An object cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The index cannot be made.
    #[error(transparent)]
    Index(#[from] FrameError),
    /// The key cannot sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The checkpoint cannot be made.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Publishes a chain up to its head. None if there is nothing new, or nothing
/// but anchor records that are still young.
///
/// # Errors
/// When something cannot be read or written, or does not hold.
pub async fn publish(sealer: &mut Sealer) -> Result<Option<Published>, PublishError> {
    let mut published: Option<Published> = None;
    loop {
        let mut head = sealer.load_and_adopt().await?.clone();
        let chain = sealer.chain().clone();
        let newest = newest_checkpoint(&*chain.sealed, head.published).await?;
        let from = newest.unwrap_or(0);
        if from > head.size() {
            // Others may have sealed and published since the head was loaded.
            head = sealer.load_and_adopt().await?.clone();
        }
        if from > head.size() {
            return Err(alarm(
                &chain,
                &names::checkpoint(from),
                "is ahead of the head",
            ));
        }
        if from > head.published {
            sealer.published(from).await?;
        }
        if from == head.size() {
            return Ok(published);
        }
        let run = Run::resume(&chain, from).await?;
        let Some(run) = run
            .read_to(head.size(), head.root(), sealer.clock().unix_millis())
            .await?
        else {
            return Ok(published);
        };
        let (size, root) = (run.builder.size(), run.builder.root());
        run.write(sealer).await?;
        sealer.published(size).await?;
        let from = published.map_or(from, |earlier| earlier.from);
        published = Some(Published { from, size, root });
        if size == head.size() {
            return Ok(published);
        }
    }
}

/// One publication in the making.
struct Run<'a> {
    chain: &'a Chain,
    from: u64,
    builder: TileBuilder,
    lines: Vec<IndexLine>,
}

impl<'a> Run<'a> {
    /// Goes on from the newest checkpoint, whose tiles must give its root.
    async fn resume(chain: &'a Chain, from: u64) -> Result<Self, PublishError> {
        let mut builder = TileBuilder::new();
        if from > 0 {
            let name = names::checkpoint(from);
            let bytes = chain.sealed.get(&name, MAX_SMALL_BYTES).await?;
            let (checkpoint, _) = Checkpoint::open(&bytes, &chain.key)
                .map_err(|error| alarm(chain, &name, &format!("does not hold: {error}")))?;
            let mut tiles = Vec::new();
            for id in tiles_to_resume(from) {
                tiles.push((id, chain.sealed.get(&id.path(), MAX_SMALL_BYTES).await?));
            }
            let tile = |id: TileId| {
                let found = tiles.iter().find(|(known, _)| *known == id);
                found.map(|(_, bytes)| bytes.to_vec())
            };
            builder = TileBuilder::resume(from, tile).map_err(|error: TileError| {
                alarm(
                    chain,
                    &name,
                    &format!("has tiles that do not hold: {error}"),
                )
            })?;
            if checkpoint.size != from || builder.root() != checkpoint.root {
                return Err(alarm(
                    chain,
                    &name,
                    "has another root than the tiles at its size",
                ));
            }
        }
        Ok(Self {
            chain,
            from,
            builder,
            lines: Vec::new(),
        })
    }

    /// Reads back the segments up to the head, writing tiles as they fill. None if
    /// there is nothing to publish yet.
    async fn read_to(
        mut self,
        size: u64,
        root: Hash,
        now_millis: u64,
    ) -> Result<Option<Self>, PublishError> {
        let mut reader = RecordReader::default();
        let mut index_bytes = 0;
        let mut oldest_anchor = None;
        let mut only_anchors = true;
        while self.builder.size() < size && index_bytes < MAX_INDEX_BYTES {
            let start = self.builder.size();
            let name = names::segment(start);
            let object = match self.chain.sealed.get(&name, MAX_OBJECT_BYTES).await {
                Err(GetError::NotFound { .. }) => {
                    return Err(alarm(self.chain, &name, "is missing below the head"));
                }
                object => object?,
            };
            let segment = Segment::open(&object, &self.chain.key)
                .map_err(|error| alarm(self.chain, &name, &format!("does not hold: {error}")))?;
            let header = &segment.header;
            if header.start != start || header.end > size || header.prev != self.builder.root() {
                return Err(alarm(self.chain, &name, "does not continue the chain"));
            }
            let (summary, bad) = inspect(&segment, &mut reader, |_, _, _| ());
            if let Some(bad) = bad.first.first() {
                return Err(alarm(self.chain, &name, &bad.to_string()));
            }
            only_anchors &= is_anchors_alone(&summary);
            oldest_anchor.get_or_insert(header.sealed_at_millis());
            let line = IndexLine::new(header, &summary, body_sha256(&object), object.len() as u64);
            index_bytes += 512 + header.deliveries.len() * 384;
            self.lines.push(line);
            let mut tiles = Vec::new();
            for leaf in segment.leaves() {
                let mut full = |id, bytes: &[u8]| tiles.push((id, Bytes::copy_from_slice(bytes)));
                self.builder.push(*leaf, &mut full);
            }
            // A tail that is not published now leaves its tiles: they are right.
            self.write_tiles(tiles, now_millis).await?;
        }
        let reached = self.builder.size();
        if reached == size && self.builder.root() != root {
            return Err(alarm(
                self.chain,
                "the head",
                "has another root than the stored segments",
            ));
        }
        let waits = oldest_anchor.is_none_or(|oldest| {
            only_anchors && (now_millis as i64).saturating_sub(oldest) < ANCHOR_TAIL_MILLIS
        });
        Ok((!waits).then_some(self))
    }

    /// Writes the partial tiles, the index and the checkpoint, in this order.
    async fn write(&self, sealer: &Sealer) -> Result<(), PublishError> {
        let now_millis = sealer.clock().unix_millis();
        let retention = self.chain.retention(now_millis);
        let partial = self.builder.partial_tiles().into_iter();
        self.write_tiles(partial.map(|(id, bytes)| (id, bytes.into())), now_millis)
            .await?;
        let (origin, size) = (self.chain.origin(), self.builder.size());
        let (mut header, body) = Index::unsigned(origin, self.from, size, &self.lines);
        let header = sign_document(&mut header, sealer.signer()).await?;
        let index = Index::encode(&header, &body, ZSTD_LEVEL)?;
        let name = names::index(size);
        let right = |found: &Bytes| self.is_right_index(found);
        put_with(&*self.chain.sealed, &name, &index.into(), retention, right).await?;
        let checkpoint = Checkpoint {
            origin: origin.to_owned(),
            size,
            root: self.builder.root(),
        };
        let signature = sealer.signer().sign(checkpoint.body().as_bytes()).await?;
        let note = checkpoint.note_with(sealer.signer().key(), &signature)?;
        let note = note.to_string();
        let name = names::checkpoint(size);
        put_same(
            &*self.chain.sealed,
            &name,
            &note.into_bytes().into(),
            retention,
        )
        .await?;
        Ok(())
    }

    async fn write_tiles(
        &self,
        tiles: impl IntoIterator<Item = (TileId, Bytes)>,
        now_millis: u64,
    ) -> Result<(), PublishError> {
        let retention = self.chain.retention(now_millis);
        let store = &*self.chain.sealed;
        stream::iter(tiles)
            .map(|(id, bytes)| async move { put_same(store, &id.path(), &bytes, retention).await })
            .buffer_unordered(CONCURRENT_TILES)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    /// Whether an index that stands there says of our segments what ours says. It
    /// may begin elsewhere: another run knew another newest checkpoint.
    fn is_right_index(&self, found: &Bytes) -> bool {
        let Ok(index) = Index::open(found, &self.chain.key) else {
            return false;
        };
        let first = index.header.from.max(self.from);
        let since = |line: &&IndexLine| line.start >= first;
        let meanings = |lines: &[IndexLine]| -> Vec<_> {
            lines.iter().filter(since).map(IndexLine::meaning).collect()
        };
        index.header.size == self.builder.size() && meanings(&index.lines) == meanings(&self.lines)
    }
}

/// Whether a segment holds anchor records and no others.
pub fn is_anchors_alone(summary: &Summary) -> bool {
    summary.sources.len() == 1 && summary.sources.contains_key(ANCHOR_SOURCE)
}

fn alarm(chain: &Chain, object: &str, problem: &str) -> PublishError {
    PublishError::Alarm {
        origin: chain.origin().to_owned(),
        object: object.to_owned(),
        problem: problem.to_owned(),
    }
}
