use std::io::{self, Read, Write};

use countersign_core::json::{Canonicalizer, scan};
use countersign_core::record::{Carrier, CarrierKind, Cloud, RecordReader};
use countersign_sources::{Input, Part, PartReader, SourceError, survey};
use flate2::{Compression, write::GzEncoder};

use super::mode;

const MAX_BYTES: u64 = 1 << 22;

/// A splitter reads this much at a time: its window's edge is put into the input.
const WINDOW_BYTES: usize = 256 << 10;

/// Deliveries: the events are those that the format says, however the bytes come.
pub fn sources(input: &[u8]) {
    let (mode, rest) = mode(input);
    let cloud = [Cloud::Aws, Cloud::Azure, Cloud::Gcp, Cloud::Other][usize::from(mode % 4)];
    let whole = parts(&rest.to_vec(), cloud);
    let dripped = parts(&Dripping(rest, usize::from(mode / 16) + 1), cloud);
    if rest.starts_with(&[0x1f, 0x8b]) {
        // How far a damaged stream was read depends on how it came.
        assert_eq!(outcome(&whole).0, outcome(&dripped).0);
        if let Ok(parts) = whole {
            check_lines(&parts);
        }
        return;
    }
    assert_eq!(outcome(&whole), outcome(&dripped));
    match (&whole, events(rest)) {
        (Ok(parts), Some(expected)) => {
            let lines = check_lines(parts);
            let kept: Vec<Kept> = lines.iter().map(|line| Kept::of_line(line)).collect();
            let expected: Vec<Kept> = expected.iter().map(|event| Kept::of_event(event)).collect();
            assert_eq!(kept, expected);
        }
        (Err(SourceError::Broken { offset, .. }), None) => assert!(*offset <= rest.len() as u64),
        (Err(SourceError::Empty), None) => assert!(rest.is_empty()),
        (whole, expected) => panic!("{whole:?} instead of {expected:?}"),
    }
    if rest.is_empty() {
        return;
    }
    let zipped = parts(&gzip(rest), cloud);
    assert_eq!(outcome(&zipped), outcome(&whole));
    // The window's edge within the input; a blank line before it changes nothing.
    if mode / 4 % 4 == 0 {
        let before = usize::from(mode / 16) * rest.len() / 16;
        let mut shifted = vec![b' '; WINDOW_BYTES - 1 - before.min(rest.len())];
        shifted.push(b'\n');
        shifted.extend_from_slice(rest);
        assert_eq!(outcome(&parts(&shifted, cloud)).0, outcome(&whole).0);
    }
}

/// The parts, read both ways.
fn parts(input: &dyn Input, cloud: Cloud) -> Result<Vec<Part>, SourceError> {
    let survey = survey(input, cloud, MAX_BYTES)?;
    let mut reader = PartReader::again(input, cloud, MAX_BYTES, &survey)?;
    let mut parts = Vec::new();
    while let Some(part) = reader.next_surveyed(&survey)? {
        parts.push(part);
    }
    assert_eq!(parts.len(), survey.parts.len());
    for (part, size) in parts.iter().zip(&survey.parts) {
        assert_eq!(
            (part.records, part.body.len() as u64),
            (size.records, size.bytes)
        );
    }
    Ok(parts)
}

/// What two ways of reading must agree on: the parts, or that there are none
/// and where it breaks.
fn outcome(parts: &Result<Vec<Part>, SourceError>) -> (Option<&Vec<Part>>, Option<String>) {
    (
        parts.as_ref().ok(),
        parts.as_ref().err().map(ToString::to_string),
    )
}

/// The record lines of all parts, each of them checked.
fn check_lines(parts: &[Part]) -> Vec<&[u8]> {
    let mut reader = RecordReader::default();
    let mut lines = Vec::new();
    for part in parts {
        let from = lines.len();
        for line in part.body.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap();
            assert!(
                reader.read(line).is_ok(),
                "{}",
                String::from_utf8_lossy(line)
            );
            lines.push(line);
        }
        assert_eq!((lines.len() - from) as u64, part.records);
    }
    lines
}

/// How an event is held.
#[derive(Debug, PartialEq)]
struct Kept {
    carrier: CarrierKind,
    bytes: Vec<u8>,
    is_text: bool,
}

impl Kept {
    fn of_line(line: &[u8]) -> Self {
        let mut reader = RecordReader::default();
        let record = reader.read(line).unwrap();
        Self {
            carrier: record.carrier,
            bytes: record.event_bytes().into_owned(),
            is_text: record.source == "text",
        }
    }

    fn of_event(event: &[u8]) -> Self {
        let mut canonicalizer = Canonicalizer::exact();
        let (carrier, bytes) = match Carrier::of(event, &mut canonicalizer) {
            Carrier::Event(parsed) => (CarrierKind::Event, parsed.canonical()),
            Carrier::Raw(text) => (CarrierKind::Raw, text.as_bytes().into()),
            Carrier::Bytes(bytes) => (CarrierKind::Bytes, bytes.into()),
        };
        Self {
            carrier,
            bytes: bytes.to_vec(),
            is_text: !scan::is_json(event),
        }
    }
}

/// The events by the letter of the format, from the input as a whole; none if
/// nothing of it may be sealed.
fn events(input: &[u8]) -> Option<Vec<&[u8]>> {
    if input.is_empty() {
        return None;
    }
    if scan::is_json(input) {
        let value = scan::trim(input);
        return Some(match value.first() {
            Some(b'[') => elements(value),
            _ => unwrapped(value),
        });
    }
    let mut events = Vec::new();
    let mut is_first = true;
    let mut at = 0;
    for whole in input.split_inclusive(|byte| *byte == b'\n') {
        let line = match whole.strip_suffix(b"\n") {
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
            None => whole,
        };
        let value = scan::trim(line);
        if !value.is_empty() {
            let begins_document = is_first && matches!(value[0], b'{' | b'[');
            if begins_document && goes_on(&input[at..], line.len()) {
                return None;
            }
            is_first = false;
            if scan::is_json(value) {
                events.extend(unwrapped(value));
            } else {
                events.push(line);
            }
        }
        at += whole.len();
    }
    Some(events)
}

/// Whether the value that `rest` begins with is in order up to the end of its
/// first line, and longer.
fn goes_on(rest: &[u8], line_bytes: usize) -> bool {
    match scan::value_end(rest) {
        Ok(end) => end > line_bytes,
        Err(error) => error.offset >= line_bytes,
    }
}

/// The elements of an envelope, or the value itself.
fn unwrapped(value: &[u8]) -> Vec<&[u8]> {
    let mut members = scan::members(value);
    match (members.next(), members.next()) {
        (Some((name, array)), None)
            if array.starts_with(b"[")
                && matches!(scan::string(name).as_deref(), Some("Records" | "records")) =>
        {
            elements(array)
        }
        _ => vec![value],
    }
}

/// The elements of an array that is JSON.
fn elements(array: &[u8]) -> Vec<&[u8]> {
    let mut elements = Vec::new();
    let mut at = scan::skip_space(array, 1);
    while array[at] != b']' {
        let end = at + scan::value_end(&array[at..]).unwrap();
        elements.push(scan::trim(&array[at..end]));
        at = scan::skip_space(array, end);
        if array[at] == b',' {
            at = scan::skip_space(array, at + 1);
        }
    }
    elements
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Gives its bytes few at a time: 1, 2, … up to that many, and again.
struct Dripping<'a>(&'a [u8], usize);

impl Input for Dripping<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        struct Slow<'a>(&'a [u8], usize, usize);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.2 = self.2 % self.1 + 1;
                let count = self.2.min(buffer.len());
                self.0.read(&mut buffer[..count])
            }
        }
        Ok(Box::new(Slow(self.0, self.1, 0)))
    }
}
