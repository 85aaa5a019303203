//! Stores, secrets and keys by their addresses, wherever they are.

use std::sync::Arc;

use countersign_store::local::{CreateError, LocalHeadStore, LocalSealedStore};
use countersign_store::{
    HeadStore, KeyAddress, Lock, RemoteKey, SealedStore, Secret, StoreAddress,
};
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
use tokio::sync::OnceCell;

#[cfg(feature = "aws")]
use countersign_store::aws;
#[cfg(feature = "azure")]
use countersign_store::azure;
#[cfg(feature = "emulators")]
use countersign_store::emulators::{Emulators, EmulatorsError};
#[cfg(feature = "gcp")]
use countersign_store::gcp;

/// Opens stores and keys. Credentials of a cloud are looked for when one of its
/// addresses is first opened, and then kept: one of these serves a process.
#[derive(Debug, Default)]
pub struct Stores {
    #[cfg(feature = "aws")]
    aws: OnceCell<aws::Access>,
    #[cfg(feature = "azure")]
    azure: OnceCell<azure::Access>,
    #[cfg(feature = "gcp")]
    gcp: OnceCell<gcp::Access>,
}

/// Why an address cannot be opened. What an address leads to is looked at later,
/// when it is used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The credentials or the endpoint cannot be used.
    #[error("{address}: {problem}")]
    Access {
        /// The address.
        address: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// An address of another kind is needed.
    #[error("{address} {problem}")]
    Kind {
        /// The address.
        address: String,
        /// What is needed instead.
        problem: &'static str,
    },
    /// This program was built for other clouds.
    #[error("{address}: this program was built without {cloud}; use one that has it")]
    NotBuilt {
        /// The address.
        address: String,
        /// The cloud that is missing.
        cloud: &'static str,
    },
    /// A folder cannot be made.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// A signing key: as a seed that is read, or in a service that signs.
#[derive(Debug, Clone)]
pub enum Key {
    /// A seed kept as a secret.
    Secret(Arc<dyn Secret>),
    /// A key that never leaves its service.
    Remote(Arc<dyn RemoteKey>),
}

impl Stores {
    /// Opens stores and keys of the clouds on the local servers that stand in
    /// for them, whatever the environment says.
    ///
    /// # Errors
    /// When no client can be set up for one of them.
    #[cfg(feature = "emulators")]
    pub fn over(emulators: &Emulators) -> Result<Self, EmulatorsError> {
        Ok(Self {
            aws: OnceCell::new_with(Some(emulators.aws()?)),
            azure: OnceCell::new_with(Some(emulators.azure()?)),
            gcp: OnceCell::new_with(Some(emulators.gcp()?)),
        })
    }

    /// Opens a sealed store whose objects are locked so. Nothing is created.
    ///
    /// # Errors
    /// When there is no way to reach it.
    #[cfg_attr(
        not(any(feature = "aws", feature = "azure", feature = "gcp")),
        allow(unused_variables, reason = "folders have no lock")
    )]
    pub async fn sealed(
        &self,
        address: &StoreAddress,
        lock: Lock,
    ) -> Result<Arc<dyn SealedStore>, AccessError> {
        Ok(match address {
            StoreAddress::File(path) => Arc::new(LocalSealedStore::open(path)),
            #[cfg(feature = "aws")]
            StoreAddress::S3(bucket) => {
                let opened = aws::S3SealedStore::open(self.aws(address).await?, bucket, lock);
                Arc::new(opened.map_err(|error| access(address, error))?)
            }
            #[cfg(feature = "azure")]
            StoreAddress::AzureBlob {
                account,
                container,
                prefix,
            } => {
                let cloud = self.azure(address).await?;
                let opened = azure::BlobSealedStore::open(cloud, account, container, prefix, lock);
                Arc::new(opened.map_err(|error| access(address, error))?)
            }
            #[cfg(feature = "gcp")]
            StoreAddress::Gcs(bucket) => Arc::new(gcp::GcsSealedStore::open(
                self.gcp(address).await?,
                bucket,
                lock,
            )),
            StoreAddress::DynamoDb { .. } => {
                return Err(AccessError::Kind {
                    address: address.to_string(),
                    problem: "holds no sealed objects: `sealed` is a folder, a bucket or a container",
                });
            }
            #[allow(unreachable_patterns, reason = "all clouds may be built in")]
            other => return Err(not_built(other)),
        })
    }

    /// Opens a head store. Nothing is created.
    ///
    /// # Errors
    /// When there is no way to reach it.
    pub async fn head(&self, address: &StoreAddress) -> Result<Arc<dyn HeadStore>, AccessError> {
        Ok(match address {
            StoreAddress::File(path) => Arc::new(LocalHeadStore::open(path)),
            #[cfg(feature = "aws")]
            StoreAddress::DynamoDb { table, region } => {
                let cloud = self.aws(address).await?;
                let opened = aws::DynamoHeadStore::open(cloud, table, region.as_deref());
                Arc::new(opened.map_err(|error| access(address, error))?)
            }
            #[cfg(feature = "azure")]
            StoreAddress::AzureBlob {
                account,
                container,
                prefix,
            } => {
                let cloud = self.azure(address).await?;
                let opened = azure::BlobHeadStore::open(cloud, account, container, prefix);
                Arc::new(opened.map_err(|error| access(address, error))?)
            }
            #[cfg(feature = "gcp")]
            StoreAddress::Gcs(bucket) => {
                Arc::new(gcp::GcsHeadStore::open(self.gcp(address).await?, bucket))
            }
            StoreAddress::S3(_) => {
                return Err(AccessError::Kind {
                    address: address.to_string(),
                    problem: "keeps no heads: on AWS they are in a table, dynamodb://TABLE",
                });
            }
            #[allow(unreachable_patterns, reason = "all clouds may be built in")]
            other => return Err(not_built(other)),
        })
    }

    /// Opens a key that is in a cloud; none where it is a file.
    ///
    /// # Errors
    /// When there is no way to reach it.
    pub async fn key(&self, address: &KeyAddress) -> Result<Option<Key>, AccessError> {
        let key = match address {
            KeyAddress::File(_) => return Ok(None),
            #[cfg(feature = "aws")]
            KeyAddress::AwsSecret(id) => {
                let opened = aws::SecretsManagerSecret::open(self.aws(address).await?, id);
                secret(opened.map_err(|error| access(address, error))?)
            }
            #[cfg(feature = "aws")]
            KeyAddress::AwsKms(id) => {
                let opened = aws::KmsKey::open(self.aws(address).await?, id);
                remote(opened.map_err(|error| access(address, error))?)
            }
            #[cfg(feature = "azure")]
            KeyAddress::KeyVault { vault, name } => {
                let opened = azure::KeyVaultSecret::open(self.azure(address).await?, vault, name);
                secret(opened.map_err(|error| access(address, error))?)
            }
            #[cfg(feature = "gcp")]
            KeyAddress::GcpSecret { project, name } => {
                let cloud = self.gcp(address).await?;
                secret(gcp::SecretManagerSecret::open(cloud, project, name))
            }
            #[cfg(feature = "gcp")]
            KeyAddress::GcpKms(version) => {
                remote(gcp::KmsKey::open(self.gcp(address).await?, version))
            }
            #[allow(unreachable_patterns, reason = "all clouds may be built in")]
            other => Err(AccessError::NotBuilt {
                address: other.to_string(),
                cloud: match other {
                    KeyAddress::AwsSecret(_) | KeyAddress::AwsKms(_) => "AWS",
                    KeyAddress::KeyVault { .. } => "Azure",
                    _ => "Google Cloud",
                },
            }),
        };
        key.map(Some)
    }

    #[cfg(feature = "aws")]
    async fn aws(&self, address: &impl ToString) -> Result<&aws::Access, AccessError> {
        let find = || async { aws::Access::from_environment(None).await };
        let found = self.aws.get_or_try_init(find).await;
        found.map_err(|error| access(address, error))
    }

    #[cfg(feature = "azure")]
    async fn azure(&self, address: &impl ToString) -> Result<&azure::Access, AccessError> {
        let find = || async { azure::Access::find(azure::Endpoints::from_env()?) };
        let found = self.azure.get_or_try_init(find).await;
        found.map_err(|error| access(address, error))
    }

    #[cfg(feature = "gcp")]
    async fn gcp(&self, address: &impl ToString) -> Result<&gcp::Access, AccessError> {
        let find = || async { gcp::Access::from_environment() };
        let found = self.gcp.get_or_try_init(find).await;
        found.map_err(|error| access(address, error))
    }
}

#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
fn secret(secret: impl Secret + 'static) -> Result<Key, AccessError> {
    Ok(Key::Secret(Arc::new(secret)))
}

#[cfg(any(feature = "aws", feature = "gcp"))]
fn remote(key: impl RemoteKey + 'static) -> Result<Key, AccessError> {
    Ok(Key::Remote(Arc::new(key)))
}

#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
fn access(address: &impl ToString, error: impl ToString) -> AccessError {
    AccessError::Access {
        address: address.to_string(),
        problem: error.to_string(),
    }
}

fn not_built(address: &StoreAddress) -> AccessError {
    AccessError::NotBuilt {
        address: address.to_string(),
        cloud: match address {
            StoreAddress::S3(_) | StoreAddress::DynamoDb { .. } => "AWS",
            StoreAddress::AzureBlob { .. } => "Azure",
            _ => "Google Cloud",
        },
    }
}
