//! What text and HTML say alike: the auditor's sentence, causes, pairs, words.

use std::collections::{BTreeMap, HashMap};

use super::checks::Check;
use super::posture::millis;
use super::report::{AnchorReport, ChainReport, CheckReport, Finding, Report, Status};

/// Rows of findings; the rest are counted.
pub(crate) const MAX_CAUSES: usize = 20;

/// What an auditor quotes.
pub(crate) fn sentence(report: &Report) -> String {
    let records: u64 = report.chains.iter().map(|chain| chain.records).sum();
    let firsts = report.chains.iter().filter_map(|chain| chain.span);
    let span = firsts.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let between = match span {
        Some((from, to)) => format!("Between {} and {}, ", millis(from), millis(to)),
        None => String::new(),
    };
    let chains = count(report.chains.len(), "chain", "chains");
    let of = |check| move |chain: &&ChainReport| chain.check(check).map(|check| check.status);
    let alone = |chain: &&ChainReport| of(Check::AnchorQuorum)(chain) == Some(Status::Skip);
    // A chain that its anchors contradict has no cosigned head to speak of.
    let cosigned = |chain: &&ChainReport| {
        of(Check::AnchorQuorum)(chain) == Some(Status::Pass)
            && of(Check::AnchorsConsistent)(chain) != Some(Status::Fail)
    };
    let good = report.chains.iter().filter(cosigned).count();
    let independent = if report.chains.iter().all(|chain| alone(&chain)) {
        "no independent witness exists".to_owned()
    } else if good == report.chains.len() {
        format!(
            "every head older than the grace is cosigned by clouds other than its own, as the quorum asks: {}",
            report.policy.quorum
        )
    } else {
        format!(
            "{good} of {} chains have heads cosigned by clouds other than their own, as the quorum asks: {}",
            report.chains.len(),
            report.policy.quorum
        )
    };
    format!(
        "{between}{records} records in {chains} were read and hashed again in this run; {independent}. The expected heads were taken from the head stores and the anchors."
    )
}

/// Where the heads came from that the stored history was compared with.
pub(crate) fn expected_heads(report: &Report) -> String {
    let anchors = count(report.anchors.len(), "anchor", "anchors");
    let mut text = format!(
        "the head stores, read first and again last; {anchors}, from the witnesses' stores and from records in the chains of their clouds"
    );
    for chain in report.chains.iter().filter(|chain| chain.since > 0) {
        text.push_str(&format!(
            "; what stands before size {} of {} was taken as trusted",
            chain.since,
            short(&chain.origin, report)
        ));
    }
    text
}

/// Findings of one chain and code.
pub(crate) struct Cause<'a> {
    pub(crate) chain: &'a ChainReport,
    pub(crate) check: &'a CheckReport,
    /// The first of them.
    pub(crate) finding: &'a Finding,
    pub(crate) count: usize,
}

/// One row per cause, those that fail and those that matter most first.
pub(crate) fn causes(report: &Report) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    for chain in &report.chains {
        for check in &chain.checks {
            let first = causes.len();
            for finding in &check.findings {
                let known = causes[first..].iter_mut().find(|cause| {
                    cause.finding.code == finding.code && cause.finding.next == finding.next
                });
                match known {
                    Some(cause) => cause.count += 1,
                    None => causes.push(Cause {
                        chain,
                        check,
                        finding,
                        count: 1,
                    }),
                }
            }
        }
    }
    causes.sort_by_key(|cause| (!cause.finding.fails, cause.finding.severity));
    causes
}

/// The title of a cause, and of how many findings the first is shown.
pub(crate) fn cause_title(cause: &Cause<'_>) -> String {
    match cause.count {
        1 => cause.finding.title.to_owned(),
        count => format!(
            "{} ({count} times; the first is shown)",
            cause.finding.title
        ),
    }
}

/// A reason that checks give, and the chains that it holds for.
pub(crate) struct Reason<'a> {
    pub(crate) reason: &'a str,
    pub(crate) checks: Vec<&'static str>,
    /// None: all.
    pub(crate) chains: Option<Vec<&'a str>>,
}

impl Reason<'_> {
    /// The names of the checks; of many the first ones.
    pub(crate) fn checks_text(&self) -> String {
        match self.checks.as_slice() {
            [first, second, third, rest @ ..] if rest.len() > 3 => {
                format!("{first}, {second}, {third} and {} more", rest.len())
            }
            all => all.join(", "),
        }
    }
}

/// Why checks are unknown or were skipped, and what those that passed or failed
/// remark: those together that say the same of the same chains.
pub(crate) fn reasons<'a>(report: &'a Report, of: &[Status]) -> Vec<Reason<'a>> {
    let mut chains_of: BTreeMap<(&str, Check), Vec<&str>> = BTreeMap::new();
    for chain in &report.chains {
        let checks = chain.checks.iter();
        for check in checks.filter(|check| of.contains(&check.status)) {
            if let Some(reason) = &check.reason {
                let chains = chains_of.entry((reason, check.name)).or_default();
                chains.push(&chain.origin);
            }
        }
    }
    let mut together: BTreeMap<(&str, Vec<&str>), Vec<&'static str>> = BTreeMap::new();
    for ((reason, check), chains) in chains_of {
        together
            .entry((reason, chains))
            .or_default()
            .push(check.name());
    }
    let reason = |((reason, chains), checks): ((_, Vec<_>), _)| Reason {
        reason,
        checks,
        chains: (chains.len() < report.chains.len()).then_some(chains),
    };
    together.into_iter().map(reason).collect()
}

/// A chain and a witness that should countersign it, or does.
pub(crate) struct Pair<'a> {
    pub(crate) chain: &'a ChainReport,
    pub(crate) witness: &'a str,
    pub(crate) anchors: usize,
    /// Anchors that hold.
    pub(crate) good: usize,
    /// The newest that holds.
    pub(crate) newest: Option<&'a AnchorReport>,
}

/// Who countersigned whom: by chain, its own witnesses first.
pub(crate) fn pairs(report: &Report) -> Vec<Pair<'_>> {
    let mut pairs: HashMap<(&str, &str), Pair<'_>> = HashMap::new();
    let mut order = Vec::new();
    for chain in &report.chains {
        for witness in &chain.witnesses {
            order.push((chain, &**witness));
        }
    }
    for anchor in &report.anchors {
        let of = report.chains.iter().find(|c| c.origin == anchor.origin);
        let Some(chain) = of else { continue };
        let key = (&*anchor.origin, &*anchor.witness);
        let pair = pairs.entry(key).or_insert_with(|| {
            if !chain.witnesses.contains(&anchor.witness) {
                order.push((chain, &anchor.witness));
            }
            empty(chain, &anchor.witness)
        });
        pair.anchors += 1;
        if anchor.status == Status::Pass {
            pair.good += 1;
            let newer =
                |known: &AnchorReport| (&known.time, known.size) <= (&anchor.time, anchor.size);
            if pair.newest.is_none_or(newer) {
                pair.newest = Some(anchor);
            }
        }
    }
    let place = |chain: &ChainReport| report.chains.iter().position(|c| c.origin == chain.origin);
    order.sort_by_key(|(chain, _)| place(chain));
    order
        .into_iter()
        .map(|(chain, witness)| {
            let known = pairs.remove(&(&*chain.origin, witness));
            known.unwrap_or_else(|| empty(chain, witness))
        })
        .collect()
}

fn empty<'a>(chain: &'a ChainReport, witness: &'a str) -> Pair<'a> {
    Pair {
        chain,
        witness,
        anchors: 0,
        good: 0,
        newest: None,
    }
}

impl Pair<'_> {
    /// `12`, or `10 of 12` where not all hold.
    pub(crate) fn count(&self) -> String {
        match self.good {
            good if good == self.anchors => good.to_string(),
            good => format!("{good} of {}", self.anchors),
        }
    }
}

/// How a chain stands as a whole.
pub(crate) fn state(chain: &ChainReport) -> Status {
    let has = |status| chain.checks.iter().any(|check| check.status == status);
    match (has(Status::Fail), has(Status::Unknown)) {
        (true, _) => Status::Fail,
        (false, true) => Status::Unknown,
        (false, false) => Status::Pass,
    }
}

/// [`state`] in a word.
pub(crate) fn state_word(chain: &ChainReport) -> &'static str {
    match state(chain) {
        Status::Fail => "FAILED",
        Status::Unknown => "incomplete",
        Status::Pass | Status::Skip => "ok",
    }
}

/// What verifying a chain cost: `21 requests, 5.25 for each segment (…)`.
pub(super) fn requests_text(chain: &ChainReport) -> String {
    let requests = &chain.requests;
    let total = count(requests.total() as usize, "request", "requests");
    let each = match chain.requests_per_segment {
        Some(each) => format!(", {each} for each segment"),
        None => String::new(),
    };
    format!(
        "{total}{each} ({} listings, {} reads, {} versions and locks, {} settings, {} heads)",
        requests.list, requests.read, requests.versions, requests.settings, requests.head
    )
}

/// `1 chain`, `2 chains`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A name without the domain, which the headline says.
pub(crate) fn short<'a>(name: &'a str, report: &Report) -> &'a str {
    let rest = name.strip_prefix(&*report.domain);
    rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(name)
}

/// The end of a name that is too long: names differ there.
pub(crate) fn tail(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let rest: String = name.chars().skip(length - width + 1).collect();
    format!("…{rest}")
}

/// How long before the time of judgement, in its two largest units.
pub(crate) fn age(at_millis: i64, report: &Report) -> String {
    let seconds = report
        .judged_at_millis
        .saturating_sub(at_millis)
        .div_euclid(1000);
    match seconds {
        // A clock that is ahead, or a time of judgement in the past.
        ..0 => "later".to_owned(),
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Bytes, in a unit that leaves at most four characters.
pub(crate) fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.into_iter();
    let mut unit = units.next();
    while value >= 999.5
        && let Some(next) = units.next()
    {
        value /= 1024.0;
        unit = Some(next);
    }
    let digits = usize::from(value < 99.95);
    format!("{value:.digits$} {}", unit.unwrap_or_default())
}
