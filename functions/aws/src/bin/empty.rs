//! A function that does nothing: what `scripts/bench starts` compares with.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> Result<(), Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(lambda_runtime::run(service_fn(
            |_: LambdaEvent<Value>| async { Ok::<_, Error>(Value::Null) },
        )))
}
