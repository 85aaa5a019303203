//! Keys that sign and never leave their service.

use countersign_core::time::from_unix_seconds;
use countersign_service::clock::{Clock as _, SystemClock};
use countersign_store::emulators::fresh_name;
use serde_json::json;

use crate::stand_ins::call;

/// A new key of AWS KMS, as the settings name it.
pub(super) async fn aws_kms() -> String {
    let url = std::env::var("STANDIN_AWS_KMS").unwrap();
    let stamp = from_unix_seconds(SystemClock.unix_seconds()).replace(['-', ':'], "");
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=any/{}/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0",
        &stamp[..8]
    );
    let headers = [
        ("x-amz-target", "TrentService.CreateKey"),
        ("x-amz-date", &*stamp),
        ("authorization", &*authorization),
    ];
    let wanted = json!({"KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY"});
    let made = call(&url, "POST", "/", &headers, wanted.to_string()).await;
    let made = made.is(200).json();
    format!("awskms:{}", made["KeyMetadata"]["Arn"].as_str().unwrap())
}

/// A new key of Cloud KMS, as the settings name it.
pub(super) async fn gcp_kms() -> String {
    let url = std::env::var("STANDIN_GCP").unwrap();
    let headers = [("authorization", "Bearer any")];
    let ring = fresh_name("ring").unwrap();
    let rings = "projects/p/locations/europe-west1/keyRings";
    let wanted =
        json!({"purpose": "ASYMMETRIC_SIGN", "versionTemplate": {"algorithm": "EC_SIGN_ED25519"}});
    for (path, body) in [
        (format!("/v1/{rings}?keyRingId={ring}"), json!({})),
        (
            format!("/v1/{rings}/{ring}/cryptoKeys?cryptoKeyId=k"),
            wanted,
        ),
    ] {
        let made = call(&url, "POST", &path, &headers, body.to_string()).await;
        made.is(200);
    }
    format!("gcpkms:{rings}/{ring}/cryptoKeys/k/cryptoKeyVersions/1")
}

/// Places for a new seed in each cloud's store of secrets.
pub(crate) fn secrets(name: &str) -> [String; 3] {
    let name = fresh_name(name).unwrap();
    [
        format!("awssecret:{name}"),
        format!("keyvault:vault/{name}"),
        format!("gcpsecret:projects/emulators/secrets/{name}"),
    ]
}
