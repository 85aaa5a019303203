//! What each party is asked, byte for byte as far as its protocol goes.

use std::collections::BTreeMap;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::Value;

use super::sigv4::{Signed, verify};
use super::world::{ROLE_KEY_ID, ROLE_SECRET, World, unix_seconds};
use super::{
    ACCOUNT, ALL, APPLICATION, CLIENT, Direction, HOME_KEY_ID, HOME_SECRET, HOME_SESSION, PROVIDER,
    ROLE, Reached, TENANT, aws_home, gcp, gcp_endpoints, gcp_reach, token,
};
use crate::testing::server::Asked;

/// A form's fields.
fn form(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn is_now(date: &str) -> bool {
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..8],
        &date[9..11],
        &date[11..13],
        &date[13..15]
    );
    let at = DateTime::from_str(&text, Format::DateTime).unwrap().secs();
    at.abs_diff(i64::try_from(unix_seconds()).unwrap()) < 120
}

fn signed<'a>(asked: &'a Asked, header: &'a dyn Fn(&str) -> Option<String>) -> Signed<'a> {
    let (method, target) = asked.line.split_once(' ').unwrap();
    Signed {
        method,
        target,
        header,
        body: &asked.body,
    }
}

#[tokio::test]
async fn each_direction_reads_with_what_was_exchanged() {
    for direction in ALL {
        let world = World::new().await;
        let reached = direction.open(&world);
        assert_eq!(
            world.steps(),
            [""; 0],
            "nobody is asked before the first call"
        );
        let read = reached.read().await;
        let expected = match reached {
            Reached::Azure(_) => token("entra"),
            _ => "hello".to_owned(),
        };
        assert_eq!(read, Ok(expected), "{direction:?}");
        let mut steps: Vec<_> = direction.home().into_iter().collect();
        steps.push(direction.exchange());
        match reached {
            Reached::Aws(_) => steps.push("s3"),
            Reached::Azure(_) => {}
            Reached::Gcp(_) => steps.extend(["act", "gcs"]),
        }
        assert_eq!(world.steps(), steps, "{direction:?}");
    }
}

#[tokio::test]
async fn aws_makes_the_token_that_entra_id_takes() {
    let world = World::new().await;
    Direction::AwsToAzure.open(&world).read().await.unwrap();
    let asked = world.one("web identity");
    assert_eq!(
        form(&asked.body),
        fields(&[
            ("Action", "GetWebIdentityToken"),
            ("Audience.member.1", "api://AzureADTokenExchange"),
            ("DurationSeconds", "120"),
            ("SigningAlgorithm", "RS256"),
            ("Version", "2011-06-15"),
        ])
    );
    let header = |name: &str| asked.header(name).map(str::to_owned);
    let scope = verify(&signed(&asked, &header), HOME_SECRET);
    assert_eq!(
        (&*scope.key_id, &*scope.region, &*scope.service),
        (HOME_KEY_ID, "eu-west-1", "sts")
    );
    assert_eq!(asked.header("x-amz-security-token"), Some(HOME_SESSION));
    assert!(is_now(&scope.date));
    entra_is_asked(&world, &token("web identity"));
}

fn entra_is_asked(world: &World, assertion: &str) {
    let asked = world.one("entra");
    assert_eq!(asked.line, format!("POST /{TENANT}/oauth2/v2.0/token"));
    assert_eq!(
        asked.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(
        form(&asked.body),
        fields(&[
            ("client_assertion", assertion),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            ),
            ("client_id", CLIENT),
            ("grant_type", "client_credentials"),
            ("scope", "https://storage.azure.com/.default"),
        ])
    );
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn google_is_shown_a_request_to_aws_that_is_signed_for_this_provider() {
    let world = World::new().await;
    Direction::AwsToGcp.open(&world).read().await.unwrap();
    let audience = format!("//iam.googleapis.com/{PROVIDER}");
    let mut asked = form(&world.one("exchange").body);
    let subject = asked.remove("subject_token").unwrap();
    assert_eq!(
        asked,
        exchange(&audience, "aws:token-type:aws4_request", "iam")
    );

    let document: String = form_urlencoded::parse(format!("s={subject}").as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(
        document["url"],
        "https://sts.eu-west-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    );
    assert_eq!(document["method"], "POST");
    let headers = document["headers"].as_array().unwrap();
    let header = |name: &str| {
        let found = headers.iter().find(|header| header["key"] == name)?;
        Some(found["value"].as_str().unwrap().to_owned())
    };
    assert_eq!(headers.len(), 5, "{headers:?}");
    assert_eq!(header("host").unwrap(), "sts.eu-west-1.amazonaws.com");
    assert_eq!(header("x-goog-cloud-target-resource").unwrap(), audience);
    assert_eq!(header("x-amz-security-token").unwrap(), HOME_SESSION);
    let request = Signed {
        method: "POST",
        target: "/?Action=GetCallerIdentity&Version=2011-06-15",
        header: &header,
        body: b"",
    };
    let scope = verify(&request, HOME_SECRET);
    assert_eq!(
        (&*scope.key_id, &*scope.region, &*scope.service),
        (HOME_KEY_ID, "eu-west-1", "sts")
    );
    assert_eq!(
        scope.headers,
        [
            "host",
            "x-amz-date",
            "x-amz-security-token",
            "x-goog-cloud-target-resource"
        ]
    );
    assert!(is_now(&scope.date));
}

fn exchange(audience: &str, kind: &str, scope: &str) -> BTreeMap<String, String> {
    fields(&[
        ("audience", audience),
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("scope", &format!("https://www.googleapis.com/auth/{scope}")),
        ("subject_token_type", &format!("urn:ietf:params:{kind}")),
    ])
}

#[tokio::test]
async fn azure_s_managed_identity_is_shown_to_aws_and_its_session_reads() {
    let world = World::new().await;
    Direction::AzureToAws.open(&world).read().await.unwrap();
    managed_identity_is_asked(&world);
    role_is_assumed(&world, &token("managed identity"));
}

fn managed_identity_is_asked(world: &World) {
    let asked = world.one("managed identity");
    let (path, query) = asked.line.split_once('?').unwrap();
    assert_eq!(path, "GET /metadata/identity/oauth2/token");
    assert_eq!(form(query.as_bytes())["resource"], APPLICATION);
    assert_eq!(asked.header("metadata"), Some("true"));
}

fn role_is_assumed(world: &World, shown: &str) {
    let asked = world.one("role");
    assert_eq!(
        form(&asked.body),
        fields(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("DurationSeconds", "3600"),
            ("RoleArn", ROLE),
            ("RoleSessionName", "countersign"),
            ("Version", "2011-06-15"),
            ("WebIdentityToken", shown),
        ])
    );
    assert_eq!(asked.header("authorization"), None, "it takes no signature");
    let read = world.one("s3");
    let session = token("role");
    assert_eq!(read.header("x-amz-security-token"), Some(&*session));
    let header = |name: &str| read.header(name).map(str::to_owned);
    let scope = verify(&signed(&read, &header), ROLE_SECRET);
    assert_eq!(
        (&*scope.key_id, &*scope.region, &*scope.service),
        (ROLE_KEY_ID, "eu-north-1", "s3")
    );
}

#[tokio::test]
async fn azure_s_managed_identity_is_shown_to_google_and_acts_as_a_service_account() {
    let world = World::new().await;
    Direction::AzureToGcp.open(&world).read().await.unwrap();
    managed_identity_is_asked(&world);
    let mut asked = form(&world.one("exchange").body);
    assert_eq!(
        asked.remove("subject_token").unwrap(),
        token("managed identity")
    );
    let audience = format!("//iam.googleapis.com/{PROVIDER}");
    assert_eq!(asked, exchange(&audience, "oauth:token-type:jwt", "iam"));
    assert_eq!(world.one("exchange").header("authorization"), None);

    let asked = world.one("act");
    assert_eq!(
        asked.line,
        format!("POST /v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken")
    );
    let bearer = |name: &str| format!("Bearer {}", token(name));
    assert_eq!(asked.header("authorization"), Some(&*bearer("exchange")));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let expected = serde_json::json!({
        "lifetime": "3600s",
        "scope": ["https://www.googleapis.com/auth/cloud-platform"],
    });
    assert_eq!(body, expected);
    let read = world.one("gcs");
    assert_eq!(read.header("authorization"), Some(&*bearer("act")));
}

#[tokio::test]
async fn without_a_service_account_the_pool_s_own_token_reads() {
    let world = World::new().await;
    let (home, endpoints) = (aws_home(&world), gcp_endpoints(&world));
    let access = gcp::Access::from_aws(&home, &gcp_reach(None, None), endpoints).unwrap();
    assert_eq!(Reached::Gcp(access).read().await, Ok("hello".to_owned()));
    assert_eq!(world.steps(), ["exchange", "gcs"]);
    let asked = form(&world.one("exchange").body);
    assert_eq!(
        asked["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    let bearer = format!("Bearer {}", token("exchange"));
    assert_eq!(world.one("gcs").header("authorization"), Some(&*bearer));
}

#[tokio::test]
async fn google_s_id_token_is_shown_to_aws() {
    let world = World::new().await;
    Direction::GcpToAws.open(&world).read().await.unwrap();
    id_token_is_asked(&world, "sts.amazonaws.com");
    role_is_assumed(&world, &token("id token"));
}

#[tokio::test]
async fn google_s_id_token_is_shown_to_entra_id() {
    let world = World::new().await;
    Direction::GcpToAzure.open(&world).read().await.unwrap();
    id_token_is_asked(&world, "api://AzureADTokenExchange");
    entra_is_asked(&world, &token("id token"));
}

fn id_token_is_asked(world: &World, audience: &str) {
    let asked = world.one("id token");
    let (path, query) = asked.line.split_once('?').unwrap();
    assert_eq!(
        path,
        "GET /computeMetadata/v1/instance/service-accounts/default/identity"
    );
    assert_eq!(
        form(query.as_bytes()),
        fields(&[("audience", audience), ("format", "full")])
    );
    assert_eq!(asked.header("metadata-flavor"), Some("Google"));
}
