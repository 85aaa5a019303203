use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_core::json::Canonicalizer;
use countersign_core::record::RecordReader;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;

/// The carrier's value of each record, in order; every line must be a record.
fn events(input: &[u8]) -> Result<Vec<String>, SourceError> {
    let input = input.to_vec();
    let survey = survey(&input, Cloud::Other, GIB)?;
    let mut reader = PartReader::again(&input, Cloud::Other, GIB, &survey)?;
    let (mut events, mut parts) = (Vec::new(), 0);
    let mut records = RecordReader::default();
    while let Some(part) = reader.next_surveyed(&survey)? {
        parts += 1;
        let before = events.len();
        for line in part.body.split_inclusive(|byte| *byte == b'\n') {
            let record = records.read(&line[..line.len() - 1]).expect("a record");
            events.push(String::from_utf8_lossy(record.value).into_owned());
        }
        assert_eq!(part.records as usize, events.len() - before);
    }
    assert_eq!(parts, survey.parts.len());
    assert_eq!(survey.sha256, <[u8; 32]>::from(Sha256::digest(&input)));
    Ok(events)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn documents_and_lines_are_told_apart() {
    for (input, expected) in [
        // Documents.
        (
            r#"{"Records":[{"a":1.0},{"b":2}]}"#,
            vec![r#"{"a":1}"#, r#"{"b":2}"#],
        ),
        (
            "\n\n {\n \"records\" : [ 1 , [2,3] ,\n\"x\" ]\n}\n\n",
            vec!["1", "[2,3]", "\"x\""],
        ),
        (r#"{"\u0052ecords":[1]}"#, vec!["1"]),
        (r#"{"Records":[]}"#, vec![]),
        ("[]", vec![]),
        ("[{\"a\":1},\n{\"b\":2}]", vec![r#"{"a":1}"#, r#"{"b":2}"#]),
        (
            "[1,[2],{\"Records\":[3]}]",
            vec!["1", "[2]", r#"{"Records":[3]}"#],
        ),
        (
            r#"{"Records":[1],"more":2}"#,
            vec![r#"{"Records":[1],"more":2}"#],
        ),
        (
            "{\"Records\":[1],\n\"Records\":[2]}",
            vec![r#""{\"Records\":[1],\n\"Records\":[2]}""#],
        ),
        (r#"{"Records":{"a":1}}"#, vec![r#"{"Records":{"a":1}}"#]),
        (r#"{"recordS":[1]}"#, vec![r#"{"recordS":[1]}"#]),
        ("{\n\"a\":1\n}", vec![r#"{"a":1}"#]),
        (" 42 ", vec!["42"]),
        ("null\n\n", vec!["null"]),
        // Lines.
        ("{\"a\":1}\n{\"b\":2}", vec![r#"{"a":1}"#, r#"{"b":2}"#]),
        (
            "{\"records\":[1,2]}\r\n{\"Records\":[ ]}\n\n{\"records\":[3 ] }\n",
            vec!["1", "2", "3"],
        ),
        ("[1,2]\n[3]", vec!["[1,2]", "[3]"]),
        ("1\n2\n", vec!["1", "2"]),
        (
            "  hello\t\r\nworld \n \t\n",
            vec![r#""  hello\t""#, r#""world ""#],
        ),
        (
            "{\"a\":1} x\n{\"b\":2}\n",
            vec![r#""{\"a\":1} x""#, r#"{"b":2}"#],
        ),
        ("{\"a\":1}\nnot json\n", vec![r#"{"a":1}"#, r#""not json""#]),
        (
            "{\"a\" 1}\n{\"b\":2}\n",
            vec![r#""{\"a\" 1}""#, r#"{"b":2}"#],
        ),
        ("{\"Records\":[1,]}", vec![r#""{\"Records\":[1,]}""#]),
        (
            "{\"Records\":[1]} {\"Records\":[2]}\n",
            vec![r#""{\"Records\":[1]} {\"Records\":[2]}""#],
        ),
        ("{\"a\":\"x\ry\"}\r\n", vec![r#""{\"a\":\"x\ry\"}""#]),
        ("{\"Records\":[1}\n", vec![r#""{\"Records\":[1}""#]),
        (
            "  \n {\"a\":1} \n  {\"a\":9007199254740993}  \n",
            vec![r#"{"a":1}"#, r#""{\"a\":9007199254740993}""#],
        ),
        (
            "{\"records\":[1,9007199254740993 ]}\nx",
            vec!["1", "\"9007199254740993\"", "\"x\""],
        ),
        ("\u{feff}{\"a\":1}", vec!["\"\u{feff}{\\\"a\\\":1}\""]),
        ("\r\n \n", vec![]),
        ("a\r", vec![r#""a\r""#]),
        ("a\r\r\nb", vec![r#""a\r""#, "\"b\""]),
    ] {
        assert_eq!(events(input.as_bytes()).unwrap(), expected, "{input}");
        let zipped = gzip(input.as_bytes());
        let survey = survey(&zipped, Cloud::Other, GIB).unwrap();
        assert_eq!(
            survey.sha256,
            <[u8; 32]>::from(Sha256::digest(input.as_bytes()))
        );
        assert_eq!(survey.parts[0].records as usize, expected.len(), "{input}");
    }
    assert_eq!(
        events(b"\xff\n{\"a\":\"\xfe\"}\n").unwrap(),
        ["\"/w==\"", "\"eyJhIjoi/iJ9\""]
    );
}

#[test]
fn a_broken_delivery_names_its_offset() {
    for (input, offset) in [
        ("{\"Records\":[{\"a\":1},{\"b\"", 24),
        ("{\"Records\":[{\"a\":1},\n{\"b\" 2}]}", 26),
        ("{\n\"a\":1", 7),
        ("[1,2", 4),
        ("[1,\n2]\n[3]\n", 7),
        ("{\"a\":\"x\ny\"}", 7),
        ("{\"a\":\"x\r\ny\"}", 7),
        ("[tru\r\ne]", 4),
        ("{\"Records\":[1]\n,}", 16),
        ("[\n1 2]", 4),
        ("[", 1),
    ] {
        match events(input.as_bytes()) {
            Err(SourceError::Broken { offset: found, .. }) => assert_eq!(found, offset, "{input}"),
            other => panic!("{input}: {other:?}"),
        }
    }
    assert!(matches!(events(b""), Err(SourceError::Empty)));
    assert!(matches!(
        survey(&gzip(b""), Cloud::Aws, GIB),
        Err(SourceError::Empty)
    ));
}

#[test]
fn a_damaged_gzip_stream_is_broken() {
    let text = "{\"Records\":[{\"a\":1}]}";
    let whole = gzip(text.as_bytes());
    let two = [gzip(b"{\"Records\":[1,"), gzip(b"2]}")].concat();
    assert_eq!(survey(&two, Cloud::Aws, GIB).unwrap().parts[0].records, 2);
    for end in 2..whole.len() {
        let cut = whole[..end].to_vec();
        let error = survey(&cut, Cloud::Aws, GIB).unwrap_err();
        assert!(
            matches!(error, SourceError::Broken { .. }),
            "{end}: {error:?}"
        );
    }
    for trailing in [
        &b"x"[..],
        b"\0\0\0\0",
        b"\x1f",
        b"\x1f\x8b",
        b"hello, world",
    ] {
        let bytes = [&whole[..], trailing].concat();
        let error = survey(&bytes, Cloud::Aws, GIB).unwrap_err();
        assert!(
            matches!(error, SourceError::Broken { .. }),
            "{trailing:?}: {error:?}"
        );
    }
    let mut flipped = whole.clone();
    let crc = whole.len() - 6;
    flipped[crc] ^= 1;
    assert!(matches!(
        survey(&flipped, Cloud::Aws, GIB),
        Err(SourceError::Broken { .. })
    ));
}

#[test]
fn caps_hold_on_what_is_uncompressed() {
    let bomb = gzip(&vec![b' '; 5 << 20]);
    assert!(bomb.len() < 50_000);
    assert!(
        matches!(survey(&bomb, Cloud::Aws, 4 << 20), Err(SourceError::TooLarge { limit }) if limit == 4 << 20)
    );
    let long = vec![b'x'; (48 << 20) + 1];
    assert!(matches!(
        survey(&long, Cloud::Aws, GIB),
        Err(SourceError::EventTooLarge { offset: 0, .. })
    ));
}

/// A beginning, and then one byte for ever; counts what was read.
struct Endless(&'static [u8], u8, AtomicUsize);

impl Input for Endless {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        struct Counted<'a, R>(R, &'a AtomicUsize);
        impl<R: Read> Read for Counted<'_, R> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.read(buffer)?;
                self.1.fetch_add(count, Ordering::Relaxed);
                Ok(count)
            }
        }
        let bytes = self.0.chain(io::repeat(self.1));
        Ok(Box::new(Counted(bytes, &self.2)))
    }
}

#[test]
fn an_event_that_no_record_can_hold_is_not_read_to_its_end() {
    for (begins, goes_on, expected) in [
        (&b""[..], b'x', 0),
        (b"\n\n", b'\0', 2),
        (b"{\"a\":1}\n", b'x', 8),
        (b"{\"a\":1}\n{\"Records\":[", b'1', 8),
        (b"{", b' ', 0),
        (b"{\"", b'a', 0),
        (b"[1,\"", b'a', 3),
        (b"[1,", b'[', 3),
        (b"{\"Records\":[{},\n{\"a\":", b' ', 16),
    ] {
        let input = Endless(begins, goes_on, AtomicUsize::new(0));
        match survey(&input, Cloud::Aws, GIB) {
            Err(SourceError::EventTooLarge { offset, .. }) => assert_eq!(offset, expected),
            other => panic!("{other:?}"),
        }
        assert!(input.2.into_inner() < 3 * (50 << 20));
    }
    // White space between the events is none of them.
    let input = Endless(b"[1,", b' ', AtomicUsize::new(0));
    let refused = survey(&input, Cloud::Aws, 60 << 20);
    assert!(matches!(refused, Err(SourceError::TooLarge { .. })));
}

#[test]
fn a_large_delivery_is_cut_by_its_content_alone() {
    let many: String = (0..65_536 * 2 + 3).map(|n| format!("{n}\n")).collect();
    let found = survey(&many.clone().into_bytes(), Cloud::Aws, GIB).unwrap();
    let records: Vec<_> = found.parts.iter().map(|part| part.records).collect();
    assert_eq!(records, [65_536, 65_536, 3]);
    assert!(found.only.is_none());
    assert_eq!(events(many.as_bytes()).unwrap().len(), 131_075);

    // A line is `{"cloud":"aws","raw":"x…x","source":"text"}`: 40 bytes and LF around it.
    let line = "x".repeat((8 << 20) - 41);
    let exact = format!("{line}\n").repeat(6);
    let parts = |text: &str| {
        let survey = survey(&text.as_bytes().to_vec(), Cloud::Aws, GIB).unwrap();
        survey
            .parts
            .iter()
            .map(|part| (part.records, part.bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(parts(&exact), [(6, 48 << 20)]);
    assert_eq!(
        parts(&format!("x{exact}")),
        [(5, (40 << 20) + 1), (1, 8 << 20)]
    );
}

/// Gives one byte less each time it is read from the beginning.
struct Shrinking(Vec<u8>, AtomicUsize);

impl Input for Shrinking {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let less = self.1.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(&self.0[..self.0.len() - less]))
    }
}

#[test]
fn a_delivery_that_changes_between_two_readings_is_refused() {
    let input = Shrinking(b"a\nb\nc".to_vec(), AtomicUsize::new(0));
    let survey = survey(&input, Cloud::Aws, GIB).unwrap();
    let mut reader = PartReader::again(&input, Cloud::Aws, GIB, &survey).unwrap();
    assert!(matches!(
        reader.next_surveyed(&survey),
        Err(SourceError::Changed)
    ));
}

/// Gives few bytes at a time.
struct Trickle(Vec<u8>, usize);

impl Input for Trickle {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        struct Slow<'a>(&'a [u8], usize);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.1.min(buffer.len());
                self.0.read(&mut buffer[..count])
            }
        }
        Ok(Box::new(Slow(&self.0, self.1)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn envelopes_lines_and_arrays_hold_the_same_events(
        numbers in proptest::collection::vec(0u32..1000, 1..200),
        pad in 0usize..3000,
        chunk in 1usize..100,
    ) {
        let events_in: Vec<String> = numbers.iter().map(|n| format!("{{\"n\":{n},\"p\":\"{}\"}}", "é".repeat(pad % (*n as usize + 1)))).collect();
        let envelope = format!("{{\"Records\":[{}]}}", events_in.join(","));
        let array = format!("[{}]\n", events_in.join(" ,\n"));
        let lines = events_in.join("\n");
        for text in [envelope, array, lines] {
            let input = Trickle(text.into_bytes(), chunk);
            let found = survey(&input, Cloud::Aws, GIB).unwrap();
            let body = String::from_utf8(found.only.unwrap().body).unwrap();
            let expected: String = events_in.iter().map(|event| {
                let mut canonicalizer = Canonicalizer::exact();
                let canonical = canonicalizer.canonicalize(event.as_bytes()).unwrap();
                format!("{{\"cloud\":\"aws\",\"event\":{},\"source\":\"json\"}}\n", String::from_utf8_lossy(canonical))
            }).collect();
            prop_assert_eq!(body, expected);
        }
    }

    #[test]
    fn any_bytes_are_split_or_refused(input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'{'), Just(b'['), Just(b']'), Just(b'}'), Just(b'"'), Just(b','), Just(b':'), Just(b'1'), Just(b' '), any::<u8>()], 0..60)) {
        let _ = events(&input);
        let wrapped = [b"{\"Records\":[".as_slice(), &input, b"]}"].concat();
        let _ = events(&wrapped);
    }
}
