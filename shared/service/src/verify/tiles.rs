//! The stored tiles against those that the segments give.

use countersign_core::merkle::tile::{TileId, tiles_to_resume};
use countersign_store::SealedStore;
use futures_util::{StreamExt, stream};

use super::checks::{Check, Checks, Detail};
use super::codes;
use super::fetch::{Absent, get};
use super::names::{Tiles, reaches};
use crate::objects::MAX_SMALL_BYTES;

/// Compares stored tiles with the true ones at their place, which are as wide as
/// the tree is: every partial tile is the beginning of its wider ones.
pub(super) async fn compare(
    store: &dyn SealedStore,
    stored: &Tiles,
    published: u64,
    since: u64,
    concurrency: usize,
    truth: Vec<(TileId, Vec<u8>)>,
    checks: &mut Checks,
) {
    let mut jobs = Vec::new();
    for (nth, (id, _)) in truth.iter().enumerate() {
        if id.is_full() && stored.has(*id) {
            jobs.push((*id, nth));
        } else if id.is_full() && reaches(*id) <= u128::from(published) {
            checks.checked(Check::Tiles, 1);
            checks.find(&codes::TILE_MISSING, Detail::object(id.path()));
        }
        for &width in stored.widths(id.level, id.index) {
            let partial = TileId { width, ..*id };
            if width <= id.width && reaches(partial) > u128::from(since) {
                jobs.push((partial, nth));
            }
        }
    }
    let truth = &truth;
    let reads = stream::iter(jobs).map(|(id, nth)| async move {
        let read = get(store, &id.path(), MAX_SMALL_BYTES).await;
        let bytes = &truth[nth].1;
        (
            id,
            read.map(|found| bytes.get(..id.byte_len()) == Some(&found[..])),
        )
    });
    let mut reads = reads.buffer_unordered(concurrency.max(1));
    while let Some((id, read)) = reads.next().await {
        checks.checked(Check::Tiles, 1);
        match read {
            Ok(true) => {}
            Ok(false) => checks.find(&codes::TILE_DIFFERS, Detail::object(id.path())),
            Err(Absent::Missing) => checks.find(&codes::TILE_MISSING, Detail::object(id.path())),
            Err(Absent::Corrupt(why)) => {
                checks.find(&codes::TILE_DIFFERS, Detail::object(id.path()).found(why));
            }
            Err(Absent::Unreadable(why)) => checks.unknown(Check::Tiles, why),
        }
    }
}

/// The newest checkpoint's partial tiles stand there, and none reaches beyond
/// the segments.
pub(super) fn complete(stored: &Tiles, published: u64, end: u64, checks: &mut Checks) {
    if published <= end {
        for id in tiles_to_resume(published) {
            // Those that stand there were compared and counted.
            if !stored.has(id) {
                checks.checked(Check::Tiles, 1);
                checks.find(&codes::TILE_MISSING, Detail::object(id.path()));
            }
        }
    }
    for id in stored.beyond(end) {
        checks.checked(Check::Tiles, 1);
        let detail = Detail::object(id.path()).expected(format!("tiles of {end} leaves"));
        checks.find(&codes::TILE_BEYOND, detail);
    }
}
