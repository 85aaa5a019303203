//! How much each source sent per hour, and events that change logging itself.

use std::collections::BTreeMap;

use countersign_core::json::scan;
use countersign_core::record::{CarrierKind, Record};
use countersign_core::time;

use super::checks::{Check, Checks, Detail};
use super::codes;
use super::series::Volume;

/// Pairs of source and hour that are counted: some 20 years of a source's hours.
const MAX_HOURS: usize = 200_000;
/// Of one segment.
const MAX_SEGMENT_HOURS: usize = 4096;
/// Events that change logging that are told one by one.
const MAX_CHANGES: usize = 1000;
/// A source is judged once this many of its hours had records.
const MIN_HOURS: usize = 24;
/// A silence of so many hours is told, if the source is usually heard.
const SILENT_HOURS: i64 = 6;
/// How many times the median deviation above the median an hour must be.
const SPIKE_DEVIATIONS: u64 = 10;
/// Smaller hours are no spikes, whatever the median.
const SPIKE_RECORDS: u64 = 1000;

/// Whole hours since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hours(i64);

impl Hours {
    pub(super) fn of_millis(millis: i64) -> Self {
        Self(millis.div_euclid(3_600_000))
    }

    fn text(self) -> String {
        time::from_unix_seconds(u64::try_from(self.0 * 3600).unwrap_or(0))
    }
}

type Counts = BTreeMap<String, BTreeMap<Hours, u64>>;

/// What one segment, or a chain, tells of its sources.
#[derive(Debug)]
pub(super) struct Activity {
    sealed: Hours,
    counts: Counts,
    entries: usize,
    /// Records of further hours.
    uncounted: u64,
    changes: Vec<(u64, String)>,
    change_count: u64,
}

impl Activity {
    /// For a segment that was sealed then: records without a time count there.
    pub(super) fn new(sealed: Hours) -> Self {
        Self {
            sealed,
            counts: Counts::new(),
            entries: 0,
            uncounted: 0,
            changes: Vec::new(),
            change_count: 0,
        }
    }

    /// Takes a record into account.
    pub(super) fn add(&mut self, index: u64, record: &Record<'_>) {
        let hour = record.time.and_then(time::parse);
        let hour = hour.map_or(self.sealed, |at| Hours(at.seconds.div_euclid(3600)));
        self.count(&record.source, hour, 1, MAX_SEGMENT_HOURS);
        if let Some(change) = logging_change(record) {
            self.change(index, change);
        }
    }

    /// Takes a later segment into account.
    pub(super) fn merge(&mut self, segment: Self) {
        for (source, hours) in segment.counts {
            for (hour, records) in hours {
                self.count(&source, hour, records, MAX_HOURS);
            }
        }
        self.uncounted += segment.uncounted;
        self.change_count += segment.change_count - segment.changes.len() as u64;
        for (index, change) in segment.changes {
            self.change(index, change);
        }
    }

    /// Tells what stands out.
    pub(super) fn judge(&self, checks: &mut Checks) {
        for (source, hours) in &self.counts {
            checks.checked(Check::LogVolume, hours.len() as u64);
            if hours.len() < MIN_HOURS {
                continue;
            }
            silence(source, hours, checks);
            spike(source, hours, checks);
        }
        checks.checked(Check::LoggingChanges, self.change_count);
        for (index, change) in &self.changes {
            let detail = Detail::default().index(*index).found(change);
            checks.find(&codes::LOGGING_CHANGED, detail);
        }
        let rest = self.change_count - self.changes.len() as u64;
        if rest > 0 {
            let detail = Detail::default().found(format!("{rest} more such events"));
            checks.find_many(&codes::LOGGING_CHANGED, rest, detail);
        }
    }

    /// What a picture shows of it.
    pub(super) fn volume(&self) -> Volume {
        let hours = |hours: &BTreeMap<Hours, u64>| hours.iter().map(|(h, n)| (h.0, *n)).collect();
        let of_sources = self.counts.iter();
        let of_sources: Vec<_> = of_sources.map(|(name, of)| (&**name, hours(of))).collect();
        Volume::new(&of_sources, self.uncounted)
    }

    fn count(&mut self, source: &str, hour: Hours, records: u64, limit: usize) {
        let known = self
            .counts
            .get_mut(source)
            .and_then(|hours| hours.get_mut(&hour));
        match known {
            Some(count) => *count += records,
            None if self.entries < limit => {
                self.entries += 1;
                let hours = self.counts.entry(source.to_owned()).or_default();
                hours.insert(hour, records);
            }
            None => self.uncounted += records,
        }
    }

    fn change(&mut self, index: u64, change: String) {
        self.change_count += 1;
        if self.changes.len() < MAX_CHANGES {
            self.changes.push((index, change));
        }
    }
}

/// The longest gap between two hours with records.
fn silence(source: &str, hours: &BTreeMap<Hours, u64>, checks: &mut Checks) {
    let gaps = hours.keys().zip(hours.keys().skip(1));
    let mut lengths: Vec<i64> = gaps.clone().map(|(a, b)| b.0 - a.0).collect();
    let usual = median(&mut lengths);
    let Some((from, to)) = gaps.max_by_key(|(a, b)| b.0 - a.0) else {
        return;
    };
    let longest = to.0 - from.0;
    if longest >= SILENT_HOURS && longest >= usual * 12 {
        let detail = Detail::default()
            .expected(format!("{source}: records about every {} h", usual.max(1)))
            .found(format!(
                "none for {} h after {}",
                longest - 1,
                Hours(from.0 + 1).text()
            ));
        checks.find(&codes::SILENCE, detail);
    }
}

/// The hour with the most records, if it is far from the others.
fn spike(source: &str, hours: &BTreeMap<Hours, u64>, checks: &mut Checks) {
    let mut counts: Vec<u64> = hours.values().copied().collect();
    let middle = median(&mut counts);
    let mut deviations: Vec<u64> = counts.iter().map(|count| count.abs_diff(middle)).collect();
    let deviation = median(&mut deviations).max(1);
    let Some((hour, &most)) = hours.iter().max_by_key(|(_, count)| **count) else {
        return;
    };
    let limit = middle.saturating_add(deviation.saturating_mul(SPIKE_DEVIATIONS));
    if most > limit.max(SPIKE_RECORDS) {
        let detail = Detail::default()
            .expected(format!("{source}: about {middle} records an hour"))
            .found(format!("{most} in the hour from {}", hour.text()));
        checks.find(&codes::SPIKE, detail);
    }
}

fn median<T: Copy + Ord + Default>(values: &mut [T]) -> T {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The event's name, if it is one that switches or changes logging.
fn logging_change(record: &Record<'_>) -> Option<String> {
    if record.carrier != CarrierKind::Event {
        return None;
    }
    // Names as they stand, with their quotes.
    let (path, names): (&[&str], &[&str]) = match &*record.source {
        "aws.cloudtrail" => (&["\"eventName\""], &AWS_CHANGES),
        "azure.activity" => (&["\"operationName\""], &AZURE_CHANGES),
        "gcp.audit" => (&["\"protoPayload\"", "\"methodName\""], &GCP_CHANGES),
        _ => return None,
    };
    let mut value = record.value;
    for name in path {
        let found = scan::members(value).find(|(found, _)| *found == name.as_bytes());
        value = found?.1;
    }
    let name = scan::string(value)?;
    let hit = |known: &&str| {
        // A full name, or the last part of one such as `google.logging.v2.ConfigServiceV2.DeleteSink`.
        let tail = name.len().checked_sub(known.len());
        let tail = tail.and_then(|at| Some((name.get(..at)?, name.get(at..)?)));
        tail.is_some_and(|(before, last)| {
            last.eq_ignore_ascii_case(known) && (before.is_empty() || before.ends_with(['.', '/']))
        })
    };
    names.iter().any(hit).then(|| name.into_owned())
}

const AWS_CHANGES: [&str; 5] = [
    "StopLogging",
    "DeleteTrail",
    "UpdateTrail",
    "PutEventSelectors",
    "DeleteEventDataStore",
];
const AZURE_CHANGES: [&str; 2] = ["diagnosticSettings/delete", "diagnosticSettings/write"];
const GCP_CHANGES: [&str; 6] = [
    "DeleteSink",
    "UpdateSink",
    "CreateExclusion",
    "UpdateExclusion",
    "DeleteExclusion",
    "DeleteBucket",
];

#[cfg(test)]
mod tests {
    use countersign_core::record::RecordReader;

    use super::*;
    use crate::verify::report::Status;

    fn change(line: &str) -> Option<String> {
        logging_change(&RecordReader::default().read(line.as_bytes()).unwrap())
    }

    #[test]
    fn events_that_change_logging_are_told() {
        let aws = |name: &str| {
            format!(
                r#"{{"cloud":"aws","event":{{"eventName":"{name}","eventSource":"x"}},"source":"aws.cloudtrail"}}"#
            )
        };
        assert_eq!(change(&aws("StopLogging")).as_deref(), Some("StopLogging"));
        assert_eq!(change(&aws("XStopLogging")), None);
        assert_eq!(change(&aws("GetTrail")), None);
        let azure = r#"{"cloud":"azure","event":{"operationName":"MICROSOFT.INSIGHTS/DIAGNOSTICSETTINGS/DELETE"},"source":"azure.activity"}"#;
        assert!(change(azure).is_some());
        let gcp = r#"{"cloud":"gcp","event":{"protoPayload":{"methodName":"google.logging.v2.ConfigServiceV2.DeleteSink"}},"source":"gcp.audit"}"#;
        assert!(change(gcp).is_some());
    }

    #[test]
    fn silence_and_spikes_inform_and_fail_only_when_named() {
        for (fail_on, status) in [
            (vec![], Status::Pass),
            (vec!["log-volume".into()], Status::Fail),
        ] {
            let mut activity = Activity::new(Hours(0));
            for hour in (0..30).chain(50..60) {
                let records = if hour == 55 {
                    5000
                } else {
                    100 + hour as u64 % 3
                };
                activity.count("aws.cloudtrail", Hours(hour), records, MAX_HOURS);
            }
            let mut checks = Checks::new(fail_on.into());
            activity.judge(&mut checks);
            let reports = checks.into_reports();
            let volume = &reports[Check::LogVolume as usize];
            let codes: Vec<_> = volume.findings.iter().map(|finding| finding.code).collect();
            assert_eq!(codes, ["CS-1901", "CS-1902"]);
            assert_eq!(volume.status, status);
        }
    }
}
