use countersign_tests::stand_ins::{Local, gcp};
use data_encoding::BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};

use super::{Answer, call, clock};

const STATUS: &str = "/error/status";

struct Gcp(Local);

impl Gcp {
    async fn new() -> Self {
        Self(Local::serve(|_| gcp::router(clock())).await)
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.call_as("any", method, path, body).await
    }

    async fn call_as(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/v1/{path}"),
        };
        call(&self.0.url, method, &path, &headers, body).await
    }

    /// A key of one version; gives the version's name.
    async fn key(&self) -> String {
        let location = "projects/p/locations/europe-west1";
        self.call(
            "POST",
            &format!("{location}/keyRings?keyRingId=r"),
            &json!({}),
        )
        .await
        .is(200);
        let wanted = json!({"purpose": "ASYMMETRIC_SIGN", "versionTemplate": {"algorithm": "EC_SIGN_ED25519"}});
        let path = format!("{location}/keyRings/r/cryptoKeys?cryptoKeyId=k");
        self.call("POST", &path, &wanted).await.is(200);
        format!("{location}/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1")
    }
}

fn sum(bytes: &[u8]) -> String {
    crc32c::crc32c(bytes).to_string()
}

#[tokio::test]
async fn cloud_kms_signs_what_its_public_key_verifies_and_sums_both() {
    let gcp = Gcp::new().await;
    let version = gcp.key().await;
    let public = gcp
        .call("GET", &format!("{version}/publicKey"), &Value::Null)
        .await
        .is(200)
        .json();
    let pem = public["pem"].as_str().unwrap();
    assert_eq!(public["pemCrc32c"], sum(pem.as_bytes()));
    assert_eq!(
        (&public["name"], &public["algorithm"]),
        (&json!(version), &json!("EC_SIGN_ED25519"))
    );
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let spki = BASE64.decode(body.as_bytes()).unwrap();
    let key = VerifyingKey::from_bytes(spki[12..].try_into().unwrap()).unwrap();

    let path = format!("{version}:asymmetricSign");
    let request = json!({"data": BASE64.encode(b"a head"), "dataCrc32c": sum(b"a head")});
    let signed = gcp.call("POST", &path, &request).await.is(200).json();
    let signature = BASE64
        .decode(signed["signature"].as_str().unwrap().as_bytes())
        .unwrap();
    assert_eq!(signed["signatureCrc32c"], sum(&signature));
    assert_eq!(
        (&signed["verifiedDataCrc32c"], &signed["name"]),
        (&json!(true), &json!(version))
    );
    key.verify_strict(b"a head", &Signature::from_slice(&signature).unwrap())
        .unwrap();

    let wrong = json!({"data": BASE64.encode(b"a head"), "dataCrc32c": "1"});
    gcp.call("POST", &path, &wrong)
        .await
        .json_error(400, STATUS, "INVALID_ARGUMENT");
    let digest = json!({"digest": {"sha256": ""}});
    gcp.call("POST", &path, &digest)
        .await
        .json_error(400, STATUS, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_disabled_key_version_signs_nothing_until_it_is_enabled() {
    let gcp = Gcp::new().await;
    let version = gcp.key().await;
    let path = format!("{version}:asymmetricSign");
    let request = json!({"data": "eA=="});
    let patch = format!("{version}?updateMask=state");
    gcp.call("PATCH", &patch, &json!({"state": "DISABLED"}))
        .await
        .is(200);
    gcp.call("POST", &path, &request)
        .await
        .json_error(400, STATUS, "FAILED_PRECONDITION");
    gcp.call("PATCH", &patch, &json!({"state": "ENABLED"}))
        .await
        .is(200);
    gcp.call("POST", &path, &request).await.is(200);
    let second = format!(
        "{}/cryptoKeyVersions",
        version.split("/cryptoKeyVersions").next().unwrap()
    );
    let second = gcp.call("POST", &second, &json!({})).await.is(200).json();
    assert!(second["name"].as_str().unwrap().ends_with("/2"));
}

#[tokio::test]
async fn secret_manager_gives_the_newest_version_with_its_sum() {
    let gcp = Gcp::new().await;
    let path = "projects/p/secrets?secretId=seed";
    gcp.call("POST", path, &json!({"replication": {"automatic": {}}}))
        .await
        .is(200);
    gcp.call("POST", path, &json!({}))
        .await
        .json_error(409, STATUS, "ALREADY_EXISTS");
    let secret = "projects/p/secrets/seed";
    let latest = format!("{secret}/versions/latest:access");
    gcp.call("GET", &latest, &Value::Null)
        .await
        .json_error(404, STATUS, "NOT_FOUND");
    for data in [&b"first"[..], b"second"] {
        let payload = json!({"payload": {"data": BASE64.encode(data), "dataCrc32c": sum(data)}});
        gcp.call("POST", &format!("{secret}:addVersion"), &payload)
            .await
            .is(200);
    }
    let wrong = json!({"payload": {"data": "eA==", "dataCrc32c": "1"}});
    let refused = gcp
        .call("POST", &format!("{secret}:addVersion"), &wrong)
        .await;
    refused.json_error(400, STATUS, "INVALID_ARGUMENT");
    let read = gcp.call("GET", &latest, &Value::Null).await.is(200).json();
    assert_eq!(read["name"], "projects/p/secrets/seed/versions/2");
    assert_eq!(
        read["payload"],
        json!({"data": BASE64.encode(b"second"), "dataCrc32c": sum(b"second")})
    );

    gcp.call("POST", &format!("{secret}/versions/2:disable"), &json!({}))
        .await
        .is(200);
    gcp.call("GET", &latest, &Value::Null)
        .await
        .json_error(400, STATUS, "FAILED_PRECONDITION");
    gcp.call("POST", &format!("{secret}/versions/1:destroy"), &json!({}))
        .await
        .is(200);
    let destroyed = gcp
        .call("POST", &format!("{secret}/versions/1:enable"), &json!({}))
        .await;
    destroyed.json_error(400, STATUS, "FAILED_PRECONDITION");
}

#[tokio::test]
async fn a_regional_secret_is_another_than_the_global_one() {
    let gcp = Gcp::new().await;
    let path = "projects/p/locations/europe-west1/secrets?secretId=seed";
    gcp.call("POST", path, &json!({})).await.is(200);
    let secret = "projects/p/locations/europe-west1/secrets/seed";
    let payload = json!({"payload": {"data": "eA=="}});
    gcp.call("POST", &format!("{secret}:addVersion"), &payload)
        .await
        .is(200);
    gcp.call(
        "GET",
        &format!("{secret}/versions/latest:access"),
        &Value::Null,
    )
    .await
    .is(200);
    let global = gcp
        .call("GET", "projects/p/secrets/seed", &Value::Null)
        .await;
    global.json_error(404, STATUS, "NOT_FOUND");
}

#[tokio::test]
async fn google_refuses_who_has_no_token_or_no_permission() {
    let gcp = Gcp::new().await;
    let version = gcp.key().await;
    let path = format!("/v1/{version}/publicKey");
    call(&gcp.0.url, "GET", &path, &[], "")
        .await
        .json_error(401, STATUS, "UNAUTHENTICATED");
    let path = format!("{version}/publicKey");
    let denied = gcp.call_as("denied", "GET", &path, &Value::Null).await;
    let denied = denied.json_error(403, STATUS, "PERMISSION_DENIED").json();
    let permission = denied.pointer("/error/details/0/metadata/permission");
    assert_eq!(
        permission,
        Some(&json!("cloudkms.cryptoKeyVersions.viewPublicKey"))
    );
    let reader = "without:cloudkms.cryptoKeyVersions.useToSign";
    gcp.call_as(reader, "GET", &path, &Value::Null)
        .await
        .is(200);
    let sign = gcp
        .call_as(
            reader,
            "POST",
            &format!("{version}:asymmetricSign"),
            &json!({"data": "eA=="}),
        )
        .await;
    sign.json_error(403, STATUS, "PERMISSION_DENIED");
}

#[tokio::test]
async fn resource_manager_keeps_the_liens_of_each_project() {
    let gcp = Gcp::new().await;
    let lien = |project: &str| {
        json!({
            "parent": format!("projects/{project}"), "reason": "audit logs", "origin": "test",
            "restrictions": ["resourcemanager.projects.delete"],
        })
    };
    gcp.call("POST", "/v3/liens", &lien("1")).await.is(200);
    gcp.call("POST", "/v3/liens", &json!({"parent": "projects/1"}))
        .await
        .json_error(400, STATUS, "INVALID_ARGUMENT");
    for (project, count) in [("1", 1), ("2", 0)] {
        let path = format!("/v3/liens?parent=projects%2F{project}");
        let found = gcp.call("GET", &path, &Value::Null).await.is(200).json();
        assert_eq!(found["liens"].as_array().unwrap().len(), count);
    }
    let denied = "without:resourcemanager.projects.updateLiens";
    gcp.call_as(denied, "POST", "/v3/liens", &lien("1"))
        .await
        .json_error(403, STATUS, "PERMISSION_DENIED");
}
