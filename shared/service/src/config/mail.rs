//! `[mail]`: to whom reports go, and through which server.

use std::path::Path;

use countersign_store::KeyAddress;
use serde::Deserialize;

use super::{ConfigError, invalid, key};

/// How reports are mailed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// The server's name, which its certificate must carry.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// Who sends, for servers that ask.
    pub user: Option<String>,
    /// Where the password is; a secret, never the password itself.
    pub password: Option<KeyAddress>,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
    /// Which reports are mailed.
    pub when: MailWhen,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Opened in the clear and protected before anything is said; nothing is sent
    /// where the server does not offer it.
    StartTls,
    /// Protected from the first byte.
    Implicit,
    /// Not at all: to this machine alone.
    None,
}

/// Which scheduled reports are mailed. One that failed or is incomplete always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailWhen {
    /// All.
    Always,
    /// Those alone.
    Failure,
    /// Those, and of the good ones one every seven days.
    Weekly,
}

/// The table as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileMail {
    server: String,
    tls: Option<String>,
    user: Option<String>,
    password: Option<String>,
    from: String,
    to: Vec<String>,
    when: Option<String>,
}

impl FileMail {
    pub(super) fn check(&self, folder: &Path) -> Result<MailSettings, ConfigError> {
        let tls = match self.tls.as_deref() {
            None | Some("starttls") => MailTls::StartTls,
            Some("implicit") => MailTls::Implicit,
            Some("none") => MailTls::None,
            Some(_) => {
                return Err(invalid(
                    "mail.tls",
                    "must be `starttls`, `implicit` or, for a server on this machine, `none`",
                ));
            }
        };
        let (server, port) = match self.server.rsplit_once(':') {
            Some((server, port)) => (server, port.parse().ok().filter(|port| *port > 0)),
            None if tls == MailTls::Implicit => (&*self.server, Some(465)),
            None => (&*self.server, Some(587)),
        };
        let host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let (Some(port), true) = (port, !server.is_empty() && server.bytes().all(host_byte)) else {
            return Err(invalid(
                "mail.server",
                "must be HOST or HOST:PORT, such as smtp.example.org:587",
            ));
        };
        if tls == MailTls::None && !matches!(server, "127.0.0.1" | "localhost") {
            return Err(invalid(
                "mail.tls",
                "is `none`, which everybody on the way could read: use `starttls` or `implicit`",
            ));
        }
        let when = match self.when.as_deref() {
            None | Some("always") => MailWhen::Always,
            Some("failure") => MailWhen::Failure,
            Some("weekly") => MailWhen::Weekly,
            Some(_) => {
                return Err(invalid(
                    "mail.when",
                    "must be `always`, `failure` or `weekly`",
                ));
            }
        };
        if self.user.is_some() != self.password.is_some() {
            return Err(invalid(
                "mail.user",
                "and `mail.password` are given together or not at all",
            ));
        }
        let password = self.password.as_deref();
        let password = password.map(|text| key(text, folder, "mail.password"));
        let password = password.transpose()?;
        if let Some(KeyAddress::AwsKms(_) | KeyAddress::GcpKms(_)) = password {
            return Err(invalid(
                "mail.password",
                "is in a key service, which gives no secret: use file:, awssecret:, keyvault: or gcpsecret:",
            ));
        }
        if self.to.is_empty() {
            return Err(invalid("mail.to", "names nobody"));
        }
        for (setting, address) in self
            .to
            .iter()
            .map(|to| ("mail.to", to))
            .chain([("mail.from", &self.from)])
        {
            let parts = address.split_once('@');
            let good = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
            if !good || !address.bytes().all(|byte| byte.is_ascii_graphic()) {
                let problem = format!("`{address}` is no address such as name@example.org");
                return Err(invalid(setting, problem));
            }
        }
        Ok(MailSettings {
            server: server.to_owned(),
            port,
            tls,
            user: self.user.clone(),
            password,
            from: self.from.clone(),
            to: self.to.clone(),
            when,
        })
    }
}
