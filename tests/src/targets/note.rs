use std::sync::LazyLock;

use countersign_core::anchor::Anchor;
use countersign_core::checkpoint::Checkpoint;
use countersign_core::cosignature::{self, Cosigned};
use countersign_core::keys::Signer;
use countersign_core::merkle::{Frontier, Hash};
use countersign_core::note::{Note, SignatureLine};

use super::{ORIGIN, edited, log, mode, witness};

const SECONDS: u64 = 1_795_554_000;

/// A checkpoint that its chain signed and a witness cosigned: an anchor.
static ANCHOR: LazyLock<Anchor> = LazyLock::new(|| {
    let mut frontier = Frontier::new();
    (0..5u8).for_each(|leaf| frontier.push(Hash::leaf(&[leaf])));
    let checkpoint = Checkpoint {
        origin: ORIGIN.into(),
        size: 5,
        root: frontier.root(),
    };
    let signed = checkpoint.sign(&log()).unwrap().to_string();
    let cosignature = cosignature::cosign(&witness("azure", 2), SECONDS, &checkpoint.body());
    Anchor::new(
        signed.as_bytes(),
        log().key(),
        cosignature.unwrap(),
        SECONDS,
    )
    .unwrap()
});

/// The anchor with the cosignature of a second witness.
static NOTE: LazyLock<Note> = LazyLock::new(|| {
    let text = ANCHOR.note.text();
    let second = cosignature::cosign(&witness("gcp", 3), SECONDS + 1, text).unwrap();
    let lines = [ANCHOR.note.signatures(), &[second]].concat();
    Note::new(text.to_owned(), lines).unwrap()
});

/// Signed notes, checkpoints, cosignatures and anchors: whatever is read is
/// written again to the byte, and no signature holds of another text.
pub fn note(input: &[u8]) {
    let (mode, rest) = mode(input);
    match mode % 3 {
        0 => check(rest),
        1 => check(&edited(NOTE.to_string().as_bytes(), rest)),
        _ => check(&edited(&ANCHOR.to_bytes(), rest)),
    }
}

fn check(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(line) = text.parse::<SignatureLine>()
    {
        assert_eq!(line.to_string(), text);
    }
    let (log, azure, gcp) = (log(), witness("azure", 2), witness("gcp", 3));
    let opened = Checkpoint::open(bytes, log.key());
    let anchor = Anchor::open(bytes, log.key(), azure.key());
    let Ok(note) = Note::parse(bytes) else {
        assert!(opened.is_err() && anchor.is_err());
        return;
    };
    assert_eq!(note.to_string().as_bytes(), bytes);
    let again = Note::new(note.text().to_owned(), note.signatures().to_vec());
    assert_eq!(again.as_ref(), Ok(&note));
    if let Ok(checkpoint) = Checkpoint::parse_body(note.text()) {
        assert_eq!(checkpoint.body(), note.text());
    }
    // What was signed is that one text.
    if let Ok((checkpoint, opened)) = opened {
        assert_eq!(opened, note);
        assert_eq!(
            (note.text(), checkpoint),
            (NOTE.text(), ANCHOR.checkpoint.clone())
        );
    }
    for (witness, signed_at) in [(azure, SECONDS), (gcp, SECONDS + 1)] {
        if let Cosigned::At(seconds) = cosignature::verify(witness.key(), &note) {
            assert_eq!((note.text(), seconds), (NOTE.text(), signed_at));
        }
    }
    if let Ok(anchor) = anchor {
        assert_eq!(
            (&anchor.checkpoint, anchor.seconds),
            (&ANCHOR.checkpoint, SECONDS)
        );
        assert_eq!(anchor.to_bytes(), bytes);
        assert_eq!(anchor.note.signatures().len(), 2);
        assert_eq!(anchor.delivery_id(), ANCHOR.delivery_id());
    }
}
