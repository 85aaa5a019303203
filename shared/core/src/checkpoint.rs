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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Seed, SeedSigner};
    use crate::worked_example::{BODY, LOG_KEY, NOTE, checkpoint, log, witness};

    fn open(note: &str) -> Result<(Checkpoint, Note), CheckpointError> {
        Checkpoint::open(note.as_bytes(), &LOG_KEY.parse().unwrap())
    }

    fn signed_by(signer: &SeedSigner, body: &str) -> String {
        let line = SignatureLine {
            name: signer.key().name().to_owned(),
            key_id: signer.key().id(),
            bytes: signer.sign(body.as_bytes()).unwrap().to_vec(),
        };
        Note::new(body.to_owned(), vec![line]).unwrap().to_string()
    }

    #[test]
    fn signs_what_it_opens() {
        let note = checkpoint().sign(&log()).unwrap();
        assert_eq!(open(&note.to_string()), Ok((checkpoint(), note)));
        let largest = Checkpoint {
            size: u64::MAX,
            ..checkpoint()
        };
        assert_eq!(Checkpoint::parse_body(&largest.body()), Ok(largest));
    }

    #[test]
    fn other_bodies_are_refused() {
        let root = "GqaNMHSQWlgfhMu9D3U3lJBP2ARRvEwT5p2aU7xZUCw=";
        assert!(Checkpoint::parse_body(BODY).is_ok());
        for body in [
            String::new(),
            "a\n5\n".into(),
            format!("a\n5\n{root}"),
            format!("a\n5\n{root}\n\n"),
            format!("a\n5\n{root}\nextension\n"),
            format!("\na\n5\n{root}\n"),
            format!("a\n05\n{root}\n"),
            format!("a\n+5\n{root}\n"),
            format!("a\n-5\n{root}\n"),
            format!("a\n 5\n{root}\n"),
            format!("a\n\n{root}\n"),
            format!("a\n00\n{root}\n"),
            format!("a\n5.0\n{root}\n"),
            format!("a\n0x5\n{root}\n"),
            format!("a\n٥\n{root}\n"),
            format!("a\n18446744073709551616\n{root}\n"),
            format!("a\n5\r\n{root}\n"),
            format!("a\n5\n{root} \n"),
            format!("a\n5\n{}\n", &root[..43]),
            "a\n5\nAAAA\n".into(),
            "a\n5\n\n".into(),
        ] {
            assert!(Checkpoint::parse_body(&body).is_err(), "{body:?}");
        }
        // Refused with a good signature too.
        let extended = format!("{BODY}extension\n");
        assert_eq!(
            open(&signed_by(&log(), &extended)),
            Err(CheckpointError::Body)
        );
        for origin in ["", "a b", "a+b", "a\"", "{", "é", "a:b", "a\\b"] {
            let refused = Checkpoint::parse_body(&format!("{origin}\n5\n{root}\n"));
            assert_eq!(refused, Err(CheckpointError::Origin(origin.to_owned())));
            assert!(!origin_is_valid(origin));
        }
        assert!(origin_is_valid("audit.example.org/aws-1/_2"));
    }

    #[test]
    fn only_the_chain_s_own_key_signs() {
        let seed = Seed::from_bytes([1; 32]);
        let as_witness = SeedSigner::new("example.com/chain", KeyKind::Witness, &seed).unwrap();
        let renamed = SeedSigner::new("example.com/other", KeyKind::Log, &seed).unwrap();
        let impostor = SeedSigner::new(
            "example.com/chain",
            KeyKind::Log,
            &Seed::from_bytes([3; 32]),
        )
        .unwrap();
        assert!(matches!(
            checkpoint().sign(&as_witness),
            Err(CheckpointError::WitnessKey(_))
        ));
        assert!(matches!(
            checkpoint().sign(&renamed),
            Err(CheckpointError::OtherOrigin { .. })
        ));
        for signer in [&as_witness, &renamed, &impostor, &witness()] {
            let unsigned = CheckpointError::Unsigned("example.com/chain".into());
            assert_eq!(open(&signed_by(signer, BODY)), Err(unsigned));
        }
        // A body of another origin under this key.
        let other = Checkpoint {
            origin: "example.com/other".into(),
            ..checkpoint()
        };
        let note = signed_by(&log(), &other.body());
        assert!(matches!(
            open(&note),
            Err(CheckpointError::OtherOrigin { .. })
        ));
        let witness_key = witness().key().clone();
        assert!(Checkpoint::open(NOTE.as_bytes(), &witness_key).is_err());
    }

    #[test]
    fn signatures_made_elsewhere_are_checked() {
        let signature = log().sign(BODY.as_bytes()).unwrap();
        let note = checkpoint().note_with(log().key(), &signature).unwrap();
        assert_eq!(note, checkpoint().sign(&log()).unwrap());
        let larger = Checkpoint {
            size: 6,
            ..checkpoint()
        };
        let refused = larger.note_with(log().key(), &signature);
        assert!(matches!(refused, Err(CheckpointError::BadSignature(_))));
        let invalid = Checkpoint {
            origin: "a\nb".into(),
            ..checkpoint()
        };
        assert!(matches!(
            invalid.sign(&log()),
            Err(CheckpointError::Origin(_))
        ));
    }

    #[test]
    fn a_failing_signer_is_reported() {
        struct Broken(SeedSigner);
        impl Signer for Broken {
            fn key(&self) -> &VerifierKey {
                self.0.key()
            }
            fn sign(&self, _: &[u8]) -> Result<[u8; 64], SignError> {
                Err(SignError("the service is away".into()))
            }
        }
        let error = checkpoint().sign(&Broken(log())).unwrap_err();
        assert_eq!(error.to_string(), "could not sign: the service is away");
    }

    #[test]
    fn one_bad_signature_in_the_chain_s_name_rejects() {
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        let good = note.signatures()[0].clone();
        let with =
            |lines: Vec<SignatureLine>| open(&Note::new(BODY.into(), lines).unwrap().to_string());
        assert!(with(vec![good.clone(), good.clone()]).is_ok());
        for bytes in [
            vec![0; 64],
            good.bytes[..63].to_vec(),
            [&good.bytes[..], &[0]].concat(),
        ] {
            let bad = SignatureLine {
                bytes,
                ..good.clone()
            };
            let rejected = CheckpointError::BadSignature("example.com/chain".into());
            assert_eq!(with(vec![good.clone(), bad.clone()]), Err(rejected.clone()));
            assert_eq!(with(vec![bad.clone(), good.clone()]), Err(rejected));
            // The same bytes under a name or an id that is not the key's are not looked at.
            let other_id = SignatureLine {
                key_id: [0; 4],
                ..bad.clone()
            };
            let other_name = SignatureLine {
                name: "other".into(),
                ..bad
            };
            assert!(with(vec![other_id.clone(), good.clone(), other_name]).is_ok());
            assert!(matches!(
                with(vec![other_id]),
                Err(CheckpointError::Unsigned(_))
            ));
        }
    }

    /// Every truncation and every flipped bit of a checkpoint signed by its chain alone.
    #[test]
    fn every_change_is_refused() {
        let note = checkpoint().sign(&log()).unwrap().to_string();
        for at in 0..note.len() {
            assert!(Checkpoint::open(&note.as_bytes()[..at], log().key()).is_err());
            for bit in 0..8 {
                let mut bytes = note.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                assert!(
                    Checkpoint::open(&bytes, log().key()).is_err(),
                    "byte {at}, bit {bit}"
                );
            }
        }
    }

    #[test]
    fn agrees_with_other_implementations() {
        let note = signed_note::Note::from_bytes(NOTE.as_bytes()).unwrap();
        let verifier = signed_note::StandardVerifier::new(LOG_KEY).unwrap();
        let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let (verified, unknown) = note.verify(&known).unwrap();
        assert_eq!((verified.len(), unknown.len()), (1, 1));
        let theirs = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        let (ours, _) = open(NOTE).unwrap();
        assert_eq!(theirs.origin(), ours.origin);
        assert_eq!(theirs.size(), ours.size);
        assert_eq!(theirs.hash().0, ours.root.0);
        assert_eq!(theirs.to_bytes(), ours.body().as_bytes());
    }
}
