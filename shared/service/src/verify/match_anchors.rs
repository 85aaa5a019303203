//! Anchors against the history, the records that hold them, and the policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_core::keys::VerifierKey;
use countersign_core::names;
use countersign_core::time;

use super::anchors::{Anchors, Look, look};
use super::checks::{Check, Checks, Detail};
use super::codes::{self, Code};
use super::history::{History, RootAt};
use super::names::Names;
use super::posture::millis;
use super::published::and_more;
use super::read::RecordedAnchor;
use super::report::{AnchorReport, Status};
use super::requests::Meter;
use crate::chain::{Chain, Deployment};
use crate::clock::TOLERANCE_MILLIS;
use crate::publish::ANCHOR_TAIL_MILLIS;

/// An anchor of a chain is rewritten at least this often.
const FRESH_MILLIS: i64 = 3_600_000;

const NO_WITNESS: &str = "no independent witness: the chain has no witness in another cloud";

/// One chain's anchors and what they are compared with.
pub(super) struct Matching<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) chain: &'a Chain,
    pub(super) meter: &'a Arc<Meter>,
    pub(super) anchors: &'a Anchors,
    pub(super) history: &'a History,
    pub(super) names: &'a Names,
    /// The ages are taken from here: milliseconds since 1970.
    pub(super) now: i64,
    pub(super) since: u64,
}

/// What the anchors say of the history itself.
#[derive(Debug, Default)]
pub(super) struct Matched {
    pub(super) reports: Vec<AnchorReport>,
    /// Witnesses' keys and the sizes that they hold for certain.
    valid: Vec<(VerifierKey, u64)>,
    /// An anchor is no head of the stored history.
    pub(super) contradicts: bool,
}

impl Matched {
    /// Whether these witnesses make the quorum at a size or later.
    pub(super) fn has_quorum(&self, deployment: &Deployment, chain: &Chain, least: u64) -> bool {
        let holds = |key: &VerifierKey| {
            let by = |(known, size): &(VerifierKey, u64)| known == key && *size >= least;
            self.valid.iter().any(by)
        };
        deployment.has_quorum(chain, holds)
    }
}

impl Matching<'_> {
    /// Every stored anchor is a head of the stored history.
    pub(super) fn roots(&self, checks: &mut Checks) -> Matched {
        let mut matched = Matched::default();
        // By witness and code: one cause, one finding.
        let mut failed: BTreeMap<(String, &str), (&Code, Detail, u64)> = BTreeMap::new();
        let mut fail = |witness: &str, code: &'static Code, detail: Detail| {
            let entry = failed.entry((witness.to_owned(), code.code));
            entry.or_insert((code, detail, 0)).2 += 1;
        };
        for anchor in &self.anchors.stored {
            if anchor.size < self.since {
                continue;
            }
            checks.checked(Check::AnchorsConsistent, 1);
            let name = names::anchor_of(self.chain.origin(), anchor.size, anchor.seconds);
            let detail = Detail::object(name);
            let witness = anchor.key.name();
            let mut status = Status::Fail;
            match self.history.root_at(anchor.size) {
                RootAt::Known(root) if root == anchor.root => {
                    status = Status::Pass;
                    matched.valid.push((anchor.key.clone(), anchor.size));
                    if !self.names.has_checkpoint(anchor.size) {
                        let name = names::checkpoint(anchor.size);
                        fail(witness, &codes::CHECKPOINT_MISSING, Detail::object(name));
                    }
                }
                RootAt::Known(root) => {
                    matched.contradicts = true;
                    let detail = detail.expected(anchor.root).found(root);
                    fail(witness, &codes::ANCHOR_ROOT, detail);
                }
                RootAt::NoBoundary => {
                    matched.contradicts = true;
                    let detail = detail.expected(anchor.root);
                    let found = format!("no segment ends at {}", anchor.size);
                    fail(witness, &codes::ANCHOR_ROOT, detail.found(found));
                }
                RootAt::Beyond if self.history.stopped.is_none() => {
                    matched.contradicts = true;
                    let detail = detail.expected(format!("{} leaves", anchor.size));
                    let found = format!("{} leaves", self.history.end);
                    fail(witness, &codes::ANCHOR_BEYOND, detail.found(found));
                }
                RootAt::Beyond | RootAt::Stopped => {
                    let reason = self.history.stopped.as_deref().unwrap_or_default();
                    checks.unknown(Check::AnchorsConsistent, reason);
                }
                RootAt::Before => status = Status::Pass,
            }
            matched
                .reports
                .push(self.report(witness, anchor.size, anchor.seconds, status));
        }
        for ((witness, _), (code, detail, count)) in failed {
            let by = format!("anchored by {witness}{}", and_more(count as usize));
            checks.find_many(code, count, detail.also_found(&by));
        }
        for bad in &self.anchors.bad {
            checks.checked(Check::AnchorsConsistent, 1);
            let found = format!("{}: {}", bad.witness, bad.why);
            let detail = Detail::object(&bad.name).found(found);
            checks.find(&codes::ANCHOR_INVALID, detail);
        }
        for (witness, why) in &self.anchors.unreadable {
            let witness = &self.deployment.witnesses[*witness];
            let why = format!("the anchors of {}: {why}", witness.key.name());
            checks.unknown(Check::AnchorsConsistent, why);
        }
        matched
    }

    fn report(&self, witness: &str, size: u64, seconds: u64, status: Status) -> AnchorReport {
        let sealed_at = self.history.ending_at(size).and_then(|fact| fact.sealed_at);
        AnchorReport {
            origin: self.chain.origin().to_owned(),
            witness: witness.to_owned(),
            size,
            time: time::from_unix_seconds(seconds),
            lag_seconds: sealed_at
                .map(|at| i64::try_from(seconds).unwrap_or(i64::MAX) - at.div_euclid(1000)),
            status,
        }
    }

    /// Every anchor has its record and every record its anchor. `holders` are the
    /// chains whose records may hold anchors of this one, by witness.
    pub(super) async fn records(
        &self,
        holders: &[Holder<'_>],
        matched: &mut Matched,
        checks: &mut Checks,
    ) {
        for (place, witness) in self.deployment.witnesses.iter().enumerate() {
            if !witness.witnesses(self.chain) || self.anchors.is_unreadable(place) {
                continue;
            }
            let of_cloud = || {
                holders
                    .iter()
                    .filter(|holder| holder.chain.settings.cloud == witness.settings.cloud)
            };
            let kept = of_cloud().map(|holder| i64::from(holder.chain.settings.retention_days));
            let kept = kept.max().unwrap_or(0) * 86_400_000;
            let expired = |seconds: u64| {
                let at = i64::try_from(seconds)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1000);
                at.saturating_add(kept) < self.now
            };
            let mut records: BTreeMap<(u64, u64), &RecordedAnchor> = BTreeMap::new();
            for record in of_cloud().flat_map(|holder| holder.of(self.chain, place)) {
                records.insert((record.size, record.seconds), record);
            }
            let stored = self.anchors.stored.iter();
            let stored = stored.filter(|anchor| anchor.witness == Some(place));
            // By size first: clocks may go back a little.
            let newest = stored.clone().map(|a| (a.size, a.seconds)).max();
            for anchor in stored.filter(|anchor| anchor.size >= self.since) {
                let name = names::anchor_of(self.chain.origin(), anchor.size, anchor.seconds);
                let detail = Detail::object(name);
                match records.get(&(anchor.size, anchor.seconds)) {
                    Some(record) if record.sha256 == anchor.sha256 => {}
                    Some(record) => {
                        let detail = detail.index(record.index);
                        checks.find(&codes::ANCHOR_RECORD_DIFFERS, detail);
                    }
                    // The next run seals the newest one's.
                    None if newest == Some((anchor.size, anchor.seconds)) => {}
                    None if expired(anchor.seconds) => {}
                    None => match of_cloud().find(|holder| !holder.intact) {
                        Some(holder) => {
                            let reason = format!(
                                "records of its anchors should stand in {}, which could not be read whole",
                                holder.chain.origin()
                            );
                            checks.unknown(Check::AnchorsConsistent, reason);
                        }
                        None => {
                            let detail = detail.expected("a record of it");
                            checks.find(&codes::ANCHOR_RECORD_MISSING, detail);
                        }
                    },
                }
            }
            for ((size, seconds), record) in records {
                let known = self.anchors.present.contains(&(place, size, seconds));
                if size < self.since || known || expired(seconds) {
                    continue;
                }
                checks.checked(Check::AnchorsConsistent, 1);
                let name = names::anchor_of(self.chain.origin(), size, seconds);
                let sealed = self.meter.anchors(witness);
                match look(&*sealed, self.chain, size, seconds).await {
                    // Newer than the listing: the next verification matches it.
                    Look::Present => {}
                    Look::Missing => {
                        let detail = Detail::object(name).index(record.index);
                        let found = format!("removed from {}", witness.sealed.describe());
                        checks.find(&codes::ANCHOR_MISSING, detail.found(found));
                        let report = self.report(witness.key.name(), size, seconds, Status::Fail);
                        matched.reports.push(report);
                        self.record_root(record, checks);
                    }
                    Look::Unreadable => {
                        let reason = format!("{} could not be read", witness.sealed.describe());
                        checks.unknown(Check::AnchorsConsistent, reason);
                    }
                }
            }
        }
    }

    /// The head that a record holds belongs to this history, even if its anchor
    /// is gone.
    fn record_root(&self, record: &RecordedAnchor, checks: &mut Checks) {
        let detail = Detail::default().index(record.index);
        match self.history.root_at(record.size) {
            RootAt::Known(root) if root != record.root => {
                let detail = detail.expected(record.root).found(root);
                checks.find(&codes::ANCHOR_ROOT, detail);
            }
            RootAt::NoBoundary => {
                let found = format!("no segment ends at {}", record.size);
                checks.find(
                    &codes::ANCHOR_ROOT,
                    detail.expected(record.root).found(found),
                );
            }
            RootAt::Beyond if self.history.stopped.is_none() => {
                let found = format!("{} leaves", self.history.end);
                let expected = format!("{} leaves", record.size);
                let detail = detail.expected(expected).found(found);
                checks.find(&codes::ANCHOR_BEYOND, detail);
            }
            _ => {}
        }
    }

    /// When the chain began to owe a checkpoint, by the age of its records: a
    /// tail of anchor records alone may wait for an hour longer.
    pub(super) fn is_due(&self) -> bool {
        let grace = self.grace();
        self.history.facts.iter().any(|fact| {
            let wait = if fact.anchors_alone {
                ANCHOR_TAIL_MILLIS
            } else {
                0
            };
            self.older_than(fact.sealed_at, grace.saturating_add(wait))
        })
    }

    /// The policy's quorum stands behind what is older than the grace.
    pub(super) fn quorum(&self, matched: &Matched, checkpoints: &[u64], checks: &mut Checks) {
        let independent = self.deployment.witnesses_of(self.chain).next().is_some();
        if !independent {
            checks.skip(Check::AnchorQuorum, NO_WITNESS);
            return;
        }
        if self.deployment.policy.satisfied_by(|_| false) {
            checks.skip(Check::AnchorQuorum, "the policy asks for no witness");
            return;
        }
        checks.checked(Check::AnchorQuorum, 1);
        let grace = self.grace();
        let old = |size: &&u64| {
            let sealed_at = self
                .history
                .ending_at(**size)
                .and_then(|fact| fact.sealed_at);
            self.older_than(sealed_at, grace)
        };
        let candidate = checkpoints.iter().rev().find(old).copied();
        let least = candidate.unwrap_or(0);
        let by: BTreeSet<&str> = matched
            .valid
            .iter()
            .filter(|(_, size)| *size >= least)
            .map(|(key, _)| key.name())
            .collect();
        let reached = matched.has_quorum(self.deployment, self.chain, least);
        if reached || (candidate.is_none() && !self.is_due()) {
            return;
        }
        if let Some((_, why)) = self.anchors.unreadable.first() {
            checks.unknown(Check::AnchorQuorum, why);
            return;
        }
        let found = match by.len() {
            0 => "no cosignature of another cloud".to_owned(),
            _ => format!("cosigned by {}", Vec::from_iter(by).join(", ")),
        };
        let detail = match candidate {
            Some(size) => Detail::object(names::checkpoint(size)),
            None => Detail::default(),
        };
        let expected = self.deployment.policy.describe_quorum();
        let detail = detail.expected(expected).found(found);
        checks.find(&codes::QUORUM_MISSING, detail);
    }

    /// No witness has fallen silent.
    pub(super) fn freshness(&self, checks: &mut Checks) {
        if self.deployment.witnesses_of(self.chain).next().is_none() {
            checks.skip(Check::AnchorFreshness, NO_WITNESS);
            return;
        }
        let limit = self.grace().saturating_add(FRESH_MILLIS);
        let first = self
            .history
            .facts
            .iter()
            .filter_map(|fact| fact.sealed_at)
            .min();
        if !self.older_than(first, limit) || !self.is_due() {
            return;
        }
        for (place, witness) in self.deployment.witnesses.iter().enumerate() {
            if !witness.witnesses(self.chain) {
                continue;
            }
            if let Some((_, why)) = self.anchors.unreadable.iter().find(|(w, _)| *w == place) {
                checks.unknown(Check::AnchorFreshness, why);
                continue;
            }
            checks.checked(Check::AnchorFreshness, 1);
            let of_witness = self.anchors.stored.iter();
            let newest = of_witness
                .filter(|anchor| anchor.witness == Some(place))
                .map(|anchor| i64::try_from(anchor.seconds).unwrap_or(i64::MAX))
                .map(|seconds| seconds.saturating_mul(1000))
                .max();
            if newest.is_none() || self.older_than(newest, limit) {
                let expected = format!("not before {}", millis(self.now.saturating_sub(limit)));
                let found = newest.map_or("no anchor".to_owned(), millis);
                let detail = Detail::default().expected(expected);
                let found = format!("{}: {found}", witness.key.name());
                checks.find(&codes::ANCHOR_STALE, detail.found(found));
            }
        }
    }

    /// Anchor times follow the sizes, and none is older than what it covers.
    pub(super) fn times(&self, checks: &mut Checks) {
        let mut order: Vec<_> = self.anchors.stored.iter().collect();
        order.sort_by_key(|anchor| (anchor.key.id(), anchor.size, anchor.seconds));
        for of_witness in order.chunk_by(|a, b| a.key == b.key) {
            let mut latest = i64::MIN;
            let mut of_smaller = i64::MIN;
            let mut size = 0;
            for anchor in of_witness {
                checks.checked(Check::TimeOrder, 1);
                let at = i64::try_from(anchor.seconds)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1000);
                if anchor.size > size {
                    of_smaller = latest;
                    size = anchor.size;
                }
                let name = names::anchor_of(self.chain.origin(), anchor.size, anchor.seconds);
                let by = format!("{} by {}", millis(at), anchor.key.name());
                let detail = Detail::object(name).found(by);
                if at < of_smaller.saturating_sub(TOLERANCE_MILLIS) {
                    let expected = format!("not before {}", millis(of_smaller));
                    checks.find(&codes::ANCHOR_TIME_BACK, detail.expected(expected));
                } else if let Some(sealed_at) = self
                    .history
                    .ending_at(anchor.size)
                    .and_then(|fact| fact.sealed_at)
                    && at < sealed_at.saturating_sub(TOLERANCE_MILLIS)
                {
                    let expected = format!("not before {}", millis(sealed_at));
                    checks.find(&codes::ANCHOR_TOO_EARLY, detail.expected(expected));
                }
                latest = latest.max(at);
            }
        }
    }

    fn grace(&self) -> i64 {
        i64::try_from(self.deployment.settings.anchor_grace.as_millis()).unwrap_or(i64::MAX)
    }

    fn older_than(&self, at: Option<i64>, age: i64) -> bool {
        at.is_some_and(|at| self.now.saturating_sub(at) >= age)
    }
}

/// A chain whose records hold anchors of others.
pub(super) struct Holder<'a> {
    pub(super) chain: &'a Chain,
    pub(super) place: &'a [Chain],
    pub(super) recorded: &'a [RecordedAnchor],
    /// All its records were read and are those that were anchored.
    pub(super) intact: bool,
}

impl<'a> Holder<'a> {
    fn of(&self, anchored: &Chain, witness: usize) -> impl Iterator<Item = &'a RecordedAnchor> {
        let chain = self
            .place
            .iter()
            .position(|c| c.origin() == anchored.origin());
        let recorded: &'a [RecordedAnchor] = self.recorded;
        recorded
            .iter()
            .filter(move |record| Some(record.chain) == chain && record.witness == witness)
    }
}
