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
