use std::sync::LazyLock;

use countersign_core::index::{Index, inspect};
use countersign_core::keys::Signer;
use countersign_core::merkle::Hash;
use countersign_core::record::RecordReader;
use countersign_core::segment::{
    self, Delivery, Header, Segment, body_sha256, decompress, encode, open_header,
};
use countersign_core::signed;

use super::{ORIGIN, edited, log, mode};

const BODY: &str = "{\"cloud\":\"aws\",\"event\":{\"a\":1},\"source\":\"json\"}\n\
    {\"cloud\":\"aws\",\"raw\":\"boot\",\"source\":\"text\"}\n\
    {\"cloud\":\"gcp\",\"raw_base64\":\"//4=\",\"source\":\"text\",\"time\":\"2026-11-24T21:00:00Z\"}\n";

/// A signed segment: its content and its object.
static VALID: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let mut header = header(BODY.as_bytes());
    let line = signed::sign(&mut header, &log()).unwrap();
    let object = encode(&line, &[BODY.as_bytes()], 3).unwrap();
    (decompress(&object, 1 << 20).unwrap(), object)
});

/// The header, not yet signed, of a first segment with this body.
fn header(body: &[u8]) -> Header {
    let records = body.iter().filter(|byte| **byte == b'\n').count() as u64;
    let delivery = |number, records| Delivery {
        from: "trail.json.gz".into(),
        id: "1f".repeat(32),
        part: (number, 2),
        records,
        sha256: "2e".repeat(32),
    };
    Header {
        body_sha256: body_sha256(body),
        countersign: "segment/v1".into(),
        deliveries: vec![delivery(1, records / 2), delivery(2, records - records / 2)],
        end: 1 + records,
        genesis_sha256: Some("3d".repeat(32)),
        origin: ORIGIN.into(),
        prev: Hash::from_base64("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").unwrap(),
        sealed_at: "2026-11-24T21:00:00.000Z".into(),
        signature: None,
        start: 0,
    }
}

/// Segments, and the frame that they share with indexes: what opens holds the
/// leaves that were signed, and nothing takes more memory than its cap.
pub fn segment(input: &[u8]) {
    let (mode, rest) = mode(input);
    match mode % 5 {
        // Any bytes.
        0 => object(rest),
        // A valid object, changed.
        1 => object(&edited(&VALID.1, rest)),
        // A valid content, changed, in a frame that is in order.
        2 => object(&encode_content(&edited(&VALID.0, rest))),
        // A header of any form with a signature that holds.
        3 => signed_header(rest),
        // Any body under a header of its own.
        _ => signed_body(rest),
    }
}

/// Whatever opens under a key of ours is the one segment that was signed.
fn object(object: &[u8]) {
    for limit in [0, 1 << 10, 1 << 16] {
        if let Ok(content) = decompress(object, limit) {
            assert!(content.len() <= limit && content.capacity() <= 4 * limit + 64);
            let again = segment::compress(&[&content], 1).unwrap();
            assert_eq!(decompress(&again, limit).as_ref(), Ok(&content));
        }
    }
    assert!(Index::open(object, log().key()).is_err());
    let header = open_header(object, log().key());
    let Ok(segment) = Segment::open(object, log().key()) else {
        if let Ok(header) = header {
            assert_eq!(
                signed::canonical(&header),
                VALID.0.split(|byte| *byte == b'\n').next().unwrap()
            );
        }
        return;
    };
    assert_eq!(header.unwrap(), segment.header);
    assert_eq!(content_of(&segment), VALID.0);
    holds(&segment);
}

fn signed_header(text: &[u8]) {
    let line = VALID.0.split(|byte| *byte == b'\n').next().unwrap();
    let text = match text.split_first() {
        Some((b'{', _)) => text.to_vec(),
        _ => edited(line, text),
    };
    let Ok(mut header) = serde_json::from_slice::<Header>(&text) else {
        return;
    };
    let line = signed::sign(&mut header, &log()).unwrap();
    let object = encode(&line, &[BODY.as_bytes()], 1).unwrap();
    let read = open_header(&object, log().key());
    let Ok(segment) = Segment::open(&object, log().key()) else {
        return;
    };
    assert_eq!(read.as_ref().ok(), Some(&header));
    assert_eq!(segment.header, header);
    assert_eq!(segment.header_line(), line);
    assert_eq!(header.end - header.start, 4);
    assert_eq!(header.start == 0, header.genesis_sha256.is_some());
    holds(&segment);
}

fn signed_body(body: &[u8]) {
    let mut header = header(body);
    let line = signed::sign(&mut header, &log()).unwrap();
    let opened = Segment::open(&encode(&line, &[body], 1).unwrap(), log().key());
    let is_lines = body.last().is_none_or(|byte| *byte == b'\n');
    assert_eq!(opened.is_ok(), is_lines);
    if let Ok(segment) = opened {
        assert_eq!(segment.body(), body);
        holds(&segment);
    }
}

/// A segment that opened gives as many leaves as it says, and opens again as it was.
fn holds(segment: &Segment) {
    let mut read = 0;
    let (summary, bad) = inspect(segment, &mut RecordReader::default(), |_, _, _| read += 1);
    let leaves = segment.leaves();
    let header = &segment.header;
    assert_eq!(leaves.len() as u64, header.end - header.start);
    assert_eq!(read + bad.count, header.end - header.start - 1);
    assert_eq!(summary.sources.values().sum::<u64>(), read);
    assert!(segment.lines().map(Hash::leaf).eq(leaves.iter().copied()));
    let object = encode(segment.header_line(), &[segment.body()], 1).unwrap();
    let again = Segment::open(&object, log().key()).unwrap();
    assert_eq!(content_of(&again), content_of(segment));
}

fn content_of(segment: &Segment) -> Vec<u8> {
    [segment.header_line(), b"\n", segment.body()].concat()
}

fn encode_content(content: &[u8]) -> Vec<u8> {
    segment::compress(&[content], 1).unwrap()
}
