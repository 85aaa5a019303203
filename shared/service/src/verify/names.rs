//! What a chain's store holds, by name.

use std::collections::BTreeMap;

use countersign_core::merkle::tile::TileId;
use countersign_core::names::Object;
use countersign_store::{ObjectMeta, SealedStore};

use super::checks::{Check, Checks, Detail};
use super::codes;
use super::fetch::list;

/// The folders of a sealed store, in the order of their names.
const FOLDERS: [&str; 7] = [
    "anchors/",
    "checkpoints/",
    "evidence/",
    "index/",
    "reports/",
    "segments/",
    "tile/",
];

/// The names in a chain's store. Small entries: no object is held.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Sizes, ascending.
    pub(super) checkpoints: Vec<u64>,
    /// Sizes, ascending.
    pub(super) indexes: Vec<u64>,
    pub(super) tiles: Tiles,
    /// Starts, ascending, and the objects' bytes.
    pub(super) segments: Vec<(u64, u64)>,
}

impl Names {
    /// Lists all but the segments. Checkpoints come before indexes and those
    /// before tiles, the reverse of how they are written: what a listed object
    /// needs is then listed too.
    pub(super) async fn list_published(
        &mut self,
        store: &dyn SealedStore,
        checks: &mut Checks,
    ) -> Result<(), String> {
        let Self {
            checkpoints,
            indexes,
            tiles,
            ..
        } = self;
        list(store, "checkpoints/", None, |object| {
            if let Some(Object::Checkpoint { size }) = sorted(&object, checks) {
                checkpoints.push(size);
            }
            true
        })
        .await?;
        list(store, "index/", None, |object| {
            if let Some(Object::Index { size }) = sorted(&object, checks) {
                indexes.push(size);
            }
            true
        })
        .await?;
        list(store, "tile/", None, |object| {
            if let Some(Object::Tile(id)) = sorted(&object, checks) {
                tiles.insert(id);
            }
            true
        })
        .await?;
        for folder in ["anchors/", "evidence/", "reports/"] {
            list(store, folder, None, |object| {
                sorted(&object, checks);
                true
            })
            .await?;
        }
        outside_folders(store, checks).await
    }

    /// Lists the segments: last, so that all that was listed before has its own.
    pub(super) async fn list_segments(
        &mut self,
        store: &dyn SealedStore,
        checks: &mut Checks,
    ) -> Result<(), String> {
        list(store, "segments/", None, |object| {
            if let Some(Object::Segment { start }) = sorted(&object, checks) {
                self.segments.push((start, object.bytes));
            }
            true
        })
        .await
    }

    /// How many segments are to be read from `from` on, and their bytes.
    pub(super) fn work(&self, from: u64) -> (u64, u64) {
        let at = self.segments.partition_point(|(start, _)| *start < from);
        let rest = &self.segments[at..];
        let bytes = rest.iter().fold(0u64, |sum, (_, n)| sum.saturating_add(*n));
        (rest.len() as u64, bytes)
    }

    pub(super) fn has_checkpoint(&self, size: u64) -> bool {
        self.checkpoints.binary_search(&size).is_ok()
    }
}

/// What a name is, and that it belongs.
fn sorted(meta: &ObjectMeta, checks: &mut Checks) -> Option<Object> {
    checks.checked(Check::ObjectVersions, 1);
    let object = Object::parse(&meta.key).filter(|_| meta.valid_name);
    if object.is_none() {
        checks.find(&codes::STRAY_OBJECT, Detail::object(&meta.key));
    } else if !meta.regular {
        checks.find(&codes::NOT_REGULAR, Detail::object(&meta.key));
    }
    object
}

/// What stands beside the known folders. Leaps over these, which were listed.
async fn outside_folders(store: &dyn SealedStore, checks: &mut Checks) -> Result<(), String> {
    let mut after = None;
    loop {
        let mut entered = None;
        list(store, "", after.take(), |object| {
            entered = FOLDERS
                .iter()
                .find(|folder| object.key.starts_with(**folder));
            if entered.is_none() {
                sorted(&object, checks);
            }
            entered.is_none()
        })
        .await?;
        match entered {
            // Greater than every key in that folder.
            Some(folder) => after = Some(format!("{folder}{}", char::MAX)),
            None => return Ok(()),
        }
    }
}

/// The tiles that stand there: full ones as ranges, so that a long chain's take
/// no room.
#[derive(Debug, Default)]
pub(super) struct Tiles {
    /// Per level, ranges of full tiles: first to one past the last.
    full: BTreeMap<u8, BTreeMap<u64, u64>>,
    /// Widths of the partial tiles at a level and index, ascending.
    partial: BTreeMap<(u8, u64), Vec<u16>>,
}

impl Tiles {
    pub(super) fn insert(&mut self, id: TileId) {
        if !id.is_full() {
            let widths = self.partial.entry((id.level, id.index)).or_default();
            if let Err(at) = widths.binary_search(&id.width) {
                widths.insert(at, id.width);
            }
            return;
        }
        let ranges = self.full.entry(id.level).or_default();
        let Some(mut end) = id.index.checked_add(1) else {
            // An index past all trees: kept as the range that ends there.
            ranges.insert(id.index, id.index);
            return;
        };
        let mut start = id.index;
        if let Some((&before, &until)) = ranges.range(..=start).next_back()
            && until >= start
        {
            start = before;
            end = end.max(until);
        }
        if let Some(&until) = ranges.get(&end) {
            ranges.remove(&end);
            end = until;
        }
        ranges.insert(start, end);
    }

    pub(super) fn has(&self, id: TileId) -> bool {
        if !id.is_full() {
            return self
                .widths(id.level, id.index)
                .binary_search(&id.width)
                .is_ok();
        }
        let Some(ranges) = self.full.get(&id.level) else {
            return false;
        };
        let before = ranges.range(..=id.index).next_back();
        before.is_some_and(|(_, end)| *end > id.index)
    }

    /// The widths of the partial tiles at a place, ascending.
    pub(super) fn widths(&self, level: u8, index: u64) -> &[u16] {
        self.partial.get(&(level, index)).map_or(&[], Vec::as_slice)
    }

    /// Tiles that reach beyond a tree of that size; of a range only the first.
    pub(super) fn beyond(&self, size: u64) -> Vec<TileId> {
        let mut beyond = Vec::new();
        for (&level, ranges) in &self.full {
            let inside = full_tiles(level, size);
            for (&start, &end) in ranges {
                if end > inside || end == start {
                    let index = start.max(inside);
                    beyond.push(TileId {
                        level,
                        index,
                        width: 256,
                    });
                }
            }
        }
        for (&(level, index), widths) in &self.partial {
            let width = widths.last().copied().unwrap_or(0);
            let id = TileId {
                level,
                index,
                width,
            };
            if reaches(id) > u128::from(size) {
                beyond.push(id);
            }
        }
        beyond
    }
}

/// How many leaves a tree has at least that holds this tile.
pub(super) fn reaches(id: TileId) -> u128 {
    let hashes = u128::from(id.index) * 256 + u128::from(id.width);
    hashes << (8 * u32::from(id.level).min(7))
}

/// How many full tiles a level of a tree has.
fn full_tiles(level: u8, size: u64) -> u64 {
    let shift = 8 * (u32::from(level) + 1);
    size.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_kept_as_ranges() {
        let mut tiles = Tiles::default();
        let id = |index, width| TileId {
            level: 0,
            index,
            width,
        };
        for index in [0, 1, 5, 3, 4, 2] {
            tiles.insert(id(index, 256));
        }
        assert_eq!(tiles.full[&0], BTreeMap::from([(0, 6)]));
        tiles.insert(id(6, 3));
        tiles.insert(id(6, 1));
        assert!(tiles.has(id(5, 256)) && !tiles.has(id(6, 256)));
        assert!(tiles.has(id(6, 3)) && !tiles.has(id(6, 2)));
        assert!(tiles.beyond(6 * 256 + 3).is_empty());
        assert_eq!(tiles.beyond(6 * 256 + 2), [id(6, 3)]);
        assert_eq!(tiles.beyond(1024), [id(4, 256), id(6, 3)]);
        tiles.insert(id(u64::MAX, 256));
        assert_eq!(tiles.beyond(6 * 256 + 3), [id(u64::MAX, 256)]);
    }
}
