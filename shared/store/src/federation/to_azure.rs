//! Ways into Azure: Entra ID takes the home identity's token as a client
//! assertion of an application that has a federated credential for it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::cloud::CloudConfiguration;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientMethodOptions, ClientOptions};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions,
};

#[cfg(feature = "aws")]
use super::exchange::AWS;
#[cfg(feature = "gcp")]
use super::exchange::GCP;
use super::exchange::{
    AZURE, FederationError, IdentityToken, MAX_TOKEN_BYTES, Route, Trouble, in_time, told,
};
#[cfg(feature = "aws")]
use super::from_aws::WebIdentity;
#[cfg(feature = "gcp")]
use super::from_gcp::MetadataIdentity;
use super::reach::AzureReach;
#[cfg(feature = "aws")]
use crate::aws;
use crate::azure::{Access, AccessError, Call, Endpoints};
#[cfg(feature = "gcp")]
use crate::gcp;

/// What Entra ID asks tokens of other issuers to be made for.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// How to reach Azure from another cloud.
impl Access {
    /// Access to Azure for an identity in AWS. Nothing is called yet.
    ///
    /// # Errors
    /// When `reach` cannot be right, there is no TLS, or no AWS region is known.
    #[cfg(feature = "aws")]
    pub fn from_aws(
        home: &aws::Access,
        reach: &AzureReach,
        endpoints: Endpoints,
    ) -> Result<Self, AccessError> {
        let audience = reach.audience.as_deref().unwrap_or(AUDIENCE);
        let token = WebIdentity::new(home, audience)
            .map_err(|error: aws::AccessError| AccessError::new(error.to_string()))?;
        let route = Route {
            home: AWS,
            target: AZURE,
        };
        let subject = "the AWS account's token issuer (aws iam get-outbound-web-identity-federation-info), the role's ARN as subject";
        assert(route, token, subject, audience, reach, endpoints)
    }

    /// Access to Azure for a service account of Google Cloud. Nothing is
    /// called yet.
    ///
    /// # Errors
    /// When `reach` cannot be right, or there is no TLS.
    #[cfg(feature = "gcp")]
    pub fn from_gcp(reach: &AzureReach, endpoints: Endpoints) -> Result<Self, AccessError> {
        let audience = reach.audience.as_deref().unwrap_or(AUDIENCE);
        let token = MetadataIdentity::new(audience)
            .map_err(|error: gcp::AccessError| AccessError::new(error.to_string()))?;
        Self::from_gcp_identity(token, reach, endpoints)
    }

    #[cfg(feature = "gcp")]
    pub(super) fn from_gcp_identity(
        token: MetadataIdentity,
        reach: &AzureReach,
        endpoints: Endpoints,
    ) -> Result<Self, AccessError> {
        let audience = reach.audience.as_deref().unwrap_or(AUDIENCE);
        let route = Route {
            home: GCP,
            target: AZURE,
        };
        let subject =
            "https://accounts.google.com as issuer, the service account's unique id as subject";
        assert(route, token, subject, audience, reach, endpoints)
    }
}

fn assert(
    route: Route,
    token: impl IdentityToken + 'static,
    subject: &str,
    audience: &str,
    reach: &AzureReach,
    endpoints: Endpoints,
) -> Result<Access, AccessError> {
    reach
        .check()
        .map_err(|error| AccessError::new(error.to_string()))?;
    let AzureReach { tenant, client, .. } = reach;
    let check = format!(
        "check that the application {client} of the tenant {tenant} has a federated credential with {subject} and {audience} as audience"
    );
    let client_options = ClientOptions {
        // The address is the endpoints' matter.
        cloud: Some(Arc::new(CloudConfiguration::AzurePublic)),
        ..endpoints.authority_options()?
    };
    let assertion = Assertion {
        route,
        token: Box::new(token),
    };
    let credential = ClientAssertionCredential::new(
        tenant.clone(),
        client.clone(),
        assertion,
        Some(ClientAssertionCredentialOptions { client_options }),
    );
    let credential = credential.map_err(|error| AccessError::new(told(&error.to_string())))?;
    let federated = Federated {
        route,
        credential,
        check,
    };
    Access::new(Arc::new(federated), endpoints)
}

/// The home identity's token as the SDK asks for it.
#[derive(Debug)]
struct Assertion {
    route: Route,
    token: Box<dyn IdentityToken>,
}

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        match self.token.identity_token().await {
            Ok(token) => Ok(token.to_string()),
            Err(trouble) => Err(error(trouble.on(self.route))),
        }
    }
}

/// The SDK's credential, which keeps tokens and renews them 5 minutes before
/// they expire; what it fails with made clear.
struct Federated {
    route: Route,
    credential: Arc<ClientAssertionCredential<Assertion>>,
    /// What to check when it is refused.
    check: String,
}

impl fmt::Debug for Federated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Federated")
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for Federated {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let exchange = async {
            let call = Call::reading(MAX_TOKEN_BYTES as u64, u64::MAX);
            let options = TokenRequestOptions {
                method_options: call.options(),
            };
            match self.credential.get_token(scopes, Some(options)).await {
                Ok(got) if got.token.secret().is_empty() => Err(no_token()),
                Ok(got) => Ok(got),
                Err(error) => Err(match FederationError::find(&error) {
                    Some(known) => Trouble {
                        reason: known.trouble.clone(),
                        next: known.next.clone(),
                        transient: known.transient,
                    },
                    None => self.judge(&error, &call),
                }),
            }
        };
        let tried = format!("the identity in {} and Entra ID", self.route.home);
        in_time(exchange, &tried)
            .await
            .map_err(|trouble| error(trouble.on(self.route)))
    }
}

impl Federated {
    /// Why Entra ID gave no token.
    fn judge(&self, error: &Error, call: &Call) -> Trouble {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(cause) = next {
            if let Some(answer) = cause.downcast_ref::<Error>()
                && let ErrorKind::HttpResponse { status, .. } = answer.kind()
            {
                // The answer's own description, with Entra ID's code.
                let said = told(&answer.to_string());
                let status = u16::from(*status);
                return match status {
                    408 | 429 | 500.. => Trouble::transient(
                        format!("Entra ID answered {status} ({said})"),
                        "it may be tried again",
                    ),
                    _ => Trouble::refused(
                        format!("Entra ID refused it ({status}, {said})"),
                        &*self.check,
                    ),
                };
            }
            next = cause.source();
        }
        if let Some(cause) = call.failure() {
            return Trouble::transient(
                format!("Entra ID did not answer ({})", told(&cause)),
                "check the network; it may be tried again",
            );
        }
        // What was answered may hold a token: it is not repeated.
        match call.status() {
            Some(status @ (408 | 429 | 500..)) => Trouble::transient(
                format!("Entra ID answered {status}"),
                "it may be tried again",
            ),
            _ => no_token(),
        }
    }
}

fn no_token() -> Trouble {
    Trouble::refused(
        "what Entra ID answered is no token",
        "check that AZURE_AUTHORITY_HOST, where it is set, is Entra ID's address",
    )
}

fn error(cause: FederationError) -> Error {
    let text = cause.to_string();
    Error::with_error(ErrorKind::Credential, cause, text)
}
