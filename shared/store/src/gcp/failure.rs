//! What went wrong with a call to Google Cloud, and what class it has. The one
//! place where answers are judged.

use std::error::Error as StdError;

use google_cloud_gax::error::rpc::StatusDetails;
use google_cloud_gax::error::{CredentialsError, Error as SdkError};
use serde::Deserialize;

use crate::error::{BoxError, GetError, HeadError, ListError, PutError, SwapError};
use crate::key::INVALID_KEY;
use crate::secret::SecretError;

/// The longest part of a server's message that an error repeats, in characters.
const MAX_MESSAGE_CHARS: usize = 400;

/// What to do about an answer that Google does not give.
pub(super) const NOT_GOOGLE: &str =
    "check that the address is Google's own service, or one that answers as it does";

const NO_BUCKET: &str = "its bucket does not exist";
const RUN_INIT: &str = "correct the setting, or make the bucket (terraform apply) and run init";

/// Why a call brought no result, as it was seen.
#[derive(Debug)]
pub(super) enum Failure {
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
pub(super) struct Answer {
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
pub(super) enum Class {
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
        let reason = format!("no access token could be had: {}", printable(&chain(error)));
        if error.is_transient() {
            return Self::NotSent(format!("{reason}; {SIGN_IN}").into());
        }
        Self::refused(reason, SIGN_IN)
    }

    /// Whether a call that changes nothing is worth repeating.
    pub(super) fn may_pass(&self) -> bool {
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

    /// Of a put; `permission` as in [`class`](Self::class).
    pub(super) fn into_put(self, object: String, permission: &str) -> PutError {
        match self.class(false, permission) {
            Class::Precondition | Class::Retained | Class::Exists => PutError::Exists { object },
            Class::Missing => PutError::Refused {
                object,
                reason: NO_BUCKET.to_owned(),
                next: RUN_INIT.to_owned(),
            },
            Class::Unknown(cause) => PutError::Unknown { object, cause },
            Class::Transient(cause) => PutError::Transient { object, cause },
            Class::Refused { reason, next } => PutError::Refused {
                object,
                reason,
                next,
            },
            Class::RangePastEnd => {
                let (reason, next) = unexpected("416");
                PutError::Refused {
                    object,
                    reason,
                    next,
                }
            }
        }
    }

    /// Of a read whose object was not told to be missing.
    pub(super) fn into_get(self, object: String, store: String, permission: &str) -> GetError {
        match self.class(true, permission).of_read() {
            ReadClass::NoStore => GetError::NoStore { store },
            ReadClass::Refused { reason, next } => GetError::Refused {
                object,
                reason,
                next,
            },
            ReadClass::Transient(cause) => GetError::Transient { object, cause },
        }
    }

    /// Of a listing.
    pub(super) fn into_list(self, store: String, permission: &str) -> ListError {
        match self.class(true, permission).of_read() {
            ReadClass::NoStore => ListError::NoStore { store },
            ReadClass::Refused { reason, next } => ListError::Refused {
                store,
                reason,
                next,
            },
            ReadClass::Transient(cause) => ListError::Transient { store, cause },
        }
    }

    /// Of a load whose head was not told to be missing.
    pub(super) fn into_load(self, head: String, store: String, permission: &str) -> HeadError {
        match self.class(true, permission).of_read() {
            ReadClass::NoStore => HeadError::NoStore { store },
            ReadClass::Refused { reason, next } => HeadError::Refused { head, reason, next },
            ReadClass::Transient(cause) => HeadError::Transient { head, cause },
        }
    }

    /// Of a swap.
    pub(super) fn into_swap(self, head: String, permission: &str) -> SwapError {
        match self.class(false, permission) {
            Class::Precondition => SwapError::Lost { head },
            Class::Retained => SwapError::Refused {
                head,
                reason: "its bucket keeps every object under a retention policy or a hold, so that no head can move"
                    .to_owned(),
                next: "keep the heads in a bucket of their own, without a retention policy".to_owned(),
            },
            Class::Missing => SwapError::Refused {
                head,
                reason: NO_BUCKET.to_owned(),
                next: RUN_INIT.to_owned(),
            },
            Class::Unknown(cause) => SwapError::Unknown { head, cause },
            Class::Transient(cause) => SwapError::Transient { head, cause },
            Class::Refused { reason, next } => SwapError::Refused { head, reason, next },
            Class::Exists | Class::RangePastEnd => {
                let (reason, next) = unexpected("409 or 416");
                SwapError::Refused { head, reason, next }
            }
        }
    }

    /// Of a secret or a key; `read` and `permission` as in [`class`](Self::class).
    pub(super) fn into_secret(self, secret: String, read: bool, permission: &str) -> SecretError {
        match self.class(read, permission) {
            Class::Missing => SecretError::NotFound { secret },
            Class::Exists | Class::Precondition | Class::Retained => SecretError::Exists { secret },
            Class::Unknown(cause) => SecretError::Unknown { secret, cause },
            Class::Transient(cause) => SecretError::Transient { secret, cause },
            Class::Refused { reason, next } => SecretError::Refused {
                secret,
                reason,
                next,
            },
            Class::RangePastEnd => {
                let (reason, next) = unexpected("416");
                SecretError::Refused {
                    secret,
                    reason,
                    next,
                }
            }
        }
    }
}

/// The classes that a read can have beside those its caller handles.
enum ReadClass {
    NoStore,
    Refused { reason: String, next: String },
    Transient(BoxError),
}

impl Class {
    fn of_read(self) -> ReadClass {
        match self {
            Self::Missing => ReadClass::NoStore,
            Self::Refused { reason, next } => ReadClass::Refused { reason, next },
            Self::Transient(cause) | Self::Unknown(cause) => ReadClass::Transient(cause),
            Self::Precondition | Self::Retained | Self::Exists | Self::RangePastEnd => {
                let (reason, next) = unexpected("409, 412 or 416");
                ReadClass::Refused { reason, next }
            }
        }
    }
}

fn unexpected(status: &str) -> (String, String) {
    (
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

impl Answer {
    /// An answer by its status and body.
    pub(super) fn new(status: u16, body: &[u8]) -> Self {
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
    pub(super) fn text(&self) -> String {
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
pub(super) fn chain(error: &dyn StdError) -> String {
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
