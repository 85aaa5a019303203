//! Requests to Google's JSON APIs, with the SDK's credentials: what the SDK's
//! Cloud Storage client does not offer over HTTP, Secret Manager and Cloud KMS.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::access::{Access, FIRST_BACKOFF, READ_ATTEMPTS, Service};
use super::failure::{Answer, Failure, chain};
use crate::error::BoxError;
use crate::requests;

/// How long one attempt may take, from the connection to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(12);

/// How long all attempts of a read may take, so that every failure is told
/// within 30 seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(25);

/// The largest answer that is read of an error, in bytes.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The largest answer of a request that needs no larger one, in bytes.
pub(super) const SMALL_ANSWER_BYTES: usize = 256 * 1024;

/// One request.
#[derive(Clone)]
pub(crate) struct Request {
    service: Service,
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Bytes>,
    content_type: &'static str,
    /// In place of the access's own.
    authorization: Option<HeaderMap>,
    max_bytes: usize,
}

impl Request {
    /// A request for what stands at the parts of a path, one after the other.
    pub(super) fn get(service: Service, path: &[&str]) -> Self {
        Self {
            service,
            method: Method::GET,
            path: path.iter().map(|&part| part.to_owned()).collect(),
            query: Vec::new(),
            body: None,
            content_type: "application/json",
            authorization: None,
            max_bytes: SMALL_ANSWER_BYTES,
        }
    }

    /// A request with a JSON body. The body may be secret: it is wiped.
    pub(crate) fn post(service: Service, path: &[&str], body: Zeroizing<Vec<u8>>) -> Self {
        Self {
            method: Method::POST,
            body: Some(Bytes::from_owner(body)),
            ..Self::get(service, path)
        }
    }

    /// A request with a form for a body and no authorization: the form has it.
    #[cfg(any(feature = "aws", feature = "azure"))]
    pub(crate) fn form(service: Service, path: &[&str], body: Zeroizing<Vec<u8>>) -> Self {
        Self {
            content_type: "application/x-www-form-urlencoded",
            authorization: Some(HeaderMap::new()),
            ..Self::post(service, path, body)
        }
    }

    /// Sends these headers in place of the access's own authorization.
    #[cfg(any(feature = "aws", feature = "azure"))]
    pub(crate) fn authorized_by(mut self, headers: HeaderMap) -> Self {
        self.authorization = Some(headers);
        self
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// The largest answer that is read; a larger one is an error.
    pub(crate) fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }
}

impl Access {
    /// Sends a request that changes nothing, again if it fails in passing.
    pub(super) async fn read(&self, request: &Request) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let attempts = async {
            let mut backoff = FIRST_BACKOFF;
            for _ in 1..READ_ATTEMPTS {
                match self.attempt(request).await {
                    Err(failure) if failure.may_pass() => {}
                    result => return result,
                }
                sleep(backoff).await;
                backoff *= 2;
            }
            self.attempt(request).await
        };
        timeout(READ_TIMEOUT, attempts)
            .await
            .unwrap_or_else(|_| Err(Failure::Lost(self.silence(request.service, READ_TIMEOUT))))
    }

    /// The same, its answer read as JSON.
    pub(crate) async fn read_json<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<T, Failure> {
        let body = self.read(request).await?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::Unreadable(format!(
                "the answer of {} cannot be read: {error}",
                self.endpoint(request.service)
            ))
        })
    }

    /// Sends a request that changes something, once.
    pub(super) async fn write(&self, request: &Request) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.attempt(request).await
    }

    async fn attempt(&self, request: &Request) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let authorization = match &request.authorization {
            Some(headers) => headers.clone(),
            None => self.authorization(request.service).await?,
        };
        timeout(ATTEMPT_TIMEOUT, self.exchange(request, authorization))
            .await
            .unwrap_or_else(|_| {
                Err(Failure::Lost(
                    self.silence(request.service, ATTEMPT_TIMEOUT),
                ))
            })
    }

    async fn exchange(
        &self,
        request: &Request,
        authorization: HeaderMap,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let path: Vec<_> = request.path.iter().map(String::as_str).collect();
        let url = self.endpoint(request.service).url(&path);
        let mut builder = self
            .http()
            .await?
            .request(request.method.clone(), url)
            .query(&request.query)
            .headers(authorization);
        if let Some(body) = &request.body {
            builder = builder
                .header(CONTENT_TYPE, HeaderValue::from_static(request.content_type))
                .body(body.clone());
        }
        let failed = |error: reqwest::Error| {
            let unsent = error.is_connect() || error.is_builder();
            let cause = format!(
                "{}: {}",
                self.endpoint(request.service),
                chain(&error.without_url())
            );
            if unsent {
                Failure::NotSent(
                    format!("no connection to {cause}; check the network, DNS and proxy").into(),
                )
            } else {
                Failure::Lost(cause.into())
            }
        };
        requests::request();
        let mut response = builder.send().await.map_err(failed)?;
        let status = response.status();
        let success = status.is_success();
        let max_bytes = if success {
            request.max_bytes
        } else {
            MAX_ERROR_BYTES
        };
        let announced = response.content_length().unwrap_or(0);
        let capacity = usize::try_from(announced)
            .unwrap_or(max_bytes)
            .min(max_bytes);
        // Of the size announced, so that a secret is not copied while it grows.
        let mut body = Zeroizing::new(Vec::with_capacity(capacity));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > max_bytes {
                return Err(Failure::Unreadable(format!(
                    "the answer of {} is larger than the {max_bytes} bytes allowed for it",
                    self.endpoint(request.service)
                )));
            }
            body.extend_from_slice(&chunk);
        }
        if !success {
            return Err(Failure::Answer(Answer::new(status.as_u16(), &body)));
        }
        Ok(body)
    }

    fn silence(&self, service: Service, waited: Duration) -> BoxError {
        format!(
            "no answer from {} within {} s: check the network",
            self.endpoint(service),
            waited.as_secs()
        )
        .into()
    }
}
