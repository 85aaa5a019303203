//! `verify`: everything against the policy.

use std::fs;

use countersign_core::merkle::Hash;
use countersign_core::time;
use countersign_service::clock::SystemClock;
use countersign_service::mail::{self, Letter};
use countersign_service::verify::{self, Options, Progress, Since, Verdict};
use indicatif::ProgressBar;

use super::deployment;
use crate::args::{Common, ReportFormat, Verify};
use crate::ui::{Failure, Out, Outcome, Status, byte_bar, say, stdout_takes_colour};

/// Verifies.
///
/// # Errors
/// When there is nothing to report: settings, policy or the question are not in order.
pub async fn run(common: &Common, args: &Verify) -> Outcome {
    let options = Options {
        chain: args.chain.clone(),
        since: args.since.as_deref().map(since).transpose()?,
        at_millis: args.at.as_deref().map(at).transpose()?,
        ..Options::default()
    };
    let deployment = deployment(common).await?;
    let mail = deployment.settings.mail.as_ref();
    if args.mail && mail.is_none() {
        return Err(Failure::undone(
            "--mail: the settings have no [mail] that says to whom and through which server",
        ));
    }
    let bar = Bar(byte_bar("verifying"));
    let report = verify::verify(&deployment, &options, &SystemClock, &bar).await;
    bar.0.finish_and_clear();
    let report = report.map_err(Failure::undone)?;

    let colour = args.output.is_none() && stdout_takes_colour();
    let text = match args.format {
        ReportFormat::Text => report.to_text(colour),
        ReportFormat::Json => report.to_json(),
        ReportFormat::Html => report.to_html(),
    };
    let written = match &args.output {
        Some(path) => fs::write(path, text).map_err(|error| {
            Failure::undone(format_args!(
                "{} cannot be written: {error}",
                path.display()
            ))
        }),
        None => {
            let mut out = Out::new();
            out.bytes(text.as_bytes());
            out.finish()
        }
    };
    let mailed = match mail.filter(|_| args.mail) {
        Some(settings) => {
            let letter = Letter::of_report(&report, None, &[]);
            let sent = mail::send(settings, &deployment.stores, &letter).await;
            sent.map(|()| {
                say(format_args!(
                    "mailed to {}: {}",
                    settings.to.join(", "),
                    letter.subject()
                ));
            })
            .map_err(Failure::undone)
        }
        None => Ok(()),
    };
    let status = match report.result {
        Verdict::Verified => Status::Well,
        Verdict::Failed => Status::Failed,
        Verdict::Incomplete => Status::Undone,
    };
    // A verdict that was reached outweighs that it could not be told.
    for told in [written, mailed] {
        match told {
            Err(failure) if status != Status::Failed => return Err(failure),
            Err(failure) => say(format_args!("countersign: {}", failure.message)),
            Ok(()) => {}
        }
    }
    Ok(status)
}

/// `SIZE` or `SIZE:ROOT`.
fn since(text: &str) -> Result<Since, Failure> {
    let bad = || {
        Failure::undone(format_args!(
            "--since {text}: give a size, or size and root such as 1212:BASE64 (as reports print them)"
        ))
    };
    let (size, root) = match text.split_once(':') {
        None => (text, None),
        Some((size, root)) => (size, Some(Hash::from_base64(root).ok_or_else(bad)?)),
    };
    let size = size.parse().map_err(|_| bad())?;
    Ok(Since { size, root })
}

/// Milliseconds since 1970 of an RFC 3339 time.
fn at(text: &str) -> Result<u64, Failure> {
    let instant = time::parse(text);
    let millis = instant.and_then(|instant| u64::try_from(instant.unix_millis()).ok());
    millis.ok_or_else(|| {
        Failure::undone(format_args!(
            "--at {text}: not a time in RFC 3339, such as 2026-11-24T21:00:00Z"
        ))
    })
}

struct Bar(ProgressBar);

impl Progress for Bar {
    fn total(&self, _objects: u64, bytes: u64) {
        self.0.inc_length(bytes);
    }

    fn advanced(&self, _objects: u64, bytes: u64) {
        self.0.inc(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read() {
        let root = Hash::EMPTY_ROOT;
        let with_root = since(&format!("12:{root}")).unwrap();
        assert_eq!((with_root.size, with_root.root), (12, Some(root)));
        assert_eq!(since("0").unwrap().root, None);
        for bad in ["", "x", "12:", "12:x", "-1"] {
            assert_eq!(since(bad).unwrap_err().status, Status::Undone);
        }
        assert_eq!(at("1970-01-01T00:00:01.5Z").unwrap(), 1500);
        assert!(at("1969-01-01T00:00:00Z").is_err());
    }
}
