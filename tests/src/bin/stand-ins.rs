//! `scripts/services` starts this: all stand-ins, at the addresses that it sets.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use countersign_service::clock::SystemClock;
use countersign_tests::stand_ins;

#[tokio::main]
async fn main() -> ExitCode {
    let addresses: BTreeMap<String, String> = std::env::vars()
        .filter(|(name, _)| name.starts_with("STANDIN_"))
        .collect();
    match stand_ins::serve(&addresses, Arc::new(SystemClock)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stand-ins: {error}");
            ExitCode::FAILURE
        }
    }
}
