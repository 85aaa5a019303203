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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::{KeyKind, Seed, SeedSigner, Signer};
    use crate::note::SignatureLine;
    use crate::policy::Quorum;
    use crate::worked_example::{BODY, NOTE, PROOF_HEAD, TIME, checkpoint, log, witness};

    fn text() -> String {
        format!("{PROOF_HEAD}{NOTE}")
    }

    fn second_witness() -> SeedSigner {
        let seed = Seed::from_bytes([3; 32]);
        SeedSigner::new("witness.example/w2", KeyKind::Witness, &seed).unwrap()
    }

    fn policy(quorum: Quorum) -> Policy {
        let witnesses = vec![
            ("w1".to_owned(), witness().key().clone()),
            ("w2".to_owned(), second_witness().key().clone()),
        ];
        Policy::build(vec![log().key().clone()], witnesses, quorum).unwrap()
    }

    fn group(k: usize) -> Quorum {
        Quorum::Group {
            name: "clouds".into(),
            k,
        }
    }

    fn leaf() -> Hash {
        Hash::leaf(b"entry-2")
    }

    /// The example's proof with these signature lines after that of the log.
    fn with_lines(lines: &[SignatureLine]) -> TlogProof {
        let note = checkpoint().sign(&log()).unwrap();
        let lines = [note.signatures(), lines].concat();
        let checkpoint = Note::new(BODY.into(), lines).unwrap().to_string();
        TlogProof {
            checkpoint,
            ..TlogProof::parse(&text()).unwrap()
        }
    }

    #[test]
    fn reads_and_writes_the_same_text() {
        let proof = TlogProof::parse(&text()).unwrap();
        assert_eq!((proof.index, proof.path.len(), &proof.extra), (2, 3, &None));
        assert_eq!(proof.checkpoint, NOTE);
        assert_eq!(proof.to_string(), text());
        let with_extra = TlogProof {
            extra: Some(b"more".to_vec()),
            ..proof.clone()
        };
        let written = with_extra.to_string();
        assert!(written.starts_with("c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 2\n"));
        assert_eq!(TlogProof::parse(&written), Ok(with_extra));
        let empty_extra = TlogProof {
            extra: Some(vec![]),
            ..proof.clone()
        };
        assert_eq!(empty_extra.to_string(), proof.to_string());
        let no_path = TlogProof {
            path: vec![],
            index: 0,
            ..proof
        };
        assert_eq!(TlogProof::parse(&no_path.to_string()), Ok(no_path));
    }

    #[test]
    fn other_spellings_are_refused() {
        let good = text();
        for (from, to) in [
            ("c2sp.org/tlog-proof@v1\n", ""),
            ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
            ("c2sp.org/tlog-proof@v1", " c2sp.org/tlog-proof@v1"),
            ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v1\r"),
            ("c2sp.org/tlog-proof@v1\n", "c2sp.org/tlog-proof@v1\n\n"),
            ("index 2\n", ""),
            ("index 2", "index 02"),
            ("index 2", "index +2"),
            ("index 2", "index -2"),
            ("index 2", "index  2"),
            ("index 2", "index 2 "),
            ("index 2", "index"),
            ("index 2", "index 18446744073709551616"),
            ("index 2", "Index 2"),
            ("index 2", "extra \nindex 2"),
            ("index 2", "extra\nindex 2"),
            ("index 2", "extra !\nindex 2"),
            ("index 2", "extra AA\nindex 2"),
            ("index 2", "extra AA==\nextra AA==\nindex 2"),
            ("index 2", "index 2\nextra AA=="),
            ("Rtpc=\n", "Rtpc= \n"),
            ("Rtpc=\n", "Rtpd=\n"),
            ("Rtpc=\n", "Rtpc\n"),
            ("Rtpc=\n", "Rtpc=\n\n"),
            ("Htc=\n\n", "Htc=\n"),
            ("Htc=\n\n", "Htc=\n\n\n"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            let proof = TlogProof::parse(&bad);
            assert!(
                proof.as_ref().is_err()
                    || proof.unwrap().verify(&leaf(), &policy(group(1))).is_err(),
                "{bad}"
            );
        }
        assert!(matches!(
            TlogProof::parse(&good.replace("index 2", "index 02")),
            Err(TlogProofError::Format(_))
        ));
        assert!(matches!(
            TlogProof::parse(&format!("{good}\n")),
            Err(TlogProofError::Note(_))
        ));
    }

    #[test]
    fn sizes_are_capped() {
        let proof = TlogProof::parse(&text()).unwrap();
        let with_path = |len| TlogProof {
            path: vec![leaf(); len],
            ..proof.clone()
        };
        assert!(TlogProof::parse(&with_path(MAX_PATH).to_string()).is_ok());
        let refused = TlogProof::parse(&with_path(MAX_PATH + 1).to_string());
        assert!(matches!(refused, Err(TlogProofError::Format(_))));
        let large = TlogProof {
            extra: Some(vec![0; MAX_PROOF_BYTES]),
            ..proof
        };
        assert_eq!(
            TlogProof::parse(&large.to_string()),
            Err(TlogProofError::TooLarge)
        );
    }

    #[test]
    fn the_quorum_decides() {
        let first = cosignature::cosign(&witness(), TIME, BODY).unwrap();
        let second = cosignature::cosign(&second_witness(), 9, BODY).unwrap();
        for (lines, count) in [
            (vec![], 0),
            (vec![first.clone()], 1),
            (vec![first.clone(), first.clone()], 1),
            (vec![second.clone(), first.clone()], 2),
        ] {
            let proof = with_lines(&lines);
            for k in 1..=2 {
                let verified = proof.verify(&leaf(), &policy(group(k)));
                if count >= k {
                    assert_eq!(verified.unwrap().cosigned.len(), count);
                } else {
                    let error = verified.unwrap_err();
                    assert!(matches!(error, TlogProofError::Quorum { .. }), "{error}");
                }
            }
            assert!(proof.verify(&leaf(), &policy(Quorum::None)).is_ok());
        }
        let error = with_lines(&[first])
            .verify(&leaf(), &policy(group(2)))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the checkpoint was cosigned by 1 of its 2 witnesses, and the policy asks for 2 of 2 (clouds)"
        );
        let both = with_lines(&[second, cosignature::cosign(&witness(), TIME, BODY).unwrap()]);
        assert_eq!(
            both.verify(&leaf(), &policy(group(2))).unwrap().cosigned,
            [
                ("witness.example/w1".to_owned(), TIME),
                ("witness.example/w2".to_owned(), 9)
            ]
        );
    }

    #[test]
    fn a_bad_cosignature_of_a_known_witness_rejects() {
        let good = cosignature::cosign(&witness(), TIME, BODY).unwrap();
        let mut bad = cosignature::cosign(&second_witness(), TIME, BODY).unwrap();
        bad.bytes[20] ^= 1;
        let rejected = TlogProofError::BadCosignature("witness.example/w2".into());
        for quorum in [Quorum::None, group(1)] {
            let proof = with_lines(&[good.clone(), bad.clone()]);
            assert_eq!(
                proof.verify(&leaf(), &policy(quorum)),
                Err(rejected.clone())
            );
        }
        // Of a witness that the policy does not know, nothing is asked.
        let stranger = SignatureLine {
            name: "stranger".into(),
            ..bad
        };
        assert!(
            with_lines(&[good, stranger])
                .verify(&leaf(), &policy(group(1)))
                .is_ok()
        );
    }

    #[test]
    fn refusals_say_what_is_not_shown() {
        let proof = TlogProof::parse(&text()).unwrap();
        let policy = policy(group(1));
        assert!(proof.verify(&leaf(), &policy).is_ok());
        let refused = |proof: &TlogProof, leaf: &Hash| proof.verify(leaf, &policy).unwrap_err();
        assert_eq!(
            refused(&proof, &Hash::leaf(b"entry-3")),
            TlogProofError::Inclusion(ProofError::Root)
        );
        let other_index = TlogProof {
            index: 3,
            ..proof.clone()
        };
        assert_eq!(
            refused(&other_index, &leaf()),
            TlogProofError::Inclusion(ProofError::Root)
        );
        let beyond = TlogProof {
            index: 5,
            ..proof.clone()
        };
        assert_eq!(
            refused(&beyond, &leaf()),
            TlogProofError::Inclusion(ProofError::OutOfRange {
                position: 5,
                size: 5
            })
        );
        let short = TlogProof {
            path: proof.path[..2].to_vec(),
            ..proof.clone()
        };
        assert_eq!(
            refused(&short, &leaf()),
            TlogProofError::Inclusion(ProofError::Length)
        );
        let forged = TlogProof {
            checkpoint: NOTE.replacen("\n5\n", "\n6\n", 1),
            ..proof.clone()
        };
        assert!(matches!(
            refused(&forged, &leaf()),
            TlogProofError::Checkpoint(CheckpointError::BadSignature(_))
        ));
        let foreign = TlogProof {
            checkpoint: NOTE.replacen("example.com/chain", "example.com/x", 1),
            ..proof
        };
        assert_eq!(
            refused(&foreign, &leaf()),
            TlogProofError::UnknownLog("example.com/x".into())
        );
    }

    /// A policy that knows the witness but not the log, and the other way round.
    #[test]
    fn an_unsigned_log_is_not_made_up_for_by_witnesses() {
        let cosigned = cosignature::cosign(&witness(), TIME, BODY).unwrap();
        let checkpoint = Note::new(BODY.into(), vec![cosigned]).unwrap().to_string();
        let proof = TlogProof {
            checkpoint,
            ..TlogProof::parse(&text()).unwrap()
        };
        assert!(matches!(
            proof.verify(&leaf(), &policy(group(1))),
            Err(TlogProofError::Checkpoint(CheckpointError::Unsigned(_)))
        ));
        let no_log = Policy::parse(b"quorum none\n").unwrap();
        let proof = TlogProof::parse(&text()).unwrap();
        let refused = proof.verify(&leaf(), &no_log);
        assert_eq!(
            refused,
            Err(TlogProofError::UnknownLog("example.com/chain".into()))
        );
    }

    /// Every truncation and every flipped bit of a proof is refused by a policy of both keys.
    #[test]
    fn every_change_is_refused() {
        let (good, policy) = (text(), policy(group(1)));
        let holds = |bytes: &[u8]| {
            std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| TlogProof::parse(text).ok())
                .is_some_and(|proof| proof.verify(&leaf(), &policy).is_ok())
        };
        assert!(holds(good.as_bytes()));
        for at in 0..good.len() {
            assert!(!holds(&good.as_bytes()[..at]), "cut at {at}");
            for bit in 0..8 {
                let mut bytes = good.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                assert!(!holds(&bytes), "byte {at}, bit {bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}", lines in prop::collection::vec("c2sp.org/tlog-proof@v1\n|extra [A=]{0,4}\n|index [0-9]{0,21}\n|\n|[A=]{44}\n", 0..6)) {
            let _ = TlogProof::parse(&text);
            for tail in ["", NOTE] {
                let text = format!("c2sp.org/tlog-proof@v1\n{}\n{tail}", lines.concat());
                if let Ok(proof) = TlogProof::parse(&text) {
                    prop_assert_eq!(proof.to_string(), text);
                }
            }
        }
    }
}
