//! A verification's report, sealed: an in-toto statement in a DSSE envelope under
//! `reports/`, so that a report that was mailed can be shown later to be the one
//! that was made.
//!
//! The statement (in-toto v1) names as subjects the policy and each chain's head
//! (digest `rfc6962Sha256`: the Merkle root at `size`), and holds the whole
//! report as predicate. The envelope's signature covers the DSSE v1
//! pre-authentication encoding.

use bytes::Bytes;
use countersign_core::keys::{SignError, VerifierKey};
use countersign_core::time;
use countersign_store::{Retention, SealedStore};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::keys::Signer;
use crate::objects::{WriteError, put_same};
use crate::verify::Report;

/// The type of what is signed.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The type of the predicate: the report as `verify --format json` prints it.
pub const PREDICATE_TYPE: &str = "urn:countersign:verification:v1";

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// A DSSE v1 envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// Base64 of what is signed.
    pub payload: String,
    /// Its type.
    pub payload_type: String,
    /// Who signed it.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature of an [`Envelope`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeSignature {
    /// The key: its verifier key as text. A hint; what is trusted is pinned
    /// elsewhere.
    pub keyid: String,
    /// Base64 of the Ed25519 signature.
    pub sig: String,
}

/// Why a report was not sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// The key cannot sign it.
    #[error("the report cannot be signed: {0}")]
    Sign(#[from] SignError),
    /// It cannot be written.
    #[error("the report was not sealed: {0}")]
    Write(#[from] WriteError),
}

/// Why an envelope does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the sealed report does not hold: {0}")]
pub struct EnvelopeError(&'static str);

/// Signs a report.
///
/// # Errors
/// When the key cannot sign it.
pub async fn sign(report: &Report, signer: &dyn Signer) -> Result<Envelope, SignError> {
    let payload = statement(report);
    let signature = signer.sign(&encoded(PAYLOAD_TYPE, &payload)).await?;
    Ok(Envelope {
        payload: BASE64.encode(&payload),
        payload_type: PAYLOAD_TYPE.to_owned(),
        signatures: vec![EnvelopeSignature {
            keyid: signer.key().to_string(),
            sig: BASE64.encode(&signature),
        }],
    })
}

/// Puts an envelope into a sealed store; gives its key and its bytes.
///
/// # Errors
/// When it is not known to stand there.
pub async fn seal(
    envelope: &Envelope,
    finished_at: &str,
    store: &dyn SealedStore,
    retention: Retention,
) -> Result<(String, Bytes), AttestError> {
    let mut bytes = serde_json::to_vec(envelope).unwrap_or_default();
    bytes.push(b'\n');
    let bytes = Bytes::from(bytes);
    let key = name(finished_at, &bytes);
    put_same(store, &key, &bytes, retention).await?;
    Ok((key, bytes))
}

/// Opens a sealed report; gives the statement.
///
/// # Errors
/// When it is no such envelope, or no signature of `key` holds.
pub fn open(bytes: &[u8], key: &VerifierKey) -> Result<Value, EnvelopeError> {
    let envelope: Envelope =
        serde_json::from_slice(bytes).map_err(|_| EnvelopeError("it is no DSSE envelope"))?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(EnvelopeError("its payload is no in-toto statement"));
    }
    let payload = BASE64
        .decode(envelope.payload.as_bytes())
        .map_err(|_| EnvelopeError("its payload is no base64"))?;
    let message = encoded(PAYLOAD_TYPE, &payload);
    let holds = |signature: &EnvelopeSignature| {
        let bytes = BASE64.decode(signature.sig.as_bytes()).ok();
        let bytes: Option<[u8; 64]> = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.is_some_and(|bytes| key.verify(&message, &bytes))
    };
    if !envelope.signatures.iter().any(holds) {
        return Err(EnvelopeError("no signature of the key holds"));
    }
    serde_json::from_slice(&payload).map_err(|_| EnvelopeError("its payload is no JSON"))
}

/// `reports/20261124T210000Z-0123456789abcdef.dsse.json`: by time, and two of one
/// second are told apart.
fn name(finished_at: &str, bytes: &[u8]) -> String {
    let seconds = time::parse(finished_at).map_or(0, |at| at.unix_millis() / 1000);
    let at = time::from_unix_millis(u64::try_from(seconds).unwrap_or(0) * 1000);
    let compact: String = at
        .chars()
        .take(19)
        .filter(|c| c.is_ascii_alphanumeric())
        .collect();
    let digest = HEXLOWER.encode(&Sha256::digest(bytes)[..8]);
    format!("reports/{compact}Z-{digest}.dsse.json")
}

fn statement(report: &Report) -> Vec<u8> {
    let policy = json!({
        "name": "policy",
        "digest": {"sha256": report.policy.sha256},
    });
    let heads = report.chains.iter().filter_map(|chain| {
        let root = chain.root?;
        Some(json!({
            "name": chain.origin,
            "digest": {"rfc6962Sha256": root.to_hex()},
            "annotations": {"size": chain.size},
        }))
    });
    let subject: Vec<Value> = std::iter::once(policy).chain(heads).collect();
    // The report serializes always: its keys are strings.
    let predicate = serde_json::to_value(report).unwrap_or_default();
    let statement = json!({
        "_type": STATEMENT_TYPE,
        "subject": subject,
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    });
    statement.to_string().into_bytes()
}

/// DSSE v1 §2, the pre-authentication encoding. No signed note and no document of
/// a chain begins so, whichever key signs.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    message.extend_from_slice(payload);
    message
}

#[cfg(test)]
mod tests {
    use countersign_core::keys::{KeyKind, Seed, SeedSigner};
    use countersign_store::memory::MemorySealedStore;

    use super::*;
    use crate::verify::Options;
    use crate::verify::tests::world;

    fn signer(byte: u8) -> SeedSigner {
        let seed = Seed::from_bytes([byte; 32]);
        SeedSigner::new("audit.example.org/report", KeyKind::Log, &seed).unwrap()
    }

    #[test]
    fn what_is_signed_is_the_example_of_dsse() {
        assert_eq!(
            encoded("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[tokio::test]
    async fn a_sealed_report_holds_under_its_key_alone() {
        let report = world(1).await.verified(&Options::default()).await;
        let signer = signer(1);
        let envelope = sign(&report, &signer).await.unwrap();
        let store = MemorySealedStore::new("reports");
        let until = Retention::Until(u64::MAX);
        let (key, bytes) = seal(&envelope, &report.finished_at, &store, until)
            .await
            .unwrap();
        assert!(
            key.starts_with("reports/") && key.ends_with(".dsse.json"),
            "{key}"
        );
        let stored = store.get(&key, 1 << 20).await.unwrap();
        assert_eq!(stored, bytes);
        let own = Signer::key(&signer);
        let statement = open(&stored, own).unwrap();
        assert_eq!(statement["_type"], STATEMENT_TYPE);
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(statement["predicate"], json);
        let heads = statement["subject"].as_array().unwrap();
        assert_eq!(heads.len(), 1 + report.chains.len());
        assert_eq!(heads[1]["name"], report.chains[0].origin);

        let other = self::signer(2);
        assert!(open(&stored, Signer::key(&other)).is_err());
        let mut forged = envelope;
        let payload = String::from_utf8(BASE64.decode(forged.payload.as_bytes()).unwrap()).unwrap();
        let payload = payload.replace("\"verified\"", "\"failed\"  ");
        forged.payload = BASE64.encode(payload.as_bytes());
        let forged = serde_json::to_vec(&forged).unwrap();
        assert_eq!(
            open(&forged, own),
            Err(EnvelopeError("no signature of the key holds"))
        );
    }
}
