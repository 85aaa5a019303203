//! What a process needs to call AWS: a client, credentials, a region.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
#[cfg(feature = "gcp")]
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpClient, SharedHttpClient, http_client_fn};
use aws_smithy_types::retry::RetryConfig;
use thiserror::Error;

use super::clients::Clients;
#[cfg(feature = "gcp")]
use super::failure::{causes, no_credentials};
use super::guard::is_https_or_loopback;
#[cfg(feature = "gcp")]
use crate::failure::Failure;

/// To a connection that stands: DNS, TCP and TLS. With three attempts a host
/// that does not answer is given up in 15 seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// A read's one attempt, to the head of its answer. A healthy service takes
/// milliseconds; a second attempt is worth more than waiting on.
const READ_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(9);

/// A read with all its attempts and the credentials it may have to fetch first.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Credentials of another cloud's identity: less than an attempt, whose time
/// they are part of.
#[cfg(any(feature = "azure", feature = "gcp"))]
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(8);

/// A write's one attempt, without what its bytes may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// The slowest link that a large object is waited for on, in bytes per second:
/// 8 Mbit/s.
const SLOWEST_BYTES_PER_SECOND: u64 = 1 << 20;

/// For how long no byte may move in an upload or a download.
pub(super) const STALL_GRACE: Duration = Duration::from_secs(9);

/// AWS closes idle connections after 20 seconds or so. A write on one that is
/// being closed would end as unknown, so they are given up before.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads are repeated: they change nothing.
const READ_ATTEMPTS: u32 = 3;

/// Access to AWS: one HTTP client, one set of credentials. Cheap to clone;
/// clones share connections, credentials and clients.
///
/// # Credentials
///
/// [`from_environment`](Self::from_environment) asks, in this order: the
/// variables `AWS_ACCESS_KEY_ID` and so on (which Lambda sets), the profile of
/// `AWS_PROFILE` in `~/.aws` (static keys, `role_arn`, `credential_process`), a
/// web identity token file (EKS), the container's endpoint (ECS), the
/// instance's metadata (EC2). It reads no IAM Identity Center (SSO) profiles:
/// those two services would double the code that a function links. Their
/// users run `eval "$(aws configure export-credentials --format env)"` first,
/// or set `credential_process = aws configure export-credentials --profile NAME`.
///
/// # Endpoints
///
/// AWS's own, unless an argument or `AWS_ENDPOINT_URL_S3`, `…_DYNAMODB`,
/// `…_SECRETS_MANAGER`, `…_KMS`, `…_STS` or, for all of them, `AWS_ENDPOINT_URL` names
/// another. Plain http goes to this host alone.
///
/// # Time-outs and repetitions
///
/// Reads are attempted three times within 20 seconds. Writes are attempted
/// once: what became of a lost one is for the caller to find out.
#[derive(Clone)]
pub struct Access {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) base: SdkConfig,
    pub(super) endpoints: Endpoints,
    pub(super) clients: Clients,
}

/// Where AWS's services are, where they are not at AWS's own addresses: each
/// `https://…`, or `http://…` on this machine. What is not set here is as the
/// environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// S3.
    pub s3: Option<String>,
    /// DynamoDB.
    pub dynamodb: Option<String>,
    /// Secrets Manager.
    pub secrets_manager: Option<String>,
    /// KMS.
    pub kms: Option<String>,
    /// STS.
    pub sts: Option<String>,
}

impl Endpoints {
    /// Every service at one address, or none of them at another than AWS's own.
    pub fn all(endpoint: Option<&str>) -> Self {
        let endpoint = || endpoint.map(str::to_owned);
        Self {
            s3: endpoint(),
            dynamodb: endpoint(),
            secrets_manager: endpoint(),
            kms: endpoint(),
            sts: endpoint(),
        }
    }
}

/// Why AWS cannot be called with these settings.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccessError {
    /// Nothing names a region.
    #[error(
        "no AWS region is given for {address}: add ?region=REGION to it where it can have one, or set AWS_REGION"
    )]
    NoRegion {
        /// What is to be reached.
        address: String,
    },
    /// An endpoint that would be called without TLS.
    #[error(
        "the endpoint {endpoint} of {source_name} is refused: use https; plain http is for 127.0.0.1, localhost and [::1] alone"
    )]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// What names it.
        source_name: &'static str,
    },
    /// A way from another cloud that cannot be one.
    #[error("the way into AWS: {0}")]
    Reach(#[from] crate::federation::ReachError),
    /// The home cloud's identity cannot be asked.
    #[error("the identity that is to reach AWS: {0}")]
    Home(String),
}

impl Access {
    /// Access with the credentials and the region of the environment. The
    /// credentials are asked for at the first call.
    ///
    /// `endpoint` takes the place of every service's own.
    ///
    /// # Errors
    ///
    /// [`AccessError::Endpoint`].
    pub async fn from_environment(endpoint: Option<&str>) -> Result<Self, AccessError> {
        let base = super::environment::load().await;
        Self::with_config(base, Endpoints::all(endpoint))
    }

    /// Access with `credentials`, which are asked for at the first call and
    /// again before they expire. `region` is where an address names none.
    ///
    /// # Errors
    ///
    /// [`AccessError::Endpoint`].
    pub fn new(
        credentials: impl ProvideCredentials + 'static,
        region: Option<&str>,
        endpoint: Option<&str>,
    ) -> Result<Self, AccessError> {
        Self::with_endpoints(credentials, region, Endpoints::all(endpoint))
    }

    /// As [`new`](Self::new), with an endpoint for each service.
    ///
    /// # Errors
    ///
    /// [`AccessError::Endpoint`].
    pub fn with_endpoints(
        credentials: impl ProvideCredentials + 'static,
        region: Option<&str>,
        endpoints: Endpoints,
    ) -> Result<Self, AccessError> {
        let base = settings(region)
            .into_builder()
            // Shared by all clients, so that credentials are fetched once.
            .identity_cache(IdentityCache::lazy().build())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Self::with_config(base, endpoints)
    }

    /// Access with credentials that are asked for again `before` they expire.
    #[cfg(any(feature = "azure", feature = "gcp"))]
    pub(crate) fn renewed(
        credentials: impl ProvideCredentials + 'static,
        before: Duration,
        region: Option<&str>,
        endpoint: Option<&str>,
    ) -> Result<Self, AccessError> {
        let cache = IdentityCache::lazy()
            .buffer_time(before)
            .load_timeout(CREDENTIALS_TIMEOUT);
        let base = settings(region)
            .into_builder()
            .identity_cache(cache.build())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Self::with_config(base, Endpoints::all(endpoint))
    }

    /// Access for the calls that take no signature, and for no others.
    #[cfg(any(feature = "azure", feature = "gcp"))]
    pub(crate) fn unsigned(region: &str, endpoint: Option<&str>) -> Result<Self, AccessError> {
        Self::with_config(settings(Some(region)), Endpoints::all(endpoint))
    }

    fn with_config(base: SdkConfig, endpoints: Endpoints) -> Result<Self, AccessError> {
        let Endpoints {
            s3,
            dynamodb,
            secrets_manager,
            kms,
            sts,
        } = &endpoints;
        for endpoint in [s3, dynamodb, secrets_manager, kms, sts]
            .into_iter()
            .flatten()
        {
            check_endpoint(endpoint, "the settings")?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                base,
                endpoints,
                clients: Clients::default(),
            }),
        })
    }

    /// The credentials themselves, to sign what others send.
    #[cfg(feature = "gcp")]
    pub(crate) async fn credentials(&self) -> Result<Credentials, Failure> {
        let Some(provider) = self.inner.base.credentials_provider() else {
            return Err(no_credentials("none are set"));
        };
        let found = provider.provide_credentials().await;
        found.map_err(|error| no_credentials(&causes(&error)))
    }

    pub(crate) fn region(
        &self,
        region: Option<&str>,
        address: &str,
    ) -> Result<String, AccessError> {
        region
            .or_else(|| self.inner.base.region().map(AsRef::as_ref))
            .map(str::to_owned)
            .ok_or_else(|| AccessError::NoRegion {
                address: address.to_owned(),
            })
    }

    /// What to call instead of the service's own endpoint.
    pub(super) fn endpoint(
        &self,
        given: &Option<String>,
        variable: &'static str,
    ) -> Result<Option<String>, AccessError> {
        if let Some(endpoint) = given {
            return Ok(Some(endpoint.clone()));
        }
        let of_service = std::env::var(variable).ok().filter(|url| !url.is_empty());
        // What AWS_ENDPOINT_URL or the profile says of all services.
        let of_all = self.inner.base.endpoint_url().map(str::to_owned);
        let of_all = of_all.or_else(|| {
            let url = std::env::var("AWS_ENDPOINT_URL").ok();
            url.filter(|url| !url.is_empty())
        });
        let (found, source_name) = match (of_service, of_all) {
            (Some(url), _) => (url, variable),
            (None, Some(url)) => (url, "AWS_ENDPOINT_URL or the profile"),
            (None, None) => return Ok(None),
        };
        check_endpoint(&found, source_name)?;
        Ok(Some(found))
    }
}

impl Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("region", &self.inner.base.region())
            .field("endpoints", &self.inner.endpoints)
            .finish_non_exhaustive()
    }
}

/// The time-outs of a call that is attempted once and sends `bytes` bytes.
pub(super) fn write_timeouts(bytes: usize) -> TimeoutConfig {
    let whole = WRITE_TIMEOUT + transfer_time(bytes as u64);
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        // Said again, or that of reads would be inherited.
        .operation_attempt_timeout(whole)
        .operation_timeout(whole)
        .build()
}

/// How long `bytes` bytes may take on the way.
pub(super) fn transfer_time(bytes: u64) -> Duration {
    Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND)
}

fn check_endpoint(endpoint: &str, source_name: &'static str) -> Result<(), AccessError> {
    if is_https_or_loopback(endpoint) {
        return Ok(());
    }
    Err(AccessError::Endpoint {
        endpoint: without_user(endpoint),
        source_name,
    })
}

/// An address that can be shown: a user and password are left out.
fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}", &rest[end..])
        }
        None => "(no URL)".to_owned(),
    }
}

/// What all configurations that are not the environment's have.
fn settings(region: Option<&str>) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client())
        .timeout_config(read_timeouts())
        .retry_config(read_retries())
        .stalled_stream_protection(stall_protection())
        .region(region.map(|region| Region::new(region.to_owned())))
        .build()
}

pub(super) fn http_client() -> SharedHttpClient {
    let client = aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    // On its own it reads the machine's certificates whenever a client is set up;
    // behind this, when one is first called.
    http_client_fn(move |settings, components| client.http_connector(settings, components))
}

pub(super) fn read_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(READ_ATTEMPT_TIMEOUT)
        .operation_timeout(READ_TIMEOUT)
        .build()
}

pub(super) fn read_retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(READ_ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(2))
}

pub(super) fn stall_protection() -> StalledStreamProtectionConfig {
    StalledStreamProtectionConfig::enabled()
        .grace_period(STALL_GRACE)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_shown_without_its_user() {
        assert_eq!(without_user("http://u:p@host:1/x"), "http://host:1/x");
        assert_eq!(without_user("http://host"), "http://host");
        assert_eq!(without_user("u:p@host"), "(no URL)");
    }

    #[test]
    fn objects_of_ten_megabytes_fail_within_thirty_seconds() {
        let whole = |bytes| WRITE_TIMEOUT + transfer_time(bytes);
        assert!(whole(10 << 20) <= Duration::from_secs(30));
        assert!(READ_TIMEOUT + STALL_GRACE < Duration::from_secs(30));
        assert!(CONNECT_TIMEOUT * READ_ATTEMPTS + Duration::from_secs(6) < READ_TIMEOUT);
    }
}
