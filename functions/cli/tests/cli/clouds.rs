//! What is said where a cloud is not as the settings say: one clear error, of
//! what was tried and what to check, in good time.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use countersign_store::emulators::{Emulators, fresh_name};
use countersign_store::{Expected, Lock};
use countersign_tests::stand_in;
use countersign_tests::stand_ins::azurite::account_sas;

use super::*;

/// Within this time every failure is told.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// When signatures of the blobs end.
const NEVER: &str = "2098-12-31T00:00:00Z";

/// A chain in each cloud, and what the environment must say.
pub struct Over {
    pub clouds: Clouds,
    environment: Vec<(&'static str, String)>,
    /// The name of all buckets, containers and secrets.
    pub name: String,
}

impl Over {
    pub fn new() -> Option<Self> {
        stand_in("STANDIN_S3")?;
        let address = |variable: &str| stand_in(variable).unwrap();
        let name = fresh_name("errors").unwrap();
        let state = format!("{name}-state");
        let keep = Expected {
            retention_days: 365,
            lock: Lock::Governance,
        };
        let off = Expected {
            lock: Lock::Off,
            ..keep
        };
        let runtime = countersign_service::runtime().unwrap();
        runtime.block_on(async {
            let emulators = Emulators::from_environment().unwrap();
            let aws = emulators.aws_administrator().unwrap();
            aws.new_bucket(&name, keep).await.unwrap();
            aws.new_table(&state).await.unwrap();
            let azure = emulators.azure_administrator().unwrap();
            azure.new_container(&name, keep).await.unwrap();
            azure.new_container(&state, off).await.unwrap();
            let gcp = emulators.gcp_administrator().unwrap();
            gcp.new_bucket(&name, keep).await.unwrap();
            gcp.new_bucket(&state, off).await.unwrap();
        });
        let account = "azblob://devstoreaccount1";
        let mut text = "domain = \"audit.example.org\"\n".to_owned();
        for (cloud, sealed, head, key) in [
            (
                "aws",
                format!("s3://{name}"),
                format!("dynamodb://{state}"),
                format!("awssecret:{name}"),
            ),
            (
                "azure",
                format!("{account}/{name}"),
                format!("{account}/{state}"),
                format!("keyvault:vault/{name}"),
            ),
            (
                "gcp",
                format!("gs://{name}"),
                format!("gs://{state}"),
                format!("gcpsecret:projects/emulators/secrets/{name}"),
            ),
        ] {
            text += &format!(
                "[chain.{cloud}]\nsealed = \"{sealed}\"\nhead = \"{head}\"\nkey = \"{key}\"\n\
                 [witness.{cloud}]\nsealed = \"{sealed}\"\nstate = \"{head}\"\nkey = \"file:{cloud}-witness.seed\"\n"
            );
        }
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("countersign.toml"), text).unwrap();
        let over = Self {
            clouds: Clouds(folder),
            environment: vec![
                ("AWS_REGION", "us-east-1".to_owned()),
                ("AWS_ACCESS_KEY_ID", "minioadmin".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "minioadmin".to_owned()),
                ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
                ("AWS_ENDPOINT_URL_S3", address("STANDIN_S3")),
                ("AWS_ENDPOINT_URL", address("STANDIN_AWS")),
                ("AZURE_STORAGE_BLOB_ENDPOINT", address("STANDIN_BLOB")),
                ("AZURE_STORAGE_SAS_TOKEN", account_sas("rwdlac", NEVER)),
                ("AZURE_KEY_VAULT_ENDPOINT", address("STANDIN_KEYVAULT")),
                ("STORAGE_EMULATOR_HOST", address("STANDIN_GCS")),
                (
                    "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER",
                    address("STANDIN_GCP"),
                ),
                ("HOME", "/nonexistent".to_owned()),
            ],
            name,
        };
        Some(over)
    }

    /// Runs with one thing changed in the settings and one in the environment.
    fn run(
        &self,
        arguments: &[&str],
        settings: (&str, &str),
        environment: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        let text = fs::read_to_string(self.clouds.path("countersign.toml")).unwrap();
        assert!(text.contains(settings.0), "{} in {text}", settings.0);
        let changed = text.replace(settings.0, settings.1);
        self.clouds.write("changed.toml", changed.as_bytes());
        let mut command = self.clouds.command(&["--config", "changed.toml"]);
        command
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (*name, value)));
        for (name, value) in environment {
            match *value {
                "" => command.env_remove(name),
                value => command.env(name, value),
            };
        }
        let began = Instant::now();
        let output = run_with(command, new_event().as_bytes());
        let took = began.elapsed();
        let said = stdout(&output) + &stderr(&output);
        assert!(took < TOLD_WITHIN, "{took:?}: {said}");
        (output.status.code(), said)
    }
}

/// An event that was not sealed yet.
fn new_event() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{{\"nth\":{}}}\n", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A server that answers everything so.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut piece) {
                        Ok(0) | Err(_) => return,
                        Ok(bytes) => request.extend_from_slice(&piece[..bytes]),
                    }
                }
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    url
}

#[test]
fn whatever_is_wrong_with_a_cloud_is_one_clear_error() {
    let Some(over) = Over::new() else { return };
    let same = ("domain", "domain");
    // Begun as it should be; from here on one thing is wrong at a time.
    let (status, said) = over.run(&["init"], same, &[]);
    assert_eq!(status, Some(0), "{said}");
    for cloud in CLOUDS {
        let (status, said) = over.run(&["seal", "--chain", cloud, "-"], same, &[]);
        assert_eq!(status, Some(0), "{said}");
    }
    let name = &*over.name;
    let (s3, table) = (format!("s3://{name}"), format!("dynamodb://{name}-state"));
    let container = format!("azblob://devstoreaccount1/{name}\"");
    let state = format!("azblob://devstoreaccount1/{name}-state");
    let (bucket, heads) = (format!("gs://{name}\""), format!("gs://{name}-state"));
    let [aws_key, azure_key, gcp_key] = [
        format!("awssecret:{name}"),
        format!("keyvault:vault/{name}"),
        format!("gcpsecret:projects/emulators/secrets/{name}"),
    ];
    let skewed = answering(
        "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: application/xml\r\n\r\n<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message></Error>",
    );
    let forbidden = answering(
        "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: application/xml\r\n\r\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    );
    let elsewhere = answering(
        "HTTP/1.1 301 Moved Permanently\r\nconnection: close\r\nx-amz-bucket-region: eu-west-1\r\ncontent-type: application/xml\r\n\r\n<Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to access must be addressed using the specified endpoint.</Message></Error>",
    );
    let denied = answering(
        "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n{\"error\":{\"code\":403,\"message\":\"reader does not have storage.objects.list access\",\"errors\":[{\"reason\":\"forbidden\"}]}}",
    );
    let read_only = account_sas("rl", NEVER);
    type Case<'a> = (
        &'a str,
        (&'a str, &'a str),
        Vec<(&'a str, &'a str)>,
        &'a [&'a str],
    );
    let cases: Vec<Case<'_>> = vec![
        (
            "aws",
            (&s3, "s3://no-such-bucket-here"),
            vec![],
            &["s3://no-such-bucket-here", "does not exist", "setting"],
        ),
        (
            "aws",
            same,
            vec![("AWS_ENDPOINT_URL_S3", &forbidden)],
            &["s3://", "AccessDenied", "s3:GetObject", "arn:aws:s3:::"],
        ),
        (
            "aws",
            same,
            vec![("AWS_ENDPOINT_URL_S3", &elsewhere)],
            &["s3://", "eu-west-1", "region"],
        ),
        (
            "aws",
            (&table, "dynamodb://no-such-table"),
            vec![],
            &["dynamodb://no-such-table", "does not exist", "setting"],
        ),
        (
            "aws",
            (&aws_key, "awssecret:no-such-secret"),
            vec![],
            &["awssecret:no-such-secret", "does not exist", "init"],
        ),
        (
            "aws",
            same,
            vec![("AWS_SECRET_ACCESS_KEY", "another")],
            &["s3://", "SignatureDoesNotMatch"],
        ),
        (
            "aws",
            same,
            vec![("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")],
            &["credentials", "AWS_PROFILE"],
        ),
        (
            "aws",
            same,
            vec![("AWS_REGION", "")],
            &["region", "AWS_REGION"],
        ),
        (
            "aws",
            same,
            vec![("AWS_ENDPOINT_URL_S3", &skewed)],
            &["s3://", "RequestTimeTooSkewed", "clock"],
        ),
        (
            "aws",
            same,
            vec![("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")],
            &["s3://", "network", "endpoint"],
        ),
        (
            "aws",
            same,
            vec![("AWS_ENDPOINT_URL_S3", "http://s3.example.org")],
            &["AWS_ENDPOINT_URL_S3", "https"],
        ),
        (
            "azure",
            (&container, "azblob://devstoreaccount1/no-such-container\""),
            vec![],
            &[
                "azblob://devstoreaccount1/no-such-container",
                "does not exist",
                "setting",
            ],
        ),
        (
            "azure",
            (&state, "azblob://devstoreaccount1/no-such-state"),
            vec![],
            &[
                "azblob://devstoreaccount1/no-such-state",
                "does not exist",
                "setting",
            ],
        ),
        (
            "azure",
            (&azure_key, "keyvault:vault/no-such-secret"),
            vec![],
            &["keyvault:vault/no-such-secret", "does not exist", "init"],
        ),
        (
            "azure",
            same,
            vec![("AZURE_STORAGE_SAS_TOKEN", &read_only)],
            &["azblob://", "Storage Blob Data"],
        ),
        (
            "azure",
            same,
            vec![("AZURE_STORAGE_BLOB_ENDPOINT", "http://127.0.0.1:1")],
            &["azblob://", "127.0.0.1:1", "could not be reached"],
        ),
        (
            "gcp",
            (&bucket, "gs://no-such-bucket-here\""),
            vec![],
            &["gs://no-such-bucket-here", "does not exist", "setting"],
        ),
        (
            "gcp",
            (&heads, "gs://no-such-heads-here"),
            vec![],
            &["gs://no-such-heads-here", "does not exist", "setting"],
        ),
        (
            "gcp",
            (&gcp_key, "gcpsecret:projects/emulators/secrets/none"),
            vec![],
            &[
                "gcpsecret:projects/emulators/secrets/none",
                "does not exist",
                "init",
            ],
        ),
        (
            "gcp",
            same,
            vec![("STORAGE_EMULATOR_HOST", &denied)],
            &["gs://", "storage.objects"],
        ),
        (
            "gcp",
            same,
            vec![("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")],
            &["gs://", "127.0.0.1:1", "network"],
        ),
    ];
    let mut missing = Vec::new();
    for (cloud, settings, environment, says) in &cases {
        let (status, said) = over.run(&["seal", "--chain", cloud, "-"], *settings, environment);
        println!("{settings:?} {environment:?}\n    {said}");
        let all = says.iter().all(|says| said.contains(says));
        let errors = said
            .lines()
            .filter(|line| line.contains("countersign: "))
            .count();
        let secret = said.contains("sig=") || said.contains("another");
        if status != Some(2) || !all || errors != 1 || secret {
            missing.push(format!(
                "{settings:?} {environment:?} {says:?}: {status:?}\n{said}"
            ));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n\n"));

    // A verification reports it, and is incomplete.
    let (status, said) = over.run(
        &["verify", "--chain", "aws"],
        same,
        &[("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")],
    );
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("INCOMPLETE") && said.contains(&s3), "{said}");
}
