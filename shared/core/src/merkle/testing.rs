//! What the tests of this module compare with: RFC 6962 §2.1 written down as it stands there.

use std::collections::BTreeMap;

use super::Hash;
use super::proof::TileSet;
use super::tile::{TileBuilder, TileId};

/// `count` different leaf hashes.
pub(super) fn leaves(count: u64) -> Vec<Hash> {
    (0..count)
        .map(|i| Hash::leaf(format!("entry-{i}").as_bytes()))
        .collect()
}

/// The largest power of two below `n`.
fn split(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// MTH(D).
pub(super) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            Hash::node(&root(left), &root(right))
        }
    }
}

/// PATH(m, D).
pub(super) fn inclusion(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if m < k {
        (inclusion(m, left), root(right))
    } else {
        (inclusion(m - k, right), root(left))
    };
    path.push(sibling);
    path
}

/// PROOF(m, D), for 0 < m.
pub(super) fn consistency(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    fn subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
        if m == leaves.len() {
            return if known {
                Vec::new()
            } else {
                vec![root(leaves)]
            };
        }
        let k = split(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut path, sibling) = if m <= k {
            (subproof(m, left, known), root(right))
        } else {
            (subproof(m - k, right, false), root(left))
        };
        path.push(sibling);
        path
    }
    subproof(m, leaves, true)
}

/// All tiles of a tree: those that are full, and the partial ones at its size.
pub(super) fn all_tiles(leaves: &[Hash]) -> BTreeMap<TileId, Vec<u8>> {
    let mut tiles = BTreeMap::new();
    let mut builder = TileBuilder::new();
    for leaf in leaves {
        builder.push(*leaf, &mut |id, bytes| {
            assert_eq!(tiles.insert(id, bytes.to_vec()), None, "{id} came twice");
        });
    }
    tiles.extend(builder.partial_tiles());
    tiles
}

/// A set of just these tiles.
pub(super) fn set_of(size: u64, ids: &[TileId], tiles: &BTreeMap<TileId, Vec<u8>>) -> TileSet {
    let mut set = TileSet::new(size);
    for id in ids {
        set.insert(*id, &tiles[id]).unwrap();
    }
    set
}

/// A tree whose leaves are all the same, so that it can have any size: the root of its perfect
/// subtrees by height.
pub(super) fn uniform(height: u32) -> Hash {
    (0..height).fold(Hash::leaf(b""), |hash, _| Hash::node(&hash, &hash))
}

/// The root of such a tree.
pub(super) fn uniform_root(size: u64) -> Hash {
    if size == 0 {
        return Hash::EMPTY_ROOT;
    }
    if size.is_power_of_two() {
        return uniform(size.trailing_zeros());
    }
    let left = size.ilog2();
    Hash::node(&uniform(left), &uniform_root(size - (1 << left)))
}

/// A tile of such a tree.
pub(super) fn uniform_tile(id: TileId) -> Vec<u8> {
    uniform(8 * u32::from(id.level))
        .0
        .repeat(usize::from(id.width))
}
