//! The HTML of a mail: tables and inline style, so that every client shows it;
//! no picture, no script, nothing loaded. The whole report is attached.

use countersign_core::time;
use maud::{DOCTYPE, Markup, html};

use crate::printable;
use crate::verify::summary::{
    MAX_CAUSES, age, cause_title, causes, count, expected_heads, pairs, reasons, sentence, short,
    state_word,
};
use crate::verify::{Report, Status, Verdict};

/// Mail clients cut a body off at some 100 KB: longer texts are shortened so that
/// the twenty causes that are shown stay far below.
const MAX_VALUE_CHARS: usize = 400;

/// Chains, pairs and reasons that are shown; a deployment with more has them in
/// the attachment.
const MAX_ROWS: usize = 60;

const FONT: &str =
    "font-family:Helvetica,Arial,sans-serif;font-size:14px;line-height:1.4;color:#1b1f24";
const CELL: &str =
    "padding:4px 12px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid #d8dee4";
const HEADING: &str = "font-size:16px;margin:24px 0 6px";
const CODE: &str = "font-family:Menlo,Consolas,monospace;font-size:12px";

/// `[countersign] FAILED audit.example.org: aws, 2 findings (2026-11-24 06:00Z)`
pub(super) fn subject(report: &Report) -> String {
    let failing = causes(report)
        .iter()
        .filter(|cause| cause.finding.fails)
        .count();
    let mut troubled = report
        .chains
        .iter()
        .filter(|chain| state_word(chain) != "ok")
        .map(|chain| short(&chain.origin, report));
    let named: Vec<_> = troubled.by_ref().take(3).collect();
    let more = troubled.count();
    let mut about = named.join(", ");
    if more > 0 {
        about.push_str(&format!(" and {more} more"));
    }
    let about = match report.result {
        Verdict::Verified => {
            let records: u64 = report.chains.iter().map(|chain| chain.records).sum();
            let chains = count(report.chains.len(), "chain", "chains");
            format!("{chains}, {records} records")
        }
        Verdict::Failed => format!("{about}, {}", count(failing, "cause", "causes")),
        Verdict::Incomplete => format!("{about}, not all could be read"),
    };
    let when = report.started_at.get(..16).unwrap_or(&report.started_at);
    format!(
        "[countersign] {} {}: {about} ({}Z)",
        report.result.word(),
        report.domain,
        when.replacen('T', " ", 1)
    )
}

/// The body about a verification.
pub(super) fn of_report(report: &Report, changes: &[String], left_out: &[String]) -> String {
    let colour = match report.result {
        Verdict::Verified => "#1a7f37",
        Verdict::Failed => "#b31d28",
        Verdict::Incomplete => "#8a5a00",
    };
    page(html! {
        p style=(format!("font-size:22px;font-weight:bold;margin:0 0 4px;color:{colour}")) {
            (mark(report.result)) " " (report.result.word())
        }
        p style="margin:0 0 12px" { (report.domain) ", " (report.started_at) ": " (report.result.meaning()) "." }
        @if !changes.is_empty() {
            ul style="margin:0 0 12px;padding-left:20px" {
                @for change in changes.iter().take(MAX_ROWS) { li { (cut(change)) } }
            }
        }
        @for note in left_out { p style="margin:0 0 12px" { (note) } }
        p style="margin:0 0 12px" { (sentence(report)) }
        (findings(report))
        (not_read(report))
        (chains(report))
        (anchors(report))
        h2 style=(HEADING) { "Policy enforced" }
        p style="margin:0" {
            "SHA-256 " span style=(CODE) { (report.policy.sha256) } br;
            "quorum: " (report.policy.quorum) br;
            "expected heads: from " (expected_heads(report)) br;
            "verifier: countersign " (env!("CARGO_PKG_VERSION"))
        }
        h2 style=(HEADING) { "To reproduce" }
        p style="margin:0" {
            span style=(CODE) { (report.reproduce) " --policy FILE" } br;
            "with the policy file whose SHA-256 stands above and read access to the stores; no keys are needed. "
            "The attached page and JSON hold every finding and every anchor."
        }
    })
}

/// The body about an alarm.
pub(super) fn of_alarm(domain: &str, what: &str, lines: &[String], next: &str) -> String {
    page(html! {
        p style="font-size:22px;font-weight:bold;margin:0 0 4px;color:#b31d28" { "✗ ALARM" }
        p style="margin:0 0 12px" { (domain) ": " (what) }
        ul style="margin:0 0 12px;padding-left:20px" {
            @for line in lines.iter().take(MAX_ROWS) { li { (cut(line)) } }
        }
        p style="margin:0" { (next) }
    })
}

fn page(body: Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="color-scheme" content="light";
            }
            body style="margin:0;padding:16px;background:#ffffff" {
                // Names of objects and addresses are longer than a line.
                div style=(format!("max-width:720px;overflow-wrap:anywhere;{FONT}")) { (body) }
            }
        }
    };
    let lines: Vec<String> = page.into_string().split('\n').map(printable).collect();
    lines.join("\n")
}

fn findings(report: &Report) -> Markup {
    let causes = causes(report);
    html! {
        @if !causes.is_empty() {
            h2 style=(HEADING) { "Findings" }
            @for cause in causes.iter().take(MAX_CAUSES) {
                @let finding = cause.finding;
                table role="presentation" cellspacing="0" width="100%" style="margin:0 0 12px;border-left:4px solid #d8dee4" {
                    tr { td style="padding:0 0 0 12px" {
                        b { @if finding.fails { "✗ fails: " } @else { "! note: " } (cause_title(cause)) } br;
                        span style="color:#57606a" {
                            (finding.code) ", " (finding.severity.name()) ", " (cause.check.name.name())
                            ", chain " (short(&cause.chain.origin, report))
                            @if let Some(index) = finding.index { ", index " (index) }
                        }
                        @for (name, value) in [
                            ("object", &finding.object),
                            ("expected", &finding.expected),
                            ("found", &finding.found),
                        ] {
                            @if let Some(value) = value { br; (name) ": " span style=(CODE) { (cut(value)) } }
                        }
                        br; b { "next: " } (cut(&finding.next))
                    } }
                }
            }
            @if causes.len() > MAX_CAUSES {
                p { (count(causes.len() - MAX_CAUSES, "more cause stands", "more causes stand")) " in the attachment." }
            }
        }
    }
}

fn not_read(report: &Report) -> Markup {
    let reasons = reasons(report, &[Status::Unknown]);
    html! {
        @if !reasons.is_empty() {
            h2 style=(HEADING) { "Could not be read" }
            ul style="margin:0;padding-left:20px" {
                @for reason in reasons.iter().take(MAX_ROWS) {
                    li {
                        b { (reason.checks_text()) }
                        @if let Some(chains) = &reason.chains {
                            @let names: Vec<&str> = chains.iter().map(|chain| short(chain, report)).collect();
                            " of " (cut(&names.join(", ")))
                        }
                        ": " (cut(reason.reason))
                    }
                }
            }
        }
    }
}

fn chains(report: &Report) -> Markup {
    let rows = report.chains.iter().take(MAX_ROWS).map(|chain| {
        [
            short(&chain.origin, report).to_owned(),
            chain.size.to_string(),
            chain.published.to_string(),
            chain.records.to_string(),
            chain.span.map_or_else(dash, |(_, last)| age(last, report)),
            state_word(chain).to_owned(),
        ]
    });
    let head = [
        "chain",
        "size",
        "published",
        "records read",
        "newest segment",
        "state",
    ];
    html! {
        h2 style=(HEADING) { "Chains" }
        (table(&head, rows))
    }
}

fn anchors(report: &Report) -> Markup {
    let pairs = pairs(report);
    let rows = pairs.iter().take(MAX_ROWS).map(|pair| {
        let newest = pair.newest;
        let at = newest.and_then(|anchor| time::parse(&anchor.time));
        let lag = newest.and_then(|anchor| anchor.lag_seconds);
        [
            short(&pair.chain.origin, report).to_owned(),
            short(pair.witness, report).to_owned(),
            pair.count(),
            newest.map_or_else(dash, |anchor| anchor.size.to_string()),
            at.map_or_else(dash, |at| age(at.unix_millis(), report)),
            lag.map_or_else(dash, |lag| format!("{lag} s")),
        ]
    });
    let head = ["chain", "witness", "anchors", "up to", "age", "lag"];
    html! {
        @if !pairs.is_empty() {
            h2 style=(HEADING) { "Who countersigned whom" }
            (table(&head, rows))
        }
    }
}

fn table<const N: usize>(head: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> Markup {
    html! {
        table cellspacing="0" style="border-collapse:collapse;overflow-wrap:normal" {
            tr { @for title in head { th style=(CELL) { (title) } } }
            @for row in rows {
                tr { @for cell in &row { td style=(CELL) { (cut(cell)) } } }
            }
        }
    }
}

/// Told apart in grey as well.
fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "✓",
        Verdict::Failed => "✗",
        Verdict::Incomplete => "?",
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn dash() -> String {
    "-".to_owned()
}
