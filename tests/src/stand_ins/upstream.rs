//! The server behind a front.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, HeaderName};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The headers that speak of one connection.
const HOP_BY_HOP: [HeaderName; 2] = [CONNECTION, HeaderName::from_static("keep-alive")];

/// A server that requests are passed on to.
#[derive(Debug, Clone)]
pub struct Upstream {
    authority: String,
    client: Client<HttpConnector, Body>,
}

impl Upstream {
    /// The server at `url`, an `http://host:port`.
    pub fn new(url: &str) -> Self {
        let authority = url.strip_prefix("http://").unwrap_or(url);
        Self {
            authority: authority.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Passes the request on, its path and its `Host` as they came, since a
    /// signature may cover them. Both bodies stream.
    pub async fn pass(&self, mut request: Request) -> Response {
        let path = request.uri().path_and_query();
        let path = path.map_or("/", PathAndQuery::as_str);
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.authority.as_str())
            .path_and_query(path)
            .build();
        *request.uri_mut() = match uri {
            Ok(uri) => uri,
            Err(error) => return bad_gateway(&error),
        };
        of_one_connection(request.headers_mut());
        match self.client.request(request).await {
            Ok(mut response) => {
                of_one_connection(response.headers_mut());
                response.map(Body::new)
            }
            Err(error) => bad_gateway(&error),
        }
    }
}

fn of_one_connection(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn bad_gateway(error: &dyn std::error::Error) -> Response {
    let text = format!("the server behind this front did not answer: {error}\n");
    (StatusCode::BAD_GATEWAY, text).into_response()
}
