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
mod tests {
    use proptest::prelude::*;

    use super::super::testing;
    use super::*;

    fn flipped(hash: &Hash) -> Hash {
        let mut other = *hash;
        other.0[31] ^= 1;
        other
    }

    /// Each way to spoil a list of hashes a little.
    fn spoiled(path: &[Hash]) -> Vec<Vec<Hash>> {
        let mut all = Vec::new();
        for at in 0..path.len() {
            let mut other = path.to_vec();
            other[at] = flipped(&path[at]);
            all.push(other);
            let mut other = path.to_vec();
            other.remove(at);
            all.push(other);
        }
        for at in 0..=path.len() {
            let mut other = path.to_vec();
            other.insert(at, Hash::leaf(b"extra"));
            all.push(other);
        }
        all
    }

    #[test]
    fn every_proof_of_small_trees() {
        let all = testing::leaves(70);
        for size in 0..=all.len() {
            let leaves = &all[..size];
            let root = testing::root(leaves);
            let tiles = testing::all_tiles(leaves);
            let n = size as u64;
            assert_eq!(
                testing::set_of(n, &frontier_tiles(n), &tiles).root(),
                Ok(root)
            );
            for index in 0..size {
                let at = index as u64;
                let set = testing::set_of(n, &inclusion_tiles(at, n), &tiles);
                let path = set.inclusion(at).unwrap();
                assert_eq!(path, testing::inclusion(index, leaves), "{index} of {size}");
                assert_eq!(set.leaf(at), Ok(leaves[index]));
                assert_eq!(set.root(), Ok(root));
                assert_eq!(
                    verify_inclusion(&leaves[index], at, n, &path, &root),
                    Ok(())
                );
                for other in (0..size).filter(|other| *other != index) {
                    assert!(
                        verify_inclusion(&leaves[index], other as u64, n, &path, &root).is_err()
                    );
                    assert!(verify_inclusion(&leaves[other], at, n, &path, &root).is_err());
                }
            }
            for old in 0..=size {
                let from = old as u64;
                let set = testing::set_of(n, &consistency_tiles(from, n), &tiles);
                let path = set.consistency(from).unwrap();
                let expected = if old == 0 {
                    vec![]
                } else {
                    testing::consistency(old, leaves)
                };
                assert_eq!(path, expected, "{old} to {size}");
                assert_eq!(set.root(), Ok(root));
                let old_root = testing::root(&all[..old]);
                assert_eq!(verify_consistency(from, &old_root, n, &root, &path), Ok(()));
            }
        }
    }

    #[test]
    fn every_spoiled_proof_is_refused() {
        let all = testing::leaves(40);
        for size in [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 40] {
            let leaves = &all[..size];
            let (n, root) = (size as u64, testing::root(leaves));
            for index in 0..size {
                let (at, leaf) = (index as u64, &leaves[index]);
                let path = testing::inclusion(index, leaves);
                assert_eq!(
                    verify_inclusion(&flipped(leaf), at, n, &path, &root),
                    Err(ProofError::Root)
                );
                assert_eq!(
                    verify_inclusion(leaf, at, n, &path, &flipped(&root)),
                    Err(ProofError::Root)
                );
                for other in spoiled(&path) {
                    assert!(verify_inclusion(leaf, at, n, &other, &root).is_err());
                }
            }
            for old in 1..size {
                let (from, old_root) = (old as u64, testing::root(&leaves[..old]));
                let path = testing::consistency(old, leaves);
                let check = |old_root: &Hash, root: &Hash, path: &[Hash]| {
                    verify_consistency(from, old_root, n, root, path)
                };
                assert!(check(&flipped(&old_root), &root, &path).is_err());
                assert_eq!(
                    check(&old_root, &flipped(&root), &path),
                    Err(ProofError::Root)
                );
                for other in spoiled(&path) {
                    assert!(check(&old_root, &root, &other).is_err(), "{old} to {size}");
                }
                for other in (1..size).filter(|other| *other != old) {
                    let other_root = testing::root(&leaves[..other]);
                    assert!(check(&other_root, &root, &path).is_err());
                }
            }
        }
    }

    #[test]
    fn proofs_from_nothing_and_from_the_same_size() {
        let (empty, root) = (Hash::EMPTY_ROOT, Hash::leaf(b"a"));
        let check = verify_consistency;
        assert_eq!(check(0, &empty, 0, &empty, &[]), Ok(()));
        assert_eq!(check(0, &empty, 9, &root, &[]), Ok(()));
        assert_eq!(check(0, &empty, 0, &root, &[]), Err(ProofError::Root));
        assert_eq!(check(0, &root, 0, &root, &[]), Err(ProofError::OldRoot));
        assert_eq!(check(0, &root, 9, &root, &[]), Err(ProofError::OldRoot));
        assert_eq!(check(0, &empty, 9, &root, &[root]), Err(ProofError::Length));
        assert_eq!(check(9, &root, 9, &root, &[]), Ok(()));
        assert_eq!(
            check(9, &root, 9, &flipped(&root), &[]),
            Err(ProofError::Root)
        );
        assert_eq!(check(9, &root, 9, &root, &[root]), Err(ProofError::Length));
        assert_eq!(
            check(9, &root, 8, &root, &[]),
            Err(ProofError::OutOfRange {
                position: 9,
                size: 8
            })
        );
        assert_eq!(check(3, &root, 8, &root, &[]), Err(ProofError::Length));
        assert_eq!(check(4, &root, 8, &root, &[]), Err(ProofError::Length));
        assert_eq!(
            verify_inclusion(&root, 0, 0, &[], &root),
            Err(ProofError::OutOfRange {
                position: 0,
                size: 0
            })
        );
        assert_eq!(verify_inclusion(&root, 0, 1, &[], &root), Ok(()));
        assert_eq!(
            verify_inclusion(&root, 0, 1, &[root], &root),
            Err(ProofError::Length)
        );
    }

    #[test]
    fn at_the_boundaries_of_tiles() {
        let all = testing::leaves(66_000);
        for size in [
            255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_792, 66_000,
        ] {
            let leaves = &all[..size];
            let (n, root) = (size as u64, testing::root(leaves));
            let tiles = testing::all_tiles(leaves);
            let mut points = vec![0, 1, 254, 255, 256, 257, size / 2];
            points.extend([size - 1, size, 65_535, 65_536, 65_537]);
            points.extend([256, 255, 2].map(|back| size.saturating_sub(back)));
            for point in points.into_iter().filter(|point| *point <= size) {
                let at = point as u64;
                if point < size {
                    let ids = inclusion_tiles(at, n);
                    let set = testing::set_of(n, &ids, &tiles);
                    let path = set.inclusion(at).unwrap();
                    assert_eq!(path, testing::inclusion(point, leaves), "{point} of {size}");
                    assert_eq!(set.root(), Ok(root));
                    assert_eq!(
                        verify_inclusion(&leaves[point], at, n, &path, &root),
                        Ok(())
                    );
                }
                if point > 0 {
                    let ids = consistency_tiles(at, n);
                    let set = testing::set_of(n, &ids, &tiles);
                    let path = set.consistency(at).unwrap();
                    assert_eq!(
                        path,
                        testing::consistency(point, leaves),
                        "{point} to {size}"
                    );
                    let old_root = testing::root(&leaves[..point]);
                    assert_eq!(verify_consistency(at, &old_root, n, &root, &path), Ok(()));
                }
            }
        }
    }

    /// Each tile that is listed is needed for one of the answers.
    #[test]
    fn no_tile_is_listed_in_vain() {
        let n = 66_000;
        let tiles = testing::all_tiles(&testing::leaves(n));
        for at in [0, 255, 300, 65_535, 65_536, 65_999] {
            for (left_out, inclusion) in inclusion_tiles(at, n)
                .into_iter()
                .map(|id| (id, true))
                .chain(consistency_tiles(at, n).into_iter().map(|id| (id, false)))
            {
                let mut ids = if inclusion {
                    inclusion_tiles(at, n)
                } else {
                    consistency_tiles(at, n)
                };
                ids.retain(|id| *id != left_out);
                let set = testing::set_of(n, &ids, &tiles);
                let missing = TileError::Missing { tile: left_out };
                let proof = if inclusion {
                    set.inclusion(at)
                } else {
                    set.consistency(at)
                };
                assert!(
                    proof == Err(missing.clone())
                        || set.root() == Err(missing.clone())
                        || inclusion && set.leaf(at) == Err(missing),
                    "{left_out} at {at}"
                );
            }
        }
    }

    #[test]
    fn sets_refuse_what_is_not_theirs() {
        let mut set = TileSet::new(300);
        let id = |level, index, width| TileId {
            level,
            index,
            width,
        };
        for wrong in [
            id(0, 0, 255),
            id(0, 1, 43),
            id(0, 1, 256),
            id(0, 2, 1),
            id(2, 0, 1),
            id(9, 0, 1),
        ] {
            let bytes = vec![0; usize::from(wrong.width) * 32];
            assert_eq!(
                set.insert(wrong, &bytes),
                Err(TileError::NotInTree {
                    tile: wrong,
                    size: 300
                })
            );
        }
        let tile = id(0, 1, 44);
        for found in [0, 43 * 32, 44 * 32 + 1] {
            assert_eq!(
                set.insert(tile, &vec![0; found]),
                Err(TileError::Length {
                    tile,
                    expected: 44 * 32,
                    found
                })
            );
        }
        assert_eq!(set.insert(tile, &[0; 44 * 32]), Ok(()));
        let beyond = |position| TileError::OutOfRange {
            position,
            size: 300,
        };
        assert_eq!(set.leaf(300), Err(beyond(300)));
        assert_eq!(set.inclusion(u64::MAX), Err(beyond(u64::MAX)));
        assert_eq!(set.consistency(301), Err(beyond(301)));
        assert_eq!(
            set.leaf(0),
            Err(TileError::Missing {
                tile: id(0, 0, 256)
            })
        );
        assert_eq!(inclusion_tiles(300, 300), []);
        assert_eq!(consistency_tiles(301, 300), []);
    }

    /// The example in the project's notes: five leaves.
    #[test]
    fn worked_example() {
        let leaves = testing::leaves(5);
        let path = [
            "BJ19zbVrz+vTEzBMmDnxlqPUtu873AsIKY+TrIGR8Kg=",
            "J0ebarMh0u5HdFL2i6UndI6GPK/o+9HfK/idFXDRtpc=",
            "LyelCCwdQq+kiKw1Cp/EOQwIT1T3Hs3/hZ6Y24QptHk=",
            "GUu1otW9EOXRqm/V1CmAs1bK8dpiPNmYfEv6L4F3Htc=",
        ]
        .map(|hash| Hash::from_base64(hash).unwrap());
        let root = Hash::from_base64("GqaNMHSQWlgfhMu9D3U3lJBP2ARRvEwT5p2aU7xZUCw=").unwrap();
        let tiles = testing::all_tiles(&leaves);
        let set = testing::set_of(5, &consistency_tiles(3, 5), &tiles);
        assert_eq!(set.root(), Ok(root));
        assert_eq!(set.consistency(3).unwrap(), path);
        assert_eq!(set.inclusion(2).unwrap(), path[1..]);
        assert_eq!(
            verify_inclusion(&leaves[2], 2, 5, &path[1..], &root),
            Ok(())
        );
    }

    /// Sizes up to the largest: a tree whose leaves are all the same.
    #[test]
    fn proofs_in_trees_of_any_size() {
        let sizes = [
            (1 << 32) - 1,
            1 << 32,
            (1 << 40) + 12_345,
            (1 << 56) - 1,
            1 << 63,
            (1 << 63) + 1,
            u64::MAX - 1,
            u64::MAX,
        ];
        for size in sizes {
            let root = testing::uniform_root(size);
            let leaf = testing::uniform(0);
            for point in [
                0,
                1,
                255,
                256,
                1 << 31,
                size / 3,
                size / 2,
                size - 2,
                size - 1,
                size,
            ] {
                let ids = if point < size {
                    inclusion_tiles(point, size)
                } else {
                    consistency_tiles(point, size)
                };
                assert!(ids.len() <= 24, "{} tiles", ids.len());
                assert!(consistency_tiles(point, size).len() <= 24);
                let mut set = TileSet::new(size);
                for id in ids.into_iter().chain(consistency_tiles(point, size)) {
                    set.insert(id, &testing::uniform_tile(id)).unwrap();
                }
                if point < size {
                    let path = set.inclusion(point).unwrap();
                    assert!(path.len() <= 64);
                    assert_eq!(verify_inclusion(&leaf, point, size, &path, &root), Ok(()));
                    assert!(verify_inclusion(&leaf, point, size, &path[1..], &root).is_err());
                }
                let path = set.consistency(point).unwrap();
                let old_root = testing::uniform_root(point);
                assert_eq!(
                    verify_consistency(point, &old_root, size, &root, &path),
                    Ok(())
                );
                let expected = if size <= MAX_TREE_SIZE {
                    Ok(root)
                } else {
                    Err(TileError::TooLarge { size })
                };
                assert_eq!(set.root(), expected);
            }
        }
    }

    mod oracle {
        //! The same questions to another implementation.

        pub use tlog_tiles::{Error, Hash, HashReader, check_record, check_tree};
        use tlog_tiles::{prove_record, prove_tree, stored_hashes_for_record_hash, tree_hash};

        pub struct Stored(Vec<Hash>);

        impl HashReader for Stored {
            fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
                Ok(indexes.iter().map(|&i| self.0[i as usize]).collect())
            }
        }

        impl Stored {
            pub fn new(leaves: &[super::Hash]) -> Self {
                let mut stored = Self(Vec::new());
                for (n, leaf) in leaves.iter().enumerate() {
                    let new = stored_hashes_for_record_hash(n as u64, Hash(leaf.0), &stored);
                    stored.0.extend(new.unwrap());
                }
                stored
            }

            pub fn root(&self, size: u64) -> super::Hash {
                super::Hash(tree_hash(size, self).unwrap().0)
            }

            pub fn inclusion(&self, index: u64, size: u64) -> Vec<super::Hash> {
                ours(prove_record(size, index, self).unwrap())
            }

            pub fn consistency(&self, old: u64, size: u64) -> Vec<super::Hash> {
                ours(prove_tree(size, old, self).unwrap())
            }
        }

        fn ours(path: Vec<Hash>) -> Vec<super::Hash> {
            path.into_iter().map(|hash| super::Hash(hash.0)).collect()
        }
    }

    #[test]
    fn proofs_agree_with_another_implementation() {
        let leaves = testing::leaves(1000);
        let stored = oracle::Stored::new(&leaves);
        for size in [1, 2, 3, 6, 63, 64, 100, 255, 256, 257, 600, 768, 999, 1000] {
            let tiles = testing::all_tiles(&leaves[..size as usize]);
            let ids: Vec<TileId> = tiles.keys().copied().collect();
            let set = testing::set_of(size, &ids, &tiles);
            assert_eq!(set.root(), Ok(stored.root(size)));
            for point in 0..size {
                assert_eq!(set.inclusion(point).unwrap(), stored.inclusion(point, size));
                assert_eq!(
                    set.consistency(point + 1).unwrap(),
                    stored.consistency(point + 1, size)
                );
            }
        }
    }

    proptest! {
        /// Made-up proofs: both implementations accept the same ones.
        #[test]
        fn verdicts_agree_with_another_implementation(
            size in 1_u64..40,
            point in 0_u64..40,
            picks in prop::collection::vec(0_usize..8, 0..8),
            real: bool,
        ) {
            let leaves = testing::leaves(size);
            let stored = oracle::Stored::new(&leaves);
            let point = point % size;
            let (root, old) = (stored.root(size), point + 1);
            let old_root = stored.root(old);
            let theirs = |hash: &Hash| oracle::Hash(hash.0);
            // Parts of real proofs and of the tree, so that some of it fits.
            let mut pool = stored.inclusion(point, size);
            pool.extend(stored.consistency(old, size));
            pool.extend([root, old_root, leaves[0]]);
            let made_up: Vec<Hash> = picks.iter().map(|i| pool[i % pool.len()]).collect();
            let path = if real { stored.inclusion(point, size) } else { made_up.clone() };
            let their_path = path.iter().map(theirs).collect();
            let leaf = &leaves[point as usize];
            prop_assert_eq!(
                verify_inclusion(leaf, point, size, &path, &root).is_ok(),
                oracle::check_record(&their_path, size, theirs(&root), point, theirs(leaf)).is_ok()
            );
            let path = if real { stored.consistency(old, size) } else { made_up };
            let their_path = path.iter().map(theirs).collect();
            prop_assert_eq!(
                verify_consistency(old, &old_root, size, &root, &path).is_ok(),
                oracle::check_tree(&their_path, size, theirs(&root), old, theirs(&old_root)).is_ok()
            );
        }

        /// Sizes and proofs from outside, of any kind: refused, without a panic.
        #[test]
        fn hostile_numbers_are_refused(
            a: u64, b: u64, c in 0_u32..64, len in 0_usize..70,
        ) {
            let path = vec![Hash::leaf(b"x"); len];
            for (a, b) in [(a, b), (a, a), (a >> c, b), (a, u64::MAX), (u64::MAX >> c, u64::MAX)] {
                prop_assert!(verify_inclusion(&Hash::leaf(b"y"), a, b, &path, &Hash::EMPTY_ROOT).is_err());
                prop_assert!(
                    verify_consistency(a, &Hash::leaf(b"y"), b, &Hash::EMPTY_ROOT, &path).is_err()
                );
                prop_assert!(inclusion_tiles(a, b).len() <= 24);
                prop_assert!(consistency_tiles(a, b).len() <= 24);
            }
        }
    }
}
