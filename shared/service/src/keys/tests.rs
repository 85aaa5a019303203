use std::sync::Mutex;

use ed25519_dalek::{Signer as _, SigningKey};

use super::*;

const NAME: &str = "audit.example.org/aws";

/// A key service that answers what it is told to, then signs.
#[derive(Debug)]
struct Service {
    key: SigningKey,
    answers: Mutex<Vec<Result<[u8; 64], SecretError>>>,
}

impl Service {
    fn signer(answers: Vec<Result<[u8; 64], SecretError>>) -> (RemoteSigner, SeedSigner) {
        let seed = [7; 32];
        let local = SeedSigner::new(NAME, KeyKind::Log, &Seed::from_bytes(seed)).unwrap();
        let service = Self {
            key: SigningKey::from_bytes(&seed),
            answers: Mutex::new(answers),
        };
        let remote = RemoteSigner {
            key: countersign_core::keys::Signer::key(&local).clone(),
            remote: Arc::new(service),
        };
        (remote, local)
    }
}

#[async_trait]
impl RemoteKey for Service {
    async fn public_key(&self) -> Result<[u8; 32], SecretError> {
        Ok(self.key.verifying_key().to_bytes())
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SecretError> {
        let told = self.answers.lock().unwrap().pop();
        told.unwrap_or_else(|| Ok(self.key.sign(message).to_bytes()))
    }

    fn max_message_bytes(&self) -> usize {
        100
    }

    fn describe(&self) -> String {
        "kms:test".to_owned()
    }
}

fn busy() -> Result<[u8; 64], SecretError> {
    Err(SecretError::Transient {
        secret: "kms:test".to_owned(),
        cause: "busy".into(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_remote_key_signs_as_its_seed_would_and_after_lost_calls_too() {
    let (remote, local) = Service::signer(vec![busy(), busy()]);
    let message = b"a message";
    let expected = countersign_core::keys::Signer::sign(&local, message).unwrap();
    assert_eq!(remote.sign(message).await.unwrap(), expected);
}

#[tokio::test]
async fn a_signature_that_does_not_hold_never_goes_out() {
    let (remote, _) = Service::signer(vec![Ok([1; 64])]);
    let error = remote.sign(b"a message").await.unwrap_err().to_string();
    assert!(
        error.contains("kms:test") && error.contains("does not hold"),
        "{error}"
    );
}

#[tokio::test]
async fn a_message_that_a_service_does_not_take_is_refused_with_a_way_out() {
    let (remote, _) = Service::signer(Vec::new());
    let error = remote.sign(&[0; 101]).await.unwrap_err().to_string();
    assert!(
        error.contains("101") && error.contains("secret store"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_refuses_or_stays_away_is_told() {
    let refused = SecretError::Refused {
        secret: "kms:test".to_owned(),
        reason: "no permission".to_owned(),
        next: "allow kms:Sign".to_owned(),
    };
    let (remote, _) = Service::signer(vec![Err(refused)]);
    let error = remote.sign(b"x").await.unwrap_err().to_string();
    assert!(error.contains("allow kms:Sign"), "{error}");
    let (remote, _) = Service::signer((0..20).map(|_| busy()).collect());
    assert!(
        remote
            .sign(b"x")
            .await
            .unwrap_err()
            .to_string()
            .contains("busy")
    );
}

/// A secret whose creation may be lost or come second.
#[derive(Debug, Default)]
struct Vault {
    content: Mutex<Option<Vec<u8>>>,
    /// What creating it answers, once it was done.
    answer: Mutex<Option<SecretError>>,
}

#[async_trait]
impl Secret for Vault {
    async fn read(&self, _max_bytes: usize) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        Ok(self.content.lock().unwrap().clone().map(Zeroizing::new))
    }

    async fn create(&self, content: &[u8]) -> Result<(), SecretError> {
        let mut held = self.content.lock().unwrap();
        if held.is_some() {
            return Err(SecretError::Exists {
                secret: self.describe(),
            });
        }
        *held = Some(content.to_vec());
        self.answer.lock().unwrap().take().map_or(Ok(()), Err)
    }

    fn describe(&self) -> String {
        "secret:test".to_owned()
    }
}

#[tokio::test]
async fn a_seed_is_made_once_also_where_the_answer_is_lost() {
    let vault = Vault::default();
    *vault.answer.lock().unwrap() = Some(SecretError::Unknown {
        secret: vault.describe(),
        cause: "cut".into(),
    });
    assert!(make_secret(&vault).await.unwrap());
    let first = vault.content.lock().unwrap().clone();
    assert!(!make_secret(&vault).await.unwrap());
    assert_eq!(*vault.content.lock().unwrap(), first);
    assert!(read_secret(&vault).await.is_ok());
}

#[tokio::test]
async fn a_secret_that_is_missing_or_no_seed_is_told_without_its_content() {
    let vault = Vault::default();
    let error = read_secret(&vault).await.unwrap_err().to_string();
    assert!(error.contains("secret:test does not exist"), "{error}");
    *vault.content.lock().unwrap() = Some(b"hunter2hunter2".to_vec());
    let error = read_secret(&vault).await.unwrap_err().to_string();
    assert!(
        error.contains("no seed") || error.contains("not a seed"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}
