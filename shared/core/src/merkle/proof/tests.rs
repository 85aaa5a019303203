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
                assert!(verify_inclusion(&leaves[index], other as u64, n, &path, &root).is_err());
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
