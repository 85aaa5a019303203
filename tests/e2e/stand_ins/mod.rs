//! The stand-ins, spoken to in plain HTTP: the fronts before their real servers
//! where `scripts/services` has started these, the others by themselves.

mod aws_kms;
mod azure;
mod gcp;
mod gcs;
mod key_vault;
mod s3;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use countersign_service::clock::{Clock as _, SetClock, SystemClock};
use countersign_tests::stand_ins::upstream::Upstream;
use serde_json::Value;

/// A clock at the real time, since the servers behind the fronts have that.
fn clock() -> Arc<SetClock> {
    Arc::new(SetClock::new(SystemClock.unix_millis()))
}

/// A name that no other test and no earlier run took.
fn unique(name: &str) -> String {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{taken}", SystemClock.unix_millis())
}

pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// What is between the XML element's tags.
    pub(crate) fn element(&self, name: &str) -> String {
        let text = self.text();
        let rest = text.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
        let inner = rest.and_then(|rest| rest.split_once(&format!("</{name}>")));
        inner.map(|(inner, _)| inner.to_owned()).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{:?} {}",
            self.headers,
            self.text()
        );
        self
    }

    /// An error of Azure Blob or S3, by its code.
    #[track_caller]
    fn xml_error(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.element("Code"), code, "{}", answer.text());
        answer
    }

    /// An error in JSON, by what stands at the pointer.
    #[track_caller]
    fn json_error(self, status: u16, pointer: &str, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(
            answer.json().pointer(pointer),
            Some(&Value::from(code)),
            "{}",
            answer.text()
        );
        answer
    }
}

pub(crate) async fn call(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).unwrap();
    let (parts, body) = Upstream::new(url).pass(request).await.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: to_bytes(body, 64 << 20).await.unwrap(),
    }
}
