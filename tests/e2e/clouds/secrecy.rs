//! No seed, key, signature or token is in anything that the jobs say, down to the
//! last line that the clouds' libraries log.

use std::fmt::Debug;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse as _;
use countersign_core::time::from_unix_seconds;
use countersign_service::anchor::anchor;
use countersign_service::chain::Deployment;
use countersign_service::clock::{Clock as _, SystemClock};
use countersign_service::config::Settings;
use countersign_service::init::init;
use countersign_service::keys;
use countersign_service::seal::{Incoming, Job, Sealer};
use countersign_service::stores::{Key, Stores};
use countersign_service::verify::{Options, Verdict, verify};
use countersign_store::KeyAddress;
use countersign_tests::stand_ins::{Local, azurite};
use countersign_tests::{CLOUDS, stand_in};
use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::{Ground, deliveries, domain, emulators, keys as places};
use crate::stand_ins::call;

/// Set for the process that is listened to, to the folder of its settings.
const CHILD: &str = "COUNTERSIGN_TEST_TALKS";

/// What the managed identity of a function gives, and what it wants.
const AZURE_TOKEN: &str = "eyJ0eXAiOiJKV1QifQ.the-token-that-nobody-may-see.c2lnbmVk";
const IDENTITY_HEADER: &str = "8d41d2f0-the-header-of-the-identity-endpoint";

/// Prints everything that is logged, at every level.
struct Loud;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

impl Loud {
    fn say(target: &str, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("LOG {target}"));
        record(&mut line);
        eprintln!("{}", line.0);
    }
}

impl Subscriber for Loud {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        Self::say(span.metadata().target(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        Self::say("", |line| values.record(line));
    }

    fn event(&self, event: &Event<'_>) {
        Self::say(event.metadata().target(), |line| event.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl log::Log for Loud {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        eprintln!("LOG {} {}", record.target(), record.args());
    }

    fn flush(&self) {}
}

/// All jobs over the clouds that the environment names, as a function runs them.
#[tokio::test(flavor = "multi_thread")]
async fn talks_in_a_process_of_its_own() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    tracing::subscriber::set_global_default(Loud).unwrap();
    log::set_logger(&Loud).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let settings = Settings::load(&Path::new(&folder).join("countersign.toml"), []).unwrap();
    let clock = Arc::new(SystemClock);
    let begun = init(&settings, None, None, &*clock).await;
    println!("{begun:?}");
    begun.unwrap();
    let deployment = Deployment::open(settings, None).await.unwrap();
    println!("{deployment:?}");
    for chain in &deployment.chains {
        let signer = keys::chain_signer(&chain.settings, &deployment.stores).await;
        let signer = signer.unwrap();
        println!("{signer:?}");
        let mut sealers = [Sealer::open(chain.clone(), signer, clock.clone(), 12).unwrap()];
        let mut job = Job::new(&mut sealers, 1 << 20);
        for (from, content) in deliveries(&chain.settings.name, 2) {
            let input = Box::new(content);
            let incoming = Incoming {
                from,
                id: None,
                input,
            };
            job.add(incoming).await.unwrap();
        }
        println!("{:?}", job.finish().await.unwrap());
    }
    let report = anchor(&deployment, clock.clone()).await.unwrap();
    println!("{report:?}");
    assert_eq!(report.exit_code(), 0);
    let report = verify(&deployment, &Options::default(), &*clock, &()).await;
    let report = report.unwrap();
    println!("{}\n{report:?}", report.to_text(false));
    println!("{}\n{}", report.to_json(), report.to_html());
    assert_eq!(report.result, Verdict::Verified);
    // And what is said where keys are not as they should be.
    for chain in &deployment.chains {
        let mut other = chain.settings.clone();
        other.origin += "/other";
        let signer = keys::chain_signer(&other, &deployment.stores)
            .await
            .unwrap();
        let refused = Sealer::open(chain.clone(), signer, clock.clone(), 12).err();
        println!("{:?}", refused.unwrap());
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Credentials for a session, as a role has them: access key, secret key, token.
/// The server's own are public and the same word twice.
async fn session() -> [String; 3] {
    let url = std::env::var("STANDIN_S3_DIRECT").unwrap();
    let body = "Action=AssumeRole&Version=2011-06-15&DurationSeconds=3600";
    let hash = HEXLOWER.encode(&Sha256::digest(body));
    let stamp = from_unix_seconds(SystemClock.unix_seconds()).replace(['-', ':'], "");
    let host = url.replace("http://", "");
    let canonical = format!(
        "POST\n/\n\nhost:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{stamp}\n\nhost;x-amz-content-sha256;x-amz-date\n{hash}"
    );
    let scope = format!("{}/us-east-1/sts/aws4_request", &stamp[..8]);
    let digest = HEXLOWER.encode(&Sha256::digest(canonical));
    let mut key = b"AWS4minioadmin".to_vec();
    for part in scope.split('/') {
        key = mac(&key, part);
    }
    let signature = mac(
        &key,
        &format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"),
    );
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=minioadmin/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={}",
        HEXLOWER.encode(&signature)
    );
    let headers = [
        ("host", &*host),
        ("x-amz-content-sha256", &*hash),
        ("x-amz-date", &*stamp),
        ("content-type", "application/x-www-form-urlencoded"),
        ("authorization", &*authorization),
    ];
    let answer = call(&url, "POST", "/", &headers, body).await.is(200);
    ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| {
        let element = answer.element(name);
        assert!(element.len() > 8, "{name}");
        element
    })
}

/// The identity endpoint of a function.
async fn identity() -> Local {
    let answer = |request: Request| async move {
        let header = request.headers().get("x-identity-header");
        assert_eq!(header.unwrap(), IDENTITY_HEADER);
        let expires = (SystemClock.unix_seconds() + 3600).to_string();
        let token =
            json!({"access_token": AZURE_TOKEN, "expires_on": expires, "token_type": "Bearer"});
        ([("content-type", "application/json")], token.to_string()).into_response()
    };
    Local::serve(|_| Router::new().fallback(answer)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_secret_is_said_by_any_job() {
    let Some(emulators) = emulators() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (seeds, witnesses) = (places::secrets("seed"), places::secrets("witness"));
    let mut settings = domain("quiet");
    for (nth, cloud) in CLOUDS.into_iter().enumerate() {
        let ground = Ground::new(&emulators, cloud).await;
        settings += &ground.chain(cloud, &seeds[nth]);
        settings += &ground.witness(cloud, &witnesses[nth]);
    }
    std::fs::write(folder.path().join("countersign.toml"), settings).unwrap();
    let [access_key, secret_key, session_token] = session().await;
    let sas = azurite::account_sas("rwdlac", "2098-12-31T00:00:00Z");
    let signature = sas.rsplit_once("sig=").unwrap().1.to_owned();
    let identity = identity().await;
    let address = |name: &str| stand_in(name).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["AWS_", "AZURE_", "GOOGLE_", "CLOUDSDK_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            child.env_remove(&*name);
        }
    }
    child
        .args(["--exact", "clouds::secrecy::talks_in_a_process_of_its_own"])
        .arg("--nocapture")
        .env(CHILD, folder.path())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", access_key)
        .env("AWS_SECRET_ACCESS_KEY", &secret_key)
        .env("AWS_SESSION_TOKEN", &session_token)
        .env("AWS_ENDPOINT_URL_S3", address("STANDIN_S3"))
        .env("AWS_ENDPOINT_URL", address("STANDIN_AWS"))
        .env("AZURE_STORAGE_BLOB_ENDPOINT", address("STANDIN_BLOB"))
        .env("AZURE_STORAGE_SAS_TOKEN", &sas)
        .env("AZURE_KEY_VAULT_ENDPOINT", address("STANDIN_KEYVAULT"))
        .env("AZURE_RESOURCE_MANAGER_ENDPOINT", address("STANDIN_ARM"))
        .env("AZURE_SUBSCRIPTION_ID", "s")
        .env("AZURE_RESOURCE_GROUP", "g")
        .env("IDENTITY_ENDPOINT", &identity.url)
        .env("IDENTITY_HEADER", IDENTITY_HEADER)
        .env("STORAGE_EMULATOR_HOST", address("STANDIN_GCS"))
        .env(
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER",
            address("STANDIN_GCP"),
        )
        .env(
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER",
            address("STANDIN_GCP"),
        );
    let output = tokio::task::spawn_blocking(move || child.output().unwrap());
    let output = output.await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let end = said.len().saturating_sub(4000);
    assert!(
        output.status.success(),
        "{}",
        &said[said.ceil_char_boundary(end)..]
    );
    // The libraries did log, down to their requests.
    for says in ["LOG aws_", "LOG hyper", "LOG reqwest", "VERIFIED"] {
        assert!(said.contains(says), "{says}: {} bytes", said.len());
    }

    let mut secrets = vec![
        ("the secret access key", secret_key),
        ("the session token", session_token),
        ("the signature of the blobs", signature.clone()),
        (
            "the same, decoded",
            signature
                .replace("%2B", "+")
                .replace("%2F", "/")
                .replace("%3D", "="),
        ),
        ("the identity's token", AZURE_TOKEN.to_owned()),
        ("the identity's header", IDENTITY_HEADER.to_owned()),
    ];
    let stores = Stores::over(&emulators).unwrap();
    for place in seeds.iter().chain(&witnesses) {
        let key = stores
            .key(&KeyAddress::parse(place).unwrap())
            .await
            .unwrap();
        let Some(Key::Secret(secret)) = key else {
            panic!("{place} is a secret")
        };
        let seed = secret.read(128).await.unwrap().unwrap();
        let text = String::from_utf8(seed.to_vec()).unwrap();
        let bytes = HEXLOWER.decode(text.trim().as_bytes()).unwrap();
        assert_eq!(bytes.len(), 32);
        let in_base64 = BASE64.encode(text.as_bytes());
        secrets.push(("a seed", text.trim().to_owned()));
        // But for its end, which depends on what follows.
        secrets.push(("a seed in base64", in_base64[..80].to_owned()));
        secrets.push(("a seed's bytes in base64", BASE64.encode(&bytes)));
        let listed = format!("{:?}", &bytes[..8]);
        secrets.push(("a seed's bytes", listed.trim_matches(['[', ']']).to_owned()));
    }
    for (what, secret) in &secrets {
        let found = said.find(&**secret);
        let before = found.unwrap_or(0).saturating_sub(200);
        let before = &said[said.ceil_char_boundary(before)..found.unwrap_or(0)];
        assert!(found.is_none(), "{what} is said after: {before}");
    }
    println!("{} secrets are not in {} bytes", secrets.len(), said.len());
}
