//! TLS of this process's HTTP clients that are not an SDK's own.
//!
//! One configuration serves them all, and the machine's root certificates are read
//! at the first handshake: a function that starts cold would spend most of its
//! start on them, once for each client that it opens.

use std::sync::{Arc, LazyLock, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

#[cfg(test)]
#[cfg(all(feature = "aws", target_os = "linux"))]
mod tests;

/// The configuration: TLS 1.2 or 1.3 with ring, servers verified as the platform
/// says, HTTP/1.1. Clones share the certificates and the sessions.
pub(crate) fn config() -> ClientConfig {
    static CONFIG: LazyLock<ClientConfig> = LazyLock::new(|| {
        use_ring();
        let provider = Arc::new(ring::default_provider());
        let verifier = AtFirstUse {
            provider: Arc::clone(&provider),
            platform: OnceLock::new(),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring offers what the default versions ask for")
            // All verification is the platform verifier's: see below.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    });
    CONFIG.clone()
}

/// Where the SDKs' own clients find their cryptography. Who has set it before is
/// left in place.
pub(crate) fn use_ring() {
    let _ = ring::default_provider().install_default();
}

/// The platform's verifier, made when it is first asked.
#[derive(Debug)]
struct AtFirstUse {
    provider: Arc<CryptoProvider>,
    platform: OnceLock<Result<Verifier, Error>>,
}

impl AtFirstUse {
    fn platform(&self) -> Result<&Verifier, Error> {
        self.platform
            .get_or_init(|| Verifier::new(Arc::clone(&self.provider)))
            .as_ref()
            .map_err(Error::clone)
    }
}

impl ServerCertVerifier for AtFirstUse {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.platform()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform()?.verify_tls13_signature(message, cert, dss)
    }

    /// Asked for before a handshake: the certificates do not change it.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
