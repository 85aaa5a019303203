//! The shared access signature that Azurite wants.

use azure_core::base64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The account of every Azurite.
pub const ACCOUNT: &str = "devstoreaccount1";

/// Its key, which Azurite's documentation publishes: no secret.
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A signature for the account's blobs with these permissions, until 2099.
pub(crate) fn account_sas(permissions: &str) -> String {
    let (services, kinds, expiry, version) = ("b", "sco", "2099-01-01T00:00:00Z", "2021-12-02");
    let text = format!(
        "{ACCOUNT}\n{permissions}\n{services}\n{kinds}\n\n{expiry}\n\nhttps,http\n{version}\n\n"
    );
    let key = base64::decode(ACCOUNT_KEY).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length is a key");
    mac.update(text.as_bytes());
    let signature = base64::encode(mac.finalize().into_bytes())
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!(
        "sv={version}&ss={services}&srt={kinds}&sp={permissions}&se={expiry}&spr=https,http&sig={signature}"
    )
}
