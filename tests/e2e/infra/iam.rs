//! Who may do what, by the rules of AWS IAM within one account: what is denied
//! anywhere is denied; else whoever is allowed by his own policy or by that of the
//! resource may do it.
//!
//! What it does not know, it does not guess: it panics.

use std::collections::BTreeMap;

use serde_json::Value;

/// Somebody, as policies see him.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who<'a> {
    /// A user or role of the account.
    Arn(&'a str),
    /// A service of AWS.
    Service(&'a str),
    /// Whom an issuer of tokens vouches for.
    Federated(&'a str),
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub(super) struct Act<'a> {
    pub(super) who: Who<'a>,
    /// `s3:PutObject`.
    pub(super) action: &'a str,
    /// The ARN of what it is done to.
    pub(super) resource: &'a str,
    /// Condition keys in lower case, and their values.
    pub(super) context: BTreeMap<String, Vec<String>>,
}

/// The statements of a policy.
#[derive(Clone, Debug)]
pub(super) struct Policy(Vec<Value>);

impl Policy {
    /// Reads a policy document, which must have statements.
    pub(super) fn parse(json: &str) -> Self {
        let document: Value = serde_json::from_str(json).unwrap();
        assert_eq!(document["Version"], "2012-10-17", "{json}");
        let statements = items(&document["Statement"]).to_vec();
        assert!(!statements.is_empty(), "no statement: {json}");
        Self(statements)
    }

    /// The statements whose effect this is, and which speak of the act.
    fn says(&self, effect: &str, act: &Act<'_>) -> bool {
        self.0
            .iter()
            .any(|statement| statement["Effect"] == effect && applies(statement, act))
    }

    /// The actions that any statement allows.
    pub(super) fn allowed_actions(&self) -> impl Iterator<Item = &str> {
        let allows = self.0.iter().filter(|one| one["Effect"] == "Allow");
        allows.flat_map(|statement| texts(&statement["Action"]))
    }
}

/// Whether the act is allowed, by the policies of who does it and of what it is
/// done to.
pub(super) fn allowed(own: &[&Policy], resource: Option<&Policy>, act: &Act<'_>) -> bool {
    let all = || own.iter().copied().chain(resource);
    !all().any(|policy| policy.says("Deny", act)) && all().any(|policy| policy.says("Allow", act))
}

fn applies(statement: &Value, act: &Act<'_>) -> bool {
    let known = [
        "Sid",
        "Effect",
        "Principal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ];
    let members = statement.as_object().unwrap();
    let unknown = members.keys().find(|key| !known.contains(&key.as_str()));
    assert_eq!(unknown, None, "{statement}");
    let either = |any: &str, all_but: &str, fits: &dyn Fn(&str) -> bool| {
        match (statement.get(any), statement.get(all_but)) {
            (Some(patterns), None) => texts(patterns).any(fits),
            (None, Some(patterns)) => !texts(patterns).any(fits),
            // A policy of trust names no resource: it is the role's own.
            (None, None) if any == "Resource" => true,
            _ => panic!("neither or both of {any} and {all_but}: {statement}"),
        }
    };
    let action = |pattern: &str| {
        matches(
            &pattern.to_ascii_lowercase(),
            &act.action.to_ascii_lowercase(),
        )
    };
    either("Action", "NotAction", &action)
        && either("Resource", "NotResource", &|pattern| {
            matches(pattern, act.resource)
        })
        && statement
            .get("Principal")
            .is_none_or(|principal| names(principal, act.who))
        && statement
            .get("Condition")
            .is_none_or(|condition| holds(condition, &act.context))
}

fn names(principal: &Value, who: Who<'_>) -> bool {
    if principal == "*" {
        return true;
    }
    principal.as_object().unwrap().iter().any(|(kind, named)| {
        texts(named).any(|named| match (kind.as_str(), who) {
            ("AWS", _) if named == "*" => true,
            ("AWS", Who::Arn(arn)) => named == arn,
            ("Service", Who::Service(service)) => named == service,
            ("Federated", Who::Federated(issuer)) => named == issuer,
            ("AWS" | "Service" | "Federated", _) => false,
            _ => panic!("a principal of an unknown kind: {kind}"),
        })
    })
}

fn holds(condition: &Value, context: &BTreeMap<String, Vec<String>>) -> bool {
    condition
        .as_object()
        .unwrap()
        .iter()
        .all(|(operator, keys)| {
            keys.as_object().unwrap().iter().all(|(key, wanted)| {
                let found = context.get(&key.to_ascii_lowercase());
                compare(operator, wanted, found.map(Vec::as_slice))
            })
        })
}

fn compare(operator: &str, wanted: &Value, found: Option<&[String]>) -> bool {
    let equal = |value: &String| texts(wanted).any(|wanted| wanted == value);
    let like = |value: &String| texts(wanted).any(|wanted| matches(wanted, value));
    match operator {
        "StringEquals" => found.is_some_and(|found| found.iter().any(equal)),
        "StringLike" | "ArnEquals" | "ArnLike" => found.is_some_and(|found| found.iter().any(like)),
        "Bool" => found.is_some_and(|found| found.iter().any(equal)),
        "Null" => {
            let absent = found.is_none().to_string();
            texts(wanted).any(|wanted| wanted == absent)
        }
        // So IAM has it: also where the key is absent.
        "ForAllValues:StringEquals" => found.is_none_or(|found| found.iter().all(equal)),
        "ForAllValues:StringLike" => found.is_none_or(|found| found.iter().all(like)),
        _ => panic!("an unknown operator: {operator}"),
    }
}

/// One value, or the items of a list.
fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    items(value)
        .iter()
        .map(|item| item.as_str().unwrap_or_else(|| panic!("no text: {item}")))
}

/// Whether `*` for any run of characters and `?` for one make the pattern the text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| matches(rest, &text[at..]))
        }
        Some(wanted) => {
            let mut chars = text.chars();
            let same = chars.next().is_some_and(|c| wanted == '?' || wanted == c);
            same && matches(&pattern[wanted.len_utf8()..], chars.as_str())
        }
    }
}

fn act<'a>(action: &'a str, resource: &'a str, context: &[(&str, &str)]) -> Act<'a> {
    let context = context
        .iter()
        .map(|(key, value)| (key.to_ascii_lowercase(), vec![(*value).to_owned()]));
    Act {
        who: Who::Arn("arn:aws:iam::1:role/r"),
        action,
        resource,
        context: context.collect(),
    }
}

fn policy(statements: &Value) -> Policy {
    let document = serde_json::json!({"Version": "2012-10-17", "Statement": statements});
    Policy::parse(&document.to_string())
}

#[test]
fn a_denial_prevails_and_nothing_is_allowed_by_itself() {
    let read = policy(&serde_json::json!({
        "Effect": "Allow", "Action": ["s3:Get*"], "Resource": "arn:aws:s3:::b/*",
    }));
    let deny = policy(&serde_json::json!({
        "Effect": "Deny", "Principal": "*", "NotAction": "s3:GetObject", "Resource": "*",
    }));
    let get = act("s3:getobject", "arn:aws:s3:::b/k", &[]);
    let tags = act("s3:GetObjectTagging", "arn:aws:s3:::b/k", &[]);
    let other = act("s3:GetObject", "arn:aws:s3:::c/k", &[]);
    assert!(allowed(&[&read], None, &get) && allowed(&[&read], Some(&deny), &get));
    assert!(allowed(&[&read], None, &tags) && !allowed(&[&read], Some(&deny), &tags));
    assert!(!allowed(&[&read], None, &other) && !allowed(&[], None, &get));
}

#[test]
fn conditions_compare_as_iam_does() {
    let of = |operator: &str, wanted: Value| {
        policy(&serde_json::json!({
            "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {operator: {"s3:Key": wanted}},
        }))
    };
    for (operator, wanted, found, holds) in [
        ("StringEquals", "x", Some("x"), true),
        ("StringEquals", "x*", Some("xy"), false),
        ("StringEquals", "x", None, false),
        ("StringLike", "x*", Some("xy"), true),
        ("Null", "true", None, true),
        ("Null", "true", Some("*"), false),
        ("Null", "false", Some("*"), true),
        ("Bool", "false", Some("false"), true),
        ("Bool", "false", Some("true"), false),
        ("ForAllValues:StringLike", "head-*", Some("head-1"), true),
        (
            "ForAllValues:StringLike",
            "head-*",
            Some("witness-1"),
            false,
        ),
        ("ForAllValues:StringLike", "head-*", None, true),
    ] {
        let found: Vec<_> = found.iter().map(|found| ("S3:key", *found)).collect();
        let act = act("a:B", "r", &found);
        let policy = of(operator, Value::from(wanted));
        assert_eq!(
            allowed(&[&policy], None, &act),
            holds,
            "{operator} {wanted} {found:?}"
        );
    }
}

#[test]
#[should_panic(expected = "an unknown operator: NumericLessThan")]
fn what_is_not_known_is_not_guessed() {
    let condition = serde_json::json!({"NumericLessThan": {"s3:max-keys": "1"}});
    let policy = policy(&serde_json::json!({
        "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition,
    }));
    allowed(&[&policy], None, &act("a:B", "r", &[]));
}
