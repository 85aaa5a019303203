//! `log`: one timeline over all clouds.

use countersign_core::json::push_string;
use countersign_service::printable;
use countersign_service::timeline::{Entry, Moment, Timeline, TimelineError};

use super::deployment;
use crate::args::{Common, Log, LogFormat};
use crate::ui::{Failure, Out, Outcome, Status, counter, say};
use crate::view::{Brief, column};

/// Widths of the text columns.
const TIME_WIDTH: usize = 24;
const SOURCE_WIDTH: usize = 18;
const WHO_WIDTH: usize = 34;
const WHAT_WIDTH: usize = 52;

/// Prints the timeline.
///
/// # Errors
/// When settings or policy cannot be read, or the format does not exist yet.
pub async fn run(common: &Common, args: &Log) -> Outcome {
    if matches!(args.format, LogFormat::Ocsf | LogFormat::Otlp) {
        return Err(Failure::undone(
            "this build writes no OCSF or OpenTelemetry yet: take --format json",
        ));
    }
    let since = match &args.since {
        None => None,
        Some(text) => Some(Moment::parse(text).ok_or_else(|| {
            Failure::undone(format_args!(
                "--since {text}: not a time in RFC 3339, such as 2026-11-24T21:00:00Z"
            ))
        })?),
    };
    let deployment = deployment(common).await?;
    let chains = match &args.chain {
        None => deployment.chains,
        Some(name) => {
            let named = deployment.chains_named(name).map_err(Failure::undone)?;
            named.into_iter().cloned().collect()
        }
    };
    let bar = counter("segments read");
    let (timeline, problems) = Timeline::collect(chains, since, |segments| bar.inc(segments)).await;
    bar.finish_and_clear();

    let mut out = Out::new();
    let names = timeline.chains().iter();
    let widest = names.map(|chain| chain.settings.display_name().len()).max();
    let read = timeline
        .read(|entry| {
            match args.format {
                LogFormat::Json => out.bytes(&json(entry)),
                _ => out.line(format_args!("{}", text(entry, widest.unwrap_or_default()))),
            }
            out.is_open()
        })
        .await;
    out.finish()?;
    let problems = problems.into_iter().chain(read.err());
    Ok(problems
        .map(|problem| complain(&problem))
        .fold(Status::Well, worse))
}

/// Failed and undone at once is failed.
fn worse(a: Status, b: Status) -> Status {
    match (a, b) {
        (Status::Failed, _) | (_, Status::Failed) => Status::Failed,
        (a, b) => a.max(b),
    }
}

fn complain(problem: &TimelineError) -> Status {
    say(format_args!("countersign: {problem}"));
    if problem.is_evidence() {
        Status::Failed
    } else {
        Status::Undone
    }
}

/// The record stands there as it was sealed, to the byte.
fn json(entry: &Entry<'_>) -> Vec<u8> {
    let mut line = Vec::with_capacity(entry.line.len() + 160);
    line.extend_from_slice(b"{\"chain\":");
    push_string(&entry.chain.settings.display_name(), &mut line);
    line.extend_from_slice(format!(",\"index\":{},\"origin\":", entry.index).as_bytes());
    push_string(entry.chain.origin(), &mut line);
    line.extend_from_slice(b",\"record\":");
    line.extend_from_slice(entry.line);
    line.extend_from_slice(b",\"sealed_at\":");
    push_string(entry.sealed_at, &mut line);
    line.extend_from_slice(b"}\n");
    line
}

fn text(entry: &Entry<'_>, chain_width: usize) -> String {
    let brief = Brief::of(&entry.record);
    format!(
        "{}  {}  {}  {}  {}  {}",
        column(
            &to_millis(entry.record.time.unwrap_or(entry.sealed_at)),
            TIME_WIDTH
        ),
        column(&entry.chain.settings.display_name(), chain_width),
        column(&printable(&entry.record.source), SOURCE_WIDTH),
        column(short(&brief.who), WHO_WIDTH),
        column(&brief.what, WHAT_WIDTH),
        entry.index
    )
}

/// A time without what is finer than milliseconds.
fn to_millis(time: &str) -> String {
    match time.get(..TIME_WIDTH - 1) {
        Some(cut) if time.len() > TIME_WIDTH => format!("{cut}Z"),
        _ => time.to_owned(),
    }
}

/// An ARN without service and account; they stand in the record.
fn short(who: &str) -> &str {
    match who.strip_prefix("arn:") {
        Some(arn) => arn.splitn(5, ':').last().unwrap_or(arn),
        None => who,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_what_tells_records_apart() {
        assert_eq!(
            to_millis("2026-11-23T04:02:10.349059Z"),
            "2026-11-23T04:02:10.349Z"
        );
        assert_eq!(to_millis("2026-11-23T04:02:10Z"), "2026-11-23T04:02:10Z");
        assert_eq!(short("arn:aws:iam::111122223333:user/a:b"), "user/a:b");
        assert_eq!(short("a@example.org"), "a@example.org");
    }

    #[test]
    fn failed_outweighs_undone() {
        assert_eq!(worse(Status::Undone, Status::Failed), Status::Failed);
        assert_eq!(worse(Status::Well, Status::Undone), Status::Undone);
    }
}
