//! What is held to in every request, whatever the settings say.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

use crate::requests;

/// No answer that is read at once is longer, in bytes. The largest that AWS
/// gives is a page of 1,000 versions with keys of 1,024 bytes, each percent-encoded.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Sends no request in the clear beyond this host, and reads no endless answer.
/// Counts what is sent, each attempt.
#[derive(Debug)]
pub(super) struct Guard;

#[dyn_dispatch_hint]
impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "countersign guard"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if is_https_or_loopback(context.request().uri()) {
            requests::request();
            return Ok(());
        }
        Err("the endpoint is not https: plain http is for this host alone".into())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let operation = config.load::<Metadata>().map(Metadata::name);
        // An object is streamed, and its reader has a limit of its own.
        if operation != Some("GetObject") || !response.status().is_success() {
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            let limited = Limited::new(body, MAX_ANSWER_BYTES);
            *response.body_mut() = SdkBody::from_body_1_x(limited);
        }
        Ok(())
    }
}

/// Whether nobody on the way can read or change what is sent to `url`.
pub(super) fn is_https_or_loopback(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    if scheme.eq_ignore_ascii_case("https") {
        return true;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    scheme.eq_ignore_ascii_case("http")
        && !authority.contains('@')
        && matches!(host, "127.0.0.1" | "localhost" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_host_alone() {
        for url in [
            "https://s3.eu-west-1.amazonaws.com/b",
            "HTTPS://host",
            "http://127.0.0.1:19000/b?x=http://host",
            "http://localhost",
            "http://[::1]:9000",
        ] {
            assert!(is_https_or_loopback(url), "{url}");
        }
        for url in [
            "http://s3.amazonaws.com",
            "http://127.0.0.1.example.org",
            "http://127.0.0.1@example.org/",
            "http://localhost:80@example.org/",
            "http://example.org\\@localhost/",
            "http://0.0.0.0",
            "http://[::2]",
            "ftp://localhost",
            "localhost:9000",
            "",
        ] {
            assert!(!is_https_or_loopback(url), "{url}");
        }
    }
}
