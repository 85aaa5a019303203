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
