//! Seeds in Secrets Manager and keys in KMS.

use super::canned::{Answer, Canned};
use super::{access, fresh_name};
use crate::aws::{KmsKey, SecretsManagerSecret, region_of_arn};
use crate::testing::stand_in;
use crate::{RemoteKey, Secret, SecretError};

fn secret(endpoint: &str, name: &str) -> SecretsManagerSecret {
    SecretsManagerSecret::open(&access(endpoint), name).unwrap()
}

#[tokio::test]
async fn a_secret_is_made_once_and_read_back() {
    let Some(endpoint) = stand_in("STANDIN_AWS") else {
        return;
    };
    for content in [&b"text\n"[..], &[0xff, 0, 1]] {
        let name = fresh_name("countersign/seed");
        let secret = secret(&endpoint, &name);
        assert_eq!(secret.describe(), format!("awssecret:{name}"));
        assert!(secret.read(99).await.unwrap().is_none());
        secret.create(content).await.unwrap();
        assert_eq!(**secret.read(99).await.unwrap().unwrap(), *content);
        let again = secret.create(b"other").await;
        assert!(
            matches!(again, Err(SecretError::Exists { .. })),
            "{again:?}"
        );
        assert_eq!(**secret.read(99).await.unwrap().unwrap(), *content);
        let long = secret.read(content.len() - 1).await;
        assert!(
            matches!(long, Err(SecretError::Unsuitable { .. })),
            "{:?}",
            long.map(|_| "content")
        );
    }
}

#[tokio::test]
async fn each_answer_about_a_secret_has_its_class() {
    for (code, status, create, read) in [
        ("ResourceExistsException", 400, "exists", "refused"),
        ("ResourceNotFoundException", 400, "refused", "none"),
        ("InvalidRequestException", 400, "refused", "refused"),
        ("AccessDeniedException", 400, "refused", "refused"),
        ("DecryptionFailure", 400, "refused", "refused"),
        ("ThrottlingException", 400, "transient", "transient"),
        ("InternalServiceError", 500, "unknown", "transient"),
    ] {
        let server = Canned::new(vec![Answer::json(status, code, "x")]).await;
        let secret = secret(server.url(), "s");
        let class = |error: &SecretError| match error {
            SecretError::Exists { .. } => "exists",
            SecretError::Unknown { .. } => "unknown",
            SecretError::Refused { .. } => "refused",
            SecretError::Transient { .. } => "transient",
            SecretError::NotFound { .. } | SecretError::Unsuitable { .. } => "other",
        };
        let created = secret.create(b"seed").await.unwrap_err();
        assert_eq!(class(&created), create, "{code}: {created}");
        let found = match secret.read(9).await {
            Ok(None) => "none",
            Ok(Some(_)) => "some",
            Err(error) => class(&error),
        };
        assert_eq!(found, read, "{code}");
    }
}

#[tokio::test]
async fn a_repeated_creation_carries_the_same_token() {
    let lost = || Answer::json(500, "InternalServiceError", "x");
    let done = Answer::new(200, r#"{"ARN":"a","Name":"s"}"#);
    let server = Canned::new(vec![lost(), done]).await;
    secret(server.url(), "s").create(b"seed").await.unwrap();
    let bodies = server.bodies();
    assert_eq!(bodies.len(), 2);
    assert!(bodies[0].contains("ClientRequestToken"), "{}", bodies[0]);
    assert_eq!(bodies[0], bodies[1]);
}

/// A KMS key as `GetPublicKey` shows it.
fn key_answer(spec: &str, usage: &str, der: &str) -> Answer {
    Answer::new(
        200,
        format!(
            r#"{{"KeyId":"k","KeySpec":"{spec}","KeyUsage":"{usage}","PublicKey":"{der}","SigningAlgorithms":["ED25519_SHA_512"]}}"#
        ),
    )
}

/// The key of RFC 8410, section 10.1, in DER, as base64.
const DER: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

#[tokio::test]
async fn only_an_ed25519_key_for_signing_will_do() {
    const SPEC: &str = "ECC_NIST_EDWARDS25519";
    let server = Canned::new(vec![key_answer(SPEC, "SIGN_VERIFY", DER)]).await;
    let key = KmsKey::open(&access(server.url()), "alias/k").unwrap();
    let public = key.public_key().await.unwrap();
    assert_eq!((public[0], public[31]), (0x19, 0xe1));

    for answer in [
        key_answer("ECC_NIST_P256", "SIGN_VERIFY", DER),
        key_answer(SPEC, "KEY_AGREEMENT", DER),
        key_answer(SPEC, "SIGN_VERIFY", "MCowBQYDK2VwAyEAGb9E"),
        key_answer(SPEC, "SIGN_VERIFY", ""),
    ] {
        let server = Canned::new(vec![answer.clone()]).await;
        let key = KmsKey::open(&access(server.url()), "alias/k").unwrap();
        let public = key.public_key().await;
        assert!(
            matches!(public, Err(SecretError::Unsuitable { .. })),
            "{answer:?}: {public:?}"
        );
    }
}

#[tokio::test]
async fn a_signature_is_asked_for_over_the_message_itself() {
    let signature = zeros_in_base64();
    let answer = format!(r#"{{"KeyId":"k","Signature":"{signature}"}}"#);
    let server = Canned::new(vec![Answer::new(200, answer)]).await;
    let key = KmsKey::open(&access(server.url()), "k").unwrap();
    assert_eq!(key.sign(b"head").await.unwrap(), [0; 64]);
    let body = &server.bodies()[0];
    for says in [
        r#""MessageType":"RAW""#,
        r#""SigningAlgorithm":"ED25519_SHA_512""#,
    ] {
        assert!(body.contains(says), "{says} in {body}");
    }
    let long = key.sign(&vec![0; key.max_message_bytes() + 1]).await;
    assert!(matches!(long, Err(SecretError::Refused { .. })), "{long:?}");
    assert_eq!(server.bodies().len(), 1, "what is too long is not sent");

    let short = Canned::new(vec![Answer::new(200, r#"{"Signature":"AAAA"}"#)]).await;
    let key = KmsKey::open(&access(short.url()), "k").unwrap();
    let signed = key.sign(b"head").await;
    assert!(
        matches!(signed, Err(SecretError::Unsuitable { .. })),
        "{signed:?}"
    );
}

/// 64 zero bytes in base64.
fn zeros_in_base64() -> String {
    format!("{}==", "A".repeat(86))
}

#[tokio::test]
async fn each_answer_about_a_key_has_its_class() {
    for (code, is) in [
        ("NotFoundException", "not found"),
        ("DisabledException", "refused"),
        ("KMSInvalidStateException", "refused"),
        ("InvalidKeyUsageException", "unsuitable"),
        ("AccessDeniedException", "refused"),
        ("ThrottlingException", "transient"),
    ] {
        let server = Canned::new(vec![Answer::json(400, code, "x")]).await;
        let key = KmsKey::open(&access(server.url()), "k").unwrap();
        let class = match key.sign(b"head").await.unwrap_err() {
            SecretError::NotFound { .. } => "not found",
            SecretError::Refused { .. } => "refused",
            SecretError::Unsuitable { .. } => "unsuitable",
            SecretError::Transient { .. } => "transient",
            other => panic!("{other}"),
        };
        assert_eq!(class, is, "{code}");
    }
}

#[tokio::test]
async fn a_key_of_kms_signs_as_its_public_key_says() {
    use aws_sdk_kms::types::{KeySpec, KeyUsageType};
    use ed25519_dalek::{Signature, VerifyingKey};

    let Some(endpoint) = stand_in("STANDIN_AWS_KMS") else {
        return;
    };
    let admin = access(&endpoint).kms(None, "test").unwrap();
    let made = async |spec: KeySpec| {
        let create = admin.create_key().key_spec(spec);
        let made = create.key_usage(KeyUsageType::SignVerify).send().await;
        made.map(|made| made.key_metadata.unwrap().key_id)
    };
    let id = made(KeySpec::EccNistEdwards25519).await.unwrap();
    let key = KmsKey::open(&access(&endpoint), &id).unwrap();
    assert_eq!(key.describe(), format!("awskms:{id}"));
    let public = VerifyingKey::from_bytes(&key.public_key().await.unwrap()).unwrap();
    for message in [&b"head"[..], &[7; 4096]] {
        let signature = Signature::from_bytes(&key.sign(message).await.unwrap());
        public.verify_strict(message, &signature).unwrap();
    }
    let missing = KmsKey::open(&access(&endpoint), "00000000-0000-0000-0000-000000000000").unwrap();
    let signed = missing.sign(b"head").await;
    assert!(
        matches!(signed, Err(SecretError::NotFound { .. })),
        "{signed:?}"
    );
}

#[test]
fn an_arn_names_its_region() {
    let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:cs-AbCdEf";
    assert_eq!(region_of_arn(arn), Some("eu-west-1"));
    assert_eq!(
        region_of_arn("arn:aws-cn:kms:cn-north-1:1:key/x"),
        Some("cn-north-1")
    );
    for id in ["countersign/aws", "alias/k", "arn:aws:s3:::b", "arn"] {
        assert_eq!(region_of_arn(id), None, "{id}");
    }
}
