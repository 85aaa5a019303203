//! What is mailed: headers, bodies, attachments.

use lettre::Message;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use super::{MailError, body, mailbox};
use crate::config::MailSettings;
use crate::verify::{Report, Verdict};

/// A page is attached up to this size, in bytes; the JSON likewise. Many servers
/// take 10 MB in all, of which base64 adds a third.
const MAX_ATTACHED_BYTES: usize = 3 << 20;

/// A mail about a verification or an alarm.
#[derive(Debug, Clone)]
pub struct Letter {
    domain: String,
    subject: String,
    text: String,
    html: String,
    attachments: Vec<(String, &'static str, Vec<u8>)>,
}

impl Letter {
    /// About a verification. `sealed` is the report as it was sealed, where it
    /// was; `changes` are the lines that tell what is new since the report before,
    /// the most important first.
    pub fn of_report(report: &Report, sealed: Option<&[u8]>, changes: &[String]) -> Self {
        let (name, json) = match sealed {
            Some(envelope) => ("report.dsse.json", envelope.to_vec()),
            None => ("report.json", report.to_json().into_bytes()),
        };
        let mut left_out = Vec::new();
        let mut attachments = Vec::new();
        for (name, kind, bytes) in [
            (
                "report.html",
                "text/html; charset=utf-8",
                report.to_html().into_bytes(),
            ),
            (name, "application/json", json),
        ] {
            match bytes.len() <= MAX_ATTACHED_BYTES {
                true => attachments.push((name.to_owned(), kind, bytes)),
                false => left_out.push(format!(
                    "{name} has {} bytes and is not attached: run the command below, or read it in reports/",
                    bytes.len()
                )),
            }
        }
        let mut text = String::new();
        for line in changes.iter().chain(&left_out) {
            text.push_str(line);
            text.push('\n');
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&report.to_text(false));
        Self {
            domain: report.domain.clone(),
            subject: body::subject(report),
            text,
            html: body::of_report(report, changes, &left_out),
            attachments,
        }
    }

    /// About something that must not wait for the next verification: a fork, a
    /// history that was put back.
    pub fn of_alarm(domain: &str, what: &str, lines: &[String]) -> Self {
        let next = "What was seen is kept under evidence/ in the witness's store, and nothing was countersigned. Do not delete anything; run `countersign verify`, and find out who can write to the store that is named.";
        let mut text = format!("ALARM  {domain}\n\n{what}\n\n");
        for line in lines {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str(&format!("\n{next}\n"));
        Self {
            domain: domain.to_owned(),
            subject: format!("[countersign] ALARM {domain}: {what}"),
            html: body::of_alarm(domain, what, lines, next),
            text,
            attachments: Vec::new(),
        }
    }

    /// Its subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Its text, which is complete by itself.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its HTML.
    pub fn html(&self) -> &str {
        &self.html
    }

    pub(super) fn compose(&self, settings: &MailSettings) -> Result<Message, MailError> {
        let failed = |error: &dyn std::fmt::Display| MailError::Compose(error.to_string());
        // All mails of a deployment are one thread, whoever collects them.
        let thread = data_encoding::HEXLOWER.encode(&Sha256::digest(&self.domain)[..12]);
        let host = settings.from.rsplit('@').next().unwrap_or("localhost");
        let mut message = Message::builder()
            .from(mailbox(&settings.from)?)
            .subject(crate::printable(&self.subject))
            .references(format!("<{thread}.countersign@{host}>"))
            .message_id(None)
            .header(AutoSubmitted);
        for to in &settings.to {
            message = message.to(mailbox(to)?);
        }
        let alternative = MultiPart::alternative()
            .singlepart(SinglePart::plain(self.text.clone()))
            .singlepart(SinglePart::html(self.html.clone()));
        let mut whole = MultiPart::mixed().multipart(alternative);
        for (name, kind, bytes) in &self.attachments {
            let kind = ContentType::parse(kind).map_err(|error| failed(&error))?;
            whole = whole.singlepart(Attachment::new(name.clone()).body(bytes.clone(), kind));
        }
        message.multipart(whole).map_err(|error| failed(&error))
    }
}

/// `Auto-Submitted: auto-generated` (RFC 3834): no machine is to answer.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The lines that tell what is new since an earlier report: its verdict, and the
/// findings that were not there or are gone, as `CHECK CODE of CHAIN`.
pub(crate) fn changes(
    before: Option<(Verdict, &[String])>,
    now: (Verdict, &[String]),
) -> Vec<String> {
    let Some((verdict, findings)) = before else {
        return vec!["This is the first report.".to_owned()];
    };
    let mut lines = Vec::new();
    if verdict != now.0 {
        lines.push(format!(
            "{} since the last report, which was {}.",
            now.0.word(),
            verdict.word()
        ));
    }
    let new = now.1.iter().filter(|finding| !findings.contains(finding));
    lines.extend(new.map(|finding| format!("New: {finding}")));
    let gone = findings.iter().filter(|finding| !now.1.contains(finding));
    lines.extend(gone.map(|finding| format!("Gone: {finding}")));
    if lines.is_empty() {
        lines.push("Nothing has changed since the last report.".to_owned());
    }
    lines
}
