//! Checkpoints (C2SP tlog-checkpoint): a chain's signed head.

use crate::keys::{KeyKind, SignError, Signer, VerifierKey};
use crate::merkle::Hash;
use crate::note::{Note, NoteError, SignatureLine};

/// The head of a chain: how many leaves it has, and their root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The chain's origin, which is also the name of its key.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree of these leaves.
    pub root: Hash,
}

/// Why a checkpoint was refused, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The body is not an origin, a size and a root on a line each.
    #[error(
        "the checkpoint's body is not three lines: origin, size, root (extension lines are refused)"
    )]
    Body,
    /// The origin has characters that an origin does not have.
    #[error("{0:?} is no origin: only letters, digits and the characters . _ / - may stand in one")]
    Origin(String),
    /// The checkpoint is of another chain than the key.
    #[error("the checkpoint is of {found}, not of {expected}")]
    OtherOrigin {
        /// The name of the key.
        expected: String,
        /// The checkpoint's origin.
        found: String,
    },
    /// The key is a witness's, which signs no checkpoints as their log.
    #[error("the key of {0} is a witness's; a checkpoint is signed with its chain's key")]
    WitnessKey(String),
    /// No signature by the chain's key.
    #[error("the checkpoint is not signed by {0}")]
    Unsigned(String),
    /// A signature that names the chain's key does not hold.
    #[error("the checkpoint carries a signature in the name of {0} that does not hold")]
    BadSignature(String),
    /// The signature could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Checkpoint {
    /// The text that is signed: `origin\nsize\nroot in base64\n`.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads a body. Extension lines are refused: no chain of ours has them, and several
    /// witnesses reject them.
    ///
    /// # Errors
    ///
    /// When the body is anything but the one that [`Checkpoint::body`] writes for an origin
    /// that [`origin_is_valid`].
    pub fn parse_body(body: &str) -> Result<Self, CheckpointError> {
        let mut lines = body.split('\n');
        let parts = [
            lines.next(),
            lines.next(),
            lines.next(),
            lines.next(),
            lines.next(),
        ];
        let [Some(origin), Some(size), Some(root), Some(""), None] = parts else {
            return Err(CheckpointError::Body);
        };
        if !origin_is_valid(origin) {
            return Err(CheckpointError::Origin(origin.to_owned()));
        }
        let size = parse_decimal(size).ok_or(CheckpointError::Body)?;
        let root = Hash::from_base64(root).ok_or(CheckpointError::Body)?;
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
        })
    }

    /// Signs the checkpoint with its chain's key.
    ///
    /// # Errors
    ///
    /// When signing fails, or as [`Checkpoint::note_with`].
    pub fn sign(&self, signer: &dyn Signer) -> Result<Note, CheckpointError> {
        self.check_key(signer.key())?;
        self.note_with(signer.key(), &signer.sign(self.body().as_bytes())?)
    }

    /// The checkpoint with a signature that was made elsewhere.
    ///
    /// # Errors
    ///
    /// When the key is not this chain's, or the signature does not hold over
    /// [`Checkpoint::body`]: what this returns can be opened.
    pub fn note_with(
        &self,
        key: &VerifierKey,
        signature: &[u8; 64],
    ) -> Result<Note, CheckpointError> {
        self.check_key(key)?;
        let body = self.body();
        if !key.verify(body.as_bytes(), signature) {
            return Err(CheckpointError::BadSignature(key.name().to_owned()));
        }
        let line = SignatureLine {
            name: key.name().to_owned(),
            key_id: key.id(),
            bytes: signature.to_vec(),
        };
        Ok(Note::new(body, vec![line])?)
    }

    /// Reads a checkpoint and verifies that its chain signed it. Signatures by other keys are
    /// not looked at.
    ///
    /// # Errors
    ///
    /// When the bytes are no checkpoint, its origin is not the key's name, the key's
    /// signature is not there, or any signature in this key's name does not hold.
    pub fn open(bytes: &[u8], key: &VerifierKey) -> Result<(Self, Note), CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Self::parse_body(note.text())?;
        checkpoint.check_signed(key, &note)?;
        Ok((checkpoint, note))
    }

    /// Checks that this chain's key signed the note, whose body this checkpoint is.
    pub(crate) fn check_signed(
        &self,
        key: &VerifierKey,
        note: &Note,
    ) -> Result<(), CheckpointError> {
        self.check_key(key)?;
        let mut signed = false;
        for line in note.signatures().iter().filter(|line| line.names(key)) {
            let signature = line.bytes.as_slice().try_into();
            if !signature.is_ok_and(|signature| key.verify(note.text().as_bytes(), signature)) {
                return Err(CheckpointError::BadSignature(key.name().to_owned()));
            }
            signed = true;
        }
        if signed {
            Ok(())
        } else {
            Err(CheckpointError::Unsigned(key.name().to_owned()))
        }
    }

    /// Checks that a key is one that signs this chain.
    fn check_key(&self, key: &VerifierKey) -> Result<(), CheckpointError> {
        if !origin_is_valid(&self.origin) {
            return Err(CheckpointError::Origin(self.origin.clone()));
        }
        if key.kind() != KeyKind::Log {
            return Err(CheckpointError::WitnessKey(key.name().to_owned()));
        }
        if key.name() != self.origin {
            let (expected, found) = (key.name().to_owned(), self.origin.clone());
            return Err(CheckpointError::OtherOrigin { expected, found });
        }
        Ok(())
    }
}

/// Whether a text can be an origin: ASCII letters, digits and `.` `_` `/` `-`, at least one.
///
/// No signed JSON begins with one of these, so that no signature over a checkpoint is one over
/// JSON.
#[must_use]
pub fn origin_is_valid(origin: &str) -> bool {
    !origin.is_empty()
        && origin
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b))
}

/// Reads a number in its one decimal spelling: no sign, no leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0"
        || text
            .bytes()
            .next()
            .is_some_and(|b| matches!(b, b'1'..=b'9'));
    if canonical { text.parse().ok() } else { None }
}
