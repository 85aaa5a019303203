//! The frontier of a tree: what is needed to append and to compute the root.

use super::{Hash, MAX_TREE_SIZE};

/// The compact range `[0, size)`: the roots of the perfect subtrees that make up a tree.
///
/// There is one node per bit that is set in `size`, left to right (the largest
/// subtree first), so at most 64. Stored and reloaded, it lets a writer go on
/// without reading the tree.
///
/// # Examples
///
/// ```
/// use countersign_core::merkle::{Frontier, Hash};
///
/// let mut frontier = Frontier::new();
/// frontier.push(Hash::leaf(b"a"));
/// let mut later = Frontier::from_parts(frontier.size(), frontier.nodes().to_vec())?;
/// later.push(Hash::leaf(b"b"));
/// assert_eq!(later.root(), Hash::node(&Hash::leaf(b"a"), &Hash::leaf(b"b")));
/// # Ok::<(), countersign_core::merkle::FrontierError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

/// Why stored parts are not a frontier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// The number of nodes is not the number of set bits of the size.
    #[error("a frontier of {size} leaves has {expected} nodes, but {found} are given")]
    NodeCount {
        /// The size that was given.
        size: u64,
        /// How many nodes that size has.
        expected: usize,
        /// How many nodes were given.
        found: usize,
    },
    /// The size is above [`MAX_TREE_SIZE`].
    #[error("a tree of {size} leaves is larger than any this program continues")]
    TooLarge {
        /// The size that was given.
        size: u64,
    },
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a stored frontier together again.
    ///
    /// Only the shape is checked; whether the nodes are right shows when
    /// [`Frontier::root`] is compared with a root that is known.
    ///
    /// # Errors
    ///
    /// When the number of nodes does not fit the size, or the size is above [`MAX_TREE_SIZE`].
    pub fn from_parts(size: u64, nodes: Vec<Hash>) -> Result<Self, FrontierError> {
        if size > MAX_TREE_SIZE {
            return Err(FrontierError::TooLarge { size });
        }
        let expected = size.count_ones() as usize;
        if nodes.len() != expected {
            return Err(FrontierError::NodeCount {
                size,
                expected,
                found: nodes.len(),
            });
        }
        Ok(Self { size, nodes })
    }

    /// A frontier from subtrees that this crate computed, their number known to be right.
    pub(super) fn from_subtrees(size: u64, nodes: Vec<Hash>) -> Self {
        debug_assert_eq!(nodes.len(), size.count_ones() as usize);
        Self { size, nodes }
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, left to right, largest first.
    #[must_use]
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// Appends the hash of a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one bit of the size is a subtree as large as the node so far.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                node = Hash::node(&left, &node);
            }
        }
        self.nodes.push(node);
        // No overflow: sizes begin at MAX_TREE_SIZE at most and grow by one.
        self.size += 1;
    }

    /// The root of the tree (RFC 6962 §2.1), [`Hash::EMPTY_ROOT`] without leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.nodes
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| Hash::node(&left, &right))
            .unwrap_or(Hash::EMPTY_ROOT)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing;
    use super::*;

    fn frontier(leaves: &[Hash]) -> Frontier {
        let mut frontier = Frontier::new();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        frontier
    }

    /// The reference tree of the Certificate Transparency code base.
    #[test]
    fn known_roots() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root(), Hash::EMPTY_ROOT);
        for (leaf, root) in leaves.iter().zip(roots) {
            frontier.push(Hash::leaf(leaf));
            assert_eq!(frontier.root().to_hex(), root);
        }
    }

    #[test]
    fn equals_the_naive_tree_at_every_size() {
        let leaves = testing::leaves(600);
        let mut frontier = Frontier::new();
        for (done, leaf) in leaves.iter().enumerate() {
            assert_eq!(frontier.size(), done as u64);
            assert_eq!(frontier.nodes().len(), done.count_ones() as usize);
            assert_eq!(
                frontier.root(),
                testing::root(&leaves[..done]),
                "size {done}"
            );
            frontier.push(*leaf);
        }
    }

    #[test]
    fn nodes_stand_largest_first() {
        let leaves = testing::leaves(7);
        let expected = [&leaves[..4], &leaves[4..6], &leaves[6..]].map(testing::root);
        assert_eq!(frontier(&leaves).nodes(), expected);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let node = Hash::EMPTY_ROOT;
        assert_eq!(
            Frontier::from_parts(5, vec![node]),
            Err(FrontierError::NodeCount {
                size: 5,
                expected: 2,
                found: 1
            })
        );
        assert!(Frontier::from_parts(0, vec![node]).is_err());
        assert!(Frontier::from_parts(4, vec![]).is_err());
        assert_eq!(Frontier::from_parts(0, vec![]), Ok(Frontier::new()));
        for size in [MAX_TREE_SIZE + 1, u64::MAX] {
            let nodes = vec![node; size.count_ones() as usize];
            assert_eq!(
                Frontier::from_parts(size, nodes),
                Err(FrontierError::TooLarge { size })
            );
        }
    }

    #[test]
    fn goes_on_from_the_largest_size() {
        let mut frontier = Frontier::from_parts(MAX_TREE_SIZE, vec![testing::uniform(63)]).unwrap();
        assert_eq!(frontier.root(), testing::uniform_root(MAX_TREE_SIZE));
        frontier.push(testing::uniform(0));
        frontier.push(testing::uniform(0));
        assert_eq!(frontier.root(), testing::uniform_root(MAX_TREE_SIZE + 2));
    }

    proptest! {
        #[test]
        fn resumes_anywhere(size in 0_u64..400, stop in 0_u64..400) {
            let leaves = testing::leaves(size);
            let (before, after) = leaves.split_at(stop.min(size) as usize);
            let stored = frontier(before);
            let mut later =
                Frontier::from_parts(stored.size(), stored.nodes().to_vec()).unwrap();
            after.iter().for_each(|leaf| later.push(*leaf));
            prop_assert_eq!(&later, &frontier(&leaves));
            prop_assert_eq!(later.root(), testing::root(&leaves));
        }
    }
}
