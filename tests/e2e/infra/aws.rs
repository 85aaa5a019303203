//! A table of who may do what on AWS, worked out from the module's policies.

use std::collections::BTreeMap;

use super::iam::{Act, Policy, Who, allowed};
use super::{State, aws_module};

/// The identities of the module, one that may do everything in the account, and
/// one that has no policy.
const IDENTITIES: [&str; 8] = [
    "seal",
    "anchor",
    "verify",
    "reader",
    "auditor",
    "scheduler",
    "administrator",
    "stranger",
];

/// What the policies of a deployment are.
pub(super) struct Policies<'a> {
    state: &'a State,
    own: BTreeMap<&'static str, Policy>,
    /// The policies of resources by what the ARNs of these begin with.
    of_resources: Vec<(String, Policy)>,
}

impl<'a> Policies<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        let mut own = BTreeMap::new();
        for identity in IDENTITIES {
            let address = match identity {
                "seal" | "anchor" | "verify" => format!("aws_iam_role_policy.job[\"{identity}\"]"),
                "administrator" => {
                    let all = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
                    own.insert(identity, Policy::parse(all));
                    continue;
                }
                "stranger" => continue,
                _ => format!("aws_iam_role_policy.{identity}[0]"),
            };
            own.insert(identity, Policy::parse(state.text(&address, "policy")));
        }
        let mut policies = Self {
            state,
            own,
            of_resources: Vec::new(),
        };
        for chain in ["app", "aws"] {
            let policy = state.text(
                &format!("aws_s3_bucket_policy.sealed[\"{chain}\"]"),
                "policy",
            );
            let arn = policies.bucket(chain);
            policies.of_resources.push((arn, Policy::parse(policy)));
        }
        let queue = Policy::parse(state.text("aws_sqs_queue_policy.logs", "policy"));
        let arn = policies.arn("sqs", "countersign-logs");
        policies.of_resources.push((arn, queue));
        policies
    }

    /// An ARN in the deployment's region and account.
    fn arn(&self, service: &str, resource: &str) -> String {
        let of =
            |data: &str, member: &str| self.state.text(&format!("data.{data}.current"), member);
        let (partition, region) = (of("aws_partition", "partition"), of("aws_region", "region"));
        let account = of("aws_caller_identity", "account_id");
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }

    fn bucket(&self, chain: &str) -> String {
        let partition = self.state.text("data.aws_partition.current", "partition");
        let address = format!("aws_s3_bucket.sealed[\"{chain}\"]");
        format!(
            "arn:{partition}:s3:::{}",
            self.state.text(&address, "bucket")
        )
    }

    /// The ARN that `{…}` in a row of the table stands for.
    fn resource(&self, text: &str) -> String {
        let Some((name, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}'))
        else {
            return text.to_owned();
        };
        let arn = match name {
            "aws" | "app" => self.bucket(name),
            "trail" => {
                let partition = self.state.text("data.aws_partition.current", "partition");
                format!("arn:{partition}:s3:::trail")
            }
            "heads" => self.arn("dynamodb", "table/countersign-heads"),
            "queue" => self.arn("sqs", "countersign-logs"),
            "secret" => self.arn("secretsmanager", "secret:"),
            "function" => self.arn("lambda", "function:countersign-"),
            "log" => self.arn("logs", "log-group:/aws/lambda/countersign-"),
            other => panic!("{other}"),
        };
        arn + rest
    }

    /// Whether the identity may do it.
    fn may(&self, identity: &str, act: &Act<'_>) -> bool {
        let fits = |arn: &str| {
            let rest = act.resource.strip_prefix(arn);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let of_resource = self.of_resources.iter().find(|(arn, _)| fits(arn));
        let own: Vec<_> = self.own.get(identity).into_iter().collect();
        allowed(&own, of_resource.map(|(_, policy)| policy), act)
    }

    /// Who may do it, in the order of the identities.
    pub(super) fn who_may(
        &self,
        action: &str,
        resource: &str,
        context: &[(&str, &str)],
    ) -> Vec<&'static str> {
        let resource = self.resource(resource);
        let act = Act {
            who: Who::Arn("arn:aws:iam::1:role/somebody"),
            action,
            resource: &resource,
            context: with_tls(context),
        };
        let may = IDENTITIES.into_iter().filter(|who| self.may(who, &act));
        may.collect()
    }
}

/// Requests come with TLS, unless it is said otherwise.
fn with_tls(context: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let tls = [("aws:SecureTransport", "true")];
    let all = tls.iter().chain(context);
    all.map(|(key, value)| (key.to_ascii_lowercase(), vec![(*value).to_owned()]))
        .collect()
}

/// What is done, to what, with what in the request, and who may.
const TABLE: &str = "
s3:PutObject                        | {aws}/segments/0                       | create    | seal anchor administrator
s3:PutObjectRetention               | {aws}/segments/0                       | -         | seal anchor administrator
s3:PutObject                        | {app}/segments/0                       | create    | anchor administrator
s3:PutObject                        | {aws}/tile/0/000                       | create    | anchor administrator
s3:PutObject                        | {aws}/index/1                          | create    | anchor administrator
s3:PutObject                        | {aws}/checkpoints/1                    | create    | anchor administrator
s3:PutObject                        | {aws}/anchors/a/1.2                    | create    | anchor administrator
s3:PutObject                        | {aws}/evidence/1                       | create    | anchor administrator
s3:PutObject                        | {app}/reports/1                        | create    | verify administrator
s3:PutObject                        | {aws}/reports/1                        | create    | administrator
s3:PutObject                        | {aws}/genesis.json                     | create    | administrator
s3:PutObject                        | {aws}/segments                         | create    | administrator
s3:PutObject                        | {trail}/AWSLogs/1/CloudTrail/f.json.gz | create    | administrator
s3:PutObject                        | {aws}/segments/0                       | -         | nobody
s3:PutObject                        | {app}/genesis.json                     | -         | nobody
s3:PutObject                        | {app}/reports/1                        | -         | nobody
s3:DeleteObject                     | {aws}/segments/0                       | -         | nobody
s3:DeleteObjectVersion              | {aws}/segments/0                       | -         | nobody
s3:DeleteObject                     | {app}/anchors/a/1.2                    | -         | nobody
s3:BypassGovernanceRetention        | {aws}/segments/0                       | -         | nobody
s3:PutObjectLegalHold               | {aws}/segments/0                       | -         | nobody
s3:ReplicateObject                  | {aws}/segments/0                       | -         | nobody
s3:ReplicateDelete                  | {aws}/segments/0                       | -         | nobody
s3:DeleteObject                     | {trail}/AWSLogs/1/CloudTrail/f.json.gz | -         | administrator
s3:GetObject                        | {aws}/segments/0                       | -         | seal anchor verify reader auditor administrator
s3:GetObject                        | {app}/segments/0                       | -         | anchor verify reader auditor administrator
s3:GetObject                        | {aws}/segments/0                       | no TLS    | nobody
s3:ListBucket                       | {aws}                                  | -         | seal anchor verify reader auditor administrator
s3:ListBucket                       | {app}                                  | -         | anchor verify reader auditor administrator
s3:ListBucketVersions               | {aws}                                  | -         | verify reader auditor administrator
s3:GetObjectRetention               | {aws}/segments/0                       | -         | verify reader auditor administrator
s3:GetObject                        | {trail}/AWSLogs/1/CloudTrail/f.json.gz | -         | seal administrator
s3:GetObjectVersion                 | {trail}/AWSLogs/1/CloudTrail/f.json.gz | -         | seal administrator
s3:GetObject                        | {trail}/else                           | -         | administrator
s3:PutBucketObjectLockConfiguration | {aws}                                  | -         | nobody
s3:GetBucketObjectLockConfiguration | {aws}                                  | -         | verify reader auditor administrator
s3:GetBucketVersioning              | {app}                                  | -         | verify reader auditor administrator
s3:GetBucketPolicy                  | {aws}                                  | -         | verify reader auditor administrator
s3:GetLifecycleConfiguration        | {aws}                                  | -         | verify reader auditor administrator
s3:GetReplicationConfiguration      | {aws}                                  | -         | verify reader auditor administrator
s3:GetEncryptionConfiguration       | {aws}                                  | -         | verify reader auditor administrator
s3:GetBucketPublicAccessBlock       | {aws}                                  | -         | verify reader auditor administrator
s3:GetBucketOwnershipControls       | {aws}                                  | -         | verify reader auditor administrator
s3:PutBucketPolicy                  | {aws}                                  | -         | administrator
s3:DeleteBucketPolicy               | {aws}                                  | -         | administrator
s3:PutBucketVersioning              | {aws}                                  | -         | administrator
s3:PutLifecycleConfiguration        | {aws}                                  | -         | administrator
s3:DeleteBucket                     | {aws}                                  | -         | administrator
dynamodb:GetItem                    | {heads}                                | head      | seal anchor verify reader auditor administrator
dynamodb:GetItem                    | {heads}                                | witness   | anchor verify reader auditor administrator
dynamodb:PutItem                    | {heads}                                | head      | seal anchor administrator
dynamodb:PutItem                    | {heads}                                | witness   | anchor administrator
dynamodb:PutItem                    | {heads}                                | outside   | anchor administrator
dynamodb:PutItem                    | {heads}                                | found     | verify administrator
dynamodb:DeleteItem                 | {heads}                                | head      | administrator
dynamodb:UpdateItem                 | {heads}                                | head      | administrator
dynamodb:DeleteTable                | {heads}                                | -         | administrator
secretsmanager:GetSecretValue       | {secret}countersign-chain-aws-AbCdEf   | -         | seal anchor administrator
secretsmanager:GetSecretValue       | {secret}countersign-chain-app-AbCdEf   | -         | anchor administrator
secretsmanager:GetSecretValue       | {secret}countersign-witness-AbCdEf     | -         | anchor administrator
secretsmanager:GetSecretValue       | {secret}countersign-report-AbCdEf      | -         | verify administrator
secretsmanager:GetSecretValue       | {secret}smtp-AbCdEf                    | -         | anchor verify administrator
secretsmanager:GetSecretValue       | {secret}else-AbCdEf                    | -         | administrator
secretsmanager:PutSecretValue       | {secret}countersign-chain-aws-AbCdEf   | -         | administrator
secretsmanager:DeleteSecret         | {secret}countersign-chain-aws-AbCdEf   | -         | administrator
kms:Decrypt                         | arn:aws:kms:r:1:key/trail              | -         | seal administrator
sqs:ReceiveMessage                  | {queue}                                | -         | seal administrator
sqs:DeleteMessage                   | {queue}                                | -         | seal administrator
sqs:ReceiveMessage                  | {queue}                                | no TLS    | nobody
sqs:SendMessage                     | {queue}                                | -         | administrator
sqs:PurgeQueue                      | {queue}                                | -         | administrator
lambda:InvokeFunction               | {function}anchor                       | -         | scheduler administrator
lambda:InvokeFunction               | {function}verify                       | -         | scheduler administrator
lambda:InvokeFunction               | {function}seal                         | -         | administrator
lambda:UpdateFunctionCode           | {function}anchor                       | -         | administrator
sts:GetWebIdentityToken             | *                                      | for Azure | anchor verify administrator
sts:GetWebIdentityToken             | *                                      | for else  | administrator
logs:PutLogEvents                   | {log}seal:log-stream:s                 | -         | seal administrator
logs:DeleteLogStream                | {log}seal:log-stream:s                 | -         | administrator
iam:PutRolePolicy                   | arn:aws:iam::1:role/countersign-seal   | -         | administrator
";

/// What else is in a request, by the table's word for it.
fn context(word: &str) -> &'static [(&'static str, &'static str)] {
    match word {
        "-" => &[],
        "create" => &[("s3:if-none-match", "*")],
        "no TLS" => &[("aws:SecureTransport", "false")],
        "head" => &[("dynamodb:LeadingKeys", "head-0")],
        "witness" => &[("dynamodb:LeadingKeys", "witness-0-1")],
        "outside" => &[("dynamodb:LeadingKeys", "outside-0-1-2")],
        "found" => &[("dynamodb:LeadingKeys", "verification")],
        "for Azure" => &[("sts:IdentityTokenAudience", "api://AzureADTokenExchange")],
        "for else" => &[("sts:IdentityTokenAudience", "https://else")],
        other => panic!("{other}"),
    }
}

#[test]
fn each_identity_may_do_just_what_its_job_takes() {
    let Some(state) = aws_module() else { return };
    let policies = Policies::new(state);
    let mut wrong = Vec::new();
    for row in TABLE.trim().lines() {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        let [action, resource, with, expected] = columns[..] else {
            panic!("{row}")
        };
        let may = policies.who_may(action, resource, context(with));
        let should = IDENTITIES
            .into_iter()
            .filter(|who| expected.split(' ').any(|one| one == *who));
        let should: Vec<_> = should.collect();
        assert!(!should.is_empty() || expected == "nobody", "{row}");
        if may != should {
            wrong.push(format!("{row}: may {may:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether an action, by its name, takes away what stands in a store, or a key.
fn takes_away(action: &str) -> bool {
    let words = ["Delete", "Remove", "Purge", "Schedule", "Disable", "*"];
    // What was taken from the queue is sealed.
    !action.starts_with("sqs:") && words.iter().any(|word| action.contains(word))
}

/// Whether an action, by its name, lifts a lock or changes a bucket.
fn unlocks(action: &str) -> bool {
    let puts = ["s3:PutObject", "s3:PutObjectRetention"];
    let words = ["Bypass", "LegalHold", "*"];
    action.starts_with("s3:Put") && !puts.contains(&action)
        || words.iter().any(|word| action.contains(word))
}

#[test]
fn no_identity_both_writes_and_deletes_or_touches_a_lock() {
    let Some(state) = aws_module() else { return };
    let policies = Policies::new(state);
    let mut writers = Vec::new();
    for (identity, policy) in &policies.own {
        let actions: Vec<_> = policy.allowed_actions().collect();
        assert!(!actions.is_empty(), "{identity}");
        let forbidden = |action: &&&str| takes_away(action) || unlocks(action);
        let forbidden = actions.iter().find(forbidden);
        if *identity == "administrator" {
            assert!(forbidden.is_some());
            continue;
        }
        assert_eq!(forbidden, None, "{identity}");
        if actions.iter().any(|action| action.contains(":Put")) {
            writers.push(*identity);
        }
    }
    assert_eq!(writers, ["anchor", "seal", "verify"]);
}

#[test]
fn roles_are_assumed_by_whom_they_are_for_and_by_nobody_else() {
    let Some(state) = aws_module() else { return };
    let account = state.text("data.aws_caller_identity.current", "account_id");
    let partition = state.text("data.aws_partition.current", "partition");
    let azure = format!("arn:{partition}:iam::{account}:oidc-provider/sts.windows.net/tenant/");
    let azure = Who::Federated(&azure);
    let google = Who::Federated("accounts.google.com");
    let (lambda, scheduler) = (
        Who::Service("lambda.amazonaws.com"),
        Who::Service("scheduler.amazonaws.com"),
    );
    let by_azure = |subject: &'static str, audience: &'static str| {
        vec![
            ("sts.windows.net/tenant/:sub", subject),
            ("sts.windows.net/tenant/:aud", audience),
        ]
    };
    let by_google = |subject: &'static str, audience: &'static str| {
        vec![
            ("accounts.google.com:sub", subject),
            ("accounts.google.com:oaud", audience),
        ]
    };
    let ours = vec![("aws:SourceAccount", account)];
    let theirs = vec![("aws:SourceAccount", "999999999999")];
    let (api, sts) = ("api://countersign", "sts.amazonaws.com");
    let rows = [
        (lambda, "AssumeRole", vec![], "seal anchor verify"),
        (scheduler, "AssumeRole", ours, "scheduler"),
        (scheduler, "AssumeRole", theirs, ""),
        (Who::Service("ec2.amazonaws.com"), "AssumeRole", vec![], ""),
        (
            Who::Arn("arn:aws:iam::4:role/auditor"),
            "AssumeRole",
            vec![],
            "auditor",
        ),
        (
            Who::Arn("arn:aws:iam::4:role/else"),
            "AssumeRole",
            vec![],
            "",
        ),
        (
            azure,
            "AssumeRoleWithWebIdentity",
            by_azure("anchors", api),
            "reader",
        ),
        (
            azure,
            "AssumeRoleWithWebIdentity",
            by_azure("verifies", api),
            "reader",
        ),
        (
            azure,
            "AssumeRoleWithWebIdentity",
            by_azure("else", api),
            "",
        ),
        (
            azure,
            "AssumeRoleWithWebIdentity",
            by_azure("anchors", "api://else"),
            "",
        ),
        (azure, "AssumeRoleWithWebIdentity", vec![], ""),
        (
            google,
            "AssumeRoleWithWebIdentity",
            by_google("11", sts),
            "reader",
        ),
        (
            google,
            "AssumeRoleWithWebIdentity",
            by_google("22", sts),
            "reader",
        ),
        (
            google,
            "AssumeRoleWithWebIdentity",
            by_google("33", sts),
            "",
        ),
        (
            google,
            "AssumeRoleWithWebIdentity",
            by_google("11", api),
            "",
        ),
        // One issuer's subject is none of the other's.
        (
            google,
            "AssumeRoleWithWebIdentity",
            by_azure("anchors", api),
            "",
        ),
        (azure, "AssumeRole", by_azure("anchors", api), ""),
    ];
    for (who, action, context, expected) in rows {
        let action = format!("sts:{action}");
        let act = Act {
            who,
            action: &action,
            resource: "",
            context: with_tls(&context),
        };
        let roles = ["seal", "anchor", "verify", "reader", "auditor", "scheduler"];
        let may = roles.into_iter().filter(|role| {
            let address = match *role {
                "seal" | "anchor" | "verify" => format!("aws_iam_role.job[\"{role}\"]"),
                _ => format!("aws_iam_role.{role}[0]"),
            };
            let trust = Policy::parse(state.text(&address, "assume_role_policy"));
            allowed(&[], Some(&trust), &act)
        });
        let may = may.collect::<Vec<_>>().join(" ");
        assert_eq!(may, expected, "{act:?}");
    }
}

#[test]
fn only_the_trails_bucket_sends_to_the_queue() {
    let Some(state) = aws_module() else { return };
    let policies = Policies::new(state);
    let queue = policies.resource("{queue}");
    let trail = policies.resource("{trail}");
    for (service, source, may) in [
        ("s3.amazonaws.com", &*trail, true),
        ("s3.amazonaws.com", "arn:aws:s3:::else", false),
        ("sns.amazonaws.com", &*trail, false),
    ] {
        let act = Act {
            who: Who::Service(service),
            action: "sqs:SendMessage",
            resource: &queue,
            context: with_tls(&[("aws:SourceArn", source)]),
        };
        assert_eq!(policies.may("stranger", &act), may, "{service} {source}");
    }
}
