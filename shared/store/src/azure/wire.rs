//! How a request gets to Azure: the last policy of every pipeline.
//!
//! Times, chosen so that whatever fails is told within 30 seconds:
//!
//! | what | limit |
//! |---|---|
//! | a token | 8 s ([`access`](super::access)) |
//! | name, connection and TLS | 5 s |
//! | no byte moved, in either direction | 12 s |
//! | all in all | 20 s, and a second more for every 64 KiB |
//!
//! A transfer that moves is not cut off for being long; the last line only
//! ends one that is fed drop by drop.

use std::error::Error as _;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::base64;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{
    AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue, Headers, WWW_AUTHENTICATE,
};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{
    AsyncRawResponse, Body, ClientMethodOptions, ClientOptions, Context, Method, Request,
    RetryOptions, StatusCode, Transport, Url,
};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use md5::{Digest, Md5};
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::requests::Count;
use crate::tls;

const CONNECT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(12);
const TICK: Duration = Duration::from_secs(1);
const LEAST: Duration = Duration::from_secs(20);
const SLOWEST_BYTES_PER_SECOND: u64 = 64 * 1024;

/// A body is handed over in pieces of this size, so that it is seen to move.
const PIECE_BYTES: usize = 64 * 1024;

/// The largest answer that is read where a call sets no limit of its own: a
/// page of a listing has up to 5,000 blobs of some 2 KB each.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const CONTENT_RANGE: HeaderName = HeaderName::from_static("content-range");
const BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");

/// One call while it is under way, and what was seen of it when it failed.
#[derive(Debug)]
pub(crate) struct Call {
    stage: AtomicU8,
    /// Counts pieces handed over and read.
    moved: AtomicU64,
    max_body_bytes: u64,
    max_object_bytes: u64,
    /// Of the last answer; 0 while there is none.
    status: AtomicU16,
    failure: Mutex<Option<String>>,
    /// The SDK may send in a task of its own.
    count: Count,
}

const IDLE_STAGE: u8 = 0;
const BEGUN: u8 = 1;
const HANDED_OVER: u8 = 2;

impl Call {
    pub(super) fn new() -> Arc<Self> {
        Self::reading(MAX_ANSWER_BYTES, u64::MAX)
    }

    /// A call whose answer may have `max_body_bytes`. Where it is a part of an
    /// object of more than `max_object_bytes`, nothing of it is read.
    pub(crate) fn reading(max_body_bytes: u64, max_object_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            stage: AtomicU8::new(IDLE_STAGE),
            moved: AtomicU64::new(0),
            max_body_bytes,
            max_object_bytes,
            status: AtomicU16::new(0),
            failure: Mutex::default(),
            count: Count::current(),
        })
    }

    /// Carries this call through a client of the SDK to the transport.
    pub(crate) fn options(self: &Arc<Self>) -> ClientMethodOptions<'static> {
        ClientMethodOptions {
            context: Context::new().with_value(Arc::clone(self)),
        }
    }

    /// Whether the transport was reached at all.
    pub(super) fn begun(&self) -> bool {
        self.stage.load(Ordering::Acquire) != IDLE_STAGE
    }

    /// Whether the last byte of the request was handed over. Azure cannot have
    /// done what it was never asked for to the end.
    pub(super) fn handed_over(&self) -> bool {
        self.stage.load(Ordering::Acquire) == HANDED_OVER
    }

    /// The status of the last answer.
    #[cfg(any(feature = "aws", feature = "gcp"))]
    pub(crate) fn status(&self) -> Option<u16> {
        Some(self.status.load(Ordering::Acquire)).filter(|status| *status != 0)
    }

    /// What kept the answer from arriving.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure_slot().clone()
    }

    fn failure_slot(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, stage: u8) {
        self.stage.store(stage, Ordering::Release);
        self.step();
    }

    fn step(&self) {
        self.moved.fetch_add(1, Ordering::AcqRel);
    }

    fn fail(&self, kind: ErrorKind, text: String) -> Error {
        *self.failure_slot() = Some(text.clone());
        Error::with_message(kind, text)
    }
}

/// Where requests go, and what they take along.
#[derive(Debug)]
pub(super) struct Wire {
    client: reqwest::Client,
    sas: Option<Sas>,
    stand_in: Option<Url>,
    /// Whether the stand-in is one for a service that takes no token.
    open: bool,
}

/// A shared access signature: the query that opens an account to its bearer.
pub(super) struct Sas(pub(super) Zeroizing<String>);

impl std::fmt::Debug for Sas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sas(…)")
    }
}

impl Wire {
    pub(super) fn new(client: reqwest::Client) -> Self {
        Self {
            client,
            sas: None,
            stand_in: None,
            open: false,
        }
    }

    /// Adds `sas` to every request, so late that no other part sees it.
    pub(super) fn with_sas(self, sas: Option<Sas>) -> Self {
        Self { sas, ..self }
    }

    /// Sends everything to `stand_in`, whatever its host. The SDK gives tokens
    /// to https alone, so it is told the name of the cloud's own service.
    pub(super) fn with_stand_in(self, stand_in: Option<Url>) -> Self {
        Self { stand_in, ..self }
    }

    /// For a service that takes no token, but gives them.
    #[cfg(any(feature = "aws", feature = "gcp"))]
    pub(super) fn without_token(self) -> Self {
        Self { open: true, ..self }
    }

    /// What the clients of the SDK are made with.
    pub(super) fn options(self) -> ClientOptions {
        ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::with_policy(Arc::new(self))),
            ..ClientOptions::default()
        }
    }

    fn target(&self, url: &Url) -> Url {
        let mut target = url.clone();
        if let Some(stand_in) = &self.stand_in {
            target = stand_in.clone();
            target.set_path(url.path());
            target.set_query(url.query());
        }
        if let Some(Sas(sas)) = &self.sas {
            let query = Zeroizing::new(match target.query() {
                Some(query) if !query.is_empty() => format!("{query}&{}", **sas),
                _ => sas.to_string(),
            });
            target.set_query(Some(&query));
        }
        target
    }

    pub(super) async fn send_call(
        &self,
        call: &Arc<Call>,
        request: &Request,
    ) -> azure_core::Result<AsyncRawResponse> {
        let asks = self.stand_in.is_some() && !self.open;
        if asks && request.headers().get_optional_str(&AUTHORIZATION).is_none() {
            return Ok(challenge());
        }
        let Body::Bytes(body) = request.body().clone() else {
            let text = "a body that is not in memory is not sent";
            return Err(Error::with_message(ErrorKind::Other, text));
        };
        let target = self.target(request.url());
        let host = match (target.host_str(), target.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes());
        let method = method.map_err(|error| Error::new(ErrorKind::Other, error))?;
        let mut builder = self.client.request(method, target);
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        if request.headers().get_optional_str(&BLOB_TYPE).is_some() {
            let digest = base64::encode(Md5::digest(&body));
            builder = builder.header(CONTENT_MD5.as_str(), digest);
        }
        let began = Instant::now();
        let allowed = |bytes: u64| LEAST + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND);
        let deadline = began + allowed(body.len() as u64);
        if body.is_empty() {
            call.reach(HANDED_OVER);
        } else {
            call.reach(BEGUN);
            if request
                .headers()
                .get_optional_str(&CONTENT_LENGTH)
                .is_none()
            {
                builder = builder.header(CONTENT_LENGTH.as_str(), body.len());
            }
            builder = builder.body(pieces(body, Arc::clone(call)));
        }
        let built = builder.build().map_err(|error| {
            call.stage.store(BEGUN, Ordering::Release);
            call.fail(ErrorKind::Other, root_cause(&error))
        })?;
        call.count.request();
        let sent = while_it_moves(self.client.execute(built), call, deadline).await;
        let mut response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                if error.is_connect() {
                    // Not a byte of it was sent.
                    call.stage.store(BEGUN, Ordering::Release);
                }
                return Err(call.fail(ErrorKind::Io, unreachable_text(&host, &error)));
            }
            Err(Silent) => {
                let text = format!("{host} stopped answering");
                return Err(call.fail(ErrorKind::Io, text));
            }
        };
        call.status
            .store(response.status().as_u16(), Ordering::Release);
        let status = StatusCode::from(response.status().as_u16());
        let mut headers = headers(response.headers());
        let whole = whole_bytes(&headers);
        if whole == Some(0) {
            // Of nothing there is no range: Azurite says `bytes 0--1/0`.
            headers.remove(CONTENT_RANGE);
        }
        if status.is_success() && whole.is_some_and(|whole| whole > call.max_object_bytes) {
            return Ok(AsyncRawResponse::from_bytes(status, headers, Bytes::new()));
        }
        let announced = response.content_length();
        let limit = match status.is_success() {
            true => call.max_body_bytes,
            false => MAX_ANSWER_BYTES,
        };
        let too_long = || {
            call.fail(
                ErrorKind::Io,
                format!("{host} answered more than {limit} bytes"),
            )
        };
        if announced.is_some_and(|bytes| bytes > limit) && request.method() != Method::Head {
            return Err(too_long());
        }
        let deadline = Instant::now() + allowed(announced.unwrap_or(MAX_ANSWER_BYTES));
        let mut content = BytesMut::new();
        loop {
            let piece = match while_it_moves(response.chunk(), call, deadline).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    return Err(call.fail(ErrorKind::Io, unreachable_text(&host, &error)));
                }
                Err(Silent) => {
                    let text = format!("{host} stopped in the middle of its answer");
                    return Err(call.fail(ErrorKind::Io, text));
                }
            };
            call.step();
            if (content.len() + piece.len()) as u64 > limit {
                return Err(too_long());
            }
            content.extend_from_slice(&piece);
        }
        let content = content.freeze();
        if let Some(sum) = headers.get_optional_str(&CONTENT_MD5)
            && request.method() == Method::Get
            && status.is_success()
            && sum != base64::encode(Md5::digest(&content))
        {
            let text = format!("what {host} answered does not match its Content-MD5");
            return Err(call.fail(ErrorKind::Io, text));
        }
        Ok(AsyncRawResponse::from_bytes(status, headers, content))
    }
}

#[async_trait]
impl Policy for Wire {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        _next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let call = context.value::<Arc<Call>>().cloned();
        self.send_call(&call.unwrap_or_else(Call::new), request)
            .await
    }
}

/// The client that everything goes through. Redirects are not followed: no
/// service here sends any.
pub(super) fn client(loopback: bool) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config())
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false);
    // A proxy has no way to this machine's loopback.
    match loopback {
        true => builder.no_proxy().build(),
        false => builder.https_only(true).build(),
    }
}

/// The client for managed identities, whose endpoints are plain http on a
/// link-local address.
pub(super) fn identity_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config())
        .connect_timeout(CONNECT)
        .read_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

/// The size of the whole object of which this is an answer to a ranged read.
pub(super) fn whole_bytes(headers: &Headers) -> Option<u64> {
    let range = headers.get_optional_str(&CONTENT_RANGE)?;
    range.rsplit_once('/')?.1.parse().ok()
}

/// A stand-in asks for no token; the SDK waits to be asked before it sends one,
/// and before it sends a body.
fn challenge() -> AsyncRawResponse {
    let asked = r#"Bearer authorization="https://login.microsoftonline.com/stand-in", resource="https://vault.azure.net""#;
    let mut headers = Headers::new();
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(asked));
    AsyncRawResponse::from_bytes(StatusCode::Unauthorized, headers, Bytes::new())
}

fn pieces(body: Bytes, call: Arc<Call>) -> reqwest::Body {
    let next = move |mut rest: Bytes| {
        let call = Arc::clone(&call);
        async move {
            if rest.is_empty() {
                return None;
            }
            let piece = rest.split_to(PIECE_BYTES.min(rest.len()));
            match rest.is_empty() {
                true => call.reach(HANDED_OVER),
                false => call.step(),
            }
            Some((Ok::<_, std::convert::Infallible>(piece), rest))
        }
    };
    reqwest::Body::wrap_stream(stream::unfold(body, next))
}

struct Silent;

/// Waits for `work` as long as something moves.
async fn while_it_moves<T>(
    work: impl Future<Output = T>,
    call: &Call,
    deadline: Instant,
) -> Result<T, Silent> {
    let mut work = pin!(work);
    let mut seen = call.moved.load(Ordering::Acquire);
    let mut since = Instant::now();
    loop {
        if let Ok(done) = timeout(TICK, &mut work).await {
            return Ok(done);
        }
        let moved = call.moved.load(Ordering::Acquire);
        let now = Instant::now();
        if moved != seen {
            (seen, since) = (moved, now);
        }
        if now.duration_since(since) >= IDLE || now >= deadline {
            return Err(Silent);
        }
    }
}

/// What failed, without the URL: it may hold a signature.
fn unreachable_text(host: &str, error: &reqwest::Error) -> String {
    let cause = root_cause(error);
    if error.is_connect() && cause.contains("lookup address") {
        return format!(
            "{host} is not known ({cause}): check the name, and that this machine can resolve names"
        );
    }
    match error.is_connect() {
        true if error.is_timeout() => format!("{host} could not be reached within {CONNECT:?}"),
        true => format!("{host} could not be reached: {cause}"),
        false => format!("the connection to {host} broke: {cause}"),
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else {
        return "the request failed".to_owned();
    };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn headers(map: &reqwest::header::HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in map {
        if let Ok(value) = value.to_str() {
            let name = HeaderName::from(name.as_str().to_owned());
            headers.insert(name, HeaderValue::from(value.to_owned()));
        }
    }
    headers
}
