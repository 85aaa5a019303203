//! The clouds' services that no local server stands in for, or none faithfully
//! enough: fronts that pass requests on to a local server and answer as the
//! cloud does where that server differs, and services in memory.
//!
//! | module | stands in for | before |
//! |---|---|---|
//! | [`s3`] | S3 with Object Lock and bucket policies | MinIO |
//! | [`blob`] | Azure Blob with immutability policies | Azurite |
//! | [`arm`] | Azure Resource Manager, which sets what `blob` enforces | |
//! | [`key_vault`] | Azure Key Vault's secrets | |
//! | [`gcs`] | Cloud Storage with retention policies and holds | fake-gcs-server |
//! | [`gcp`] | Secret Manager and Cloud KMS | |
//! | [`aws_kms`] | AWS KMS with Ed25519 keys | |
//!
//! They are for tests on this machine: they listen on the loopback interface
//! alone, and the ones in memory believe any credential but one that is named
//! `denied`.

#![allow(clippy::result_large_err)] // a refusal is an answer of axum's, soon sent

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use axum::Router;
use countersign_service::clock::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub mod accounts;
mod answer;
pub mod arm;
pub mod aws_kms;
pub mod azurite;
pub mod blob;
mod bucket_policy;
mod ed25519;
pub mod gcp;
pub mod gcs;
pub mod key_vault;
pub mod s3;
pub mod upstream;

/// Serves every stand-in at its address until one of them fails, which it then
/// tells. `addresses` holds `http://host:port` by the names that
/// `scripts/services` gives them: `STANDIN_S3`, `STANDIN_S3_DIRECT` ….
pub async fn serve(addresses: &BTreeMap<String, String>, clock: Arc<dyn Clock>) -> io::Result<()> {
    let address = |name: &str| {
        let found = addresses.get(name);
        found.ok_or_else(|| io::Error::other(format!("{name} is not set: use scripts/services")))
    };
    let accounts = accounts::Accounts::new(address("STANDIN_BLOB_DIRECT")?, Arc::clone(&clock));
    let routers = [
        ("STANDIN_S3", s3::router(address("STANDIN_S3_DIRECT")?)),
        ("STANDIN_AWS_KMS", aws_kms::router(Arc::clone(&clock))),
        ("STANDIN_BLOB", blob::router(accounts.clone())),
        ("STANDIN_ARM", arm::router(accounts)),
        ("STANDIN_KEYVAULT", key_vault::router(Arc::clone(&clock))),
        (
            "STANDIN_GCS",
            gcs::router(
                address("STANDIN_GCS")?,
                address("STANDIN_GCS_DIRECT")?,
                Arc::clone(&clock),
            ),
        ),
        ("STANDIN_GCP", gcp::router(clock)),
    ];
    let mut servers = JoinSet::new();
    for (name, router) in routers {
        let listener = listen(name, address(name)?).await?;
        servers.spawn(axum::serve(listener, router).into_future());
    }
    match servers.join_next().await {
        Some(ended) => ended.map_err(io::Error::other)?,
        None => Ok(()),
    }
}

async fn listen(name: &str, url: &str) -> io::Result<TcpListener> {
    let authority = url
        .strip_prefix("http://127.0.0.1:")
        .map(|port| format!("127.0.0.1:{port}"));
    let authority = authority
        .ok_or_else(|| io::Error::other(format!("{name} is {url}: give http://127.0.0.1:PORT")))?;
    let listener = TcpListener::bind(&authority).await;
    listener
        .map_err(|error| io::Error::other(format!("{name} cannot listen on {authority}: {error}")))
}

/// A stand-in of its own for a test, at a port that is free, until dropped.
pub struct Local {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Local {
    /// Serves what `router` makes for the address that it is given.
    pub async fn serve(router: impl FnOnce(&str) -> Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("the address of the port");
        let url = format!("http://{address}");
        let router = router(&url);
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, server }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.server.abort();
    }
}
