//! What the pictures of a report show, gathered while segments are read: bounded,
//! however long a chain is.

use std::collections::BTreeMap;

/// Points of a chain's growth that are kept.
const MAX_POINTS: usize = 256;
/// Runs of leaves without a whole segment that are told one by one.
const MAX_BREAKS: usize = 64;
/// Spans of time that records are counted in: a week of hours.
const MAX_SPANS: i64 = 168;
/// Fewer would make a picture of one broad bar.
const MIN_SPANS: i64 = 24;
/// Sources that are counted apart; the others are counted together.
const MAX_SOURCES: usize = 6;

/// How a chain grew: its size by the time at which its segments were sealed.
#[derive(Debug, Clone, Default)]
pub struct Growth {
    /// The size at which reading began.
    pub from: u64,
    /// Runs of leaves for which no whole segment stands.
    pub breaks: Vec<Break>,
    /// Further such runs.
    pub more_breaks: u64,
    points: Vec<Point>,
    last: Option<Point>,
    /// Of so many segments one is kept.
    stride: u64,
    seen: u64,
}

/// A size that a chain had reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When the segment that ends there was sealed: milliseconds since 1970.
    pub at_millis: i64,
    /// Leaves.
    pub size: u64,
}

/// Leaves for which no whole segment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// When they were sealed, or what stands before them: milliseconds since 1970.
    pub at_millis: Option<i64>,
    /// The first leaf.
    pub start: u64,
    /// The leaf after the last.
    pub end: u64,
}

impl Growth {
    pub(super) fn new(from: u64) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    /// A segment, in the chain's order; `whole` if it could be read and holds.
    pub(super) fn push(&mut self, start: u64, end: u64, at_millis: Option<i64>, whole: bool) {
        if !whole {
            self.broken(start, end, at_millis);
        }
        let Some(at_millis) = at_millis else { return };
        let point = Point {
            at_millis,
            size: end,
        };
        if self.points.len() == MAX_POINTS {
            let mut nth = 0;
            self.points.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.stride *= 2;
        }
        self.stride = self.stride.max(1);
        if self.seen.is_multiple_of(self.stride) {
            self.points.push(point);
        }
        self.seen += 1;
        self.last = Some(point);
    }

    /// The points in the chain's order: the first and the last segment, and at
    /// even distances those between.
    pub fn points(&self) -> impl Iterator<Item = Point> {
        let last = self.last.filter(|last| self.points.last() != Some(last));
        self.points.iter().copied().chain(last)
    }

    fn broken(&mut self, start: u64, end: u64, at_millis: Option<i64>) {
        let full = self.breaks.len() == MAX_BREAKS;
        match self.breaks.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ if full => self.more_breaks += 1,
            _ => self.breaks.push(Break {
                at_millis: at_millis.or(self.last.map(|last| last.at_millis)),
                start,
                end,
            }),
        }
    }
}

/// How many records each source sent, by spans of time.
#[derive(Debug, Clone, Default)]
pub struct Volume {
    /// The beginning of the first span, in hours since 1970.
    pub start_hour: i64,
    /// The length of a span in hours.
    pub span_hours: i64,
    /// How many spans there are.
    pub spans: usize,
    /// The sources with the most records, the others taken together last.
    pub sources: Vec<SourceVolume>,
    /// Records far before or after all others, which no span holds.
    pub outside: u64,
    /// Records that were not counted by hour: they would have been too many hours.
    pub uncounted: u64,
}

/// One source's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceVolume {
    /// The source; none for the others taken together.
    pub name: Option<String>,
    /// How many sources these are.
    pub sources: usize,
    /// Its records in all spans.
    pub records: u64,
    /// Its records in each span.
    pub counts: Vec<u64>,
}

impl Volume {
    /// From each source's records by hours since 1970, in their order.
    pub(super) fn new(hours_of: &[(&str, Vec<(i64, u64)>)], uncounted: u64) -> Self {
        let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
        for (hour, records) in hours_of.iter().flat_map(|(_, hours)| hours) {
            *hours.entry(*hour).or_default() += records;
        }
        let Some((first, last)) = window(&hours) else {
            return Self {
                uncounted,
                ..Self::default()
            };
        };
        let (start_hour, span_hours, spans) = spans(first, last);
        let mut volume = Self {
            start_hour,
            span_hours,
            spans: usize::try_from(spans).unwrap_or_default(),
            sources: Vec::new(),
            outside: 0,
            uncounted,
        };
        let mut sources: Vec<SourceVolume> = hours_of
            .iter()
            .map(|(name, hours)| volume.source(name, hours))
            .collect();
        sources.sort_by(|a, b| b.records.cmp(&a.records).then_with(|| a.name.cmp(&b.name)));
        if sources.len() > MAX_SOURCES {
            let others = sources.split_off(MAX_SOURCES);
            let together = others.into_iter().reduce(|a, b| SourceVolume {
                name: None,
                sources: a.sources + b.sources,
                records: a.records + b.records,
                counts: a.counts.iter().zip(&b.counts).map(|(a, b)| a + b).collect(),
            });
            sources.extend(together);
        }
        volume.sources = sources;
        volume
    }

    fn source(&mut self, name: &str, hours: &[(i64, u64)]) -> SourceVolume {
        let mut source = SourceVolume {
            name: Some(name.to_owned()),
            sources: 1,
            records: 0,
            counts: vec![0; self.spans],
        };
        for (hour, records) in hours {
            let span = (hour - self.start_hour).div_euclid(self.span_hours);
            let span = usize::try_from(span).ok();
            match span.and_then(|span| source.counts.get_mut(span)) {
                Some(count) => {
                    *count += records;
                    source.records += records;
                }
                None => self.outside += records,
            }
        }
        source
    }
}

/// The first and the last hour to show: all of them, unless a few records far
/// away would press the others into one bar.
fn window(hours: &BTreeMap<i64, u64>) -> Option<(i64, i64)> {
    let (&first, &last) = hours.keys().next().zip(hours.keys().next_back())?;
    let few = hours.values().sum::<u64>() / 200;
    let from = past_few(hours.iter(), few)?;
    let to = past_few(hours.iter().rev(), few)?;
    let crowded = last - first >= MAX_SPANS && last - first > 8 * (to - from + 1);
    Some(if crowded { (from, to) } else { (first, last) })
}

/// The hour in which more than a few records have gone by.
fn past_few<'a>(mut hours: impl Iterator<Item = (&'a i64, &'a u64)>, few: u64) -> Option<i64> {
    let mut passed = 0;
    let past = |(_, records): &(&i64, &u64)| {
        passed += **records;
        passed > few
    };
    hours.find(past).map(|(hour, _)| *hour)
}

/// Start, length in hours and number of the spans that hold two hours and all
/// between them.
fn spans(first: i64, last: i64) -> (i64, i64, i64) {
    let mut lengths = [1, 3, 6, 12, 24, 168, 672, 2184, 8736].into_iter();
    let mut length = 1;
    let number = |length: i64| last.div_euclid(length) - first.div_euclid(length) + 1;
    while number(length) > MAX_SPANS {
        length = lengths
            .find(|next| *next > length)
            .unwrap_or(length.saturating_mul(2));
    }
    let lacking = (MIN_SPANS - number(length)).max(0);
    let start = (first.div_euclid(length) - lacking / 2) * length;
    (start, length, number(length) + lacking)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_keeps_its_ends_and_few_points() {
        let mut growth = Growth::new(0);
        let segments = 1_000_003u64;
        for nth in 0..segments {
            let whole = nth % 1000 != 7;
            growth.push(nth * 10, nth * 10 + 10, Some(nth as i64 * 60_000), whole);
        }
        let points: Vec<Point> = growth.points().collect();
        assert!(points.len() > MAX_POINTS / 2 && points.len() <= MAX_POINTS + 1);
        assert_eq!(points.first().unwrap().size, 10);
        assert_eq!(points.last().unwrap().size, segments * 10);
        let widest = points.windows(2).map(|two| two[1].size - two[0].size).max();
        assert!(widest.unwrap() <= segments * 10 / 100, "{widest:?}");
        assert!(points.is_sorted_by_key(|point| point.size));
        assert_eq!(growth.breaks.len(), MAX_BREAKS);
        assert_eq!(growth.breaks.len() as u64 + growth.more_breaks, 1000);
    }

    #[test]
    fn a_gap_without_time_stands_where_its_predecessor_does() {
        let mut growth = Growth::new(0);
        growth.push(0, 5, Some(100), true);
        growth.push(5, 9, None, false);
        growth.push(9, 12, Some(300), false);
        growth.push(12, 20, Some(400), true);
        let expected = Break {
            at_millis: Some(100),
            start: 5,
            end: 12,
        };
        assert_eq!(growth.breaks, [expected]);
        let sizes: Vec<u64> = growth.points().map(|point| point.size).collect();
        assert_eq!(sizes, [5, 12, 20]);
    }

    #[test]
    fn hours_are_merged_until_they_fit_and_no_record_is_lost() {
        for (first, last, length) in [
            (0, 0, 1),
            (-30, 100, 1),
            (0, 400, 3),
            (0, 24 * 300, 168),
            (-719_000 * 24, 2_900_000 * 24, 8736 << 6),
        ] {
            let hours: Vec<(i64, u64)> = [(first, 7), (last, 9)].into();
            let volume = Volume::new(&[("a", hours)], 3);
            assert_eq!(volume.span_hours, length, "{first} {last}");
            assert!((MIN_SPANS..=MAX_SPANS).contains(&(volume.spans as i64)));
            let [source] = &volume.sources[..] else {
                panic!("one source")
            };
            assert_eq!(
                (source.records, volume.outside, volume.uncounted),
                (16, 0, 3)
            );
            assert_eq!(source.counts.iter().sum::<u64>(), 16);
        }
        assert!(Volume::new(&[], 0).sources.is_empty());
    }

    #[test]
    fn a_record_of_another_age_does_not_hide_the_others() {
        let mut hours = vec![(-500_000, 2)];
        hours.extend((480_000..480_048).map(|hour| (hour, 50)));
        let volume = Volume::new(&[("a", hours)], 0);
        assert_eq!((volume.span_hours, volume.outside), (1, 2));
        assert_eq!(volume.sources[0].records, 48 * 50);
    }

    #[test]
    fn small_sources_are_counted_together() {
        let names: Vec<String> = (0..40).map(|nth| format!("s{nth:02}")).collect();
        let hours: Vec<(&str, Vec<(i64, u64)>)> = names
            .iter()
            .enumerate()
            .map(|(nth, name)| (&**name, vec![(0, 100 - nth as u64)]))
            .collect();
        let volume = Volume::new(&hours, 0);
        assert_eq!(volume.sources.len(), MAX_SOURCES + 1);
        assert_eq!(volume.sources[0].name.as_deref(), Some("s00"));
        let others = volume.sources.last().unwrap();
        assert_eq!((others.name.as_ref(), others.sources), (None, 34));
        let all: u64 = volume.sources.iter().map(|source| source.records).sum();
        assert_eq!(all, (61..=100).sum::<u64>());
    }
}
