//! Anchors: another cloud's checkpoint with our cosignature, kept in our store
//! and sealed as a record of a chain of ours.

use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::cosignature::{self, Cosigned};
use crate::delivery::Identity;
use crate::json::Canonicalizer;
use crate::keys::VerifierKey;
use crate::note::{Note, NoteError, SignatureLine};
use crate::record::{self, Carrier, Cloud};
use crate::signed::canonical;
use crate::time;

/// An anchor whose signatures hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The anchored head.
    pub checkpoint: Checkpoint,
    /// When the witness cosigned it: seconds since 1970.
    pub seconds: u64,
    /// The log's signature line and the cosignature.
    pub note: Note,
}

/// Why an object is not an anchor of this chain by this witness.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// The log's part does not hold.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// No note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It lacks the witness's cosignature, or that is wrong.
    #[error("the cosignature of {0} is missing or wrong")]
    Cosignature(String),
    /// Other signatures than the two.
    #[error("carries other signatures than the chain's and the witness's")]
    Signatures,
}

impl Anchor {
    /// An anchor from a checkpoint note and a cosignature of it. Only the log's
    /// own signature is kept of the note's.
    ///
    /// # Errors
    /// When the note lacks the log's signature.
    pub fn new(
        checkpoint_note: &[u8],
        log: &VerifierKey,
        cosignature: SignatureLine,
        seconds: u64,
    ) -> Result<Self, AnchorError> {
        let (checkpoint, note) = Checkpoint::open(checkpoint_note, log)?;
        let own = |line: &&SignatureLine| line.name == log.name() && line.key_id == log.id();
        let Some(line) = note.signatures().iter().find(own) else {
            return Err(AnchorError::Signatures);
        };
        let note = Note::new(note.text().to_owned(), vec![line.clone(), cosignature])?;
        Ok(Self {
            checkpoint,
            seconds,
            note,
        })
    }

    /// Reads an anchor and checks both signatures, and that there are no others.
    ///
    /// # Errors
    /// What does not hold.
    pub fn open(
        bytes: &[u8],
        log: &VerifierKey,
        witness: &VerifierKey,
    ) -> Result<Self, AnchorError> {
        let (checkpoint, note) = Checkpoint::open(bytes, log)?;
        let Cosigned::At(seconds) = cosignature::verify(witness, &note) else {
            return Err(AnchorError::Cosignature(witness.name().to_owned()));
        };
        if note.signatures().len() != 2 {
            return Err(AnchorError::Signatures);
        }
        Ok(Self {
            checkpoint,
            seconds,
            note,
        })
    }

    /// The anchor's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.note.to_string().into_bytes()
    }

    /// The id of the delivery that seals it as a record.
    pub fn delivery_id(&self) -> String {
        Identity::Anchor {
            origin: &self.checkpoint.origin,
            size: self.checkpoint.size,
            seconds: self.seconds,
        }
        .id()
    }

    /// The record line that seals it.
    pub fn record_line(&self) -> Vec<u8> {
        let event = canonical(&AnchorEvent {
            note: self.note.to_string(),
            origin: self.checkpoint.origin.clone(),
            size: self.checkpoint.size,
        });
        let mut canonicalizer = Canonicalizer::exact();
        let mut line = Vec::new();
        record::push(
            Cloud::Other,
            &Carrier::of(&event, &mut canonicalizer),
            record::ANCHOR_SOURCE,
            Some(&time::from_unix_seconds(self.seconds)),
            &mut line,
        );
        line
    }
}

/// The event of an anchor's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorEvent {
    /// The anchor's bytes as text.
    pub note: String,
    /// The anchored chain.
    pub origin: String,
    /// The checkpoint's size.
    pub size: u64,
}

impl AnchorEvent {
    /// Reads an anchor record's event.
    pub fn parse(event: &[u8]) -> Option<Self> {
        serde_json::from_slice(event).ok()
    }
}
