//! Which keys a store takes.

/// The longest key that every backend can hold, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// Whether `key` may name an object or a head.
///
/// A valid key has 1 to [`MAX_KEY_BYTES`] bytes of `[A-Za-z0-9._/-]`; its parts
/// (between slashes) are not empty and do not begin with a dot, so that a key
/// is the same path in a bucket and in a folder, and never leaves it.
///
/// ```
/// use countersign_store::key_is_valid;
///
/// assert!(key_is_valid("tile/0/x001/067.p/3"));
/// assert!(!key_is_valid("tile//0"));
/// assert!(!key_is_valid("../genesis.json"));
/// ```
pub fn key_is_valid(key: &str) -> bool {
    key.len() <= MAX_KEY_BYTES
        && key.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        })
}

/// What a refusal of an invalid key says: the reason, and what to do next.
pub(crate) const INVALID_KEY: (&str, &str) = (
    "it is no valid key",
    "use 1 to 1024 of the characters A-Z a-z 0-9 . _ / -, no empty part and none that begins with a dot",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let longest = "k".repeat(MAX_KEY_BYTES);
        for key in [
            "a",
            "genesis.json",
            "segments/00000000000000000000.ndjson.zst",
            "tile/1/x001/234.p/7",
            "A-Z_a.z",
            "a..b",
            longest.as_str(),
        ] {
            assert!(key_is_valid(key), "{key}");
        }
        let too_long = "k".repeat(MAX_KEY_BYTES + 1);
        for key in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/./b",
            "a/../b",
            ".tmp/x",
            "a/.b",
            "a b",
            "a%b",
            "a\\b",
            "a\0",
            "a\n",
            "é",
            too_long.as_str(),
        ] {
            assert!(!key_is_valid(key), "{key:?}");
        }
    }
}
