//! Pictures as inline SVG: what `series` gathered, and nothing else.
//!
//! Widths are percentages and heights pixels, so that text keeps its size and a
//! picture fills its column; curves and bars stand in an inner drawing that
//! stretches.

use std::collections::BTreeMap;
use std::fmt::Write;

use countersign_core::time;
use maud::{Markup, html};

use super::{day_and_time, number};
use crate::verify::posture::millis;
use crate::verify::report::{AnchorReport, ChainReport, Report, Status};
use crate::verify::series::{Growth, SourceVolume, Volume};
use crate::verify::summary::{count, short};

/// Height of the curve, in pixels.
const CURVE: f64 = 132.0;
/// Height of a witness's row below it.
const WITNESS: f64 = 32.0;
/// Height of a source's row of bars, and of its label.
const SOURCE: f64 = 60.0;
const LABEL: f64 = 22.0;
/// Height of the scale of times.
const SCALE: f64 = 20.0;
/// Anchors closer than this are one tick: the width of the picture has so many places.
const PLACES: f64 = 240.0;

/// A span of time across the width of a picture, in milliseconds since 1970.
struct Across {
    from: i64,
    to: i64,
}

impl Across {
    /// Of the width, between 0 and 1.
    fn share(&self, at: i64) -> f64 {
        let whole = (i128::from(self.to) - i128::from(self.from)).max(1);
        let part = i128::from(at) - i128::from(self.from);
        (part as f64 / whole as f64).clamp(0.0, 1.0)
    }

    /// Of the width, in per cent.
    fn percent(&self, at: i64) -> String {
        format!("{:.2}%", self.share(at) * 100.0)
    }

    /// Round times within, with their labels: few enough to stand beside each other.
    fn ticks(&self) -> Vec<(i64, String)> {
        const SECOND: i64 = 1000;
        const DAY: i64 = 86_400 * SECOND;
        const STEPS: [i64; 23] = [
            SECOND / 10,
            SECOND / 2,
            SECOND,
            5 * SECOND,
            15 * SECOND,
            60 * SECOND,
            120 * SECOND,
            300 * SECOND,
            900 * SECOND,
            1800 * SECOND,
            3600 * SECOND,
            3 * 3600 * SECOND,
            6 * 3600 * SECOND,
            12 * 3600 * SECOND,
            DAY,
            2 * DAY,
            7 * DAY,
            28 * DAY,
            91 * DAY,
            182 * DAY,
            364 * DAY,
            1092 * DAY,
            3640 * DAY,
        ];
        let whole = self.to.saturating_sub(self.from);
        // Dates are longer than times of day.
        let fits = |step: &i64| whole / step <= if (1000..DAY).contains(step) { 5 } else { 3 };
        let Some(step) = STEPS.into_iter().find(fits) else {
            return Vec::new();
        };
        // Labels near the edges would be cut.
        let edge = if step < DAY { 0.07 } else { 0.12 };
        let mut ticks = Vec::new();
        let mut at = self.from.div_euclid(step) * step;
        while at < self.to {
            if (edge..=1.0 - edge).contains(&self.share(at)) {
                let text = millis(at);
                let part = match step {
                    ..SECOND => text.get(11..21),
                    SECOND..60_000 => text.get(11..19),
                    60_000..DAY => text.get(11..16),
                    DAY.. => text.get(..10),
                };
                ticks.push((at, part.unwrap_or_default().to_owned()));
            }
            at += step;
        }
        ticks
    }

    /// From when to when, for captions.
    fn text(&self) -> String {
        let (from, to) = (
            day_and_time(&millis(self.from)),
            day_and_time(&millis(self.to)),
        );
        match (from.split_once(' '), to.split_once(' ')) {
            (Some((from, _)), Some((to, _))) if self.is_long() => format!("{from} to {to} UTC"),
            (Some((day, _)), Some((same, time))) if day == same => format!("{from} to {time} UTC"),
            _ => format!("{from} to {to} UTC"),
        }
    }

    /// So long that days tell enough.
    fn is_long(&self) -> bool {
        self.to.saturating_sub(self.from) > 14 * 86_400_000
    }
}

/// Lines at round times, and their labels at the bottom.
fn scale(across: &Across, height: f64) -> Markup {
    html! {
        @for (at, label) in across.ticks() {
            @let x = across.percent(at);
            line.grid x1=(x) x2=(x) y1="0" y2=(height) {}
            text.scale x=(x) y=(height + 14.0) text-anchor="middle" { (label) }
        }
    }
}

/// The chain's size by the time of sealing, and below it its anchors.
pub(super) fn growth(nth: usize, chain: &ChainReport, report: &Report) -> Markup {
    let growth = &chain.growth;
    let anchors: Vec<(i64, &AnchorReport)> = report
        .anchors
        .iter()
        .filter(|anchor| anchor.origin == chain.origin)
        .filter_map(|anchor| Some((time::parse(&anchor.time)?.unix_millis(), anchor)))
        .collect();
    let times = || {
        let points = growth.points().map(|point| point.at_millis);
        points.chain(anchors.iter().map(|(at, _)| *at))
    };
    let caption = html! { b { "Size" } ", in leaves, by the time of sealing" };
    let Some(from) = times().min() else {
        return nothing(&caption, "No segment was read.");
    };
    let last = times().max().unwrap_or(from).max(report.judged_at_millis);
    let across = Across {
        from,
        to: last.max(from.saturating_add(1000)),
    };
    let top = growth
        .points()
        .map(|p| p.size)
        .max()
        .unwrap_or(0)
        .max(growth.from + 1);
    let height_of = |size: u64| {
        let share = (size.saturating_sub(growth.from)) as f64 / (top - growth.from) as f64;
        (CURVE - share * (CURVE - 14.0)).round()
    };
    let mut witnesses: BTreeMap<&str, Vec<(i64, &AnchorReport)>> = BTreeMap::new();
    for witness in &chain.witnesses {
        witnesses.insert(witness, Vec::new());
    }
    for (at, anchor) in &anchors {
        witnesses
            .entry(&anchor.witness)
            .or_default()
            .push((*at, *anchor));
    }
    let height = CURVE + 6.0 + WITNESS * witnesses.len() as f64;
    let described = format!(
        "The chain grew to {} leaves. {} of {} hold. {}",
        number(chain.size),
        anchors
            .iter()
            .filter(|(_, a)| a.status == Status::Pass)
            .count(),
        count(anchors.len(), "anchor", "anchors"),
        match growth.breaks.len() as u64 + growth.more_breaks {
            0 => "No segment is missing or damaged.".to_owned(),
            runs => format!("Missing or damaged segments: {}.", number(runs)),
        }
    );
    html! {
        figure {
            figcaption { (caption) "; below, its anchors" }
            svg.plot.growth role="img" width="100%" height=(height + SCALE)
                aria-labelledby={ "growth-title-" (nth) " growth-desc-" (nth) } {
                title id={ "growth-title-" (nth) } {
                    "Size of " (short(&chain.origin, report)) " over time, " (across.text())
                }
                desc id={ "growth-desc-" (nth) } { (described) }
                (scale(&across, height))
                @for size in round_sizes(growth.from, top) {
                    @let y = height_of(size);
                    line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
                    text.scale x="-8" y=(y + 4.0) text-anchor="end" { (compact(size)) }
                }
                svg x="0" y="0" width="100%" height=(CURVE) viewBox={ "0 0 1000 " (CURVE) }
                    preserveAspectRatio="none" {
                    @let line = steps(growth, &across, &height_of);
                    path.area d={ (line) "V" (CURVE) "H0Z" } {}
                    path.curve d=(line) {}
                }
                line.axis x1="0" x2="100%" y1=(CURVE) y2=(CURVE) {}
                @for gap in &growth.breaks {
                    @let at = gap.at_millis.unwrap_or(across.from);
                    svg.cross x=(across.percent(at)) y=(height_of(gap.end)) overflow="visible" {
                        title {
                            "leaves " (number(gap.start)) " to " (number(gap.end - 1))
                            ": no whole segment"
                        }
                        path d="M-5-5L5 5M5-5L-5 5" {}
                    }
                }
                @for (row, (witness, anchors)) in witnesses.iter().enumerate() {
                    (ticks(witness, anchors, CURVE + 6.0 + WITNESS * row as f64, &across, report))
                }
            }
            p.range { (across.text()) }
            @if !growth.breaks.is_empty() {
                p.range { "✗ a segment that is missing or damaged" }
            }
            @if growth.more_breaks > 0 {
                p.range { (number(growth.more_breaks)) " more such segments are not drawn." }
            }
        }
    }
}

/// A curve that keeps its height until the next segment.
fn steps(growth: &Growth, across: &Across, height_of: &dyn Fn(u64) -> f64) -> String {
    let mut line = format!("M0 {:.1}", height_of(growth.from));
    for point in growth.points() {
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "H{:.1}V{:.1}",
            across.share(point.at_millis) * 1000.0,
            height_of(point.size)
        );
    }
    line.push_str("H1000");
    line
}

/// A few round sizes above the bottom of the curve.
fn round_sizes(from: u64, top: u64) -> Vec<u64> {
    let mut step = 1u64;
    for factor in [2, 5, 10].into_iter().cycle() {
        if (top - from) / step <= 4 {
            break;
        }
        step = match factor {
            5 => step / 2 * 5,
            _ => step * 2,
        };
    }
    let first = (from / step + 1) * step;
    (0..4)
        .map(|nth| first + nth * step)
        .take_while(|size| *size <= top)
        .collect()
}

/// A round size, in few characters.
fn compact(size: u64) -> String {
    match size {
        ..100_000 => number(size),
        100_000..100_000_000 => format!("{} k", number(size / 1000)),
        _ => format!("{} M", number(size / 1_000_000)),
    }
}

/// A witness's row: a tick for each anchor that holds, a cross for one that does not.
fn ticks(
    witness: &str,
    anchors: &[(i64, &AnchorReport)],
    y: f64,
    across: &Across,
    report: &Report,
) -> Markup {
    // Many anchors fall together; one that does not hold is never hidden.
    let mut places: BTreeMap<u32, (i64, bool)> = BTreeMap::new();
    for (at, anchor) in anchors {
        let place = (across.share(*at) * PLACES) as u32;
        let holds = anchor.status == Status::Pass;
        places
            .entry(place)
            .and_modify(|known| known.1 &= holds)
            .or_insert((*at, holds));
    }
    let bad = anchors
        .iter()
        .filter(|(_, a)| a.status != Status::Pass)
        .count();
    html! {
        line.axis x1="0" x2="100%" y1=(y + WITNESS - 1.0) y2=(y + WITNESS - 1.0) {}
        @for (at, holds) in places.values() {
            @let x = across.percent(*at);
            @if *holds {
                line.tick x1=(x) x2=(x) y1=(y + WITNESS - 11.0) y2=(y + WITNESS - 1.0) {}
            } @else {
                svg.cross x=(x) y=(y + WITNESS - 7.0) overflow="visible" {
                    path d="M-4-4L4 4M4-4L-4 4" {}
                }
            }
        }
        text.label x="0" y=(y + 17.0) {
            (short(witness, report)) ": " (count(anchors.len(), "anchor", "anchors"))
            @if bad > 0 { ", ✗ " (bad) " not confirmed" }
        }
    }
}

/// Records by source and span of time.
pub(super) fn volume(nth: usize, chain: &ChainReport) -> Markup {
    let volume = &chain.volume;
    let span = span_text(volume.span_hours);
    let caption = html! {
        b { "Records" } @if volume.spans > 0 { " in each " (span) }
        ", by their own time, else that of sealing"
    };
    if volume.sources.is_empty() {
        return nothing(&caption, "No records but anchors were read.");
    }
    let hour = |hour: i64| hour.saturating_mul(3_600_000);
    let spans = i64::try_from(volume.spans).unwrap_or(i64::MAX);
    let end = volume
        .start_hour
        .saturating_add(volume.span_hours.saturating_mul(spans));
    let across = Across {
        from: hour(volume.start_hour),
        to: hour(end),
    };
    let height = SOURCE * volume.sources.len() as f64;
    let described = volume.sources.iter().map(|source| {
        format!(
            "{}: {}, highest bar {}.",
            source_name(source),
            count_text(source.records),
            number(source.counts.iter().copied().max().unwrap_or(0))
        )
    });
    let described = described.collect::<Vec<_>>().join(" ");
    html! {
        figure {
            figcaption { (caption) }
            svg.plot role="img" width="100%" height=(height + SCALE)
                aria-labelledby={ "volume-title-" (nth) " volume-desc-" (nth) } {
                title id={ "volume-title-" (nth) } {
                    "Records in each " (span) " by source, " (across.text())
                }
                desc id={ "volume-desc-" (nth) } { (described) }
                (scale(&across, height))
                @for (row, source) in volume.sources.iter().enumerate() {
                    (bars(source, SOURCE * row as f64))
                }
            }
            p.range {
                (across.text())
                @if volume.sources.len() > 1 { ". Each row has its own height." }
            }
            (left_out(volume))
        }
    }
}

fn bars(source: &SourceVolume, y: f64) -> Markup {
    let most = source.counts.iter().copied().max().unwrap_or(0);
    let mut path = String::new();
    for (nth, records) in source.counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        // The least bar can still be seen.
        let height = (*records as f64 / most.max(1) as f64 * 100.0).max(4.0);
        // Writing to a string cannot fail.
        let _ = write!(path, "M{nth}.1 100v-{height:.1}h.8v{height:.1}z");
    }
    let room = SOURCE - LABEL;
    html! {
        svg x="0" y=(y + LABEL) width="100%" height=(room - 1.0)
            viewBox={ "0 0 " (source.counts.len()) " 100" } preserveAspectRatio="none" {
            path.bars d=(path) {}
        }
        line.axis x1="0" x2="100%" y1=(y + SOURCE - 1.0) y2=(y + SOURCE - 1.0) {}
        text.label x="0" y=(y + 17.0) {
            (source_name(source)) ": " (count_text(source.records)) ", highest bar " (number(most))
        }
    }
}

/// What the bars do not show, in words.
fn left_out(volume: &Volume) -> Markup {
    html! {
        @if volume.outside > 0 {
            p.range { (number(volume.outside)) " records lie far before or after." }
        }
        @if volume.uncounted > 0 {
            p.range {
                (number(volume.uncounted)) " records of further hours were not counted."
            }
        }
    }
}

fn count_text(records: u64) -> String {
    let noun = if records == 1 { "record" } else { "records" };
    format!("{} {noun}", number(records))
}

fn source_name(source: &SourceVolume) -> String {
    match &source.name {
        Some(name) => crate::verify::summary::tail(name, 32),
        None => count(source.sources, "other source", "other sources"),
    }
}

fn span_text(hours: i64) -> String {
    let of = |number: i64, one: &str, many: &str| match number {
        1 => one.to_owned(),
        number => format!("{number} {many}"),
    };
    match hours {
        ..24 => of(hours, "hour", "hours"),
        24..168 => of(hours / 24, "day", "days"),
        _ => of(hours / 168, "week", "weeks"),
    }
}

fn nothing(caption: &Markup, why: &str) -> Markup {
    html! { figure { figcaption { (caption) } p.range { (why) } } }
}
