use std::sync::LazyLock;

use countersign_core::checkpoint::Checkpoint;
use countersign_core::cosignature;
use countersign_core::keys::Signer;
use countersign_core::merkle::Hash;
use countersign_core::note::Note;
use countersign_core::policy::{Policy, Quorum};
use countersign_core::proof::ProofFile;
use countersign_core::tlog_proof::TlogProof;

use super::{ORIGIN, edited, log, mode, witness};

const SECONDS: u64 = 1_795_554_000;

/// A proof that holds, and the policy that it is checked against.
struct Valid {
    file: ProofFile,
    proof: TlogProof,
    policy: Policy,
}

static VALID: LazyLock<Valid> = LazyLock::new(|| {
    let records = ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"];
    let [first, second, third] = records.map(|line| Hash::leaf(line.as_bytes()));
    let checkpoint = Checkpoint {
        origin: ORIGIN.into(),
        size: 3,
        root: Hash::node(&Hash::node(&first, &second), &third),
    };
    let witnesses = [witness("azure", 2), witness("gcp", 3)];
    let body = checkpoint.body();
    let cosigned = witnesses
        .each_ref()
        .map(|witness| cosignature::cosign(witness, SECONDS, &body));
    let mut lines = checkpoint.sign(&log()).unwrap().signatures().to_vec();
    lines.extend(cosigned.map(Result::unwrap));
    let proof = TlogProof {
        extra: Some(b"more".to_vec()),
        index: 1,
        path: vec![first, third],
        checkpoint: Note::new(body, lines).unwrap().to_string(),
    };
    let named = ["azure", "gcp"].map(str::to_owned);
    let known = named
        .into_iter()
        .zip(witnesses.map(|witness| witness.key().clone()));
    let quorum = Quorum::Group {
        name: "clouds".into(),
        k: 1,
    };
    Valid {
        file: ProofFile::new(records[1].into(), &proof),
        policy: Policy::build(vec![log().key().clone()], known.collect(), quorum).unwrap(),
        proof,
    }
});

/// Proof files and tlog-proofs: a changed one proves the same or nothing.
pub fn proof(input: &[u8]) {
    let (mode, rest) = mode(input);
    match mode % 4 {
        0 => {
            file(rest);
            if let Ok(text) = std::str::from_utf8(rest) {
                tlog(text);
            }
        }
        1 => file(&edited(&VALID.file.to_bytes(), rest)),
        2 => {
            let changed = edited(VALID.file.tlog_proof.as_bytes(), rest);
            let text = String::from_utf8_lossy(&changed).into_owned();
            tlog(&text);
            let changed = ProofFile {
                tlog_proof: text,
                ..VALID.file.clone()
            };
            file(&changed.to_bytes());
        }
        _ => {
            let changed = edited(VALID.file.record.as_bytes(), rest);
            let record = String::from_utf8_lossy(&changed).into_owned();
            let is_same = record == VALID.file.record;
            let changed = ProofFile {
                record,
                ..VALID.file.clone()
            };
            let checked = ProofFile::check(&changed.to_bytes(), &VALID.policy);
            assert_eq!(checked.is_ok(), is_same);
        }
    }
}

fn file(bytes: &[u8]) {
    let Ok((file, proven)) = ProofFile::check(bytes, &VALID.policy) else {
        return;
    };
    assert_eq!(
        (file.index, &file.record),
        (VALID.file.index, &VALID.file.record)
    );
    assert_eq!(
        proven.checkpoint.body(),
        Note::parse(VALID.proof.checkpoint.as_bytes())
            .unwrap()
            .text()
    );
    assert!(!proven.cosigned.is_empty(), "no quorum");
    for (name, seconds) in proven.cosigned {
        assert!(VALID.policy.witness(&name).is_some() && seconds == SECONDS);
    }
    let written = file.to_bytes();
    let (again, _) = ProofFile::check(&written, &VALID.policy).unwrap();
    assert_eq!((again.to_bytes(), again), (written, file));
}

fn tlog(text: &str) {
    let Ok(proof) = TlogProof::parse(text) else {
        return;
    };
    assert_eq!(proof.to_string(), text);
    let leaf = Hash::leaf(VALID.file.record.as_bytes());
    if let Ok(verified) = proof.verify(&leaf, &VALID.policy) {
        assert_eq!(
            (proof.index, &proof.path),
            (VALID.proof.index, &VALID.proof.path)
        );
        assert_eq!(verified.checkpoint.size, 3);
    }
    let other = Hash::leaf(b"{\"n\":9}");
    assert!(proof.verify(&other, &VALID.policy).is_err());
}
