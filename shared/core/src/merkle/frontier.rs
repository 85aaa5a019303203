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
