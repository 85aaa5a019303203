//! What a bucket's policy denies to everybody, and should.

use serde_json::Value;

use super::S3SealedStore;
use super::posture::{has_code, holds, store};
use crate::posture::{Setting, SettingState};

/// Keys of the kinds of objects that a chain has: what is denied on some and
/// not on others is not denied.
const SAMPLES: [&str; 4] = [
    "genesis.json",
    "segments/00000000000000000000",
    "checkpoints/1",
    "anchors/a/1",
];

/// What a denial in the bucket's policy keeps from happening.
struct Rule {
    name: &'static str,
    /// The actions, and whether each is on objects rather than on the bucket.
    actions: &'static [(&'static str, bool)],
    when: When,
    why: &'static str,
}

const RULES: [Rule; 5] = [
    Rule {
        name: "Bucket policy: deletions",
        actions: &[("s3:DeleteObject", true), ("s3:DeleteObjectVersion", true)],
        when: When::Always,
        why: "whoever may delete can put a delete marker over an object, lock or not: readers no longer find it, and its key can be put again",
    },
    Rule {
        name: "Bucket policy: create-only puts",
        actions: &[("s3:PutObject", true)],
        when: When::NotCreateOnly,
        why: "whoever may put can put a second version over an object: readers get that one",
    },
    Rule {
        name: "Bucket policy: weaker locks",
        actions: &[
            ("s3:BypassGovernanceRetention", true),
            ("s3:PutBucketObjectLockConfiguration", false),
        ],
        when: When::Always,
        why: "whoever may lift a governance lock can delete what it holds, and whoever may change the default retention can shorten that of objects to come",
    },
    Rule {
        name: "Bucket policy: replication into it",
        actions: &[("s3:ReplicateObject", true), ("s3:ReplicateDelete", true)],
        when: When::Always,
        why: "whoever may replicate into the bucket can put versions and delete markers over objects past the other denials",
    },
    Rule {
        name: "Bucket policy: TLS",
        actions: &[("s3:GetObject", true), ("s3:PutObject", true)],
        when: When::NotTls,
        why: "requests without TLS can be read and changed on their way",
    },
];

impl S3SealedStore {
    /// One setting for each thing that the policy should deny.
    pub(super) async fn policy(&self) -> Vec<Setting> {
        let asked = self
            .client
            .get_bucket_policy()
            .bucket(&self.bucket.name)
            .send()
            .await;
        let policy = match asked {
            Ok(output) => output.policy.as_deref().and_then(Policy::parse),
            Err(error) if has_code(&error, "NoSuchBucketPolicy") => Some(Policy::default()),
            Err(error) => {
                let state = self.unknown(&error, "s3:GetBucketPolicy");
                return RULES.map(|rule| store(rule.name, state.clone())).into();
            }
        };
        let Some(policy) = policy else {
            let state = SettingState::Unknown {
                reason: "the bucket's policy is no policy document".to_owned(),
                permission: None,
            };
            return RULES.map(|rule| store(rule.name, state.clone())).into();
        };
        RULES
            .map(|rule| store(rule.name, self.judge(&policy, &rule)))
            .into()
    }

    fn judge(&self, policy: &Policy, rule: &Rule) -> SettingState {
        let allowed: Vec<_> = rule
            .actions
            .iter()
            .filter(|(action, on_objects)| {
                let denied = |resource: &str| policy.denies(action, resource, rule.when);
                if *on_objects {
                    !SAMPLES
                        .iter()
                        .all(|key| denied(&format!("{}/{}", self.bucket.name, self.full(key))))
                } else {
                    !denied(&self.bucket.name)
                }
            })
            .map(|(action, _)| *action)
            .collect();
        let all: Vec<_> = rule.actions.iter().map(|(action, _)| *action).collect();
        if allowed.is_empty() {
            return holds(format!("{} denied to everybody", all.join(" and ")));
        }
        let (case, condition) = match rule.when {
            When::NotCreateOnly => (
                " without If-None-Match",
                r#","Condition":{"Null":{"s3:if-none-match":"true"}}"#,
            ),
            When::NotTls => (
                " without TLS",
                r#","Condition":{"Bool":{"aws:SecureTransport":"false"}}"#,
            ),
            When::Always | When::Other => ("", ""),
        };
        let bucket = &self.bucket.name;
        SettingState::Weak {
            open: false,
            expected: format!("{}{case} denied to everybody", all.join(" and ")),
            found: format!(
                "{}{case} not denied, or with exceptions",
                allowed.join(" and ")
            ),
            why: rule.why.to_owned(),
            mend: format!(
                r#"add to the bucket's policy (aws s3api put-bucket-policy): {{"Effect":"Deny","Principal":"*","Action":["{}"],"Resource":["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"]{condition}}}"#,
                all.join(r#"",""#)
            ),
        }
    }
}

/// The denials of a bucket policy.
#[derive(Debug, Default)]
struct Policy {
    denials: Vec<Denial>,
}

/// When a denial applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Always.
    Always,
    /// To puts without `If-None-Match`.
    NotCreateOnly,
    /// To requests without TLS.
    NotTls,
    /// In cases that this does not look into, so that some may be exempt.
    Other,
}

#[derive(Debug)]
struct Denial {
    actions: Matches,
    resources: Matches,
    when: When,
}

#[derive(Debug)]
enum Matches {
    Any(Vec<String>),
    AllBut(Vec<String>),
}

impl Policy {
    /// Reads a policy document. `None` where it is none.
    fn parse(json: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(json).ok()?;
        let denials = items(document.get("Statement")?)
            .filter(|statement| statement.get("Effect").and_then(Value::as_str) == Some("Deny"))
            // Whoever is left out of a denial may do it.
            .filter(|statement| statement.get("Principal").is_some_and(is_everybody))
            .filter_map(|statement| {
                Some(Denial {
                    actions: matches(statement, "Action", "NotAction")?,
                    resources: matches(statement, "Resource", "NotResource")?,
                    when: when(statement.get("Condition")),
                })
            });
        Some(Self {
            denials: denials.collect(),
        })
    }

    /// Whether everybody is denied `action` on `resource` (`bucket` or
    /// `bucket/key`), always or at least in the case `when`.
    fn denies(&self, action: &str, resource: &str, when: When) -> bool {
        self.denials.iter().any(|denial| {
            (denial.when == When::Always || denial.when == when)
                && denial.actions.hold(|pattern| {
                    fits(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
                })
                && denial.resources.hold(|pattern| {
                    // Whatever the partition: aws, aws-cn, aws-us-gov.
                    let name = pattern.rsplit(":::").next().unwrap_or(pattern);
                    fits(name, resource)
                })
        })
    }
}

impl Matches {
    fn hold(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Any(patterns) => patterns.iter().any(|pattern| fits(pattern)),
            Self::AllBut(patterns) => !patterns.iter().any(|pattern| fits(pattern)),
        }
    }
}

/// One value, or the items of a list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(items) => items.iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

fn strings(value: &Value) -> Vec<String> {
    items(value)
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn matches(statement: &Value, any: &str, all_but: &str) -> Option<Matches> {
    match (statement.get(any), statement.get(all_but)) {
        (Some(patterns), _) => Some(Matches::Any(strings(patterns))),
        (None, Some(patterns)) => Some(Matches::AllBut(strings(patterns))),
        (None, None) => None,
    }
}

fn is_everybody(principal: &Value) -> bool {
    let star = |value: &Value| items(value).any(|item| item.as_str() == Some("*"));
    star(principal) || principal.get("AWS").is_some_and(star)
}

fn when(condition: Option<&Value>) -> When {
    let Some(condition) = condition.filter(|value| value.as_object().is_none_or(|o| !o.is_empty()))
    else {
        return When::Always;
    };
    // One operator with one key: more of them exempt more requests.
    let single = |value: &Value| {
        let object = value.as_object()?;
        let (key, value) = object.iter().next()?;
        (object.len() == 1).then(|| (key.clone(), value.clone()))
    };
    let found = single(condition).and_then(|(operator, keys)| {
        let (key, value) = single(&keys)?;
        let mut values = items(&value);
        let value = match values.next()? {
            Value::Bool(value) => value.to_string(),
            value => value.as_str()?.to_ascii_lowercase(),
        };
        let alone = values.next().is_none();
        alone.then(|| (operator, key.to_ascii_lowercase(), value))
    });
    match &found {
        Some((operator, key, value)) => match (&**operator, &**key, &**value) {
            ("Null", "s3:if-none-match", "true") => When::NotCreateOnly,
            ("Bool" | "BoolIfExists", "aws:securetransport", "false") => When::NotTls,
            _ => When::Other,
        },
        None => When::Other,
    }
}

/// Whether `text` fits a pattern of IAM: `*` any characters, `?` any one.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut star {
                Some((at, reach)) => {
                    *reach += 1;
                    (p, t) = (*at + 1, *reach);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_iam() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "s3:GetObject"),
            ("s3:*", "s3:GetObject"),
            ("s3:Delete*", "s3:DeleteObjectVersion"),
            ("*object", "getobject"),
            ("b/*/x*z", "b/a/b/xyz"),
            ("a?c", "abc"),
            ("**", "a"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("s3:Get", "s3:GetObject"),
            ("a?c", "ac"),
            ("*x", "xy"),
            ("b/*", "b"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    fn policy(statements: &str) -> Policy {
        Policy::parse(&format!(
            r#"{{"Version":"2012-10-17","Statement":{statements}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn what_everybody_is_denied_is_denied() {
        let policy = policy(
            r#"[{"Effect":"Deny","Principal":"*","Action":"s3:DeleteObject*","Resource":"arn:aws:s3:::b/*"},
                {"Effect":"Deny","Principal":{"AWS":["*"]},"Action":["s3:PutObject"],"Resource":["arn:aws:s3:::b/*"],
                 "Condition":{"Null":{"s3:if-none-match":"true"}}},
                {"Effect":"Deny","Principal":"*","NotAction":"s3:Get*","Resource":["arn:aws-cn:s3:::b"]},
                {"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]"#,
        );
        assert!(policy.denies("s3:DeleteObject", "b/k", When::Always));
        assert!(policy.denies("s3:deleteobjectversion", "b/k", When::Always));
        assert!(!policy.denies("s3:DeleteObject", "c/k", When::Always));
        assert!(!policy.denies("s3:GetObject", "b/k", When::Always));
        assert!(policy.denies("s3:PutObject", "b/k", When::NotCreateOnly));
        assert!(!policy.denies("s3:PutObject", "b/k", When::Always));
        assert!(policy.denies("s3:PutBucketVersioning", "b", When::Always));
        assert!(!policy.denies("s3:GetBucketPolicy", "b", When::Always));
        assert!(policy.denies("s3:GetObject", "b/k", When::NotTls));
    }

    #[test]
    fn a_denial_that_exempts_somebody_is_none() {
        for statement in [
            r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}"#,
            r#"{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"*","Resource":"*"}"#,
            r#"{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::1:root"},"Action":"*","Resource":"*"}"#,
            r#"{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*",
                "Condition":{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::1:role/admin"}}}"#,
            r#"{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*",
                "Condition":{"Null":{"s3:if-none-match":"true"},"Bool":{"aws:SecureTransport":"false"}}}"#,
            r#"{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*",
                "Condition":{"Null":{"s3:if-none-match":"true","aws:TokenAge":"true"}}}"#,
            r#"{"Effect":"Deny","Principal":"*","Action":"*"}"#,
        ] {
            let policy = policy(statement);
            for when in [When::Always, When::NotCreateOnly, When::NotTls] {
                assert!(!policy.denies("s3:PutObject", "b/k", when), "{statement}");
            }
        }
        assert!(Policy::parse("no json").is_none());
        assert!(Policy::parse("{}").is_none());
    }
}
