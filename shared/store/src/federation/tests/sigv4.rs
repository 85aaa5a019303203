//! AWS's signature, version 4, made again from what was sent.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A request that says it is signed.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) header: &'a dyn Fn(&str) -> Option<String>,
    pub(super) body: &'a [u8],
}

/// What the signature says of itself.
pub(super) struct Scope {
    pub(super) key_id: String,
    pub(super) region: String,
    pub(super) service: String,
    /// The signed headers.
    pub(super) headers: Vec<String>,
    /// `20261127T230000Z`.
    pub(super) date: String,
}

/// Checks a signature by `secret`, and gives what it covers.
pub(super) fn verify(request: &Signed<'_>, secret: &str) -> Scope {
    let header = |name: &str| (request.header)(name).unwrap_or_else(|| panic!("no {name}"));
    let authorization = header("authorization");
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").unwrap();
    let part = |name: &str| {
        let mut parts = rest.split(", ");
        let found = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name} in {rest}"))
    };
    let credential: Vec<_> = part("Credential").split('/').collect();
    let &[key_id, day, region, service, "aws4_request"] = &*credential else {
        panic!("{credential:?}")
    };
    let date = header("x-amz-date");
    assert!(date.starts_with(day));
    let names: Vec<_> = part("SignedHeaders").split(';').collect();
    let headers: String = names
        .iter()
        .map(|name| format!("{name}:{}\n", header(name).trim()))
        .collect();
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((request.target, ""));
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        if path.is_empty() { "/" } else { path },
        pairs.join("&"),
        names.join(";"),
        HEXLOWER.encode(&Sha256::digest(request.body)),
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{day}/{region}/{service}/aws4_request\n{}",
        HEXLOWER.encode(&Sha256::digest(canonical.as_bytes()))
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, service, "aws4_request", &*to_sign] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    assert_eq!(part("Signature"), HEXLOWER.encode(&key), "{canonical}");
    Scope {
        key_id: key_id.to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        headers: names.into_iter().map(str::to_owned).collect(),
        date,
    }
}
