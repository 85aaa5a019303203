//! The order in which a verification reads, and who waits for whom.

use std::sync::Arc;

use countersign_core::merkle::Hash;
use countersign_core::names::segment;
use countersign_core::segment::open_header;
use countersign_core::time;

use super::anchors::{self, Anchors};
use super::checks::{Check, Checks, Detail};
use super::fetch::get;
use super::heads;
use super::history::{History, RootAt, Start};
use super::match_anchors::{Holder, Matched, Matching};
use super::names::Names;
use super::read::Reading;
use super::report::{ChainReport, PolicyReport, Report, Status, Verdict};
use super::requests::Meter;
use super::room::Room;
use super::series::{Growth, Volume};
use super::walk::Walk;
use super::{Options, Progress, Since, VerifyError, codes, posture, published, since};
use crate::chain::{Chain, Deployment};
use crate::clock::Clock;
use crate::objects::MAX_OBJECT_BYTES;

/// One chain under verification.
struct Subject<'a> {
    /// Its stores are counted by `meter`.
    chain: &'a Chain,
    meter: &'a Arc<Meter>,
    asked: bool,
    since: Option<Since>,
    checks: Checks,
    first_head: heads::Reading,
    anchors: Anchors,
    names: Names,
    /// The store could not be listed.
    unreadable: bool,
    read: Option<Body>,
}

/// What was read of a chain.
struct Body {
    checkpoints: Vec<(u64, Hash)>,
    history: History,
    matched: Matched,
    intact: bool,
}

impl Body {
    fn published(&self) -> u64 {
        self.checkpoints.last().map_or(0, |(size, _)| *size)
    }
}

/// What all chains share.
struct Run<'a> {
    deployment: &'a Deployment,
    options: &'a Options,
    progress: &'a dyn Progress,
    /// The ages are taken from here: milliseconds since 1970.
    now: i64,
}

pub(super) async fn run(
    deployment: &Deployment,
    options: &Options,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Result<Report, VerifyError> {
    let started = clock.unix_millis();
    let now = options.at_millis.unwrap_or(started);
    let run = Run {
        deployment,
        options,
        progress,
        now: i64::try_from(now).unwrap_or(i64::MAX),
    };
    let metered: Vec<_> = deployment.chains.iter().map(metered).collect();
    let mut subjects = run.subjects(&metered, started).await?;
    for subject in &mut subjects {
        run.list(subject).await;
    }
    let mut work = (0u64, 0u64);
    for subject in &mut subjects {
        run.list_segments(subject).await?;
        let from = subject.since.map_or(0, |since| since.size);
        let (objects, bytes) = subject.names.work(from);
        work = (work.0 + objects, work.1.saturating_add(bytes));
    }
    progress.total(work.0, work.1);
    for subject in &mut subjects {
        run.read(subject).await;
    }
    for subject in &mut subjects {
        run.after_reading(subject).await?;
    }
    run.records(&mut subjects).await;
    Ok(run.report(subjects, started, clock.unix_millis()))
}

impl<'a> Run<'a> {
    /// Reads the heads, then all anchors: before everything that they cover.
    async fn subjects(
        &self,
        metered: &'a [(Chain, Arc<Meter>)],
        started: u64,
    ) -> Result<Vec<Subject<'a>>, VerifyError> {
        let deployment = self.deployment;
        let mut asked = vec![self.options.chain.is_none(); deployment.chains.len()];
        if let Some(name) = &self.options.chain {
            let named = deployment.chains_named(name)?;
            for (asked, chain) in asked.iter_mut().zip(&deployment.chains) {
                *asked = named.iter().any(|named| named.origin() == chain.origin());
            }
        }
        if self.options.since.is_some() && asked.iter().filter(|asked| **asked).count() != 1 {
            return Err(VerifyError::SinceNeedsChain);
        }
        let fail_on: Arc<[String]> = deployment.settings.fail_on.clone().into();
        let mut subjects = Vec::new();
        for ((chain, meter), asked) in metered.iter().zip(asked) {
            subjects.push(Subject {
                chain,
                meter,
                asked,
                since: self.since(chain, asked),
                checks: Checks::new(Arc::clone(&fail_on)),
                first_head: heads::read(chain).await,
                anchors: Anchors::default(),
                names: Names::default(),
                unreadable: false,
                read: None,
            });
        }
        for subject in &mut subjects {
            let concurrency = self.concurrency(subject.chain);
            let (chain, meter) = (subject.chain, subject.meter);
            subject.anchors = anchors::load(deployment, chain, meter, started, concurrency).await;
        }
        Ok(subjects)
    }

    /// Where reading of a chain begins.
    fn since(&self, chain: &Chain, asked: bool) -> Option<Since> {
        let trusted = self.options.trusted.get(chain.origin()).copied();
        let since = self.options.since.filter(|_| asked).or(trusted);
        since.filter(|since| since.size > 0)
    }

    async fn list(&self, subject: &mut Subject<'_>) {
        let checks = &mut subject.checks;
        checks.skip(
            Check::SourceCompleteness,
            "the sources' own signals (digests, sequence numbers) are not at hand here",
        );
        let store = &*subject.chain.sealed;
        if let Err(why) = subject.names.list_published(store, checks).await {
            subject.unreadable = true;
            checks.all_unknown(&why);
        }
    }

    async fn list_segments(&self, subject: &mut Subject<'_>) -> Result<(), VerifyError> {
        if subject.unreadable {
            return Ok(());
        }
        let store = &*subject.chain.sealed;
        if let Err(why) = subject
            .names
            .list_segments(store, &mut subject.checks)
            .await
        {
            subject.unreadable = true;
            subject.checks.all_unknown(&why);
            return Ok(());
        }
        match subject.since {
            Some(Since { size, .. }) if !since::is_boundary(&subject.names, size) => {
                Err(VerifyError::SinceNoBoundary {
                    size,
                    origin: subject.chain.origin().to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Reads a chain's own objects.
    async fn read(&self, subject: &mut Subject<'_>) {
        if subject.unreadable {
            return;
        }
        let (chain, names, checks) = (subject.chain, &subject.names, &mut subject.checks);
        let store = &*chain.sealed;
        let concurrency = self.concurrency(subject.chain);
        let (genesis, stored) = published::genesis(store, &chain.key, checks).await;
        let since = subject.since.map_or(0, |since| since.size);
        let sizes = &names.checkpoints[names.checkpoints.partition_point(|size| *size < since)..];
        let checkpoints =
            published::checkpoints(store, &chain.key, sizes, concurrency, checks).await;
        let published = checkpoints.last().map_or(0, |(size, _)| *size);
        let start = match since {
            0 => Start::empty(),
            size => since::start(chain, names, size).await,
        };
        let days = genesis
            .as_ref()
            .map_or(chain.settings.retention_days, |genesis| {
                genesis.retention_days
            });
        let walk = Walk {
            reading: Arc::new(self.reading(chain)),
            names,
            checks,
            progress: self.progress,
            concurrency,
            published,
            since,
            expired_before: self.now.saturating_sub(i64::from(days) * 86_400_000),
        };
        let mut history = walk.run(start).await;
        if history.genesis_sha256.is_none() && history.from > 0 {
            history.genesis_sha256 = genesis_of_first(chain).await;
        }
        let checks = &mut subject.checks;
        published::genesis_is_first(stored.as_deref(), history.genesis_sha256.as_deref(), checks);
        published::checkpoints_consistent(&checkpoints, &history, checks);
        published::indexes(
            &chain.sealed,
            &chain.key,
            names,
            &history,
            (published, concurrency),
            checks,
        )
        .await;
        posture::sealed_in_order(&history, checks);
        posture::versions(chain, genesis.as_ref(), &history, self.now, checks).await;
        posture::settings(chain, days, checks).await;
        history.activity.judge(checks);
        subject.read = Some(Body {
            checkpoints,
            history,
            matched: Matched::default(),
            intact: true,
        });
    }

    /// How many objects of the chain's store are asked for at a time.
    fn concurrency(&self, chain: &Chain) -> usize {
        let suits = || chain.settings.sealed.reads_at_a_time();
        self.options.concurrency.unwrap_or_else(suits)
    }

    fn reading(&self, chain: &Chain) -> Reading {
        let deployment = self.deployment;
        let of_cloud = deployment.witnesses.iter().enumerate();
        Reading {
            store: Arc::clone(&chain.sealed),
            key: chain.key.clone(),
            logs: deployment.chains.iter().map(|c| c.key.clone()).collect(),
            witnesses: of_cloud
                .filter(|(_, witness)| witness.settings.cloud == chain.settings.cloud)
                .map(|(place, witness)| (place, witness.key.clone()))
                .collect(),
            room: Arc::new(Room::new()),
        }
    }

    /// What needs the whole history: the heads once more, and the anchors.
    async fn after_reading(&self, subject: &mut Subject<'_>) -> Result<(), VerifyError> {
        let last_head = heads::read(subject.chain).await;
        let Some(mut body) = subject.read.take() else {
            return Ok(());
        };
        let checks = &mut subject.checks;
        let history = &body.history;
        let first = &subject.first_head;
        let moved = heads::check(first, &last_head, history, body.published(), checks);
        let alone = !history.open_end && history.facts.iter().all(|fact| fact.anchors_alone);
        if history.from == 0 && alone && !subject.chain.settings.allow_empty {
            checks.checked(Check::SegmentsContiguous, 1);
            let detail = Detail::object(subject.chain.sealed.describe());
            checks.find(&codes::EMPTY, detail.expected("records").found("none"));
        }
        if history.expired > 0 {
            let note = format!("{} segments expired", history.expired);
            checks.note(Check::SegmentsContiguous, note);
        }
        let matching = Matching {
            deployment: self.deployment,
            chain: subject.chain,
            meter: subject.meter,
            anchors: &subject.anchors,
            history,
            names: &subject.names,
            now: self.now,
            since: subject.since.map_or(0, |since| since.size),
        };
        let matched = matching.roots(checks);
        if subject.names.checkpoints.is_empty() && matching.is_due() {
            for code in [&codes::TILES_NONE, &codes::CHECKPOINTS_NONE] {
                checks.checked(code.check, 1);
                checks.find(code, Detail::default());
            }
        }
        let sizes: Vec<u64> = body.checkpoints.iter().map(|(size, _)| *size).collect();
        matching.quorum(&matched, &sizes, checks);
        matching.freshness(checks);
        matching.times(checks);
        if let Some(since) = subject.since {
            let trusted = matched.has_quorum(self.deployment, subject.chain, since.size)
                && sizes.contains(&since.size);
            trust(since, trusted, history, subject.chain, checks)?;
        }
        let damaged = history.damaged || checks.has_failed(Check::SegmentsContiguous);
        body.intact = !(damaged || moved || matched.contradicts);
        body.matched = matched;
        subject.read = Some(body);
        Ok(())
    }

    /// Anchors and their records, which stand in other chains.
    async fn records(&self, subjects: &mut [Subject<'_>]) {
        for at in 0..subjects.len() {
            let Some(mut body) = subjects[at].read.take() else {
                continue;
            };
            let mut checks = std::mem::replace(&mut subjects[at].checks, Checks::new([].into()));
            let mut matched = std::mem::take(&mut body.matched);
            let subject = &subjects[at];
            let holders: Vec<_> = subjects
                .iter()
                .map(|other| Holder {
                    chain: other.chain,
                    place: &self.deployment.chains,
                    recorded: other
                        .read
                        .as_ref()
                        .map_or(&[][..], |body| &body.history.anchors),
                    intact: other.read.as_ref().is_some_and(|body| body.intact),
                })
                .collect();
            let matching = Matching {
                deployment: self.deployment,
                chain: subject.chain,
                meter: subject.meter,
                anchors: &subject.anchors,
                history: &body.history,
                names: &subject.names,
                now: self.now,
                since: subject.since.map_or(0, |since| since.size),
            };
            matching.records(&holders, &mut matched, &mut checks).await;
            // A record that is no anchor: told at the chain that it claims to
            // anchor, or where it stands.
            for (nth, other) in subjects.iter().enumerate() {
                let bad = match other.read.as_ref() {
                    Some(body) => &body.history.bad_anchors,
                    None if nth == at => &body.history.bad_anchors,
                    None => continue,
                };
                for bad in bad.iter().filter(|bad| bad.chain.unwrap_or(nth) == at) {
                    let object = format!("a record of {}", other.chain.origin());
                    let detail = Detail::object(object).index(bad.index).found(&bad.why);
                    checks.find(&codes::ANCHOR_RECORD_INVALID, detail);
                }
            }
            body.matched = matched;
            subjects[at].checks = checks;
            subjects[at].read = Some(body);
        }
    }

    fn report(&self, subjects: Vec<Subject<'_>>, started: u64, finished: u64) -> Report {
        let (mut chains, mut anchors) = (Vec::new(), Vec::new());
        let mut looked = false;
        for subject in subjects.into_iter().filter(|subject| subject.asked) {
            looked |= subject.checks.looked_at_anything();
            let mut report = ChainReport {
                origin: subject.chain.origin().to_owned(),
                size: 0,
                published: 0,
                published_root: None,
                root: None,
                segments: 0,
                records: 0,
                bytes: 0,
                duplicates: 0,
                requests: subject.meter.requests(),
                requests_per_segment: None,
                checks: subject.checks.into_reports(),
                cloud: subject.chain.settings.cloud,
                since: subject.since.map_or(0, |since| since.size),
                witnesses: self
                    .deployment
                    .witnesses_of(subject.chain)
                    .map(|witness| witness.key.name().to_owned())
                    .collect(),
                span: None,
                growth: Growth::default(),
                volume: Volume::default(),
            };
            if let Some(body) = subject.read {
                report.published = body.published();
                report.published_root = body.checkpoints.last().map(|(_, root)| *root);
                let history = body.history;
                let times = || history.facts.iter().filter_map(|fact| fact.sealed_at);
                report.size = history.end;
                report.root = history.root();
                report.segments = history.segments;
                report.requests_per_segment = report.requests.per_segment(history.segments);
                report.records = history.records;
                report.bytes = history.bytes;
                report.duplicates = history.duplicates;
                report.span = times().min().zip(times().max());
                report.volume = history.activity.volume();
                report.growth = history.growth;
                anchors.extend(body.matched.reports);
            }
            chains.push(report);
        }
        anchors.sort_by(|a, b| {
            let key = |report: &super::AnchorReport| {
                (report.origin.clone(), report.size, report.time.clone())
            };
            key(a).cmp(&key(b)).then_with(|| a.witness.cmp(&b.witness))
        });
        let has = |status: Status| {
            let mut checks = chains.iter().flat_map(|chain: &ChainReport| &chain.checks);
            checks.any(|check| check.status == status)
        };
        let result = if has(Status::Fail) {
            Verdict::Failed
        } else if has(Status::Unknown) || !looked {
            Verdict::Incomplete
        } else {
            Verdict::Verified
        };
        Report {
            result,
            started_at: time::from_unix_millis(started),
            finished_at: time::from_unix_millis(finished),
            policy: PolicyReport::of(self.deployment),
            chains,
            anchors,
            domain: self.deployment.settings.domain.clone(),
            judged_at_millis: self.now,
            reproduce: self.reproduce(),
        }
    }

    fn reproduce(&self) -> String {
        let mut command = "countersign verify".to_owned();
        if let Some(chain) = &self.options.chain {
            command.push_str(&format!(" --chain {chain}"));
        }
        if let Some(since) = &self.options.since {
            command.push_str(&format!(" --since {}", since.size));
            if let Some(root) = &since.root {
                command.push_str(&format!(":{root}"));
            }
        }
        command.push_str(&format!(" --at {}", posture::millis(self.now)));
        command
    }
}

/// A chain whose stores count, and what counts them.
fn metered(chain: &Chain) -> (Chain, Arc<Meter>) {
    let meter = Arc::<Meter>::default();
    (meter.chain(chain), meter)
}

/// What is trusted of the history before `--since`.
fn trust(
    since: Since,
    quorum: bool,
    history: &History,
    chain: &Chain,
    checks: &mut Checks,
) -> Result<(), VerifyError> {
    let root = match history.root_at(since.size) {
        RootAt::Known(root) => root,
        _ => {
            let reason = format!("the root at {} could not be computed", since.size);
            checks.unknown(Check::CheckpointsConsistent, reason);
            return Ok(());
        }
    };
    match since.root {
        Some(trusted) => {
            checks.checked(Check::CheckpointsConsistent, 1);
            if trusted != root {
                let detail = Detail::default().index(since.size);
                let detail = detail.expected(trusted).found(root);
                checks.find(&codes::TRUSTED_ROOT, detail);
            }
            Ok(())
        }
        None if quorum => Ok(()),
        None => Err(VerifyError::SinceUntrusted {
            size: since.size,
            origin: chain.origin().to_owned(),
        }),
    }
}

/// The genesis that the first segment names, where that is not read otherwise.
async fn genesis_of_first(chain: &Chain) -> Option<String> {
    let object = get(&*chain.sealed, &segment(0), MAX_OBJECT_BYTES).await;
    let header = open_header(&object.ok()?, &chain.key).ok()?;
    header.genesis_sha256
}
