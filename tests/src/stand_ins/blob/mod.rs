//! A front before Azurite that holds what [`arm`](super::arm) set: Azurite
//! keeps no immutability policy and enforces none.
//!
//! - In a container with a policy or a legal hold no blob is overwritten or
//!   changed, and none is deleted before its period is over or under a hold:
//!   409 `BlobImmutableDueToPolicy`, `BlobImmutableDueToLegalHold`. A create-only
//!   put of what exists stays 409 `BlobAlreadyExists`.
//! - In a container of the version level each blob has a policy and a hold of
//!   its own, shown in its headers and in listings that include them. Azure keeps
//!   an overwritten blob there as an earlier version; Azurite has none, so that
//!   the overwrite is refused instead.
//! - Listings heed `startFrom`.
//!
//! A request that Azurite would refuse for its signature or its permissions is
//! refused for those. Azurite is asked in an account's path style.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, IF_MATCH, IF_NONE_MATCH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use countersign_core::time;

use super::accounts::{Accounts, BlobLock, Container};
use super::answer::{
    decode, drain, header, parameter, with_header, with_parameter, without_parameter, xml,
};

mod list;

const UNTIL: &str = "x-ms-immutability-policy-until-date";
const MODE: &str = "x-ms-immutability-policy-mode";
const HOLD: &str = "x-ms-legal-hold";

/// The front before the Azurite of these accounts.
pub fn router(accounts: Accounts) -> Router {
    Router::new()
        .fallback(handle)
        .with_state(Front { accounts })
}

#[derive(Debug, Clone)]
struct Front {
    accounts: Accounts,
}

/// Why a blob may not be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Immutable {
    Policy,
    LegalHold,
}

async fn handle(State(front): State<Front>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let (_, container, blob) = (parts.next(), parts.next(), parts.next());
    let container = decode(container.unwrap_or_default());
    let blob = decode(blob.unwrap_or_default());
    let comp = parameter(request.uri(), "comp").unwrap_or_default();
    let of_container = parameter(request.uri(), "restype").is_some();
    let rules = front.accounts.container(&container);
    let place = Place {
        container: &container,
        blob: &blob,
        rules: &rules,
    };
    let method = request.method().as_str();
    if container.is_empty() || blob.is_empty() || of_container {
        return match (method, of_container, comp.as_str()) {
            ("GET" | "HEAD", true, "") => with_container_headers(front.pass(request).await, &rules),
            ("DELETE", true, "") => front.delete_container(&place, request).await,
            ("GET", true, "list") => front.list(&place, request).await,
            _ => front.pass(request).await,
        };
    }
    match (method, comp.as_str()) {
        ("PUT", "" | "blocklist") => front.write(&place, request).await,
        (
            "PUT",
            "block" | "page" | "appendblock" | "metadata" | "properties" | "snapshot"
            | "incrementalcopy",
        ) => front.change(&place, request).await,
        ("PUT" | "DELETE", "immutabilityPolicies") => front.set_policy(&place, request).await,
        ("PUT", "legalhold") => front.set_hold(&place, request).await,
        ("DELETE", "") => front.delete(&place, request).await,
        ("GET" | "HEAD", "") => {
            with_blob_headers(front.pass(request).await, rules.blobs.get(&blob))
        }
        _ => front.pass(request).await,
    }
}

struct Place<'a> {
    container: &'a str,
    blob: &'a str,
    rules: &'a Container,
}

impl Place<'_> {
    /// Why the blob may not be overwritten or changed, if it exists.
    fn against_change(&self) -> Option<Immutable> {
        let own = self.own();
        if !self.rules.hold_tags.is_empty() || own.is_some_and(|lock| lock.legal_hold) {
            return Some(Immutable::LegalHold);
        }
        let protected = if self.rules.version_level {
            own.is_some_and(|lock| lock.until.is_some())
        } else {
            self.rules.policy.is_some()
        };
        protected.then_some(Immutable::Policy)
    }

    /// Why a blob with these headers may not be deleted at this time.
    fn against_delete(&self, headers: &HeaderMap, now_millis: u64) -> Option<Immutable> {
        let immutable = self.against_change()?;
        if immutable == Immutable::LegalHold {
            return Some(immutable);
        }
        let until_millis = if self.rules.version_level {
            self.own()
                .and_then(|lock| lock.until)
                .map(|(until_millis, _)| until_millis)
        } else {
            let created_millis = created_millis(headers);
            let period_millis = self
                .rules
                .policy
                .as_ref()
                .map(|policy| policy.period_millis());
            period_millis.map(|period_millis| created_millis.saturating_add(period_millis))
        };
        until_millis
            .is_some_and(|until_millis| now_millis < until_millis)
            .then_some(immutable)
    }

    fn own(&self) -> Option<&BlobLock> {
        self.rules.blobs.get(self.blob)
    }
}

impl Front {
    async fn pass(&self, request: Request) -> Response {
        self.accounts.azurite.upstream.pass(request).await
    }

    /// `Put Blob` and `Put Block List`: they make a blob, or overwrite one.
    async fn write(&self, place: &Place<'_>, mut request: Request) -> Response {
        let headers = request.headers().clone();
        if headers.contains_key(UNTIL) && policy_in(&headers).is_none() {
            drain(request.into_body()).await;
            return invalid_header(UNTIL);
        }
        let locks = [UNTIL, MODE, HOLD];
        if !place.rules.version_level && locks.iter().any(|name| headers.contains_key(*name)) {
            drain(request.into_body()).await;
            return not_version_level();
        }
        let create_only = header(&headers, "if-none-match") == Some("*");
        let immutable = place.against_change();
        let response = match immutable {
            Some(immutable) if !create_only => {
                if signs_headers(&headers) || headers.contains_key(IF_MATCH) {
                    return self.change(place, request).await;
                }
                // Azurite decides between this put and another at the same moment.
                request
                    .headers_mut()
                    .insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
                let response = self.pass(request).await;
                if header(response.headers(), "x-ms-error-code") == Some("BlobAlreadyExists") {
                    return refuse(immutable);
                }
                response
            }
            _ => self.pass(request).await,
        };
        if response.status() == StatusCode::CREATED && place.rules.version_level {
            self.keep_lock(place, &headers);
        }
        response
    }

    /// Notes what a new blob of the version level carries: its own policy, or
    /// the container's.
    fn keep_lock(&self, place: &Place<'_>, headers: &HeaderMap) {
        let now_millis = self.accounts.clock.unix_millis();
        let inherited = place.rules.policy.as_ref();
        let inherited =
            inherited.map(|policy| (now_millis + policy.period_millis(), policy.locked));
        let lock = BlobLock {
            until: policy_in(headers).or(inherited),
            legal_hold: header(headers, HOLD) == Some("true"),
        };
        self.accounts.change(place.container, |container| {
            container.blobs.insert(place.blob.to_owned(), lock);
        });
    }

    /// What changes a blob that exists.
    async fn change(&self, place: &Place<'_>, request: Request) -> Response {
        let immutable = place.against_change();
        let Some(immutable) = immutable else {
            return self.pass(request).await;
        };
        match self.accounts.azurite.blob(request.uri().path()).await {
            Some(_) => self.refuse_if_allowed(immutable, request).await,
            None => self.pass(request).await,
        }
    }

    async fn delete(&self, place: &Place<'_>, request: Request) -> Response {
        if place.against_change().is_some()
            && let Some(headers) = self.accounts.azurite.blob(request.uri().path()).await
            && let Some(immutable) =
                place.against_delete(&headers, self.accounts.clock.unix_millis())
        {
            return self.refuse_if_allowed(immutable, request).await;
        }
        let response = self.pass(request).await;
        if response.status() == StatusCode::ACCEPTED && place.rules.version_level {
            self.accounts.change(place.container, |container| {
                container.blobs.remove(place.blob)
            });
        }
        response
    }

    /// Refuses what Azurite would have done. Whether it would is found with the
    /// same request under a condition that no blob meets.
    async fn refuse_if_allowed(&self, immutable: Immutable, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        drain(body).await;
        // The condition would break a signature over the headers.
        if !signs_headers(&parts.headers) {
            let mut probe = Request::new(Body::empty());
            *probe.method_mut() = Method::DELETE;
            *probe.uri_mut() = without_parameter(&parts.uri, "comp");
            if parts.method == Method::PUT {
                *probe.method_mut() = Method::PUT;
                *probe.uri_mut() = with_parameter(&parts.uri, "comp", "metadata");
            }
            *probe.headers_mut() = parts.headers;
            probe.headers_mut().remove(TRANSFER_ENCODING);
            probe.headers_mut().remove(IF_NONE_MATCH);
            probe
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            probe
                .headers_mut()
                .insert(IF_MATCH, HeaderValue::from_static("\"0x0\""));
            let answer = self.pass(probe).await;
            if matches!(
                answer.status(),
                StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED
            ) {
                return answer;
            }
        }
        refuse(immutable)
    }

    async fn delete_container(&self, place: &Place<'_>, request: Request) -> Response {
        let rules = place.rules;
        if rules.version_level {
            let text = "The requested operation is not allowed as the container has a immutable storage with versioning enabled.";
            return error("ContainerImmutableStorageWithVersioningEnabled", text);
        }
        if !rules.hold_tags.is_empty() {
            let text = "The requested operation is not allowed as the container has one or more legal holds.";
            return error("ContainerHasLegalHold", text);
        }
        if rules.policy.is_some() && !self.accounts.azurite.is_empty(place.container).await {
            let text = "The requested operation is not allowed as the container has a locked immutability policy.";
            return error("ContainerImmutabilityPolicyLocked", text);
        }
        let response = self.pass(request).await;
        if response.status() == StatusCode::ACCEPTED {
            self.accounts.forget(place.container);
        }
        response
    }

    /// Whether the caller may read the blob; Azurite itself knows none of the
    /// calls that set locks.
    async fn is_readable(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Response> {
        let mut probe = Request::new(Body::empty());
        *probe.method_mut() = Method::HEAD;
        *probe.uri_mut() = without_parameter(uri, "comp");
        if let Some(token) = headers.get("authorization") {
            probe.headers_mut().insert("authorization", token.clone());
        }
        let answer = self.pass(probe).await;
        if answer.status() == StatusCode::OK {
            Ok(())
        } else {
            Err(answer)
        }
    }

    async fn set_policy(&self, place: &Place<'_>, request: Request) -> Response {
        let (request, _) = request.into_parts();
        if !place.rules.version_level {
            return not_version_level();
        }
        if let Err(refusal) = self.is_readable(&request.uri, &request.headers).await {
            return refusal;
        }
        let wanted = policy_in(&request.headers);
        if request.method == Method::PUT && wanted.is_none() {
            return invalid_header(UNTIL);
        }
        let done = self.accounts.change(place.container, |container| {
            let lock = container.blobs.entry(place.blob.to_owned()).or_default();
            if let (Some((until, true)), wanted) = (lock.until, wanted)
                && wanted.is_none_or(|(wanted, locked)| wanted < until || !locked)
            {
                return false;
            }
            lock.until = wanted;
            true
        });
        if !done {
            return refuse(Immutable::Policy);
        }
        let own = self
            .accounts
            .container(place.container)
            .blobs
            .get(place.blob)
            .cloned();
        with_blob_headers(StatusCode::OK.into_response(), own.as_ref())
    }

    async fn set_hold(&self, place: &Place<'_>, request: Request) -> Response {
        let (request, _) = request.into_parts();
        if !place.rules.version_level {
            return not_version_level();
        }
        if let Err(refusal) = self.is_readable(&request.uri, &request.headers).await {
            return refusal;
        }
        let hold = match header(&request.headers, HOLD) {
            Some("true") => true,
            Some("false") => false,
            _ => return invalid_header(HOLD),
        };
        self.accounts.change(place.container, |container| {
            container
                .blobs
                .entry(place.blob.to_owned())
                .or_default()
                .legal_hold = hold;
        });
        with_header(
            StatusCode::OK.into_response(),
            HOLD,
            if hold { "true" } else { "false" },
        )
    }
}

fn with_container_headers(mut response: Response, rules: &Container) -> Response {
    let truth = |truth| if truth { "true" } else { "false" };
    if response.status() == StatusCode::OK {
        response = with_header(
            response,
            "x-ms-has-immutability-policy",
            truth(rules.policy.is_some()),
        );
        response = with_header(
            response,
            "x-ms-has-legal-hold",
            truth(!rules.hold_tags.is_empty()),
        );
        let versions = "x-ms-immutable-storage-with-versioning-enabled";
        response = with_header(response, versions, truth(rules.version_level));
    }
    response
}

fn with_blob_headers(mut response: Response, lock: Option<&BlobLock>) -> Response {
    let Some(lock) = lock.filter(|_| response.status().is_success()) else {
        return response;
    };
    if let Some((until_millis, locked)) = lock.until {
        response = with_header(response, UNTIL, &http_date(until_millis));
        response = with_header(response, MODE, if locked { "locked" } else { "unlocked" });
    }
    if lock.legal_hold {
        response = with_header(response, HOLD, "true");
    }
    response
}

/// The policy that a request's headers ask for: until when, and whether locked.
fn policy_in(headers: &HeaderMap) -> Option<(u64, bool)> {
    let until = header(headers, UNTIL)?;
    let until_millis =
        from_http_date(until).or_else(|| u64::try_from(time::parse(until)?.unix_millis()).ok())?;
    Some((
        until_millis,
        header(headers, MODE).is_some_and(|mode| mode.eq_ignore_ascii_case("locked")),
    ))
}

fn created_millis(headers: &HeaderMap) -> u64 {
    header(headers, "x-ms-creation-time")
        .and_then(from_http_date)
        .unwrap_or(0)
}

fn from_http_date(text: &str) -> Option<u64> {
    let since = httpdate::parse_http_date(text)
        .ok()?
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?;
    u64::try_from(since.as_millis()).ok()
}

fn http_date(unix_millis: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(unix_millis))
}

/// Whether the signature covers the headers, so that none can be added.
fn signs_headers(headers: &HeaderMap) -> bool {
    header(headers, "authorization").is_some_and(|value| value.starts_with("SharedKey"))
}

fn refuse(immutable: Immutable) -> Response {
    match immutable {
        Immutable::Policy => error(
            "BlobImmutableDueToPolicy",
            "This operation is not permitted as the blob is immutable due to a policy.",
        ),
        Immutable::LegalHold => error(
            "BlobImmutableDueToLegalHold",
            "This operation is not permitted as the blob is immutable due to one or more legal holds.",
        ),
    }
}

fn not_version_level() -> Response {
    let text = "The requested operation is not allowed as immutable storage with versioning is not enabled on the container.";
    error("ImmutableStorageWithVersioningNotEnabled", text)
}

fn invalid_header(name: &str) -> Response {
    let text =
        format!("The value for one of the HTTP headers is not in the correct format: {name}.");
    let mut response = error("InvalidHeaderValue", &text);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

fn error(code: &str, message: &str) -> Response {
    let id = "00000000-0000-0000-0000-000000000000";
    let body =
        format!("<Error><Code>{code}</Code><Message>{message}\nRequestId:{id}</Message></Error>");
    let response = with_header(xml(StatusCode::CONFLICT, body), "x-ms-error-code", code);
    with_header(response, "x-ms-request-id", id)
}
