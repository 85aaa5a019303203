//! The clients of AWS's services: one for each service and region.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_config::Region;

use super::access::{Access, AccessError};
use super::guard::Guard;

/// A client, set up at its first call: what can be wrong with it is looked at
/// before, and setting up is most of what a function would wait for that starts
/// cold.
pub(crate) type Client<C> = Arc<LazyLock<C, Box<dyn FnOnce() -> C + Send>>>;

type ByRegion<C> = Mutex<HashMap<String, Client<C>>>;

/// Those of an [`Access`].
#[derive(Default)]
pub(super) struct Clients {
    s3: ByRegion<aws_sdk_s3::Client>,
    dynamodb: ByRegion<aws_sdk_dynamodb::Client>,
    secrets: ByRegion<aws_sdk_secretsmanager::Client>,
    kms: ByRegion<aws_sdk_kms::Client>,
    #[cfg(any(feature = "azure", feature = "gcp"))]
    sts: ByRegion<aws_sdk_sts::Client>,
}

impl Access {
    pub(crate) fn s3(
        &self,
        region: Option<&str>,
        address: &str,
    ) -> Result<Client<aws_sdk_s3::Client>, AccessError> {
        let region = self.region(region, address)?;
        let endpoint = self.endpoint(&self.inner.endpoints.s3, "AWS_ENDPOINT_URL_S3")?;
        let base = self.inner.base.clone();
        Ok(client(&self.inner.clients.s3, region, move |region| {
            let mut config = aws_sdk_s3::config::Builder::from(&base)
                .region(region)
                .interceptor(Guard)
                // A bucket in the host's name needs names that resolve.
                .force_path_style(endpoint.is_some());
            config.set_endpoint_url(endpoint);
            aws_sdk_s3::Client::from_conf(config.build())
        }))
    }

    pub(crate) fn dynamodb(
        &self,
        region: Option<&str>,
        address: &str,
    ) -> Result<Client<aws_sdk_dynamodb::Client>, AccessError> {
        let region = self.region(region, address)?;
        let endpoint =
            self.endpoint(&self.inner.endpoints.dynamodb, "AWS_ENDPOINT_URL_DYNAMODB")?;
        let base = self.inner.base.clone();
        Ok(client(
            &self.inner.clients.dynamodb,
            region,
            move |region| {
                let mut config = aws_sdk_dynamodb::config::Builder::from(&base)
                    .region(region)
                    .interceptor(Guard);
                config.set_endpoint_url(endpoint);
                aws_sdk_dynamodb::Client::from_conf(config.build())
            },
        ))
    }

    pub(super) fn secrets(
        &self,
        region: Option<&str>,
        address: &str,
    ) -> Result<Client<aws_sdk_secretsmanager::Client>, AccessError> {
        let region = self.region(region, address)?;
        let endpoint = self.endpoint(
            &self.inner.endpoints.secrets_manager,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        )?;
        let base = self.inner.base.clone();
        Ok(client(&self.inner.clients.secrets, region, move |region| {
            let mut config = aws_sdk_secretsmanager::config::Builder::from(&base)
                .region(region)
                .interceptor(Guard);
            config.set_endpoint_url(endpoint);
            aws_sdk_secretsmanager::Client::from_conf(config.build())
        }))
    }

    pub(super) fn kms(
        &self,
        region: Option<&str>,
        address: &str,
    ) -> Result<Client<aws_sdk_kms::Client>, AccessError> {
        let region = self.region(region, address)?;
        let endpoint = self.endpoint(&self.inner.endpoints.kms, "AWS_ENDPOINT_URL_KMS")?;
        let base = self.inner.base.clone();
        Ok(client(&self.inner.clients.kms, region, move |region| {
            let mut config = aws_sdk_kms::config::Builder::from(&base)
                .region(region)
                .interceptor(Guard);
            config.set_endpoint_url(endpoint);
            aws_sdk_kms::Client::from_conf(config.build())
        }))
    }

    #[cfg(any(feature = "azure", feature = "gcp"))]
    pub(crate) fn sts(
        &self,
        region: Option<&str>,
        address: &str,
    ) -> Result<Client<aws_sdk_sts::Client>, AccessError> {
        let region = self.region(region, address)?;
        let endpoint = self.endpoint(&self.inner.endpoints.sts, "AWS_ENDPOINT_URL_STS")?;
        let base = self.inner.base.clone();
        Ok(client(&self.inner.clients.sts, region, move |region| {
            let mut config = aws_sdk_sts::config::Builder::from(&base)
                .region(region)
                .interceptor(Guard);
            config.set_endpoint_url(endpoint);
            aws_sdk_sts::Client::from_conf(config.build())
        }))
    }
}

fn client<C>(
    clients: &ByRegion<C>,
    region: String,
    make: impl FnOnce(Region) -> C + Send + 'static,
) -> Client<C> {
    let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
    let named = Region::new(region.clone());
    let client = clients
        .entry(region)
        .or_insert_with(|| Arc::new(LazyLock::new(Box::new(|| make(named)))));
    Arc::clone(client)
}
