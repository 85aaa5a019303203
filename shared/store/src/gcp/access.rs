//! What a process needs to call Google Cloud: credentials, an HTTP client and
//! the addresses of the services.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::{
    self, CacheableResource, Credentials, CredentialsProvider, EntityTag,
};
use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::exponential_backoff::ExponentialBackoffBuilder;
use google_cloud_gax::retry_policy::RetryPolicyExt;
use google_cloud_storage::client::Storage;
use google_cloud_storage::read_resume_policy::{ReadResumePolicyExt, Recommended};
use google_cloud_storage::retry_policy::RetryableErrors;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::failure::{Failure, chain};
use crate::{requests, tls};

/// How long it may take to get an access token. A token is kept and renewed in
/// the background, so that most calls wait for none.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// How often a read is tried in all. Writes are tried once.
pub(super) const READ_ATTEMPTS: u32 = 3;

/// How long to wait before the second attempt of a read; twice as long before
/// each further one.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// Google's services that this crate calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Storage,
    SecretManager,
    Kms,
    ResourceManager,
    /// Which exchanges other clouds' tokens.
    #[cfg(any(feature = "aws", feature = "azure"))]
    SecurityToken,
    /// Which lets one identity act as another.
    #[cfg(any(feature = "aws", feature = "azure"))]
    IamCredentials,
}

/// Access to Google Cloud: credentials, a pool of connections, and where the
/// services are. A clone is the same access.
#[derive(Clone)]
pub struct Access {
    inner: Arc<Inner>,
}

struct Inner {
    credentials: Credentials,
    anonymous: bool,
    endpoints: Endpoints,
    http: OnceCell<reqwest::Client>,
    storage: OnceCell<Storage>,
}

impl Access {
    /// Access with these credentials. Nothing is called yet.
    pub fn new(credentials: Credentials, endpoints: Endpoints) -> Self {
        Self::with(credentials, false, endpoints)
    }

    /// Access with the application default credentials: the file that
    /// `GOOGLE_APPLICATION_CREDENTIALS` names, a person's
    /// `gcloud auth application-default login`, or else the metadata server of
    /// Cloud Run, functions and machines. They are looked for at the first call.
    pub fn application_default(endpoints: Endpoints) -> Self {
        let credentials = Credentials::from(ApplicationDefault::default());
        Self::new(credentials, endpoints)
    }

    /// Access as the environment has it: without credentials where it names an
    /// emulator ([`Endpoints::from_environment`]), as Google's own libraries
    /// do, else with the [application default](Self::application_default).
    ///
    /// # Errors
    ///
    /// When an address cannot be read.
    pub fn from_environment() -> Result<Self, AccessError> {
        let endpoints = Endpoints::from_environment()?;
        Ok(match endpoints.any_is_loopback() {
            true => Self::anonymous(endpoints),
            false => Self::application_default(endpoints),
        })
    }

    /// Access without credentials, for emulators: each call goes to a loopback
    /// address, with a token that opens nothing, or is refused.
    pub fn anonymous(endpoints: Endpoints) -> Self {
        Self::with(Credentials::from(Nobody), true, endpoints)
    }

    fn with(credentials: Credentials, anonymous: bool, endpoints: Endpoints) -> Self {
        // The SDK's clients look for it when they are set up.
        tls::use_ring();
        Self {
            inner: Arc::new(Inner {
                credentials,
                anonymous,
                endpoints,
                http: OnceCell::new(),
                storage: OnceCell::new(),
            }),
        }
    }

    /// The headers that authorize a request.
    pub(super) async fn authorization(&self, service: Service) -> Result<HeaderMap, Failure> {
        let endpoint = self.endpoint(service);
        if self.inner.anonymous && !endpoint.is_loopback() {
            return Err(Failure::refused(
                format!("there are no credentials for {endpoint}"),
                format!(
                    "sign in, or set {} to the local server that stands in for it",
                    service.variable()
                ),
            ));
        }
        let headers = self.inner.credentials.headers(Default::default());
        match timeout(TOKEN_TIMEOUT, headers).await {
            Ok(Ok(CacheableResource::New { data, .. })) => Ok(data),
            Ok(Ok(CacheableResource::NotModified)) => Ok(HeaderMap::new()),
            Ok(Err(error)) => Err(Failure::of_credentials(&error)),
            Err(_) => Err(Failure::NotSent(
                format!(
                    "no access token came within {} s: check the network, and the sign-in (gcloud auth application-default login) or the metadata server",
                    TOKEN_TIMEOUT.as_secs()
                )
                .into(),
            )),
        }
    }

    pub(super) fn endpoint(&self, service: Service) -> &Endpoint {
        let endpoints = &self.inner.endpoints;
        match service {
            Service::Storage => &endpoints.storage,
            Service::SecretManager => &endpoints.secret_manager,
            Service::Kms => &endpoints.kms,
            Service::ResourceManager => &endpoints.resource_manager,
            #[cfg(any(feature = "aws", feature = "azure"))]
            Service::SecurityToken => &endpoints.security_token,
            #[cfg(any(feature = "aws", feature = "azure"))]
            Service::IamCredentials => &endpoints.iam_credentials,
        }
    }

    /// The client of what the SDK does not call, set up at the first call.
    pub(super) async fn http(&self) -> Result<&reqwest::Client, Failure> {
        let make = || async { http_client(reqwest::Client::builder()) };
        let made = self.inner.http.get_or_try_init(make).await;
        made.map_err(|error| {
            Failure::refused(
                format!("no HTTPS client can be set up: {}", chain(&error)),
                "check the machine's proxy settings",
            )
        })
    }

    /// The SDK's client of Cloud Storage, ready to send: a failure here says
    /// that nothing was sent.
    pub(super) async fn storage(&self) -> Result<&Storage, Failure> {
        self.authorization(Service::Storage).await?;
        let build = self.inner.storage.get_or_try_init(|| self.build_storage());
        timeout(TOKEN_TIMEOUT, build).await.unwrap_or_else(|_| {
            Err(Failure::NotSent(
                "the metadata server did not answer: check the network".into(),
            ))
        })
    }

    async fn build_storage(&self) -> Result<Storage, Failure> {
        // The SDK's own limit is 300 s. Each of these attempts is short, and
        // the whole call is timed by its caller.
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_delay(FIRST_BACKOFF)
            .with_maximum_delay(Duration::from_secs(2))
            .clamp();
        let built = Storage::builder()
            .with_endpoint(self.endpoint(Service::Storage).as_str())
            .with_credentials(Credentials::from(Counting(self.inner.credentials.clone())))
            .with_retry_policy(RetryableErrors.with_attempt_limit(READ_ATTEMPTS))
            .with_backoff_policy(backoff)
            .with_read_resume_policy(Recommended.with_attempt_limit(READ_ATTEMPTS))
            .build()
            .await;
        built.map_err(|error| {
            Failure::refused(
                format!(
                    "no client of Cloud Storage can be set up: {}",
                    chain(&error)
                ),
                "check the credentials and the machine's certificates",
            )
        })
    }
}

/// Credentials of the SDK's client, which asks for them once before every
/// attempt: there each attempt is counted.
#[derive(Debug)]
struct Counting(Credentials);

impl CredentialsProvider for Counting {
    async fn headers(
        &self,
        extensions: http::Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let headers = self.0.headers(extensions).await?;
        requests::request();
        Ok(headers)
    }

    async fn universe_domain(&self) -> Option<String> {
        self.0.universe_domain().await
    }
}

/// The application default credentials. They ask for a token as soon as they are
/// set up, with a client of their own, which a function's start would wait for.
#[derive(Debug, Default)]
struct ApplicationDefault(OnceCell<Credentials>);

impl ApplicationDefault {
    async fn credentials(&self) -> Result<&Credentials, CredentialsError> {
        let find = || async {
            credentials::Builder::default().build().map_err(|error| {
                let text = format!(
                    "the file that GOOGLE_APPLICATION_CREDENTIALS or gcloud's sign-in names cannot be used: {}",
                    chain(&error)
                );
                CredentialsError::from_msg(false, text)
            })
        };
        self.0.get_or_try_init(find).await
    }
}

impl CredentialsProvider for ApplicationDefault {
    async fn headers(
        &self,
        extensions: http::Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        self.credentials().await?.headers(extensions).await
    }

    async fn universe_domain(&self) -> Option<String> {
        self.credentials().await.ok()?.universe_domain().await
    }
}

/// Has a token that opens nothing: some emulators ask for one.
#[derive(Debug)]
struct Nobody;

impl CredentialsProvider for Nobody {
    async fn headers(
        &self,
        _: http::Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let token = HeaderValue::from_static("Bearer emulator");
        Ok(CacheableResource::New {
            entity_tag: EntityTag::new(),
            data: HeaderMap::from_iter([(AUTHORIZATION, token)]),
        })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("anonymous", &self.inner.anonymous)
            .field("endpoints", &self.inner.endpoints)
            .finish_non_exhaustive()
    }
}

/// The client of the machine's metadata server, which no proxy leads to.
#[cfg(any(feature = "aws", feature = "azure"))]
pub(crate) fn metadata_client() -> Result<reqwest::Client, AccessError> {
    http_client(reqwest::Client::builder().no_proxy())
        .map_err(|error| AccessError(format!("no HTTP client can be set up: {}", chain(&error))))
}

fn http_client(builder: reqwest::ClientBuilder) -> reqwest::Result<reqwest::Client> {
    builder
        .tls_backend_preconfigured(tls::config())
        .connect_timeout(CONNECT_TIMEOUT)
        // No API redirects; following one would carry the token along.
        .redirect(reqwest::redirect::Policy::none())
        // What may be repeated is decided by the caller.
        .retry(reqwest::retry::never())
        .build()
}

impl Service {
    /// Google's own address.
    fn home(self) -> &'static str {
        match self {
            Self::Storage => "https://storage.googleapis.com/",
            Self::SecretManager => "https://secretmanager.googleapis.com/",
            Self::Kms => "https://cloudkms.googleapis.com/",
            Self::ResourceManager => "https://cloudresourcemanager.googleapis.com/",
            #[cfg(any(feature = "aws", feature = "azure"))]
            Self::SecurityToken => "https://sts.googleapis.com/",
            #[cfg(any(feature = "aws", feature = "azure"))]
            Self::IamCredentials => "https://iamcredentials.googleapis.com/",
        }
    }

    /// The variable of the environment that names another address: for storage
    /// what emulators use, else what the gcloud command reads.
    fn variable(self) -> &'static str {
        match self {
            Self::Storage => "STORAGE_EMULATOR_HOST",
            Self::SecretManager => "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER",
            Self::Kms => "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS",
            Self::ResourceManager => "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER",
            #[cfg(any(feature = "aws", feature = "azure"))]
            Self::SecurityToken => "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS",
            #[cfg(any(feature = "aws", feature = "azure"))]
            Self::IamCredentials => "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS",
        }
    }
}

/// Where Google's services are.
///
/// ```
/// use countersign_store::gcp::{Endpoint, Endpoints};
///
/// let mut endpoints = Endpoints::google();
/// endpoints.storage = Endpoint::parse("127.0.0.1:4443").unwrap();
/// assert!(Endpoint::parse("http://storage.example").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Cloud Storage.
    pub storage: Endpoint,
    /// Secret Manager.
    pub secret_manager: Endpoint,
    /// Cloud KMS.
    pub kms: Endpoint,
    /// Resource Manager, which knows a project's liens.
    pub resource_manager: Endpoint,
    /// The token service that exchanges other clouds' tokens.
    #[cfg(any(feature = "aws", feature = "azure"))]
    pub security_token: Endpoint,
    /// Which lets a workload identity pool's identity act as a service account.
    #[cfg(any(feature = "aws", feature = "azure"))]
    pub iam_credentials: Endpoint,
}

impl Endpoints {
    /// Google's own.
    ///
    /// # Panics
    ///
    /// Never: they are constants that parse.
    pub fn google() -> Self {
        Self::read(|_| None).expect("Google's addresses are well formed")
    }

    /// Google's own, but for those that the environment names:
    /// `STORAGE_EMULATOR_HOST`, and for the others what the gcloud command
    /// reads, `CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER`, `…_CLOUDKMS`,
    /// `…_CLOUDRESOURCEMANAGER`, `…_STS` and `…_IAMCREDENTIALS`.
    ///
    /// # Errors
    ///
    /// When one of them is no [`Endpoint`].
    pub fn from_environment() -> Result<Self, AccessError> {
        Self::read(|variable| std::env::var(variable).ok())
    }

    fn any_is_loopback(&self) -> bool {
        [
            &self.storage,
            &self.secret_manager,
            &self.kms,
            &self.resource_manager,
        ]
        .into_iter()
        .any(Endpoint::is_loopback)
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, AccessError> {
        let endpoint = |service: Service| {
            let name = service.variable();
            match variable(name).filter(|value| !value.is_empty()) {
                Some(value) => {
                    Endpoint::parse(&value).map_err(|error| AccessError(format!("{name}: {error}")))
                }
                None => Endpoint::parse(service.home()),
            }
        };
        Ok(Self {
            storage: endpoint(Service::Storage)?,
            secret_manager: endpoint(Service::SecretManager)?,
            kms: endpoint(Service::Kms)?,
            resource_manager: endpoint(Service::ResourceManager)?,
            #[cfg(any(feature = "aws", feature = "azure"))]
            security_token: endpoint(Service::SecurityToken)?,
            #[cfg(any(feature = "aws", feature = "azure"))]
            iam_credentials: endpoint(Service::IamCredentials)?,
        })
    }
}

/// The address of a service: `https://…`, or `http://…` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Reads an address. Without a scheme, as emulators print theirs, it is http.
    ///
    /// # Errors
    ///
    /// When it is no address of a server, carries a user or a query, or is
    /// plain http to another machine than this.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let invalid = || {
            AccessError(
                "it is no address of a server: write https://HOST, or http://127.0.0.1:PORT"
                    .to_owned(),
            )
        };
        let text = text.trim();
        let whole = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = Url::parse(&whole).map_err(|_| invalid())?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain || url.host_str().is_none() {
            return Err(invalid());
        }
        let endpoint = Self(url);
        match endpoint.0.scheme() {
            "https" => Ok(endpoint),
            "http" if endpoint.is_loopback() => Ok(endpoint),
            "http" => Err(AccessError(
                "it is plain http to another machine, where everybody on the way reads along: write https://, or 127.0.0.1, localhost or [::1]"
                    .to_owned(),
            )),
            _ => Err(invalid()),
        }
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        matches!(self.0.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address of what stands at `path`, given in parts that are escaped
    /// as far as they must be.
    pub(super) fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Why there is no access, and what to correct. It repeats no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessError(String);

impl AccessError {
    #[cfg(any(feature = "aws", feature = "azure"))]
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "https://storage.googleapis.com",
            "https://storage.example/base",
            "http://127.0.0.1:19311",
            "http://localhost:1/",
            "http://[::1]:1",
            "127.0.0.1:4443",
            "localhost:4443",
        ] {
            Endpoint::parse(good).expect(good);
        }
        for bad in [
            "",
            "http://storage.googleapis.com",
            "http://127.0.0.1.example:1",
            "http://10.0.0.1:1",
            "10.0.0.1:1",
            "ftp://127.0.0.1",
            "https://user:word@storage.googleapis.com",
            "https://storage.googleapis.com/?x=1",
            "http://127.0.0.1@storage.example",
        ] {
            let error = Endpoint::parse(bad).expect_err(bad).to_string();
            assert!(error.contains("https://"), "{error}");
            assert!(!error.contains("word"), "{error}");
        }
    }

    #[test]
    fn parts_of_a_path_are_escaped() {
        let endpoint = Endpoint::parse("http://127.0.0.1:1/base").expect("it parses");
        assert_eq!(
            endpoint.url(&["b", "x", "o", "a/b ?#%"]).as_str(),
            "http://127.0.0.1:1/base/b/x/o/a%2Fb%20%3F%23%25"
        );
    }

    #[test]
    fn the_environment_names_other_addresses() {
        let endpoints = |value: &'static str| {
            Endpoints::read(move |name| (name == "STORAGE_EMULATOR_HOST").then(|| value.to_owned()))
        };
        let named = endpoints("127.0.0.1:4443").expect("it is one");
        assert_eq!(named.storage.as_str(), "http://127.0.0.1:4443/");
        assert_eq!(named.kms, Endpoints::google().kms);
        assert!(named.any_is_loopback());
        let unset = endpoints("").expect("it is not set");
        assert_eq!(unset.storage, Endpoints::google().storage);
        assert!(!unset.any_is_loopback());
        let error = endpoints("http://10.0.0.1:4443").expect_err("plain http");
        assert!(
            error.to_string().contains("STORAGE_EMULATOR_HOST"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn nothing_goes_to_google_without_credentials() {
        let access = Access::anonymous(Endpoints::google());
        for service in [Service::Storage, Service::SecretManager, Service::Kms] {
            let refused = access.authorization(service).await;
            let Err(Failure::Refused { next, .. }) = refused else {
                panic!("{service:?}: {refused:?}");
            };
            assert!(next.contains(service.variable()), "{next}");
        }
    }
}
