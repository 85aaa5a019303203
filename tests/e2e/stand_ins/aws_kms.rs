use std::sync::Arc;

use countersign_core::time::from_unix_seconds;
use countersign_service::clock::{Clock as _, SetClock};
use countersign_tests::stand_ins::{Local, aws_kms};
use data_encoding::BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};

use super::{Answer, call, clock};

struct Kms {
    server: Local,
    clock: Arc<SetClock>,
}

impl Kms {
    async fn new() -> Self {
        let clock = clock();
        let server = Local::serve(|_| aws_kms::router(Arc::clone(&clock) as _)).await;
        Self { server, clock }
    }

    async fn call(&self, action: &str, body: &Value) -> Answer {
        self.call_as("any", "eu-west-1", action, body).await
    }

    async fn call_as(&self, access_key: &str, region: &str, action: &str, body: &Value) -> Answer {
        let stamp = from_unix_seconds(self.clock.unix_seconds()).replace(['-', ':'], "");
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={access_key}/{}/{region}/kms/aws4_request, SignedHeaders=host, Signature=0",
            &stamp[..8]
        );
        let target = format!("TrentService.{action}");
        let headers = [
            ("x-amz-target", target.as_str()),
            ("x-amz-date", stamp.as_str()),
            ("authorization", authorization.as_str()),
        ];
        call(&self.server.url, "POST", "/", &headers, body.to_string()).await
    }

    async fn key(&self) -> String {
        let wanted = json!({"KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY"});
        let made = self.call("CreateKey", &wanted).await.is(200).json();
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }
}

fn to_sign(key: &str, message: &[u8]) -> Value {
    json!({
        "KeyId": key, "Message": BASE64.encode(message), "MessageType": "RAW",
        "SigningAlgorithm": "ED25519_SHA_512",
    })
}

fn bytes(answer: &Value, name: &str) -> Vec<u8> {
    BASE64
        .decode(answer[name].as_str().unwrap().as_bytes())
        .unwrap()
}

#[tokio::test]
async fn kms_signs_what_its_public_key_verifies_by_arn_id_and_alias() {
    let kms = Kms::new().await;
    let arn = kms.key().await;
    let id = arn.rsplit('/').next().unwrap();
    kms.call(
        "CreateAlias",
        &json!({"AliasName": "alias/head", "TargetKeyId": id}),
    )
    .await
    .is(200);
    let public = kms
        .call("GetPublicKey", &json!({"KeyId": id}))
        .await
        .is(200)
        .json();
    assert_eq!(
        (&public["KeyId"], &public["KeySpec"]),
        (&json!(arn), &json!("ECC_NIST_EDWARDS25519"))
    );
    let spki = bytes(&public, "PublicKey");
    let key = VerifyingKey::from_bytes(spki[12..].try_into().unwrap()).unwrap();
    for name in [arn.as_str(), id, "alias/head"] {
        let signed = kms
            .call("Sign", &to_sign(name, b"a head"))
            .await
            .is(200)
            .json();
        let signature = Signature::from_slice(&bytes(&signed, "Signature")).unwrap();
        key.verify_strict(b"a head", &signature).unwrap();
    }
}

#[tokio::test]
async fn kms_refuses_long_messages_and_every_other_way_to_sign() {
    let kms = Kms::new().await;
    let key = kms.key().await;
    kms.call("Sign", &to_sign(&key, &[7; 4096])).await.is(200);
    let long = kms.call("Sign", &to_sign(&key, &[7; 4097])).await;
    long.json_error(400, "/__type", "ValidationException");
    let mut digest = to_sign(&key, &[7; 64]);
    digest["MessageType"] = json!("DIGEST");
    kms.call("Sign", &digest)
        .await
        .json_error(400, "/__type", "ValidationException");
    for algorithm in ["ED25519_PH_SHA_512", "ECDSA_SHA_256"] {
        let mut other = to_sign(&key, b"x");
        other["SigningAlgorithm"] = json!(algorithm);
        kms.call("Sign", &other)
            .await
            .json_error(400, "/__type", "InvalidKeyUsageException");
    }
    let p256 = json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"});
    kms.call("CreateKey", &p256)
        .await
        .json_error(400, "/__type", "UnsupportedOperationException");
}

#[tokio::test]
async fn kms_says_what_is_wrong_with_a_key_a_caller_or_a_clock() {
    let kms = Kms::new().await;
    let key = kms.key().await;
    let sign = to_sign(&key, b"x");
    let missing = to_sign("11111111-2222-3333-4444-555555555555", b"x");
    kms.call("Sign", &missing)
        .await
        .json_error(400, "/__type", "NotFoundException");
    let elsewhere = kms.call_as("any", "us-east-1", "Sign", &sign).await;
    elsewhere.json_error(400, "/__type", "NotFoundException");
    let denied = kms.call_as("denied", "eu-west-1", "Sign", &sign).await;
    assert!(
        denied
            .json_error(400, "/__type", "AccessDeniedException")
            .text()
            .contains("kms:Sign")
    );

    kms.call("DisableKey", &json!({"KeyId": key})).await.is(200);
    kms.call("Sign", &sign)
        .await
        .json_error(400, "/__type", "DisabledException");
    kms.call("EnableKey", &json!({"KeyId": key})).await.is(200);
    kms.call("Sign", &sign).await.is(200);
    kms.call("ScheduleKeyDeletion", &json!({"KeyId": key}))
        .await
        .is(200);
    kms.call("GetPublicKey", &json!({"KeyId": key}))
        .await
        .json_error(400, "/__type", "KMSInvalidStateException");

    let headers = [("x-amz-target", "TrentService.Sign")];
    let anonymous = call(&kms.server.url, "POST", "/", &headers, "{}").await;
    anonymous.json_error(403, "/__type", "MissingAuthenticationTokenException");
    let stale = [
        ("x-amz-target", "TrentService.Sign"),
        ("x-amz-date", "20200101T000000Z"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=any/20200101/eu-west-1/kms/aws4_request, Signature=0",
        ),
    ];
    let skewed = call(&kms.server.url, "POST", "/", &stale, "{}").await;
    skewed.json_error(403, "/__type", "InvalidSignatureException");
}
