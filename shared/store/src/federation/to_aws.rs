//! Ways into AWS: `AssumeRoleWithWebIdentity`, which takes the home identity's
//! token and no signature.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::types::Credentials as SessionCredentials;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

#[cfg(feature = "azure")]
use super::exchange::AZURE;
#[cfg(feature = "gcp")]
use super::exchange::GCP;
use super::exchange::{AWS, IdentityToken, RENEW_BEFORE, Route, Trouble, in_time, told};
#[cfg(feature = "azure")]
use super::from_azure::ManagedIdentity;
#[cfg(feature = "gcp")]
use super::from_gcp::MetadataIdentity;
use super::reach::AwsReach;
use crate::aws::{Access, AccessError, Asked, Client, failure_of};
#[cfg(feature = "azure")]
use crate::azure;
#[cfg(feature = "gcp")]
use crate::gcp;

/// How long a session lasts: STS's own default, which each role allows.
const SESSION_SECONDS: i32 = 3600;

/// What a role's sessions are called in CloudTrail.
const SESSION_NAME: &str = "countersign";

#[cfg(feature = "gcp")]
const GCP_AUDIENCE: &str = "sts.amazonaws.com";

/// How to reach AWS from another cloud.
impl Access {
    /// Access to AWS for an identity in Azure. `endpoint` takes the place of
    /// every service's own. Nothing is called yet.
    ///
    /// # Errors
    ///
    /// [`AccessError::Reach`], [`AccessError::Endpoint`].
    #[cfg(feature = "azure")]
    pub fn from_azure(
        home: &azure::Access,
        reach: &AwsReach,
        endpoint: Option<&str>,
    ) -> Result<Self, AccessError> {
        reach.check()?;
        let Some(audience) = reach.audience.as_deref() else {
            return Err(AccessError::Reach(super::reach::NO_AUDIENCE));
        };
        let check = format!(
            "check that an IAM OIDC provider has the token's issuer (https://sts.windows.net/TENANT/) and the audience {audience}, and that the trust policy of {} allows sts:AssumeRoleWithWebIdentity to it with the managed identity's object id as :sub",
            reach.role
        );
        let route = Route {
            home: AZURE,
            target: AWS,
        };
        let token = ManagedIdentity::new(home, audience);
        assume(route, Box::new(token), reach, check, endpoint)
    }

    /// Access to AWS for a service account of Google Cloud; `endpoint` as for
    /// [`from_azure`](Self::from_azure). Nothing is called yet.
    ///
    /// # Errors
    ///
    /// [`AccessError::Reach`], [`AccessError::Endpoint`], [`AccessError::Home`].
    #[cfg(feature = "gcp")]
    pub fn from_gcp(reach: &AwsReach, endpoint: Option<&str>) -> Result<Self, AccessError> {
        let audience = reach.audience.as_deref().unwrap_or(GCP_AUDIENCE);
        let token = MetadataIdentity::new(audience)
            .map_err(|error: gcp::AccessError| AccessError::Home(error.to_string()))?;
        Self::from_gcp_identity(token, reach, endpoint)
    }

    #[cfg(feature = "gcp")]
    pub(super) fn from_gcp_identity(
        token: MetadataIdentity,
        reach: &AwsReach,
        endpoint: Option<&str>,
    ) -> Result<Self, AccessError> {
        reach.check()?;
        let audience = reach.audience.as_deref().unwrap_or(GCP_AUDIENCE);
        let check = format!(
            "check that the trust policy of {} allows sts:AssumeRoleWithWebIdentity to the federated principal accounts.google.com with the service account's unique id as accounts.google.com:sub and {audience} as accounts.google.com:oaud",
            reach.role
        );
        let route = Route {
            home: GCP,
            target: AWS,
        };
        assume(route, Box::new(token), reach, check, endpoint)
    }
}

fn assume(
    route: Route,
    token: Box<dyn IdentityToken>,
    reach: &AwsReach,
    check: String,
    endpoint: Option<&str>,
) -> Result<Access, AccessError> {
    let sts = Access::unsigned(reach.sts_region(), endpoint)?.sts(None, &reach.role)?;
    let session = Session {
        route,
        token,
        sts,
        role: reach.role.clone(),
        check,
    };
    Access::renewed(session, RENEW_BEFORE, reach.region.as_deref(), endpoint)
}

/// Sessions of a role.
struct Session {
    route: Route,
    token: Box<dyn IdentityToken>,
    sts: Client<aws_sdk_sts::Client>,
    role: String,
    /// What to check when it is refused.
    check: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("token", &self.token)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl ProvideCredentials for Session {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let tried = format!("the identity in {} and AWS STS", self.route.home);
            in_time(self.begin(), &tried)
                .await
                .map_err(|trouble| CredentialsError::provider_error(trouble.on(self.route)))
        })
    }
}

impl Session {
    async fn begin(&self) -> Result<Credentials, Trouble> {
        let token = self.token.identity_token().await?;
        let call = self
            .sts
            .assume_role_with_web_identity()
            .role_arn(&self.role)
            .role_session_name(SESSION_NAME)
            .web_identity_token(&*token)
            .duration_seconds(SESSION_SECONDS)
            .send()
            // The library logs requests and answers at trace level.
            .with_subscriber(NoSubscriber::new())
            .await;
        let answer = call.map_err(|error| {
            let said = match (error.code(), error.message()) {
                (Some(code), Some(message)) => Some(told(&format!("{code}: {message}"))),
                _ => None,
            };
            match (error.code().unwrap_or_default(), said) {
                ("AccessDenied" | "InvalidIdentityToken" | "ValidationError", Some(said)) => {
                    Trouble::refused(format!("AWS STS refused it ({said})"), &*self.check)
                }
                ("ExpiredTokenException", Some(said)) => Trouble::refused(
                    format!("AWS STS finds the token expired ({said})"),
                    "check this machine's clock",
                ),
                (_, said) => {
                    let asked = Asked {
                        permission: "sts:AssumeRoleWithWebIdentity",
                        resource: &self.role,
                    };
                    let (reason, next, transient) = failure_of(&error, asked).into_parts();
                    let said = said.unwrap_or_else(|| told(&reason));
                    Trouble {
                        reason: format!("AWS STS gave no session ({said})"),
                        next,
                        transient,
                    }
                }
            }
        })?;
        answer.credentials.and_then(credentials).ok_or_else(|| {
            Trouble::refused(
                "AWS STS answered without a whole session",
                "check that the endpoint is AWS's own",
            )
        })
    }
}

fn credentials(session: SessionCredentials) -> Option<Credentials> {
    let SessionCredentials {
        access_key_id,
        secret_access_key,
        session_token,
        expiration,
        ..
    } = session;
    let parts = [&access_key_id, &secret_access_key, &session_token];
    // The library puts 1970 where there is no time.
    if parts.iter().any(|part| part.is_empty()) || expiration.secs() <= 0 {
        return None;
    }
    let until = SystemTime::try_from(expiration).ok()?;
    Some(Credentials::new(
        access_key_id,
        secret_access_key,
        Some(session_token),
        Some(until),
        "federation",
    ))
}
