use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn exact(input: &[u8]) -> Result<String, Reason> {
    let mut canonicalizer = Canonicalizer::exact();
    let canonical = canonicalizer
        .canonicalize(input)
        .map_err(|error| error.reason)?;
    Ok(String::from_utf8(canonical.to_vec()).expect("canonical JSON is UTF-8"))
}

fn jcs(input: &[u8]) -> Result<Vec<u8>, JsonError> {
    Canonicalizer::jcs().canonicalize(input).map(<[u8]>::to_vec)
}

/// A folder of the real test material, if it is there.
fn data(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

fn files(folder: PathBuf) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(path).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn rfc8785_vectors_come_out_byte_for_byte() {
    let Some(folder) = data("jcs/input") else {
        return;
    };
    let inputs = files(folder.clone());
    assert!(inputs.len() >= 6);
    for (name, input) in inputs {
        let wanted = fs::read(folder.join("../output").join(&name)).unwrap();
        let got = jcs(&input).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(&wanted),
            "{name}"
        );
    }
}

#[test]
fn json_test_suite_is_told_apart() {
    let Some(folder) = data("jsontestsuite/test_parsing") else {
        return;
    };
    let (mut valid, mut invalid) = (0, 0);
    for (name, input) in files(folder) {
        let exact = exact(&input);
        match &name[..2] {
            "y_" => {
                valid += 1;
                assert!(scan::is_json(&input), "{name}");
                match exact {
                    Ok(canonical) => {
                        let ours: serde_json::Value = serde_json::from_str(&canonical).unwrap();
                        let theirs: serde_json::Value = serde_json::from_slice(&input).unwrap();
                        let same = |value| serde_json_canonicalizer::to_vec(value).unwrap();
                        assert_eq!(same(&ours), same(&theirs), "{name}");
                    }
                    Err(reason) => assert!(reason.is_inexact(), "{name}: {reason}"),
                }
            }
            "n_" => {
                invalid += 1;
                assert!(!scan::is_json(&input), "{name}");
                assert!(exact.is_err(), "{name}");
            }
            _ => assert!(exact.is_err() || scan::is_json(&input), "{name}"),
        }
    }
    assert!(valid >= 90 && invalid >= 180, "{valid} {invalid}");
}

#[test]
fn what_is_exact_stays_and_what_is_not_is_refused() {
    for (input, canonical) in [
        ("1.0", "1"),
        ("-0", "0"),
        ("-0.0e-5", "0"),
        ("0e999999999999999999999", "0"),
        ("1e2", "100"),
        ("1E+2", "100"),
        ("-1.50", "-1.5"),
        ("1.688560107857E9", "1688560107.857"),
        ("100000000000000000000", "100000000000000000000"),
        ("1000000000000000000000", "1e+21"),
        ("123456789012345680000", "123456789012345680000"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("0.30000000000000004", "0.30000000000000004"),
        (" [ ] ", "[]"),
        ("{ }", "{}"),
        (
            r#""\u00e9\/\ud83d\ude00\u0000\u001F\"""#,
            "\"é/😀\\u0000\\u001f\\\"\"",
        ),
        (
            r##"{"\ufb33":1,"\ud83d\ude00":2,"é":3,"a":4,"":5,"\n":6,"\"":7,"!":8,"#":9}"##,
            "{\"\":5,\"\\n\":6,\"!\":8,\"\\\"\":7,\"#\":9,\"a\":4,\"é\":3,\"😀\":2,\"\u{fb33}\":1}",
        ),
        (
            r#"{"b":{"d":1,"c":[{"z":1,"y":2}]},"a":[]}"#,
            r#"{"a":[],"b":{"c":[{"y":2,"z":1}],"d":1}}"#,
        ),
    ] {
        assert_eq!(exact(input.as_bytes()).as_deref(), Ok(canonical), "{input}");
    }
    for (input, reason) in [
        (r#"{"a":1,"b":2,"\u0061":3}"#, Reason::DuplicateName),
        (r#"{"a":1,"a":1}"#, Reason::DuplicateName),
        (r#"{"":1,"":1}"#, Reason::DuplicateName),
        (r#""\ud800""#, Reason::LoneSurrogate),
        (r#""\udc00\ud800""#, Reason::LoneSurrogate),
        (r#"{"\udfff":1}"#, Reason::LoneSurrogate),
        (r#""\ud800\u0041""#, Reason::LoneSurrogate),
        ("333333333.33333329", Reason::InexactNumber),
        ("9007199254740993", Reason::InexactNumber),
        ("0.1000000000000000000001", Reason::InexactNumber),
        ("1e309", Reason::InexactNumber),
        ("-1e99999999999999999999", Reason::InexactNumber),
        ("1e-400", Reason::InexactNumber),
        ("4e-324", Reason::InexactNumber),
        ("[1,]", Reason::UnexpectedByte),
        ("[1 2]", Reason::UnexpectedByte),
        ("{\"a\":1,}", Reason::UnexpectedByte),
        ("[", Reason::UnexpectedEnd),
        ("", Reason::UnexpectedEnd),
        ("\"\\u00", Reason::UnexpectedEnd),
        ("nul", Reason::UnexpectedEnd),
        ("1 2", Reason::TrailingBytes),
        ("01", Reason::InvalidNumber),
        ("-", Reason::UnexpectedEnd),
        ("1.", Reason::UnexpectedEnd),
        ("1.e1", Reason::InvalidNumber),
        ("\"\t\"", Reason::ControlCharacter),
        (r#""\x""#, Reason::InvalidEscape),
        (r#""\u12g4""#, Reason::InvalidEscape),
    ] {
        assert_eq!(exact(input.as_bytes()), Err(reason), "{input}");
    }
    for input in [
        &b"\"\xff\""[..],
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"\"abcdefgh\xf5\x80\x80\x80\"",
    ] {
        assert_eq!(exact(input), Err(Reason::InvalidUtf8));
    }
}

#[test]
fn depth_is_bounded_for_events_and_unbounded_for_json() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert!(exact(nested(128).as_bytes()).is_ok());
    assert_eq!(exact(nested(129).as_bytes()), Err(Reason::TooDeep));
    assert!(
        Canonicalizer::exact_to_depth(129)
            .canonicalize(nested(129).as_bytes())
            .is_ok()
    );
    assert!(scan::is_json(nested(1_000_000).as_bytes()));
    assert!(!scan::is_json("[".repeat(1_000_000).as_bytes()));
    let objects = [r#"{"a":"#.repeat(100_000), "1".into(), "}".repeat(100_000)].concat();
    assert!(scan::is_json(objects.as_bytes()));
    assert!(jcs("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn every_prefix_of_a_value_ends_too_early() {
    let text = r#" {"a\u00e9\ud83d\ude00":[true,false,null,-1.5e+10,"é\n"],"b":{}}"#.as_bytes();
    assert!(exact(text).is_ok());
    for end in 0..text.len() {
        assert_eq!(exact(&text[..end]), Err(Reason::UnexpectedEnd), "{end}");
        let error = scan::value_end(&text[..end]).unwrap_err();
        assert_eq!((error.reason, error.offset), (Reason::UnexpectedEnd, end));
    }
}

#[test]
fn a_prefix_tells_where_the_value_ends_and_its_members_can_be_asked() {
    let mut canonicalizer = Canonicalizer::exact();
    let input = br#" {"time":"t","nested":{"x": 1},"event\u004eame":"n"} , {"#;
    assert_eq!(canonicalizer.read_prefix(input), Ok(52));
    let parsed = canonicalizer.parsed(input);
    assert_eq!(parsed.spelling(), &input[1..52]);
    assert_eq!(parsed.member("time"), Some(&b"\"t\""[..]));
    assert_eq!(parsed.member("nested"), Some(&b"{\"x\": 1}"[..]));
    assert_eq!(parsed.member("eventName"), Some(&b"\"n\""[..]));
    assert_eq!(parsed.member("x"), None);
    let names: Vec<_> = parsed.members().map(|(name, _)| name).collect();
    assert_eq!(names, [&b"eventName"[..], b"nested", b"time"]);
    let parsed = canonicalizer.read(b"[{\"a\":1}]").unwrap();
    assert_eq!(parsed.canonical(), &b"[{\"a\":1}]"[..]);
    assert_eq!(parsed.member("a"), None);
}

#[test]
fn what_is_canonical_already_is_known_without_writing_it() {
    let mut canonicalizer = Canonicalizer::exact();
    for (text, canonical) in [
        (
            r#"{"a":{"b":[1,{"c":"\"\\\n\u0001é"}],"bb":{}},"aa":1.5e-7}"#,
            true,
        ),
        (r#"{"b":1,"a":2}"#, false),
        (r#"{"a":[{"b":1,"a":2}]}"#, false),
        (r#"{"a" :1}"#, false),
        (r#"{"a": 1}"#, false),
        (r#"{ "a":1}"#, false),
        (r#"{"a":1 }"#, false),
        ("[1, 2]", false),
        ("[ ]", false),
        ("[1.0]", false),
        ("[-0]", false),
        ("[1E2]", false),
        (r#"["\/"]"#, false),
        (r#"["\u000A"]"#, false),
        (r#"["\u001F"]"#, false),
        (r#"["\u0041"]"#, false),
        (r#"{"\u0041":1}"#, false),
        ("[9007199254740992]", true),
    ] {
        let parsed = canonicalizer.read(text.as_bytes()).unwrap();
        let out = parsed.canonical().into_owned();
        assert_eq!(parsed.is_canonical(), canonical, "{text}");
        assert_eq!(out == text.as_bytes(), canonical, "{text}");
        assert!(canonicalizer.read(&out).unwrap().is_canonical(), "{text}");
    }
}

#[test]
fn members_are_ordered_at_every_depth_and_whatever_stands_between_them() {
    for (input, canonical) in [
        (
            r#"{"c":{"z":1,"y":{"b":[{"q":1,"p":2}],"a":0}},"b":{"n":1.0,"m":" "},"a":1}"#,
            r#"{"a":1,"b":{"m":" ","n":1},"c":{"y":{"a":0,"b":[{"p":2,"q":1}]},"z":1}}"#,
        ),
        // Runs that keep their order, moved as a whole.
        (
            r#"{"d":1,"e":{"y":1,"x":2},"f":3,"a":4,"b":[ ],"c":"\/"}"#,
            r#"{"a":4,"b":[],"c":"/","d":1,"e":{"x":2,"y":1},"f":3}"#,
        ),
        (
            " { \"b\" : 1 , \"c\" : { } ,\n\"a\" : [ 1 , { \"z\" : 1 , \"y\" : 2 } ] } ",
            r#"{"a":[1,{"y":2,"z":1}],"b":1,"c":{}}"#,
        ),
        (
            r#"{"\u0062":1,"\u0061":{"\u0032":1,"1":2}}"#,
            r#"{"a":{"1":2,"2":1},"b":1}"#,
        ),
        (
            r#"{"longer than eight b":1,"longer than eight a":2}"#,
            r#"{"longer than eight a":2,"longer than eight b":1}"#,
        ),
        (r#"{"abc":1,"ab":2,"":3}"#, r#"{"":3,"ab":2,"abc":1}"#),
    ] {
        assert_eq!(exact(input.as_bytes()).unwrap(), canonical);
    }
    for input in [
        r#"{"a":1,"a":2}"#,
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"[{"x":{"é":1,"\u00e9":2}}]"#,
    ] {
        assert_eq!(
            exact(input.as_bytes()),
            Err(Reason::DuplicateName),
            "{input}"
        );
    }
}

#[test]
fn scan_reads_members_as_they_stand() {
    let input = br#" { "a\u0062" : 1e5 , "a" : [ {"b":2} ], "a":"\ud800x" } "#;
    let members: Vec<_> = scan::members(input)
        .map(|(name, value)| {
            (
                scan::string(name).unwrap().into_owned(),
                String::from_utf8_lossy(value),
            )
        })
        .collect();
    assert_eq!(members[0], ("ab".into(), "1e5".into()));
    assert_eq!(members[1], ("a".into(), r#"[ {"b":2} ]"#.into()));
    assert_eq!(members[2].0, "a");
    assert_eq!(scan::string(br#""\ud800x""#).unwrap(), "\u{fffd}x");
    assert_eq!(scan::string(b"12"), None);
    assert_eq!(
        scan::members(b"{}").count() + scan::members(b"[1]").count(),
        0
    );
    assert_eq!(scan::trim(b" \n x y \r"), b"x y");
    assert_eq!(scan::trim(b" \t"), b"");
}

/// SplitMix64: numbers that are the same in every run.
fn numbers(mut seed: u64) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = seed;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some(mixed ^ mixed >> 31)
    })
}

#[test]
fn a_million_doubles_print_as_ecmascript_prints_them() {
    let mut printer = ryu_js::Buffer::new();
    let mut out = Vec::new();
    let mut canonicalizer = Canonicalizer::exact();
    let mut count = 0;
    let specials = [
        0u64,
        1,
        0x8000_0000_0000_0000,
        0x7fef_ffff_ffff_ffff,
        0x0010_0000_0000_0000,
    ];
    for (nth, bits) in specials
        .into_iter()
        .chain(numbers(1))
        .take(1_000_000)
        .enumerate()
    {
        // Every fourth in the range of ordinary numbers.
        let value = match nth % 4 {
            3 => (bits >> 11) as f64 / [1.0, 10.0, 1e3, 1e6, 1e9, 1e12][nth % 6],
            _ => f64::from_bits(bits),
        };
        if !value.is_finite() {
            continue;
        }
        let wanted = printer.format_finite(value);
        out.clear();
        number::push_f64(value, &mut out);
        assert_eq!(std::str::from_utf8(&out).unwrap(), wanted);
        // What ECMAScript prints is exact, and its own canonical spelling.
        assert_eq!(
            canonicalizer.canonicalize(wanted.as_bytes()).unwrap(),
            wanted.as_bytes()
        );
        count += 1;
    }
    assert!(count > 990_000);
}

/// A literal's decimal value: sign, digits without outer zeros, exponent of the last digit.
fn decimal(literal: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = literal.split_once(['e', 'E']).unwrap_or((literal, "0"));
    let (int, frac) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let negative = int.starts_with('-');
    let digits = format!("{}{frac}", int.trim_start_matches('-'));
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return (false, String::new(), 0);
    }
    let exponent: i64 = exponent.parse().unwrap();
    (
        negative,
        kept.into(),
        exponent - frac.len() as i64 + (digits.len() - kept.len()) as i64,
    )
}

fn literal() -> impl Strategy<Value = String> {
    let exponent = prop_oneof![Just(String::new()), "[eE][+-]?[0-9]{1,3}"];
    let frac = prop_oneof![Just(String::new()), "\\.[0-9]{1,22}", "\\.0{1,8}[0-9]{1,4}"];
    (
        "-?(0|[1-9][0-9]{0,24}|[1-9][0-9]{0,8}0{0,20})",
        frac,
        exponent,
    )
        .prop_map(|(int, frac, exponent)| format!("{int}{frac}{exponent}"))
}

/// JSON text in any spelling: white space, escapes, number forms, member order.
fn spelled() -> impl Strategy<Value = String> {
    let space = || "[ \n\r\t]{0,2}";
    let char = prop_oneof![
        4 => any::<char>().prop_filter("needs an escape", |c| *c >= ' ' && *c != '"' && *c != '\\').prop_map(String::from),
        2 => "[a-c]",
        1 => any::<char>().prop_map(|c| {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }),
        1 => "\\\\[\"\\\\/bfnrt]",
    ];
    let string = proptest::collection::vec(char, 0..12)
        .prop_map(|chars| format!("\"{}\"", chars.concat()))
        .boxed();
    let name = string.clone();
    let leaf = prop_oneof![
        literal(),
        string,
        Just("true".into()),
        Just("false".into()),
        Just("null".into())
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let array =
            (proptest::collection::vec(inner.clone(), 0..8), space()).prop_map(|(items, space)| {
                format!("[{space}{}{space}]", items.join(&format!(",{space}")))
            });
        let object = (
            proptest::collection::vec((name.clone(), inner), 0..8),
            space(),
        )
            .prop_map(|(members, space)| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("{name}{space}:{value}{space}"))
                    .collect();
                format!("{{{space}{}{space}}}", members.join(","))
            });
        prop_oneof![array, object]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 10_000 } else { 50_000 }))]

    #[test]
    fn a_number_is_exact_if_its_spelling_keeps_the_value(literal in literal()) {
        let value: f64 = literal.parse().unwrap();
        let kept = value.is_finite() && decimal(ryu_js::Buffer::new().format_finite(value)) == decimal(&literal);
        prop_assert_eq!(exact(literal.as_bytes()).is_ok(), kept, "{}", literal);
    }

    #[test]
    fn any_spelling_agrees_with_the_oracle(text in spelled()) {
        prop_assert!(scan::is_json(text.as_bytes()));
        let ours = jcs(text.as_bytes());
        match serde_json::from_str::<serde_json::Value>(&text) {
            // The oracle keeps the last of two members of one name; we refuse.
            Ok(value) => match ours {
                Ok(ours) => {
                    let theirs = serde_json_canonicalizer::to_vec(&value).unwrap();
                    prop_assert_eq!(String::from_utf8(ours).unwrap(), String::from_utf8(theirs).unwrap());
                }
                Err(error) => prop_assert_eq!(error.reason, Reason::DuplicateName),
            },
            Err(error) => prop_assert!(error.to_string().contains("number out of range"), "{}", error),
        }
        if let Ok(canonical) = exact(text.as_bytes()) {
            prop_assert_eq!(exact(canonical.as_bytes()).unwrap(), canonical.clone(), "not a fixed point");
            prop_assert_eq!(canonical.as_bytes(), &jcs(text.as_bytes()).unwrap()[..]);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_the_two_readers_agree(input in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'['), Just(b'{'), Just(b':'), Just(b','), Just(b']'), Just(b'}'), Just(b'u'), Just(b'1'), any::<u8>()], 0..64)) {
        match exact(&input) {
            Ok(_) => prop_assert!(scan::is_json(&input)),
            Err(reason) => prop_assert!(reason.is_inexact() || !scan::is_json(&input)),
        }
        if scan::is_json(&input) {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&input).is_ok());
        }
    }

    #[test]
    fn a_string_is_written_as_the_oracle_writes_it(text in any::<String>()) {
        let mut out = Vec::new();
        push_string(&text, &mut out);
        prop_assert_eq!(&out, &serde_json::to_vec(&text).unwrap());
        prop_assert_eq!(scan::string(&out).unwrap(), text);
    }
}
