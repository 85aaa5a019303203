//! Google Cloud: Cloud Storage, Secret Manager, KMS.

use reqwest::Method;
use serde_json::{Value, json};

use super::act::{Asker, escaped, json as json_of};
use super::{ActError, Emulators, EmulatorsError};
use crate::gcp::{Access, Endpoints};
use crate::posture::{Expected, Lock};

/// What the project is called: any name.
pub const PROJECT: &str = "emulators";

const DAY_SECONDS: u64 = 86_400;

impl Emulators {
    /// Access to Google Cloud's stand-ins, for stores and keys.
    pub fn gcp(&self) -> Access {
        let endpoints = Endpoints {
            storage: self.gcs.clone(),
            secret_manager: self.gcp.clone(),
            kms: self.gcp.clone(),
            resource_manager: self.gcp.clone(),
            // No other cloud's identity is exchanged here.
            ..Endpoints::google()
        };
        Access::anonymous(endpoints)
    }

    pub(super) fn gcp_variables(&self) -> Vec<(&'static str, String)> {
        let (storage, others) = (self.gcs.to_string(), self.gcp.to_string());
        vec![
            ("STORAGE_EMULATOR_HOST", storage),
            (
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER",
                others.clone(),
            ),
            ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", others.clone()),
            (
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER",
                others,
            ),
        ]
    }

    /// Somebody who may do everything that Google Cloud permits anybody.
    ///
    /// # Errors
    /// When no client can be set up.
    pub fn gcp_administrator(&self) -> Result<Administrator, EmulatorsError> {
        Ok(Administrator {
            storage: Asker::new(&self.gcs).map_err(unusable)?,
        })
    }
}

fn unusable(error: impl ToString) -> EmulatorsError {
    EmulatorsError::Access {
        cloud: "Google Cloud",
        problem: error.to_string(),
    }
}

/// Somebody with all permissions in the project.
#[derive(Clone, Debug)]
pub struct Administrator {
    storage: Asker,
}

impl Administrator {
    /// Makes a bucket as one is deployed: for sealed objects with a retention
    /// policy as firm as asked for, for heads with none.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn new_bucket(&self, name: &str, keep: Expected) -> Result<(), ActError> {
        let mut bucket = json!({
            "name": name,
            "iamConfiguration": {
                "uniformBucketLevelAccess": {"enabled": true},
                "publicAccessPrevention": "enforced",
            },
        });
        if keep.lock != Lock::Off {
            bucket["retentionPolicy"] = retention(keep.retention_days);
        }
        let path = format!("/storage/v1/b?project={PROJECT}");
        self.ask(Method::POST, &path, Some(bucket)).await?;
        if keep.lock == Lock::Compliance {
            self.lock_policy(name).await?;
        }
        Ok(())
    }

    /// Locks a bucket's retention policy, for good.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn lock_policy(&self, bucket: &str) -> Result<(), ActError> {
        let found = self.ask(Method::GET, &path_of(bucket), None).await?;
        let metageneration = found["metageneration"].as_str().unwrap_or_default();
        let path = format!(
            "{}/lockRetentionPolicy?ifMetagenerationMatch={metageneration}",
            path_of(bucket)
        );
        self.ask(Method::POST, &path, None).await.map(drop)
    }

    /// Sets a bucket's retention policy; none where no days are given.
    ///
    /// # Errors
    /// When it is refused: a locked one is there.
    pub async fn set_retention(&self, bucket: &str, days: Option<u32>) -> Result<(), ActError> {
        let policy = days.map_or(Value::Null, retention);
        self.change(bucket, json!({"retentionPolicy": policy}))
            .await
    }

    /// Switches a bucket's versions on or off.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn set_versions(&self, bucket: &str, enabled: bool) -> Result<(), ActError> {
        self.change(bucket, json!({"versioning": {"enabled": enabled}}))
            .await
    }

    async fn change(&self, bucket: &str, settings: Value) -> Result<(), ActError> {
        self.ask(Method::PATCH, &path_of(bucket), Some(settings))
            .await?;
        Ok(())
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn get(&self, bucket: &str, name: &str) -> Result<Vec<u8>, ActError> {
        let path = format!("{}?alt=media", object(bucket, name));
        self.storage.ask(Method::GET, &path, &[], "").await
    }

    /// Puts an object, over whatever stands there.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put(&self, bucket: &str, name: &str, bytes: Vec<u8>) -> Result<(), ActError> {
        let path = format!(
            "/upload{}/o?uploadType=media&name={}",
            path_of(bucket),
            escaped(name).replace('/', "%2F")
        );
        let headers = [("content-type", "application/octet-stream")];
        let put = self.storage.ask(Method::POST, &path, &headers, bytes);
        put.await.map(drop)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn delete(&self, bucket: &str, name: &str) -> Result<(), ActError> {
        self.ask(Method::DELETE, &object(bucket, name), None)
            .await?;
        Ok(())
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ActError> {
        let headers = [("content-type", "application/json")];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self.storage.ask(method, path, &headers, body).await?;
        json_of(&answer)
    }
}

fn path_of(bucket: &str) -> String {
    format!("/storage/v1/b/{bucket}")
}

fn object(bucket: &str, name: &str) -> String {
    format!(
        "{}/o/{}",
        path_of(bucket),
        escaped(name).replace('/', "%2F")
    )
}

fn retention(days: u32) -> Value {
    json!({"retentionPeriod": (u64::from(days) * DAY_SECONDS).to_string()})
}
