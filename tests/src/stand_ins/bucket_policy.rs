//! The part of S3's bucket policies that MinIO cannot be asked to keep.

use axum::body::Bytes;
use serde_json::Value;

/// What a request would do, as a policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// `s3:PutObject`.
    pub action: &'a str,
    /// `arn:aws:s3:::bucket/key`.
    pub resource: &'a str,
    /// Whether it has the header `If-None-Match`.
    pub if_none_match: bool,
    /// Whether it makes the object; an upload's parts do not.
    pub creates_object: bool,
}

/// A bucket's policy: its text, and the denials for everybody in it.
///
/// A denial whose conditions are other than `Null` of `s3:if-none-match` and
/// `Bool` of `s3:ObjectCreationOperation` is kept and never applied.
#[derive(Debug, Clone)]
pub struct BucketPolicy {
    /// As it was put.
    pub text: Bytes,
    denials: Vec<Denial>,
}

#[derive(Debug, Clone)]
struct Denial {
    actions: Vec<String>,
    resources: Vec<String>,
    /// Whether `If-None-Match` must be absent for it to apply.
    if_none_match_absent: Option<bool>,
    creates_object: Option<bool>,
}

impl BucketPolicy {
    /// Reads a policy; none where it is not one.
    pub fn read(text: &Bytes) -> Option<Self> {
        let document: Value = serde_json::from_slice(text).ok()?;
        let statements = document.get("Statement")?;
        let statements = statements
            .as_array()
            .map_or_else(|| vec![statements], |all| all.iter().collect());
        Some(Self {
            text: text.clone(),
            denials: statements.into_iter().filter_map(Denial::read).collect(),
        })
    }

    /// Whether the policy looks at the header `If-None-Match`.
    pub fn names_if_none_match(&self) -> bool {
        self.denials
            .iter()
            .any(|denial| denial.if_none_match_absent.is_some())
    }

    /// Whether the policy denies the act.
    pub fn denies(&self, act: Act<'_>) -> bool {
        self.denials.iter().any(|denial| {
            denial
                .actions
                .iter()
                .any(|action| matches(&action.to_lowercase(), &act.action.to_lowercase()))
                && denial
                    .resources
                    .iter()
                    .any(|resource| matches(resource, act.resource))
                && denial
                    .if_none_match_absent
                    .is_none_or(|absent| absent != act.if_none_match)
                && denial
                    .creates_object
                    .is_none_or(|creates| creates == act.creates_object)
        })
    }
}

impl Denial {
    fn read(statement: &Value) -> Option<Self> {
        let principal = statement.get("Principal")?;
        let everybody =
            principal == "*" || principal.get("AWS").is_some_and(|aws| texts(aws) == ["*"]);
        if statement.get("Effect")? != "Deny" || !everybody {
            return None;
        }
        let mut denial = Self {
            actions: texts(statement.get("Action")?),
            resources: texts(statement.get("Resource")?),
            if_none_match_absent: None,
            creates_object: None,
        };
        let conditions = statement.get("Condition").and_then(Value::as_object);
        for (operator, keys) in conditions.into_iter().flatten() {
            for (key, value) in keys.as_object()? {
                let value = value == true || texts(value) == ["true"];
                match (operator.as_str(), key.to_lowercase().as_str()) {
                    ("Null", "s3:if-none-match") => denial.if_none_match_absent = Some(value),
                    ("Bool", "s3:objectcreationoperation") => denial.creates_object = Some(value),
                    _ => return None,
                }
            }
        }
        Some(denial)
    }
}

/// One text, or a list of them.
fn texts(value: &Value) -> Vec<String> {
    let one = value.as_str().map(|text| vec![text.to_owned()]);
    one.unwrap_or_else(|| {
        let all = value.as_array().into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    })
}

/// Whether `*` for any run of characters and `?` for one make the pattern the text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern.chars().count() == text.chars().count()
            && pattern
                .chars()
                .zip(text.chars())
                .all(|(want, have)| want == '?' || want == have);
    };
    let Some((head, tail)) = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .map(|at| text.split_at(at))
        .find(|(head, _)| head.chars().count() == before.chars().count())
    else {
        return false;
    };
    matches(before, head)
        && tail
            .char_indices()
            .map(|(at, _)| at)
            .chain([tail.len()])
            .any(|at| matches(after, &tail[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE_ONLY: &str = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"},
        {"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::logs/*",
         "Condition":{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}},
        {"Effect":"Deny","Principal":{"AWS":"*"},"Action":["s3:DeleteObject*"],"Resource":"arn:aws:s3:::logs/a?c*"}]}"#;

    fn act<'a>(action: &'a str, resource: &'a str) -> Act<'a> {
        Act {
            action,
            resource,
            if_none_match: false,
            creates_object: true,
        }
    }

    #[test]
    fn a_put_without_the_header_is_denied_and_one_with_it_is_not() {
        let policy = BucketPolicy::read(&Bytes::from(CREATE_ONLY)).unwrap();
        let put = act("s3:PutObject", "arn:aws:s3:::logs/a");
        assert!(policy.names_if_none_match());
        assert!(policy.denies(put));
        assert!(!policy.denies(Act {
            if_none_match: true,
            ..put
        }));
        assert!(!policy.denies(Act {
            creates_object: false,
            ..put
        }));
        assert!(!policy.denies(act("s3:PutObject", "arn:aws:s3:::other/a")));
    }

    #[test]
    fn patterns_of_actions_and_resources_are_heeded() {
        let policy = BucketPolicy::read(&Bytes::from(CREATE_ONLY)).unwrap();
        assert!(policy.denies(act("s3:DeleteObjectVersion", "arn:aws:s3:::logs/abc/d")));
        assert!(policy.denies(act("s3:deleteobject", "arn:aws:s3:::logs/a\u{e9}c")));
        assert!(!policy.denies(act("s3:DeleteObject", "arn:aws:s3:::logs/bbc")));
        assert!(!policy.denies(act("s3:GetObject", "arn:aws:s3:::logs/abc")));
    }

    #[test]
    fn a_denial_with_a_condition_that_cannot_be_judged_is_not_applied() {
        let text = r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*",
            "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}"#;
        let policy = BucketPolicy::read(&Bytes::from(text)).unwrap();
        assert!(!policy.denies(act("s3:PutObject", "arn:aws:s3:::logs/a")));
    }
}
