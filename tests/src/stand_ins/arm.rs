//! Azure Resource Manager for one storage account, `devstoreaccount1`, in any
//! subscription and resource group: the container's immutability policies and
//! legal holds that [`blob`](super::blob) enforces, and the settings of the
//! account, of its blob service, its lifecycle rules, and of diagnostics.
//!
//! A call wants an `api-version` and a bearer token. What the documentation
//! leaves open is the code of a change that a locked policy forbids: here it is
//! 409 `ContainerImmutabilityPolicyFailure`, the code of the documented 412 for
//! a wrong ETag.

use std::sync::MutexGuard;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::ETAG;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::accounts::{Accounts, Container, Policy, Settings};
use super::answer::{header, json as answer, lock, parameter, read_request, with_header};
use super::azurite::ACCOUNT;

const MAX_DAYS: u64 = 146_000;
const MAX_EXTENSIONS: u32 = 5;

/// Resource Manager for these accounts.
pub fn router(accounts: Accounts) -> Router {
    Router::new().fallback(handle).with_state(accounts)
}

async fn handle(State(accounts): State<Accounts>, request: Request) -> Response {
    let (request, body) = match read_request(request).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = refusal(&request) {
        return refusal;
    }
    let body: Value = if body.is_empty() {
        Value::Null
    } else {
        match serde_json::from_slice(&body) {
            Ok(body) => body,
            Err(_) => {
                return error(
                    StatusCode::BAD_REQUEST,
                    "InvalidRequestContent",
                    "The request content was invalid and could not be deserialized.",
                );
            }
        }
    };
    let path = request.uri().path().to_owned();
    let method = request.method();
    if let Some((scope, name)) = diagnostics_of(&path) {
        return accounts.diagnostics(method, &scope, name, body);
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let [
        subscriptions,
        _,
        groups,
        _,
        providers,
        storage,
        kind,
        account,
        rest @ ..,
    ] = &parts[..]
    else {
        return not_found(&path);
    };
    let names = [subscriptions, groups, providers, storage, kind];
    let expected = [
        "subscriptions",
        "resourceGroups",
        "providers",
        "Microsoft.Storage",
        "storageAccounts",
    ];
    if !names
        .iter()
        .zip(expected)
        .all(|(name, expected)| name.eq_ignore_ascii_case(expected))
        || *account != ACCOUNT
    {
        return not_found(&path);
    }
    let rest: Vec<String> = rest
        .iter()
        .enumerate()
        .map(|(at, part)| {
            if at == 3 {
                (*part).to_owned()
            } else {
                part.to_lowercase()
            }
        })
        .collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let call = Call {
        accounts: &accounts,
        method,
        headers: request.headers(),
        path: &path,
        body,
    };
    match &rest[..] {
        [] => call.account(),
        ["blobservices", "default"] => call.blob_service(),
        ["managementpolicies", "default"] => call.management_policy(),
        [
            "blobservices",
            "default",
            "containers",
            container,
            rest @ ..,
        ] => call.of_container(container, rest).await,
        _ => not_found(&path),
    }
}

/// Why the request is not even looked at.
fn refusal(request: &Request) -> Option<Response> {
    let token =
        header(request.headers(), "authorization").and_then(|value| value.strip_prefix("Bearer "));
    match token {
        None => {
            let message = "Authentication failed. The 'Authorization' header is missing.";
            let response = error(StatusCode::UNAUTHORIZED, "AuthenticationFailed", message);
            Some(with_header(
                response,
                "www-authenticate",
                "Bearer authorization_uri=\"http://127.0.0.1/\"",
            ))
        }
        Some("denied") => {
            let message = format!(
                "The client 'denied' does not have authorization to perform the action over scope '{}' or the scope is invalid.",
                request.uri().path()
            );
            Some(error(
                StatusCode::FORBIDDEN,
                "AuthorizationFailed",
                &message,
            ))
        }
        Some(_) if parameter(request.uri(), "api-version").is_none() => {
            let message =
                "The api-version query parameter (?api-version=) is required for all requests.";
            Some(error(
                StatusCode::BAD_REQUEST,
                "MissingApiVersionParameter",
                message,
            ))
        }
        Some(_) => None,
    }
}

/// What a path of diagnostic settings is about, and the setting's name.
fn diagnostics_of(path: &str) -> Option<(String, Option<&str>)> {
    let marker = "/providers/microsoft.insights/diagnosticsettings";
    let at = path.to_lowercase().rfind(marker)?;
    let name = path.get(at + marker.len()..)?.trim_matches('/');
    Some((
        path[..at].to_lowercase(),
        (!name.is_empty()).then_some(name),
    ))
}

struct Call<'a> {
    accounts: &'a Accounts,
    method: &'a Method,
    headers: &'a HeaderMap,
    path: &'a str,
    body: Value,
}

impl Call<'_> {
    fn state(&self) -> MutexGuard<'_, Settings> {
        lock(&self.accounts.state)
    }

    fn account(&self) -> Response {
        let mut state = self.state();
        match self.method.as_str() {
            "GET" => {}
            "PATCH" => merge(&mut state.account, self.body.get("properties")),
            _ => return not_allowed(),
        }
        let body = json!({
            "id": self.path, "name": ACCOUNT, "type": "Microsoft.Storage/storageAccounts",
            "location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS", "tier": "Standard"},
            "properties": state.account,
        });
        answer(StatusCode::OK, &body)
    }

    fn blob_service(&self) -> Response {
        let mut state = self.state();
        match self.method.as_str() {
            "GET" => {}
            "PUT" => merge(&mut state.blob_service, self.body.get("properties")),
            _ => return not_allowed(),
        }
        let body = json!({
            "id": self.path, "name": "default", "type": "Microsoft.Storage/storageAccounts/blobServices",
            "properties": state.blob_service,
        });
        answer(StatusCode::OK, &body)
    }

    fn management_policy(&self) -> Response {
        let mut state = self.state();
        match self.method.as_str() {
            "GET" => {}
            "PUT" => state.management_policy = self.body.get("properties").cloned(),
            "DELETE" => {
                state.management_policy = None;
                return StatusCode::OK.into_response();
            }
            _ => return not_allowed(),
        }
        let Some(properties) = &state.management_policy else {
            let message = "No ManagementPolicy found for account devstoreaccount1";
            return error(StatusCode::NOT_FOUND, "ManagementPolicyNotFound", message);
        };
        let body = json!({
            "id": self.path, "name": "DefaultManagementPolicy",
            "type": "Microsoft.Storage/storageAccounts/managementPolicies", "properties": properties,
        });
        answer(StatusCode::OK, &body)
    }

    async fn of_container(&self, name: &str, rest: &[&str]) -> Response {
        if rest.is_empty() && *self.method == Method::PUT {
            return self.put_container(name).await;
        }
        if !self.accounts.azurite.has_container(name).await {
            return error(
                StatusCode::NOT_FOUND,
                "ContainerNotFound",
                "The specified container does not exist.",
            );
        }
        match (self.method.as_str(), rest) {
            ("GET", []) => self.container(name, StatusCode::OK),
            ("GET", ["immutabilitypolicies", "default"]) => {
                self.policy(self.accounts.container(name).policy.as_ref())
            }
            ("PUT", ["immutabilitypolicies", "default"]) => self.put_policy(name),
            ("DELETE", ["immutabilitypolicies", "default"]) => self.delete_policy(name),
            ("POST", ["immutabilitypolicies", "default", "lock"]) => self.lock_policy(name),
            ("POST", ["immutabilitypolicies", "default", "extend"]) => self.extend_policy(name),
            ("POST", ["setlegalhold"]) => self.hold(name, true),
            ("POST", ["clearlegalhold"]) => self.hold(name, false),
            _ => not_allowed(),
        }
    }

    async fn put_container(&self, name: &str) -> Response {
        let there = self.accounts.azurite.has_container(name).await;
        if !there && !self.accounts.azurite.create_container(name).await {
            return error(
                StatusCode::BAD_REQUEST,
                "ContainerOperationFailure",
                "The specified resource name contains invalid characters.",
            );
        }
        let level = self
            .body
            .pointer("/properties/immutableStorageWithVersioning/enabled");
        if level == Some(&Value::Bool(true)) {
            self.accounts
                .change(name, |container| container.version_level = true);
        }
        self.container(
            name,
            if there {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            },
        )
    }

    fn container(&self, name: &str, status: StatusCode) -> Response {
        let container = self.accounts.container(name);
        let mut properties = json!({
            "deleted": false, "remainingRetentionDays": 0, "publicAccess": "None", "leaseStatus": "Unlocked",
            "leaseState": "Available", "hasImmutabilityPolicy": container.policy.is_some(),
            "hasLegalHold": !container.hold_tags.is_empty(), "legalHold": legal_hold(&container),
        });
        if let Some(policy) = &container.policy {
            properties["immutabilityPolicy"] = json!({
                "etag": policy.etag, "updateHistory": [], "properties": policy_properties(Some(policy)),
            });
        }
        if container.version_level {
            properties["immutableStorageWithVersioning"] =
                json!({"enabled": true, "migrationState": "Completed"});
        }
        let body = json!({
            "id": self.path, "name": name, "type": "Microsoft.Storage/storageAccounts/blobServices/containers",
            "properties": properties,
        });
        answer(status, &body)
    }

    fn policy(&self, policy: Option<&Policy>) -> Response {
        let etag = policy.map_or("", |policy| &policy.etag);
        let body = json!({
            "id": self.path.trim_end_matches("/lock").trim_end_matches("/extend"), "name": "default",
            "type": "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies",
            "etag": etag, "properties": policy_properties(policy),
        });
        with_header(answer(StatusCode::OK, &body), ETAG.as_str(), etag)
    }

    /// Changes the container's policy, unless `change` says why not.
    fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut Option<Policy>) -> Result<(), Response>,
    ) -> Response {
        let mut state = self.state();
        state.changes += 1;
        let etag = format!("\"8de{:013x}\"", state.changes);
        let container = state.containers.entry(name.to_owned()).or_default();
        if let Err(refusal) = change(&mut container.policy) {
            return refusal;
        }
        if let Some(policy) = &mut container.policy {
            policy.etag = etag;
        }
        let policy = container.policy.clone();
        drop(state);
        self.policy(policy.as_ref())
    }

    /// Refuses a call whose `If-Match` is not the policy's ETag, or is missing
    /// though `required`.
    fn matches(&self, policy: Option<&Policy>, required: bool) -> Result<(), Response> {
        let expected = header(self.headers, "if-match");
        let met = match (expected, policy) {
            (None, _) => !required,
            (Some("*"), policy) => policy.is_some(),
            (Some(etag), policy) => policy.is_some_and(|policy| policy.etag == etag),
        };
        let message = "Operation not allowed on immutability policy with incorrect etag.";
        if met {
            Ok(())
        } else {
            Err(failure(StatusCode::PRECONDITION_FAILED, message))
        }
    }

    fn days(&self) -> Result<u64, Response> {
        let days = self
            .body
            .pointer("/properties/immutabilityPeriodSinceCreationInDays");
        let days = days
            .and_then(Value::as_u64)
            .filter(|days| (1..=MAX_DAYS).contains(days));
        days.ok_or_else(|| {
            let message =
                "Values for request parameters are invalid: immutabilityPeriodSinceCreationInDays.";
            error(
                StatusCode::BAD_REQUEST,
                "InvalidValuesForRequestParameters",
                message,
            )
        })
    }

    fn put_policy(&self, name: &str) -> Response {
        self.change(name, |policy| {
            self.matches(policy.as_ref(), false)?;
            unlocked(policy.as_ref())?;
            let append = self.body.pointer("/properties/allowProtectedAppendWrites");
            *policy = Some(Policy {
                days: self.days()?,
                locked: false,
                append_writes: append == Some(&Value::Bool(true)),
                extensions: 0,
                etag: String::new(),
            });
            Ok(())
        })
    }

    fn delete_policy(&self, name: &str) -> Response {
        self.change(name, |policy| {
            self.matches(policy.as_ref(), true)?;
            unlocked(policy.as_ref())?;
            *policy = None;
            Ok(())
        })
    }

    fn lock_policy(&self, name: &str) -> Response {
        self.change(name, |policy| {
            self.matches(policy.as_ref(), true)?;
            let message = "There is no immutability policy to lock.";
            let policy = policy
                .as_mut()
                .ok_or_else(|| failure(StatusCode::CONFLICT, message))?;
            policy.locked = true;
            Ok(())
        })
    }

    fn extend_policy(&self, name: &str) -> Response {
        self.change(name, |policy| {
            self.matches(policy.as_ref(), true)?;
            let refuse = |message| Err(failure(StatusCode::CONFLICT, message));
            let days = self.days()?;
            match policy {
                Some(policy) if policy.locked && policy.extensions >= MAX_EXTENSIONS => {
                    refuse("The immutability policy was extended as often as it may be.")
                }
                Some(policy) if policy.locked && days >= policy.days => {
                    policy.days = days;
                    policy.extensions += 1;
                    Ok(())
                }
                Some(policy) if policy.locked => {
                    refuse("A locked immutability policy cannot be shortened.")
                }
                _ => refuse("Only a locked immutability policy is extended."),
            }
        })
    }

    fn hold(&self, name: &str, set: bool) -> Response {
        let tags = self
            .body
            .get("tags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let tags: Vec<String> = tags.filter_map(Value::as_str).map(str::to_owned).collect();
        if tags.is_empty() {
            return error(
                StatusCode::BAD_REQUEST,
                "InvalidValuesForRequestParameters",
                "Values for request parameters are invalid: tags.",
            );
        }
        let body = self.accounts.change(name, |container| {
            container.hold_tags.retain(|tag| !tags.contains(tag));
            if set {
                container.hold_tags.extend(tags);
            }
            legal_hold(container)
        });
        answer(StatusCode::OK, &body)
    }
}

impl Accounts {
    fn diagnostics(
        &self,
        method: &Method,
        scope: &str,
        name: Option<&str>,
        body: Value,
    ) -> Response {
        let mut state = lock(&self.state);
        let settings = state.diagnostics.entry(scope.to_owned()).or_default();
        match (method.as_str(), name) {
            ("GET", None) => answer(
                StatusCode::OK,
                &json!({"value": settings.values().collect::<Vec<_>>()}),
            ),
            ("GET", Some(name)) => match settings.get(name) {
                Some(setting) => answer(StatusCode::OK, setting),
                None => not_found(name),
            },
            ("PUT", Some(name)) => {
                let setting = json!({
                    "id": format!("{scope}/providers/Microsoft.Insights/diagnosticSettings/{name}"), "name": name,
                    "type": "Microsoft.Insights/diagnosticSettings", "properties": body.get("properties"),
                });
                settings.insert(name.to_owned(), setting.clone());
                answer(StatusCode::OK, &setting)
            }
            ("DELETE", Some(name)) => match settings.remove(name) {
                Some(_) => StatusCode::OK.into_response(),
                None => StatusCode::NO_CONTENT.into_response(),
            },
            _ => not_allowed(),
        }
    }
}

fn unlocked(policy: Option<&Policy>) -> Result<(), Response> {
    let message = "Operation not allowed on a locked immutability policy.";
    match policy {
        Some(policy) if policy.locked => Err(failure(StatusCode::CONFLICT, message)),
        _ => Ok(()),
    }
}

/// Without a policy Resource Manager shows an unlocked one of no days.
fn policy_properties(policy: Option<&Policy>) -> Value {
    json!({
        "immutabilityPeriodSinceCreationInDays": policy.map_or(0, |policy| policy.days),
        "state": if policy.is_some_and(|policy| policy.locked) { "Locked" } else { "Unlocked" },
        "allowProtectedAppendWrites": policy.is_some_and(|policy| policy.append_writes),
    })
}

fn legal_hold(container: &Container) -> Value {
    json!({"hasLegalHold": !container.hold_tags.is_empty(), "tags": container.hold_tags})
}

/// Sets in `settings` what `changes` names.
fn merge(settings: &mut Value, changes: Option<&Value>) {
    let changes = changes
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_else(Map::new);
    for (name, value) in changes {
        settings[name] = value;
    }
}

fn failure(status: StatusCode, message: &str) -> Response {
    error(status, "ContainerImmutabilityPolicyFailure", message)
}

fn not_found(what: &str) -> Response {
    let message = format!("The Resource '{what}' was not found.");
    error(StatusCode::NOT_FOUND, "ResourceNotFound", &message)
}

fn not_allowed() -> Response {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "The stand-in does not know this operation.",
    )
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    answer(
        status,
        &json!({"error": {"code": code, "message": message}}),
    )
}
