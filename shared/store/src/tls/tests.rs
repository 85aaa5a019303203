//! Who is trusted, in processes that have their own root certificates.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use aws_credential_types::Credentials;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::config;
use crate::aws::{Access, DynamoHeadStore};
use crate::testing::process::passes_alone;
use crate::{HeadError, HeadStore};

/// The server that the process of its own asks, and what it should see.
const SERVER: &str = "COUNTERSIGN_TEST_TLS";
const TRUSTED: &str = "COUNTERSIGN_TEST_TLS_TRUSTED";

/// A server for `localhost` and the certificate of the authority behind it.
async fn server() -> (String, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(super::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust it goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut asked = [0; 4096];
                if stream.read(&mut asked).await.is_ok_and(|bytes| bytes > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    let _ = stream.write_all(answer).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    (url, authority_pem)
}

/// Runs [`in_a_process_of_its_own`] with these root certificates alone.
async fn run(url: &str, roots: &Path, trusted: bool) {
    let set_up = |child: &mut Command| {
        child.env(SERVER, url).env("SSL_CERT_FILE", roots);
        if trusted {
            child.env(TRUSTED, "1");
        }
    };
    passes_alone("tls::tests::in_a_process_of_its_own", set_up).await;
}

#[tokio::test]
async fn in_a_process_of_its_own() {
    let Ok(url) = std::env::var(SERVER) else {
        return;
    };
    let trusted = std::env::var_os(TRUSTED).is_some();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(config())
        .no_proxy()
        .build()
        .unwrap();
    let asked = client.get(&url).send().await;
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let access = Access::new(credentials, Some("us-east-1"), Some(&url)).unwrap();
    let heads = DynamoHeadStore::open(&access, "t", None).unwrap();
    let loaded = heads.load("h").await;
    if trusted {
        assert_eq!(asked.unwrap().status(), 200);
        assert_eq!(loaded.unwrap(), None);
        // By its certificate it is localhost, and nothing else.
        let other = url.replace("localhost", "127.0.0.1");
        let error = client.get(&other).send().await.unwrap_err();
        assert!(
            format!("{error:?}").contains("NotValidForName"),
            "{error:?}"
        );
    } else {
        let error = asked.unwrap_err();
        assert!(
            format!("{error:?}").contains("InvalidCertificate"),
            "{error:?}"
        );
        assert!(
            matches!(&loaded, Err(HeadError::Transient { .. })),
            "{loaded:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_trusted_by_the_machines_authorities_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (url, authority) = server().await;
    let (_, another) = server().await;
    for (name, pem, trusted) in [
        ("its.pem", authority, true),
        ("another.pem", another, false),
    ] {
        let roots = folder.path().join(name);
        std::fs::write(&roots, pem).unwrap();
        run(&url, &roots, trusted).await;
    }
}
