//! Azure: blobs in containers with immutability policies, Key Vault.

use std::fmt;

use reqwest::Method;
use serde_json::{Value, json};

use super::act::{Asker, escaped, json as json_of};
use super::{ActError, Emulators, EmulatorsError};
use crate::azure::sas::account_sas;
use crate::azure::{Access, Endpoints};
use crate::posture::{Expected, Lock};

pub use crate::azure::sas::ACCOUNT;

/// What the stand-ins' subscription and resource group are called: any name.
const SUBSCRIPTION: &str = "emulators";
const RESOURCE_GROUP: &str = "emulators";

/// Of the signature: all that there are for blobs.
const PERMISSIONS: &str = "rwdlacy";

const BLOB_VERSION: &str = "2021-12-02";
const STORAGE_VERSION: &str = "2023-05-01";

impl Emulators {
    /// Access to Azure's stand-ins, for stores and keys.
    ///
    /// # Errors
    /// When no client can be set up.
    pub fn azure(&self) -> Result<Access, EmulatorsError> {
        let endpoints = Endpoints::default()
            .with_blob(&self.blob.to_string())
            .and_then(|endpoints| endpoints.with_sas(&account_sas(PERMISSIONS)))
            .and_then(|endpoints| endpoints.with_key_vault(&self.key_vault.to_string()))
            .and_then(|endpoints| {
                endpoints.with_resource_manager(&self.resource_manager.to_string())
            })
            .and_then(|endpoints| endpoints.with_resource_group(SUBSCRIPTION, RESOURCE_GROUP));
        endpoints.and_then(Access::anonymous).map_err(unusable)
    }

    pub(super) fn azure_variables(&self) -> Vec<(&'static str, String)> {
        let manager = self.resource_manager.to_string();
        vec![
            ("AZURE_STORAGE_BLOB_ENDPOINT", self.blob.to_string()),
            ("AZURE_STORAGE_SAS_TOKEN", account_sas(PERMISSIONS)),
            ("AZURE_KEY_VAULT_ENDPOINT", self.key_vault.to_string()),
            ("AZURE_RESOURCE_MANAGER_ENDPOINT", manager),
            ("AZURE_SUBSCRIPTION_ID", SUBSCRIPTION.to_owned()),
            ("AZURE_RESOURCE_GROUP", RESOURCE_GROUP.to_owned()),
        ]
    }

    /// Somebody who may do everything that Azure permits anybody.
    ///
    /// # Errors
    /// When no client can be set up.
    pub fn azure_administrator(&self) -> Result<Administrator, EmulatorsError> {
        Ok(Administrator {
            blobs: Asker::new(&self.blob).map_err(unusable)?,
            sas: account_sas(PERMISSIONS),
            resource_manager: Asker::new(&self.resource_manager).map_err(unusable)?,
        })
    }
}

fn unusable(error: impl ToString) -> EmulatorsError {
    EmulatorsError::Access {
        cloud: "Azure",
        problem: error.to_string(),
    }
}

/// Somebody with all permissions in the subscription.
#[derive(Clone)]
pub struct Administrator {
    blobs: Asker,
    /// Opens the blobs.
    sas: String,
    resource_manager: Asker,
}

impl fmt::Debug for Administrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administrator")
            .field("blobs", &self.blobs)
            .field("resource_manager", &self.resource_manager)
            .finish_non_exhaustive()
    }
}

impl Administrator {
    /// Makes a container as one is deployed: for sealed objects with an
    /// immutability policy as firm as asked for, for heads with none.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn new_container(&self, name: &str, keep: Expected) -> Result<(), ActError> {
        let made = json!({ "properties": {} });
        self.manage(Method::PUT, &container(name), None, Some(made))
            .await?;
        if keep.lock == Lock::Off {
            return Ok(());
        }
        self.set_policy(name, keep.retention_days).await?;
        if keep.lock == Lock::Compliance {
            self.lock_policy(name).await?;
        }
        Ok(())
    }

    /// Sets a container's immutability policy, unlocked.
    ///
    /// # Errors
    /// When it is refused: a locked one is there.
    pub async fn set_policy(&self, name: &str, days: u32) -> Result<(), ActError> {
        let properties = json!({ "immutabilityPeriodSinceCreationInDays": days });
        let policy = json!({ "properties": properties });
        self.manage(Method::PUT, &policy_of(name), None, Some(policy))
            .await?;
        Ok(())
    }

    /// Locks a container's immutability policy, for good.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn lock_policy(&self, name: &str) -> Result<(), ActError> {
        let etag = self.policy_etag(name).await?;
        let path = format!("{}/lock", policy_of(name));
        let locked = self.manage(Method::POST, &path, Some(&etag), None);
        locked.await.map(drop)
    }

    /// Removes a container's immutability policy.
    ///
    /// # Errors
    /// When it is refused: it is locked.
    pub async fn remove_policy(&self, name: &str) -> Result<(), ActError> {
        let etag = self.policy_etag(name).await?;
        self.manage(Method::DELETE, &policy_of(name), Some(&etag), None)
            .await?;
        Ok(())
    }

    /// Deletes a container with all its blobs.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn delete_container(&self, name: &str) -> Result<(), ActError> {
        let path = format!("/{ACCOUNT}/{name}?restype=container&{}", self.sas);
        let version = [("x-ms-version", BLOB_VERSION)];
        let deleted = self.blobs.ask(Method::DELETE, &path, &version, "");
        deleted.await.map(drop)
    }

    /// Reads a blob.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn get(&self, container: &str, name: &str) -> Result<Vec<u8>, ActError> {
        let got = self.blob(Method::GET, container, name, &[], Vec::new());
        got.await
    }

    /// Puts a blob, over whatever stands there.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put(&self, container: &str, name: &str, bytes: Vec<u8>) -> Result<(), ActError> {
        let kind = [("x-ms-blob-type", "BlockBlob")];
        let put = self.blob(Method::PUT, container, name, &kind, bytes);
        put.await.map(drop)
    }

    /// Deletes a blob.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn delete(&self, container: &str, name: &str) -> Result<(), ActError> {
        let deleted = self.blob(Method::DELETE, container, name, &[], Vec::new());
        deleted.await.map(drop)
    }

    async fn blob(
        &self,
        method: Method,
        container: &str,
        name: &str,
        headers: &[(&str, &str)],
        bytes: Vec<u8>,
    ) -> Result<Vec<u8>, ActError> {
        let path = format!("/{ACCOUNT}/{container}/{}?{}", escaped(name), self.sas);
        let mut all = vec![("x-ms-version", BLOB_VERSION)];
        all.extend(headers);
        self.blobs.ask(method, &path, &all, bytes).await
    }

    async fn policy_etag(&self, name: &str) -> Result<String, ActError> {
        let policy = self
            .manage(Method::GET, &policy_of(name), None, None)
            .await?;
        let etag = policy["etag"].as_str().map(str::to_owned);
        etag.ok_or_else(|| ActError::failed("the policy has no etag"))
    }

    /// Asks Azure Resource Manager for what is at `path` below the account.
    async fn manage(
        &self,
        method: Method,
        path: &str,
        etag: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value, ActError> {
        let path = format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}{path}?api-version={STORAGE_VERSION}"
        );
        let mut headers = vec![
            ("authorization", "Bearer emulator"),
            ("content-type", "application/json"),
        ];
        headers.extend(etag.map(|etag| ("if-match", etag)));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self
            .resource_manager
            .ask(method, &path, &headers, body)
            .await?;
        json_of(&answer)
    }
}

fn container(name: &str) -> String {
    format!("/blobServices/default/containers/{name}")
}

fn policy_of(name: &str) -> String {
    format!("{}/immutabilityPolicies/default", container(name))
}
