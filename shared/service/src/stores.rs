//! Stores, secrets and keys by their addresses, wherever they are.

use std::sync::Arc;

use countersign_core::record::Cloud;
use countersign_store::local::{CreateError, LocalHeadStore, LocalSealedStore};
use countersign_store::{
    HeadStore, KeyAddress, Lock, LogStore, RemoteKey, SealedStore, Secret, StoreAddress,
};
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
use tokio::sync::OnceCell;

use crate::config::Reach;
#[cfg(feature = "aws")]
use countersign_store::aws;
#[cfg(feature = "azure")]
use countersign_store::azure;
#[cfg(feature = "emulators")]
use countersign_store::emulators::{Emulators, EmulatorsError};
#[cfg(feature = "gcp")]
use countersign_store::gcp;

/// Opens stores and keys. Credentials of a cloud are looked for when one of its
/// addresses is first opened, and then kept: one of these serves a process. The
/// default has each cloud's own.
#[derive(Debug, Default)]
pub struct Stores {
    #[cfg_attr(
        not(any(feature = "aws", feature = "azure", feature = "gcp")),
        expect(dead_code, reason = "there is no cloud to reach")
    )]
    reach: Reach,
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
    /// Stores of clouds that are reached so.
    #[cfg_attr(
        not(any(feature = "aws", feature = "azure", feature = "gcp")),
        allow(clippy::needless_update, reason = "there is no cloud to reach")
    )]
    pub fn new(reach: Reach) -> Self {
        Self {
            reach,
            ..Self::default()
        }
    }

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
            gcp: OnceCell::new_with(Some(emulators.gcp())),
            ..Self::default()
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

    /// Where a cloud delivers logs as objects, reached with its own credentials;
    /// none where it has no such place.
    ///
    /// # Errors
    /// When there is no way to reach it.
    pub async fn logs(&self, cloud: Cloud) -> Result<Option<Arc<dyn LogStore>>, AccessError> {
        #[cfg(any(feature = "aws", feature = "gcp"))]
        const LOGS: &str = "the buckets of the logs";
        Ok(match cloud {
            #[cfg(feature = "aws")]
            Cloud::Aws => {
                let opened = aws::S3Logs::open(self.own_aws(&LOGS).await?);
                Some(Arc::new(opened.map_err(|error| access(&LOGS, error))?))
            }
            #[cfg(feature = "gcp")]
            Cloud::Gcp => Some(Arc::new(gcp::GcsLogs::open(self.own_gcp(&LOGS).await?))),
            _ => None,
        })
    }

    #[cfg(feature = "aws")]
    #[cfg_attr(
        not(any(feature = "azure", feature = "gcp")),
        allow(unused_variables, reason = "there is no other cloud to go from")
    )]
    async fn aws(&self, address: &impl ToString) -> Result<&aws::Access, AccessError> {
        let Some(way) = &self.reach.aws else {
            return self.own_aws(address).await;
        };
        let find = || async {
            match self.reach.home {
                #[cfg(feature = "azure")]
                Some(Cloud::Azure) => {
                    let home = self.own_azure(address).await?;
                    let opened = aws::Access::from_azure(home, way, None);
                    opened.map_err(|error| access(address, error))
                }
                #[cfg(feature = "gcp")]
                Some(Cloud::Gcp) => {
                    let opened = aws::Access::from_gcp(way, None);
                    opened.map_err(|error| access(address, error))
                }
                home => Err(not_home(address, home)),
            }
        };
        self.aws.get_or_try_init(find).await
    }

    #[cfg(feature = "azure")]
    #[cfg_attr(
        not(any(feature = "aws", feature = "gcp")),
        allow(unused_variables, reason = "there is no other cloud to go from")
    )]
    async fn azure(&self, address: &impl ToString) -> Result<&azure::Access, AccessError> {
        let Some(way) = &self.reach.azure else {
            return self.own_azure(address).await;
        };
        let find = || async {
            let endpoints = azure::Endpoints::from_env().map_err(|error| access(address, error))?;
            match self.reach.home {
                #[cfg(feature = "aws")]
                Some(Cloud::Aws) => {
                    let home = self.own_aws(address).await?;
                    let opened = azure::Access::from_aws(home, way, endpoints);
                    opened.map_err(|error| access(address, error))
                }
                #[cfg(feature = "gcp")]
                Some(Cloud::Gcp) => {
                    let opened = azure::Access::from_gcp(way, endpoints);
                    opened.map_err(|error| access(address, error))
                }
                home => Err(not_home(address, home)),
            }
        };
        self.azure.get_or_try_init(find).await
    }

    #[cfg(feature = "gcp")]
    #[cfg_attr(
        not(any(feature = "aws", feature = "azure")),
        allow(unused_variables, reason = "there is no other cloud to go from")
    )]
    async fn gcp(&self, address: &impl ToString) -> Result<&gcp::Access, AccessError> {
        let Some(way) = &self.reach.gcp else {
            return self.own_gcp(address).await;
        };
        let find = || async {
            let endpoints =
                gcp::Endpoints::from_environment().map_err(|error| access(address, error))?;
            match self.reach.home {
                #[cfg(feature = "aws")]
                Some(Cloud::Aws) => {
                    let home = self.own_aws(address).await?;
                    let opened = gcp::Access::from_aws(home, way, endpoints);
                    opened.map_err(|error| access(address, error))
                }
                #[cfg(feature = "azure")]
                Some(Cloud::Azure) => {
                    let home = self.own_azure(address).await?;
                    let opened = gcp::Access::from_azure(home, way, endpoints);
                    opened.map_err(|error| access(address, error))
                }
                home => Err(not_home(address, home)),
            }
        };
        self.gcp.get_or_try_init(find).await
    }

    /// AWS with its own credentials. The home cloud is never reached otherwise.
    #[cfg(feature = "aws")]
    async fn own_aws(&self, address: &impl ToString) -> Result<&aws::Access, AccessError> {
        let find = || async { aws::Access::from_environment(None).await };
        let found = self.aws.get_or_try_init(find).await;
        found.map_err(|error| access(address, error))
    }

    #[cfg(feature = "azure")]
    async fn own_azure(&self, address: &impl ToString) -> Result<&azure::Access, AccessError> {
        let find = || async { azure::Access::find(azure::Endpoints::from_env()?) };
        let found = self.azure.get_or_try_init(find).await;
        found.map_err(|error| access(address, error))
    }

    #[cfg(feature = "gcp")]
    async fn own_gcp(&self, address: &impl ToString) -> Result<&gcp::Access, AccessError> {
        let find = || async { gcp::Access::from_environment() };
        let found = self.gcp.get_or_try_init(find).await;
        found.map_err(|error| access(address, error))
    }
}

/// Why the home cloud's identity cannot be asked.
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
fn not_home(address: &impl ToString, home: Option<Cloud>) -> AccessError {
    match home {
        Some(home) => AccessError::Access {
            address: address.to_string(),
            problem: format!(
                "the home cloud is {home}, and this program was built without it; use one that has it"
            ),
        },
        None => access(
            address,
            "a way into its cloud is set, but no home to go from",
        ),
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

#[cfg(test)]
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
mod tests {
    use countersign_store::federation::{AwsReach, AzureReach, GcpReach};

    use super::*;

    fn reach(home: Cloud) -> Reach {
        Reach {
            home: Some(home),
            aws: Some(AwsReach {
                role: "arn:aws:iam::123456789012:role/reader".to_owned(),
                region: Some("eu-west-1".to_owned()),
                audience: Some("api://countersign".to_owned()),
            }),
            azure: Some(AzureReach {
                tenant: "contoso.example".to_owned(),
                client: "11111111-2222-3333-4444-555555555555".to_owned(),
                audience: None,
            }),
            gcp: Some(GcpReach {
                provider: "projects/1/locations/global/workloadIdentityPools/pool/providers/home"
                    .to_owned(),
                service_account: None,
                audience: Some("api://countersign".to_owned()),
            }),
        }
    }

    async fn open(stores: &Stores, address: &str) -> Result<String, String> {
        let address = StoreAddress::parse(address).unwrap();
        let opened = stores.sealed(&address, Lock::Off).await;
        let opened = opened.map_err(|error| error.to_string())?;
        Ok(opened.describe())
    }

    /// Where nobody could answer: with what is set for other clouds, no address
    /// leads to anybody before it is read.
    #[tokio::test]
    async fn addresses_of_other_clouds_open_by_the_ways_that_are_set_and_ask_nobody() {
        for (home, addresses) in [
            (Cloud::Azure, ["s3://bucket/p", "gs://bucket/p"]),
            (Cloud::Gcp, ["s3://bucket/p", "azblob://account/box/p"]),
        ] {
            let stores = Stores::new(reach(home));
            for address in addresses {
                let opened = open(&stores, address).await;
                assert!(opened.is_ok(), "{home}, {address}: {opened:?}");
            }
            assert!(stores.aws.initialized() && stores.azure.initialized());
        }
    }

    #[tokio::test]
    async fn the_home_s_identity_is_not_looked_for_while_only_folders_are_opened() {
        let stores = Stores::new(reach(Cloud::Azure));
        open(&stores, "file:/somewhere").await.unwrap();
        assert!(!stores.aws.initialized());
        assert!(!stores.azure.initialized());
        assert!(!stores.gcp.initialized());
    }

    #[tokio::test]
    async fn a_way_that_cannot_be_one_is_refused_when_it_is_used() {
        let mut reach = reach(Cloud::Azure);
        if let Some(aws) = &mut reach.aws {
            aws.audience = None;
        }
        let stores = Stores::new(reach);
        let error = open(&stores, "s3://bucket/p").await.unwrap_err();
        assert!(error.starts_with("s3://bucket/p: "), "{error}");
        assert!(error.contains("audience must be given"), "{error}");
    }
}
