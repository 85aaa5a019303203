//! The report for browsers: one file with its style and pictures in it. Every
//! text is escaped by the templates, and what no text may hold is replaced in the
//! page as a whole.

mod picture;
mod table;

use countersign_core::time;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::table::{Cell, table};
use super::checks::Check;
use super::report::{AnchorReport, ChainReport, Report, Status, Verdict};
use super::summary::{
    Cause, MAX_CAUSES, Pair, age, cause_title, causes, count, expected_heads, open_checks, pairs,
    sentence, short, size_text, state, state_word,
};
use crate::printable;

const STYLE: &str = include_str!("style.css");

/// Nothing is loaded and nothing runs, whatever a text in it may say.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(super) fn render(report: &Report) -> String {
    let word = report.result.word();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(CONTENT_POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (word) ": " (report.domain) ", " (day_and_time(&report.started_at)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (verdict(report))
                    (policy(report))
                    // What decides comes first.
                    @if report.result == Verdict::Incomplete { (not_read(report)) }
                    (findings(report))
                    @if report.result != Verdict::Incomplete { (not_read(report)) }
                    (chains(report))
                    (anchors(report))
                    (pictures(report))
                    (checks(report))
                    (reproduce(report))
                }
                footer {
                    p { b { (word) } ": " (report.result.meaning()) "." }
                    p { "countersign " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    };
    let lines: Vec<String> = page.into_string().split('\n').map(printable).collect();
    lines.join("\n")
}

fn verdict(report: &Report) -> Markup {
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

fn policy(report: &Report) -> Markup {
    let head = ["key", "signs as", "cloud", "SHA-256"].map(Cell::text);
    let rows = report.policy.keys.iter().map(|key| {
        let cloud = key
            .cloud
            .map_or("outside all clouds", |cloud| cloud.as_str());
        vec![
            Cell::text(&key.name).code(),
            Cell::text(key.role),
            Cell::text(cloud),
            Cell::text(&key.sha256).code(),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    html! {
        section aria-labelledby="policy" {
            h2 #policy { "Policy enforced" }
            dl.rows {
                div { dt { "policy file" } dd { "SHA-256 " code { (report.policy.sha256) } } }
                div { dt { "quorum" } dd { (report.policy.quorum) } }
                div { dt { "expected heads" } dd { "from " (expected_heads(report)) } }
                div { dt { "verifier" } dd { "countersign " (env!("CARGO_PKG_VERSION")) } }
            }
            (table("policy", &head, &rows))
            p.note {
                "The fingerprint of a key is the SHA-256 of its text in the policy: "
                code { "printf %s VKEY | sha256sum" } "."
            }
        }
    }
}

fn findings(report: &Report) -> Markup {
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

fn not_read(report: &Report) -> Markup {
    let open = open_checks(report, Status::Unknown);
    html! {
        @if !open.is_empty() {
            section aria-labelledby="not-read" {
                h2 #not-read { "Could not be read" }
                (open_list(&open, report))
            }
        }
    }
}

fn open_list(open: &[super::summary::Open<'_>], report: &Report) -> Markup {
    html! {
        ul.open {
            @for open in open {
                li {
                    b { (open.checks_text()) }
                    @if let Some(chains) = &open.chains {
                        @let names: Vec<&str> = chains.iter().map(|c| short(c, report)).collect();
                        " of " (names.join(", "))
                    }
                    ": " (open.reason)
                }
            }
        }
    }
}

fn chains(report: &Report) -> Markup {
    let head = [
        Cell::text("chain"),
        Cell::text("state"),
        Cell::text("size").number(),
        Cell::text("published").number(),
        Cell::text("records").number(),
        Cell::text("segments").number(),
        Cell::text("bytes").number(),
        Cell::text("sealed twice").number(),
        Cell::text("newest segment").number(),
    ];
    let rows: Vec<Vec<Cell>> = report
        .chains
        .iter()
        .map(|chain| {
            let newest = chain.span.map_or_else(dash, |(_, last)| ago(last, report));
            vec![
                Cell::text(short(&chain.origin, report)),
                Cell::status(state(chain), state_word(chain)),
                Cell::text(&number(chain.size)).number(),
                Cell::text(&number(chain.published)).number(),
                Cell::text(&number(chain.records)).number(),
                Cell::text(&number(chain.segments)).number(),
                Cell::text(&size_text(chain.bytes)).number(),
                Cell::text(&number(chain.duplicates)).number(),
                Cell::text(&newest).number(),
            ]
        })
        .collect();
    html! {
        section aria-labelledby="chains" {
            h2 #chains { "Chains" }
            (table("chains", &head, &rows))
            p.note {
                "Size counts leaves: the records, and a header for each segment. Published: the \
                 size of the newest checkpoint."
                @for chain in report.chains.iter().filter(|chain| chain.expired > 0) {
                    " " (number(chain.expired)) " segments of " (short(&chain.origin, report))
                    " expired."
                }
            }
        }
    }
}

/// Who countersigned whom: a row for each chain, a column for each witness.
fn anchors(report: &Report) -> Markup {
    let pairs = pairs(report);
    let mut witnesses: Vec<&str> = Vec::new();
    for key in report
        .policy
        .keys
        .iter()
        .filter(|key| key.role == "witness")
    {
        witnesses.push(&key.name);
    }
    for pair in &pairs {
        if !witnesses.contains(&pair.witness) {
            witnesses.push(pair.witness);
        }
    }
    let mut head = vec![Cell::text("chain")];
    head.extend(witnesses.iter().map(|name| Cell::text(short(name, report))));
    let mut left = pairs.iter().peekable();
    let mut rows = Vec::new();
    for chain in &report.chains {
        let mut of_chain = Vec::new();
        while let Some(pair) = left.next_if(|pair| pair.chain.origin == chain.origin) {
            of_chain.push(pair);
        }
        let mut row = vec![Cell::text(short(&chain.origin, report))];
        row.extend(witnesses.iter().map(|witness| {
            match of_chain.iter().find(|pair| pair.witness == *witness) {
                Some(pair) => countersigned(pair, report),
                None => own_or_none(chain, witness, report),
            }
        }));
        rows.push(row);
    }
    html! {
        section aria-labelledby="anchors" {
            h2 #anchors { "Who countersigned whom" }
            @if witnesses.is_empty() {
                p { "No independent witness exists: a cloud does not witness its own chains." }
            } @else {
                (table("anchors", &head, &rows))
                p.note {
                    "Each cell: the largest size of the newest anchor that holds, its age, how \
                     many anchors there are, and how long after the sealing the newest was made."
                }
            }
        }
    }
}

fn countersigned(pair: &Pair<'_>, report: &Report) -> Cell {
    let anchors = match pair.anchors {
        1 => "anchor",
        _ => "anchors",
    };
    let Some(newest) = pair.newest else {
        let (status, word) = match pair.anchors {
            0 => (Status::Unknown, "no anchor".to_owned()),
            all => (Status::Fail, format!("none of {all} holds")),
        };
        return Cell::status(status, &word);
    };
    let all = pair.good == pair.anchors;
    let status = if all { Status::Pass } else { Status::Fail };
    Cell::from(html! {
        span class=(table::class(status)) {
            span.sign aria-hidden="true" { (table::sign(status)) }
            " up to " b { (number(newest.size)) }
        }
        span.sub { (moment_ago(newest, report)) }
        span.sub {
            (pair.count()) " " (anchors) @if !all { " hold" }
            @if let Some(lag) = newest.lag_seconds { ", lag " (lag) " s" }
        }
    })
}

/// A witness that does not count for a chain.
fn own_or_none(chain: &ChainReport, witness: &str, report: &Report) -> Cell {
    let key = report.policy.keys.iter().find(|key| key.name == witness);
    let own = key.is_some_and(|key| key.cloud == Some(chain.cloud));
    Cell::text(if own { "own cloud" } else { "no anchor" }).muted()
}

fn pictures(report: &Report) -> Markup {
    html! {
        section aria-labelledby="pictures" {
            h2 #pictures { "Over time" }
            @for (nth, chain) in report.chains.iter().enumerate() {
                article.pictures {
                    h3 { (short(&chain.origin, report)) }
                    div.pair {
                        (picture::growth(nth, chain, report))
                        (picture::volume(nth, chain))
                    }
                }
            }
        }
    }
}

fn checks(report: &Report) -> Markup {
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
    let skipped = open_checks(report, Status::Skip);
    html! {
        section aria-labelledby="checks" {
            h2 #checks { "What was checked" }
            (table("checks", &head, &rows))
            p.note {
                "Numbers: how many things a check looked at, or, where it fails, how many failed."
            }
            @if !skipped.is_empty() {
                h3 { "Does not apply" }
                (open_list(&skipped, report))
            }
        }
    }
}

fn outcome_of(check: &super::report::CheckReport) -> Cell {
    let number = match check.status {
        Status::Pass if check.checked > 0 => number(check.checked),
        Status::Fail => number(check.failed),
        _ => String::new(),
    };
    let word = match check.status {
        Status::Pass => "pass",
        Status::Fail => "FAIL",
        Status::Skip => "skip",
        Status::Unknown => "unknown",
    };
    Cell::status(check.status, &format!("{word} {number}"))
}

fn reproduce(report: &Report) -> Markup {
    html! {
        section aria-labelledby="reproduce" {
            h2 #reproduce { "To reproduce" }
            pre tabindex="0" { code { (report.reproduce) " --policy FILE" } }
            p {
                "With the policy file whose SHA-256 stands above and read access to the stores. \
                 No keys are needed, and nothing else is asked over the network. "
                code { "--format json" } " gives every finding and every anchor."
            }
        }
    }
}

/// `1,212`
fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn dash() -> String {
    "-".to_owned()
}

fn ago(at_millis: i64, report: &Report) -> String {
    match age(at_millis, report) {
        later if later == "later" => later,
        age => format!("{age} ago"),
    }
}

fn moment_ago(anchor: &AnchorReport, report: &Report) -> Markup {
    let at = time::parse(&anchor.time);
    html! {
        time datetime=(anchor.time) {
            @match at {
                Some(at) => (ago(at.unix_millis(), report)),
                None => (anchor.time),
            }
        }
    }
}

/// A time as people read it; the exact one stands in the markup.
fn moment(time: &str) -> Markup {
    html! { time datetime=(time) { (day_and_time(time)) " UTC" } }
}

/// `2026-11-24 21:00:00`
fn day_and_time(time: &str) -> String {
    time.get(..19).unwrap_or(time).replacen('T', " ", 1)
}
