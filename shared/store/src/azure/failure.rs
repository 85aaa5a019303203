//! What Azure answers, classed by what the caller should do.

use azure_core::error::{Error, ErrorKind};
use azure_core::http::StatusCode;

use super::wire::Call;
use crate::error::{BoxError, GetError, HeadError, ListError, PutError, SwapError};
#[cfg(any(feature = "aws", feature = "gcp"))]
use crate::federation::FederationError;
use crate::key::INVALID_KEY;
use crate::secret::SecretError;

const RUN_INIT: &str =
    "correct the setting, or create the container (Terraform does) and then run init";

/// Why a call did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The container or vault is there, what was asked for is not.
    Missing,
    /// The container is not there.
    NoStore,
    /// Something stands there already.
    Exists,
    /// What stands there is not at the version that was expected.
    Moved,
    /// A person must act.
    Refused { reason: String, next: String },
    /// Certainly not done, and may go away by itself.
    Transient(BoxError),
    /// Handed over, and no answer.
    Unknown(BoxError),
}

/// What was asked for, so that a refusal names the right role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    ReadBlobs,
    WriteBlobs,
    ReadSecrets,
    WriteSecrets,
}

impl Ask {
    fn role(self) -> &'static str {
        match self {
            Self::ReadBlobs => "Storage Blob Data Reader",
            Self::WriteBlobs => "Storage Blob Data Contributor",
            Self::ReadSecrets => "Key Vault Secrets User",
            Self::WriteSecrets => "Key Vault Secrets Officer",
        }
    }

    fn of_blobs(self) -> bool {
        matches!(self, Self::ReadBlobs | Self::WriteBlobs)
    }
}

impl Failure {
    pub(super) fn invalid_key() -> Self {
        let (reason, next) = INVALID_KEY;
        Self::refused(reason, next)
    }

    pub(super) fn refused(reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
            next: next.into(),
        }
    }

    /// What `error` means, of which `call` knows how far it got.
    pub(super) fn of(error: &Error, call: &Call, ask: Ask) -> Self {
        if let ErrorKind::HttpResponse {
            status,
            raw_response,
            ..
        } = error.kind()
        {
            let header = |name| {
                raw_response
                    .as_ref()?
                    .headers()
                    .get_optional_string(&azure_core::http::headers::HeaderName::from_static(name))
            };
            let body = || code_in_body(raw_response.as_ref()?.body());
            let code = header("x-ms-error-code").or_else(body);
            let answer = Answer {
                status: *status,
                code: code.map(|code| plain(&code)).unwrap_or_default(),
                request_id: header("x-ms-request-id")
                    .map(|id| plain(&id))
                    .unwrap_or_default(),
            };
            return answer.class(ask);
        }
        if matches!(error.kind(), ErrorKind::Credential) {
            return without_token(error);
        }
        match call.failure() {
            Some(cause) if call.handed_over() => Self::Unknown(cause.into()),
            Some(cause) => Self::Transient(cause.into()),
            None if !call.begun() => Self::refused(
                one_line(&error.to_string()),
                "check the names of the account, the container or the vault",
            ),
            None => Self::Unknown(format!("its answer could not be read: {error}").into()),
        }
    }

    /// The reason, what to do, and whether it may go away by itself, of a token
    /// that could not be had.
    #[cfg(any(feature = "aws", feature = "gcp"))]
    pub(crate) fn into_parts(self) -> (String, String, bool) {
        match self {
            Self::Refused { reason, next } => (reason, next, false),
            Self::Transient(cause) | Self::Unknown(cause) => {
                (cause.to_string(), "it may be tried again".to_owned(), true)
            }
            Self::Missing | Self::NoStore | Self::Exists | Self::Moved => (
                "there is no token".to_owned(),
                "check the identity".to_owned(),
                false,
            ),
        }
    }

    pub(super) fn into_put(self, object: String) -> PutError {
        match self {
            Self::Exists | Self::Moved => PutError::Exists { object },
            Self::NoStore => PutError::Refused {
                object,
                reason: "its container does not exist".to_owned(),
                next: RUN_INIT.to_owned(),
            },
            Self::Missing => PutError::Refused {
                object,
                reason: "Azure knows no such address".to_owned(),
                next: "check the names of the account and the container".to_owned(),
            },
            Self::Refused { reason, next } => PutError::Refused {
                object,
                reason,
                next,
            },
            Self::Transient(cause) => PutError::Transient { object, cause },
            Self::Unknown(cause) => PutError::Unknown { object, cause },
        }
    }

    pub(super) fn into_get(self, object: String, store: String) -> GetError {
        match self {
            Self::Missing => GetError::NotFound { object },
            Self::NoStore => GetError::NoStore { store },
            Self::Refused { reason, next } => GetError::Refused {
                object,
                reason,
                next,
            },
            Self::Transient(cause) | Self::Unknown(cause) => GetError::Transient { object, cause },
            Self::Exists | Self::Moved => GetError::Transient {
                object,
                cause: "it was replaced while it was read".into(),
            },
        }
    }

    pub(super) fn into_list(self, store: String) -> ListError {
        match self {
            Self::NoStore => ListError::NoStore { store },
            Self::Refused { reason, next } => ListError::Refused {
                store,
                reason,
                next,
            },
            Self::Transient(cause) | Self::Unknown(cause) => ListError::Transient { store, cause },
            Self::Missing | Self::Exists | Self::Moved => ListError::Refused {
                store,
                reason: "Azure knows no such address".to_owned(),
                next: "check the names of the account and the container".to_owned(),
            },
        }
    }

    /// `None`: there is no such head.
    pub(super) fn into_load(self, head: String, store: String) -> Option<HeadError> {
        Some(match self {
            Self::Missing => return None,
            Self::NoStore => HeadError::NoStore { store },
            Self::Refused { reason, next } => HeadError::Refused { head, reason, next },
            Self::Transient(cause) | Self::Unknown(cause) => HeadError::Transient { head, cause },
            Self::Exists | Self::Moved => HeadError::Transient {
                head,
                cause: "it was moved while it was read".into(),
            },
        })
    }

    pub(super) fn into_swap(self, head: String) -> SwapError {
        match self {
            Self::Exists | Self::Moved | Self::Missing => SwapError::Lost { head },
            Self::NoStore => SwapError::Refused {
                head,
                reason: "its container does not exist".to_owned(),
                next: RUN_INIT.to_owned(),
            },
            Self::Refused { reason, next } => SwapError::Refused { head, reason, next },
            Self::Transient(cause) => SwapError::Transient { head, cause },
            Self::Unknown(cause) => SwapError::Unknown { head, cause },
        }
    }

    pub(super) fn into_secret(self, secret: String) -> SecretError {
        match self {
            Self::Exists | Self::Moved => SecretError::Exists { secret },
            Self::Missing | Self::NoStore => SecretError::NotFound { secret },
            Self::Refused { reason, next } => SecretError::Refused {
                secret,
                reason,
                next,
            },
            Self::Transient(cause) => SecretError::Transient { secret, cause },
            Self::Unknown(cause) => SecretError::Unknown { secret, cause },
        }
    }
}

/// An answer that is not the one hoped for.
struct Answer {
    status: StatusCode,
    code: String,
    request_id: String,
}

impl Answer {
    fn class(self, ask: Ask) -> Failure {
        use StatusCode as S;
        let code = self.code.as_str();
        match (self.status, code) {
            (_, "ContainerNotFound" | "ContainerBeingDeleted") => Failure::NoStore,
            // 403 where the identity may create blobs but not overwrite them.
            (
                _,
                "BlobAlreadyExists"
                | "BlobImmutableDueToPolicy"
                | "BlobImmutableDueToLegalHold"
                | "UnauthorizedBlobOverwrite",
            ) => Failure::Exists,
            (S::PreconditionFailed, "ConditionNotMet" | "TargetConditionNotMet" | "") => {
                Failure::Moved
            }
            // Any other 404 may come from a host that keeps no blobs at all.
            (S::NotFound, "BlobNotFound" | "SecretNotFound") => Failure::Missing,
            // Azurite says the second for a body that does not match.
            (S::BadRequest, "Md5Mismatch" | "InvalidOperation") if ask == Ask::WriteBlobs => {
                Failure::Transient(format!("what arrived does not match its checksum{self}").into())
            }
            (S::Conflict, "ObjectIsDeletedButRecoverable" | "ObjectIsBeingDeleted") => {
                Failure::refused(
                    format!("a deleted secret still has its name{self}"),
                    "az keyvault secret recover brings it back; to have a new one, wait until the vault has purged it, or use another name",
                )
            }
            (S::TooManyRequests, _) => {
                Failure::Transient(format!("too many requests{self}").into())
            }
            (S::Unauthorized | S::Forbidden, _) => self.not_permitted(ask),
            (S::Conflict | S::PreconditionFailed, code) if code.starts_with("Lease") => {
                Failure::refused(
                    format!("somebody holds a lease{self}"),
                    "find out who, and break it: az storage blob lease break",
                )
            }
            (status, _) if status.is_server_error() || status == S::RequestTimeout => {
                Failure::Unknown(format!("the service failed{self}").into())
            }
            (status, _) if status.is_client_error() => Failure::refused(
                format!("it was not taken{self}"),
                "look the code up in Azure's documentation; the request id finds the call in the account's logs",
            ),
            _ => Failure::Unknown(format!("the answer is none of this service{self}").into()),
        }
    }

    fn not_permitted(self, ask: Ask) -> Failure {
        let role = ask.role();
        let (reason, next) = match self.code.as_str() {
            "AuthorizationPermissionMismatch" | "Forbidden" | "ForbiddenByRbac" => (
                "this identity may not do it",
                match ask.of_blobs() {
                    true => format!(
                        "give it the role {role} on the container (az role assignment create), and wait some minutes; a signature needs the permissions r, l, c and w"
                    ),
                    false => format!(
                        "give it the role {role} on the vault (az role assignment create), and wait some minutes"
                    ),
                },
            ),
            "AuthorizationFailure" | "ForbiddenByFirewall" | "ForbiddenByConnection" => (
                "it was refused before any role was looked at",
                "check the account's network rules (az storage account network-rule list) and, with a signature, its account, resource types and services"
                    .to_owned(),
            ),
            "KeyBasedAuthenticationNotPermitted" => (
                "the account takes no shared keys or signatures made with them, as it should",
                "use an identity: unset AZURE_STORAGE_SAS_TOKEN".to_owned(),
            ),
            "AuthenticationFailed" | "InvalidAuthenticationInfo" => (
                "the token or the signature was not accepted",
                "check this machine's clock (15 minutes off are too much), the tenant of the identity, and whether the signature has expired"
                    .to_owned(),
            ),
            "NoAuthenticationInformation" | "PublicAccessNotPermitted" => (
                "no identity was sent",
                "log in (az login), or give the function a managed identity".to_owned(),
            ),
            "AccountIsDisabled" => (
                "the account is disabled",
                "look at the state of the subscription and the account in the portal".to_owned(),
            ),
            _ => (
                "it is not permitted",
                format!("check that the identity has the role {role}, and the account's network rules"),
            ),
        };
        Failure::refused(format!("{reason}{self}"), next)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, " ({}", u16::from(self.status))?;
        for part in [&self.code, &self.request_id] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        f.write_str(")")
    }
}

/// The code in the body of a vault's answer; the inner one says more.
fn code_in_body(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error")?;
    let inner = error.get("innererror").and_then(|inner| inner.get("code"));
    inner.or(error.get("code"))?.as_str().map(str::to_owned)
}

/// Why there is no token.
pub(crate) fn without_token(error: &Error) -> Failure {
    #[cfg(any(feature = "aws", feature = "gcp"))]
    if let Some(known) = FederationError::find(error) {
        return match known.transient {
            true => Failure::Transient(known.to_string().into()),
            false => Failure::refused(known.reason(), &*known.next),
        };
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        let passing = match inner.downcast_ref::<Error>().map(Error::kind) {
            Some(ErrorKind::Io | ErrorKind::Connection) => true,
            Some(ErrorKind::HttpResponse { status, .. }) => {
                status.is_server_error() || *status == StatusCode::TooManyRequests
            }
            _ => false,
        };
        if passing {
            return Failure::Transient(
                format!("no token: {}", one_line(&error.to_string())).into(),
            );
        }
        cause = inner.source();
    }
    Failure::refused(
        format!("there is no token: {}", one_line(&error.to_string())),
        "log in (az login), or give the function or machine a managed identity (AZURE_CLIENT_ID chooses one of several)",
    )
}

/// What a service sent, kept to what a code or an id has.
fn plain(text: &str) -> String {
    let good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars().filter(good).take(64).collect()
}

/// An error of the SDK on one line of bounded length.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(400).collect()
}
