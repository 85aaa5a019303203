//! What a process needs to call Azure: an identity, and where the services are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport, Url};
use azure_core::time::OffsetDateTime;
use azure_identity::{
    AzureCliCredential, ClientAssertionCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use thiserror::Error as ThisError;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::arm::Arm;
use super::failure::one_line;
use super::wire::{Sas, Wire, client, identity_client};

/// The longest wait for a token. The command line takes 1 to 3 seconds.
const TOKEN: Duration = Duration::from_secs(8);

/// Why Azure cannot be called with these settings. It never repeats one: it
/// may hold a signature.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("{0}")]
pub struct AccessError(String);

impl AccessError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Where Azure's services are, where they are not at their usual addresses,
/// and how to find what Azure Resource Manager knows about an account.
///
/// Plain http is taken for this machine alone: 127.0.0.1, `[::1]`, localhost.
/// There stands an emulator, which is sent no token of anybody.
#[derive(Clone, Default)]
pub struct Endpoints {
    blob: Option<Endpoint>,
    sas: Option<Zeroizing<String>>,
    key_vault: Option<Endpoint>,
    resource_manager: Option<Endpoint>,
    authority: Option<Endpoint>,
    subscription: Option<String>,
    resource_group: Option<String>,
}

#[derive(Clone, Debug)]
struct Endpoint {
    url: String,
    loopback: bool,
}

impl Endpoints {
    /// As the environment says:
    ///
    /// | variable | what it is |
    /// |---|---|
    /// | `AZURE_STORAGE_BLOB_ENDPOINT` | [`with_blob`](Self::with_blob) |
    /// | `AZURE_STORAGE_SAS_TOKEN` | [`with_sas`](Self::with_sas) |
    /// | `AZURE_KEY_VAULT_ENDPOINT` | [`with_key_vault`](Self::with_key_vault) |
    /// | `AZURE_RESOURCE_MANAGER_ENDPOINT` | [`with_resource_manager`](Self::with_resource_manager) |
    /// | `AZURE_AUTHORITY_HOST` | [`with_authority`](Self::with_authority) |
    /// | `AZURE_SUBSCRIPTION_ID`, `AZURE_RESOURCE_GROUP` | [`with_resource_group`](Self::with_resource_group), both or none |
    ///
    /// # Errors
    /// When one cannot be what it should be.
    pub fn from_env() -> Result<Self, AccessError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut endpoints = Self::default();
        if let Some(url) = variable("AZURE_STORAGE_BLOB_ENDPOINT") {
            endpoints = endpoints.with_blob(&url)?;
        }
        if let Some(sas) = variable("AZURE_STORAGE_SAS_TOKEN").map(Zeroizing::new) {
            endpoints = endpoints.with_sas(&sas)?;
        }
        if let Some(url) = variable("AZURE_KEY_VAULT_ENDPOINT") {
            endpoints = endpoints.with_key_vault(&url)?;
        }
        if let Some(url) = variable("AZURE_RESOURCE_MANAGER_ENDPOINT") {
            endpoints = endpoints.with_resource_manager(&url)?;
        }
        if let Some(url) = variable("AZURE_AUTHORITY_HOST") {
            endpoints = endpoints.with_authority(&url)?;
        }
        if let (Some(subscription), Some(group)) = (
            variable("AZURE_SUBSCRIPTION_ID"),
            variable("AZURE_RESOURCE_GROUP"),
        ) {
            endpoints = endpoints.with_resource_group(&subscription, &group)?;
        }
        Ok(endpoints)
    }

    /// Blobs at `url`: `http://127.0.0.1:10000` for an emulator, which takes
    /// the account's name as the first part of the path. Where `{account}`
    /// stands in it, that is the place of the name:
    /// `https://{account}.blob.core.usgovcloudapi.net`.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn with_blob(self, url: &str) -> Result<Self, AccessError> {
        let blob = Some(Endpoint::parse("the address of the blobs", url)?);
        Ok(Self { blob, ..self })
    }

    /// Opens the blobs with a shared access signature in place of a token:
    /// `sv=…&sig=…`, with or without a question mark before it. For emulators,
    /// which ask for it; a cloud's account is better opened with an identity.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn with_sas(self, token: &str) -> Result<Self, AccessError> {
        let token = token.strip_prefix('?').unwrap_or(token);
        let fits = token.split('&').any(|pair| pair.starts_with("sig="))
            && token
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !fits {
            return Err(AccessError(
                "the shared access signature has no sig= or holds what no query has: copy it whole, as sv=…&sig=…"
                    .to_owned(),
            ));
        }
        let sas = Some(Zeroizing::new(token.to_owned()));
        Ok(Self { sas, ..self })
    }

    /// Every key vault at `url`, whatever its name.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn with_key_vault(self, url: &str) -> Result<Self, AccessError> {
        let key_vault = Some(Endpoint::parse("the address of the key vault", url)?);
        Ok(Self { key_vault, ..self })
    }

    /// Azure Resource Manager at `url`.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn with_resource_manager(self, url: &str) -> Result<Self, AccessError> {
        let endpoint = Endpoint::parse("the address of Azure Resource Manager", url)?;
        Ok(Self {
            resource_manager: Some(endpoint),
            ..self
        })
    }

    /// Entra ID at `url`, for identities of other clouds:
    /// `https://login.microsoftonline.us`.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn with_authority(self, url: &str) -> Result<Self, AccessError> {
        let authority = Some(Endpoint::parse("the address of Entra ID", url)?);
        Ok(Self { authority, ..self })
    }

    /// How the SDK's credentials reach Entra ID.
    #[cfg(any(feature = "aws", feature = "gcp"))]
    pub(crate) fn authority_options(&self) -> Result<ClientOptions, AccessError> {
        let authority = self.authority.as_ref();
        let loopback = authority.is_some_and(|authority| authority.loopback);
        let wire = Wire::new(client(loopback).map_err(no_tls)?)
            .with_stand_in(authority.map(Endpoint::url).transpose()?)
            .without_token();
        Ok(ClientOptions {
            retry: token_retries(),
            ..wire.options()
        })
    }

    /// The subscription and the resource group of the storage accounts. Where
    /// they are not given, an account is looked for by its name with Azure
    /// Resource Graph, among all that the identity may read.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn with_resource_group(self, subscription: &str, group: &str) -> Result<Self, AccessError> {
        let fits = |text: &str, others: &str| {
            let good = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
            !text.is_empty() && text.len() <= 90 && text.chars().all(good)
        };
        if !fits(subscription, "-") || !fits(group, "-_.()") {
            return Err(AccessError(
                "the subscription is no id, or the resource group no name: see az account show, az group list"
                    .to_owned(),
            ));
        }
        Ok(Self {
            subscription: Some(subscription.to_owned()),
            resource_group: Some(group.to_owned()),
            ..self
        })
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints")
            .field("blob", &self.blob)
            .field("sas", &self.sas.as_ref().map(|_| "…"))
            .field("key_vault", &self.key_vault)
            .field("resource_manager", &self.resource_manager)
            .field("authority", &self.authority)
            .field("subscription", &self.subscription)
            .field("resource_group", &self.resource_group)
            .finish()
    }
}

impl Endpoint {
    fn parse(what: &str, text: &str) -> Result<Self, AccessError> {
        let text = text.trim_end_matches('/');
        let refuse = |why: &str| Err(AccessError(format!("{what} {why}")));
        let Ok(url) = Url::parse(&text.replace("{account}", "account")) else {
            return refuse(
                "is no URL: write https://HOST, or http://127.0.0.1:PORT for an emulator",
            );
        };
        let host = url.host_str().unwrap_or_default();
        let loopback = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("holds a name or a password: leave them out");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("has a query: a shared access signature is given by itself");
        }
        match url.scheme() {
            "https" if !host.is_empty() => {}
            "http" if loopback => {}
            _ => {
                return refuse(
                    "is not https: plain http is taken for 127.0.0.1, [::1] and localhost alone",
                );
            }
        }
        Ok(Self {
            url: text.to_owned(),
            loopback: loopback && url.scheme() == "http",
        })
    }

    fn url(&self) -> Result<Url, AccessError> {
        Url::parse(&self.url).map_err(|_| AccessError("an address is no URL".to_owned()))
    }
}

pub(super) type Credential = Arc<dyn TokenCredential>;

/// How a client of the SDK reaches its service.
pub(super) struct Way<C> {
    pub(super) url: Url,
    pub(super) wire: Wire,
    pub(super) credential: C,
}

/// What a process needs to call Azure. Cheap to clone; one serves all stores
/// of a process.
#[derive(Clone)]
pub struct Access {
    credential: Arc<dyn TokenCredential>,
    endpoints: Endpoints,
    cloud: reqwest::Client,
    loopback: reqwest::Client,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Access with `credential`, whoever made it.
    ///
    /// # Errors
    /// When an emulator's blobs come without a signature, or there is no TLS.
    pub fn new(
        credential: Arc<dyn TokenCredential>,
        endpoints: Endpoints,
    ) -> Result<Self, AccessError> {
        if endpoints.sas.is_none() && endpoints.blob.as_ref().is_some_and(|blob| blob.loopback) {
            return Err(AccessError(
                "an emulator of blobs is sent no token: set AZURE_STORAGE_SAS_TOKEN to a shared access signature of its account"
                    .to_owned(),
            ));
        }
        Ok(Self {
            credential: Arc::new(Patient(credential)),
            endpoints,
            cloud: client(false).map_err(no_tls)?,
            loopback: client(true).map_err(no_tls)?,
        })
    }

    /// Access without an identity, for emulators.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[cfg(feature = "emulators")]
    pub fn anonymous(endpoints: Endpoints) -> Result<Self, AccessError> {
        Self::new(Arc::new(Nobody), endpoints)
    }

    /// Access with the identity that the machine has. The environment decides
    /// which, so that nobody is taken for somebody else because a first choice
    /// failed:
    ///
    /// 1. `AZURE_FEDERATED_TOKEN_FILE`: a workload identity (Kubernetes, CI).
    /// 2. `IDENTITY_ENDPOINT`: the managed identity of a Function or an App
    ///    Service; the one of `AZURE_CLIENT_ID` where that is set.
    /// 3. Otherwise whoever is logged in to the command line `az`: a person;
    ///    and where nobody is, the managed identity of the virtual machine.
    ///
    /// Client secrets and certificates are not looked for: no long-lived key
    /// is needed anywhere.
    ///
    /// # Errors
    /// [`AccessError`]. Whether the identity is of any use shows at the first call.
    pub fn find(endpoints: Endpoints) -> Result<Self, AccessError> {
        let refused = |error: Error| {
            AccessError(format!(
                "the identity cannot be used: {}",
                one_line(&error.to_string())
            ))
        };
        let http = identity_client().map_err(no_tls)?;
        let client_options = ClientOptions {
            retry: token_retries(),
            transport: Some(Transport::new(Arc::new(http))),
            ..ClientOptions::default()
        };
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let managed = |client_options| {
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: variable("AZURE_CLIENT_ID").map(UserAssignedId::ClientId),
                client_options,
            }))
        };
        let credential: Credential = match Identity::of(|name| variable(name).is_some()) {
            Identity::Workload => {
                let options = WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    ..WorkloadIdentityCredentialOptions::default()
                };
                WorkloadIdentityCredential::new(Some(options)).map_err(refused)?
            }
            Identity::Function => managed(client_options).map_err(refused)?,
            Identity::PersonOrMachine => Arc::new(PersonOrMachine {
                person: AzureCliCredential::new(None).map_err(refused)?,
                machine: managed(client_options).map_err(refused)?,
            }),
        };
        Self::new(credential, endpoints)
    }

    /// A token of this identity for `scope`, for another than Azure's services.
    #[cfg(any(feature = "aws", feature = "gcp"))]
    pub(crate) async fn token(&self, scope: &str) -> azure_core::Result<Zeroizing<String>> {
        let got = self.credential.get_token(&[scope], None).await?;
        Ok(Zeroizing::new(got.token.secret().to_owned()))
    }

    /// The way to an account's blobs. With a signature there is no credential.
    pub(super) fn blob(&self, account: &str) -> Result<Way<Option<Credential>>, AccessError> {
        let cloud = Endpoint {
            url: "https://{account}.blob.core.windows.net".to_owned(),
            loopback: false,
        };
        let endpoint = self.endpoints.blob.as_ref().unwrap_or(&cloud);
        let url = match endpoint.url.contains("{account}") {
            true => endpoint.url.replace("{account}", account),
            false => format!("{}/{account}", endpoint.url),
        };
        let url = Url::parse(&url)
            .map_err(|_| AccessError::new("the name of the storage account is none"))?;
        let sas = self.endpoints.sas.clone();
        Ok(Way {
            url,
            credential: sas.is_none().then(|| Arc::clone(&self.credential)),
            wire: self.wire(endpoint.loopback).with_sas(sas.map(Sas)),
        })
    }

    /// The way to a vault.
    pub(super) fn key_vault(&self, vault: &str) -> Result<Way<Credential>, AccessError> {
        let url = Url::parse(&format!("https://{vault}.vault.azure.net"))
            .map_err(|_| AccessError::new("the name of the vault is none"))?;
        let (wire, credential) = self.service(self.endpoints.key_vault.as_ref())?;
        Ok(Way {
            url,
            wire,
            credential,
        })
    }

    /// What Azure Resource Manager knows of an account. An emulator has none,
    /// unless it is told where one is.
    pub(super) fn resource_manager(&self, account: &str) -> Result<Option<Arm>, AccessError> {
        let endpoint = self.endpoints.resource_manager.as_ref();
        if endpoint.is_none()
            && self
                .endpoints
                .blob
                .as_ref()
                .is_some_and(|blob| blob.loopback)
        {
            return Ok(None);
        }
        let (wire, credential) = self.service(endpoint)?;
        let Endpoints {
            subscription,
            resource_group,
            ..
        } = &self.endpoints;
        let group = subscription.clone().zip(resource_group.clone());
        Ok(Some(Arm::new(wire, credential, account, group)))
    }

    fn service(&self, endpoint: Option<&Endpoint>) -> Result<(Wire, Credential), AccessError> {
        let Some(endpoint) = endpoint else {
            return Ok((self.wire(false), Arc::clone(&self.credential)));
        };
        let wire = self
            .wire(endpoint.loopback)
            .with_stand_in(Some(endpoint.url()?));
        let credential: Credential = match endpoint.loopback {
            true => Arc::new(Nobody),
            false => Arc::clone(&self.credential),
        };
        Ok((wire, credential))
    }

    fn wire(&self, loopback: bool) -> Wire {
        Wire::new(match loopback {
            true => self.loopback.clone(),
            false => self.cloud.clone(),
        })
    }
}

/// A token has no effects: asking again is safe, within [`TOKEN`].
fn token_retries() -> RetryOptions {
    RetryOptions::exponential(ExponentialRetryOptions {
        initial_delay: azure_core::time::Duration::milliseconds(300),
        max_retries: 2,
        ..ExponentialRetryOptions::default()
    })
}

fn no_tls(_: reqwest::Error) -> AccessError {
    AccessError::new("TLS could not be set up: is there a certificate store on this machine?")
}

/// Whose identity a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Workload,
    Function,
    PersonOrMachine,
}

impl Identity {
    /// By the variables that are set.
    pub(super) fn of(is_set: impl Fn(&str) -> bool) -> Self {
        if is_set("AZURE_FEDERATED_TOKEN_FILE") {
            return Self::Workload;
        }
        match is_set("IDENTITY_ENDPOINT") {
            true => Self::Function,
            false => Self::PersonOrMachine,
        }
    }
}

/// A credential that does not keep its caller waiting.
#[derive(Debug)]
struct Patient(Arc<dyn TokenCredential>);

#[async_trait]
impl TokenCredential for Patient {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        match timeout(TOKEN, self.0.get_token(scopes, options)).await {
            Ok(Err(error)) if !matches!(error.kind(), ErrorKind::Credential) => {
                let text = error.to_string();
                Err(Error::with_error(ErrorKind::Credential, error, text))
            }
            Ok(got) => got,
            Err(_) => {
                let late = Error::with_message(ErrorKind::Io, "no token came");
                let text = format!("no token came within {TOKEN:?}");
                Err(Error::with_error(ErrorKind::Credential, late, text))
            }
        }
    }
}

/// Whoever is logged in to `az`, or else the machine itself.
#[derive(Debug)]
struct PersonOrMachine {
    person: Arc<AzureCliCredential>,
    machine: Arc<ManagedIdentityCredential>,
}

#[async_trait]
impl TokenCredential for PersonOrMachine {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let person = match self.person.get_token(scopes, options.clone()).await {
            Ok(token) => return Ok(token),
            Err(error) => error,
        };
        self.machine.get_token(scopes, options).await.map_err(|machine| {
            let text = format!(
                "nobody is logged in with az ({person}), and this machine has no managed identity ({machine})"
            );
            Error::with_message(ErrorKind::Credential, text)
        })
    }
}

/// What an emulator is told: it asks for no token, but the SDK sends one.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl TokenCredential for Nobody {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        // 2100. The token opens nothing, so that it may be good for ever.
        let expires = OffsetDateTime::from_unix_timestamp(4_102_444_800)
            .map_err(|error| Error::new(ErrorKind::Credential, error))?;
        Ok(AccessToken::new("emulator", expires))
    }
}
