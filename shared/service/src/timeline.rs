//! One timeline over the records of any number of chains.
//!
//! Two passes, so that memory is some 32 bytes a record: the first collects when
//! each record happened and where it stands, the second reads the records in
//! that order, a window at a time. However the records of a window are scattered,
//! each segment is read but once for it.

use std::collections::BTreeMap;

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

/// The first window has this many bytes of lines, so that the first records show
/// soon; each one after it has twice as many, up to the maximum.
const FIRST_WINDOW_BYTES: usize = 1 << 20;
const MAX_WINDOW_BYTES: usize = 128 << 20;

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
    line_bytes: u32,
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
        let mut reader = RecordReader::default();
        let (mut rest, mut budget) = (&self.places[..], FIRST_WINDOW_BYTES);
        while !rest.is_empty() {
            let places;
            (places, rest) = rest.split_at(fitting(rest, budget));
            budget = (budget * 2).min(MAX_WINDOW_BYTES);
            let window = self.window(places).await?;
            let mut from = 0;
            for (place, sealed_at) in places.iter().zip(&window.sealed_at) {
                let line = &window.lines[from..from + place.line_bytes as usize];
                from += line.len();
                // It was in order a moment ago; if not, its place was left empty.
                let Ok(record) = reader.read(line) else {
                    continue;
                };
                let entry = Entry {
                    chain: &self.chains[place.chain as usize],
                    index: place.index,
                    sealed_at: &window.headers[*sealed_at],
                    line,
                    record,
                };
                if !take(&entry) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads the lines of some places, each segment once.
    async fn window(&self, places: &[Place]) -> Result<Window, TimelineError> {
        let mut wanted: BTreeMap<(u32, u64), Vec<Wanted>> = BTreeMap::new();
        let mut bytes = 0;
        for (nth, place) in places.iter().enumerate() {
            let starts = &self.starts[place.chain as usize];
            let of_place = starts.partition_point(|start| *start <= place.index);
            if let Some(start) = of_place.checked_sub(1).map(|nth| starts[nth]) {
                let segment = wanted.entry((place.chain, start)).or_default();
                segment.push((place.index, bytes, nth));
            }
            bytes += place.line_bytes as usize;
        }
        let mut window = Window {
            lines: vec![0; bytes],
            headers: Vec::with_capacity(wanted.len()),
            sealed_at: vec![0; places.len()],
        };
        let opened = wanted
            .into_iter()
            .map(|((chain, start), mut leaves)| async move {
                leaves.sort_unstable();
                (open(&self.chains[chain as usize], start).await, leaves)
            });
        let mut opened = stream::iter(opened).buffered(READ_AHEAD);
        while let Some((segment, leaves)) = opened.next().await {
            let segment = segment?;
            let mut lines = (segment.header.start + 1..).zip(segment::lines(segment.body()));
            for (index, to, nth) in leaves {
                let expected = places[nth].line_bytes as usize;
                if let Some((_, line)) = lines.find(|(found, _)| *found == index)
                    && line.len() == expected
                {
                    window.lines[to..to + expected].copy_from_slice(line);
                    window.sealed_at[nth] = window.headers.len();
                }
            }
            window.headers.push(segment.header.sealed_at.clone());
        }
        Ok(window)
    }
}

/// A leaf of a segment, where its line goes, and which of the places it is.
type Wanted = (u64, usize, usize);

/// The lines of some places, in their order.
struct Window {
    lines: Vec<u8>,
    /// `sealed_at` of each segment.
    headers: Vec<String>,
    /// Which of the headers is each place's.
    sealed_at: Vec<usize>,
}

/// How many places' lines fit into so many bytes; at least one.
fn fitting(places: &[Place], budget: usize) -> usize {
    let mut bytes = 0;
    let fit = places.iter().take_while(|place| {
        bytes += place.line_bytes as usize;
        bytes <= budget
    });
    fit.count().max(1)
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
                        line_bytes: line.len() as u32,
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

#[cfg(test)]
mod tests {
    use countersign_core::segment::body_sha256;

    use super::*;
    use crate::testing::{World, part};

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

    #[tokio::test]
    async fn scattered_records_come_in_order() {
        let world = World::new(&["aws", "gcp"]).await;
        let mut expected = Vec::new();
        // The line that is 700 kB long takes a window of its own.
        for (nth, filler) in (0..).zip([1, 9, 700_000, 400_000, 5, 300_000, 2]) {
            let cloud = ["aws", "gcp"][nth % 2];
            let mut part = part(&["none"]);
            part.body.clear();
            for (minute, second) in [(nth, 1), (59 - nth, 2)] {
                let time = format!("2026-11-23T12:{minute:02}:{second:02}Z");
                let line = format!(
                    r#"{{"cloud":"{cloud}","raw":"{}","source":"text","time":"{time}"}}"#,
                    "x".repeat(filler)
                );
                part.body.extend_from_slice(line.as_bytes());
                part.body.push(b'\n');
                expected.push(time);
            }
            part.delivery.records = 2;
            part.delivery.id = body_sha256(&part.body);
            world.sealer(cloud).seal(&[part]).await.unwrap();
        }
        expected.sort();
        let chains = world.deployment.chains.clone();
        let (timeline, problems) = Timeline::collect(chains, None, |_| ()).await;
        assert!(problems.is_empty() && timeline.len() == expected.len());
        let mut found = Vec::new();
        let read = timeline.read(|entry| {
            assert!(Moment::parse(entry.sealed_at).is_some());
            found.extend(entry.record.time.map(str::to_owned));
            true
        });
        read.await.unwrap();
        assert_eq!(found, expected);
    }
}
