//! Secrets of a key vault.

use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::base64;
use azure_core::http::pager::PagerOptions;
use azure_security_keyvault_secrets::models::{
    SecretClientGetSecretOptions, SecretClientListSecretPropertiesVersionsOptions,
    SecretClientSetSecretOptions, SecretProperties, SetSecretParameters,
};
use azure_security_keyvault_secrets::{ResourceExt, SecretClient, SecretClientOptions};
use futures_util::TryStreamExt;
use tokio::time::sleep;
use zeroize::{Zeroize, Zeroizing};

use super::access::{Access, AccessError, Way};
use super::failure::{self, Ask};
use super::wire::Call;
use crate::address::KeyAddress;
use crate::failure::Failure;
use crate::secret::{Secret, SecretError};

/// The content type of a value that is not text, and so stands in base64.
const BASE64: &str = "application/octet-stream;base64";

/// Creation times of versions are whole seconds: once this has passed, no
/// version can still come that is as old as one's own.
const A_SECOND: Duration = Duration::from_millis(1_100);

/// The most versions that are looked at. One is what there should be.
const MAX_VERSIONS: usize = 1_000;

/// A secret of an Azure Key Vault, of which **the oldest enabled version**
/// counts.
///
/// A vault has no create-only write: each one adds a version. So the first
/// version is the secret, and whoever may write to the vault can neither
/// replace it nor, by adding another, bring the chain that signs with it to a
/// stop. To replace a secret on purpose, disable its older versions.
///
/// Of several that make it at a time, all see the same oldest version once the
/// second of their writes is over: by creation time, then by the version's
/// name. The others are told that the secret exists; their versions stay, and
/// do not count.
pub struct KeyVaultSecret {
    client: SecretClient,
    vault: String,
    name: String,
}

impl Debug for KeyVaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyVaultSecret({})", self.describe())
    }
}

impl KeyVaultSecret {
    /// The secret `name` of the vault `https://VAULT.vault.azure.net`. Nothing
    /// is sent yet.
    ///
    /// # Errors
    /// When the vault cannot be addressed.
    pub fn open(access: &Access, vault: &str, name: &str) -> Result<Self, AccessError> {
        let Way {
            url,
            wire,
            credential,
        } = access.key_vault(vault)?;
        let options = SecretClientOptions {
            client_options: wire.options(),
            ..SecretClientOptions::default()
        };
        let client = SecretClient::new(url.as_str(), credential, Some(options))
            .map_err(|error| AccessError::new(format!("the vault cannot be addressed: {error}")))?;
        Ok(Self {
            client,
            vault: vault.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The name of the version that counts, if there is one.
    async fn counting(&self) -> Result<Option<String>, Failure> {
        let call = Call::new();
        let options = SecretClientListSecretPropertiesVersionsOptions {
            method_options: PagerOptions {
                context: call.options().context,
                continuation: None,
            },
            ..SecretClientListSecretPropertiesVersionsOptions::default()
        };
        let failed = |error| failure::of(&error, &call, Ask::ReadSecrets);
        let mut versions = self
            .client
            .list_secret_properties_versions(&self.name, Some(options))
            .map_err(failed)?;
        let mut seen = 0;
        let mut oldest: Option<(i64, String)> = None;
        while let Some(version) = versions.try_next().await.map_err(failed)? {
            seen += 1;
            if seen > MAX_VERSIONS {
                return Err(Failure::refused(
                    format!("it has more than {MAX_VERSIONS} versions"),
                    "find out who wrote them, and use a secret of another name",
                ));
            }
            if let Some(found) = age_of(&version).map_err(failed)?
                && oldest.as_ref().is_none_or(|oldest| found < *oldest)
            {
                oldest = Some(found);
            }
        }
        Ok(oldest.map(|(_, version)| version))
    }

    async fn find(&self) -> Result<Option<String>, Failure> {
        match self.counting().await {
            Err(Failure::Missing) => Ok(None),
            found => found,
        }
    }

    async fn value(&self, max_bytes: usize) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        let failed = |failure: Failure| failure.of_read().into_secret(self.describe());
        let Some(version) = self.find().await.map_err(failed)? else {
            return Ok(None);
        };
        let call = Call::new();
        let options = SecretClientGetSecretOptions {
            method_options: call.options(),
            secret_version: Some(version),
            ..SecretClientGetSecretOptions::default()
        };
        let sdk = |error| failed(failure::of(&error, &call, Ask::ReadSecrets));
        let got = self
            .client
            .get_secret(&self.name, Some(options))
            .await
            .map_err(sdk)?;
        let mut got = got.into_model().map_err(sdk)?;
        let Some(value) = got.value.take().map(Zeroizing::new) else {
            return Ok(None);
        };
        let unsuitable = |reason: String| SecretError::Unsuitable {
            secret: self.describe(),
            reason,
            next: "store the value as it was made".to_owned(),
        };
        let content = match got.content_type.as_deref() {
            Some(BASE64) => {
                let decoded = base64::decode(value.as_str());
                Zeroizing::new(
                    decoded.map_err(|_| unsuitable("its value is no base64".to_owned()))?,
                )
            }
            _ => Zeroizing::new(value.as_bytes().to_vec()),
        };
        if content.len() > max_bytes {
            let bytes = content.len();
            return Err(unsuitable(format!(
                "its {bytes} bytes are more than the {max_bytes} allowed for it"
            )));
        }
        Ok(Some(content))
    }

    async fn make(&self, content: &[u8]) -> Result<(), Failure> {
        if self.find().await.map_err(Failure::of_read)?.is_some() {
            return Err(Failure::Exists);
        }
        let (mut value, content_type) = match std::str::from_utf8(content) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => (base64::encode(content), Some(BASE64.to_owned())),
        };
        let parameters = SetSecretParameters {
            value: Some(value.clone()),
            content_type,
            ..SetSecretParameters::default()
        };
        value.zeroize();
        let call = Call::new();
        let options = SecretClientSetSecretOptions {
            method_options: call.options(),
        };
        let failed = |error| failure::of(&error, &call, Ask::WriteSecrets);
        let body = parameters.try_into().map_err(failed)?;
        let made = self
            .client
            .set_secret(&self.name, body, Some(options))
            .await
            .map_err(failed)?;
        let made = made.into_model().map_err(failed)?;
        let own = made.resource_id().map_err(failed)?.version;
        sleep(A_SECOND).await;
        // It stands, whatever is seen of it now.
        let unseen = |failure: Failure| match failure {
            Failure::Transient(cause) => Failure::Unknown(cause),
            failure => failure,
        };
        let counting = self.find().await.map_err(unseen)?;
        match counting {
            Some(counting) if Some(&counting) == own.as_ref() => Ok(()),
            Some(_) => Err(Failure::Exists),
            None => Err(Failure::Unknown("its new version is not listed".into())),
        }
    }
}

#[async_trait]
impl Secret for KeyVaultSecret {
    async fn read(&self, max_bytes: usize) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        self.value(max_bytes).await
    }

    async fn create(&self, content: &[u8]) -> Result<(), SecretError> {
        let made = self.make(content).await;
        made.map_err(|failure| failure.into_secret(self.describe()))
    }

    fn describe(&self) -> String {
        KeyAddress::KeyVault {
            vault: self.vault.clone(),
            name: self.name.clone(),
        }
        .to_string()
    }
}

/// Creation time in seconds and name of an enabled version.
fn age_of(version: &SecretProperties) -> azure_core::Result<Option<(i64, String)>> {
    let Some(attributes) = &version.attributes else {
        return Ok(None);
    };
    let created = attributes
        .created
        .map_or(i64::MAX, |at| at.unix_timestamp());
    let name = version.resource_id()?.version.unwrap_or_default();
    Ok((attributes.enabled != Some(false)).then_some((created, name)))
}
