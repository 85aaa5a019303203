//! Ways into Google Cloud: its token service takes what the home identity can
//! show (RFC 8693), for the identity of a workload identity pool; which may then
//! act as a service account.
//!
//! The library's own `external_account` is not used: its requests have neither
//! a time limit nor a largest answer, follow redirects with the token in their
//! body, and are made by a task that a silent server would hold for good.

use std::fmt;

use google_cloud_auth::credentials::{
    CacheableResource, Credentials, CredentialsProvider, EntityTag,
};
use google_cloud_auth::errors::CredentialsError;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};
use zeroize::Zeroizing;

#[cfg(feature = "aws")]
use super::exchange::AWS;
#[cfg(feature = "azure")]
use super::exchange::AZURE;
use super::exchange::{
    EXCHANGE_TIMEOUT, GCP, IdentityToken, MAX_TOKEN_BYTES, RENEW_BEFORE, Route, Trouble, told,
    until,
};
#[cfg(feature = "aws")]
use super::from_aws::CallerIdentity;
#[cfg(feature = "azure")]
use super::from_azure::ManagedIdentity;
use super::reach::GcpReach;
#[cfg(feature = "aws")]
use crate::aws;
#[cfg(feature = "azure")]
use crate::azure;
use crate::gcp::{Access, AccessError, Endpoints, Failure, Request, Service};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
#[cfg(feature = "aws")]
const AWS_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";
#[cfg(feature = "azure")]
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// What may be done is for IAM to say.
const ALL: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What it takes to act as a service account, and no more.
const IAM: &str = "https://www.googleapis.com/auth/iam";

/// How long a service account's token is good: the most that each project
/// allows.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A renewal that failed is not tried again for this long while the present
/// token is good.
const PAUSE: Duration = Duration::from_secs(30);

/// How to reach Google Cloud from another cloud.
impl Access {
    /// Access to Google Cloud for an identity in AWS. Nothing is called yet.
    ///
    /// # Errors
    ///
    /// When `reach` cannot be right, or no AWS region is known.
    #[cfg(feature = "aws")]
    pub fn from_aws(
        home: &aws::Access,
        reach: &GcpReach,
        endpoints: Endpoints,
    ) -> Result<Self, AccessError> {
        check(reach)?;
        let token = CallerIdentity::new(home, &audience(reach))
            .map_err(|error: aws::AccessError| AccessError::new(error.to_string()))?;
        let route = Route {
            home: AWS,
            target: GCP,
        };
        let trusts = "is one for AWS, for the account that this runs in, and that its attribute condition lets the role in";
        let token = Box::new(token);
        Ok(exchange(
            route,
            token,
            AWS_REQUEST,
            trusts,
            reach,
            endpoints,
        ))
    }

    /// Access to Google Cloud for an identity in Azure. Nothing is called yet.
    ///
    /// # Errors
    ///
    /// When `reach` cannot be right.
    #[cfg(feature = "azure")]
    pub fn from_azure(
        home: &azure::Access,
        reach: &GcpReach,
        endpoints: Endpoints,
    ) -> Result<Self, AccessError> {
        check(reach)?;
        let Some(audience) = reach.audience.as_deref() else {
            return Err(AccessError::new(super::reach::NO_AUDIENCE.to_string()));
        };
        let route = Route {
            home: AZURE,
            target: GCP,
        };
        let token = Box::new(ManagedIdentity::new(home, audience));
        let trusts = format!(
            "is one for OpenID Connect with the token's issuer (https://sts.windows.net/TENANT/), has {audience} among its allowed audiences, and that its attribute condition lets the managed identity in"
        );
        Ok(exchange(route, token, JWT, &trusts, reach, endpoints))
    }
}

fn check(reach: &GcpReach) -> Result<(), AccessError> {
    reach
        .check()
        .map_err(|error| AccessError::new(error.to_string()))
}

/// The provider as Google's token service is asked for it.
fn audience(reach: &GcpReach) -> String {
    format!("//iam.googleapis.com/{}", reach.provider)
}

fn exchange(
    route: Route,
    token: Box<dyn IdentityToken>,
    token_type: &'static str,
    trusts: &str,
    reach: &GcpReach,
    endpoints: Endpoints,
) -> Access {
    let exchange = Exchange {
        route,
        token,
        token_type,
        audience: audience(reach),
        service_account: reach.service_account.clone(),
        check: format!("check that the provider {} {trusts}", reach.provider),
        // Its requests bring their own authorization.
        access: Access::anonymous(endpoints.clone()),
        kept: Mutex::default(),
    };
    Access::new(Credentials::from(exchange), endpoints)
}

/// Tokens that are exchanged for what the home identity shows.
struct Exchange {
    route: Route,
    token: Box<dyn IdentityToken>,
    token_type: &'static str,
    audience: String,
    service_account: Option<String>,
    /// What to check when it is refused.
    check: String,
    access: Access,
    kept: Mutex<Option<Kept>>,
}

/// A token while it is good.
#[derive(Clone)]
struct Kept {
    tag: EntityTag,
    headers: HeaderMap,
    renew: Instant,
    expires: Instant,
}

/// What Google's token service answers.
#[derive(Deserialize)]
struct Exchanged {
    access_token: String,
    /// In seconds.
    expires_in: u64,
}

/// What acting as a service account is answered with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("token", &self.token)
            .field("audience", &self.audience)
            .field("service_account", &self.service_account)
            .finish_non_exhaustive()
    }
}

impl CredentialsProvider for Exchange {
    async fn headers(
        &self,
        known: http::Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let Kept { tag, headers, .. } = self.current().await.map_err(|trouble| {
            CredentialsError::from_source(trouble.transient, trouble.on(self.route))
        })?;
        Ok(match known.get::<EntityTag>() {
            Some(known) if *known == tag => CacheableResource::NotModified,
            _ => CacheableResource::New {
                entity_tag: tag,
                data: headers,
            },
        })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

impl Exchange {
    /// The token that is kept, or a new one. One call makes it, the others wait.
    async fn current(&self) -> Result<Kept, Trouble> {
        let tried = format!(
            "the identity in {} and Google's token service",
            self.route.home
        );
        let deadline = Instant::now() + EXCHANGE_TIMEOUT;
        let turn = async { Ok(self.kept.lock().await) };
        let mut kept = until(deadline, turn, &tried).await?;
        if let Some(kept) = &*kept
            && Instant::now() < kept.renew
        {
            return Ok(kept.clone());
        }
        let renewed = until(deadline, self.renew(), &tried).await;
        match (renewed, &mut *kept) {
            (Ok(new), _) => Ok(kept.insert(new).clone()),
            (Err(_), Some(old)) if Instant::now() < old.expires => {
                old.renew = old.expires.min(Instant::now() + PAUSE);
                Ok(old.clone())
            }
            (Err(trouble), _) => Err(trouble),
        }
    }

    async fn renew(&self) -> Result<Kept, Trouble> {
        let subject = self.token.identity_token().await?;
        let began = Instant::now();
        let scope = match self.service_account {
            Some(_) => IAM,
            None => ALL,
        };
        let form: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("audience", &self.audience)
            .append_pair("grant_type", GRANT)
            .append_pair("requested_token_type", ACCESS_TOKEN)
            .append_pair("scope", scope)
            .append_pair("subject_token", &subject)
            .append_pair("subject_token_type", self.token_type)
            .finish();
        let request = Request::form(
            Service::SecurityToken,
            &["v1", "token"],
            Zeroizing::new(form.into_bytes()),
        )
        .max_bytes(MAX_TOKEN_BYTES);
        let exchanged: Result<Exchanged, _> = self.access.read_json(&request).await;
        let Exchanged {
            access_token,
            expires_in,
        } = exchanged.map_err(|failure| {
            trouble(
                failure,
                "Google's token service",
                "the exchange",
                &self.check,
            )
        })?;
        let headers = bearer(Zeroizing::new(access_token))?;
        let lifetime = Duration::from_secs(expires_in).min(LIFETIME);
        match &self.service_account {
            None => Ok(kept(headers, began, lifetime)),
            Some(account) => self.act_as(account, headers).await,
        }
    }

    /// A service account's token for the pool's identity.
    async fn act_as(&self, account: &str, authorization: HeaderMap) -> Result<Kept, Trouble> {
        let body = serde_json::json!({
            "lifetime": format!("{}s", LIFETIME.as_secs()),
            "scope": [ALL],
        });
        let method = format!("{account}:generateAccessToken");
        let path = ["v1", "projects", "-", "serviceAccounts", &method];
        let body = Zeroizing::new(body.to_string().into_bytes());
        let request = Request::post(Service::IamCredentials, &path, body)
            .max_bytes(MAX_TOKEN_BYTES)
            .authorized_by(authorization);
        let began = Instant::now();
        let check = format!(
            "check that {account} exists, and that the pool's identity has roles/iam.workloadIdentityUser on it"
        );
        let answer: Result<Impersonated, _> = self.access.read_json(&request).await;
        let Impersonated { access_token } = answer.map_err(|failure| {
            let what = "acting as the service account";
            trouble(failure, "Google's IAM", what, &check)
        })?;
        Ok(kept(bearer(Zeroizing::new(access_token))?, began, LIFETIME))
    }
}

fn kept(headers: HeaderMap, began: Instant, lifetime: Duration) -> Kept {
    Kept {
        tag: EntityTag::new(),
        headers,
        // One that is short from the start is used for most of its time.
        renew: began + lifetime - RENEW_BEFORE.min(lifetime / 4),
        expires: began + lifetime,
    }
}

fn bearer(token: Zeroizing<String>) -> Result<HeaderMap, Trouble> {
    let text = Zeroizing::new(format!("Bearer {}", *token));
    match HeaderValue::from_str(&text) {
        Ok(mut value) if !token.is_empty() => {
            value.set_sensitive(true);
            Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
        }
        _ => Err(Trouble::refused(
            "what Google answered is no token",
            "check that the endpoint is Google's own",
        )),
    }
}

fn trouble(failure: Failure, who: &str, what: &str, check: &str) -> Trouble {
    if let Failure::Answer(answer) = &failure
        && !failure.may_pass()
    {
        let said = told(&answer.text());
        return Trouble::refused(format!("{who} refused {what} ({said})"), check);
    }
    let (reason, next, transient) = failure.into_parts();
    Trouble {
        reason: format!("{what} failed ({})", told(&reason)),
        next,
        transient,
    }
}
