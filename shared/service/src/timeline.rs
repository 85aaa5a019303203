//! One timeline over the records of any number of chains.
//!
//! Two passes, so that memory is some 40 bytes a record: the first collects when
//! each record happened and where it stands, the second reads the records in
//! that order, keeping the segments that were used last.

use std::collections::VecDeque;
use std::sync::Arc;

use countersign_core::names::{self, Object};
use countersign_core::record::{Record, RecordReader};
use countersign_core::segment::{self, Segment, SegmentError};
use countersign_core::time;
use countersign_store::{GetError, ListError, ObjectPages};
use futures_util::stream::{self, StreamExt};

use crate::chain::Chain;
use crate::objects::MAX_OBJECT_BYTES;

/// Segments that are read at a time, each up to 64 MiB.
const READ_AHEAD: usize = 2;

/// Decoded segments are kept up to this many bytes.
const KEPT_BYTES: u64 = 128 << 20;

/// A point in time that sorts and has a fixed size: seconds since 1970, and the
/// first 18 digits of the fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    seconds: i64,
    fraction: u64,
}

impl Moment {
    /// Reads an RFC 3339 time.
    pub fn parse(text: &str) -> Option<Self> {
        let seconds = time::parse(text)?.seconds;
        let digits = text.as_bytes().get(20..).unwrap_or_default().iter();
        let digits = digits.copied().take_while(u8::is_ascii_digit);
        // Without a fraction the offset begins there.
        let fraction = if text.as_bytes().get(19) == Some(&b'.') {
            let padded = digits.chain(std::iter::repeat(b'0')).take(18);
            padded.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
        } else {
            0
        };
        Some(Self { seconds, fraction })
    }
}

/// Where a record stands and when it happened. Orders by time, then by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    at: Moment,
    chain: u32,
    index: u64,
}

/// A record of the timeline.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its chain.
    pub chain: &'a Chain,
    /// Its leaf index.
    pub index: u64,
    /// When its segment was sealed.
    pub sealed_at: &'a str,
    /// Its line.
    pub line: &'a [u8],
    /// The record.
    pub record: Record<'a>,
}

/// Why a timeline is not whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimelineError {
    /// A segment is not one.
    #[error("{object} of {origin} does not hold ({error}): its records are left out; run verify")]
    Segment {
        /// The chain.
        origin: String,
        /// The object.
        object: String,
        /// What is wrong.
        error: SegmentError,
    },
    /// Records that are not in canonical form.
    #[error(
        "{object} of {origin} holds {count} records that are not in canonical form: they are left out; run verify"
    )]
    Records {
        /// The chain.
        origin: String,
        /// The object.
        object: String,
        /// How many.
        count: u64,
    },
    /// An object cannot be read.
    #[error(transparent)]
    Get(#[from] GetError),
    /// A store cannot be listed.
    #[error(transparent)]
    List(#[from] ListError),
    /// Reading was broken off.
    #[error("the work was broken off: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

impl TimelineError {
    /// The stores contradict themselves, as opposed to what could not be read.
    pub fn is_evidence(&self) -> bool {
        matches!(self, Self::Segment { .. } | Self::Records { .. })
    }
}

/// The records of some chains in the order of their time.
#[derive(Debug)]
pub struct Timeline {
    chains: Vec<Chain>,
    /// Of each chain, the starts of its segments.
    starts: Vec<Vec<u64>>,
    places: Vec<Place>,
}

impl Timeline {
    /// Reads the chains once. Only segments whose signature holds are taken;
    /// whether they are all there is for verify to say. What is left out is
    /// returned with the timeline of the rest; `each` is told of each segment.
    pub async fn collect(
        chains: Vec<Chain>,
        since: Option<Moment>,
        mut each: impl FnMut(u64),
    ) -> (Self, Vec<TimelineError>) {
        let mut timeline = Self {
            starts: vec![Vec::new(); chains.len()],
            chains,
            places: Vec::new(),
        };
        let mut problems = Vec::new();
        for number in 0..timeline.chains.len() {
            let chain = timeline.chains[number].clone();
            let mut pages = ObjectPages::new(&*chain.sealed, "segments/");
            loop {
                let objects = match pages.next().await {
                    Ok(Some(objects)) => objects,
                    Ok(None) => break,
                    Err(error) => {
                        problems.push(error.into());
                        break;
                    }
                };
                let starts = objects
                    .iter()
                    .filter_map(|object| match Object::parse(&object.key) {
                        Some(Object::Segment { start }) => Some(start),
                        _ => None,
                    });
                let scans = starts.map(|start| scan(&chain, number as u32, start, since));
                let mut scans = stream::iter(scans).buffered(READ_AHEAD);
                while let Some(scanned) = scans.next().await {
                    match scanned {
                        Ok((start, places, problem)) => {
                            each(1);
                            timeline.starts[number].push(start);
                            timeline.places.extend(places);
                            problems.extend(problem);
                        }
                        Err(error) => problems.push(error),
                    }
                }
            }
        }
        timeline.places.sort_unstable();
        (timeline, problems)
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The chains.
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// Reads the records in order, until `take` says `false`.
    ///
    /// # Errors
    /// When a segment can no longer be read.
    pub async fn read(
        &self,
        mut take: impl FnMut(&Entry<'_>) -> bool,
    ) -> Result<(), TimelineError> {
        let mut kept = Kept::default();
        let mut reader = RecordReader::default();
        for place in &self.places {
            let chain = &self.chains[place.chain as usize];
            let starts = &self.starts[place.chain as usize];
            let nth = starts.partition_point(|start| *start <= place.index);
            let Some(start) = nth.checked_sub(1).map(|nth| starts[nth]) else {
                continue;
            };
            let lines = match kept.find(place.chain, start) {
                Some(lines) => lines,
                None => {
                    let segment = open(chain, start).await?;
                    kept.push(place.chain, Arc::new(Lines::new(segment)))
                }
            };
            let Some(line) = lines.line(place.index) else {
                continue;
            };
            // It was in order a moment ago.
            let Ok(record) = reader.read(line) else {
                continue;
            };
            let entry = Entry {
                chain,
                index: place.index,
                sealed_at: &lines.segment.header.sealed_at,
                line,
                record,
            };
            if !take(&entry) {
                break;
            }
        }
        Ok(())
    }
}

/// A segment's places, and what is not in order with its records.
type Scanned = (u64, Vec<Place>, Option<TimelineError>);

async fn scan(
    chain: &Chain,
    number: u32,
    start: u64,
    since: Option<Moment>,
) -> Result<Scanned, TimelineError> {
    let segment = open(chain, start).await?;
    let origin = chain.origin().to_owned();
    let work = move || {
        let sealed_at = Moment::parse(&segment.header.sealed_at);
        let mut reader = RecordReader::default();
        let (mut places, mut bad) = (Vec::new(), 0);
        for (index, line) in (start + 1..).zip(segment::lines(segment.body())) {
            match reader.read(line) {
                Ok(record) => {
                    let at = record.time.and_then(Moment::parse).or(sealed_at);
                    let at = at.filter(|at| since.is_none_or(|since| *at >= since));
                    places.extend(at.map(|at| Place {
                        at,
                        chain: number,
                        index,
                    }));
                }
                Err(_) => bad += 1,
            }
        }
        let problem = (bad > 0).then(|| TimelineError::Records {
            origin,
            object: names::segment(start),
            count: bad,
        });
        (start, places, problem)
    };
    Ok(tokio::task::spawn_blocking(work).await?)
}

async fn open(chain: &Chain, start: u64) -> Result<Segment, TimelineError> {
    let name = names::segment(start);
    let object = chain.sealed.get(&name, MAX_OBJECT_BYTES).await?;
    let key = chain.key.clone();
    let opened = tokio::task::spawn_blocking(move || Segment::open(&object, &key)).await?;
    let wrong = |error| TimelineError::Segment {
        origin: chain.origin().to_owned(),
        object: name.clone(),
        error,
    };
    let segment = opened.map_err(wrong)?;
    if segment.header.start != start {
        return Err(wrong(SegmentError::Header("it stands at another start")));
    }
    Ok(segment)
}

/// A decoded segment and where its record lines end.
#[derive(Debug)]
struct Lines {
    segment: Segment,
    ends: Vec<u32>,
}

impl Lines {
    fn new(segment: Segment) -> Self {
        let mut end = 0;
        let ends = segment::lines(segment.body()).map(|line| {
            end += line.len() as u32 + 1;
            end
        });
        let ends = ends.collect();
        Self { segment, ends }
    }

    fn line(&self, index: u64) -> Option<&[u8]> {
        let nth = index.checked_sub(self.segment.header.start + 1)? as usize;
        let end = *self.ends.get(nth)? as usize;
        let from = nth
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        self.segment.body().get(from..end - 1)
    }

    fn bytes(&self) -> u64 {
        self.segment.content_bytes() + 4 * self.ends.len() as u64
    }
}

/// The segments used last, the newest use in front.
#[derive(Debug, Default)]
struct Kept {
    segments: VecDeque<(u32, Arc<Lines>)>,
    bytes: u64,
}

impl Kept {
    fn find(&mut self, chain: u32, start: u64) -> Option<Arc<Lines>> {
        let at =
            |(of, lines): &(u32, Arc<Lines>)| *of == chain && lines.segment.header.start == start;
        let nth = self.segments.iter().position(at)?;
        let found = self.segments.remove(nth)?;
        let lines = Arc::clone(&found.1);
        self.segments.push_front(found);
        Some(lines)
    }

    fn push(&mut self, chain: u32, lines: Arc<Lines>) -> Arc<Lines> {
        self.bytes += lines.bytes();
        self.segments.push_front((chain, Arc::clone(&lines)));
        while self.bytes > KEPT_BYTES && self.segments.len() > 1 {
            if let Some((_, oldest)) = self.segments.pop_back() {
                self.bytes -= oldest.bytes();
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_sort_as_times_do() {
        let texts = [
            "1969-12-31T23:59:59.5Z",
            "2026-11-23T12:00:00Z",
            "2026-11-23T12:00:00.000000000001Z",
            "2026-11-23T12:00:00.1Z",
            "2026-11-23T13:00:00.25+01:00",
            "2026-11-23T12:00:01+00:00",
        ];
        let moments: Vec<_> = texts.iter().map(|text| Moment::parse(text)).collect();
        assert!(moments.iter().all(Option::is_some));
        assert!(moments.is_sorted_by(|a, b| a < b), "{moments:?}");
        assert_eq!(
            Moment::parse("2026-11-23T12:00:00.50Z"),
            Moment::parse("2026-11-23T12:00:00.5Z")
        );
        assert_eq!(Moment::parse("yesterday"), None);
    }
}
