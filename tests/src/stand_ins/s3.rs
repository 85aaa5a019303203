//! A front before MinIO that answers as S3 does where MinIO does not:
//!
//! - what a lock forbids is 403 `AccessDenied`, not 400 `InvalidRequest`;
//! - of two create-only puts of one key at the same moment, the second is 409
//!   `ConditionalRequestConflict`; MinIO lets it wait, and answers 412;
//! - a put with a lock wants a checksum;
//! - a bucket policy may have the condition `s3:if-none-match`, and what a
//!   policy denies to everybody is denied to the root user too;
//! - a bucket has default encryption, blocked public access and enforced
//!   ownership from the start; the last two MinIO has not at all, so that nobody
//!   judges the signature of a call for them.
//!
//! Requests pass as they came, signatures and all: a wrong one is MinIO's to
//! refuse. Buckets are named in the path.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::answer::{
    decode, drain, header, lock, parameter, read_request, read_response, with_body, with_header,
    xml,
};
use super::bucket_policy::{Act, BucketPolicy};
use super::upstream::Upstream;

/// What MinIO says of a version under a lock.
const MINIO_LOCKED: &str = "<Code>InvalidRequest</Code><Message>Object is WORM protected and cannot be overwritten</Message>";
/// What S3 says of it.
const S3_LOCKED: &str = "<Code>AccessDenied</Code><Message>Access Denied because object protected by object lock.</Message>";

/// The front before the MinIO at `upstream`, an `http://host:port`.
pub fn router(upstream: &str) -> Router {
    let front = Arc::new(Front {
        upstream: Upstream::new(upstream),
        creating: Mutex::default(),
        policies: Mutex::default(),
        access: Mutex::default(),
    });
    Router::new().fallback(handle).with_state(front)
}

struct Front {
    upstream: Upstream,
    /// The paths of the create-only puts that are under way.
    creating: Mutex<HashSet<String>>,
    /// By bucket.
    policies: Mutex<HashMap<String, BucketPolicy>>,
    /// What was set of a bucket's access, by bucket; none where it was removed.
    access: Mutex<HashMap<(Access, String), Option<Bytes>>>,
}

/// Settings of a bucket that MinIO has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Access {
    PublicAccessBlock,
    Ownership,
}

impl Access {
    /// Of a new bucket.
    fn initial(self) -> &'static str {
        match self {
            Self::PublicAccessBlock => {
                "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                <BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
                <BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>\
                </PublicAccessBlockConfiguration>"
            }
            Self::Ownership => {
                "<OwnershipControls xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                <Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>"
            }
        }
    }

    fn missing(self) -> &'static str {
        match self {
            Self::PublicAccessBlock => "NoSuchPublicAccessBlockConfiguration",
            Self::Ownership => "OwnershipControlsNotFoundError",
        }
    }
}

/// A request as S3 names them; `Other` passes as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    PutObject,
    CreateUpload,
    UploadPart,
    CompleteUpload,
    DeleteObject,
    DeleteVersion,
    DeleteObjects,
    PutRetention,
    PutLegalHold,
    PutLockConfiguration,
    PutVersioning,
    PutLifecycle,
    PutReplication,
    GetPolicy,
    PutPolicy,
    DeletePolicy,
    GetEncryption,
    Access(Access),
    DeleteBucket,
    Other,
}

impl Operation {
    fn of(method: &Method, uri: &Uri, key: &str) -> Self {
        let has = |name| parameter(uri, name).is_some();
        match (method.as_str(), key.is_empty()) {
            ("PUT", false) if has("retention") => Self::PutRetention,
            ("PUT", false) if has("legal-hold") => Self::PutLegalHold,
            ("PUT", false) if has("tagging") || has("acl") => Self::Other,
            ("PUT", false) if has("partNumber") => Self::UploadPart,
            ("PUT", false) => Self::PutObject,
            ("POST", false) if has("uploads") => Self::CreateUpload,
            ("POST", false) if has("uploadId") => Self::CompleteUpload,
            ("DELETE", false) if has("uploadId") || has("tagging") => Self::Other,
            ("DELETE", false) if has("versionId") => Self::DeleteVersion,
            ("DELETE", false) => Self::DeleteObject,
            ("POST", true) if has("delete") => Self::DeleteObjects,
            ("PUT", true) if has("object-lock") => Self::PutLockConfiguration,
            ("PUT", true) if has("versioning") => Self::PutVersioning,
            ("PUT" | "DELETE", true) if has("lifecycle") => Self::PutLifecycle,
            ("PUT" | "DELETE", true) if has("replication") => Self::PutReplication,
            ("GET", true) if has("policy") => Self::GetPolicy,
            ("PUT", true) if has("policy") => Self::PutPolicy,
            ("DELETE", true) if has("policy") => Self::DeletePolicy,
            ("GET", true) if has("encryption") => Self::GetEncryption,
            ("GET" | "PUT" | "DELETE", true) if has("publicAccessBlock") => {
                Self::Access(Access::PublicAccessBlock)
            }
            ("GET" | "PUT" | "DELETE", true) if has("ownershipControls") => {
                Self::Access(Access::Ownership)
            }
            ("DELETE", true) if uri.query().is_none_or(|query| query.starts_with("x-id=")) => {
                Self::DeleteBucket
            }
            _ => Self::Other,
        }
    }

    /// The action that a policy may deny.
    fn action(self) -> Option<&'static str> {
        Some(match self {
            Self::PutObject | Self::CreateUpload | Self::UploadPart | Self::CompleteUpload => {
                "s3:PutObject"
            }
            // S3 judges a list key by key; a denial of the whole bucket is what matters here.
            Self::DeleteObject | Self::DeleteObjects => "s3:DeleteObject",
            Self::DeleteVersion => "s3:DeleteObjectVersion",
            Self::PutRetention => "s3:PutObjectRetention",
            Self::PutLegalHold => "s3:PutObjectLegalHold",
            Self::PutLockConfiguration => "s3:PutBucketObjectLockConfiguration",
            Self::PutVersioning => "s3:PutBucketVersioning",
            Self::PutLifecycle => "s3:PutLifecycleConfiguration",
            Self::PutReplication => "s3:PutReplicationConfiguration",
            Self::DeleteBucket => "s3:DeleteBucket",
            // The account's root user can always mend a policy.
            Self::GetPolicy | Self::PutPolicy | Self::DeletePolicy => return None,
            Self::GetEncryption | Self::Access(_) | Self::Other => return None,
        })
    }
}

async fn handle(State(front): State<Arc<Front>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let operation = Operation::of(request.method(), request.uri(), key);
    let create_only = header(request.headers(), "if-none-match") == Some("*");
    if front.denied(operation, bucket, key, create_only) {
        drain(request.into_body()).await;
        return error(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");
    }
    match operation {
        Operation::PutObject if locks_without_checksum(request.headers()) => {
            drain(request.into_body()).await;
            let message = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
            error(StatusCode::BAD_REQUEST, "InvalidRequest", message)
        }
        Operation::PutObject | Operation::CompleteUpload if create_only => {
            front.create(&path, request).await
        }
        Operation::DeleteVersion | Operation::PutRetention | Operation::PutLegalHold => {
            front.refuse_as_s3(request).await
        }
        Operation::DeleteObjects => front.delete_objects(request).await,
        Operation::GetPolicy => front.policy(bucket, request).await,
        Operation::PutPolicy => front.put_policy(bucket, request).await,
        Operation::DeletePolicy | Operation::DeleteBucket => {
            let response = front.upstream.pass(request).await;
            if response.status().is_success() {
                lock(&front.policies).remove(bucket);
            }
            response
        }
        Operation::GetEncryption => front.encryption(request).await,
        Operation::Access(of) => front.access(of, bucket, request).await,
        _ => front.upstream.pass(request).await,
    }
}

impl Front {
    fn denied(&self, operation: Operation, bucket: &str, key: &str, create_only: bool) -> bool {
        let resource = match key {
            "" if operation != Operation::DeleteObjects => format!("arn:aws:s3:::{bucket}"),
            "" => format!("arn:aws:s3:::{bucket}/*"),
            key => format!("arn:aws:s3:::{bucket}/{}", decode(key)),
        };
        let policies = lock(&self.policies);
        let Some((policy, action)) = policies.get(bucket).zip(operation.action()) else {
            return false;
        };
        policy.denies(Act {
            action,
            resource: &resource,
            if_none_match: create_only,
            creates_object: matches!(operation, Operation::PutObject | Operation::CompleteUpload),
        })
    }

    /// Passes a create-only put on, unless another one of its key is under way.
    async fn create(&self, path: &str, request: Request) -> Response {
        if !lock(&self.creating).insert(path.to_owned()) {
            drain(request.into_body()).await;
            let message = "The conditional request cannot succeed due to a conflicting operation against this resource.";
            return error(StatusCode::CONFLICT, "ConditionalRequestConflict", message);
        }
        // Also when the client goes away, which ends this call.
        let _over = Over(self, path);
        self.upstream.pass(request).await
    }

    async fn refuse_as_s3(&self, request: Request) -> Response {
        let response = self.upstream.pass(request).await;
        if response.status() != StatusCode::BAD_REQUEST {
            return response;
        }
        let (response, body) = read_response(response).await;
        if !String::from_utf8_lossy(&body).contains(MINIO_LOCKED) {
            return response;
        }
        let message = "Access Denied because object protected by object lock.";
        error(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    async fn delete_objects(&self, request: Request) -> Response {
        let (response, body) = read_response(self.upstream.pass(request).await).await;
        let text = String::from_utf8_lossy(&body).replace(MINIO_LOCKED, S3_LOCKED);
        with_body(response, text)
    }

    async fn policy(&self, bucket: &str, request: Request) -> Response {
        let response = self.upstream.pass(request).await;
        let kept = lock(&self.policies).get(bucket).cloned();
        match kept {
            // MinIO has judged the signature.
            Some(policy) if matches!(response.status(), StatusCode::OK | StatusCode::NOT_FOUND) => {
                ([("content-type", "application/json")], policy.text).into_response()
            }
            _ => response,
        }
    }

    async fn put_policy(&self, bucket: &str, request: Request) -> Response {
        let (request, text) = match read_request(request).await {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        let (response, body) = read_response(self.upstream.pass(request).await).await;
        let policy = BucketPolicy::read(&text);
        // MinIO judges the signature first, and then knows no such condition.
        let unknown_to_minio = response.status() == StatusCode::BAD_REQUEST
            && policy
                .as_ref()
                .is_some_and(BucketPolicy::names_if_none_match)
            && is_unknown_condition(&body);
        let Some(policy) = policy else {
            return response;
        };
        if unknown_to_minio || response.status().is_success() {
            lock(&self.policies).insert(bucket.to_owned(), policy);
        }
        if unknown_to_minio {
            return StatusCode::NO_CONTENT.into_response();
        }
        response
    }

    async fn access(&self, of: Access, bucket: &str, request: Request) -> Response {
        let (request, text) = match read_request(request).await {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        let mut access = lock(&self.access);
        let place = (of, bucket.to_owned());
        match request.method().as_str() {
            "PUT" => {
                access.insert(place, Some(text));
                return StatusCode::OK.into_response();
            }
            "DELETE" => {
                access.insert(place, None);
                return StatusCode::NO_CONTENT.into_response();
            }
            _ => {}
        }
        match access.get(&place) {
            None => xml(StatusCode::OK, of.initial().to_owned()),
            Some(Some(text)) => xml(StatusCode::OK, String::from_utf8_lossy(text).into_owned()),
            Some(None) => {
                let message = "The configuration was not found";
                error(StatusCode::NOT_FOUND, of.missing(), message)
            }
        }
    }

    async fn encryption(&self, request: Request) -> Response {
        let (response, body) = read_response(self.upstream.pass(request).await).await;
        let unset = "ServerSideEncryptionConfigurationNotFoundError";
        if !String::from_utf8_lossy(&body).contains(unset) {
            return response;
        }
        let default = "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
            </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>\
            </ServerSideEncryptionConfiguration>";
        xml(StatusCode::OK, default.to_owned())
    }
}

/// Takes a path off those under way.
struct Over<'a>(&'a Front, &'a str);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        lock(&self.0.creating).remove(self.1);
    }
}

fn is_unknown_condition(body: &Bytes) -> bool {
    String::from_utf8_lossy(body).contains("<Message>invalid condition key")
}

fn locks_without_checksum(headers: &HeaderMap) -> bool {
    let has = |start: &str| headers.keys().any(|name| name.as_str().starts_with(start));
    let checksum = [
        "content-md5",
        "x-amz-checksum-",
        "x-amz-trailer",
        "x-amz-copy-source",
    ];
    has("x-amz-object-lock-") && !checksum.into_iter().any(has)
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let id = "0000STANDIN00000";
    let body = format!(
        "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{id}</RequestId><HostId>{id}</HostId></Error>"
    );
    with_header(xml(status, body), "x-amz-request-id", id)
}
