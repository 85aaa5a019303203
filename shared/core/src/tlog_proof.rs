//! Proofs that a leaf is in a log (C2SP tlog-proof): checked offline, against a policy.

use std::fmt;

use data_encoding::BASE64;

use crate::base64;
use crate::checkpoint::{Checkpoint, CheckpointError, parse_decimal};
use crate::cosignature::{self, Cosigned};
use crate::merkle::Hash;
use crate::merkle::proof::{ProofError, verify_inclusion};
use crate::note::{MAX_NOTE_BYTES, Note, NoteError};
use crate::policy::Policy;

/// The most hashes that an inclusion proof has: one for each bit of a size.
pub const MAX_PATH: usize = 64;

/// The largest proof that is read, in bytes: twice that of a note, so that extra data has room.
pub const MAX_PROOF_BYTES: usize = 2 * MAX_NOTE_BYTES;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof: an index, its inclusion path, and a checkpoint with all its signatures.
///
/// Displays as the format's text. Nothing is verified before [`TlogProof::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlogProof {
    /// Application data that nothing authenticates. Empty data is written as none.
    pub extra: Option<Vec<u8>>,
    /// The index of the leaf.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling to the root's child.
    pub path: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

/// What a proof that holds has shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The checkpoint that the leaf is in.
    pub checkpoint: Checkpoint,
    /// Who cosigned it, and when: key name and Unix seconds, in the policy's order.
    pub cosigned: Vec<(String, u64)>,
}

/// Why a proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// Larger than [`MAX_PROOF_BYTES`].
    #[error("the proof is larger than 2 MiB")]
    TooLarge,
    /// A line is not what the format has there.
    #[error("the proof is malformed: {0}")]
    Format(&'static str),
    /// What follows the path is not a signed note.
    #[error("the proof's checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The checkpoint was refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The policy has no log of this origin.
    #[error("the policy has no log {0:?}: is it the right policy?")]
    UnknownLog(String),
    /// A cosignature in the name of a witness of the policy does not hold.
    #[error("the checkpoint carries a cosignature in the name of {0} that does not hold")]
    BadCosignature(String),
    /// Too few witnesses cosigned.
    #[error("the checkpoint was cosigned by {cosigned}, and the policy asks for {quorum}")]
    Quorum {
        /// How many of the policy's witnesses cosigned, in words.
        cosigned: String,
        /// The quorum, as [`Policy::describe_quorum`] says it.
        quorum: String,
    },
    /// The leaf is not shown to be in the tree.
    #[error("the leaf is not shown to be in the checkpoint's tree: {0}")]
    Inclusion(#[from] ProofError),
}

impl TlogProof {
    /// Reads a proof. Each value has one spelling; the checkpoint must be a signed note.
    ///
    /// # Errors
    ///
    /// [`TlogProofError::TooLarge`], [`TlogProofError::Format`] or [`TlogProofError::Note`].
    pub fn parse(text: &str) -> Result<Self, TlogProofError> {
        use TlogProofError::Format;
        if text.len() > MAX_PROOF_BYTES {
            return Err(TlogProofError::TooLarge);
        }
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(Format("no blank line before a checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(Format("the first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(data) => {
                lines.next();
                let data = base64::decode(data).filter(|data| !data.is_empty());
                Some(data.ok_or(Format("the extra line holds no base64"))?)
            }
            None => None,
        };
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(parse_decimal)
            .ok_or(Format("no line 'index N'"))?;
        let mut path = Vec::new();
        for line in lines {
            if path.len() == MAX_PATH {
                return Err(Format("more than 64 hashes"));
            }
            path.push(Hash::from_base64(line).ok_or(Format("a hash is not base64 of 32 bytes"))?);
        }
        Note::parse(checkpoint.as_bytes())?;
        Ok(Self {
            extra,
            index,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Verifies that `leaf` (see [`Hash::leaf`]) stands at the index, in a log of the policy,
    /// at a head that a quorum of its witnesses cosigned.
    ///
    /// # Errors
    ///
    /// [`TlogProofError`] says which of these is not shown. A bad signature in the name of the
    /// log or of any witness of the policy rejects the proof, even if the quorum is reached.
    pub fn verify(&self, leaf: &Hash, policy: &Policy) -> Result<Verified, TlogProofError> {
        let note = Note::parse(self.checkpoint.as_bytes())?;
        let checkpoint = Checkpoint::parse_body(note.text())?;
        let log = policy
            .log(&checkpoint.origin)
            .ok_or_else(|| TlogProofError::UnknownLog(checkpoint.origin.clone()))?;
        checkpoint.check_signed(log, &note)?;
        let mut cosigned = Vec::new();
        for witness in policy.witnesses() {
            let name = witness.key.name();
            match cosignature::verify(&witness.key, &note) {
                Cosigned::Absent => {}
                Cosigned::Bad => return Err(TlogProofError::BadCosignature(name.to_owned())),
                Cosigned::At(time) => cosigned.push((name.to_owned(), time)),
            }
        }
        let has = |name: &str| cosigned.iter().any(|(key_name, _)| key_name == name);
        if !policy.satisfied_by(|witness| has(witness.key.name())) {
            return Err(TlogProofError::Quorum {
                cosigned: match cosigned.len() {
                    0 => "none of its witnesses".to_owned(),
                    n => format!("{n} of its {} witnesses", policy.witnesses().len()),
                },
                quorum: policy.describe_quorum(),
            });
        }
        verify_inclusion(
            leaf,
            self.index,
            checkpoint.size,
            &self.path,
            &checkpoint.root,
        )?;
        Ok(Verified {
            checkpoint,
            cosigned,
        })
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = self.extra.as_deref().filter(|extra| !extra.is_empty()) {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path
            .iter()
            .try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
