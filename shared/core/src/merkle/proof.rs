//! Inclusion and consistency proofs (RFC 6962 §2.1.1, §2.1.2): made from tiles, and verified.

use std::collections::{BTreeMap, BTreeSet};

use super::tile::{TileError, TileId, frontier_of_edge, tile_at, tiles_to_resume};
use super::{Frontier, HASH_BYTES, Hash, MAX_TREE_SIZE, perfect_root};

/// Why a proof does not show what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index or the old size lies beyond the tree.
    #[error("{position} lies outside of a tree of {size} leaves")]
    OutOfRange {
        /// The index, or the old size.
        position: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The proof has too few or too many hashes for these sizes.
    #[error("the proof does not have the number of hashes that these sizes need")]
    Length,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
    /// The hashes lead to another root of the old size.
    #[error("the proof leads to another root at the old size")]
    OldRoot,
}

/// The tiles needed for [`TileSet::inclusion`] and [`TileSet::leaf`] of a leaf, and for
/// [`TileSet::root`].
///
/// Each at its width in a tree of `size` leaves, in order and without duplicates;
/// O(log size) of them. None when the index lies beyond the tree.
#[must_use]
pub fn inclusion_tiles(index: u64, size: u64) -> Vec<TileId> {
    if index >= size {
        return Vec::new();
    }
    // The leaf itself stands beside its sibling or, when it has none, at the right edge.
    tiles_of(&inclusion_ranges(index, size), size)
        .into_iter()
        .collect()
}

/// The tiles needed for [`TileSet::consistency`] from the `old` size, and for [`TileSet::root`].
///
/// Each at its width in a tree of `size` leaves, in order and without duplicates;
/// O(log size) of them. None when `old` lies beyond the tree.
#[must_use]
pub fn consistency_tiles(old: u64, size: u64) -> Vec<TileId> {
    if old > size {
        return Vec::new();
    }
    tiles_of(&consistency_ranges(old, size), size)
        .into_iter()
        .collect()
}

/// The tiles needed for [`TileSet::root`] and [`TileSet::frontier`]: the partial ones of the
/// right edge, eight at most.
#[must_use]
pub fn frontier_tiles(size: u64) -> Vec<TileId> {
    tiles_to_resume(size)
}

/// Tiles of a tree of one size, gathered by the caller; answers with roots and proofs.
///
/// What it answers is as good as the tiles: compare [`TileSet::root`] with a root that is
/// known, or verify the proof.
#[derive(Clone, Debug)]
pub struct TileSet {
    size: u64,
    tiles: BTreeMap<TileId, Vec<u8>>,
}

impl TileSet {
    /// No tiles yet, of a tree of `size` leaves.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self {
            size,
            tiles: BTreeMap::new(),
        }
    }

    /// Adds a tile, or replaces it.
    ///
    /// # Errors
    ///
    /// When a tree of this size has no such tile (or has it at another width), or the
    /// bytes do not have its length.
    pub fn insert(&mut self, id: TileId, bytes: &[u8]) -> Result<(), TileError> {
        if tile_at(id.level, id.index, self.size) != Some(id) {
            return Err(TileError::NotInTree {
                tile: id,
                size: self.size,
            });
        }
        id.check_len(bytes)?;
        self.tiles.insert(id, bytes.to_vec());
        Ok(())
    }

    /// The root of the tree. Needs [`frontier_tiles`].
    ///
    /// # Errors
    ///
    /// As [`TileSet::frontier`].
    pub fn root(&self) -> Result<Hash, TileError> {
        Ok(self.frontier()?.root())
    }

    /// The frontier of the tree. Needs [`frontier_tiles`].
    ///
    /// # Errors
    ///
    /// When one of them is missing, or the size is above [`MAX_TREE_SIZE`].
    pub fn frontier(&self) -> Result<Frontier, TileError> {
        if self.size > MAX_TREE_SIZE {
            return Err(TileError::TooLarge { size: self.size });
        }
        let edge = frontier_tiles(self.size);
        let tiles: Vec<&[u8]> = edge
            .iter()
            .rev()
            .map(|&id| self.tile(id))
            .collect::<Result<_, _>>()?;
        Ok(frontier_of_edge(self.size, tiles.into_iter()))
    }

    /// The hash of the leaf at `index`.
    ///
    /// # Errors
    ///
    /// When the index lies beyond the tree, or the tile is missing.
    pub fn leaf(&self, index: u64) -> Result<Hash, TileError> {
        if index >= self.size {
            return Err(TileError::OutOfRange {
                position: index,
                size: self.size,
            });
        }
        self.node(Node { height: 0, index })
    }

    /// The inclusion proof of the leaf at `index`, from the leaf's sibling to the root's child
    /// (RFC 6962 §2.1.1). Needs [`inclusion_tiles`].
    ///
    /// # Errors
    ///
    /// When the index lies beyond the tree, or a tile is missing.
    pub fn inclusion(&self, index: u64) -> Result<Vec<Hash>, TileError> {
        if index >= self.size {
            return Err(TileError::OutOfRange {
                position: index,
                size: self.size,
            });
        }
        inclusion_ranges(index, self.size)
            .iter()
            .map(|range| self.range(range))
            .collect()
    }

    /// The consistency proof from the tree of `old` leaves to this one (RFC 6962 §2.1.2);
    /// empty from size 0 and from the same size. Needs [`consistency_tiles`].
    ///
    /// # Errors
    ///
    /// When `old` is larger than the tree, or a tile is missing.
    pub fn consistency(&self, old: u64) -> Result<Vec<Hash>, TileError> {
        if old > self.size {
            return Err(TileError::OutOfRange {
                position: old,
                size: self.size,
            });
        }
        consistency_ranges(old, self.size)
            .iter()
            .map(|range| self.range(range))
            .collect()
    }

    fn tile(&self, id: TileId) -> Result<&[u8], TileError> {
        self.tiles
            .get(&id)
            .map(Vec::as_slice)
            .ok_or(TileError::Missing { tile: id })
    }

    /// The root over a range of leaves.
    fn range(&self, range: &Range) -> Result<Hash, TileError> {
        let mut root = None;
        for node in range.nodes().into_iter().rev() {
            let left = self.node(node)?;
            root = Some(match root {
                Some(right) => Hash::node(&left, &right),
                None => left,
            });
        }
        Ok(root.unwrap_or(Hash::EMPTY_ROOT))
    }

    /// The root of a perfect subtree, from the one tile that holds it.
    fn node(&self, node: Node) -> Result<Hash, TileError> {
        let (level, first, count) = node.place();
        let out_of_range = TileError::OutOfRange {
            position: node.index,
            size: self.size,
        };
        let id = tile_at(level, first >> 8, self.size).ok_or(out_of_range.clone())?;
        let start = (first & 0xff) as usize * HASH_BYTES;
        let bytes = self
            .tile(id)?
            .get(start..start + count * HASH_BYTES)
            .ok_or(out_of_range)?;
        Ok(perfect_root(bytes))
    }
}

/// Verifies that `leaf` is the leaf at `index` of the tree of `size` leaves with this `root`
/// (RFC 6962 §2.1.1, by the algorithm of RFC 9162 §2.1.3.2).
///
/// # Errors
///
/// [`ProofError`] when it is not shown. Work is bounded by the length of the path.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange {
            position: index,
            size,
        });
    }
    let mut climb = Climb {
        node: index,
        last: size - 1,
    };
    let mut hash = *leaf;
    for sibling in path {
        hash = match climb.step()? {
            Side::Left => Hash::node(sibling, &hash),
            Side::Right => Hash::node(&hash, sibling),
        };
    }
    climb.finish()?;
    if hash == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// Verifies that the tree of `size` leaves with `root` begins with the tree of `old` leaves with
/// `old_root` (RFC 6962 §2.1.2, by the algorithm of RFC 9162 §2.1.4.2).
///
/// From size 0 the proof is empty and `old_root` the root of the empty tree; from the same size
/// the proof is empty and the roots are equal.
///
/// # Errors
///
/// [`ProofError`] when it is not shown. Work is bounded by the length of the path.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    size: u64,
    root: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    if old > size {
        return Err(ProofError::OutOfRange {
            position: old,
            size,
        });
    }
    if old == 0 && *old_root != Hash::EMPTY_ROOT {
        return Err(ProofError::OldRoot);
    }
    if old == 0 || old == size {
        return match path {
            [_, ..] => Err(ProofError::Length),
            [] if old == size && old_root != root => Err(ProofError::Root),
            [] => Ok(()),
        };
    }
    // An old tree that is perfect is a node of the new one; the proof leaves it out.
    let (first, rest) = if old.is_power_of_two() {
        (old_root, path)
    } else {
        path.split_first().ok_or(ProofError::Length)?
    };
    let mut climb = Climb {
        node: old - 1,
        last: size - 1,
    };
    climb.up(climb.node.trailing_ones());
    let (mut old_hash, mut hash) = (*first, *first);
    for sibling in rest {
        match climb.step()? {
            Side::Left => {
                old_hash = Hash::node(sibling, &old_hash);
                hash = Hash::node(sibling, &hash);
            }
            Side::Right => hash = Hash::node(&hash, sibling),
        }
    }
    climb.finish()?;
    if old_hash != *old_root {
        return Err(ProofError::OldRoot);
    }
    if hash == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// The way from a node to the root.
struct Climb {
    /// The node's index at its height.
    node: u64,
    /// The index of the last node at that height.
    last: u64,
}

/// On which side of the node its sibling stands.
enum Side {
    Left,
    Right,
}

impl Climb {
    /// Where the next sibling stands; moves to the parent.
    fn step(&mut self) -> Result<Side, ProofError> {
        if self.last == 0 {
            return Err(ProofError::Length);
        }
        if self.node & 1 == 1 || self.node == self.last {
            // The last node of a row that is even has no sibling there: it moves up as it is.
            self.up(self.node.trailing_zeros() + 1);
            Ok(Side::Left)
        } else {
            self.up(1);
            Ok(Side::Right)
        }
    }

    /// Checks that the root is reached.
    fn finish(self) -> Result<(), ProofError> {
        if self.last == 0 {
            Ok(())
        } else {
            Err(ProofError::Length)
        }
    }

    fn up(&mut self, heights: u32) {
        self.node = self.node.checked_shr(heights).unwrap_or(0);
        self.last = self.last.checked_shr(heights).unwrap_or(0);
    }
}

/// The leaves `[start, end)`, as RFC 6962 splits a tree: `start` is a multiple of the smallest
/// power of two that is not below the length.
struct Range {
    start: u64,
    end: u64,
}

impl Range {
    fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Where RFC 6962 splits a range of two leaves or more: after the largest power of two
    /// below its length.
    fn middle(&self) -> u64 {
        self.start + (1 << (self.len() - 1).ilog2())
    }

    /// The perfect subtrees that make up the range, left to right.
    fn nodes(&self) -> Vec<Node> {
        let mut start = self.start;
        (0..u64::BITS)
            .rev()
            .filter(|height| self.len() >> height & 1 == 1)
            .map(|height| {
                let node = Node {
                    height,
                    index: start >> height,
                };
                start += 1 << height;
                node
            })
            .collect()
    }
}

/// A perfect subtree: the leaves from `index << height` to `(index + 1) << height`.
#[derive(Clone, Copy)]
struct Node {
    height: u32,
    index: u64,
}

impl Node {
    /// The tile level that holds the node, the first hash of that level below it, and how many.
    fn place(self) -> (u8, u64, usize) {
        let within = self.height % 8;
        ((self.height / 8) as u8, self.index << within, 1 << within)
    }

    fn tile(self, size: u64) -> Option<TileId> {
        let (level, first, _) = self.place();
        tile_at(level, first >> 8, size)
    }
}

/// The ranges whose roots are the inclusion proof, in its order.
fn inclusion_ranges(index: u64, size: u64) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut tree = Range {
        start: 0,
        end: size,
    };
    while tree.len() > 1 {
        let middle = tree.middle();
        let (left, right) = (
            Range {
                start: tree.start,
                end: middle,
            },
            Range {
                start: middle,
                end: tree.end,
            },
        );
        let (inside, sibling) = if index < middle {
            (left, right)
        } else {
            (right, left)
        };
        ranges.push(sibling);
        tree = inside;
    }
    ranges.reverse();
    ranges
}

/// The ranges whose roots are the consistency proof, in its order.
fn consistency_ranges(old: u64, size: u64) -> Vec<Range> {
    let mut ranges = Vec::new();
    if old == 0 {
        return ranges;
    }
    let mut tree = Range {
        start: 0,
        end: size,
    };
    while old != tree.end {
        let middle = tree.middle();
        let (left, right) = (
            Range {
                start: tree.start,
                end: middle,
            },
            Range {
                start: middle,
                end: tree.end,
            },
        );
        let (inside, sibling) = if old <= middle {
            (left, right)
        } else {
            (right, left)
        };
        ranges.push(sibling);
        tree = inside;
    }
    // The verifier knows the old root, so it is left out where it is a node itself.
    if tree.start != 0 {
        ranges.push(tree);
    }
    ranges.reverse();
    ranges
}

/// The tiles that hold these ranges, and those of the right edge.
fn tiles_of(ranges: &[Range], size: u64) -> BTreeSet<TileId> {
    ranges
        .iter()
        .flat_map(Range::nodes)
        .filter_map(|node| node.tile(size))
        .chain(frontier_tiles(size))
        .collect()
}

#[cfg(test)]
mod tests;
