//! What went wrong with a call to Google Cloud, and what class it has. The one
//! place where answers are judged.

use std::error::Error as StdError;

use google_cloud_gax::error::rpc::StatusDetails;
use google_cloud_gax::error::{CredentialsError, Error as SdkError};
use serde::Deserialize;

use crate::error::{BoxError, GetError, HeadError, ListError, PutError, SwapError};
use crate::failure;
#[cfg(any(feature = "aws", feature = "azure"))]
use crate::federation::FederationError;
use crate::key::INVALID_KEY;
use crate::secret::SecretError;

/// The longest part of a server's message that an error repeats, in characters.
const MAX_MESSAGE_CHARS: usize = 400;

/// What to do about an answer that Google does not give.
pub(super) const NOT_GOOGLE: &str =
    "check that the address is Google's own service, or one that answers as it does";

const DELETE_PERMISSION: &str = "storage.objects.delete";

const NO_BUCKET: failure::Failure = failure::Failure::NoStore(failure::NoStore {
    reason: "its bucket does not exist",
    next: "correct the setting, or make the bucket (terraform apply) and run init",
});

/// Why a call brought no result, as it was seen.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server answered, and not with success.
    Answer(Answer),
    /// The request certainly did not reach the server whole.
    NotSent(BoxError),
    /// The request may have been carried out: its answer did not come.
    Lost(BoxError),
    /// It was answered with success, but the answer cannot be used.
    Unreadable(String),
    /// A person must act before any request can be sent, or could be answered.
    Refused {
        /// Why.
        reason: String,
        /// What to do.
        next: String,
    },
}

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// Google's word for the error: `retentionPolicyNotMet`, `SERVICE_DISABLED`.
    /// Empty where the answer has none.
    pub(super) reason: String,
    /// What it says, made safe to print.
    pub(super) message: String,
}

/// What a failure comes to.
#[derive(Debug)]
pub(crate) enum Class {
    /// What the request names is not there.
    Missing,
    /// A precondition on the generation does not hold.
    Precondition,
    /// A retention policy or a hold protects what stands there.
    Retained,
    /// What it would make is there already.
    Exists,
    /// The range begins behind the end.
    RangePastEnd,
    /// A person must act.
    Refused { reason: String, next: String },
    /// Certainly not done.
    Transient(BoxError),
    /// Done or not.
    Unknown(BoxError),
}

impl Failure {
    pub(super) fn refused(reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
            next: next.into(),
        }
    }

    pub(super) fn invalid_key() -> Self {
        Self::refused(INVALID_KEY.0, INVALID_KEY.1)
    }

    /// What a failed call of the SDK was. `sent` tells whether the server can
    /// have the whole request.
    pub(super) fn of_sdk(error: &SdkError, sent: bool) -> Self {
        if let Some(answer) = Answer::of_sdk(error) {
            return match answer.status {
                // The server cannot have acted on a part of an object.
                408 | 500.. if !sent => Self::NotSent(answer.text().into()),
                _ => Self::Answer(answer),
            };
        }
        if error.is_authentication() {
            let cause = StdError::source(error).and_then(|e| e.downcast_ref());
            return cause.map_or_else(|| Self::NotSent(chain(error).into()), Self::of_credentials);
        }
        if error.is_connect() {
            let hint = "check the network, DNS and proxy";
            return Self::NotSent(format!("{}; {hint}", chain(error)).into());
        }
        // A checksum that the server answers otherwise counts as an error of
        // serialization too: that is no sign that nothing was sent.
        if error.is_binding() || !sent {
            Self::NotSent(chain(error).into())
        } else {
            Self::Lost(chain(error).into())
        }
    }

    /// Why there is no access token.
    pub(super) fn of_credentials(error: &CredentialsError) -> Self {
        #[cfg(any(feature = "aws", feature = "azure"))]
        if let Some(known) = FederationError::find(error) {
            return match known.transient {
                true => Self::NotSent(known.to_string().into()),
                false => Self::refused(known.reason(), &*known.next),
            };
        }
        let reason = format!("no access token could be had: {}", printable(&chain(error)));
        if error.is_transient() {
            return Self::NotSent(format!("{reason}; {SIGN_IN}").into());
        }
        Self::refused(reason, SIGN_IN)
    }

    /// Whether a call that changes nothing is worth repeating.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Answer(answer) => {
                matches!(answer.status, 408 | 429 | 500..) || answer.is_rate_limit()
            }
            Self::NotSent(_) | Self::Lost(_) => true,
            Self::Unreadable(_) | Self::Refused { .. } => false,
        }
    }

    /// Judges the failure of a call that changes something, or of one that does
    /// not (`read`). `permission` is the one that the call needs.
    pub(super) fn class(self, read: bool, permission: &str) -> Class {
        match self {
            Self::Refused { reason, next } => Class::Refused { reason, next },
            Self::NotSent(cause) => Class::Transient(cause),
            Self::Lost(cause) if read => Class::Transient(cause),
            Self::Lost(cause) => Class::Unknown(cause),
            Self::Unreadable(reason) if read => refusal(reason, NOT_GOOGLE.to_owned()),
            Self::Unreadable(reason) => Class::Unknown(reason.into()),
            Self::Answer(answer) => answer.class(read, permission),
        }
    }

    /// The reason, what to do, and whether it may go away by itself, of a call
    /// that changes nothing.
    #[cfg(any(feature = "aws", feature = "azure"))]
    pub(crate) fn into_parts(self) -> (String, String, bool) {
        self.class(true, "the call").of_read().into_parts()
    }

    /// Of a call that makes something new; `permission` as in [`class`](Self::class).
    pub(super) fn into_put(self, object: String, permission: &str) -> PutError {
        let class = match self {
            Self::Answer(answer) if answer.wants_to_delete() => Class::Exists,
            other => other.class(false, permission),
        };
        class.of_create(NO_BUCKET).into_put(object)
    }

    /// Of a read whose object was not told to be missing.
    pub(super) fn into_get(self, object: String, store: String, permission: &str) -> GetError {
        self.class(true, permission)
            .of_read()
            .into_get(object, store)
    }

    /// Of a listing.
    pub(super) fn into_list(self, store: String, permission: &str) -> ListError {
        self.class(true, permission).of_read().into_list(store)
    }

    /// Of a load whose head was not told to be missing.
    pub(super) fn into_load(self, head: String, store: String, permission: &str) -> HeadError {
        self.class(true, permission)
            .of_read()
            .into_load(head, store)
    }

    /// Of a swap.
    pub(super) fn into_swap(self, head: String, permission: &str) -> SwapError {
        let class = match self.class(false, permission) {
            Class::Retained => refusal(
                "its bucket keeps every object under a retention policy or a hold, so that no head can move"
                    .to_owned(),
                "keep the heads in a bucket of their own, without a retention policy".to_owned(),
            ),
            Class::Exists => unexpected("409"),
            other => other,
        };
        class.of_create(NO_BUCKET).into_swap(head)
    }

    /// Of a secret or a key; `read` and `permission` as in [`class`](Self::class).
    pub(super) fn into_secret(self, secret: String, read: bool, permission: &str) -> SecretError {
        self.class(read, permission)
            .of_create(failure::Failure::Missing)
            .into_secret(secret)
    }
}

impl Class {
    /// Of a call that may have changed something; `missing` is what it means
    /// that what it names is not there.
    fn of_create(self, missing: failure::Failure) -> failure::Failure {
        match self {
            Self::Missing => missing,
            Self::Precondition => failure::Failure::Moved,
            Self::Retained | Self::Exists => failure::Failure::Exists,
            Self::RangePastEnd => unexpected("416").of_create(missing),
            Self::Refused { reason, next } => failure::Failure::Refused { reason, next },
            Self::Transient(cause) => failure::Failure::Transient(cause),
            Self::Unknown(cause) => failure::Failure::Unknown(cause),
        }
    }

    /// Of a call that changes nothing, whose object was not told to be missing.
    fn of_read(self) -> failure::Failure {
        let class = match self {
            Self::Precondition | Self::Retained | Self::Exists => unexpected("409 or 412"),
            other => other,
        };
        class.of_create(NO_BUCKET).of_read()
    }
}

fn unexpected(status: &str) -> Class {
    refusal(
        format!("the server answered {status} to a request that cannot be answered so"),
        NOT_GOOGLE.to_owned(),
    )
}

/// How Google writes an error: the JSON API's `errors` and the newer `details`.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorObject,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(default)]
    message: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    errors: Vec<ErrorDetail>,
    #[serde(default)]
    details: Vec<ErrorDetail>,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    reason: String,
}

/// How Google's token service writes an error (RFC 6749).
#[derive(Deserialize)]
struct TokenError {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Answer {
    /// An answer by its status and body.
    pub(super) fn new(status: u16, body: &[u8]) -> Self {
        if let Ok(TokenError {
            error,
            error_description,
        }) = serde_json::from_slice(body)
        {
            return Self {
                status,
                reason: printable(&error),
                message: printable(&error_description),
            };
        }
        let Ok(ErrorBody { error }) = serde_json::from_slice(body) else {
            return Self {
                status,
                reason: String::new(),
                message: printable(&String::from_utf8_lossy(body)),
            };
        };
        let reasons = error.details.into_iter().chain(error.errors);
        let reason = reasons.map(|detail| detail.reason).find(|r| !r.is_empty());
        Self {
            status,
            reason: reason.unwrap_or(error.status),
            message: printable(&error.message),
        }
    }

    fn of_sdk(error: &SdkError) -> Option<Self> {
        let status = error.http_status_code()?;
        let Some(rpc) = error.status() else {
            let body = error.http_payload().map_or(&[][..], |body| body);
            return Some(Self::new(status, body));
        };
        let reason = rpc.details.iter().find_map(|detail| match detail {
            StatusDetails::ErrorInfo(info) => Some(info.reason.clone()),
            _ => None,
        });
        Some(Self {
            status,
            reason: reason.unwrap_or_default(),
            message: printable(&rpc.message),
        })
    }

    /// The answer in a few words.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("the server answered {}", self.status);
        for part in [&self.reason, &self.message] {
            if !part.is_empty() {
                text = format!("{text}, {part}");
            }
        }
        text
    }

    /// Too many requests. Such a request was not carried out.
    fn is_rate_limit(&self) -> bool {
        self.status == 429
            || (self.status == 403
                && matches!(
                    self.reason.as_str(),
                    "rateLimitExceeded" | "userRateLimitExceeded" | "RATE_LIMIT_EXCEEDED"
                ))
    }

    /// Whether a write was denied because it would have replaced something: that
    /// counts as deleting, and who may create alone is told so, whatever the
    /// write's own condition.
    fn wants_to_delete(&self) -> bool {
        self.status == 403 && self.message.contains(DELETE_PERMISSION)
    }

    fn class(self, read: bool, permission: &str) -> Class {
        let text = self.text();
        if self.is_rate_limit() {
            return Class::Transient(text.into());
        }
        match self.status {
            403 if matches!(
                self.reason.as_str(),
                "retentionPolicyNotMet" | "objectUnderActiveHold"
            ) =>
            {
                Class::Retained
            }
            401 => refusal(
                format!("the credentials were not accepted ({text})"),
                format!("{SIGN_IN}; a token is refused when the clock is off by minutes"),
            ),
            403 if self.is_about_billing() => refusal(
                text,
                "enable billing of the project, or open its closed billing account, in the console under Billing".to_owned(),
            ),
            403 if matches!(self.reason.as_str(), "accessNotConfigured" | "SERVICE_DISABLED") => {
                refusal(
                    text,
                    "enable the API for the project that the message names: gcloud services enable SERVICE".to_owned(),
                )
            }
            403 => refusal(
                format!("the permission {permission} is missing or denied ({text})"),
                format!("grant these credentials a role with {permission}, and check that the bucket, key and project are the ones meant: Google answers so for what is not theirs too"),
            ),
            404 => Class::Missing,
            409 if matches!(self.reason.as_str(), "ALREADY_EXISTS" | "alreadyExists") => {
                Class::Exists
            }
            // Two requests met; this one was turned away.
            409 => Class::Transient(text.into()),
            412 => Class::Precondition,
            416 => Class::RangePastEnd,
            408 | 500.. if read => Class::Transient(text.into()),
            408 | 500.. => Class::Unknown(text.into()),
            300..=399 => refusal(
                text,
                "check the endpoint that the settings or the environment give: it answers with a redirect, and none is followed".to_owned(),
            ),
            _ => refusal(
                text,
                "check the address and the settings that the message names".to_owned(),
            ),
        }
    }

    fn is_about_billing(&self) -> bool {
        matches!(
            self.reason.as_str(),
            "accountDisabled" | "BILLING_DISABLED" | "UserProjectAccountProblem"
        ) || self
            .message
            .to_ascii_lowercase()
            .contains("billing account")
    }
}

const SIGN_IN: &str = "check the sign-in and this machine's clock: on a person's machine gcloud auth application-default login, in Google Cloud the service account of the function or machine";

fn refusal(reason: String, next: String) -> Class {
    Class::Refused { reason, next }
}

/// An error with all that caused it, each said once.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// What another machine said, in one short line without control characters.
pub(super) fn printable(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>();
    let line = line.join(" ");
    if line.chars().count() <= MAX_MESSAGE_CHARS {
        return line;
    }
    let mut cut: String = line.chars().take(MAX_MESSAGE_CHARS).collect();
    cut.push_str(" ...");
    cut
}
