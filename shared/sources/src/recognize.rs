//! Which log an event comes from and when it happened, by its members.

use std::borrow::Cow;

use countersign_core::json::scan;
use countersign_core::record::Cloud;
use countersign_core::time;

/// What an event's members say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognized<'a> {
    /// The cloud, where the source is recognized.
    pub cloud: Option<Cloud>,
    /// The source, such as `aws.cloudtrail`; `json` for any other JSON.
    pub source: &'static str,
    /// The event's own time in UTC, where it has one in RFC 3339.
    pub time: Option<Cow<'a, str>>,
}

/// Recognizes a JSON event by its members. `member` gives the JSON of a member's
/// value; of several members of one name, the last.
pub fn recognize<'a>(member: impl Fn(&str) -> Option<&'a [u8]>) -> Recognized<'a> {
    let has_all = |names: &[&str]| names.iter().all(|name| member(name).is_some());
    let (cloud, source, time) = if has_all(&["eventVersion", "eventSource", "eventName"]) {
        (Cloud::Aws, "aws.cloudtrail", "eventTime")
    } else if let Some(resource_id) = member("resourceId")
        && let Some(category) = member("category")
        && member("operationName").is_some()
    {
        (Cloud::Azure, azure(category, resource_id), "time")
    } else if member("logName").is_some() {
        (Cloud::Gcp, gcp(member("protoPayload")), "timestamp")
    } else {
        return Recognized {
            cloud: None,
            source: "json",
            time: None,
        };
    };
    Recognized {
        cloud: Some(cloud),
        source,
        time: member(time).and_then(utc),
    }
}

/// Categories of Microsoft Entra logs, besides those that end in `SignInLogs`.
const ENTRA: [&str; 6] = [
    "AuditLogs",
    "ProvisioningLogs",
    "RiskyUsers",
    "UserRiskEvents",
    "RiskyServicePrincipals",
    "ServicePrincipalRiskEvents",
];

/// Categories of the Azure Activity log, and what its older exports call them.
const ACTIVITY: [&str; 11] = [
    "Administrative",
    "Policy",
    "Security",
    "ServiceHealth",
    "Alert",
    "Autoscale",
    "Recommendation",
    "ResourceHealth",
    "Write",
    "Delete",
    "Action",
];

fn azure(category: &[u8], resource_id: &[u8]) -> &'static str {
    let category = scan::string(category).unwrap_or_default();
    let tenant = "/tenants/";
    let of_tenant = scan::string(resource_id)
        .and_then(|id| Some(id.get(..tenant.len())?.eq_ignore_ascii_case(tenant)));
    if category.ends_with("SignInLogs")
        || ENTRA.contains(&&*category)
        || of_tenant.unwrap_or_default()
    {
        "azure.entra"
    } else if ACTIVITY.contains(&&*category) {
        "azure.activity"
    } else {
        "azure.resource"
    }
}

fn gcp(proto_payload: Option<&[u8]>) -> &'static str {
    let kind = proto_payload.and_then(|payload| {
        let kinds = scan::members(payload)
            .filter(|(name, _)| scan::string(name).is_some_and(|name| name == "@type"));
        scan::string(kinds.last()?.1)
    });
    match kind {
        Some(kind) if kind.ends_with("AuditLog") => "gcp.audit",
        _ => "gcp.log",
    }
}

fn utc(value: &[u8]) -> Option<Cow<'_, str>> {
    match scan::string(value)? {
        Cow::Borrowed(text) => time::to_utc(text),
        Cow::Owned(text) => time::to_utc(&text).map(|utc| Cow::Owned(utc.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognized(event: &str) -> (Option<Cloud>, &'static str, Option<String>) {
        let members: Vec<_> = scan::members(event.as_bytes()).collect();
        let member = |name: &str| {
            let of = |(found, _): &&(&[u8], &[u8])| {
                scan::string(found).is_some_and(|found| found == name)
            };
            members.iter().rfind(of).map(|(_, value)| *value)
        };
        let recognized = recognize(member);
        (
            recognized.cloud,
            recognized.source,
            recognized.time.map(Cow::into_owned),
        )
    }

    #[test]
    fn the_first_source_that_matches_is_taken() {
        let trail = r#"{"eventVersion":"1.08","eventSource":"s","eventName":"n","eventTime":"2023-07-10T11:42:36Z","logName":"x"}"#;
        assert_eq!(
            recognized(trail),
            (
                Some(Cloud::Aws),
                "aws.cloudtrail",
                Some("2023-07-10T11:42:36Z".into())
            )
        );
        for (category, resource_id, source) in [
            ("\"Administrative\"", "/SUBSCRIPTIONS/1", "azure.activity"),
            ("\"Write\"", "/subscriptions/1", "azure.activity"),
            ("\"NonInteractiveUserSignInLogs\"", "/x", "azure.entra"),
            ("\"AuditLogs\"", "/x", "azure.entra"),
            ("\"AppServiceAuditLogs\"", "/x", "azure.resource"),
            (
                "\"MicrosoftGraphActivityLogs\"",
                "/TENANTS/1/providers",
                "azure.entra",
            ),
            ("\"Administrative\"", "/Tenants/1", "azure.entra"),
            ("7", "/x", "azure.resource"),
        ] {
            let event = format!(
                r#"{{"time":"2024-01-01T01:00:00.1234567+01:00","resourceId":"{resource_id}","operationName":{{}},"category":{category}}}"#
            );
            assert_eq!(
                recognized(&event),
                (
                    Some(Cloud::Azure),
                    source,
                    Some("2024-01-01T00:00:00.1234567Z".into())
                ),
                "{event}"
            );
        }
        for (payload, source) in [
            (
                r#"{"@type":"type.googleapis.com/google.cloud.audit.AuditLog"}"#,
                "gcp.audit",
            ),
            (r#"{"\u0040type":"AuditLog"}"#, "gcp.audit"),
            (r#"{"@type":"AuditLogs"}"#, "gcp.log"),
            ("\"AuditLog\"", "gcp.log"),
        ] {
            let event = format!(r#"{{"logName":"l","protoPayload":{payload},"timestamp":"2024"}}"#);
            assert_eq!(recognized(&event), (Some(Cloud::Gcp), source, None));
        }
        assert_eq!(
            recognized(r#"{"time":"2024-01-01T00:00:00Z"}"#),
            (None, "json", None)
        );
        assert_eq!(recognized("[1]"), (None, "json", None));
        assert_eq!(
            recognized(
                r#"{"logName":1,"timestamp":"2024-01-01T00:00:00Z","timestamp":"2025-01-01T00:00:00\u005a"}"#
            ),
            (
                Some(Cloud::Gcp),
                "gcp.log",
                Some("2025-01-01T00:00:00Z".into())
            )
        );
    }
}
