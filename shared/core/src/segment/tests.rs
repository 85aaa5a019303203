use proptest::prelude::*;

use super::*;
use crate::index::{Index, IndexError, IndexLine, inspect};
use crate::keys::{KeyKind, Seed, SeedSigner, Signer};
use crate::record::RecordReader;

fn signer(seed: u8) -> SeedSigner {
    let seed = Seed::from_bytes([seed; 32]);
    SeedSigner::new("audit.example.org/aws", KeyKind::Log, &seed).unwrap()
}

fn header(body: &[u8], start: u64, records: u64) -> Header {
    Header {
        body_sha256: body_sha256(body),
        countersign: "segment/v1".into(),
        deliveries: vec![Delivery {
            from: "a \"file\"".into(),
            id: "0a".repeat(32),
            part: (1, 1),
            records,
            sha256: "0b".repeat(32),
        }],
        end: start + 1 + records,
        genesis_sha256: (start == 0).then(|| "0c".repeat(32)),
        origin: "audit.example.org/aws".into(),
        prev: Hash([7; 32]),
        sealed_at: "2026-11-24T21:00:00.000Z".into(),
        signature: None,
        start,
    }
}

fn lines_of(records: usize) -> Vec<u8> {
    (0..records)
        .map(|n| format!("{{\"cloud\":\"aws\",\"event\":{{\"n\":{n}}},\"source\":\"json\"}}\n"))
        .collect::<String>()
        .into_bytes()
}

fn seal(header: &mut Header, body: &[u8]) -> Vec<u8> {
    let line = signed::sign(header, &signer(1)).unwrap();
    encode(&line, &[body], 1).unwrap()
}

#[test]
fn a_segment_comes_back_as_it_was_sealed() {
    let body = lines_of(3);
    let mut wanted = header(&body, 9, 3);
    let object = seal(&mut wanted, &body);
    let segment = Segment::open(&object, signer(1).key()).unwrap();
    assert_eq!((&segment.header, segment.body()), (&wanted, &body[..]));
    assert_eq!(segment.lines().count(), 4);
    assert_eq!(open_header(&object, signer(1).key()).unwrap(), wanted);
    // The beginning of a large object is enough.
    let large = lines_of(20_000);
    let mut wanted = header(&large, 9, 20_000);
    let object = seal(&mut wanted, &large);
    let start = &object[..object.len() / 2];
    assert_eq!(open_header(start, signer(1).key()).unwrap(), wanted);
    assert!(open_header(&start[..40], signer(1).key()).is_err());
    let empty = header(b"", 0, 0);
    let object = seal(&mut empty.clone(), b"");
    assert_eq!(
        Segment::open(&object, signer(1).key())
            .unwrap()
            .lines()
            .count(),
        1
    );
}

#[test]
fn no_byte_of_an_object_can_be_changed() {
    let body = lines_of(5);
    let object = seal(&mut header(&body, 0, 5), &body);
    let original = Segment::open(&object, signer(1).key()).unwrap();
    for at in 0..object.len() {
        for bit in [0, 3, 7] {
            let mut changed = object.clone();
            changed[at] ^= 1 << bit;
            // A frame may have several spellings of one content; no other content passes.
            if let Ok(segment) = Segment::open(&changed, signer(1).key()) {
                assert_eq!(segment.content, original.content, "{at}");
            }
        }
        assert!(
            Segment::open(&object[..at], signer(1).key()).is_err(),
            "{at}"
        );
    }
}

#[test]
fn a_frame_is_one_frame_with_a_checksum_and_nothing_else() {
    let content = b"line\n".repeat(100);
    let one = compress(&[&content], 1).unwrap();
    assert_eq!(decompress(&one, 1000).unwrap(), content);
    assert_eq!(
        decompress(&one, 499),
        Err(FrameError::TooLarge { limit: 499 })
    );
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9][..], &one].concat();
    let bare = zstd::bulk::compress(&content, 1).unwrap();
    for (object, expected) in [
        (&[&one[..], &one].concat()[..], FrameError::NotOneFrame),
        (&[&one[..], b"x"].concat(), FrameError::NotOneFrame),
        (
            &[&one[..], &skippable[..9]].concat(),
            FrameError::NotOneFrame,
        ),
        (&skippable, FrameError::NotOneFrame),
        (&one[..one.len() - 1], FrameError::NotOneFrame),
        (b"", FrameError::NotOneFrame),
        (b"\x28\xb5\x2f\xfd", FrameError::NotOneFrame),
        (b"plain text", FrameError::NotOneFrame),
        (&bare, FrameError::NoChecksum),
    ] {
        assert_eq!(decompress(object, 1000), Err(expected));
    }
    let mut spoiled = one.clone();
    let last = spoiled.len() - 1;
    spoiled[last] ^= 1; // in the checksum
    assert!(matches!(
        decompress(&spoiled, 1000),
        Err(FrameError::Zstd(_))
    ));
    // A frame that does not say how much it holds is in order.
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&content).unwrap();
    assert_eq!(
        decompress(&encoder.finish().unwrap(), 1000).unwrap(),
        content
    );
}

#[test]
fn a_bomb_stops_at_the_cap() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    let zeros = vec![0u8; 1 << 20];
    for _ in 0..200 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let error = decompress(&bomb, MAX_CONTENT_BYTES).unwrap_err();
    assert_eq!(
        error,
        FrameError::TooLarge {
            limit: MAX_CONTENT_BYTES
        }
    );
    assert!(compress(&[&vec![0; MAX_CONTENT_BYTES], b"1"], 1).is_err());
}

#[test]
fn a_header_that_contradicts_itself_is_refused() {
    let body = lines_of(2);
    type Change = fn(&mut Header);
    let changes: [(Change, &str); 14] = [
        (|h| h.end += 1, "add up"),
        (
            |h| {
                h.deliveries[0].records = MAX_RECORDS + 1;
                h.end = h.start + 2 + MAX_RECORDS;
            },
            "more records than fit",
        ),
        (|h| h.end = h.start, "range"),
        (|h| h.end = u64::MAX >> 1, "canonical"),
        (|h| h.genesis_sha256 = Some("0c".repeat(32)), "genesis"),
        (|h| h.start = 0, "genesis"),
        (|h| h.sealed_at = "yesterday".into(), "sealed_at"),
        (
            |h| h.sealed_at = "2026-11-24T22:00:00.000+01:00".into(),
            "sealed_at",
        ),
        (|h| h.body_sha256 = "0A".repeat(32), "hex"),
        (|h| h.body_sha256 = "0a".repeat(32), "SHA-256"),
        (|h| h.deliveries[0].id = "x".into(), "hex"),
        (|h| h.deliveries[0].part = (0, 1), "part"),
        (|h| h.deliveries[0].part = (3, 2), "part"),
        (|h| h.countersign = "index/v1".into(), "segment/v1"),
    ];
    for (change, expected) in changes {
        let mut header = header(&body, 9, 2);
        change(&mut header);
        let error = Segment::open(&seal(&mut header, &body), signer(1).key()).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let mut fewer = header(&body, 9, 2);
    let line = signed::sign(&mut fewer, &signer(1)).unwrap();
    let other = encode(&line, &[&lines_of(3)], 1).unwrap();
    assert!(matches!(
        Segment::open(&other, signer(1).key()),
        Err(SegmentError::Body { .. })
    ));
}

#[test]
fn only_the_chain_s_own_key_signs() {
    let body = lines_of(1);
    let mut header = header(&body, 9, 1);
    let line = signed::sign(&mut header, &signer(2)).unwrap();
    let object = encode(&line, &[&body], 1).unwrap();
    let error = Segment::open(&object, signer(1).key()).unwrap_err();
    assert!(
        matches!(error, SegmentError::Document(DocumentError::Signature(_))),
        "{error}"
    );
    // Another spelling of the same header is not the signed one.
    let text = String::from_utf8(line).unwrap();
    for other in [
        text.replace("\"start\":9", "\"start\":9.0"),
        text.replace(",\"start\"", ", \"start\""),
        text.replace("{\"body", "{\"a\":null,\"body"),
    ] {
        let object = encode(other.as_bytes(), &[&body], 1).unwrap();
        assert!(Segment::open(&object, signer(2).key()).is_err(), "{other}");
    }
}

#[test]
fn an_index_says_what_stands_in_the_segments() {
    let key = signer(1);
    let body = concat!(
        r#"{"cloud":"aws","event":1,"source":"json","time":"2026-01-01T00:00:00.50Z"}"#,
        "\n",
        r#"{"cloud":"aws","event":2,"source":"aws.cloudtrail","time":"2026-01-01T00:00:00.5Z"}"#,
        "\n",
        r#"{"cloud":"aws","event":3,"source":"json","time":"2025-12-31T23:59:59Z"}"#,
        "\n",
        r#"{"cloud":"aws","event":4.0,"source":"json"}"#,
        "\n",
    );
    let mut head = header(body.as_bytes(), 0, 4);
    let object = seal(&mut head, body.as_bytes());
    let segment = Segment::open(&object, key.key()).unwrap();
    let mut seen = Vec::new();
    let (summary, bad) = inspect(&segment, &mut RecordReader::default(), |index, _, _| {
        seen.push(index)
    });
    assert_eq!(
        (segment.leaves().len(), &seen[..], bad.first[0].index),
        (5, &[1, 2, 3][..], 4)
    );
    assert_eq!(bad.count, 1);
    assert_eq!(summary.earliest.as_deref(), Some("2025-12-31T23:59:59Z"));
    assert_eq!(summary.latest.as_deref(), Some("2026-01-01T00:00:00.50Z"));
    assert_eq!(summary.sources["json"], 2);
    let line = IndexLine::new(&head, &summary, body_sha256(&object), object.len() as u64);
    let sealed = Index::seal(&head.origin, 0, 5, std::slice::from_ref(&line), &key, 1).unwrap();
    assert_eq!(
        Index::open(&sealed, key.key()).unwrap().lines,
        std::slice::from_ref(&line)
    );
    let mut spelled = line.clone();
    spelled.latest = Some("2026-01-01T00:00:00.5Z".into());
    assert_eq!(spelled.meaning(), line.meaning());
    spelled.latest = Some("2026-01-01T00:00:00.51Z".into());
    assert_ne!(spelled.meaning(), line.meaning());
    for (from, size) in [(0, 6), (1, 5), (5, 5)] {
        let sealed = Index::seal(
            &head.origin,
            from,
            size,
            std::slice::from_ref(&line),
            &key,
            1,
        )
        .unwrap();
        let error = Index::open(&sealed, key.key()).unwrap_err();
        assert!(
            matches!(error, IndexError::Range | IndexError::Line { .. }),
            "{error}"
        );
    }
    assert!(Index::open(&sealed, signer(2).key()).is_err());
    for at in 0..sealed.len() {
        assert!(Index::open(&sealed[..at], key.key()).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), content in proptest::collection::vec(any::<u8>(), 0..200)) {
        let key = signer(1);
        prop_assert!(Segment::open(&bytes, key.key()).is_err());
        let framed = compress(&[&content], 1).unwrap();
        prop_assert_eq!(decompress(&framed, 1000).unwrap(), content);
        prop_assert!(Segment::open(&framed, key.key()).is_err());
        prop_assert!(Index::open(&framed, key.key()).is_err());
        prop_assert!(open_header(&framed, key.key()).is_err());
    }
}
