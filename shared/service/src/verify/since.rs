//! Beginning at a size that is trusted: the tree up to there comes from the tiles
//! of a checkpoint, not from the segments.

use countersign_core::checkpoint::Checkpoint;
use countersign_core::merkle::tile::{TileBuilder, TileId, tiles_to_resume};
use countersign_core::names;

use super::fetch::get;
use super::history::Start;
use super::names::Names;
use crate::chain::Chain;
use crate::objects::MAX_SMALL_BYTES;

/// Checkpoints that are tried before the chain is read from its beginning.
const MAX_TRIES: usize = 8;

/// The tree at the newest usable checkpoint up to `size`. What lies between is
/// hashed again; whether the root is the trusted one shows then.
pub(super) async fn start(chain: &Chain, names: &Names, size: u64) -> Start {
    let upto = names.checkpoints.partition_point(|found| *found <= size);
    for found in names.checkpoints[..upto].iter().rev().take(MAX_TRIES) {
        if let Some(start) = at_checkpoint(chain, *found).await {
            return start;
        }
    }
    Start::empty()
}

/// Whether a segment begins at a size, or reading can begin there.
pub(super) fn is_boundary(names: &Names, size: u64) -> bool {
    let segment = names
        .segments
        .binary_search_by_key(&size, |(start, _)| *start);
    segment.is_ok() || names.has_checkpoint(size)
}

async fn at_checkpoint(chain: &Chain, size: u64) -> Option<Start> {
    let store = &*chain.sealed;
    let note = get(store, &names::checkpoint(size), MAX_SMALL_BYTES).await;
    let (checkpoint, _) = Checkpoint::open(&note.ok()?, &chain.key).ok()?;
    let mut tiles = Vec::new();
    for id in tiles_to_resume(size) {
        let bytes = get(store, &id.path(), MAX_SMALL_BYTES).await.ok()?;
        tiles.push((id, bytes));
    }
    let tile = |id: TileId| {
        let found = tiles.iter().find(|(known, _)| *known == id);
        found.map(|(_, bytes)| bytes.to_vec())
    };
    let builder = TileBuilder::resume(size, tile).ok()?;
    let frontier = builder.frontier();
    let holds = checkpoint.size == size && frontier.root() == checkpoint.root;
    holds.then_some(Start { builder, frontier })
}
