//! The head store over a server that compares and swaps.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use bytes::Bytes;

use super::{access, fresh_name};
use crate::aws::DynamoHeadStore;
use crate::conformance::{self, Scope};
use crate::testing::stand_in;
use crate::{HeadStore, SwapError};

/// A new table with this partition key.
pub(super) async fn new_table(endpoint: &str, key: &str) -> String {
    let name = fresh_name("table");
    let attribute = AttributeDefinition::builder()
        .attribute_name(key)
        .attribute_type(ScalarAttributeType::S);
    let schema = KeySchemaElement::builder()
        .attribute_name(key)
        .key_type(KeyType::Hash);
    access(endpoint)
        .dynamodb(None, "test")
        .unwrap()
        .create_table()
        .table_name(&name)
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(schema.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn head_store_conforms() {
    let Some(endpoint) = stand_in("STANDIN_AWS") else {
        return;
    };
    let table = new_table(&endpoint, "pk").await;
    let heads = DynamoHeadStore::open(&access(&endpoint), &table, None).unwrap();
    assert_eq!(heads.describe(), format!("dynamodb://{table}"));
    let scope = Scope {
        swaps: 10,
        ..Scope::new("suite")
    };
    conformance::head_store(Arc::new(heads), &scope).await;
}

#[tokio::test]
async fn a_missing_table_is_said() {
    let Some(endpoint) = stand_in("STANDIN_AWS") else {
        return;
    };
    let heads = DynamoHeadStore::open(&access(&endpoint), &fresh_name("none"), None).unwrap();
    conformance::missing_head_store(&heads).await;
}

#[tokio::test]
async fn a_table_with_another_key_is_refused() {
    let Some(endpoint) = stand_in("STANDIN_AWS") else {
        return;
    };
    let table = new_table(&endpoint, "id").await;
    let heads = DynamoHeadStore::open(&access(&endpoint), &table, None).unwrap();
    let swapped = heads.swap("h", None, Bytes::new()).await;
    let Err(SwapError::Refused { next, .. }) = &swapped else {
        panic!("{swapped:?}")
    };
    assert!(next.contains("`pk`"), "{next}");
}

#[tokio::test]
async fn a_version_does_not_come_back_when_a_head_is_made_anew() {
    let Some(endpoint) = stand_in("STANDIN_AWS") else {
        return;
    };
    let table = new_table(&endpoint, "pk").await;
    let heads = DynamoHeadStore::open(&access(&endpoint), &table, None).unwrap();
    let one = Bytes::from_static(b"1");
    let before = heads.swap("h", None, one.clone()).await.unwrap();
    let admin = access(&endpoint).dynamodb(None, "test").unwrap();
    admin
        .delete_item()
        .table_name(&table)
        .key("pk", AttributeValue::S("h".to_owned()))
        .send()
        .await
        .unwrap();
    let lost = heads.swap("h", Some(&before), one.clone()).await;
    assert!(matches!(lost, Err(SwapError::Lost { .. })), "{lost:?}");
    let after = heads.swap("h", None, one.clone()).await.unwrap();
    assert_ne!(before, after);
    let lost = heads.swap("h", Some(&before), one).await;
    assert!(matches!(lost, Err(SwapError::Lost { .. })), "{lost:?}");
}
