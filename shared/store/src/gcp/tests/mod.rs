//! The stores and keys over stand-ins of Google Cloud, and over servers that
//! answer what no stand-in does.

mod answers;
mod emulator;
mod environment;
mod faults;
mod keys;
mod quiet;
mod scripted;
mod settings;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use google_cloud_auth::credentials::{
    CacheableResource, Credentials, CredentialsProvider, EntityTag,
};
use google_cloud_auth::errors::CredentialsError;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::{Access, Endpoint, Endpoints};
use crate::address::Bucket;
use crate::testing::stand_in;

/// Within this time every failure is told.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// The token that tests send, to be found nowhere else.
const TOKEN: &str = "ya29.the-token-that-nobody-may-see";

/// Credentials with this token.
#[derive(Debug)]
struct Signed(&'static str);

impl CredentialsProvider for Signed {
    async fn headers(
        &self,
        _: http::Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0)).expect("it is ASCII");
        value.set_sensitive(true);
        Ok(CacheableResource::New {
            entity_tag: EntityTag::new(),
            data: HeaderMap::from_iter([(AUTHORIZATION, value)]),
        })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

/// Every service at one address.
fn endpoints(url: &str) -> Endpoints {
    let endpoint = Endpoint::parse(url).expect("it is on this machine");
    let mut endpoints = Endpoints::google();
    endpoints.storage = endpoint.clone();
    endpoints.secret_manager = endpoint.clone();
    endpoints.kms = endpoint.clone();
    endpoints.resource_manager = endpoint;
    endpoints
}

fn anonymous(url: &str) -> Access {
    Access::anonymous(endpoints(url))
}

fn signed(url: &str) -> Access {
    signed_with(url, TOKEN)
}

fn signed_with(url: &str, token: &'static str) -> Access {
    Access::new(Credentials::from(Signed(token)), endpoints(url))
}

fn bucket(name: &str, prefix: &str) -> Bucket {
    Bucket {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        region: None,
    }
}

/// The server that stands in for Cloud Storage, and a bucket of this run's own.
struct Emulator {
    url: String,
    bucket: String,
}

impl Emulator {
    /// `None` where there is no stand-in. `settings` is JSON, `"versioning":…`.
    async fn with(name: &str, settings: &str) -> Option<Self> {
        let url = stand_in("STANDIN_GCS")?;
        let bucket = unique(name);
        let comma = if settings.is_empty() { "" } else { "," };
        let body = format!(r#"{{"name":"{bucket}"{comma}{settings}}}"#);
        let emulator = Self { url, bucket };
        let made = emulator.call("POST", "/storage/v1/b?project=test", &body);
        assert_eq!(made.await.0, 200, "a bucket can be made");
        Some(emulator)
    }

    async fn new(name: &str) -> Option<Self> {
        Self::with(name, "").await
    }

    /// What an administrator may do, beside the store.
    async fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let method = method.parse().expect("a method");
        let url = format!("{}{path}", self.url);
        let request = reqwest_client().request(method, url);
        let request = request.header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await;
        let response = response.expect("the stand-in answers");
        let status = response.status().as_u16();
        (status, response.text().await.expect("it has a body"))
    }

    /// Overwrites or adds an object as an administrator would; the status.
    async fn overwrite(&self, name: &str, content: &str) -> u16 {
        let path = format!(
            "/upload/storage/v1/b/{}/o?uploadType=media&name={}",
            self.bucket,
            name.replace('/', "%2F")
        );
        self.call("POST", &path, content).await.0
    }

    async fn delete(&self, name: &str) -> u16 {
        let name = name.replace('/', "%2F");
        let path = format!("/storage/v1/b/{}/o/{name}", self.bucket);
        self.call("DELETE", &path, "").await.0
    }
}

/// A name of its own for each run, from the randomness of the hash tables.
fn unique(name: &str) -> String {
    let number = RandomState::new().hash_one(name);
    format!("{name}-{number:016x}")
}

fn reqwest_client() -> reqwest::Client {
    crate::tls::use_ring();
    reqwest::Client::new()
}
