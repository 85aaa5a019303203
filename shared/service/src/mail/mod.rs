//! The report by mail.
//!
//! A mail is complete by its text alone; beside it stands HTML of tables and
//! inline style, which loads nothing, and the whole report is attached as a page
//! and as JSON.

mod body;
mod letter;

use std::time::Duration;

use countersign_store::KeyAddress;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use zeroize::Zeroizing;

use crate::config::{MailSettings, MailTls};
use crate::keys::read_secret_file;
use crate::stores::{AccessError, Key, Stores};

pub use letter::Letter;
pub(crate) use letter::changes;

/// A password has at most so many bytes.
const MAX_PASSWORD_BYTES: usize = 1024;

/// The longest wait for a step of the server: connection, greeting, an answer.
const STEP: Duration = Duration::from_secs(10);

/// The longest wait for a whole mail. Its size is bounded, so that a healthy
/// server takes seconds.
const WHOLE: Duration = Duration::from_secs(60);

/// Why a mail was not handed over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// The password cannot be had.
    #[error("the password of the mail server, {address}: {problem}")]
    Password {
        /// Where it should be.
        address: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The mail cannot be composed.
    #[error("the mail cannot be composed: {0}; correct [mail] in the settings")]
    Compose(String),
    /// The server refuses it, and would again.
    #[error("{server} refuses the mail: {reason}; {next}")]
    Refused {
        /// The server.
        server: String,
        /// What it said.
        reason: String,
        /// What to do.
        next: &'static str,
    },
    /// It is not known to be handed over. The next run mails again.
    #[error(
        "the mail was not handed over to {server}, or that is not known: {reason}; check [mail] and the network"
    )]
    Lost {
        /// The server.
        server: String,
        /// What was seen.
        reason: String,
    },
}

/// Hands a letter over to the mail server.
///
/// It is sent once: a mail that came twice is better than none, but what to
/// repeat is for the schedule to say.
///
/// # Errors
/// When it was not handed over, or that is not known.
pub async fn send(
    settings: &MailSettings,
    stores: &Stores,
    letter: &Letter,
) -> Result<(), MailError> {
    let server = format!("{}:{}", settings.server, settings.port);
    let message = letter.compose(settings)?;
    let transport = transport(settings, stores).await?;
    let sent = tokio::time::timeout(WHOLE, transport.send(message)).await;
    let error = match sent {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => {
            return Err(MailError::Lost {
                server,
                reason: format!("no answer within {} s", WHOLE.as_secs()),
            });
        }
    };
    let reason = chain(&error);
    let next = if error.is_tls() {
        "check the server's certificate, and `mail.tls`: nothing was sent in the clear"
    } else if error.is_client() {
        "check `mail.tls` and `mail.user` against what the server offers"
    } else if error.is_permanent() {
        "check the addresses, the user and the password"
    } else {
        return Err(MailError::Lost { server, reason });
    };
    Err(MailError::Refused {
        server,
        reason,
        next,
    })
}

async fn transport(
    settings: &MailSettings,
    stores: &Stores,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    // The library finds its cryptography here; who has set it before is left in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = |protect: fn(TlsParameters) -> Tls| {
        TlsParameters::new(settings.server.clone())
            .map(protect)
            .map_err(|error| MailError::Compose(chain(&error)))
    };
    let tls = match settings.tls {
        MailTls::StartTls => tls(Tls::Required)?,
        MailTls::Implicit => tls(Tls::Wrapper)?,
        MailTls::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.server)
        .port(settings.port)
        .timeout(Some(STEP))
        .tls(tls);
    if let (Some(user), Some(address)) = (&settings.user, &settings.password) {
        let password = password(address, stores).await?;
        // The library keeps its own copy, which lives as long as this transport.
        builder = builder.credentials(Credentials::new(user.clone(), password.to_string()));
    }
    Ok(builder.build())
}

async fn password(address: &KeyAddress, stores: &Stores) -> Result<Zeroizing<String>, MailError> {
    let failed = |problem: String| MailError::Password {
        address: address.to_string(),
        problem,
    };
    let opened = stores.key(address).await;
    let content = match (
        address,
        opened.map_err(|error: AccessError| failed(error.to_string()))?,
    ) {
        (KeyAddress::File(path), None) => {
            read_secret_file(path, MAX_PASSWORD_BYTES).map_err(|error| failed(error.to_string()))?
        }
        (_, Some(Key::Secret(secret))) => secret
            .read(MAX_PASSWORD_BYTES)
            .await
            .map_err(|error| failed(error.to_string()))?
            .ok_or_else(|| failed("there is no such secret: make it".to_owned()))?,
        _ => return Err(failed("it gives no secret".to_owned())),
    };
    let text = std::str::from_utf8(&content)
        .map_err(|_| failed("it is no text".to_owned()))?
        .trim_end_matches(['\r', '\n']);
    Ok(Zeroizing::new(text.to_owned()))
}

fn mailbox(address: &str) -> Result<Mailbox, MailError> {
    address
        .parse()
        .map_err(|error| MailError::Compose(format!("{address}: {error}")))
}

/// An error with all that caused it, each said once, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    crate::printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}
