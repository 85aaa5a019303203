//! The parties, as one server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::token;
use crate::testing::server::{Answer, Asked, Server};

/// What the sessions of AWS are signed with.
pub(super) const ROLE_KEY_ID: &str = "ASIAROLEROLEROLEROLE";
pub(super) const ROLE_SECRET: &str = "role-secret-key-0123456789abcdefghijABCDEFGHIJ";

pub(super) struct World {
    server: Server,
    /// Where it is reached.
    url: String,
    /// What is answered in place of what is usual, by the step.
    instead: Arc<Mutex<HashMap<&'static str, Answer>>>,
}

impl World {
    pub(super) async fn new() -> Self {
        let instead: Arc<Mutex<HashMap<&'static str, Answer>>> = Arc::default();
        let other = Arc::clone(&instead);
        let server = Server::new(move |asked| {
            let step = step(asked);
            let other = other.lock().unwrap().get(step).cloned();
            other.unwrap_or_else(|| usual(step))
        })
        .await;
        let url = server.url.clone();
        Self {
            server,
            url,
            instead,
        }
    }

    /// One that is reached at `url`, where something else may stand.
    pub(super) async fn elsewhere(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..Self::new().await
        }
    }

    pub(super) async fn with(step: &'static str, answer: Answer) -> Self {
        let world = Self::new().await;
        world.answer(step, answer);
        world
    }

    pub(super) fn answer(&self, step: &'static str, answer: Answer) {
        self.instead.lock().unwrap().insert(step, answer);
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The requests of a step.
    pub(super) fn asked(&self, of: &str) -> Vec<Asked> {
        let mut asked = self.server.asked();
        asked.retain(|asked| step(asked) == of);
        asked
    }

    /// The only one.
    pub(super) fn one(&self, of: &str) -> Asked {
        let asked = self.asked(of);
        assert_eq!(asked.len(), 1, "{of}");
        asked[0].clone()
    }

    /// All requests by their steps, in turn.
    pub(super) fn steps(&self) -> Vec<&'static str> {
        self.server.asked().iter().map(step).collect()
    }
}

fn step(asked: &Asked) -> &'static str {
    let line = &*asked.line;
    let body = String::from_utf8_lossy(&asked.body);
    match line.split_once(' ').unwrap() {
        ("GET", path) if path.starts_with("/computeMetadata/") => "id token",
        ("GET", path) if path.starts_with("/metadata/identity/") => "managed identity",
        ("POST", "/") if body.contains("Action=AssumeRoleWithWebIdentity&") => "role",
        ("POST", "/") if body.contains("Action=GetWebIdentityToken&") => "web identity",
        ("POST", path) if path.ends_with("/oauth2/v2.0/token") => "entra",
        ("POST", "/v1/token") => "exchange",
        ("POST", path) if path.contains(":generateAccessToken") => "act",
        ("GET", path) if path.starts_with("/bkt/") => "s3",
        ("GET", path) if path.starts_with("/storage/") => "gcs",
        _ => panic!("{line}: nobody is asked so"),
    }
}

fn usual(step: &'static str) -> Answer {
    match step {
        "id token" => Answer::new(200, token("id token")).with("metadata-flavor", "Google"),
        "managed identity" => Answer::new(
            200,
            format!(
                r#"{{"access_token":"{}","client_id":"c","expires_in":"86399","expires_on":"{}","ext_expires_in":"86399","not_before":"1","resource":"r","token_type":"Bearer"}}"#,
                token("managed identity"),
                unix_seconds() + 86_399
            ),
        ),
        "web identity" => web_identity(&token("web identity")),
        "role" => session(3600),
        "entra" => entra(3599),
        "exchange" => exchanged(3600),
        "act" => Answer::new(
            200,
            format!(
                r#"{{"accessToken":"{}","expireTime":"2099-01-01T00:00:00Z"}}"#,
                token("act")
            ),
        ),
        "s3" => Answer::new(200, "hello"),
        "gcs" => Answer::new(200, "hello")
            .with("x-goog-generation", "7")
            .with("x-goog-stored-content-length", "5")
            .with(
                "x-goog-hash",
                "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==",
            ),
        _ => unreachable!(),
    }
}

pub(super) fn web_identity(token: &str) -> Answer {
    Answer::new(
        200,
        format!(
            r#"<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetWebIdentityTokenResult><WebIdentityToken>{token}</WebIdentityToken><Expiration>2099-01-01T00:00:00Z</Expiration></GetWebIdentityTokenResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetWebIdentityTokenResponse>"#
        ),
    )
    .with("content-type", "text/xml")
}

/// A session of AWS that lasts so long.
pub(super) fn session(seconds: u64) -> Answer {
    let until = DateTime::from_secs(i64::try_from(unix_seconds() + seconds).unwrap());
    let until = until.fmt(Format::DateTime).unwrap();
    Answer::new(
        200,
        format!(
            r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{ROLE_KEY_ID}</AccessKeyId><SecretAccessKey>{ROLE_SECRET}</SecretAccessKey><SessionToken>{}</SessionToken><Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>"#,
            token("role")
        ),
    )
    .with("content-type", "text/xml")
}

pub(super) fn entra(expires_in: u64) -> Answer {
    Answer::new(
        200,
        format!(
            r#"{{"token_type":"Bearer","expires_in":{expires_in},"ext_expires_in":{expires_in},"access_token":"{}"}}"#,
            token("entra")
        ),
    )
    .with("content-type", "application/json")
}

pub(super) fn exchanged(expires_in: u64) -> Answer {
    Answer::new(
        200,
        format!(
            r#"{{"access_token":"{}","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":{expires_in}}}"#,
            token("exchange")
        ),
    )
}

/// An error of AWS STS.
pub(super) fn sts_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::new(
        status,
        format!(
            r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"#
        ),
    )
    .with("content-type", "text/xml")
}

/// An error of Entra ID.
pub(super) fn entra_error(status: u16, code: u32, message: &str) -> Answer {
    Answer::new(
        status,
        format!(
            r#"{{"error":"invalid_client","error_description":"AADSTS{code}: {message} Trace ID: t Correlation ID: c Timestamp: 2026-11-27 23:00:00Z","error_codes":[{code}],"timestamp":"2026-11-27 23:00:00Z","trace_id":"t","correlation_id":"c","error_uri":"https://login.microsoftonline.com/error?code={code}"}}"#
        ),
    )
    .with("content-type", "application/json")
}

/// An error of Google's token service.
pub(super) fn exchange_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::new(
        status,
        format!(r#"{{"error":"{code}","error_description":"{message}"}}"#),
    )
}

pub(super) fn unix_seconds() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "what expires does so in real time"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now: Duration| now.as_secs())
}
