//! What Azure answers, classed by what the caller should do.

use azure_core::error::{Error, ErrorKind};
use azure_core::http::StatusCode;

use super::wire::Call;
use crate::failure::{Failure, NoStore};
#[cfg(any(feature = "aws", feature = "gcp"))]
use crate::federation::FederationError;

const NO_CONTAINER: Failure = Failure::NoStore(NoStore {
    reason: "its container does not exist",
    next: "correct the setting, or create the container (Terraform does) and then run init",
});

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

/// What `error` means, of which `call` knows how far it got.
pub(super) fn of(error: &Error, call: &Call, ask: Ask) -> Failure {
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
        Some(cause) if call.handed_over() => Failure::Unknown(cause.into()),
        Some(cause) => Failure::Transient(cause.into()),
        None if !call.begun() => Failure::refused(
            one_line(&error.to_string()),
            "check the names of the account, the container or the vault",
        ),
        None => Failure::Unknown(format!("its answer could not be read: {error}").into()),
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
            (_, "ContainerNotFound" | "ContainerBeingDeleted") => NO_CONTAINER,
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
        return Failure::of_federation(known);
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
