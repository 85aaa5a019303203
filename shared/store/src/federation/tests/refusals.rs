//! One clear error for each thing that can be wrong.

use super::world::{World, entra_error, exchange_error, session, sts_error, web_identity};
use super::{ALL, Direction, Reached, aws_home, aws_reach, azure_home, gcp_reach};
use crate::testing::server::Answer;
use crate::{aws, gcp};

/// The error of a direction where a step is answered so.
async fn refused(direction: Direction, step: &'static str, answer: Answer) -> String {
    let world = World::with(step, answer).await;
    let read = direction.open(&world).read().await;
    let error = read.expect_err("it is refused");
    let (home, target) = direction.names();
    let route = format!("the identity in {home} could not be exchanged for access to {target}: ");
    assert!(error.contains(&route), "{direction:?}: {error}");
    assert!(!error.contains(char::is_control), "{error:?}");
    error
}

#[tokio::test]
async fn a_refusal_says_who_refused_and_what_to_check() {
    use Direction::*;
    let aws = [AzureToAws, GcpToAws];
    for direction in aws {
        let error = refused(
            direction,
            "role",
            sts_error(
                403,
                "AccessDenied",
                "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            ),
        )
        .await;
        assert!(
            error.contains("AWS STS refused it (AccessDenied: Not authorized"),
            "{error}"
        );
        assert!(error.contains("trust policy of arn:aws:iam::"), "{error}");
        let answer = sts_error(400, "InvalidIdentityToken", "Incorrect token audience");
        let error = refused(direction, "role", answer).await;
        assert!(error.contains("Incorrect token audience"), "{error}");
        let audience = match direction {
            AzureToAws => "api://countersign",
            _ => "sts.amazonaws.com as accounts.google.com:oaud",
        };
        assert!(error.contains(audience), "{error}");
        let message =
            "Token expired: current date/time 2 must be before the expiration date/time 1";
        let answer = sts_error(400, "ExpiredTokenException", message);
        let error = refused(direction, "role", answer).await;
        assert!(error.contains("Token expired"), "{error}");
        assert!(error.contains("clock"), "{error}");
    }
    for direction in [AwsToAzure, GcpToAzure] {
        let message =
            "No matching federated identity record found for presented assertion audience.";
        let error = refused(direction, "entra", entra_error(401, 700_213, message)).await;
        assert!(error.contains("Entra ID refused it (401"), "{error}");
        assert!(error.contains("AADSTS700213"), "{error}");
        for part in [super::CLIENT, super::TENANT, "api://AzureADTokenExchange"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    for direction in [AwsToGcp, AzureToGcp] {
        let message = "The audience in ID Token does not match the expected audience.";
        let answer = exchange_error(400, "invalid_grant", message);
        let error = refused(direction, "exchange", answer).await;
        assert!(error.contains("Google's token service refused"), "{error}");
        assert!(error.contains("invalid_grant, The audience in"), "{error}");
        assert!(error.contains(super::PROVIDER), "{error}");
        let denied = r#"{"error":{"code":403,"message":"Permission 'iam.serviceAccounts.getAccessToken' denied","status":"PERMISSION_DENIED"}}"#;
        let error = refused(direction, "act", Answer::new(403, denied)).await;
        assert!(error.contains("getAccessToken"), "{error}");
        assert!(error.contains("roles/iam.workloadIdentityUser"), "{error}");
    }
}

#[tokio::test]
async fn a_home_identity_that_gives_no_token_is_said() {
    use Direction::*;
    let disabled = sts_error(
        400,
        "OutboundWebIdentityFederationDisabledException",
        "disabled",
    );
    let error = refused(AwsToAzure, "web identity", disabled).await;
    assert!(
        error.contains("enable-outbound-web-identity-federation"),
        "{error}"
    );
    let denied = sts_error(403, "AccessDenied", "not allowed");
    let error = refused(AwsToAzure, "web identity", denied).await;
    assert!(error.contains("sts:GetWebIdentityToken"), "{error}");
    let expired = sts_error(403, "ExpiredToken", "The security token is expired");
    let error = refused(AwsToAzure, "web identity", expired).await;
    assert!(error.contains("the session has ended"), "{error}");
    for direction in [AzureToAws, AzureToGcp] {
        let none = Answer::new(400, r#"{"error":"invalid_resource"}"#);
        let error = refused(direction, "managed identity", none).await;
        assert!(error.contains("Application ID URI"), "{error}");
    }
    for direction in [GcpToAws, GcpToAzure] {
        let none = Answer::new(404, "no such account").with("metadata-flavor", "Google");
        let error = refused(direction, "id token", none).await;
        assert!(error.contains("has a service account"), "{error}");
        // A network's own page in place of the metadata server.
        let page = Answer::new(200, "<html>Sign in</html>");
        let error = refused(direction, "id token", page).await;
        assert!(
            error.contains("no ID token of a metadata server"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_malformed_or_endless_is_no_token() {
    let huge = || Answer::new(200, vec![b'a'; 20 << 20]);
    for direction in ALL {
        for step in direction.home().into_iter().chain([direction.exchange()]) {
            for answer in [
                Answer::new(200, ""),
                Answer::new(200, "{"),
                Answer::new(200, "{}"),
                Answer::new(200, "<a/>"),
                Answer::new(200, [0xff, 0x00]),
                Answer::new(302, "").with("location", "https://example.org/"),
                huge(),
            ] {
                refused(direction, step, answer).await;
            }
        }
    }
    let whole = String::from_utf8(session(60).body).unwrap();
    for part in [
        "AccessKeyId",
        "SecretAccessKey",
        "SessionToken",
        "Expiration",
    ] {
        let (start, end) = (format!("<{part}>"), format!("</{part}>"));
        let (before, rest) = whole.split_once(&start).unwrap();
        let after = rest.split_once(&end).unwrap().1;
        for without in [
            format!("{before}{after}"),
            format!("{before}{start}{end}{after}"),
        ] {
            refused(Direction::GcpToAws, "role", Answer::new(200, without)).await;
        }
    }
    refused(Direction::AwsToAzure, "web identity", web_identity("")).await;
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again() {
    for direction in ALL {
        let step = direction.exchange();
        let world = World::with(step, Answer::new(503, "busy")).await;
        let error = direction.open(&world).read().await.unwrap_err();
        assert!(error.contains("tried again"), "{direction:?}: {error}");
        assert!(world.asked(step).len() > 1, "{direction:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_before_anything_is_asked() {
    let world = World::new().await;
    let (home, endpoint) = (azure_home(&world), Some(world.url()));
    let opened = aws::Access::from_azure(&home, &aws_reach(None), endpoint);
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("audience must be given"), "{error}");
    let opened = gcp::Access::from_azure(&home, &gcp_reach(None, None), gcp::Endpoints::google());
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("audience must be given"), "{error}");
    let mut reach = gcp_reach(None, None);
    reach.provider = "provider".to_owned();
    let opened = gcp::Access::from_aws(&aws_home(&world), &reach, gcp::Endpoints::google());
    let error = opened.unwrap_err().to_string();
    assert!(
        error.contains("provider must be projects/NUMBER"),
        "{error}"
    );
    let mut reach = aws_reach(Some("a"));
    reach.role = "reader".to_owned();
    let opened = aws::Access::from_azure(&home, &reach, endpoint);
    assert!(opened.unwrap_err().to_string().contains("role must be"));
    assert_eq!(world.steps(), [""; 0]);
}

#[tokio::test]
async fn a_token_service_is_not_called_in_the_clear() {
    let reach = aws_reach(Some("api://countersign"));
    let world = World::new().await;
    let home = azure_home(&world);
    let plain = Some("http://sts.example.org");
    let opened = aws::Access::from_azure(&home, &reach, plain);
    assert!(opened.unwrap_err().to_string().contains("use https"));
    let opened = crate::azure::Endpoints::default().with_authority("http://login.example.org");
    assert!(opened.unwrap_err().to_string().contains("not https"));
    assert!(matches!(
        Direction::AzureToAws.open(&world),
        Reached::Aws(_)
    ));
}
