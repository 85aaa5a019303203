//! What an identity in AWS can show to other clouds.

use std::fmt;

use async_trait::async_trait;
#[cfg(feature = "azure")]
#[cfg(feature = "azure")]
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use zeroize::Zeroizing;

#[cfg(feature = "azure")]
use super::exchange::told;
use super::exchange::{IdentityToken, Trouble};
use crate::aws;

/// For how long a token of [`WebIdentity`] is good. It is shown at once; a
/// session that ends sooner gives none.
#[cfg(feature = "azure")]
const TOKEN_SECONDS: i32 = 120;

/// A token that STS makes for an audience: `GetWebIdentityToken`, which only
/// regional endpoints have. Entra ID takes no algorithm but RS256.
#[cfg(feature = "azure")]
pub(super) struct WebIdentity {
    sts: aws::Client<aws_sdk_sts::Client>,
    audience: String,
}

#[cfg(feature = "azure")]
impl WebIdentity {
    /// # Errors
    /// Where no region is known.
    pub(super) fn new(home: &aws::Access, audience: &str) -> Result<Self, aws::AccessError> {
        Ok(Self {
            sts: home.sts(None, "the token service that Azure is to trust")?,
            audience: audience.to_owned(),
        })
    }
}

#[cfg(feature = "azure")]
#[async_trait]
impl IdentityToken for WebIdentity {
    async fn identity_token(&self) -> Result<Zeroizing<String>, Trouble> {
        let call = self
            .sts
            .get_web_identity_token()
            .audience(&self.audience)
            .signing_algorithm("RS256")
            .duration_seconds(TOKEN_SECONDS)
            .send()
            // The library logs answers at trace level.
            .with_subscriber(NoSubscriber::new())
            .await;
        let answer = call.map_err(|error| {
            let failure = aws::failure_of(
                &error,
                aws::Asked {
                    permission: "sts:GetWebIdentityToken",
                    resource: "*",
                },
            );
            let (reason, next, transient) = failure.into_parts();
            if error.code() == Some("OutboundWebIdentityFederationDisabledException") {
                return Trouble::refused(
                    "outbound web identity federation is not enabled in the AWS account",
                    "enable it: aws iam enable-outbound-web-identity-federation",
                );
            }
            let said = match (error.code(), error.message()) {
                (Some(code), Some(message)) => told(&format!("{code}: {message}")),
                _ => told(&reason),
            };
            Trouble {
                reason: format!("AWS STS gave no token ({said})"),
                next,
                transient,
            }
        })?;
        match answer.web_identity_token {
            Some(token) if !token.is_empty() => Ok(Zeroizing::new(token)),
            _ => Err(Trouble::refused(
                "AWS STS answered without a token",
                "check that the endpoint is AWS's own",
            )),
        }
    }
}

#[cfg(feature = "azure")]
impl fmt::Debug for WebIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentity")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// A signed request `GetCallerIdentity`, which Google sends on to AWS to learn
/// whose it is: one JSON document, percent-encoded.
///
/// <https://docs.cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds>
#[cfg(feature = "gcp")]
pub(super) struct CallerIdentity {
    access: aws::Access,
    region: String,
    /// The provider that it is meant for, and for no other.
    target: String,
}

#[cfg(feature = "gcp")]
impl CallerIdentity {
    /// # Errors
    /// Where no region is known.
    pub(super) fn new(home: &aws::Access, target: &str) -> Result<Self, aws::AccessError> {
        Ok(Self {
            region: home.region(None, "the request that Google Cloud is shown")?,
            access: home.clone(),
            target: target.to_owned(),
        })
    }

    fn sign(
        &self,
        credentials: aws_credential_types::Credentials,
    ) -> Result<Zeroizing<String>, Box<dyn std::error::Error + Send + Sync>> {
        use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
        use aws_sigv4::sign::v4::SigningParams;

        #[expect(
            clippy::disallowed_methods,
            reason = "a signature says when it was made, as the SDK's do"
        )]
        let now = std::time::SystemTime::now();
        let identity = credentials.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sts")
            .time(now)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let host = format!("sts.{}.amazonaws.com", self.region);
        let url = format!("https://{host}?Action=GetCallerIdentity&Version=2011-06-15");
        let named = [
            ("host", host.as_str()),
            ("x-goog-cloud-target-resource", self.target.as_str()),
        ];
        let request = SignableRequest::new("POST", &url, named.into_iter(), SignableBody::empty())?;
        let (signed, _) = sign(request, &params)?.into_parts();
        let headers: Vec<_> = named
            .into_iter()
            .chain(signed.headers())
            .map(|(key, value)| serde_json::json!({ "key": key, "value": value }))
            .collect();
        let document = serde_json::json!({ "headers": headers, "method": "POST", "url": url });
        let document = Zeroizing::new(document.to_string());
        Ok(Zeroizing::new(
            form_urlencoded::byte_serialize(document.as_bytes()).collect(),
        ))
    }
}

#[cfg(feature = "gcp")]
#[async_trait]
impl IdentityToken for CallerIdentity {
    async fn identity_token(&self) -> Result<Zeroizing<String>, Trouble> {
        let found = self
            .access
            .credentials()
            .with_subscriber(NoSubscriber::new())
            .await;
        let credentials = found.map_err(|failure| {
            let (reason, next, transient) = failure.into_parts();
            Trouble {
                reason,
                next,
                transient,
            }
        })?;
        self.sign(credentials).map_err(|error| {
            Trouble::refused(
                format!("its request to AWS could not be signed ({error})"),
                "check the AWS credentials and the region",
            )
        })
    }
}

#[cfg(feature = "gcp")]
impl fmt::Debug for CallerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerIdentity")
            .field("region", &self.region)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
