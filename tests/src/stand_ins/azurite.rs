//! The Azurite behind the front of the blobs, asked with its well-known key.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::upstream::Upstream;

/// The account that every Azurite has.
pub const ACCOUNT: &str = "devstoreaccount1";

/// Its key, which Azurite's documentation publishes: no secret.
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// An Azurite, and a signature for what the front itself asks.
#[derive(Debug, Clone)]
pub struct Azurite {
    pub(super) upstream: Upstream,
    sas: String,
}

impl Azurite {
    /// The Azurite at `url`, an `http://host:port`.
    pub fn new(url: &str) -> Self {
        Self {
            upstream: Upstream::new(url),
            sas: account_sas("rwdlac", "2099-01-01T00:00:00Z"),
        }
    }

    /// Whether the container exists.
    pub async fn has_container(&self, name: &str) -> bool {
        let path = format!("/{ACCOUNT}/{name}?restype=container&{}", self.sas);
        self.ask(Method::HEAD, &path).await.status() == StatusCode::OK
    }

    /// Makes the container; false where Azurite refuses.
    pub async fn create_container(&self, name: &str) -> bool {
        let path = format!("/{ACCOUNT}/{name}?restype=container&{}", self.sas);
        self.ask(Method::PUT, &path).await.status() == StatusCode::CREATED
    }

    /// Whether the container holds no blob.
    pub async fn is_empty(&self, name: &str) -> bool {
        let path = format!(
            "/{ACCOUNT}/{name}?restype=container&comp=list&maxresults=1&{}",
            self.sas
        );
        let (_, body) = super::answer::read_response(self.ask(Method::GET, &path).await).await;
        !String::from_utf8_lossy(&body).contains("<Blob>")
    }

    /// The headers of the blob at a path as a client wrote it; none where there
    /// is no such blob.
    pub async fn blob(&self, path: &str) -> Option<HeaderMap> {
        let response = self
            .ask(Method::HEAD, &format!("{path}?{}", self.sas))
            .await;
        (response.status() == StatusCode::OK).then(|| response.headers().clone())
    }

    async fn ask(&self, method: Method, path: &str) -> Response {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        match path.parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(_) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::BAD_REQUEST;
                return response;
            }
        }
        self.upstream.pass(request).await
    }
}

/// A signed query for the whole account, with these permissions until `expiry`.
pub fn account_sas(permissions: &str, expiry: &str) -> String {
    let version = "2021-12-02";
    let text = format!("{ACCOUNT}\n{permissions}\nb\nsco\n\n{expiry}\n\nhttps,http\n{version}\n\n");
    let key = BASE64
        .decode(KEY.as_bytes())
        .expect("the well-known key is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length is a key");
    mac.update(text.as_bytes());
    let signature = BASE64.encode(&mac.finalize().into_bytes());
    let signature = signature
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!("sv={version}&ss=b&srt=sco&sp={permissions}&se={expiry}&spr=https,http&sig={signature}")
}
