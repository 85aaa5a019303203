//! Hash tiles (C2SP tlog-tiles): the tree as static objects of at most 256 hashes.
//!
//! Only hash tiles: records live in segments, not in entry bundles.

use std::fmt;

use super::{Frontier, HASH_BYTES, Hash, MAX_TREE_SIZE, hashes, perfect_root};

/// Hashes in a full tile.
pub const FULL_WIDTH: u16 = 256;

/// Bytes of a full tile.
const FULL_BYTES: usize = FULL_WIDTH as usize * HASH_BYTES;

/// Levels that a tree of `u64` leaves can have: 256^8 is 2^64.
const LEVELS: u8 = 8;

/// Names one tile.
///
/// Level 0 holds leaf hashes; each hash of level `l` is the root over 256^l leaves.
/// Orders by level, then from left to right, then by width.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TileId {
    /// The level, 0 for leaf hashes.
    pub level: u8,
    /// The position within the level, from 0.
    pub index: u64,
    /// How many hashes it holds: 1 to 255 in a partial tile, 256 in a full one.
    pub width: u16,
}

/// What is wrong with a set of tiles, or with a question about them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// A tile that is needed was not given.
    #[error("{tile} is missing")]
    Missing {
        /// The tile that is needed.
        tile: TileId,
    },
    /// A tile has the wrong number of bytes.
    #[error("{tile} has {found} bytes instead of {expected}")]
    Length {
        /// The tile.
        tile: TileId,
        /// 32 bytes for each hash of its width.
        expected: usize,
        /// The bytes it has.
        found: usize,
    },
    /// A tile is not part of a tree of this size, or not with this width.
    #[error("{tile} is not a tile of a tree of {size} leaves")]
    NotInTree {
        /// The tile.
        tile: TileId,
        /// The size of the tree.
        size: u64,
    },
    /// An index or an earlier size lies beyond the tree.
    #[error("{position} lies outside of a tree of {size} leaves")]
    OutOfRange {
        /// The index or the earlier size asked for.
        position: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The size is above [`MAX_TREE_SIZE`].
    #[error("a tree of {size} leaves is larger than any this program continues")]
    TooLarge {
        /// The size.
        size: u64,
    },
}

impl TileId {
    /// The path of the tile below the log's prefix, such as `tile/0/x001/x234/067.p/12`.
    #[must_use]
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// Reads a path. Anything but the one spelling that [`TileId::path`] writes is `None`.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (
                groups,
                width.parse().ok().filter(|w| (1..=255).contains(w))?,
            ),
            None => (rest, FULL_WIDTH),
        };
        let mut index = 0_u64;
        for group in groups.split('/') {
            let digits: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
            index = index.checked_mul(1000)?.checked_add(digits)?;
        }
        let tile = Self {
            level: level.parse().ok().filter(|l| *l < 64)?,
            index,
            width,
        };
        // Signs, leading zeros, empty groups and the like do not come back as they were.
        (tile.path() == path).then_some(tile)
    }

    /// Whether the tile holds all 256 hashes, and so never changes again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == FULL_WIDTH
    }

    /// The number of bytes of the tile.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        usize::from(self.width) * HASH_BYTES
    }

    /// Checks the length of the bytes that are said to be this tile.
    pub(super) fn check_len(self, bytes: &[u8]) -> Result<(), TileError> {
        let (expected, found) = (self.byte_len(), bytes.len());
        if expected == found {
            Ok(())
        } else {
            Err(TileError::Length {
                tile: self,
                expected,
                found,
            })
        }
    }
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        let mut unit = 1000_u64.pow(6); // u64::MAX has seven groups of three digits
        while unit > 1 {
            if self.index >= unit {
                write!(f, "x{:03}/", self.index / unit % 1000)?;
            }
            unit /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_full() {
            Ok(())
        } else {
            write!(f, ".p/{}", self.width)
        }
    }
}

/// The tile as it stands in a tree of `size` leaves: full, partial, or none.
#[must_use]
pub fn tile_at(level: u8, index: u64, size: u64) -> Option<TileId> {
    let (full, rest) = full_and_rest(level, size)?;
    match index.cmp(&full) {
        std::cmp::Ordering::Less => Some(TileId {
            level,
            index,
            width: FULL_WIDTH,
        }),
        std::cmp::Ordering::Equal if rest > 0 => Some(TileId {
            level,
            index,
            width: rest,
        }),
        _ => None,
    }
}

/// The partial tiles at the right edge of a tree of `size` leaves, lowest level first.
///
/// At most one per level, eight in all. They are what [`TileBuilder::resume`] needs.
#[must_use]
pub fn tiles_to_resume(size: u64) -> Vec<TileId> {
    (0..LEVELS)
        .filter_map(|level| {
            let (index, width) = full_and_rest(level, size)?;
            (width > 0).then_some(TileId {
                level,
                index,
                width,
            })
        })
        .collect()
}

/// Builds the tiles of a growing tree.
///
/// Holds the right edge of every level, 64 KiB at most, whatever the size of the tree.
#[derive(Clone, Debug, Default)]
pub struct TileBuilder {
    size: u64,
    /// Per level the bytes of its rightmost tile, which is not full.
    edge: Vec<Vec<u8>>,
}

impl TileBuilder {
    /// A builder for the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from a tree of `size` leaves, with the tiles of [`tiles_to_resume`].
    ///
    /// `tile` is asked for each of them once. Only lengths are checked: compare
    /// [`TileBuilder::root`] with a root that is known.
    ///
    /// # Errors
    ///
    /// When a tile is missing or has the wrong length, or the size is above [`MAX_TREE_SIZE`].
    pub fn resume(
        size: u64,
        mut tile: impl FnMut(TileId) -> Option<Vec<u8>>,
    ) -> Result<Self, TileError> {
        if size > MAX_TREE_SIZE {
            return Err(TileError::TooLarge { size });
        }
        let mut builder = Self {
            size,
            edge: vec![Vec::new(); usize::from(LEVELS)],
        };
        for id in tiles_to_resume(size) {
            let bytes = tile(id).ok_or(TileError::Missing { tile: id })?;
            id.check_len(&bytes)?;
            builder.edge[usize::from(id.level)] = bytes;
        }
        Ok(builder)
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree (RFC 6962 §2.1). Costs up to some 250 hashes per level.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier().root()
    }

    /// The frontier of the tree.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        frontier_of_edge(self.size, self.edge.iter().rev().map(Vec::as_slice))
    }

    /// Appends the hash of a leaf.
    ///
    /// Calls `full` for each tile that this leaf completes (lowest level first)
    /// with its 8192 bytes.
    pub fn push(&mut self, leaf: Hash, full: &mut impl FnMut(TileId, &[u8])) {
        // No overflow: sizes begin at MAX_TREE_SIZE at most and grow by one.
        self.size += 1;
        let mut hash = leaf;
        for level in 0..LEVELS {
            let at = usize::from(level);
            if self.edge.len() == at {
                self.edge.push(Vec::new());
            }
            let tile = &mut self.edge[at];
            tile.extend_from_slice(&hash.0);
            if tile.len() < FULL_BYTES {
                return;
            }
            // This leaf completes the tile, so the tiles of the level up to it are all there are.
            let index = (self.size >> (8 * u32::from(level)) >> 8).saturating_sub(1);
            full(
                TileId {
                    level,
                    index,
                    width: FULL_WIDTH,
                },
                tile,
            );
            hash = perfect_root(tile);
            tile.clear();
        }
    }

    /// The partial tiles at this size with their bytes, lowest level first: those of
    /// [`tiles_to_resume`].
    #[must_use]
    pub fn partial_tiles(&self) -> Vec<(TileId, Vec<u8>)> {
        tiles_to_resume(self.size)
            .into_iter()
            .zip(self.edge.iter().filter(|tile| !tile.is_empty()))
            .map(|(id, bytes)| (id, bytes.clone()))
            .collect()
    }
}

/// The frontier that the partial tiles of the right edge hold, given highest level first.
///
/// The bits of the size, eight per level, are the widths of these tiles, so the
/// perfect subtrees of the tree are those within the tiles.
pub(super) fn frontier_of_edge<'a>(size: u64, tiles: impl Iterator<Item = &'a [u8]>) -> Frontier {
    let mut nodes = Vec::new();
    for tile in tiles {
        let mut rest = tile;
        let width = hashes(tile).len();
        for bit in (0..8).rev().filter(|bit| width >> bit & 1 == 1) {
            let (subtree, right) = rest.split_at(HASH_BYTES << bit);
            nodes.push(perfect_root(subtree));
            rest = right;
        }
    }
    Frontier::from_subtrees(size, nodes)
}

/// How many full tiles a level has, and the width of the partial one after them.
fn full_and_rest(level: u8, size: u64) -> Option<(u64, u16)> {
    if level >= LEVELS {
        return None;
    }
    let count = size >> (8 * u32::from(level));
    Some((count >> 8, (count & 0xff) as u16))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::testing;
    use super::*;

    fn id(level: u8, index: u64, width: u16) -> TileId {
        TileId {
            level,
            index,
            width,
        }
    }

    #[test]
    fn paths_of_the_specification() {
        for (tile, path) in [
            (id(0, 0, 256), "tile/0/000"),
            (id(0, 999, 256), "tile/0/999"),
            (id(0, 1000, 1), "tile/0/x001/000.p/1"),
            (id(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (id(3, 1_234_067, 12), "tile/3/x001/x234/067.p/12"),
            (id(63, 5, 255), "tile/63/005.p/255"),
            (
                id(7, u64::MAX, 256),
                "tile/7/x018/x446/x744/x073/x709/x551/615",
            ),
        ] {
            assert_eq!(tile.path(), path);
            assert_eq!(TileId::parse(path), Some(tile));
        }
    }

    #[test]
    fn other_spellings_are_no_paths() {
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile//000",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/x000/000",
            "tile/0/x000",
            "tile/0/000/000",
            "tile/0/001/000",
            "tile/0/x001/x000",
            "tile/0/x001/x1/000",
            "tile/0/xx01/000",
            "tile/0/x001//000",
            "tile/00/000",
            "tile/+0/000",
            "tile/64/000",
            "tile/256/000",
            "tile/-1/000",
            "tile/0/+00",
            "tile/0/-00",
            "tile/0/0 0",
            "tile/0/000/",
            "/tile/0/000",
            "tile/0/000.p",
            "tile/0/000.p/",
            "tile/0/000.p/0",
            "tile/0/000.p/01",
            "tile/0/000.p/256",
            "tile/0/000.p/+1",
            "tile/0/000.p/1/",
            "tile/0/000.p/1.p/1",
            "tile/entries/000",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/0/٠٠٠",
        ] {
            assert_eq!(TileId::parse(path), None, "{path}");
        }
    }

    /// The example of the specification: 70,000 leaves.
    #[test]
    fn the_tiles_of_a_size() {
        assert_eq!(tile_at(0, 272, 70_000), Some(id(0, 272, 256)));
        assert_eq!(tile_at(0, 273, 70_000), Some(id(0, 273, 112)));
        assert_eq!(tile_at(0, 274, 70_000), None);
        assert_eq!(tile_at(1, 0, 70_000), Some(id(1, 0, 256)));
        assert_eq!(
            tiles_to_resume(70_000),
            [id(0, 273, 112), id(1, 1, 17), id(2, 0, 1)]
        );
        assert_eq!(tiles_to_resume(256), [id(1, 0, 1)]);
        assert_eq!(tile_at(0, 1, 256), None);
        assert_eq!(tiles_to_resume(0), []);
        assert_eq!(tile_at(0, 0, 0), None);
        assert_eq!(tiles_to_resume(u64::MAX).len(), 8);
        assert_eq!(tile_at(7, 0, u64::MAX), Some(id(7, 0, 255)));
        assert_eq!(tile_at(8, 0, u64::MAX), None);
        assert_eq!(tile_at(0, u64::MAX, u64::MAX), None);
        assert_eq!(tile_at(255, 0, u64::MAX), None);
    }

    /// Every tile, by the definition: hash `i` of tile `n` is MTH(D[(n·256+i)·256^l : …]).
    #[test]
    fn tiles_are_what_the_specification_defines() {
        for size in [
            0, 1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_000,
        ] {
            let leaves = testing::leaves(size);
            let tiles = testing::all_tiles(&leaves);
            let mut expected = BTreeMap::new();
            for level in 0..3_u8 {
                let span = 256_usize.pow(u32::from(level));
                let row: Vec<Hash> = leaves.chunks_exact(span).map(testing::root).collect();
                for (index, hashes) in row.chunks(256).enumerate() {
                    let tile = id(level, index as u64, hashes.len() as u16);
                    assert_eq!(tile_at(level, tile.index, size), Some(tile));
                    expected.insert(tile, hashes.iter().flat_map(|h| h.0).collect::<Vec<_>>());
                }
                assert_eq!(tile_at(level, row.len().div_ceil(256) as u64, size), None);
            }
            assert!(tiles == expected, "size {size}");
        }
    }

    #[test]
    fn full_tiles_come_lowest_level_first_with_their_bytes() {
        let leaves = testing::leaves(65_536);
        let mut builder = TileBuilder::new();
        for leaf in &leaves[..65_535] {
            builder.push(*leaf, &mut |_, _| {});
        }
        let mut seen = Vec::new();
        builder.push(leaves[65_535], &mut |id, bytes| {
            seen.push((id, bytes.len(), id.is_full()))
        });
        assert_eq!(
            seen,
            [(id(0, 255, 256), 8192, true), (id(1, 0, 256), 8192, true)]
        );
        assert_eq!(builder.root(), testing::root(&leaves));
        assert_eq!(builder.partial_tiles().len(), 1);
    }

    #[test]
    fn a_bad_tile_stops_resuming() {
        let resume = |bytes: Option<Vec<u8>>| TileBuilder::resume(3, |_| bytes.clone());
        let tile = id(0, 0, 3);
        assert_eq!(resume(None).unwrap_err(), TileError::Missing { tile });
        for found in [0, 64, 95, 97, 8192] {
            assert_eq!(
                resume(Some(vec![0; found])).unwrap_err(),
                TileError::Length {
                    tile,
                    expected: 96,
                    found
                }
            );
        }
        assert!(resume(Some(vec![0; 96])).is_ok());
        assert_eq!(
            TileBuilder::resume(u64::MAX, |_| None).unwrap_err(),
            TileError::TooLarge { size: u64::MAX }
        );
    }

    /// Sizes that no test can push to: all leaves the same.
    #[test]
    fn resumes_at_sizes_of_every_height() {
        let mut sizes = vec![0, 3 << 40, MAX_TREE_SIZE - 257];
        sizes.extend((0..64).map(|bit| 1_u64 << bit));
        sizes.extend((1..64).map(|bit| (1_u64 << bit) - 1));
        for size in sizes {
            let mut builder =
                TileBuilder::resume(size, |id| Some(testing::uniform_tile(id))).unwrap();
            assert_eq!(builder.root(), testing::uniform_root(size), "size {size}");
            let mut full = Vec::new();
            for _ in 0..257 {
                builder.push(testing::uniform(0), &mut |id, bytes| {
                    assert_eq!(bytes, testing::uniform_tile(id));
                    full.push(id);
                });
            }
            assert_eq!(builder.size(), size + 257);
            assert_eq!(builder.root(), testing::uniform_root(size + 257));
            assert_eq!(full[0], id(0, size / 256, 256));
            for (id, bytes) in builder.partial_tiles() {
                assert_eq!(bytes, testing::uniform_tile(id));
            }
        }
    }

    fn oracle_path(tile: TileId) -> String {
        let tile = tlog_tiles::Tile::new(8, tile.level, tile.index, tile.width.into(), false);
        tile.path().replacen("tile/8/", "tile/", 1)
    }

    proptest! {
        #[test]
        fn resumes_anywhere(size in 0_u64..1500, stop in 0_u64..1500) {
            let leaves = testing::leaves(size);
            let (before, after) = leaves.split_at(stop.min(size) as usize);
            let stored = testing::all_tiles(before);
            let mut asked = Vec::new();
            let mut builder = TileBuilder::resume(before.len() as u64, |id| {
                asked.push(id);
                stored.get(&id).cloned()
            }).unwrap();
            prop_assert_eq!(asked, tiles_to_resume(before.len() as u64));
            let mut tiles = stored.clone();
            tiles.retain(|id, _| id.is_full());
            after.iter().for_each(|leaf| {
                builder.push(*leaf, &mut |id, bytes| { tiles.insert(id, bytes.to_vec()); });
            });
            tiles.extend(builder.partial_tiles());
            prop_assert_eq!(builder.size(), size);
            prop_assert!(tiles == testing::all_tiles(&leaves));
            prop_assert_eq!(builder.root(), testing::root(&leaves));
            let mut frontier = Frontier::new();
            leaves.iter().for_each(|leaf| frontier.push(*leaf));
            prop_assert_eq!(builder.frontier(), frontier);
        }

        #[test]
        fn paths_agree_with_another_implementation(
            level in 0_u8..64, index: u64, shift in 0_u32..64, width in 1_u16..=256,
        ) {
            let tile = id(level, index >> shift, width);
            prop_assert_eq!(tile.path(), oracle_path(tile));
            prop_assert_eq!(TileId::parse(&tile.path()), Some(tile));
        }

        // No level above 63 and no width of 0: the other implementation panics at them.
        #[test]
        fn what_parses_is_canonical(path in "tile/[0-5]?[0-9x]/((x[0-9]{3}/){0,3}|[x0-9/+]{0,9})[0-9]{3}(\\.p/([0+]?[1-9]|[1-9][0-9]{1,2}))?") {
            let ours = TileId::parse(&path);
            prop_assert!(ours.is_none_or(|tile| tile.path() == path));
            let theirs = tlog_tiles::Tile::from_path(&path.replacen("tile/", "tile/8/", 1));
            prop_assert_eq!(
                ours.map(|t| (t.level, t.index, u32::from(t.width))),
                theirs.ok().map(|t| (t.level(), t.level_index(), t.width()))
            );
        }

        #[test]
        fn new_tiles_agree_with_another_implementation(old in 0_u64..200_000, more in 0_u64..200_000) {
            let size = old + more;
            let mut theirs: Vec<_> = tlog_tiles::Tile::new_tiles(8, old, size)
                .into_iter()
                .map(|t| id(t.level(), t.level_index(), t.width() as u16))
                .collect();
            theirs.sort();
            let mut ours = Vec::new();
            for level in 0..8 {
                for index in (old >> (8 * level) >> 8).. {
                    let Some(tile) = tile_at(level as u8, index, size) else { break };
                    if tile_at(level as u8, index, old) != Some(tile) {
                        ours.push(tile);
                    }
                }
            }
            prop_assert_eq!(ours, theirs);
        }
    }
}
