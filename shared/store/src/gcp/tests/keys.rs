//! Secrets and keys, over servers that keep what they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use ed25519_dalek::{Signature, VerifyingKey};

use super::scripted::{Asked, Reply, Server};
use super::{TOKEN, reqwest_client, signed, signed_with, unique};
use crate::gcp::{Access, Endpoints, KmsKey, SecretManagerSecret};
use crate::secret::{RemoteKey, Secret, SecretError};
use crate::testing::stand_in;

const SECRET: &[u8] = b"the seed that nobody may see";

/// The versions of each secret.
type Secrets = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// Secret Manager, as far as it is used here.
async fn secret_manager() -> (Server, Secrets) {
    let secrets = Secrets::default();
    let kept = Arc::clone(&secrets);
    let server = Server::new(move |asked| answer(&mut kept.lock().expect("no panic"), asked)).await;
    (server, secrets)
}

fn answer(secrets: &mut BTreeMap<String, Vec<String>>, asked: &Asked) -> Reply {
    let base = "/v1/projects/p/secrets";
    let body = String::from_utf8_lossy(&asked.body).into_owned();
    if asked.is("POST", base) {
        let name = asked.line.split("secretId=").nth(1).expect("it has one");
        if secrets.contains_key(name) {
            return Reply::rpc(409, "ALREADY_EXISTS", "Secret already exists.");
        }
        assert!(body.contains("automatic"), "{body}");
        secrets.insert(name.to_owned(), Vec::new());
        return Reply::json(r#"{"name":"x"}"#);
    }
    let rest = asked.line.split(&format!("{base}/")).nth(1).expect("one");
    if let Some(name) = rest.strip_suffix(":addVersion") {
        let versions = secrets.get_mut(name).expect("it was made");
        let start = body.find("payload\":").expect("it has a payload") + 9;
        versions.push(body[start..body.len() - 1].to_owned());
        return Reply::json(format!(
            r#"{{"name":"projects/7/secrets/{name}/versions/{}"}}"#,
            versions.len()
        ));
    }
    let name = rest.strip_suffix("/versions/latest:access").expect(rest);
    match secrets.get(name).and_then(|versions| versions.last()) {
        Some(payload) if payload == "disabled" => {
            Reply::rpc(400, "FAILED_PRECONDITION", "version is in DISABLED state")
        }
        Some(payload) => Reply::json(format!(r#"{{"name":"v","payload":{payload}}}"#)),
        None => Reply::rpc(404, "NOT_FOUND", "Secret not found or has no versions."),
    }
}

fn open(server: &Server, name: &str) -> SecretManagerSecret {
    SecretManagerSecret::open(&signed(server.url()), "p", name)
}

#[tokio::test]
async fn a_secret_is_made_once_and_read_back() {
    let (server, _) = secret_manager().await;
    let secret = open(&server, "seed");
    assert!(secret.read(64).await.expect("it answers").is_none());
    secret.create(SECRET).await.expect("it is new");
    let read = secret.read(64).await.expect("it answers");
    assert_eq!(read.expect("it is there").as_slice(), SECRET);
    let again = secret.create(b"other").await;
    assert!(
        matches!(again, Err(SecretError::Exists { .. })),
        "{again:?}"
    );
    let read = secret.read(64).await.expect("it answers");
    assert_eq!(read.expect("it is there").as_slice(), SECRET);
    let short = secret.read(SECRET.len() - 1).await;
    assert!(
        matches!(short, Err(SecretError::Unsuitable { .. })),
        "{short:?}"
    );
}

#[tokio::test]
async fn a_secret_without_a_content_is_completed() {
    let (server, secrets) = secret_manager().await;
    secrets
        .lock()
        .expect("no panic")
        .insert("seed".to_owned(), Vec::new());
    let secret = open(&server, "seed");
    assert!(secret.read(64).await.expect("it answers").is_none());
    secret.create(SECRET).await.expect("it is completed");
    let read = secret.read(64).await.expect("it answers");
    assert_eq!(read.expect("it is there").as_slice(), SECRET);
}

#[tokio::test]
async fn a_secret_whose_content_is_disabled_exists_and_cannot_be_read() {
    let (server, secrets) = secret_manager().await;
    let versions = vec!["disabled".to_owned()];
    secrets
        .lock()
        .expect("no panic")
        .insert("seed".to_owned(), versions);
    let secret = open(&server, "seed");
    let made = secret.create(SECRET).await;
    assert!(matches!(made, Err(SecretError::Exists { .. })), "{made:?}");
    let read = secret.read(64).await.expect_err("it is disabled");
    assert!(read.to_string().contains("DISABLED"), "{read}");
}

#[tokio::test]
async fn of_two_that_make_a_secret_at_a_time_one_succeeds() {
    let (server, secrets) = secret_manager().await;
    let (one, two) = (open(&server, "seed"), open(&server, "seed"));
    let (first, second) = tokio::join!(one.create(b"one"), two.create(b"two"));
    let results = [first, second];
    let made = results.iter().filter(|made| made.is_ok()).count();
    assert_eq!(made, 1, "{results:?}");
    assert!(
        results
            .iter()
            .any(|made| matches!(made, Err(SecretError::Exists { .. }))),
        "{results:?}"
    );
    assert_eq!(secrets.lock().expect("no panic")["seed"].len(), 1);
}

#[tokio::test]
async fn who_adds_a_second_content_is_told_that_it_is_unknown() {
    let (server, secrets) = secret_manager().await;
    secrets
        .lock()
        .expect("no panic")
        .insert("seed".to_owned(), Vec::new());
    let secret = open(&server, "seed");
    let maker = async {
        // Its maker comes back after it was left alone for long.
        while server.asked().len() < 3 {
            tokio::task::yield_now().await;
        }
        let content = BASE64.encode(b"late");
        let sum = crc32c::crc32c(b"late");
        let payload = format!(r#"{{"data":"{content}","dataCrc32c":"{sum}"}}"#);
        secrets
            .lock()
            .expect("no panic")
            .get_mut("seed")
            .expect("it was made")
            .push(payload);
    };
    let (made, ()) = tokio::join!(secret.create(SECRET), maker);
    let told = matches!(
        made,
        Err(SecretError::Unknown { .. } | SecretError::Exists { .. })
    );
    assert!(told, "{made:?}");
}

#[tokio::test]
async fn a_content_that_changed_on_the_way_is_not_taken() {
    let data = BASE64.encode(SECRET);
    for (payload, unsuitable) in [
        (format!(r#"{{"data":"{data}","dataCrc32c":"1"}}"#), false),
        (format!(r#"{{"data":"{data}"}}"#), true),
        (r#"{"data":"%%%","dataCrc32c":"1"}"#.to_owned(), true),
        (r#"{"data":"%%%%","dataCrc32c":"1"}"#.to_owned(), true),
        (r#""data""#.to_owned(), true),
    ] {
        let body = format!(r#"{{"name":"v","payload":{payload}}}"#);
        let server = Server::new(move |_| Reply::json(body.clone())).await;
        let error = open(&server, "seed")
            .read(64)
            .await
            .expect_err("it is not taken");
        match error {
            SecretError::Unsuitable { .. } => assert!(unsuitable, "{error}"),
            SecretError::Transient { .. } => assert!(!unsuitable, "{error}"),
            _ => panic!("{error}"),
        }
        assert!(!error.to_string().contains(&data), "{error}");
    }
}

#[tokio::test]
async fn a_denied_secret_names_the_permission_and_a_lost_one_is_unknown() {
    let no = Reply::rpc(403, "PERMISSION_DENIED", "Permission denied on resource");
    let server = Server::new(move |_| no.clone()).await;
    let secret = open(&server, "seed");
    let read = secret.read(64).await.expect_err("it is denied").to_string();
    assert!(read.contains("secretmanager.versions.access"), "{read}");
    let made = secret
        .create(SECRET)
        .await
        .expect_err("it is denied")
        .to_string();
    assert!(made.contains("secretmanager.secrets.create"), "{made}");

    let down = Reply::rpc(503, "UNAVAILABLE", "The service is currently unavailable.");
    let server = Server::new(move |_| down.clone()).await;
    let secret = open(&server, "seed");
    let made = secret.create(SECRET).await;
    assert!(matches!(made, Err(SecretError::Unknown { .. })), "{made:?}");
    assert_eq!(server.asked().len(), 1, "making is not repeated");
    let read = secret.read(64).await;
    assert!(
        matches!(read, Err(SecretError::Transient { .. })),
        "{read:?}"
    );
    assert_eq!(server.asked().len(), 4, "reading is");
}

#[tokio::test]
async fn a_secret_made_with_an_answer_that_cannot_be_read_is_unknown() {
    for answer in ["{".to_owned(), "[]".to_owned(), " ".repeat(300 * 1024)] {
        let server = Server::new(move |asked| {
            if asked.line.ends_with(":addVersion") {
                Reply::json(answer.clone())
            } else {
                Reply::json("{}")
            }
        })
        .await;
        let made = open(&server, "seed").create(SECRET).await;
        assert!(matches!(made, Err(SecretError::Unknown { .. })), "{made:?}");
    }
}

#[tokio::test]
async fn without_credentials_no_secret_is_asked_of_google() {
    let access = Access::anonymous(Endpoints::google());
    let read = SecretManagerSecret::open(&access, "p", "seed")
        .read(64)
        .await;
    assert!(matches!(read, Err(SecretError::Refused { .. })), "{read:?}");
}

const VERSION: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";
const PEM: &str = "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----\\n";

/// Cloud KMS, whose answers a test may bend.
async fn kms(bend: impl Fn(String) -> String + Send + 'static) -> Server {
    Server::new(move |asked| {
        let signature = [9; 64];
        let answer = if asked.is("GET", &format!("/v1/{VERSION}/publicKey")) {
            let sum = crc32c::crc32c(PEM.replace("\\n", "\n").as_bytes());
            format!(
                r#"{{"name":"{VERSION}","pem":"{PEM}","algorithm":"EC_SIGN_ED25519","pemCrc32c":"{sum}"}}"#
            )
        } else {
            assert!(asked.is("POST", &format!("/v1/{VERSION}:asymmetricSign")), "{}", asked.line);
            let body = String::from_utf8_lossy(&asked.body);
            let (data, sum) = (BASE64.encode(b"message"), crc32c::crc32c(b"message"));
            assert_eq!(body, format!(r#"{{"data":"{data}","dataCrc32c":"{sum}"}}"#));
            format!(
                r#"{{"name":"{VERSION}","signature":"{}","signatureCrc32c":"{}","verifiedDataCrc32c":true}}"#,
                BASE64.encode(&signature),
                crc32c::crc32c(&signature)
            )
        };
        Reply::json(bend(answer))
    })
    .await
}

#[tokio::test]
async fn a_key_shows_its_public_key_and_signs() {
    let server = kms(|answer| answer).await;
    let key = KmsKey::open(&signed(server.url()), VERSION);
    let public = key.public_key().await.expect("it has one");
    assert_eq!(public[..4], [0x19, 0xbf, 0x44, 0x09]);
    assert_eq!(key.sign(b"message").await.expect("it signs"), [9; 64]);
    assert_eq!(key.describe(), format!("gcpkms:{VERSION}"));
    let long = vec![0; key.max_message_bytes() + 1];
    let refused = key.sign(&long).await;
    assert!(
        matches!(refused, Err(SecretError::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_key_of_another_kind_or_with_garbled_answers_is_not_used() {
    for (from, to) in [
        ("EC_SIGN_ED25519", "EC_SIGN_P256_SHA256"),
        ("MCowBQ", "MCowBR"),
        ("cryptoKeys/k/", "cryptoKeys/other/"),
        (r#""pemCrc32c":""#, r#""pemCrc32c":"1"#),
    ] {
        let server = kms(move |answer| answer.replace(from, to)).await;
        let key = KmsKey::open(&signed(server.url()), VERSION);
        key.public_key().await.expect_err(to);
    }
    for (from, to) in [
        (
            r#""verifiedDataCrc32c":true"#,
            r#""verifiedDataCrc32c":false"#,
        ),
        (r#""signatureCrc32c":""#, r#""signatureCrc32c":"1"#),
        ("CQkJ", "CQkK"),
        ("cryptoKeys/k/", "cryptoKeys/other/"),
    ] {
        let server = kms(move |answer| answer.replacen(from, to, 1)).await;
        let key = KmsKey::open(&signed(server.url()), VERSION);
        key.sign(b"message").await.expect_err(to);
    }
}

#[tokio::test]
async fn a_missing_denied_or_disabled_key_is_told() {
    for (reply, says) in [
        (
            Reply::rpc(404, "NOT_FOUND", "CryptoKeyVersion not found."),
            "does not exist",
        ),
        (
            Reply::rpc(403, "PERMISSION_DENIED", "denied"),
            "cloudkms.cryptoKeyVersions.useToSign",
        ),
        (
            Reply::rpc(
                400,
                "FAILED_PRECONDITION",
                "is not enabled, current state is: DISABLED.",
            ),
            "DISABLED",
        ),
    ] {
        let server = Server::new(move |_| reply.clone()).await;
        let key = KmsKey::open(&signed(server.url()), VERSION);
        let error = key.sign(b"message").await.expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains(TOKEN));
    }
}

#[tokio::test]
async fn a_secret_is_made_and_read_at_the_stand_in() {
    let Some(url) = stand_in("STANDIN_GCP") else {
        return;
    };
    let name = unique("seed");
    let secret = SecretManagerSecret::open(&signed(&url), "test", &name);
    assert!(secret.read(64).await.expect("it answers").is_none());
    secret.create(SECRET).await.expect("it is new");
    let read = secret.read(64).await.expect("it answers");
    assert_eq!(read.expect("it is there").as_slice(), SECRET);
    let again = secret.create(b"other").await;
    assert!(
        matches!(again, Err(SecretError::Exists { .. })),
        "{again:?}"
    );

    let access = signed_with(&url, "without:secretmanager.versions.access");
    let blind = SecretManagerSecret::open(&access, "test", &name);
    let denied = blind.read(64).await.expect_err("it is denied").to_string();
    assert!(denied.contains("secretmanager.versions.access"), "{denied}");
    let access = signed_with(&url, "without:secretmanager.versions.add");
    let name = unique("half");
    let half = SecretManagerSecret::open(&access, "test", &name);
    let denied = half.create(SECRET).await.expect_err("it is denied");
    assert!(
        denied.to_string().contains("secretmanager.versions.add"),
        "{denied}"
    );
    // What was left half done is completed by who may.
    let whole = SecretManagerSecret::open(&signed(&url), "test", &name);
    whole.create(SECRET).await.expect("it is completed");
    assert!(whole.read(64).await.expect("it answers").is_some());
}

#[tokio::test]
async fn a_key_at_the_stand_in_signs_what_its_public_key_verifies() {
    let Some(url) = stand_in("STANDIN_GCP") else {
        return;
    };
    let (ring, location) = (unique("ring"), "projects/test/locations/global");
    let key = r#"{"purpose":"ASYMMETRIC_SIGN","versionTemplate":{"algorithm":"EC_SIGN_ED25519"}}"#;
    for (path, body) in [
        (format!("{location}/keyRings?keyRingId={ring}"), "{}"),
        (
            format!("{location}/keyRings/{ring}/cryptoKeys?cryptoKeyId=k"),
            key,
        ),
    ] {
        let made = reqwest_client().post(format!("{url}/v1/{path}"));
        let made = made.bearer_auth(TOKEN).body(body).send().await;
        assert_eq!(made.expect("it answers").status(), 200, "{path}");
    }
    let version = format!("{location}/keyRings/{ring}/cryptoKeys/k/cryptoKeyVersions/1");
    let key = KmsKey::open(&signed(&url), &version);
    let public = key.public_key().await.expect("it has one");
    let public = VerifyingKey::from_bytes(&public).expect("it is a key");
    for message in [&b"message"[..], &vec![7; key.max_message_bytes()]] {
        let signature = key.sign(message).await.expect("it signs");
        let signature = Signature::from_bytes(&signature);
        public
            .verify_strict(message, &signature)
            .expect("it verifies");
    }
    let access = signed_with(&url, "without:cloudkms.cryptoKeyVersions.useToSign");
    let blind = KmsKey::open(&access, &version);
    let denied = blind
        .sign(b"m")
        .await
        .expect_err("it is denied")
        .to_string();
    assert!(
        denied.contains("cloudkms.cryptoKeyVersions.useToSign"),
        "{denied}"
    );
    let missing = KmsKey::open(&signed(&url), &version.replace("/1", "/2"));
    let missing = missing.public_key().await;
    assert!(
        matches!(missing, Err(SecretError::NotFound { .. })),
        "{missing:?}"
    );
}
