//! Proof files: a record, and all that shows offline that it stands in a chain
//! whose head the witnesses cosigned.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::policy::Policy;
use crate::record::leaf_hash;
use crate::signed::canonical;
use crate::tlog_proof::{TlogProof, TlogProofError};

/// A proof file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// `proof/v1`
    pub countersign: String,
    /// The leaf's index.
    pub index: u64,
    /// The leaf's bytes: a record line, or a segment's header.
    pub record: String,
    /// The C2SP tlog-proof: inclusion, checkpoint, cosignatures.
    pub tlog_proof: String,
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The head in which the leaf stands.
    pub checkpoint: Checkpoint,
    /// Who cosigned that head, and when (seconds since 1970).
    pub cosigned: Vec<(String, u64)>,
}

/// Why a proof shows nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofFileError {
    /// Not the JSON of a proof file.
    #[error("not a proof file: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version or document.
    #[error("is a `{0}`, not a `proof/v1`")]
    Type(String),
    /// The two indexes differ.
    #[error("names the index {outer}, its tlog-proof the index {inner}")]
    Index {
        /// The file's.
        outer: u64,
        /// The tlog-proof's.
        inner: u64,
    },
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] TlogProofError),
}

impl ProofFile {
    /// A proof file of a leaf.
    pub fn new(record: String, proof: &TlogProof) -> Self {
        Self {
            countersign: "proof/v1".into(),
            index: proof.index,
            record,
            tlog_proof: proof.to_string(),
        }
    }

    /// The file: canonical JSON and LF.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = canonical(self);
        bytes.push(b'\n');
        bytes
    }

    /// Reads a proof file in any JSON spelling and checks it against a policy:
    /// the log's signature, the quorum, the inclusion of the record.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(bytes: &[u8], policy: &Policy) -> Result<(Self, Proven), ProofFileError> {
        let file: Self = serde_json::from_slice(bytes)?;
        if file.countersign != "proof/v1" {
            return Err(ProofFileError::Type(file.countersign));
        }
        let proof = TlogProof::parse(&file.tlog_proof)?;
        if proof.index != file.index {
            return Err(ProofFileError::Index {
                outer: file.index,
                inner: proof.index,
            });
        }
        let verified = proof.verify(&leaf_hash(file.record.as_bytes()), policy)?;
        let proven = Proven {
            checkpoint: verified.checkpoint,
            cosigned: verified.cosigned,
        };
        Ok((file, proven))
    }
}
