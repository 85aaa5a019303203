//! What AWS and the network report, classed by what the caller should do.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::failure::{Failure, NoStore};
#[cfg(any(feature = "azure", feature = "gcp"))]
use crate::federation::FederationError;

/// No message of a service is repeated beyond this many bytes.
const MAX_MESSAGE_BYTES: usize = 400;

/// What was asked, for the messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The permission it takes: `s3:PutObject`.
    pub(crate) permission: &'static str,
    /// What it takes it on: `arn:aws:s3:::bucket/*`.
    pub(crate) resource: &'a str,
}

/// What a service answered, besides success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Its word for the error: `AccessDenied`. Empty where it gave none.
    pub(super) code: String,
    pub(super) message: String,
    /// Where the bucket is, as S3 says to who asks elsewhere.
    region: Option<String>,
}

impl Answer {
    /// The answer, if there was one.
    pub(super) fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<Self> {
        let SdkError::ServiceError(context) = error else {
            return None;
        };
        let response = context.raw();
        let text = |text: Option<&str>| printable(text.unwrap_or_default());
        Some(Self {
            status: response.status().as_u16(),
            code: text(context.err().code()),
            message: text(context.err().message()),
            region: response.headers().get("x-amz-bucket-region").map(printable),
        })
    }

    pub(super) fn is(&self, status: u16, code: &str) -> bool {
        self.status == status && self.code == code
    }

    /// Whether a permission is missing.
    pub(super) fn is_denied(&self) -> bool {
        matches!(&*self.code, "AccessDenied" | "AccessDeniedException")
            || (self.status == 403 && self.code.is_empty())
    }

    /// Whether S3 says that the bucket has no Object Lock.
    pub(super) fn is_without_lock(&self) -> bool {
        let message = self.message.replace(' ', "");
        self.code == "ObjectLockConfigurationNotFoundError" || message.contains("missingObjectLock")
    }

    fn summary(&self) -> String {
        match (&*self.code, &*self.message) {
            ("", _) => format!("answer {}", self.status),
            (code, "") => format!("{code}, {}", self.status),
            (code, message) => format!("{code}: {message}"),
        }
    }

    fn class(&self, asked: Asked<'_>) -> Failure {
        let summary = self.summary();
        if let Some(next) = self.remedy(asked) {
            return Failure::Refused {
                reason: summary,
                next,
            };
        }
        match (self.status, &*self.code) {
            (_, "NoSuchBucket") => NO_BUCKET,
            // Said before anything is done, and only as 4xx: what ends as 5xx
            // may have been done.
            (400 | 429, code) if is_throttling(code) => Failure::Transient(summary.into()),
            // The bytes did not arrive as they were sent.
            (400, "BadDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch") => {
                Failure::Transient(summary.into())
            }
            (307 | 409, "TemporaryRedirect" | "OperationAborted") => {
                Failure::Transient(summary.into())
            }
            // Done, by its status, and not understood.
            (..300, _) => Failure::Unknown(summary.into()),
            (408, _) | (_, "RequestTimeout") => Failure::Unknown(summary.into()),
            (500.., code) if code != "NotImplemented" => Failure::Unknown(summary.into()),
            _ => Failure::Refused {
                reason: summary,
                next: "check the setting and what the endpoint is, then try again".to_owned(),
            },
        }
    }

    /// What a person should do about what will not go away by itself.
    fn remedy(&self, asked: Asked<'_>) -> Option<String> {
        let Asked {
            permission,
            resource,
        } = asked;
        if self.code.starts_with("KMS.") || self.message.contains("kms:") {
            return Some(format!(
                "check the KMS key that encrypts it: that it is enabled, and that these credentials may use it ({resource})"
            ));
        }
        if let Some(region) = self.right_region() {
            return Some(match region {
                Some(region) => {
                    format!("the bucket is in {region}: add ?region={region} to its address")
                }
                None => "add ?region=REGION to its address, with the region that the bucket is in"
                    .to_owned(),
            });
        }
        let next = match &*self.code {
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => SET_CLOCK.to_owned(),
            "InvalidSignatureException" | "SignatureDoesNotMatch"
                if self.message.contains("expired") || self.message.contains("not yet current") =>
            {
                SET_CLOCK.to_owned()
            }
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                "the session has ended: sign in again, or renew what AWS_SESSION_TOKEN and the profile hold"
                    .to_owned()
            }
            "InvalidAccessKeyId" | "InvalidClientTokenId" | "UnrecognizedClientException"
            | "InvalidToken" | "MissingAuthenticationToken" => {
                "AWS does not know these credentials: check AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN or the profile, and that the key was not deleted"
                    .to_owned()
            }
            "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature" => {
                "the secret key does not belong to the access key: check AWS_SECRET_ACCESS_KEY or the profile, and this machine's clock"
                    .to_owned()
            }
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "Forbidden" => format!(
                "allow {permission} on {resource} to these credentials, and look for a deny in the policies of the resource, the role and the organization"
            ),
            "" if self.status == 403 => {
                format!("allow {permission} on {resource} to these credentials")
            }
            _ => return self.remedy_of_lock(),
        };
        Some(next)
    }

    /// About S3 Object Lock, whose refusals share their codes with others.
    fn remedy_of_lock(&self) -> Option<String> {
        let says = |words: &str| self.message.to_ascii_lowercase().contains(words);
        if self.is_without_lock() {
            return Some(
                "make a bucket with Object Lock (aws s3api create-bucket --object-lock-enabled-for-bucket), or set `lock = \"off\"` to try things out"
                    .to_owned(),
            );
        }
        says("in the future").then(|| {
            "check this machine's clock and `retention_days`: the retention would have ended already"
                .to_owned()
        })
    }

    /// Whether the bucket is elsewhere, and where if that is said.
    fn right_region(&self) -> Option<Option<String>> {
        let elsewhere = matches!(
            &*self.code,
            "PermanentRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
        ) || self.status == 301;
        let expecting = || {
            let (_, rest) = self.message.split_once("expecting '")?;
            rest.split_once('\'').map(|(region, _)| region.to_owned())
        };
        elsewhere.then(|| self.region.clone().or_else(expecting))
    }
}

const SET_CLOCK: &str =
    "set this machine's clock right: AWS refuses requests that are 15 minutes off";

const NO_BUCKET: Failure = no_store("its bucket does not exist");

/// What answers for a table that is not there.
pub(super) const NO_TABLE: Failure = no_store("its table does not exist");

const fn no_store(reason: &'static str) -> Failure {
    Failure::NoStore(NoStore {
        reason,
        next: "correct the setting, or run init once the infrastructure is made",
    })
}

/// The class of an error, as far as it does not depend on the call.
pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>, asked: Asked<'_>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(answer) = Answer::of(error) {
        return answer.class(asked);
    }
    #[cfg(any(feature = "azure", feature = "gcp"))]
    if let Some(known) = FederationError::find(error) {
        return Failure::of_federation(known);
    }
    // The library's own words, "dispatch failure", say less than the cause.
    let causes = error.source().map_or_else(|| causes(error), causes);
    if find::<CredentialsError>(error).is_some() {
        return no_credentials(&causes);
    }
    match error {
        SdkError::ConstructionFailure(_) => Failure::Refused {
            reason: causes,
            next: "check the setting".to_owned(),
        },
        SdkError::DispatchFailure(failure) => {
            let unsent = find::<hyper_util::client::legacy::Error>(error)
                .is_some_and(hyper_util::client::legacy::Error::is_connect);
            if unsent {
                return Failure::Transient(
                    format!(
                        "no connection to the service: {causes}; check the network, the region and the endpoint"
                    )
                    .into(),
                );
            }
            let by_us = failure
                .as_connector_error()
                .is_some_and(|connector| connector.is_other() && connector.as_other().is_none());
            if by_us && find::<hyper::Error>(error).is_none() {
                return Failure::Refused {
                    reason: causes,
                    next: "check the setting and the endpoint".to_owned(),
                };
            }
            Failure::Unknown(format!("the connection failed: {causes}").into())
        }
        SdkError::TimeoutError(_) => Failure::Unknown(
            format!("no answer in time: {causes}; check the network and the endpoint").into(),
        ),
        _ => Failure::Unknown(causes.into()),
    }
}

pub(super) fn no_credentials(causes: &str) -> Failure {
    Failure::refused(
        format!("no usable AWS credentials ({causes})"),
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role is attached",
    )
}

/// The reason alone.
pub(super) fn reason(failure: Failure) -> String {
    match failure {
        Failure::NoStore(NoStore { reason, .. }) => reason.to_owned(),
        Failure::Refused { reason, .. } => reason,
        Failure::Transient(cause) | Failure::Unknown(cause) => cause.to_string(),
        Failure::Missing | Failure::Exists | Failure::Moved => "it does not exist".to_owned(),
    }
}

fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "RequestThrottled"
            | "SlowDown"
    )
}

/// All that is told of an error, in one line. What is told twice is left out.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = printable(&error.to_string());
    let mut next = error.source();
    while let Some(cause) = next {
        let more = printable(&cause.to_string());
        if !more.is_empty() && !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = cause.source();
    }
    printable(&text)
}

/// The cause of a type, if there is one.
pub(super) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

/// Text of a server as it can stand in a message: short, in one line.
fn printable(text: &str) -> String {
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if short.len() > MAX_MESSAGE_BYTES {
        let mut end = MAX_MESSAGE_BYTES;
        while !short.is_char_boundary(end) {
            end -= 1;
        }
        short.truncate(end);
        short.push_str(" ...");
    }
    short.trim().trim_end_matches('.').to_owned()
}
