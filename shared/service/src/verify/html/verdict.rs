//! The head of the page: verdict, sentence, figures.

use countersign_core::time;
use maud::{Markup, html};

use super::{moment, number};
use crate::verify::report::{ChainReport, Report, Status, Verdict};
use crate::verify::summary::{count, sentence, short, size_text};

pub(super) fn verdict(report: &Report) -> Markup {
    let class = match report.result {
        Verdict::Verified => "pass",
        Verdict::Failed => "fail",
        Verdict::Incomplete => "unknown",
    };
    let sum = |of: fn(&ChainReport) -> u64| report.chains.iter().map(of).sum::<u64>();
    let holds = report.anchors.iter().filter(|a| a.status == Status::Pass);
    let anchors = match holds.count() {
        good if good == report.anchors.len() => number(good as u64),
        good => format!("{good} of {}", report.anchors.len()),
    };
    let facts = [
        ("chains", number(report.chains.len() as u64)),
        ("records read", number(sum(|chain| chain.records))),
        ("segments read", number(sum(|chain| chain.segments))),
        ("uncompressed", size_text(sum(|chain| chain.bytes))),
        ("anchors hold", anchors),
    ];
    html! {
        header class={ "verdict " (class) } {
            (seal(report.result))
            div {
                p.subject { (report.domain) }
                h1 { (report.result.word()) }
                p.meaning { (outcome(report)) }
            }
        }
        p.sentence { (sentence(report)) }
        dl.facts {
            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
        }
        p.when {
            "Begun " (moment(&report.started_at)) ", ended " (moment(&report.finished_at)) "."
            @if let Ok(at) = u64::try_from(report.judged_at_millis)
                && time::from_unix_millis(at) != report.started_at {
                " Ages are taken from " (moment(&time::from_unix_millis(at))) "."
            }
        }
    }
}

/// What the verdict means, and where.
fn outcome(report: &Report) -> String {
    let of = |chain: &ChainReport, status| {
        let checks = chain.checks.iter().filter(|check| check.status == status);
        let name = short(&chain.origin, report).to_owned();
        let count = checks.count();
        (count > 0).then(|| format!("{name} ({})", self::count(count, "check", "checks")))
    };
    let list = |status| {
        let chains: Vec<String> = report.chains.iter().filter_map(|c| of(c, status)).collect();
        chains.join(", ")
    };
    match report.result {
        Verdict::Verified => "All that was checked holds.".to_owned(),
        Verdict::Failed => format!("The evidence contradicts: {}.", list(Status::Fail)),
        Verdict::Incomplete => format!(
            "Something needed could not be read, and nothing read contradicts: {}.",
            list(Status::Unknown)
        ),
    }
}

/// The verdict as a shape: each has its own.
fn seal(verdict: Verdict) -> Markup {
    let (outline, sign) = match verdict {
        Verdict::Verified => (
            "M24 3a21 21 0 1 1 0 42a21 21 0 1 1 0-42z",
            "M14 25l7 7l13-15",
        ),
        Verdict::Failed => (
            "M15.5 3h17L45 15.5v17L32.5 45h-17L3 32.5v-17z",
            "M16 16l16 16M32 16L16 32",
        ),
        Verdict::Incomplete => ("M24 4L46 43H2z", "M24 18v12M24 35v2.5"),
    };
    html! {
        svg.seal viewBox="0 0 48 48" width="56" height="56" aria-hidden="true" {
            path.outline d=(outline) {}
            path.sign d=(sign) {}
        }
    }
}
