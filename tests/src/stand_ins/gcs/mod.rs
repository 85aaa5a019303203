//! A front before fake-gcs-server that holds what Cloud Storage holds: that
//! server drops retention policies, holds and soft delete, and enforces none.
//!
//! - A bucket keeps its retention policy, soft delete, lifecycle, encryption and
//!   access settings, counts its metageneration, and can be locked; a locked
//!   policy is neither shortened nor removed.
//! - What a policy or a hold protects is neither overwritten nor deleted: 403
//!   `retentionPolicyNotMet`, `objectUnderActiveHold`. In a bucket with versions
//!   an object can still be made noncurrent, as Cloud Storage allows.
//! - Objects show `retentionExpirationTime` and their holds; pages hold at most
//!   1,000 objects.
//! - A `Host` without its port, as Google's library sends it, gets the front's,
//!   so that the address of a resumable upload is one that can be reached.
//!
//! Any token may do anything, except that `denied` may do nothing, and
//! `without:storage.objects.list,storage.buckets.get` all but that. The end of
//! an event-based hold does not start the retention anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use countersign_core::time;
use countersign_service::clock::Clock;
use serde_json::{Value, json};

use super::answer::{
    drain, encode, header, is_denied, json as answer, lock, parameter, read_request, read_response,
    with_body, with_parameter,
};
use super::upstream::Upstream;
use bucket::Bucket;
use target::Target;

mod bucket;
mod target;

/// No page holds more.
const PAGE_OBJECTS: u64 = 1000;

/// The front, which clients reach at `url`, before the fake-gcs-server at `upstream`.
pub fn router(url: &str, upstream: &str, clock: Arc<dyn Clock>) -> Router {
    let front = Front {
        authority: url.strip_prefix("http://").unwrap_or(url).to_owned(),
        upstream: Upstream::new(upstream),
        clock,
        buckets: Mutex::default(),
    };
    Router::new().fallback(handle).with_state(Arc::new(front))
}

struct Front {
    authority: String,
    upstream: Upstream,
    clock: Arc<dyn Clock>,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

async fn handle(State(front): State<Arc<Front>>, mut request: Request) -> Response {
    let host = header(request.headers(), "host").unwrap_or_default();
    if !host.contains(':')
        && let Ok(host) = HeaderValue::from_str(&front.authority)
    {
        request.headers_mut().insert(HOST, host);
    }
    let target = Target::of(request.uri().path());
    let permission = target.permission(request.method());
    if is_denied(header(request.headers(), "authorization"), permission) {
        drain(request.into_body()).await;
        let message = format!(
            "The caller does not have {permission} access. Permission '{permission}' denied on resource (or it may not exist)."
        );
        return error(StatusCode::FORBIDDEN, "forbidden", &message);
    }
    let is_media = parameter(request.uri(), "alt").as_deref() == Some("media");
    match (request.method().as_str(), target) {
        ("POST", Target::Buckets) => front.create_bucket(request).await,
        ("GET", Target::Buckets) => front.list_buckets(request).await,
        ("GET", Target::Bucket(bucket)) => front.show_bucket(&bucket, request).await,
        ("PATCH" | "PUT", Target::Bucket(bucket)) => front.change_bucket(&bucket, request).await,
        ("DELETE", Target::Bucket(bucket)) => front.delete_bucket(&bucket, request).await,
        ("POST", Target::LockPolicy(bucket)) => front.lock_policy(&bucket, request).await,
        ("GET", Target::Objects(bucket)) => front.list(&bucket, request).await,
        ("GET", Target::Object(bucket, _)) if !is_media => front.show(&bucket, request).await,
        ("PATCH" | "PUT", Target::Object(bucket, object)) => {
            front.change(&bucket, &object, request).await
        }
        ("DELETE", Target::Object(bucket, object)) => front.delete(&bucket, &object, request).await,
        ("POST", Target::Made(bucket, object)) => front.write(&bucket, &object, request).await,
        ("POST", Target::Upload(bucket)) => front.upload(&bucket, request).await,
        ("PUT", Target::Upload(bucket)) => front.show(&bucket, request).await,
        _ => front.upstream.pass(request).await,
    }
}

/// Buckets.
impl Front {
    async fn create_bucket(&self, request: Request) -> Response {
        let (request, settings) = match read_json(request).await {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        if settings.pointer("/retentionPolicy/isLocked").is_some() {
            let message = "Retention Policy should not set/unset lock at insertion time.";
            return error(StatusCode::BAD_REQUEST, "invalid", message);
        }
        let now_millis = self.clock.unix_millis();
        let mut bucket = Bucket::new(now_millis);
        if let Err(refusal) = bucket.set(&settings, now_millis) {
            return refusal;
        }
        let (response, body) = read_response(self.upstream.pass(request).await).await;
        if response.status().is_success()
            && let Some(name) = settings.get("name").and_then(Value::as_str)
        {
            lock(&self.buckets).insert(name.to_owned(), bucket);
        }
        self.shown(response, &body, |front, body| front.add_bucket(body))
    }

    async fn list_buckets(&self, request: Request) -> Response {
        let (response, body) = read_response(self.upstream.pass(request).await).await;
        self.shown(response, &body, |front, body| {
            let items = body.get_mut("items").and_then(Value::as_array_mut);
            items
                .into_iter()
                .flatten()
                .for_each(|item| front.add_bucket(item));
        })
    }

    async fn show_bucket(&self, name: &str, request: Request) -> Response {
        if let Some(refusal) = self.met(name, request.uri()) {
            return refusal;
        }
        let (response, body) = read_response(self.upstream.pass(request).await).await;
        self.shown(response, &body, |front, body| front.add_bucket(body))
    }

    async fn change_bucket(&self, name: &str, request: Request) -> Response {
        let (request, settings) = match read_json(request).await {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        if let Some(refusal) = self.met(name, request.uri()) {
            return refusal;
        }
        let Some(mut bucket) = self.bucket(name) else {
            return self.upstream.pass(request).await;
        };
        if let Err(refusal) = bucket.set(&settings, self.clock.unix_millis()) {
            return refusal;
        }
        let (response, body) = read_response(self.upstream.pass(request).await).await;
        if response.status().is_success() {
            bucket.metageneration += 1;
            lock(&self.buckets).insert(name.to_owned(), bucket);
        }
        self.shown(response, &body, |front, body| front.add_bucket(body))
    }

    async fn delete_bucket(&self, name: &str, request: Request) -> Response {
        if let Some(refusal) = self.met(name, request.uri()) {
            return refusal;
        }
        let response = self.upstream.pass(request).await;
        match response.status() {
            StatusCode::PRECONDITION_FAILED => {
                let message = "The bucket you tried to delete is not empty.";
                error(StatusCode::CONFLICT, "conflict", message)
            }
            status if status.is_success() => {
                lock(&self.buckets).remove(name);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => response,
        }
    }

    async fn lock_policy(&self, name: &str, request: Request) -> Response {
        if parameter(request.uri(), "ifMetagenerationMatch").is_none() {
            let message = "Required parameter: ifMetagenerationMatch";
            return error(StatusCode::BAD_REQUEST, "required", message);
        }
        if let Some(refusal) = self.met(name, request.uri()) {
            return refusal;
        }
        if let Some(bucket) = lock(&self.buckets).get_mut(name) {
            match &mut bucket.retention {
                Some(retention) if !retention.locked => retention.locked = true,
                _ => {
                    let message =
                        format!("Bucket '{name}' does not have an unlocked retention policy.");
                    return error(StatusCode::BAD_REQUEST, "invalid", &message);
                }
            }
            bucket.metageneration += 1;
        }
        let mut show = Request::new(Body::empty());
        *show.headers_mut() = request.headers().clone();
        show.headers_mut().remove(CONTENT_LENGTH);
        show.headers_mut().remove(TRANSFER_ENCODING);
        *show.uri_mut() = request
            .uri()
            .path()
            .trim_end_matches("/lockRetentionPolicy")
            .parse()
            .unwrap_or_default();
        self.show_bucket(name, show).await
    }

    /// Refuses a call for another metageneration than the bucket's.
    fn met(&self, name: &str, uri: &Uri) -> Option<Response> {
        let metageneration = self.bucket(name)?.metageneration.to_string();
        let wanted = parameter(uri, "ifMetagenerationMatch")?;
        (wanted != metageneration).then(|| {
            let message = "At least one of the pre-conditions you specified did not hold.";
            error(StatusCode::PRECONDITION_FAILED, "conditionNotMet", message)
        })
    }

    fn bucket(&self, name: &str) -> Option<Bucket> {
        lock(&self.buckets).get(name).cloned()
    }

    /// Adds what the front keeps to the server's description of a bucket.
    fn add_bucket(&self, body: &mut Value) {
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(bucket) = self.bucket(name) {
            bucket.add_to(body);
        }
    }
}

/// Objects.
impl Front {
    async fn list(&self, bucket: &str, mut request: Request) -> Response {
        let wanted =
            parameter(request.uri(), "maxResults").and_then(|text| text.parse::<u64>().ok());
        let page = wanted
            .filter(|wanted| (1..PAGE_OBJECTS).contains(wanted))
            .unwrap_or(PAGE_OBJECTS);
        *request.uri_mut() = with_parameter(request.uri(), "maxResults", &page.to_string());
        self.show(bucket, request).await
    }

    /// Passes the call on and adds to each object in its answer.
    async fn show(&self, bucket: &str, request: Request) -> Response {
        let (response, body) = read_response(self.upstream.pass(request).await).await;
        self.shown(response, &body, |front, body| {
            let Some(bucket) = front.bucket(bucket) else {
                return;
            };
            if let Some(items) = body.get_mut("items").and_then(Value::as_array_mut) {
                items.iter_mut().for_each(|item| bucket.add_object(item));
            } else if let Some(made) = body.get_mut("resource") {
                bucket.add_object(made);
            } else {
                bucket.add_object(body);
            }
        })
    }

    async fn change(&self, bucket: &str, object: &str, request: Request) -> Response {
        let (request, settings) = match read_json(request).await {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        let there = self.object(request.uri().path(), None).await.is_some();
        if let Some(bucket) = lock(&self.buckets).get_mut(bucket).filter(|_| there) {
            let holds = bucket.holds.entry(object.to_owned()).or_default();
            let wanted = |name: &str| settings.get(name).map(|value| value == true);
            holds.temporary = wanted("temporaryHold").unwrap_or(holds.temporary);
            holds.event_based = wanted("eventBasedHold").unwrap_or(holds.event_based);
        }
        self.show(bucket, request).await
    }

    async fn delete(&self, bucket: &str, object: &str, request: Request) -> Response {
        let generation = parameter(request.uri(), "generation");
        let makes_noncurrent =
            self.bucket(bucket).is_some_and(|bucket| bucket.versioning) && generation.is_none();
        if !makes_noncurrent
            && let Some(found) = self
                .object(request.uri().path(), generation.as_deref())
                .await
            && let Some(refusal) = self.protected(bucket, object, &found)
        {
            return refusal;
        }
        let response = self.upstream.pass(request).await;
        if !response.status().is_success() {
            return response;
        }
        if let Some(bucket) = lock(&self.buckets)
            .get_mut(bucket)
            .filter(|_| !makes_noncurrent)
        {
            bucket.holds.remove(object);
        }
        StatusCode::NO_CONTENT.into_response()
    }

    async fn upload(&self, bucket: &str, request: Request) -> Response {
        if let Some(object) = parameter(request.uri(), "name") {
            return self.write(bucket, &object, request).await;
        }
        let (request, body) = match read_request(request).await {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        let object = name_in(&body).unwrap_or_default();
        self.write(bucket, &object, request).await
    }

    /// Passes a call on that makes `object`, unless what stands there is
    /// protected.
    async fn write(&self, bucket: &str, object: &str, mut request: Request) -> Response {
        let generation = parameter(request.uri(), "ifGenerationMatch");
        let rules = self
            .bucket(bucket)
            .filter(|rules| !rules.versioning && rules.protects());
        if rules.is_none() || generation.as_deref() == Some("0") {
            return self.show(bucket, request).await;
        }
        let path = format!("/storage/v1/b/{bucket}/o/{}", encode(object));
        if let Some(found) = self.object(&path, None).await {
            let is_meant =
                generation.is_none_or(|wanted| found.get("generation") == Some(&json!(wanted)));
            if is_meant && let Some(refusal) = self.protected(bucket, object, &found) {
                drain(request.into_body()).await;
                return refusal;
            }
            return self.show(bucket, request).await;
        }
        if generation.is_some() {
            return self.show(bucket, request).await;
        }
        // The server decides between this write and another at the same moment.
        *request.uri_mut() = with_parameter(request.uri(), "ifGenerationMatch", "0");
        let response = self.show(bucket, request).await;
        if response.status() == StatusCode::PRECONDITION_FAILED
            && let Some(found) = self.object(&path, None).await
            && let Some(refusal) = self.protected(bucket, object, &found)
        {
            return refusal;
        }
        response
    }

    /// What the server says of an object, if it exists.
    async fn object(&self, path: &str, generation: Option<&str>) -> Option<Value> {
        let query = generation.map(|generation| format!("?generation={generation}"));
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = format!("{path}{}", query.unwrap_or_default())
            .parse()
            .ok()?;
        let (response, body) = read_response(self.upstream.pass(request).await).await;
        if response.status() != StatusCode::OK {
            return None;
        }
        serde_json::from_slice(&body).ok()
    }

    /// The refusal to overwrite or delete the object, if it is protected now.
    fn protected(&self, name: &str, object: &str, found: &Value) -> Option<Response> {
        let bucket = self.bucket(name)?;
        let holds = bucket.holds.get(object).copied().unwrap_or_default();
        if holds.temporary || holds.event_based {
            let kind = if holds.temporary {
                "Temporary"
            } else {
                "Event-Based"
            };
            let message = format!(
                "Object '{name}/{object}' is under active {kind} hold and cannot be deleted, overwritten or archived until hold is removed."
            );
            return Some(error(
                StatusCode::FORBIDDEN,
                "objectUnderActiveHold",
                &message,
            ));
        }
        let until_millis = bucket.retained_until(found)?;
        (self.clock.unix_millis() < until_millis).then(|| {
            let until = time::from_unix_millis(until_millis);
            let message = format!("Object '{name}/{object}' is subject to bucket's retention policy or object retention and cannot be deleted or overwritten until {until}");
            error(StatusCode::FORBIDDEN, "retentionPolicyNotMet", &message)
        })
    }

    /// The answer with its JSON added to; as it is where it has none.
    fn shown(
        &self,
        response: Response,
        body: &[u8],
        add: impl FnOnce(&Self, &mut Value),
    ) -> Response {
        let status = response.status();
        match serde_json::from_slice::<Value>(body) {
            Ok(mut value) if status.is_success() && value.is_object() => {
                add(self, &mut value);
                with_body(response, value.to_string())
            }
            _ => response,
        }
    }
}

/// The name in the metadata of an upload: the body itself, or its first part.
fn name_in(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let start = text.find('{')?;
    let metadata = serde_json::Deserializer::from_str(&text[start..])
        .into_iter::<Value>()
        .next()?
        .ok()?;
    metadata.get("name")?.as_str().map(str::to_owned)
}

async fn read_json(request: Request) -> Result<(Request, Value), Response> {
    let (request, body) = read_request(request).await?;
    match serde_json::from_slice(&body) {
        Ok(value) => Ok((request, value)),
        Err(_) => Err(error(StatusCode::BAD_REQUEST, "parseError", "Parse Error")),
    }
}

fn error(status: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({"error": {
        "code": status.as_u16(), "message": message,
        "errors": [{"domain": "global", "reason": reason, "message": message}],
    }});
    answer(status, &body)
}
