//! The chains, and who countersigned whom.

use countersign_core::time;
use maud::{Markup, html};

use super::number;
use super::table::{self, Cell, table};
use crate::verify::report::{AnchorReport, ChainReport, Report, Status};
use crate::verify::summary::{
    Pair, age, pairs, requests_text, short, size_text, state, state_word,
};

pub(super) fn chains(report: &Report) -> Markup {
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
            }
            @for chain in &report.chains {
                p.note {
                    "To verify " (short(&chain.origin, report)) ": " (requests_text(chain)) "."
                }
            }
        }
    }
}

/// Who countersigned whom: a row for each chain, a column for each witness.
pub(super) fn anchors(report: &Report) -> Markup {
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
                    "Each cell: the size of the newest anchor that holds, its age, how \
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
