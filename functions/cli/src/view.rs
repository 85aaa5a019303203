//! What a record says, in a few words: who did what.

use countersign_core::anchor::AnchorEvent;
use countersign_core::record::{ANCHOR_SOURCE, CarrierKind, Record};
use countersign_service::terminal::printable;
use serde_json::Value;

/// A record in a few words, fit for a terminal.
#[derive(Debug, PartialEq, Eq)]
pub struct Brief {
    /// Who did it, as far as the event says.
    pub who: String,
    /// What was done.
    pub what: String,
}

/// Where each source says who; the first that is there.
const WHO: [&str; 17] = [
    "/userIdentity/userName",
    "/userIdentity/arn",
    "/userIdentity/invokedBy",
    "/userIdentity/principalId",
    "/protoPayload/authenticationInfo/principalEmail",
    "/protoPayload/authenticationInfo/principalSubject",
    "/identity/claims/http:~1~1schemas.xmlsoap.org~1ws~12005~105~1identity~1claims~1upn",
    "/identity/claims/name",
    "/identity/claims/appid",
    "/identity/claim/appid",
    "/properties/userPrincipalName",
    "/properties/servicePrincipalName",
    "/properties/initiatedBy/user/userPrincipalName",
    "/properties/initiatedBy/app/displayName",
    "/caller",
    "/identity/authorization/evidence/principalId",
    "/callerIpAddress",
];

/// Where each source says what.
const WHAT: [&str; 8] = [
    "/eventName",
    "/operationName",
    "/operationName/value",
    "/protoPayload/methodName",
    "/textPayload",
    "/jsonPayload/message",
    "/jsonPayload/event",
    "/message",
];

impl Brief {
    /// The brief of a record.
    pub fn of(record: &Record<'_>) -> Self {
        if record.carrier == CarrierKind::Bytes {
            let what = format!("{} bytes", record.event_bytes().len());
            return Self {
                who: String::new(),
                what,
            };
        }
        let bytes = record.event_bytes();
        if record.source == ANCHOR_SOURCE
            && let Some(anchor) = AnchorEvent::parse(&bytes)
        {
            return Self::of_anchor(&anchor);
        }
        // Events that are not exact are JSON often enough.
        let Ok(event) = serde_json::from_slice::<Value>(&bytes) else {
            return Self {
                who: String::new(),
                what: printable(&String::from_utf8_lossy(&bytes)),
            };
        };
        let first = |paths: &[&str]| {
            let texts = paths
                .iter()
                .filter_map(|path| event.pointer(path)?.as_str());
            let mut texts = texts.filter(|text| !text.is_empty());
            texts.next().map(printable).unwrap_or_default()
        };
        let what = match first(&WHAT) {
            text if text.is_empty() => printable(&String::from_utf8_lossy(&bytes)),
            text => text,
        };
        Self {
            who: first(&WHO),
            what,
        }
    }

    fn of_anchor(anchor: &AnchorEvent) -> Self {
        // The last signature line is the witness's: `— name base64`.
        let last = anchor.note.lines().last().unwrap_or_default();
        Self {
            who: printable(last.split(' ').nth(1).unwrap_or_default()),
            what: printable(&format!(
                "countersigned {} at {}",
                anchor.origin, anchor.size
            )),
        }
    }
}

/// A text in a column: cut to `width`, or filled up to it.
pub fn column(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length > width {
        let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
        cut.push('…');
        cut
    } else {
        format!("{text:<width$}")
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::record::RecordReader;

    use super::*;

    fn brief(line: &str) -> (String, String) {
        let mut reader = RecordReader::default();
        let brief = Brief::of(&reader.read(line.as_bytes()).unwrap());
        (brief.who, brief.what)
    }

    #[test]
    fn records_are_told_in_a_few_words() {
        for (line, who, what) in [
            (
                r#"{"cloud":"aws","event":{"eventName":"StopLogging","userIdentity":{"arn":"arn:x","userName":"rune"}},"source":"aws.cloudtrail"}"#,
                "rune",
                "StopLogging",
            ),
            (
                r#"{"cloud":"gcp","event":{"protoPayload":{"authenticationInfo":{"principalEmail":"a@example.org"},"methodName":"m"}},"source":"gcp.audit"}"#,
                "a@example.org",
                "m",
            ),
            (
                r#"{"cloud":"other","raw":"boot\u001b[2J","source":"text"}"#,
                "",
                "boot\u{fffd}[2J",
            ),
            (
                r#"{"cloud":"other","raw_base64":"//4=","source":"text"}"#,
                "",
                "2 bytes",
            ),
            (
                r#"{"cloud":"other","event":[1],"source":"json"}"#,
                "",
                "[1]",
            ),
        ] {
            assert_eq!(brief(line), (who.to_owned(), what.to_owned()));
        }
    }

    #[test]
    fn columns_are_cut_or_filled() {
        assert_eq!(column("ab", 4), "ab  ");
        assert_eq!(column("äöüß!", 4), "äöü…");
    }
}
