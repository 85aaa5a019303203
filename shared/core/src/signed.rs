//! Signed JSON documents: one canonical line whose `signature` member covers the
//! line without it, and whose `countersign` member says what it is.

use serde::{Serialize, de::DeserializeOwned};

use crate::json::{Canonicalizer, JsonError};
use crate::keys::{self, SignError, Signer, VerifierKey};

/// A document that a chain's key signs.
pub trait Document: Serialize + DeserializeOwned {
    /// The value of its `countersign` member.
    const TYPE: &'static str;

    /// Its `countersign` member.
    fn countersign(&self) -> &str;
    /// Its `origin` member.
    fn origin(&self) -> &str;
    /// Its `signature` member.
    fn signature(&self) -> Option<&str>;
    /// Sets its `signature` member.
    fn set_signature(&mut self, signature: Option<String>);
}

/// Why a document does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not JSON, or not with the members that it should have.
    #[error("not a {kind} document: {error}")]
    Members {
        /// The document's type.
        kind: &'static str,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// Not exact JSON.
    #[error("not canonical: {0}")]
    Json(#[from] JsonError),
    /// Another spelling than the canonical one.
    #[error("not in canonical form")]
    NotCanonical,
    /// The `countersign` member names another type.
    #[error("is a `{found}`, not a `{expected}`")]
    Type {
        /// The member's value.
        found: String,
        /// The type that should stand here.
        expected: &'static str,
    },
    /// The document is of another chain.
    #[error("is of the chain `{found}`, not of `{expected}`")]
    Origin {
        /// The member's value.
        found: String,
        /// The chain's origin.
        expected: String,
    },
    /// The signature is missing, of another key or wrong.
    #[error("the signature is not one of the key {0}")]
    Signature(String),
}

/// The canonical line of a value whose members serialize in order.
pub fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    // The types of this crate serialize to JSON always, and with integers below
    // 2^53 always exactly.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut canonicalizer = Canonicalizer::exact();
    match canonicalizer.canonicalize(&text) {
        Ok(canonical) => canonical.to_vec(),
        Err(_) => text,
    }
}

/// The bytes that a document's signature covers.
pub fn message<T: Document>(document: &mut T) -> Vec<u8> {
    document.set_signature(None);
    canonical(document)
}

/// Signs a document; returns its canonical line.
///
/// # Errors
/// When the signer cannot sign.
pub fn sign<T: Document>(document: &mut T, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
    let signature = signer.sign(&message(document))?;
    Ok(with_signature(document, signer.key(), &signature))
}

/// The canonical line of a document with a signature over its [`message`] that
/// was made elsewhere.
pub fn with_signature<T: Document>(
    document: &mut T,
    key: &VerifierKey,
    signature: &[u8; 64],
) -> Vec<u8> {
    document.set_signature(Some(keys::tagged_signature(key, signature)));
    canonical(document)
}

/// Reads a document's line and checks its form, type, chain and signature.
///
/// # Errors
/// The first of these that does not hold.
pub fn open<T: Document>(line: &[u8], key: &VerifierKey) -> Result<T, DocumentError> {
    let mut document: T = read(line)?;
    if document.origin() != key.name() {
        return Err(DocumentError::Origin {
            found: document.origin().to_owned(),
            expected: key.name().to_owned(),
        });
    }
    let signature = document.signature().unwrap_or_default().to_owned();
    if !keys::verify_tagged(key, &message(&mut document), &signature) {
        return Err(DocumentError::Signature(key.to_string()));
    }
    document.set_signature(Some(signature));
    Ok(document)
}

/// Reads a document's line and checks its form and type, not its signature.
///
/// # Errors
/// The first of these that does not hold.
pub fn read<T: Document>(line: &[u8]) -> Result<T, DocumentError> {
    let mut canonicalizer = Canonicalizer::exact();
    let parsed = canonicalizer.read(line)?;
    if !parsed.is_canonical() || parsed.spelling() != line {
        return Err(DocumentError::NotCanonical);
    }
    let document: T = serde_json::from_slice(line).map_err(|error| DocumentError::Members {
        kind: T::TYPE,
        error,
    })?;
    if document.countersign() != T::TYPE {
        return Err(DocumentError::Type {
            found: document.countersign().to_owned(),
            expected: T::TYPE,
        });
    }
    // A member that was left out and one that is null must not sign alike.
    if canonical(&document) != line {
        return Err(DocumentError::NotCanonical);
    }
    Ok(document)
}

/// Implements [`Document`] for a type with the members `countersign`, `origin`
/// and `signature`.
macro_rules! document {
    ($type:ty, $name:literal) => {
        impl $crate::signed::Document for $type {
            const TYPE: &'static str = $name;

            fn countersign(&self) -> &str {
                &self.countersign
            }
            fn origin(&self) -> &str {
                &self.origin
            }
            fn signature(&self) -> Option<&str> {
                self.signature.as_deref()
            }
            fn set_signature(&mut self, signature: Option<String>) {
                self.signature = signature;
            }
        }
    };
}
pub(crate) use document;
