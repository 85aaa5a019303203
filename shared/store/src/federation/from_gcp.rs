//! What an identity in Google Cloud can show to other clouds.

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url};
use zeroize::Zeroizing;

use super::exchange::{IdentityToken, MAX_TOKEN_BYTES, Trouble, told};
use crate::gcp;

/// Where another metadata server than the usual one is, as for Google's own
/// libraries.
const HOST_VARIABLE: &str = "GCE_METADATA_HOST";

const HOST: &str = "metadata.google.internal";

/// The hosts that plain http goes to: the machine's own metadata server.
const LINK_LOCAL: [&str; 3] = [HOST, "169.254.169.254", "[fd20:ce::254]"];

const FLAVOR: &str = "metadata-flavor";

/// The ID token of the service account that a function or machine has, by its
/// metadata server.
#[derive(Debug)]
pub(super) struct MetadataIdentity {
    http: Client,
    url: Url,
}

impl MetadataIdentity {
    /// ID tokens for `audience`.
    ///
    /// # Errors
    /// When the environment names a metadata server that is none.
    pub(super) fn new(audience: &str) -> Result<Self, gcp::AccessError> {
        let host = std::env::var(HOST_VARIABLE).ok();
        let host = host.filter(|host| !host.is_empty());
        Self::at(host.as_deref().unwrap_or(HOST), audience)
    }

    /// The same of the metadata server at `host`.
    pub(super) fn at(host: &str, audience: &str) -> Result<Self, gcp::AccessError> {
        let refused = || {
            gcp::AccessError::new(format!(
                "{HOST_VARIABLE} names no metadata server: it is {HOST}, unless a local server stands in for it (127.0.0.1:PORT)"
            ))
        };
        let text =
            format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/identity");
        let mut url = Url::parse(&text).map_err(|_| refused())?;
        let name = url.host_str().unwrap_or_default();
        let is_near =
            LINK_LOCAL.contains(&name) || matches!(name, "127.0.0.1" | "localhost" | "[::1]");
        if !is_near || !url.username().is_empty() || host.contains(['/', '?', '#']) {
            return Err(refused());
        }
        url.query_pairs_mut()
            .append_pair("audience", audience)
            .append_pair("format", "full");
        Ok(Self {
            http: gcp::metadata_client()?,
            url,
        })
    }

    async fn ask(&self) -> reqwest::Result<(StatusCode, bool, Zeroizing<Vec<u8>>)> {
        let request = self.http.get(self.url.clone()).header(FLAVOR, "Google");
        let mut response = request.send().await?;
        let status = response.status();
        let is_metadata = response
            .headers()
            .get(FLAVOR)
            .is_some_and(|flavor| flavor == "Google");
        // Of the size allowed, so that a token is not copied while it grows.
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_TOKEN_BYTES));
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_TOKEN_BYTES {
                body.clear();
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, is_metadata, body))
    }
}

#[async_trait]
impl IdentityToken for MetadataIdentity {
    async fn identity_token(&self) -> Result<Zeroizing<String>, Trouble> {
        let host = self.url.host_str().unwrap_or_default();
        let (status, is_metadata, body) = self.ask().await.map_err(|error| {
            Trouble::transient(
                format!(
                    "the metadata server {host} did not answer ({})",
                    told(&gcp::chain(&error.without_url()))
                ),
                "check that this runs in Google Cloud, with a service account",
            )
        })?;
        let said = std::str::from_utf8(&body).unwrap_or_default().trim();
        if !status.is_success() {
            let reason = format!("the metadata server answered {status} ({})", told(said));
            let next = "check that the function or machine has a service account";
            return Err(match status.is_server_error() || status == 429 {
                true => Trouble::transient(reason, next),
                false => Trouble::refused(reason, next),
            });
        }
        // Three parts in base64url: nothing else is passed on.
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let is_token = said.split('.').count() == 3 && said.split('.').all(is_part);
        if !is_metadata || !is_token {
            return Err(Trouble::refused(
                format!("what {host} answered is no ID token of a metadata server"),
                "check that this runs in Google Cloud, and the network's name servers",
            ));
        }
        Ok(Zeroizing::new(said.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_the_machine_s_own_metadata_server_alone() {
        for good in [
            "metadata.google.internal",
            "169.254.169.254",
            "127.0.0.1:1",
            "[fd20:ce::254]",
        ] {
            MetadataIdentity::at(good, "a").expect(good);
        }
        for bad in [
            "metadata.example.org",
            "10.0.0.1",
            "127.0.0.1@evil.example",
            "evil.example/127.0.0.1",
            "127.0.0.1/x",
            "evil.example#127.0.0.1",
            "",
        ] {
            let error = MetadataIdentity::at(bad, "a").expect_err(bad).to_string();
            assert!(error.contains(HOST_VARIABLE), "{error}");
        }
    }
}
