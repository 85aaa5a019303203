//! The decision of a witness (C2SP tlog-witness, `add-checkpoint`), and nothing around it.
//!
//! The caller has verified the checkpoint's signature and origin (403 and 404), and persists the
//! outcome atomically before it gives out a cosignature.

use crate::checkpoint::Checkpoint;
use crate::merkle::Hash;
use crate::merkle::proof::{ProofError, verify_consistency};

/// The head that a witness last persisted for an origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Witnessed {
    /// The number of leaves; 0 when nothing was witnessed yet.
    pub size: u64,
    /// The root at that size; not looked at when the size is 0.
    pub root: Hash,
}

impl Witnessed {
    /// Nothing was witnessed yet.
    pub const NOTHING: Self = Self {
        size: 0,
        root: Hash::EMPTY_ROOT,
    };
}

/// The checkpoint may be cosigned (200).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accept {
    /// It is the head that was witnessed before.
    Same,
    /// It is larger, and begins with the head that was witnessed before.
    Grown,
}

/// Why a witness does not cosign. Each names the HTTP status of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400: the old size is above that of the checkpoint. Where the caller gives the size that
    /// it witnessed itself, this is a rollback.
    #[error("the checkpoint has {size} leaves, fewer than the old size {old}")]
    OldTooLarge {
        /// The old size as the request gives it.
        old: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// 409: the old size is not the one that was witnessed last.
    #[error("the size witnessed last is {size}; prove the checkpoint from there")]
    Stale {
        /// The size witnessed last: the body of the answer.
        size: u64,
    },
    /// 422: the size that was witnessed, with another root.
    #[error("the checkpoint has another root than the one witnessed at its size {size}")]
    Fork {
        /// The size of both.
        size: u64,
    },
    /// 422: a checkpoint of no leaves whose root is not that of the empty tree.
    #[error("the checkpoint has no leaves, but not the root of the empty tree")]
    NotEmpty,
    /// 422: the consistency proof does not hold, or there is one where none belongs.
    #[error("the checkpoint is not shown to begin with the head witnessed at size {old}: {error}")]
    BadProof {
        /// The size witnessed last.
        old: u64,
        /// What is wrong with the proof.
        error: ProofError,
    },
}

impl Refusal {
    /// The HTTP status of the protocol's answer.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::OldTooLarge { .. } => 400,
            Self::Stale { .. } => 409,
            Self::Fork { .. } | Self::NotEmpty | Self::BadProof { .. } => 422,
        }
    }
}

/// Decides whether `new` may be cosigned, in the order of the protocol's checks.
///
/// `old` is the size that `proof` (RFC 6962 §2.1.2) starts from.
///
/// # Errors
///
/// [`Refusal`] when it may not.
pub fn decide(
    known: &Witnessed,
    old: u64,
    proof: &[Hash],
    new: &Checkpoint,
) -> Result<Accept, Refusal> {
    if old > new.size {
        return Err(Refusal::OldTooLarge {
            old,
            size: new.size,
        });
    }
    if old != known.size {
        return Err(Refusal::Stale { size: known.size });
    }
    if new.size == 0 && new.root != Hash::EMPTY_ROOT {
        return Err(Refusal::NotEmpty);
    }
    let known_root = if old == 0 {
        Hash::EMPTY_ROOT
    } else {
        known.root
    };
    if old == new.size && new.root != known_root {
        return Err(Refusal::Fork { size: old });
    }
    verify_consistency(old, &known_root, new.size, &new.root, proof)
        .map_err(|error| Refusal::BadProof { old, error })?;
    Ok(if old == new.size {
        Accept::Same
    } else {
        Accept::Grown
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::Frontier;
    use crate::merkle::proof::{TileSet, consistency_tiles};
    use crate::merkle::tile::TileBuilder;

    fn leaf(i: u64) -> Hash {
        Hash::leaf(&i.to_be_bytes())
    }

    fn head(size: u64) -> Checkpoint {
        let mut frontier = Frontier::new();
        (0..size).for_each(|i| frontier.push(leaf(i)));
        Checkpoint {
            origin: "o".into(),
            size,
            root: frontier.root(),
        }
    }

    fn known(size: u64) -> Witnessed {
        Witnessed {
            size,
            root: head(size).root,
        }
    }

    /// For trees of fewer than 256 leaves: they have no full tiles.
    fn proof(old: u64, size: u64) -> Vec<Hash> {
        let mut builder = TileBuilder::new();
        (0..size).for_each(|i| builder.push(leaf(i), &mut |_, _| {}));
        let mut set = TileSet::new(size);
        for (id, bytes) in builder.partial_tiles() {
            set.insert(id, &bytes).unwrap();
        }
        assert!(consistency_tiles(old, size).len() <= 1);
        set.consistency(old).unwrap()
    }

    #[test]
    fn growth_is_accepted() {
        for old in 0..20 {
            for size in old..20 {
                let expected = if old == size {
                    Accept::Same
                } else {
                    Accept::Grown
                };
                let decision = decide(&known(old), old, &proof(old, size), &head(size));
                assert_eq!(decision, Ok(expected), "{old} to {size}");
            }
        }
        // The root beside size 0 means nothing.
        let odd = Witnessed {
            size: 0,
            root: leaf(0),
        };
        assert_eq!(decide(&odd, 0, &[], &head(3)), Ok(Accept::Grown));
        assert_eq!(
            decide(&Witnessed::NOTHING, 0, &[], &head(0)),
            Ok(Accept::Same)
        );
    }

    #[test]
    fn refusals_come_in_the_protocol_s_order() {
        let forked = Checkpoint {
            root: leaf(9),
            ..head(5)
        };
        let check = |old, proof: &[Hash], new: &Checkpoint| {
            let refusal = decide(&known(5), old, proof, new).unwrap_err();
            (refusal.http_status(), refusal)
        };
        // Too large an old size comes before a stale one, and that before any proof.
        assert_eq!(
            check(9, &[], &head(8)),
            (400, Refusal::OldTooLarge { old: 9, size: 8 })
        );
        assert_eq!(
            check(5, &[], &head(4)),
            (400, Refusal::OldTooLarge { old: 5, size: 4 })
        );
        for (old, new) in [
            (4, head(8)),
            (0, head(8)),
            (6, head(8)),
            (3, head(3)),
            (0, head(0)),
        ] {
            assert_eq!(
                check(old, &[leaf(1)], &new),
                (409, Refusal::Stale { size: 5 })
            );
        }
        assert_eq!(
            check(5, &[leaf(1)], &forked),
            (422, Refusal::Fork { size: 5 })
        );
        let (status, refusal) = check(5, &[leaf(1)], &head(5));
        assert_eq!(
            (status, matches!(refusal, Refusal::BadProof { old: 5, .. })),
            (422, true)
        );
        let good = proof(5, 8);
        let longer = [&good[..], &[leaf(1)]].concat();
        let grown_fork = Checkpoint {
            root: leaf(9),
            ..head(8)
        };
        for (proof, new) in [
            (&good[1..], &head(8)),
            (&[], &head(8)),
            (&longer, &head(8)),
            (&good, &head(9)),
            (&good, &grown_fork),
        ] {
            assert!(matches!(
                check(5, proof, new),
                (422, Refusal::BadProof { old: 5, .. })
            ));
        }
        // The witness knows another history of 5 leaves.
        let other = Witnessed {
            size: 5,
            root: leaf(9),
        };
        let refusal = decide(&other, 5, &good, &head(8)).unwrap_err();
        assert_eq!(
            refusal,
            Refusal::BadProof {
                old: 5,
                error: ProofError::OldRoot
            }
        );
    }

    #[test]
    fn first_contact() {
        let nothing = Witnessed::NOTHING;
        let bad_empty = Checkpoint {
            root: leaf(9),
            ..head(0)
        };
        assert_eq!(decide(&nothing, 0, &[], &bad_empty), Err(Refusal::NotEmpty));
        let refusal = decide(&nothing, 0, &[leaf(1)], &head(3));
        let error = ProofError::Length;
        assert_eq!(refusal, Err(Refusal::BadProof { old: 0, error }));
        let refusal = decide(&nothing, 0, &[leaf(1)], &head(0));
        assert_eq!(refusal, Err(Refusal::BadProof { old: 0, error }));
        assert_eq!(
            decide(&nothing, 3, &[], &head(3)),
            Err(Refusal::Stale { size: 0 })
        );
    }

    #[test]
    fn hostile_sizes_are_refused() {
        let huge = Checkpoint {
            size: u64::MAX,
            ..head(1)
        };
        let refusal = decide(&known(5), 5, &vec![leaf(1); 70], &huge).unwrap_err();
        assert_eq!(refusal.http_status(), 422);
        let refusal = decide(&known(5), u64::MAX, &[], &huge).unwrap_err();
        assert_eq!(refusal, Refusal::Stale { size: 5 });
    }
}
