//! The checks of a chain while they run: counts, findings, and what could not be
//! read.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use super::codes::Code;
use super::report::{CheckReport, Finding, Status};

/// Findings that one check lists at most; beyond that they are only counted.
const MAX_FINDINGS: usize = 10_000;

/// A check, in the order in which reports list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // their names are what design and reports call them
pub enum Check {
    Genesis,
    Head,
    SegmentsContiguous,
    SegmentSignatures,
    RecordHashes,
    CanonicalForm,
    Tiles,
    Index,
    CheckpointsSigned,
    CheckpointsConsistent,
    AnchorsConsistent,
    AnchorQuorum,
    AnchorFreshness,
    ObjectVersions,
    RetentionLocks,
    StorePosture,
    TimeOrder,
    SourceCompleteness,
    LogVolume,
    LoggingChanges,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Self; 20] = [
        Self::Genesis,
        Self::Head,
        Self::SegmentsContiguous,
        Self::SegmentSignatures,
        Self::RecordHashes,
        Self::CanonicalForm,
        Self::Tiles,
        Self::Index,
        Self::CheckpointsSigned,
        Self::CheckpointsConsistent,
        Self::AnchorsConsistent,
        Self::AnchorQuorum,
        Self::AnchorFreshness,
        Self::ObjectVersions,
        Self::RetentionLocks,
        Self::StorePosture,
        Self::TimeOrder,
        Self::SourceCompleteness,
        Self::LogVolume,
        Self::LoggingChanges,
    ];

    /// Its name, as reports and `fail_on` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Head => "head",
            Self::SegmentsContiguous => "segments-contiguous",
            Self::SegmentSignatures => "segment-signatures",
            Self::RecordHashes => "record-hashes",
            Self::CanonicalForm => "canonical-form",
            Self::Tiles => "tiles",
            Self::Index => "index",
            Self::CheckpointsSigned => "checkpoints-signed",
            Self::CheckpointsConsistent => "checkpoints-consistent",
            Self::AnchorsConsistent => "anchors-consistent",
            Self::AnchorQuorum => "anchor-quorum",
            Self::AnchorFreshness => "anchor-freshness",
            Self::ObjectVersions => "object-versions",
            Self::RetentionLocks => "retention-locks",
            Self::StorePosture => "store-posture",
            Self::TimeOrder => "time-order",
            Self::SourceCompleteness => "source-completeness",
            Self::LogVolume => "log-volume",
            Self::LoggingChanges => "logging-changes",
        }
    }
}

/// What a finding says beside its code.
#[derive(Debug, Clone, Default)]
pub(super) struct Detail {
    index: Option<u64>,
    object: Option<String>,
    expected: Option<String>,
    found: Option<String>,
    next: Option<String>,
}

impl Detail {
    pub(super) fn object(name: impl Into<String>) -> Self {
        Self {
            object: Some(name.into()),
            ..Self::default()
        }
    }

    pub(super) fn index(self, index: u64) -> Self {
        Self {
            index: Some(index),
            ..self
        }
    }

    /// What to do next, where that is not the same for all findings of a code.
    pub(super) fn next(self, next: impl Into<String>) -> Self {
        Self {
            next: Some(next.into()),
            ..self
        }
    }

    pub(super) fn expected(self, expected: impl ToString) -> Self {
        Self {
            expected: Some(expected.to_string()),
            ..self
        }
    }

    /// Adds to what was found.
    pub(super) fn also_found(mut self, more: &str) -> Self {
        self.found = Some(match self.found {
            Some(found) => format!("{found}, {more}"),
            None => more.to_owned(),
        });
        self
    }

    pub(super) fn found(self, found: impl ToString) -> Self {
        Self {
            found: Some(found.to_string()),
            ..self
        }
    }
}

/// One chain's checks.
#[derive(Debug)]
pub(super) struct Checks {
    fail_on: Arc<[String]>,
    states: [State; Check::ALL.len()],
}

#[derive(Debug, Default)]
struct State {
    checked: u64,
    failed: u64,
    findings: Vec<Finding>,
    unknown: Option<String>,
    skip: Option<String>,
    note: Option<String>,
}

impl Checks {
    pub(super) fn new(fail_on: Arc<[String]>) -> Self {
        Self {
            fail_on,
            states: Default::default(),
        }
    }

    /// Counts things that a check looked at.
    pub(super) fn checked(&mut self, check: Check, count: u64) {
        self.state(check).checked += count;
    }

    /// A finding; it fails its check unless its code only informs.
    pub(super) fn find(&mut self, code: &Code, detail: Detail) {
        self.find_many(code, 1, detail);
    }

    /// One finding that stands for several things of the same cause.
    pub(super) fn find_many(&mut self, code: &Code, count: u64, detail: Detail) {
        let named = |name: &String| name == code.code || name == code.check.name();
        let fails = !code.informs || self.fail_on.iter().any(named);
        let state = self.state(code.check);
        if fails {
            state.failed += count;
        }
        if state.findings.len() == MAX_FINDINGS {
            state.note = Some(format!("only the first {MAX_FINDINGS} findings are listed"));
            return;
        }
        state.findings.push(Finding {
            code: code.code,
            severity: code.severity,
            index: detail.index,
            object: detail.object,
            expected: detail.expected,
            found: detail.found,
            next: detail.next.map_or(Cow::Borrowed(code.next), Cow::Owned),
            title: code.title,
            fails,
        });
    }

    /// Something that the check needs could not be read. The first reason stands.
    pub(super) fn unknown(&mut self, check: Check, reason: impl Into<String>) {
        self.state(check)
            .unknown
            .get_or_insert_with(|| reason.into());
    }

    /// All checks that do not skip could not be read.
    pub(super) fn all_unknown(&mut self, reason: &str) {
        for check in Check::ALL {
            if self.state(check).skip.is_none() {
                self.unknown(check, reason);
            }
        }
    }

    /// The check does not apply here.
    pub(super) fn skip(&mut self, check: Check, reason: impl Into<String>) {
        self.state(check).skip.get_or_insert_with(|| reason.into());
    }

    /// A remark that stands with the check whatever its status.
    pub(super) fn note(&mut self, check: Check, note: impl Into<String>) {
        self.state(check).note.get_or_insert_with(|| note.into());
    }

    pub(super) fn has_failed(&self, check: Check) -> bool {
        self.states[check as usize].failed > 0
    }

    /// Whether anything at all was looked at.
    pub(super) fn looked_at_anything(&self) -> bool {
        self.states.iter().any(|state| state.checked > 0)
    }

    pub(super) fn into_reports(self) -> Vec<CheckReport> {
        let report = |(check, state): (Check, State)| {
            let (status, reason) = if state.failed > 0 {
                (Status::Fail, state.unknown.or(state.note))
            } else if state.unknown.is_some() {
                (Status::Unknown, state.unknown)
            } else if state.skip.is_some() {
                (Status::Skip, state.skip)
            } else {
                (Status::Pass, state.note)
            };
            CheckReport {
                name: check,
                status,
                checked: state.checked,
                failed: state.failed,
                findings: state.findings,
                reason,
            }
        };
        Check::ALL
            .into_iter()
            .zip(self.states)
            .map(report)
            .collect()
    }

    fn state(&mut self, check: Check) -> &mut State {
        &mut self.states[check as usize]
    }
}
