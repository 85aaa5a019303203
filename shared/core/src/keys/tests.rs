use proptest::prelude::*;

use super::*;
use crate::worked_example::{LOG_KEY, WITNESS_KEY, log, witness};

/// The encoding of the neutral element.
const NEUTRAL: &str = "0100000000000000000000000000000000000000000000000000000000000000";

fn public(hex: &str) -> [u8; 32] {
    HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
}

/// The vkey of these parts, with the key id that belongs to them.
fn vkey(name: &str, algorithm: u8, public: &[u8]) -> String {
    let key = [&[algorithm], public].concat();
    let digest = Sha256::digest([name.as_bytes(), b"\n", &key].concat());
    format!(
        "{name}+{}+{}",
        HEXLOWER.encode(&digest[..4]),
        BASE64.encode(&key)
    )
}

#[test]
fn verifier_keys_read_as_they_are_written() {
    for (text, kind) in [(LOG_KEY, KeyKind::Log), (WITNESS_KEY, KeyKind::Witness)] {
        let key: VerifierKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        assert_eq!(key.kind(), kind);
        let again = VerifierKey::new(key.name(), kind, key.public()).unwrap();
        assert_eq!(again, key);
        assert_eq!(vkey(key.name(), kind.algorithm(), &key.public()), text);
    }
}

/// The example of C2SP signed-note.
#[test]
fn the_specification_s_key_and_note() {
    let key: VerifierKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
        .parse()
        .unwrap();
    let line: crate::note::SignatureLine = "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
            .parse()
            .unwrap();
    assert!(line.names(&key));
    let signature = line.bytes.as_slice().try_into().unwrap();
    assert!(key.verify(b"This is an example message.\n", signature));
    assert!(!key.verify(b"This is an example message.", signature));
}

#[test]
fn every_change_of_a_verifier_key_is_refused() {
    for at in 0..LOG_KEY.len() {
        assert!(LOG_KEY[..at].parse::<VerifierKey>().is_err());
        for with in [
            b'A',
            b'0',
            b'+',
            b'=',
            b' ',
            b'\n',
            b'z',
            LOG_KEY.as_bytes()[at] ^ 1,
        ] {
            let mut other = LOG_KEY.as_bytes().to_vec();
            other[at] = with;
            let other = String::from_utf8(other).unwrap();
            assert!(
                other == LOG_KEY || other.parse::<VerifierKey>().is_err(),
                "{other}"
            );
        }
    }
    let upper = LOG_KEY.replace("68fa0f8c", "68FA0F8C");
    assert_eq!(upper.parse::<VerifierKey>(), Err(KeyError::Format));
    for more in ["\n", " ", "=", "+", "AA=="] {
        assert!(format!("{LOG_KEY}{more}").parse::<VerifierKey>().is_err());
    }
}

#[test]
fn refusals_say_why() {
    let good = log().key().public();
    let parse = |text: &str| text.parse::<VerifierKey>().unwrap_err();
    assert_eq!(parse(&vkey("n", 0x02, &good)), KeyError::Algorithm(2));
    assert_eq!(parse(&vkey("n", 0x06, &[0; 1312])), KeyError::Algorithm(6));
    assert_eq!(parse(&vkey("", 0x01, &good)), KeyError::Name(String::new()));
    assert_eq!(parse(&vkey("n", 0x01, &good[..31])), KeyError::Format);
    assert_eq!(parse(&vkey("n", 0x01, &[0; 33])), KeyError::Format);
    assert_eq!(
        parse(&LOG_KEY.replace("chain", "chaim")),
        KeyError::Id {
            expected: HEXLOWER.encode(&key_id("example.com/chaim", KeyKind::Log, &good)),
            found: "68fa0f8c".into()
        }
    );
    assert!(vkey("n", 0x04, &good).parse::<VerifierKey>().is_ok());
}

#[test]
fn names_with_spaces_pluses_and_controls_are_refused() {
    let good = log().key().public();
    for name in [
        "",
        "a b",
        "a+b",
        "a\n",
        "\t",
        "a\u{a0}b",
        "a\u{2003}",
        "a\0",
        "\u{1b}[2J",
    ] {
        let refused = VerifierKey::new(name, KeyKind::Log, good);
        assert_eq!(refused, Err(KeyError::Name(name.to_owned())));
    }
    assert!(VerifierKey::new("żółw.example/é", KeyKind::Log, good).is_ok());
}

/// All points of order 1, 2, 4 and 8, and their other encodings.
#[test]
fn weak_and_non_canonical_points_are_refused() {
    for hex in [
        NEUTRAL,
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        // Not canonical, though not of small order: y = p + 3 and y = p + 4.
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // Not on the curve: y = 2.
        "0200000000000000000000000000000000000000000000000000000000000000",
    ] {
        for kind in [KeyKind::Log, KeyKind::Witness] {
            let refused = VerifierKey::new("n", kind, public(hex));
            assert_eq!(refused, Err(KeyError::Point), "{hex}");
        }
        assert_eq!(
            vkey("n", 1, &public(hex)).parse::<VerifierKey>(),
            Err(KeyError::Point)
        );
    }
    // The same points, y = 3 and y = 4, in their canonical encoding: one is on the curve,
    // so the refusals above are not all for want of a point.
    let canonical = [3, 4].map(|y| {
        let mut bytes = [0; 32];
        bytes[0] = y;
        VerifierKey::new("n", KeyKind::Log, bytes).is_ok()
    });
    assert!(canonical.contains(&true));
}

/// Near p = 2^255 - 19 and elsewhere: a point is taken in the one spelling that
/// compression gives it.
#[test]
fn a_point_has_one_spelling() {
    let (mut taken, mut refused) = (0, 0);
    for highest in [0x00, 0x7e, 0x7f, 0x80, 0xfe, 0xff] {
        for between in [0x00, 0xfe, 0xff] {
            for lowest in 0..=255 {
                let mut bytes = [between; 32];
                (bytes[0], bytes[31]) = (lowest, highest);
                let Ok(point) = VerifyingKey::from_bytes(&bytes) else {
                    continue;
                };
                let same = point.to_edwards().compress().to_bytes() == bytes;
                let key = VerifierKey::new("n", KeyKind::Log, bytes);
                assert_eq!(key.is_ok(), same && !point.is_weak(), "{bytes:02x?}");
                if same { taken += 1 } else { refused += 1 }
            }
        }
    }
    assert!(taken > 1000 && refused > 10, "{taken} {refused}");
}

#[test]
fn signatures_hold_over_exactly_their_message() {
    let signer = log();
    let signature = signer.sign(b"message").unwrap();
    assert!(signer.key().verify(b"message", &signature));
    assert!(!signer.key().verify(b"messagf", &signature));
    assert!(!witness().key().verify(b"message", &signature));
    for bit in 0..512 {
        let mut other = signature;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!signer.key().verify(b"message", &other), "bit {bit}");
    }
}

/// S + L is another S to a lax verifier.
#[test]
fn malleable_signatures_are_refused() {
    let signer = log();
    let mut signature = signer.sign(b"message").unwrap();
    let order = public("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert!(!signer.key().verify(b"message", &signature));
}

/// With R the neutral element and S = k·a, the equation of RFC 8032 holds.
#[test]
fn signatures_with_a_small_order_point_are_refused() {
    use ed25519_dalek::Verifier as _;

    let signer = log();
    let neutral = public(NEUTRAL);
    let hash = sha2::Sha512::digest([&neutral, &signer.key().public(), &b"message"[..]].concat());
    let secret = signer.signing.to_scalar();
    let mut response = secret - secret;
    for bit in (0..512).rev() {
        response += response;
        if hash[bit / 8] >> (bit % 8) & 1 == 1 {
            response += secret;
        }
    }
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&neutral);
    signature[32..].copy_from_slice(response.as_bytes());
    let lax = signer
        .key()
        .point
        .verify(b"message", &Signature::from_bytes(&signature));
    assert!(lax.is_ok());
    assert!(!signer.key().verify(b"message", &signature));
}

/// RFC 8032 §7.1, test 2.
#[test]
fn known_signature() {
    let seed = Seed::parse(b"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb\n");
    let signer = SeedSigner::new("n", KeyKind::Log, &seed.unwrap()).unwrap();
    assert_eq!(
        HEXLOWER.encode(&signer.key().public()),
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    );
    assert_eq!(
        HEXLOWER.encode(&signer.sign(&[0x72]).unwrap()),
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    );
}

#[test]
fn seed_files_are_read_strictly() {
    let seed = Seed::from_bytes([0xab; 32]);
    let file = seed.to_file();
    assert_eq!(file.as_str(), format!("{}\n", "ab".repeat(32)));
    assert_eq!(*Seed::parse(file.as_bytes()).unwrap().0, [0xab; 32]);
    let digits = file.trim_end();
    assert!(Seed::parse(digits.as_bytes()).is_ok());
    for bad in [
        String::new(),
        "\n".into(),
        digits[1..].into(),
        format!("{digits}0"),
        format!("{digits}\n\n"),
        format!("{digits}\r\n"),
        format!(" {digits}"),
        format!("{digits} "),
        digits.to_uppercase(),
        digits.replacen('a', "g", 1),
        format!("{}\n", &digits[1..]),
    ] {
        assert_eq!(
            Seed::parse(bad.as_bytes()).unwrap_err(),
            KeyError::Seed,
            "{bad:?}"
        );
    }
}

/// HKDF (RFC 5869) written out: one block, so OKM = HMAC(HMAC(zeros, seed), info ‖ 0x01).
#[test]
fn derived_seeds_follow_hkdf() {
    fn hmac(key: [u8; 32], message: &[u8]) -> [u8; 32] {
        let pad = |with: u8| {
            let mut block = [with; 64];
            block
                .iter_mut()
                .zip(key)
                .for_each(|(pad, byte)| *pad ^= byte);
            block
        };
        let inner = Sha256::digest([&pad(0x36)[..], message].concat());
        Sha256::digest([&pad(0x5c)[..], &inner].concat()).into()
    }
    let seed = Seed::from_bytes([0xab; 32]);
    let extracted = hmac([0; 32], &[0xab; 32]);
    for info in ["", "audit.example.org/aws/0", "audit.example.org/aws/1"] {
        let expected = hmac(extracted, &[info.as_bytes(), &[1]].concat());
        assert_eq!(*seed.derived(info).0, expected, "{info}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let seed = Seed::from_bytes([0xab; 32]);
    let signer = SeedSigner::new("n", KeyKind::Log, &seed).unwrap();
    assert_eq!(format!("{seed:?}"), "Seed(…)");
    assert_eq!(
        format!("{signer:?}"),
        format!("SeedSigner({})", signer.key())
    );
}

#[test]
fn tagged_signatures_name_their_key() {
    let (signer, other) = (log(), witness());
    let signature = signer.sign(b"{}").unwrap();
    let member = tagged_signature(signer.key(), &signature);
    assert!(verify_tagged(signer.key(), b"{}", &member));
    assert!(!verify_tagged(signer.key(), b"{ }", &member));
    assert!(!verify_tagged(other.key(), b"{}", &member));
    // The key under another name has another id.
    let renamed = VerifierKey::new("other", KeyKind::Log, signer.key().public()).unwrap();
    assert!(renamed.verify(b"{}", &signature));
    assert!(!verify_tagged(&renamed, b"{}", &member));
    for at in 0..member.len() {
        assert!(!verify_tagged(signer.key(), b"{}", &member[..at]));
        let mut changed = member.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(!verify_tagged(signer.key(), b"{}", &changed), "{changed}");
    }
    assert!(!verify_tagged(signer.key(), b"{}", &format!("{member}\n")));
}

proptest! {
    #[test]
    fn agrees_with_another_implementation(seed: [u8; 32], name in "[a-z./]{1,12}", message: Vec<u8>) {
        use signed_note::Verifier as _;

        let signer = SeedSigner::new(&name, KeyKind::Log, &Seed::from_bytes(seed)).unwrap();
        let theirs = signed_note::StandardVerifier::new(&signer.key().to_string()).unwrap();
        prop_assert_eq!(theirs.name(), &name);
        prop_assert_eq!(theirs.key_id().to_be_bytes(), signer.key().id());
        prop_assert!(theirs.verify(&message, &signer.sign(&message).unwrap()));
    }

    #[test]
    fn other_texts_are_no_keys(text in "\\PC{0,80}|[a-z]{1,4}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]{44}") {
        prop_assert!(text.parse::<VerifierKey>().is_err());
    }
}
