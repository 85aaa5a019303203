use std::collections::BTreeSet;

use countersign_core::checkpoint::origin_is_valid;
use countersign_service::config::Settings;

/// Settings: the file, then each after a zero byte what the environment sets,
/// without `COUNTERSIGN_` before it.
pub fn config(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.split('\0');
    let file = parts.next().unwrap_or_default();
    let environment: Vec<(String, String)> = parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (format!("COUNTERSIGN_{name}"), value.to_owned())
        })
        .collect();
    let parse = || {
        Settings::parse(
            file,
            "countersign.toml",
            "deployment".into(),
            environment.clone(),
        )
    };
    let settings = match parse() {
        Ok(settings) => settings,
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty());
            assert!(!message.contains('\n'), "{message:?}");
            return;
        }
    };
    assert!(!settings.chains.is_empty());
    let mut origins = BTreeSet::new();
    let mut stores = BTreeSet::new();
    for chain in &settings.chains {
        assert!(origin_is_valid(&chain.origin) && origins.insert(&chain.origin));
        assert!(stores.insert(&chain.sealed));
        assert!(chain.retention_days > 0);
        assert!(
            settings
                .chains_named(&chain.name)
                .any(|found| found == chain)
        );
    }
    for witness in &settings.witnesses {
        let of_own_cloud =
            |chain: &countersign_service::config::ChainSettings| chain.cloud == witness.cloud;
        assert!(settings.chains_named(&witness.chain).any(of_own_cloud));
    }
    assert!(settings.quorum() < 4);
    assert_eq!(settings.chain_names(), parse().unwrap().chain_names());
}
