use super::*;

const FILE: &str = r#"
    domain = "audit.example.org"
    [chain.aws]
    sealed = "file:data/aws/sealed"
    head = "file:data/aws/state"
    key = "file:keys/aws.seed"
    [chain.prod-eu]
    cloud = "azure"
    sealed = "file:data/azure/sealed"
    head = "file:data/azure/state"
    key = "file:/keys/azure.seed"
    shards = 2
    [witness.aws]
    key = "file:keys/aws-witness.seed"
    state = "file:data/aws/state"
    sealed = "file:data/aws/sealed"
"#;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    Settings::parse(text, "countersign.toml", "base".into(), environment)
}

#[test]
fn defaults_paths_and_shards_are_filled_in() {
    let settings = parse(FILE, &[]).unwrap();
    assert_eq!(settings.anchor_grace, Duration::from_secs(900));
    assert_eq!(settings.policy, Path::new("base/countersign.policy"));
    assert_eq!(
        (settings.duplicate_window, settings.max_input_bytes),
        (12, 1 << 30)
    );
    let origins: Vec<_> = settings.chains.iter().map(|chain| &*chain.origin).collect();
    assert_eq!(
        origins,
        [
            "audit.example.org/aws",
            "audit.example.org/prod-eu/0",
            "audit.example.org/prod-eu/1"
        ]
    );
    assert_eq!(
        settings.chains[1].sealed,
        StoreAddress::File("base/data/azure/sealed/0".into())
    );
    assert_eq!(
        settings.chains[1].key,
        KeyAddress::File("/keys/azure.seed".into())
    );
    assert_eq!(settings.chains[1].cloud, Cloud::Azure);
    assert_eq!(
        settings.witnesses[0].key_name,
        "audit.example.org/witness/aws"
    );
    assert_eq!(settings.witnesses[0].chain, "aws");
    assert_eq!(settings.chain_names(), ["aws", "prod-eu"]);
    assert_eq!(settings.quorum(), 1);
}

#[test]
fn the_environment_takes_precedence() {
    let settings = parse(
        FILE,
        &[
            ("COUNTERSIGN_ANCHOR_GRACE", "2h"),
            ("COUNTERSIGN_FAIL_ON", "log-volume, logging-changes"),
            ("COUNTERSIGN_CHAIN_AWS_RETENTION_DAYS", "7"),
            ("COUNTERSIGN_CHAIN_PROD_EU_SHARDS", "1"),
            ("COUNTERSIGN_WITNESS_AWS_STATE", "file:/elsewhere"),
            ("COUNTERSIGN_CONFIG", "x"),
            ("HOME", "y"),
        ],
    )
    .unwrap();
    assert_eq!(settings.anchor_grace, Duration::from_secs(7200));
    assert_eq!(settings.fail_on, ["log-volume", "logging-changes"]);
    assert_eq!(settings.chains[0].retention_days, 7);
    assert_eq!(settings.chains.len(), 2);
    assert_eq!(
        settings.witnesses[0].state,
        StoreAddress::File("/elsewhere".into())
    );
}

#[test]
fn reports_are_left_out_where_another_cloud_seals_them() {
    let text = format!(
        "{FILE}\n[report]\nchain = \"aws\"\nkey = \"awssecret:report\"\nstate = \"file:state\"\n"
    );
    assert!(parse(&text, &[]).unwrap().report.is_some());
    let off = [("COUNTERSIGN_REPORT", "off")];
    assert_eq!(parse(&text, &off).unwrap().report, None);
    assert_eq!(parse(FILE, &off).unwrap().report, None);
    let error = parse(&text, &[("COUNTERSIGN_REPORT", "on")]).unwrap_err();
    assert!(error.to_string().contains("must be `off`"), "{error}");
}

#[test]
fn what_is_not_in_order_is_named() {
    let with = |from: &str, to: &str| FILE.replace(from, to);
    for (text, environment, expected) in [
        (with("domain =", "domian ="), ("", ""), "domian"),
        (
            with("shards = 2", "shards = 0"),
            ("", ""),
            "chain.prod-eu.shards",
        ),
        (
            with("cloud = \"azure\"", "cloud = \"ibm\""),
            ("", ""),
            "chain.prod-eu.cloud",
        ),
        (
            with("file:data/azure/sealed", "file:data/aws/sealed/../x"),
            ("", ""),
            "",
        ),
        (
            with("shards = 2", "origin = \"audit.example.org/aws\""),
            ("", ""),
            "chain.prod-eu.origin",
        ),
        (
            with("key = \"file:/keys/azure.seed\"", "key = \"0a0b\""),
            ("", ""),
            "chain.prod-eu.key",
        ),
        (
            with("file:keys/aws-witness.seed", "file:keys/aws.seed"),
            ("", ""),
            "witness.aws.key",
        ),
        (
            with("audit.example.org", "audit example"),
            ("", ""),
            "domain",
        ),
        ("domain = \"d\"".into(), ("", ""), "[chain.aws]"),
        (
            FILE.into(),
            ("COUNTERSIGN_ANCHOR_GRACE", "15"),
            "anchor_grace",
        ),
        (
            FILE.into(),
            ("COUNTERSIGN_GRACE", "15m"),
            "COUNTERSIGN_GRACE",
        ),
        (
            FILE.into(),
            ("COUNTERSIGN_CHAIN_GCP_KEY", "x"),
            "COUNTERSIGN_CHAIN_GCP_KEY",
        ),
        (
            FILE.into(),
            ("COUNTERSIGN_FAIL_ON", "log-volume,logging-chnages"),
            "logging-chnages",
        ),
        (
            FILE.into(),
            ("COUNTERSIGN_SCRUB_DAYS", "many"),
            "whole number",
        ),
    ] {
        let environment = Some(environment).filter(|(name, _)| !name.is_empty());
        match (parse(&text, environment.as_slice()), expected) {
            (Ok(_), "") => {}
            (Err(error), expected) if !expected.is_empty() => {
                assert!(error.to_string().contains(expected), "{error}");
                assert!(!error.to_string().contains("0a0b"), "{error}");
            }
            (result, expected) => panic!("{expected}: {result:?}"),
        }
    }
}

#[test]
fn an_error_is_one_line_and_repeats_no_key() {
    let seed = "5eed".repeat(16);
    for (text, environment, expected) in [
        (
            FILE.replace("\"file:keys/aws.seed\"", &seed),
            ("", ""),
            "line 6, column 13: ",
        ),
        (
            FILE.replace("\"file:keys/aws.seed\"", &format!("\"{seed}")),
            ("", ""),
            "line 6, column ",
        ),
        (
            FILE.replace("\"file:keys/aws.seed\"", &format!("[\"{seed}\"]")),
            ("", ""),
            "chain.aws",
        ),
        (
            FILE.replace("[chain.aws]", "[chain.\"a\\nb\\u001b[2J\"]"),
            ("", ""),
            "letters, digits",
        ),
        (
            FILE.replace("file:data/aws/sealed", "\\n\\u001b[2J"),
            ("", ""),
            "chain.aws.sealed",
        ),
        (FILE.into(), ("COUNTERSIGN_A\nB", "x"), "COUNTERSIGN_A"),
        (
            FILE.into(),
            ("COUNTERSIGN_CHAIN_AWS_KEY", &seed),
            "chain.aws.key",
        ),
    ] {
        let environment = Some(environment).filter(|(name, _)| !name.is_empty());
        let error = parse(&text, environment.as_slice())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains(char::is_control), "{error:?}");
        assert!(!error.contains(&seed), "{error}");
    }
}

#[test]
fn what_is_no_settings_file_is_not_read() {
    for path in ["/dev/zero", "/"] {
        let error = Settings::load(Path::new(path), []).unwrap_err();
        assert!(error.to_string().contains("not a settings file"), "{error}");
    }
}
