//! Bodies and queries, and answers in the forms that the clouds give them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// No body that a front must look into is larger.
pub const MAX_BODY_BYTES: usize = 64 << 20;

/// Locks, also after a panic elsewhere: every change to these states is whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The header as text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The value of a query's parameter, decoded; empty where it has none.
pub fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = uri.query()?.split('&');
    pairs.find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// The same address with the parameter set to the value, which is escaped already.
pub fn with_parameter(uri: &Uri, name: &str, value: &str) -> Uri {
    let uri = without_parameter(uri, name);
    let text = match uri.query() {
        Some(query) => format!("{}?{query}&{name}={value}", uri.path()),
        None => format!("{}?{name}={value}", uri.path()),
    };
    text.parse().unwrap_or(uri)
}

/// The same address without the parameter.
pub fn without_parameter(uri: &Uri, name: &str) -> Uri {
    let kept = uri.query().unwrap_or_default().split('&').filter(|pair| {
        !pair.is_empty() && decode(pair.split_once('=').map_or(*pair, |(key, _)| key)) != name
    });
    let kept: Vec<&str> = kept.collect();
    let text = if kept.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), kept.join("&"))
    };
    text.parse().unwrap_or_else(|_| uri.clone())
}

/// Percent-decoded; what is not UTF-8 after it is replaced.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match (
            bytes[at],
            hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Percent-encoded whole: all but letters and digits.
pub fn encode(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// The whole body, up to [`MAX_BODY_BYTES`].
pub async fn whole(body: Body) -> Result<Bytes, Response> {
    to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, format!("{error}\n")).into_response())
}

/// The request with its body in memory.
pub async fn read_request(request: Request) -> Result<(Request, Bytes), Response> {
    let (parts, body) = request.into_parts();
    let body = whole(body).await?;
    Ok((Request::from_parts(parts, Body::from(body.clone())), body))
}

/// The answer with its body in memory.
pub async fn read_response(response: Response) -> (Response, Bytes) {
    let (parts, body) = response.into_parts();
    match whole(body).await {
        Ok(body) => (Response::from_parts(parts, Body::from(body.clone())), body),
        Err(_) => {
            let text = "the answer of the server behind this front broke off\n";
            let response = (StatusCode::BAD_GATEWAY, text).into_response();
            (response, Bytes::new())
        }
    }
}

/// Reads the body to its end: who answers earlier has the client see a reset.
pub async fn drain(body: Body) {
    use http_body_util::BodyExt as _;
    let mut body = body;
    while let Some(Ok(_)) = body.frame().await {}
}

/// The same answer with another body.
pub fn with_body(response: Response, body: impl Into<Body>) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(TRANSFER_ENCODING);
    Response::from_parts(parts, body.into())
}

/// Whether a Google stand-in's token is one that lacks the permission: `denied`,
/// or `without:PERMISSION,…`.
pub fn is_denied(authorization: Option<&str>, permission: &str) -> bool {
    let token = authorization
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let without = token.strip_prefix("without:").unwrap_or_default();
    token == "denied" || without.split(',').any(|without| without == permission)
}

/// An answer in XML.
pub fn xml(status: StatusCode, body: String) -> Response {
    let head = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
    (
        status,
        [(CONTENT_TYPE, "application/xml")],
        format!("{head}\n{body}"),
    )
        .into_response()
}

/// An answer in JSON.
pub fn json(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

/// The answer with one header more.
pub fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    response
}

/// Text inside an XML element.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
