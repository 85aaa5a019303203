//! The report for people: 80 columns, the verdict first and last.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::checks::Check;
use super::posture::millis;
use super::report::{
    AnchorReport, ChainReport, CheckReport, Finding, Report, Severity, Status, Verdict,
};
use crate::terminal::printable;

const WIDTH: usize = 80;
/// Rows of findings; the rest are counted.
const MAX_ROWS: usize = 20;

pub(super) fn render(report: &Report, colour: bool) -> String {
    let mut text = Text {
        out: String::new(),
        colour,
    };
    text.verdict(report, true);
    text.line("");
    text.paragraph("", &sentence(report));
    text.policy(report);
    text.chains(report);
    text.findings(report);
    text.open_checks(report);
    text.anchors(report);
    text.reproduce(report);
    text.line("");
    text.verdict(report, false);
    text.out
}

struct Text {
    out: String,
    colour: bool,
}

impl Text {
    fn verdict(&mut self, report: &Report, headline: bool) {
        let (word, colour) = match report.result {
            Verdict::Verified => ("VERIFIED", GREEN),
            Verdict::Failed => ("FAILED", RED),
            Verdict::Incomplete => ("INCOMPLETE", YELLOW),
        };
        let word = self.paint(word, colour);
        let rest = match (headline, report.result) {
            (true, _) => format!("{}  {}", report.domain, report.started_at),
            (false, Verdict::Verified) => "all that was checked holds".to_owned(),
            (false, Verdict::Failed) => {
                "the evidence contradicts; see the findings above".to_owned()
            }
            (false, Verdict::Incomplete) => {
                "something needed could not be read; nothing read contradicts".to_owned()
            }
        };
        self.line(&format!("{word}  {rest}"));
    }

    fn policy(&mut self, report: &Report) {
        self.heading("Policy enforced");
        self.line(&format!("  sha256  {}", report.policy.sha256));
        self.line(&format!("  quorum  {}", report.policy.quorum));
        for chain in &report.chains {
            self.paragraph("  log     ", &chain.vkey);
        }
    }

    fn chains(&mut self, report: &Report) {
        self.heading("Chains");
        let mut rows = vec![
            [
                "chain",
                "size",
                "published",
                "segments",
                "records",
                "bytes",
                "twice",
                "state",
            ]
            .map(str::to_owned),
        ];
        for chain in &report.chains {
            rows.push([
                tail(short(&chain.origin, report), 22),
                chain.size.to_string(),
                chain.published.to_string(),
                chain.segments.to_string(),
                chain.records.to_string(),
                size_text(chain.bytes),
                chain.duplicates.to_string(),
                state(chain).to_owned(),
            ]);
        }
        self.table(&rows, &[0, 7]);
        for chain in report.chains.iter().filter(|chain| chain.expired > 0) {
            let text = format!("{} segments of {} expired", chain.expired, chain.origin);
            self.paragraph("  ", &text);
        }
    }

    fn findings(&mut self, report: &Report) {
        let rows = causes(report);
        if rows.is_empty() {
            return;
        }
        self.heading("Findings");
        for row in rows.iter().take(MAX_ROWS) {
            let Finding {
                code, title, next, ..
            } = row.finding;
            let severity = severity(row.finding.severity);
            let colour = if row.failed { RED } else { YELLOW };
            let painted = self.paint(code, colour);
            self.line(&format!(
                "  {painted}  {severity}  {}  {}",
                row.check.name.name(),
                tail(short(&row.chain.origin, report), 30)
            ));
            let times = match row.count {
                1 => String::new(),
                count => format!(" ({count} times; the first is shown)"),
            };
            self.paragraph("    ", &format!("{title}{times}"));
            if let Some(index) = row.finding.index {
                self.paragraph("    index     ", &index.to_string());
            }
            for (name, value) in [
                ("    object    ", &row.finding.object),
                ("    expected  ", &row.finding.expected),
                ("    found     ", &row.finding.found),
            ] {
                if let Some(value) = value {
                    self.paragraph(name, value);
                }
            }
            self.paragraph("    next      ", next);
        }
        if rows.len() > MAX_ROWS {
            let rest = rows.len() - MAX_ROWS;
            self.line(&format!("  {rest} more causes stand in the JSON report."));
        }
    }

    /// Checks that are unknown, and why; then those that were skipped.
    fn open_checks(&mut self, report: &Report) {
        for (status, heading) in [
            (Status::Unknown, "Not read"),
            (Status::Skip, "Does not apply"),
        ] {
            // Reason, then the checks and chains that it holds for.
            let mut reasons: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
            for chain in &report.chains {
                let open = chain.checks.iter().filter(|check| check.status == status);
                for check in open {
                    let reason = check.reason.as_deref().unwrap_or("no reason is known");
                    let (checks, chains) = reasons.entry(reason).or_default();
                    if !checks.contains(&check.name.name()) {
                        checks.push(check.name.name());
                    }
                    if !chains.contains(&&*chain.origin) {
                        chains.push(&chain.origin);
                    }
                }
            }
            if reasons.is_empty() {
                continue;
            }
            self.heading(heading);
            for (reason, (checks, chains)) in reasons {
                let of = match chains.len() {
                    all if all == report.chains.len() => String::new(),
                    _ => format!(" of {}", chains.join(", ")),
                };
                self.paragraph("  ", &format!("{}{of}: {reason}", checks.join(", ")));
            }
        }
    }

    fn anchors(&mut self, report: &Report) {
        let witnesses = report
            .chains
            .iter()
            .any(|chain| !chain.witnesses.is_empty());
        if !witnesses && report.anchors.is_empty() {
            return;
        }
        self.heading("Anchors");
        let titles = [
            "chain",
            "witness",
            "anchors",
            "newest size",
            "newest",
            "lag",
        ];
        let mut rows = vec![titles.map(str::to_owned)];
        for chain in &report.chains {
            let of_chain = || report.anchors.iter().filter(|a| a.origin == chain.origin);
            let mut names: Vec<&str> = chain.witnesses.iter().map(String::as_str).collect();
            for anchor in of_chain() {
                if !names.contains(&&*anchor.witness) {
                    names.push(&anchor.witness);
                }
            }
            for name in names {
                let all: Vec<&AnchorReport> =
                    of_chain().filter(|anchor| anchor.witness == name).collect();
                let holds = all.iter().filter(|anchor| anchor.status == Status::Pass);
                let newest = holds
                    .clone()
                    .max_by_key(|anchor| (&anchor.time, anchor.size));
                let count = match holds.count() {
                    good if good == all.len() => good.to_string(),
                    good => format!("{good} of {}", all.len()),
                };
                let lag = newest.and_then(|anchor| anchor.lag_seconds);
                rows.push([
                    tail(short(&chain.origin, report), 18),
                    tail(short(name, report), 18),
                    count,
                    newest.map_or_else(dash, |anchor| anchor.size.to_string()),
                    newest.map_or_else(dash, |anchor| short_time(&anchor.time)),
                    lag.map_or_else(dash, |lag| format!("{lag} s")),
                ]);
            }
        }
        self.table(&rows, &[0, 1]);
    }

    fn reproduce(&mut self, report: &Report) {
        self.heading("To reproduce");
        self.line(&format!("  {}", report.reproduce));
        self.paragraph(
            "  ",
            &format!(
                "with --policy set to the policy file with the SHA-256 above; no keys are needed. countersign {}",
                env!("CARGO_PKG_VERSION")
            ),
        );
    }

    fn heading(&mut self, text: &str) {
        let painted = self.paint(text, BOLD);
        self.line("");
        self.line(&painted);
    }

    /// Columns in `left` to the left, the others to the right.
    fn table<const N: usize>(&mut self, rows: &[[String; N]], left: &[usize]) {
        let mut widths = [0; N];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows {
            let mut line = String::from(" ");
            for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
                // Writing to a string cannot fail.
                let _ = match left.contains(&at) {
                    true => write!(line, " {cell:<width$}"),
                    false => write!(line, " {cell:>width$}"),
                };
            }
            self.line(line.trim_end());
        }
    }

    /// Breaks text at spaces; what has none goes on on the next line.
    fn paragraph(&mut self, indent: &str, text: &str) {
        let room = WIDTH - indent.len();
        let mut start = indent.to_owned();
        let mut line = String::new();
        for word in printable(text).split(' ') {
            let mut word = word;
            loop {
                let used = line.chars().count();
                let space = usize::from(used > 0);
                if used + space + word.chars().count() <= room {
                    if space == 1 {
                        line.push(' ');
                    }
                    line.push_str(word);
                    break;
                }
                if used == 0 {
                    let (cut, _) = word.char_indices().nth(room).unwrap_or((word.len(), ' '));
                    line.push_str(&word[..cut]);
                    word = &word[cut..];
                }
                self.line(&format!("{start}{line}"));
                line.clear();
                start = " ".repeat(indent.len());
            }
        }
        self.line(&format!("{start}{line}"));
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn paint(&self, text: &str, style: &str) -> String {
        match self.colour {
            true => format!("{style}{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[1;32m";
const YELLOW: &str = "\x1b[1;33m";

/// What an auditor quotes.
fn sentence(report: &Report) -> String {
    let records: u64 = report.chains.iter().map(|chain| chain.records).sum();
    let firsts = report.chains.iter().filter_map(|chain| chain.span);
    let span = firsts.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let between = match span {
        Some((from, to)) => format!("Between {} and {}, ", millis(from), millis(to)),
        None => String::new(),
    };
    let chains = match report.chains.len() {
        1 => "1 chain".to_owned(),
        count => format!("{count} chains"),
    };
    let of = |check| move |chain: &&ChainReport| chain.check(check).map(|check| check.status);
    let alone = |chain: &&ChainReport| of(Check::AnchorQuorum)(chain) == Some(Status::Skip);
    // A chain that its anchors contradict has no cosigned head to speak of.
    let cosigned = |chain: &&ChainReport| {
        of(Check::AnchorQuorum)(chain) == Some(Status::Pass)
            && of(Check::AnchorsConsistent)(chain) != Some(Status::Fail)
    };
    let count = report.chains.iter().filter(cosigned).count();
    let independent = if report.chains.iter().all(|chain| alone(&chain)) {
        "no independent witness exists".to_owned()
    } else if count == report.chains.len() {
        format!(
            "every head older than the grace is cosigned by clouds other than its own, as the quorum asks: {}",
            report.policy.quorum
        )
    } else {
        format!(
            "{count} of {} chains have heads cosigned by clouds other than their own, as the quorum asks: {}",
            report.chains.len(),
            report.policy.quorum
        )
    };
    format!(
        "{between}{records} records in {chains} were read and hashed again in this run; {independent}. The expected heads were taken from the head stores and the anchors."
    )
}

/// Findings of one chain and code.
struct Cause<'a> {
    chain: &'a ChainReport,
    check: &'a CheckReport,
    finding: &'a Finding,
    failed: bool,
    count: usize,
}

/// One row per cause, those that fail and those that matter most first.
fn causes(report: &Report) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    for chain in &report.chains {
        for check in &chain.checks {
            let first = causes.len();
            for finding in &check.findings {
                let known = causes[first..]
                    .iter_mut()
                    .find(|cause| cause.finding.code == finding.code);
                match known {
                    Some(cause) => cause.count += 1,
                    None => causes.push(Cause {
                        chain,
                        check,
                        finding,
                        failed: check.status == Status::Fail,
                        count: 1,
                    }),
                }
            }
        }
    }
    causes.sort_by_key(|cause| (!cause.failed, cause.finding.severity));
    causes
}

fn state(chain: &ChainReport) -> &'static str {
    let has = |status| chain.checks.iter().any(|check| check.status == status);
    match (has(Status::Fail), has(Status::Unknown)) {
        (true, _) => "FAILED",
        (false, true) => "incomplete",
        (false, false) => "ok",
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Info => "info",
    }
}

fn dash() -> String {
    "-".to_owned()
}

/// A name without the domain, which the headline says.
fn short<'a>(name: &'a str, report: &Report) -> &'a str {
    let rest = name.strip_prefix(&*report.domain);
    rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(name)
}

/// The end of a name that is too long: names differ there.
fn tail(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let rest: String = name.chars().skip(length - width + 1).collect();
    format!("…{rest}")
}

/// To the minute.
fn short_time(time: &str) -> String {
    match time.get(..16) {
        Some(minute) => format!("{minute}Z"),
        None => time.to_owned(),
    }
}

fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 10_240 && unit + 1 < UNITS.len() {
        value /= 1024;
        unit += 1;
    }
    format!("{value} {}", UNITS[unit])
}
