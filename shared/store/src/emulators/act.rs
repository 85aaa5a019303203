//! What an administrator asks of a stand-in, in plain HTTP, and why it was not
//! done.

use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Client, Method};
use serde_json::Value;
use thiserror::Error;

use crate::tls;

/// A stand-in on this machine answers within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why an administrator's act was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ActError {
    /// The cloud refuses it.
    #[error("{status} {code}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The cloud's own code: `BlobImmutableDueToPolicy`.
        code: String,
        /// What it says.
        message: String,
    },
    /// It could not be asked, or answered what cannot be read.
    #[error("{0}; are the stand-ins up? See scripts/services status")]
    Failed(String),
}

impl ActError {
    pub(super) fn failed(what: impl ToString) -> Self {
        Self::Failed(what.to_string())
    }
}

/// A client of one stand-in.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    client: Client,
    base: String,
}

/// Reads the JSON of an answer; null where it is empty.
pub(super) fn json(body: &[u8]) -> Result<Value, ActError> {
    match body.is_empty() {
        true => Ok(Value::Null),
        false => serde_json::from_slice(body).map_err(ActError::failed),
    }
}

impl Asker {
    pub(super) fn new(base: impl ToString) -> Result<Self, ActError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::config())
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        Ok(Self {
            client: client.map_err(ActError::failed)?,
            base: base.to_string(),
        })
    }

    /// Asks for `path`, which is escaped and may have a query; gives the
    /// answer's body.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Vec<u8>, ActError> {
        let body: Vec<u8> = body.into();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        // Of an empty body the library says nothing, and Azure wants to know.
        request = request.header(CONTENT_LENGTH, body.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // A URL may hold a signature.
        let failed = |error: reqwest::Error| ActError::failed(error.without_url());
        let response = request.body(body).send().await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(failed)?.to_vec();
        if status.is_success() {
            return Ok(body);
        }
        let (code, message) = error_in(&headers, &body);
        Err(ActError::Refused {
            status: status.as_u16(),
            code,
            message,
        })
    }
}

/// A key as a part of a URL's path; its slashes stay.
pub(super) fn escaped(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// The code and the message of an error of Azure's or Google's.
fn error_in(headers: &HeaderMap, body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let string = |pointer: &str| {
        let found = json.pointer(pointer).and_then(Value::as_str);
        found.map(str::to_owned)
    };
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (inner, _) = rest.split_once(&format!("</{name}>"))?;
        Some(inner.lines().next().unwrap_or_default().to_owned())
    };
    let header = headers.get("x-ms-error-code");
    let header = header
        .and_then(|code| code.to_str().ok())
        .map(str::to_owned);
    let code = string("/error/errors/0/reason")
        .or_else(|| string("/error/code"))
        .or(header)
        .or_else(|| element("Code"));
    let message = string("/error/message").or_else(|| element("Message"));
    (code.unwrap_or_default(), message.unwrap_or_default())
}
