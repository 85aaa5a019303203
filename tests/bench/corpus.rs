//! What is measured over: real CloudTrail records, repeated with changed ids.

use std::fs;
use std::path::Path;

use countersign_core::segment;

/// Records of a delivery, about what CloudTrail writes into one file.
pub const DELIVERY_RECORDS: usize = 200;

/// Records as their source spelt them.
pub struct Corpus {
    lines: Vec<Vec<u8>>,
}

impl Corpus {
    /// Reads NDJSON.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = fs::read(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let lines: Vec<_> = segment::lines(&bytes)
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        if lines.is_empty() {
            return Err(format!("{} has no lines", path.display()));
        }
        Ok(Self { lines })
    }

    /// That many records: the real ones again and again, each time with other ids.
    pub fn records(&self, count: usize) -> impl Iterator<Item = Vec<u8>> {
        (0..count).map(|nth| {
            let mut line = self.lines[nth % self.lines.len()].clone();
            change_id(&mut line, nth / self.lines.len());
            line
        })
    }

    /// That many records as lines.
    pub fn ndjson(&self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in self.records(count) {
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
        }
        bytes
    }

    /// That many records as CloudTrail delivers them, `{"Records":[…]}` each.
    pub fn deliveries(&self, count: usize) -> impl Iterator<Item = Vec<u8>> {
        let mut records = self.records(count).peekable();
        std::iter::from_fn(move || {
            records.peek()?;
            let mut delivery = b"{\"Records\":[".to_vec();
            for line in records.by_ref().take(DELIVERY_RECORDS) {
                delivery.extend_from_slice(&line);
                delivery.push(b',');
            }
            delivery.pop();
            delivery.extend_from_slice(b"]}");
            Some(delivery)
        })
    }
}

/// Writes the repetition's number over the first digits of the event's id.
fn change_id(line: &mut [u8], repetition: usize) {
    const MEMBER: &[u8] = b"\"eventID\":\"";
    let found = line.windows(MEMBER.len()).position(|bytes| bytes == MEMBER);
    if let Some(at) = found
        && let Some(id) = line.get_mut(at + MEMBER.len()..at + MEMBER.len() + 8)
    {
        id.copy_from_slice(format!("{repetition:08x}").as_bytes());
    }
}
