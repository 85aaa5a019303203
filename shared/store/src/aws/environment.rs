//! The environment's region, endpoints and credentials.

use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::OnceCell;

use super::access::{http_client, read_retries, read_timeouts, stall_protection};

/// What the environment says. Only what is asked for later is set up later: a
/// function that starts cold waits for no more than it needs to be ready.
pub(super) async fn load() -> SdkConfig {
    // Where a variable names it, as Lambda does, neither the profiles nor the
    // instance's metadata are asked.
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|region| !region.is_empty()))
        .map(Region::new);
    loader(region.clone())
        .credentials_provider(Chain {
            region,
            found: OnceCell::new(),
        })
        .load()
        .await
}

fn loader(region: Option<Region>) -> ConfigLoader {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .timeout_config(read_timeouts())
        .retry_config(read_retries())
        .stalled_stream_protection(stall_protection());
    match region {
        Some(region) => loader.region(region),
        None => loader,
    }
}

/// The SDK's own chain of credentials, set up when it is first asked.
#[derive(Debug)]
struct Chain {
    region: Option<Region>,
    found: OnceCell<Option<SharedCredentialsProvider>>,
}

impl Chain {
    async fn provide(&self) -> Result<Credentials, CredentialsError> {
        let find = || async {
            let config = loader(self.region.clone()).load().await;
            config.credentials_provider()
        };
        match self.found.get_or_init(find).await {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded("none are set")),
        }
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> Providing<'a>
    where
        Self: 'a,
    {
        Providing::new(self.provide())
    }
}
