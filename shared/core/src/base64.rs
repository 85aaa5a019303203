//! Strict base64 (RFC 4648 §4).

use data_encoding::BASE64;

/// Decodes standard base64 with padding; each byte string has one spelling.
///
/// The decoder underneath refuses stray bits and missing padding but reads
/// concatenations (`AA==AA==`), which would give a signed object more than one
/// spelling, so padding anywhere but at the end is refused here.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if let Some(padding) = bytes.iter().position(|&b| b == b'=')
        && bytes.len() - padding > 2
    {
        return None;
    }
    BASE64.decode(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_spelling() {
        assert_eq!(decode(""), Some(vec![]));
        assert_eq!(decode("AA=="), Some(vec![0]));
        assert_eq!(decode("AAA="), Some(vec![0, 0]));
        assert_eq!(decode("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for bad in [
            "AB==", "AAB=", "AA", "AA=", "AAA", "A===", "====", "AA==AA==", "AAA=AAAA", "AAA=AAA=",
            "-_-_", " AA==", "AA==\n", "A\nA==", "AA==\0", "ÄA==",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
