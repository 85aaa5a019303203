//! The report for people: 80 columns, the verdict first and last.

use std::fmt::Write;

use countersign_core::time;

use super::report::{Finding, Report, Status, Verdict};
use super::summary::{
    MAX_CAUSES, age, cause_title, causes, count, expected_heads, pairs, reasons, requests_text,
    sentence, short, size_text, state_word, tail,
};
use crate::printable::{printable, wrapped};

const WIDTH: usize = 80;
/// Names in tables are not cut further than this.
const MIN_NAME: usize = 6;

pub(super) fn render(report: &Report, colour: bool) -> String {
    let mut text = Text {
        out: String::new(),
        colour,
    };
    text.verdict(report, true);
    text.line("");
    text.paragraph("", &sentence(report));
    text.policy(report);
    // What decides comes first.
    if report.result == Verdict::Incomplete {
        text.reasons(report, &[Status::Unknown], "Not read");
    }
    text.chains(report);
    text.findings(report);
    if report.result != Verdict::Incomplete {
        text.reasons(report, &[Status::Unknown], "Not read");
    }
    text.reasons(report, &[Status::Fail, Status::Pass], "Remarks");
    text.reasons(report, &[Status::Skip], "Does not apply");
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
        let colour = match report.result {
            Verdict::Verified => GREEN,
            Verdict::Failed => RED,
            Verdict::Incomplete => YELLOW,
        };
        let word = self.paint(report.result.word(), colour);
        match headline {
            true => self.line(&format!("{word}  {}  {}", report.domain, report.started_at)),
            false => self.line(&format!("{word}  {}", report.result.meaning())),
        }
    }

    fn policy(&mut self, report: &Report) {
        self.heading("Policy enforced");
        self.line(&format!("  sha256   {}", report.policy.sha256));
        self.paragraph("  quorum   ", &report.policy.quorum);
        self.paragraph("  heads    ", &format!("from {}", expected_heads(report)));
        self.line(&format!(
            "  verifier countersign {}",
            env!("CARGO_PKG_VERSION")
        ));
        self.line("");
        self.line("  The keys it pins, with the SHA-256 of each (`printf %s VKEY | sha256sum`):");
        for key in &report.policy.keys {
            self.paragraph(&format!("  {:<8} ", key.role), &key.name);
            self.line(&format!("           {}", key.sha256));
        }
    }

    fn chains(&mut self, report: &Report) {
        self.heading("Chains");
        let titles = [
            "chain",
            "size",
            "published",
            "segments",
            "records",
            "bytes",
            "age",
            "state",
        ];
        let mut rows = vec![titles.map(str::to_owned)];
        for chain in &report.chains {
            rows.push([
                short(&chain.origin, report).to_owned(),
                chain.size.to_string(),
                chain.published.to_string(),
                chain.segments.to_string(),
                chain.records.to_string(),
                size_text(chain.bytes),
                chain.span.map_or_else(dash, |(_, last)| age(last, report)),
                state_word(chain).to_owned(),
            ]);
        }
        self.table(&rows, &[0, 7]);
        for chain in &report.chains {
            let text = format!("{}: {}", short(&chain.origin, report), requests_text(chain));
            self.paragraph("  ", &text);
        }
        for chain in report.chains.iter().filter(|chain| chain.duplicates > 0) {
            let text = format!(
                "{} parts of deliveries were sealed again in {}",
                chain.duplicates, chain.origin
            );
            self.paragraph("  ", &text);
        }
    }

    fn findings(&mut self, report: &Report) {
        let rows = causes(report);
        if rows.is_empty() {
            return;
        }
        self.heading("Findings");
        for row in rows.iter().take(MAX_CAUSES) {
            let Finding { code, next, .. } = row.finding;
            let (word, colour) = match row.finding.fails {
                true => ("FAILS", RED),
                false => ("note ", YELLOW),
            };
            let painted = self.paint(word, colour);
            let check = row.check.name.name();
            let rest = format!("{code:<7}  {:<8}  {check}", row.finding.severity.name());
            let room = WIDTH.saturating_sub(rest.len() + 11);
            let name = tail(short(&row.chain.origin, report), room);
            self.line(&format!("  {painted}  {rest}  {name}"));
            self.paragraph("    ", &cause_title(row));
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
        if let Some(rest) = rows.len().checked_sub(MAX_CAUSES).filter(|rest| *rest > 0) {
            let rest = count(rest, "more cause stands", "more causes stand");
            self.line(&format!("  {rest} in the JSON report."));
        }
    }

    fn reasons(&mut self, report: &Report, of: &[Status], heading: &str) {
        let reasons = reasons(report, of);
        if reasons.is_empty() {
            return;
        }
        self.heading(heading);
        for reason in reasons {
            let of = match &reason.chains {
                None => String::new(),
                Some(chains) => format!(" of {}", chains.join(", ")),
            };
            let text = format!("{}{of}: {}", reason.checks_text(), reason.reason);
            self.paragraph("  ", &text);
        }
    }

    fn anchors(&mut self, report: &Report) {
        let pairs = pairs(report);
        if pairs.is_empty() {
            return;
        }
        self.heading("Anchors");
        let titles = [
            "chain", "witness", "anchors", "up to", "newest", "age", "lag",
        ];
        let mut rows = vec![titles.map(str::to_owned)];
        for pair in pairs {
            let newest = pair.newest;
            let at = newest.and_then(|anchor| time::parse(&anchor.time));
            let lag = newest.and_then(|anchor| anchor.lag_seconds);
            rows.push([
                short(&pair.chain.origin, report).to_owned(),
                short(pair.witness, report).to_owned(),
                pair.count(),
                newest.map_or_else(dash, |anchor| anchor.size.to_string()),
                newest.map_or_else(dash, |anchor| short_time(&anchor.time)),
                at.map_or_else(dash, |at| age(at.unix_millis(), report)),
                lag.map_or_else(dash, |lag| format!("{lag} s")),
            ]);
        }
        self.table(&rows, &[0, 1]);
    }

    fn reproduce(&mut self, report: &Report) {
        self.heading("To reproduce");
        let mut line = String::from(" ");
        for (nth, part) in report.reproduce.split(" --").enumerate() {
            let option = if nth == 0 { "" } else { "--" };
            if line.len() + part.len() + 5 > WIDTH {
                self.line(&format!("{line} \\"));
                line = String::from("   ");
            }
            line.push_str(&format!(" {option}{part}"));
        }
        self.line(&line);
        self.paragraph(
            "  ",
            "with --policy set to the policy file with the SHA-256 above; no keys are needed",
        );
    }

    fn heading(&mut self, text: &str) {
        let painted = self.paint(text, BOLD);
        self.line("");
        self.line(&painted);
    }

    /// Columns in `left` to the left, the others to the right. Where a line would
    /// be too long, the first two columns give way if they are names.
    fn table<const N: usize>(&mut self, rows: &[[String; N]], left: &[usize]) {
        let mut widths = [0; N];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let needed = widths.iter().sum::<usize>() + N + 1;
        let gap = if needed + N <= WIDTH + 1 { "  " } else { " " };
        let names = left.iter().filter(|at| **at < 2).count();
        let mut excess = needed.saturating_sub(WIDTH);
        while excess > 0
            && let Some(widest) = widths[..names].iter_mut().max()
            && *widest > MIN_NAME
        {
            *widest -= 1;
            excess -= 1;
        }
        for row in rows {
            let mut line = String::from("  ");
            for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
                let cell = printable(&tail(cell, width));
                if at > 0 {
                    line.push_str(gap);
                }
                // Writing to a string cannot fail.
                let _ = match left.contains(&at) {
                    true => write!(line, "{cell:<width$}"),
                    false => write!(line, "{cell:>width$}"),
                };
            }
            self.line(line.trim_end());
        }
    }

    fn paragraph(&mut self, indent: &str, text: &str) {
        let mut start = indent.to_owned();
        for line in wrapped(text, WIDTH - indent.len()) {
            self.line(&format!("{start}{line}"));
            start = " ".repeat(indent.len());
        }
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

fn dash() -> String {
    "-".to_owned()
}

/// To the minute.
fn short_time(time: &str) -> String {
    match time.get(..16) {
        Some(minute) => format!("{minute}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Options;
    use crate::verify::report::Severity;
    use crate::verify::tests::world;

    #[tokio::test]
    async fn every_line_fits_whatever_the_report_holds() {
        let mut report = world(1).await.verified(&Options::default()).await;
        let long = "a/very/long/name/of/an/object/".repeat(20);
        for (nth, chain) in report.chains.iter_mut().enumerate() {
            chain.origin = format!("{}/{long}{nth}", report.domain);
            (chain.size, chain.published) = (9_999_999_999, 9_999_999_999);
            (chain.segments, chain.records) = (99_999_999, 9_999_999_999);
            (chain.bytes, chain.duplicates) = (u64::MAX, 99_999);
            chain.span = Some((0, report.judged_at_millis - 99 * 86_400_000 - 80_000_000));
            chain.witnesses.push(format!("{long}/witness"));
            let check = &mut chain.checks[5];
            check.status = Status::Unknown;
            check.reason = Some(long.clone());
            check.findings.push(Finding {
                code: "CS-1001",
                severity: Severity::Critical,
                index: Some(u64::MAX),
                object: Some(long.clone()),
                expected: Some(long.clone()),
                found: Some("\u{1b}[2J words between".repeat(9)),
                next: "look".into(),
                title: "something that is told in some words, more than fit on one line of text",
                fails: true,
            });
        }
        for anchor in &mut report.anchors {
            anchor.origin.clone_from(&report.chains[0].origin);
            (anchor.size, anchor.lag_seconds) = (9_999_999_999, Some(99_999));
        }
        let root = report.chains[0].root.unwrap();
        report.reproduce += &format!(" --since 9999999999:{root}");
        for result in [Verdict::Verified, Verdict::Failed, Verdict::Incomplete] {
            report.result = result;
            let text = render(&report, false);
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
            assert!(!text.contains('\u{1b}'));
            // The command can be copied as it is.
            assert!(
                text.replace(" \\\n   ", "").contains(&report.reproduce),
                "{text}"
            );
            let word = result.word();
            assert!(text.starts_with(word) && text.lines().last().unwrap().starts_with(word));
        }
    }
}
