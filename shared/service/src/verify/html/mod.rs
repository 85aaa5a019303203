//! The report for browsers: one file with its style and pictures in it. Every
//! text is escaped by the templates, and what no text may hold is replaced in the
//! page as a whole.

mod chains;
mod findings;
mod picture;
mod table;
#[cfg(test)]
mod tests;
mod verdict;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::chains::{anchors, chains};
use self::findings::{checks, findings, not_read};
use self::table::{Cell, table};
use self::verdict::verdict;
use super::report::{Report, Verdict};
use super::summary::{expected_heads, short};
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

fn reproduce(report: &Report) -> Markup {
    html! {
        section aria-labelledby="reproduce" {
            h2 #reproduce { "To reproduce" }
            pre tabindex="0" { code { (report.reproduce) " --policy FILE" } }
            p {
                "With the policy file whose SHA-256 stands above and read access to the stores. \
                 No keys are needed, and nobody but the stores is asked. "
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

/// A time as people read it; the exact one stands in the markup.
fn moment(time: &str) -> Markup {
    html! { time datetime=(time) { (day_and_time(time)) " UTC" } }
}

/// `2026-11-24 21:00:00`
fn day_and_time(time: &str) -> String {
    time.get(..19).unwrap_or(time).replacen('T', " ", 1)
}
