//! What Azure Resource Manager says about a storage account: there are no
//! crates of the SDK for it.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{AUTHORIZATION, CONTENT_TYPE};
use azure_core::http::{Method, Request, StatusCode, Url};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use super::failure::one_line;
use super::wire::{Call, Wire};

const HOST: &str = "https://management.azure.com";
const SCOPE: &str = "https://management.azure.com/.default";

/// How long a token is used. All are good for longer; the command line takes a
/// second or more for each.
const TOKEN_USE: Duration = Duration::from_secs(240);

pub(super) const STORAGE_VERSION: &str = "2023-05-01";
const GRAPH_VERSION: &str = "2022-10-01";

/// Reads of one storage account's settings.
#[derive(Debug)]
pub(super) struct Arm {
    wire: Wire,
    credential: Arc<dyn TokenCredential>,
    account: String,
    /// Subscription and resource group, where they were given.
    group: Option<(String, String)>,
    /// The account's resource id, once it was found.
    id: OnceCell<String>,
    token: Mutex<Option<(Instant, AccessToken)>>,
}

/// Why a setting could not be read.
#[derive(Clone, Debug)]
pub(super) struct NotRead {
    pub(super) reason: String,
    /// Whether it is a permission that is missing.
    pub(super) forbidden: bool,
}

impl Arm {
    pub(super) fn new(
        wire: Wire,
        credential: Arc<dyn TokenCredential>,
        account: &str,
        group: Option<(String, String)>,
    ) -> Self {
        Self {
            wire,
            credential,
            account: account.to_owned(),
            group,
            id: OnceCell::new(),
            token: Mutex::default(),
        }
    }

    /// Reads what is at `path` below the account; `None` if there is no such
    /// policy. Any other thing that is not there was looked for in the wrong
    /// place, and is not taken for a policy that is missing.
    pub(super) async fn account(
        &self,
        path: &str,
        api_version: &str,
    ) -> Result<Option<Value>, NotRead> {
        self.locate().await?;
        let id = self.id();
        let url = format!("{HOST}{id}{path}?api-version={api_version}");
        self.send(Method::Get, &url, None).await
    }

    /// Finds the account, unless it was found before.
    pub(super) async fn locate(&self) -> Result<(), NotRead> {
        self.id.get_or_try_init(|| self.find()).await?;
        Ok(())
    }

    /// The account's resource id; empty while it was not found.
    pub(super) fn id(&self) -> &str {
        self.id.get().map_or("", String::as_str)
    }

    async fn find(&self) -> Result<String, NotRead> {
        let account = &self.account;
        if let Some((subscription, group)) = &self.group {
            return Ok(format!(
                "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}"
            ));
        }
        // The name is letters and digits: it cannot end the string.
        let query = format!(
            "resources | where type =~ 'microsoft.storage/storageaccounts' and name =~ '{account}' | project id"
        );
        let url = format!(
            "{HOST}/providers/Microsoft.ResourceGraph/resources?api-version={GRAPH_VERSION}"
        );
        let found = self
            .send(Method::Post, &url, Some(json!({ "query": query })))
            .await?;
        let id = found
            .as_ref()
            .and_then(|found| found["data"][0]["id"].as_str());
        match id.filter(|id| id.starts_with("/subscriptions/") && !id.contains(['?', '#'])) {
            Some(id) => Ok(id.to_owned()),
            None => Err(NotRead {
                reason: format!(
                    "Azure Resource Graph shows this identity no storage account {account}: give it the role Reader on the account, or set AZURE_SUBSCRIPTION_ID and AZURE_RESOURCE_GROUP"
                ),
                forbidden: true,
            }),
        }
    }

    async fn token(&self) -> Result<Secret, NotRead> {
        let mut kept = self.token.lock().await;
        if let Some((since, token)) = &*kept
            && since.elapsed() < TOKEN_USE
        {
            return Ok(token.token.clone());
        }
        let token = self.credential.get_token(&[SCOPE], None).await;
        let token = token.map_err(|error| NotRead {
            reason: format!(
                "there is no token for Azure Resource Manager: {}",
                one_line(&error.to_string())
            ),
            forbidden: false,
        })?;
        let (_, token) = kept.insert((Instant::now(), token));
        Ok(token.token.clone())
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<Value>,
    ) -> Result<Option<Value>, NotRead> {
        let not_read = |reason: String| NotRead {
            reason,
            forbidden: false,
        };
        let url = Url::parse(url).map_err(|_| not_read("the account has no address".to_owned()))?;
        let token = self.token().await?;
        let mut request = Request::new(url, method);
        request.insert_header(AUTHORIZATION, format!("Bearer {}", token.secret()));
        if let Some(body) = body {
            request.insert_header(CONTENT_TYPE, "application/json");
            request.set_body(Bytes::from(body.to_string()));
        }
        let call = Call::new();
        let answer = async {
            let answer = self.wire.send_call(&call, &request).await?;
            answer.try_into_raw_response().await
        };
        let answer = answer
            .await
            .map_err(|error: Error| not_read(error.to_string()))?;
        let parsed = || -> Result<Value, Error> {
            serde_json::from_slice(answer.body())
                .map_err(|error| Error::new(ErrorKind::DataConversion, error))
        };
        match answer.status() {
            StatusCode::NotFound if code_of(answer.body()).ends_with("PolicyNotFound") => Ok(None),
            StatusCode::Forbidden | StatusCode::Unauthorized => Err(NotRead {
                reason: format!(
                    "Azure Resource Manager answered {}",
                    u16::from(answer.status())
                ),
                forbidden: true,
            }),
            status if status.is_success() => match parsed() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(not_read(
                    "Azure Resource Manager answered what is no JSON".to_owned(),
                )),
            },
            status => Err(not_read(format!(
                "Azure Resource Manager answered {} {}",
                u16::from(status),
                code_of(answer.body())
            ))),
        }
    }
}

fn code_of(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(64)
        .collect()
}
