//! A whole example, fixed to the byte: log seed 0x01 × 32, witness seed 0x02 × 32, the leaves
//! `entry-0` to `entry-4`, cosigned at 1700000000. Its signatures were checked elsewhere.

use crate::checkpoint::Checkpoint;
use crate::cosignature::{self, Cosigned};
use crate::keys::{KeyKind, Seed, SeedSigner, Signer, VerifierKey};
use crate::merkle::{Frontier, Hash};
use crate::note::Note;
use crate::policy::{Policy, Quorum};
use crate::tlog_proof::TlogProof;

pub(crate) const LOG_KEY: &str =
    "example.com/chain+68fa0f8c+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
pub(crate) const WITNESS_KEY: &str =
    "witness.example/w1+df1c0a35+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU";
pub(crate) const BODY: &str = "example.com/chain
5
GqaNMHSQWlgfhMu9D3U3lJBP2ARRvEwT5p2aU7xZUCw=
";
pub(crate) const NOTE: &str = "example.com/chain
5
GqaNMHSQWlgfhMu9D3U3lJBP2ARRvEwT5p2aU7xZUCw=

— example.com/chain aPoPjJd+Vkq7UZoOXh7BqBQG5u33fFlB/19hlAQTS1IP4dUXtJ1Vap6x2T6DwgTDVf39qmdvPCFwqZwx/JwrlRm9HQs=
— witness.example/w1 3xwKNQAAAABlU/EAaWpU+brVs0H8FCXGwt74EZN4p/bBv2ecqJxxrmLx9Pg2A8amynk/iITZ7AqzXcmOumhmQq2Tqf/ex3B17ZOMDA==
";
pub(crate) const PROOF_HEAD: &str = "c2sp.org/tlog-proof@v1
index 2
J0ebarMh0u5HdFL2i6UndI6GPK/o+9HfK/idFXDRtpc=
LyelCCwdQq+kiKw1Cp/EOQwIT1T3Hs3/hZ6Y24QptHk=
GUu1otW9EOXRqm/V1CmAs1bK8dpiPNmYfEv6L4F3Htc=

";
pub(crate) const TIME: u64 = 1_700_000_000;

pub(crate) fn log() -> SeedSigner {
    SeedSigner::new(
        "example.com/chain",
        KeyKind::Log,
        &Seed::from_bytes([1; 32]),
    )
    .unwrap()
}

pub(crate) fn witness() -> SeedSigner {
    SeedSigner::new(
        "witness.example/w1",
        KeyKind::Witness,
        &Seed::from_bytes([2; 32]),
    )
    .unwrap()
}

pub(crate) fn checkpoint() -> Checkpoint {
    let mut frontier = Frontier::new();
    (0..5).for_each(|i| frontier.push(Hash::leaf(format!("entry-{i}").as_bytes())));
    Checkpoint {
        origin: "example.com/chain".into(),
        size: 5,
        root: frontier.root(),
    }
}

#[test]
fn is_reproduced_to_the_byte() {
    let (log, witness, checkpoint) = (log(), witness(), checkpoint());
    assert_eq!(log.key().to_string(), LOG_KEY);
    assert_eq!(witness.key().to_string(), WITNESS_KEY);
    assert_eq!(checkpoint.body(), BODY);
    let signed = checkpoint.sign(&log).unwrap();
    let cosignature = cosignature::cosign(&witness, TIME, BODY).unwrap();
    let mut lines = signed.signatures().to_vec();
    lines.push(cosignature);
    assert_eq!(
        Note::new(signed.text().to_owned(), lines)
            .unwrap()
            .to_string(),
        NOTE
    );
}

#[test]
fn is_verified() {
    let log: VerifierKey = LOG_KEY.parse().unwrap();
    let witness: VerifierKey = WITNESS_KEY.parse().unwrap();
    let (opened, note) = Checkpoint::open(NOTE.as_bytes(), &log).unwrap();
    assert_eq!(opened, checkpoint());
    assert_eq!(cosignature::verify(&witness, &note), Cosigned::At(TIME));

    let quorum = Quorum::Group {
        name: "clouds".into(),
        k: 1,
    };
    let policy = Policy::build(vec![log], vec![("w1".into(), witness)], quorum).unwrap();
    let proof = TlogProof::parse(&format!("{PROOF_HEAD}{NOTE}")).unwrap();
    let verified = proof.verify(&Hash::leaf(b"entry-2"), &policy).unwrap();
    assert_eq!(verified.checkpoint, checkpoint());
    assert_eq!(verified.cosigned, [("witness.example/w1".to_owned(), TIME)]);
}
