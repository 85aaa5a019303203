use countersign_core::json::{Canonicalizer, Reason, scan};
use countersign_core::record::{self, Carrier, CarrierKind, Cloud, RecordError, RecordReader};
use serde::de::IgnoredAny;
use serde_json::Value;

/// An input of at most this many bytes is also read cut at each of them.
const MAX_CUTS: usize = 256;

/// Canonical JSON, what is JSON at all, and the record of an event or a line.
pub fn canonicalizer(input: &[u8]) {
    let is_json = scan::is_json(input);
    assert_eq!(is_json, is_json_to_serde(input));
    let mut exact = Canonicalizer::exact();
    match exact.canonicalize(input) {
        Ok(_) => {
            assert!(is_json);
            canonical(input, &exact);
            cut(input);
        }
        Err(error) => {
            assert!(error.offset <= input.len(), "{error}");
            assert!(error.reason.is_inexact() || !is_json, "{error}");
        }
    }
    if is_json {
        for (name, value) in scan::members(input) {
            assert!(scan::string(name).is_some() && scan::is_json(value));
        }
    }
    event(input);
    line(input);
}

fn is_json_to_serde(input: &[u8]) -> bool {
    std::str::from_utf8(input).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Of an exact input, which the canonicalizer took last.
fn canonical(input: &[u8], taken: &Canonicalizer) {
    let taken = taken.parsed(input);
    let canonical = &*taken.canonical();
    assert_eq!(taken.is_canonical(), taken.spelling() == canonical);
    let mut again = Canonicalizer::exact();
    assert!(again.read(canonical).unwrap().is_canonical());
    assert_eq!(again.canonicalize(canonical).as_deref(), Ok(canonical));
    assert_eq!(Canonicalizer::jcs().canonicalize(input), Ok(canonical));

    // serde_json reads less deep.
    let Ok(value) = serde_json::from_slice::<Value>(input) else {
        assert!(input.iter().filter(|byte| b"[{".contains(byte)).count() > 120);
        return;
    };
    let canonical_value = serde_json::from_slice(canonical).unwrap();
    assert!(is_same(&value, &canonical_value));
    let theirs = serde_json_canonicalizer::to_vec(&value).unwrap();
    assert_eq!(canonical, theirs, "{}", String::from_utf8_lossy(&theirs));

    let members: Vec<_> = taken.members().collect();
    let Value::Object(object) = &value else {
        assert!(members.is_empty());
        return;
    };
    assert_eq!(members.len(), object.len());
    let mut rebuilt = Vec::new();
    for (name, value) in members {
        rebuilt.extend_from_slice(if rebuilt.is_empty() { b"{\"" } else { b",\"" });
        rebuilt.extend_from_slice(name);
        rebuilt.extend_from_slice(b"\":");
        rebuilt.extend_from_slice(again.canonicalize(value).unwrap());
        let quoted = [b"\"", name, b"\""].concat();
        let name = scan::string(&quoted).unwrap();
        assert!(is_same(
            &object[&*name],
            &serde_json::from_slice(value).unwrap()
        ));
    }
    rebuilt.extend_from_slice(if rebuilt.is_empty() { b"{}" } else { b"}" });
    assert_eq!(rebuilt, canonical);
}

/// Equality of values, numbers by the double that they denote.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, value)| b.get(name).is_some_and(|other| is_same(value, other));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => a == b,
    }
}

/// However much of a value was read, nothing in it is wrong yet: who reads a
/// stream relies on it.
fn cut(input: &[u8]) {
    let mut canonicalizer = Canonicalizer::exact();
    for at in 0..input.len().min(MAX_CUTS) {
        let start = &input[..at];
        let ends = |end| scan::skip_space(start, end) == at;
        match scan::value_end(start) {
            Ok(end) => assert!(ends(end)),
            Err(error) => assert_eq!(error.reason, Reason::UnexpectedEnd, "{at}"),
        }
        match canonicalizer.read_prefix(start) {
            Ok(end) => assert!(ends(end)),
            Err(error) if error.reason.is_inexact() => {}
            Err(error) => assert_eq!(error.reason, Reason::UnexpectedEnd, "{at}"),
        }
    }
}

/// Any event has one record, which is read back.
fn event(event: &[u8]) {
    let (mut canonicalizer, mut reader) = (Canonicalizer::exact(), RecordReader::default());
    let carrier = Carrier::of(event, &mut canonicalizer);
    let id = carrier.event_id();
    let mut line = Vec::new();
    let time = Some("2026-11-24T21:00:00Z").filter(|_| event.len().is_multiple_of(2));
    record::push(Cloud::Gcp, &carrier, "json", time, &mut line);
    let record = reader.read(&line).unwrap();
    assert_eq!((record.cloud, record.time), (Cloud::Gcp, time));
    assert_eq!((&*record.source, record.event_id()), ("json", id));
    match (carrier, record.carrier) {
        (Carrier::Event(parsed), CarrierKind::Event) => {
            assert_eq!(record.value, &*parsed.canonical());
        }
        (Carrier::Raw(_), CarrierKind::Raw) | (Carrier::Bytes(_), CarrierKind::Bytes) => {
            assert_eq!(record.event_bytes(), event);
        }
        (carrier, read) => panic!("{carrier:?} was read as {read:?}"),
    }
    // No other carrier may hold it.
    let used = record.carrier;
    let raw = std::str::from_utf8(event).ok().map(Carrier::Raw);
    let others = [
        (CarrierKind::Raw, raw),
        (CarrierKind::Bytes, Some(Carrier::Bytes(event))),
    ];
    for (kind, carrier) in others {
        let Some(carrier) = carrier.filter(|_| kind != used) else {
            continue;
        };
        line.clear();
        record::push(Cloud::Gcp, &carrier, "json", None, &mut line);
        let read = reader.read(&line);
        assert!(matches!(read, Err(RecordError::Carrier { .. })), "{read:?}");
    }
}

/// A line that is a record is the one that its parts make.
fn line(line: &[u8]) {
    let mut reader = RecordReader::default();
    let Ok(record) = reader.read(line) else {
        return;
    };
    let bytes = record.event_bytes();
    let mut canonicalizer = Canonicalizer::exact();
    let carrier = Carrier::of(&bytes, &mut canonicalizer);
    let mut again = Vec::new();
    record::push(
        record.cloud,
        &carrier,
        &record.source,
        record.time,
        &mut again,
    );
    assert_eq!(again, line);
}
