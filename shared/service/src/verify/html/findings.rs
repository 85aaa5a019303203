//! What was found, what could not be read, and what was checked.

use maud::{Markup, html};

use super::number;
use super::table::{Cell, table};
use crate::verify::checks::Check;
use crate::verify::report::{CheckReport, Report, Status};
use crate::verify::summary::{
    Cause, MAX_CAUSES, Reason, cause_title, causes, count, reasons, short,
};

pub(super) fn findings(report: &Report) -> Markup {
    let causes = causes(report);
    let failing = causes.iter().filter(|cause| cause.finding.fails).count();
    let notes = causes.len() - failing;
    html! {
        section aria-labelledby="findings" {
            h2 #findings { "Findings" }
            p.lead {
                @match (failing, notes) {
                    (0, 0) => "None.",
                    (0, notes) => { "Nothing that fails; " (count(notes, "note", "notes")) "." }
                    (failing, 0) => { (count(failing, "cause", "causes")) " of failure." }
                    (failing, notes) => {
                        (count(failing, "cause", "causes")) " of failure, "
                        (count(notes, "note", "notes")) "."
                    }
                }
            }
            @for cause in causes.iter().take(MAX_CAUSES) { (finding(cause, report)) }
            @if causes.len() > MAX_CAUSES {
                p.note {
                    (count(causes.len() - MAX_CAUSES, "more cause stands", "more causes stand"))
                    " in the JSON report."
                }
            }
        }
    }
}

fn finding(cause: &Cause<'_>, report: &Report) -> Markup {
    let finding = cause.finding;
    let (class, word) = match finding.fails {
        true => ("fail", "✗ fails"),
        false => ("remark", "! note"),
    };
    let details = [
        ("object", &finding.object),
        ("expected", &finding.expected),
        ("found", &finding.found),
    ];
    html! {
        article class={ "finding " (class) } {
            h3 { (cause_title(cause)) }
            p.tags {
                b.word { (word) }
                span { (finding.severity.name()) }
                span { (finding.code) }
                span { (cause.check.name.name()) }
                span { "chain " (short(&cause.chain.origin, report)) }
            }
            dl.rows {
                @if let Some(index) = finding.index {
                    div { dt { "index" } dd { (number(index)) } }
                }
                @for (name, value) in details {
                    @if let Some(value) = value { div { dt { (name) } dd { code { (value) } } } }
                }
                div.next { dt { "next" } dd { (finding.next) } }
            }
        }
    }
}

pub(super) fn not_read(report: &Report) -> Markup {
    let reasons = reasons(report, &[Status::Unknown]);
    html! {
        @if !reasons.is_empty() {
            section aria-labelledby="not-read" {
                h2 #not-read { "Could not be read" }
                (reason_list(&reasons, report))
            }
        }
    }
}

fn reason_list(reasons: &[Reason<'_>], report: &Report) -> Markup {
    html! {
        ul.reasons {
            @for reason in reasons {
                li {
                    b { (reason.checks_text()) }
                    @if let Some(chains) = &reason.chains {
                        @let names: Vec<&str> = chains.iter().map(|c| short(c, report)).collect();
                        " of " (names.join(", "))
                    }
                    ": " (reason.reason)
                }
            }
        }
    }
}

pub(super) fn checks(report: &Report) -> Markup {
    let mut head = vec![Cell::text("check")];
    head.extend(
        report
            .chains
            .iter()
            .map(|chain| Cell::text(short(&chain.origin, report))),
    );
    let row = |check: Check| {
        let mut row = vec![Cell::text(check.name())];
        row.extend(report.chains.iter().map(|chain| match chain.check(check) {
            Some(check) => outcome_of(check),
            None => Cell::text("-"),
        }));
        row
    };
    let rows: Vec<Vec<Cell>> = Check::ALL.into_iter().map(row).collect();
    let lists = [
        ("Remarks", reasons(report, &[Status::Fail, Status::Pass])),
        ("Does not apply", reasons(report, &[Status::Skip])),
    ];
    html! {
        section aria-labelledby="checks" {
            h2 #checks { "What was checked" }
            (table("checks", &head, &rows))
            p.note {
                "Numbers: how many things a check looked at, or, where it fails, how many failed."
            }
            @for (heading, reasons) in &lists {
                @if !reasons.is_empty() {
                    h3 { (heading) }
                    (reason_list(reasons, report))
                }
            }
        }
    }
}

fn outcome_of(check: &CheckReport) -> Cell {
    let number = match check.status {
        Status::Pass if check.checked > 0 => format!(" {}", number(check.checked)),
        Status::Fail => format!(" {}", number(check.failed)),
        _ => String::new(),
    };
    let word = match check.status {
        Status::Pass => "pass",
        Status::Fail => "FAIL",
        Status::Skip => "skip",
        Status::Unknown => "unknown",
    };
    Cell::status(check.status, &format!("{word}{number}"))
}
