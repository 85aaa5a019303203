use std::sync::Arc;

use axum::body::Body;
use countersign_service::clock::SetClock;
use countersign_tests::stand_in;
use countersign_tests::stand_ins::{Local, accounts, arm, azurite, blob};
use serde_json::{Value, json};

use super::{Answer, call, clock, unique};

const DAY_MILLIS: i64 = 86_400_000;
const SUBSCRIPTION: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/devstoreaccount1";

/// A front before Azurite, the Resource Manager beside it, and a container.
struct Container {
    front: Local,
    arm: Local,
    clock: Arc<SetClock>,
    name: String,
    sas: String,
}

impl Container {
    async fn new() -> Option<Self> {
        let azurite = stand_in("STANDIN_BLOB_DIRECT")?;
        let clock = clock();
        let accounts = accounts::Accounts::new(&azurite, Arc::clone(&clock) as _);
        let container = Self {
            front: Local::serve(|_| blob::router(accounts.clone())).await,
            arm: Local::serve(|_| arm::router(accounts.clone())).await,
            clock,
            name: unique("sealed"),
            sas: azurite::account_sas("rwdlac", "2099-01-01T00:00:00Z"),
        };
        container
            .call("PUT", "?restype=container", &[], "")
            .await
            .is(201);
        Some(container)
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        self.call_with(&self.sas, method, path, headers, body).await
    }

    async fn call_with(
        &self,
        sas: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mark = if path.contains('?') { '&' } else { '?' };
        let path = format!("/devstoreaccount1/{}{path}{mark}{sas}", self.name);
        let mut all = vec![
            ("x-ms-version", "2021-12-02"),
            ("x-ms-blob-type", "BlockBlob"),
        ];
        all.extend_from_slice(headers);
        call(&self.front.url, method, &path, &all, body).await
    }

    async fn put(&self, path: &str, body: &'static str) -> Answer {
        self.call("PUT", path, &[], body).await
    }

    async fn manage(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let path = format!("{SUBSCRIPTION}{path}?api-version=2023-05-01");
        let mut all = vec![("authorization", "Bearer any")];
        all.extend_from_slice(headers);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        call(&self.arm.url, method, &path, &all, body).await
    }

    async fn policy(&self, method: &str, action: &str, etag: &str, body: &Value) -> Answer {
        let path = format!(
            "/blobServices/default/containers/{}/immutabilityPolicies/default{action}",
            self.name
        );
        let headers = [("if-match", etag)];
        let headers = if etag.is_empty() {
            &headers[..0]
        } else {
            &headers[..]
        };
        self.manage(method, &path, headers, body).await
    }

    /// Sets a policy of so many days; gives its ETag.
    async fn protect(&self, days: u64) -> String {
        let set = self.policy("PUT", "", "", &of_days(days)).await.is(200);
        set.header("etag").to_owned()
    }
}

fn of_days(days: u64) -> Value {
    json!({"properties": {"immutabilityPeriodSinceCreationInDays": days}})
}

#[tokio::test]
async fn a_blob_under_a_policy_is_neither_changed_nor_deleted_before_its_period_is_over() {
    let Some(container) = Container::new().await else {
        return;
    };
    container.put("/a", "before").await.is(201);
    let own = [(
        "x-ms-immutability-policy-until-date",
        "Mon, 01 Jan 2080 00:00:00 GMT",
    )];
    let refused = container.call("PUT", "/own", &own, "x").await;
    refused.xml_error(409, "ImmutableStorageWithVersioningNotEnabled");
    container.protect(2).await;
    container.put("/b", "after").await.is(201);
    for blob in ["/a", "/b"] {
        let refusals = [
            container.put(blob, "other").await,
            container.put(&format!("{blob}?comp=metadata"), "").await,
            container.put(&format!("{blob}?comp=properties"), "").await,
            container
                .put(&format!("{blob}?comp=block&blockid=AAAA"), "x")
                .await,
            container
                .put(&format!("{blob}?comp=blocklist"), "<BlockList></BlockList>")
                .await,
            container.call("DELETE", blob, &[], "").await,
        ];
        for refusal in refusals {
            let refusal = refusal.xml_error(409, "BlobImmutableDueToPolicy");
            assert_eq!(
                refusal.header("x-ms-error-code"),
                "BlobImmutableDueToPolicy"
            );
        }
        let create = [("if-none-match", "*")];
        let again = container.call("PUT", blob, &create, "other").await;
        again.xml_error(409, "BlobAlreadyExists");
    }
    assert_eq!(
        container.call("GET", "/a", &[], "").await.is(200).text(),
        "before"
    );

    container.clock.advance(2 * DAY_MILLIS + 2000);
    container
        .put("/a", "other")
        .await
        .xml_error(409, "BlobImmutableDueToPolicy");
    container.call("DELETE", "/a", &[], "").await.is(202);
    container
        .call("GET", "/a", &[], "")
        .await
        .xml_error(404, "BlobNotFound");
}

#[tokio::test]
async fn of_sixteen_puts_at_once_under_a_policy_one_is_done() {
    let Some(container) = Container::new().await else {
        return;
    };
    container.protect(1).await;
    let puts = (0..16).map(|_| container.put("/a", "x"));
    let mut made = 0;
    for put in futures_util::future::join_all(puts).await {
        if put.status == 201 {
            made += 1;
        } else {
            put.xml_error(409, "BlobImmutableDueToPolicy");
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_legal_hold_outlasts_a_period_and_ends_when_it_is_cleared() {
    let Some(container) = Container::new().await else {
        return;
    };
    container.put("/a", "x").await.is(201);
    let path = format!("/blobServices/default/containers/{}", container.name);
    let tags = json!({"tags": ["case7"]});
    let held = container
        .manage("POST", &format!("{path}/setLegalHold"), &[], &tags)
        .await
        .is(200);
    assert_eq!(
        held.json(),
        json!({"hasLegalHold": true, "tags": ["case7"]})
    );
    container
        .put("/a", "y")
        .await
        .xml_error(409, "BlobImmutableDueToLegalHold");
    container.clock.advance(400 * DAY_MILLIS);
    let delete = container.call("DELETE", "/a", &[], "").await;
    delete.xml_error(409, "BlobImmutableDueToLegalHold");
    let shown = container
        .call("GET", "?restype=container", &[], "")
        .await
        .is(200);
    assert_eq!(shown.header("x-ms-has-legal-hold"), "true");

    container
        .manage("POST", &format!("{path}/clearLegalHold"), &[], &tags)
        .await
        .is(200);
    container.call("DELETE", "/a", &[], "").await.is(202);
}

#[tokio::test]
async fn a_locked_policy_is_extended_five_times_and_neither_shortened_nor_removed() {
    let Some(container) = Container::new().await else {
        return;
    };
    let failure = "ContainerImmutabilityPolicyFailure";
    let none = container
        .policy("GET", "", "", &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(
        none["properties"]["immutabilityPeriodSinceCreationInDays"],
        0
    );

    let etag = container.protect(30).await;
    let wrong = container
        .policy("POST", "/lock", "\"other\"", &Value::Null)
        .await;
    wrong.json_error(412, "/error/code", failure);
    container
        .policy("POST", "/lock", "", &Value::Null)
        .await
        .json_error(412, "/error/code", failure);
    let locked = container
        .policy("POST", "/lock", &etag, &Value::Null)
        .await
        .is(200);
    assert_eq!(locked.json()["properties"]["state"], "Locked");
    let mut etag = locked.header("etag").to_owned();

    for (method, action, days) in [("DELETE", "", 0), ("PUT", "", 31), ("POST", "/extend", 29)] {
        let refused = container
            .policy(method, action, &etag, &of_days(days))
            .await;
        refused.json_error(409, "/error/code", failure);
    }
    for days in 31..36 {
        let extended = container
            .policy("POST", "/extend", &etag, &of_days(days))
            .await
            .is(200);
        etag = extended.header("etag").to_owned();
    }
    let sixth = container
        .policy("POST", "/extend", &etag, &of_days(40))
        .await;
    sixth.json_error(409, "/error/code", failure);
    let now = container
        .policy("GET", "", "", &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(
        now["properties"]["immutabilityPeriodSinceCreationInDays"],
        35
    );
}

#[tokio::test]
async fn an_unlocked_policy_is_shortened_and_removed_as_an_administrator_may() {
    let Some(container) = Container::new().await else {
        return;
    };
    container.protect(30).await;
    container.put("/a", "x").await.is(201);
    let etag = container.protect(1).await;
    container
        .policy("DELETE", "", &etag, &Value::Null)
        .await
        .is(200);
    container.put("/a", "y").await.is(201);
}

#[tokio::test]
async fn who_may_not_write_is_refused_for_that_and_not_for_the_policy() {
    let Some(container) = Container::new().await else {
        return;
    };
    container.put("/a", "x").await.is(201);
    container.protect(1).await;
    let read_only = azurite::account_sas("rl", "2099-01-01T00:00:00Z");
    let forged = container.sas.replace("sig=", "sig=AAAA");
    for (sas, code) in [
        (read_only.as_str(), "AuthorizationPermissionMismatch"),
        (forged.as_str(), "AuthorizationFailure"),
    ] {
        for (method, path) in [("PUT", "/a"), ("DELETE", "/a"), ("PUT", "/a?comp=metadata")] {
            let refused = container.call_with(sas, method, path, &[], "x").await;
            refused.xml_error(403, code);
        }
    }
}

#[tokio::test]
async fn a_container_with_a_policy_shows_it_and_is_deleted_only_when_empty() {
    let Some(container) = Container::new().await else {
        return;
    };
    let path = format!("/blobServices/default/containers/{}", container.name);
    let before = container
        .manage("GET", &path, &[], &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(before["properties"]["hasImmutabilityPolicy"], false);
    container.protect(7).await;
    container.put("/a", "x").await.is(201);
    let shown = container
        .call("HEAD", "?restype=container", &[], "")
        .await
        .is(200);
    assert_eq!(shown.header("x-ms-has-immutability-policy"), "true");
    let after = container
        .manage("GET", &path, &[], &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(
        after["properties"]["immutabilityPolicy"]["properties"]["state"],
        "Unlocked"
    );

    let refused = container
        .call("DELETE", "?restype=container", &[], "")
        .await;
    refused.xml_error(409, "ContainerImmutabilityPolicyLocked");
    container.clock.advance(8 * DAY_MILLIS);
    container.call("DELETE", "/a", &[], "").await.is(202);
    container
        .call("DELETE", "?restype=container", &[], "")
        .await
        .is(202);
    let gone = container.manage("GET", &path, &[], &Value::Null).await;
    gone.json_error(404, "/error/code", "ContainerNotFound");
}

#[tokio::test]
async fn a_blob_of_the_version_level_has_a_policy_of_its_own() {
    let Some(container) = Container::new().await else {
        return;
    };
    let path = format!("/blobServices/default/containers/{}", container.name);
    let level = json!({"properties": {"immutableStorageWithVersioning": {"enabled": true}}});
    container.manage("PUT", &path, &[], &level).await.is(200);
    let until = "Mon, 01 Jan 2080 00:00:00 GMT";
    let locked = [
        ("x-ms-immutability-policy-until-date", until),
        ("x-ms-immutability-policy-mode", "Locked"),
    ];
    container.call("PUT", "/a", &locked, "x").await.is(201);
    let wrong_weekday = [(
        "x-ms-immutability-policy-until-date",
        "Tue, 01 Jan 2080 00:00:00 GMT",
    )];
    let refused = container.call("PUT", "/wrong", &wrong_weekday, "x").await;
    refused.xml_error(400, "InvalidHeaderValue");
    container.put("/free", "x").await.is(201);
    let shown = container.call("HEAD", "/a", &[], "").await.is(200);
    assert_eq!(shown.header("x-ms-immutability-policy-until-date"), until);
    assert_eq!(shown.header("x-ms-immutability-policy-mode"), "locked");
    let list = "?restype=container&comp=list&include=immutabilitypolicy,legalhold";
    let list = container.call("GET", list, &[], "").await.is(200);
    assert_eq!(
        list.text()
            .matches("<ImmutabilityPolicyMode>locked<")
            .count(),
        1
    );
    assert_eq!(list.element("ImmutabilityPolicyUntilDate"), until);

    let delete = container.call("DELETE", "/a", &[], "").await;
    delete.xml_error(409, "BlobImmutableDueToPolicy");
    let sooner = [
        (
            "x-ms-immutability-policy-until-date",
            "Sun, 01 Jan 2079 00:00:00 GMT",
        ),
        ("x-ms-immutability-policy-mode", "Locked"),
    ];
    let path = "/a?comp=immutabilityPolicies";
    container
        .call("PUT", path, &sooner, "")
        .await
        .xml_error(409, "BlobImmutableDueToPolicy");
    container
        .call("DELETE", path, &[], "")
        .await
        .xml_error(409, "BlobImmutableDueToPolicy");

    let hold = [("x-ms-legal-hold", "true")];
    container
        .call("PUT", "/free?comp=legalhold", &hold, "")
        .await
        .is(200);
    let delete = container.call("DELETE", "/free", &[], "").await;
    delete.xml_error(409, "BlobImmutableDueToLegalHold");
}

#[tokio::test]
async fn a_listing_may_start_from_a_name() {
    let Some(container) = Container::new().await else {
        return;
    };
    for name in ["a", "b%20c", "b", "d"] {
        container.put(&format!("/{name}"), "x").await.is(201);
    }
    for (start, expected) in [("b", 3), ("b%20c", 2), ("b%20", 2), ("aa", 3), ("e", 0)] {
        let path = format!("?restype=container&comp=list&startFrom={start}");
        let list = container.call("GET", &path, &[], "").await.is(200).text();
        assert_eq!(
            list.matches("<Blob>").count(),
            expected,
            "from {start}: {list}"
        );
    }
}

#[tokio::test]
async fn the_settings_of_an_account_and_its_diagnostics_are_read_and_set() {
    let Some(container) = Container::new().await else {
        return;
    };
    let account = container
        .manage("GET", "", &[], &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(account["properties"]["allowSharedKeyAccess"], true);
    let change = json!({"properties": {"allowSharedKeyAccess": false}});
    let account = container
        .manage("PATCH", "", &[], &change)
        .await
        .is(200)
        .json();
    assert_eq!(account["properties"]["allowSharedKeyAccess"], false);
    assert_eq!(account["properties"]["minimumTlsVersion"], "TLS1_2");

    let change = json!({"properties": {"isVersioningEnabled": true}});
    container
        .manage("PUT", "/blobServices/default", &[], &change)
        .await
        .is(200);
    let service = container
        .manage("GET", "/blobServices/default", &[], &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(service["properties"]["isVersioningEnabled"], true);

    let scope = "/blobServices/default/providers/Microsoft.Insights/diagnosticSettings";
    let none = container
        .manage("GET", scope, &[], &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(none, json!({"value": []}));
    let setting = json!({"properties": {"logs": [{"category": "StorageDelete", "enabled": true}]}});
    container
        .manage("PUT", &format!("{scope}/audit"), &[], &setting)
        .await
        .is(200);
    let all = container
        .manage("GET", scope, &[], &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(all["value"][0]["name"], "audit");
}

#[tokio::test]
async fn the_lifecycle_rules_of_an_account_are_missing_until_they_are_set() {
    let Some(container) = Container::new().await else {
        return;
    };
    let path = "/managementPolicies/default";
    let missing = || async {
        let found = container.manage("GET", path, &[], &Value::Null).await;
        found.json_error(404, "/error/code", "ManagementPolicyNotFound");
    };
    missing().await;
    let rules = json!({"properties": {"policy": {"rules": [{"name": "r", "enabled": true}]}}});
    container.manage("PUT", path, &[], &rules).await.is(200);
    let found = container.manage("GET", path, &[], &Value::Null).await;
    let found = found.is(200).json();
    assert_eq!(found["properties"]["policy"], rules["properties"]["policy"]);
    container
        .manage("DELETE", path, &[], &Value::Null)
        .await
        .is(200);
    missing().await;
}

#[tokio::test]
async fn resource_manager_wants_a_token_a_permission_and_a_version() {
    let Some(container) = Container::new().await else {
        return;
    };
    let url = &container.arm.url;
    let path = format!("{SUBSCRIPTION}?api-version=2023-05-01");
    let anonymous = call(url, "GET", &path, &[], "").await;
    anonymous.json_error(401, "/error/code", "AuthenticationFailed");
    let denied = call(url, "GET", &path, &[("authorization", "Bearer denied")], "").await;
    denied.json_error(403, "/error/code", "AuthorizationFailed");
    let token = [("authorization", "Bearer any")];
    let unversioned = call(url, "GET", SUBSCRIPTION, &token, "").await;
    unversioned.json_error(400, "/error/code", "MissingApiVersionParameter");
    let other = path.replace("devstoreaccount1", "other");
    call(url, "GET", &other, &token, "")
        .await
        .json_error(404, "/error/code", "ResourceNotFound");
}
