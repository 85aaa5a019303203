use proptest::prelude::*;

use super::*;
use crate::keys::{Seed, SeedSigner, Signer};
use crate::worked_example::{LOG_KEY, WITNESS_KEY};

fn key(name: &str, kind: KeyKind, seed: u8) -> VerifierKey {
    let seed = Seed::from_bytes([seed; 32]);
    SeedSigner::new(name, kind, &seed).unwrap().key().clone()
}

fn log(n: u8) -> VerifierKey {
    key(&format!("example.org/log{n}"), KeyKind::Log, n)
}

fn witness(n: u8) -> VerifierKey {
    key(
        &format!("example.org/witness/w{n}"),
        KeyKind::Witness,
        100 + n,
    )
}

/// `log …`, then a line for each of `w1`, `w2` ….
fn head(witnesses: u8) -> String {
    let mut text = format!("log {}\n", log(1));
    for n in 1..=witnesses {
        text += &format!("witness w{n} {}\n", witness(n));
    }
    text
}

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text.as_bytes())
}

fn problem(text: &str) -> (usize, PolicyProblem) {
    let error = parse(text).unwrap_err();
    (error.line, error.problem)
}

/// Whether these witnesses reach the quorum.
fn reached(policy: &Policy, names: &[&str]) -> bool {
    policy.satisfied_by(|witness| names.contains(&witness.name.as_str()))
}

#[test]
fn built_policies_read_as_they_are_written() {
    let logs = vec![log(1), log(2), log(3)];
    let witnesses: Vec<_> = (1..=3).map(|n| (format!("w{n}"), witness(n))).collect();
    for (quorum, end, words) in [
        (Quorum::None, "quorum none\n", "none"),
        (
            Quorum::Group {
                name: "clouds".into(),
                k: 2,
            },
            "group clouds 2 w1 w2 w3\nquorum clouds\n",
            "2 of 3 (clouds)",
        ),
        (
            Quorum::All {
                name: "clouds".into(),
            },
            "group clouds all w1 w2 w3\nquorum clouds\n",
            "3 of 3 (clouds)",
        ),
    ] {
        let policy = Policy::build(logs.clone(), witnesses.clone(), quorum).unwrap();
        let text = policy.to_string();
        assert!(text.ends_with(end), "{text}");
        assert_eq!(
            text.lines().filter(|line| line.starts_with("log ")).count(),
            3
        );
        assert_eq!(parse(&text), Ok(policy.clone()));
        assert_eq!(policy.describe_quorum(), words);
        assert_eq!(policy.log("example.org/log2"), Some(&log(2)));
        assert_eq!(policy.log("example.org/log4"), None);
        assert_eq!(policy.witness("example.org/witness/w2").unwrap().name, "w2");
        assert!(policy.witness("w2").is_none());
    }
}

#[test]
fn what_could_not_be_read_again_is_not_built() {
    let one = |name: &str| vec![(name.to_owned(), witness(1))];
    let group = |k| Quorum::Group {
        name: "g".into(),
        k,
    };
    let build =
        |logs, witnesses, quorum| Policy::build(logs, witnesses, quorum).unwrap_err().problem;
    assert_eq!(
        build(vec![], vec![], group(0)),
        PolicyProblem::Threshold("0".into())
    );
    let all = Quorum::All { name: "g".into() };
    assert_eq!(
        build(vec![], vec![], all),
        PolicyProblem::Threshold("all".into())
    );
    for k in [0, 2, usize::MAX] {
        assert_eq!(
            build(vec![], one("a"), group(k)),
            PolicyProblem::Threshold(k.to_string())
        );
    }
    for name in ["", "a b", "a\n", "a\x7f"] {
        assert_eq!(
            build(vec![], one(name), group(1)),
            PolicyProblem::Name(name.into())
        );
    }
    for name in ["none", "g"] {
        assert_eq!(
            build(vec![], one(name), group(1)),
            PolicyProblem::DuplicateName(name.into())
        );
    }
    let twice = vec![log(1), log(1)];
    let name = log(1).name().to_owned();
    assert_eq!(
        build(twice, vec![], Quorum::None),
        PolicyProblem::DuplicateKey(name)
    );
    let wrong = vec![witness(1)];
    let name = witness(1).name().to_owned();
    assert_eq!(
        build(wrong, vec![], Quorum::None),
        PolicyProblem::Kind(name)
    );
    let odd = vec![key("a\x7fb", KeyKind::Log, 1)];
    assert_eq!(
        build(odd, vec![], Quorum::None),
        PolicyProblem::Name("a\x7fb".into())
    );
    let long = vec![("x".repeat(MAX_POLICY_BYTES), witness(1))];
    assert_eq!(build(vec![], long, group(1)), PolicyProblem::TooLarge);
}

/// The example of the specification: two of X and one of Y.
#[test]
fn groups_of_groups() {
    let text = head(6)
        + "group X-witnesses 2 w1 w2 w3\n\
               group Y-witnesses any w4 w5 w6\n\
               group X-and-Y all X-witnesses Y-witnesses\n\
               quorum X-and-Y\n";
    let policy = parse(&text).unwrap();
    assert_eq!(policy.to_string(), text);
    assert_eq!(policy.describe_quorum(), "2 of 2 (X-and-Y)");
    for (names, expected) in [
        (&[][..], false),
        (&["w1", "w2", "w3"], false),
        (&["w4", "w5", "w6"], false),
        (&["w1", "w4", "w5", "w6"], false),
        (&["w1", "w2", "w6"], true),
        (&["w2", "w3", "w4"], true),
        (&["w1", "w2", "w3", "w4", "w5", "w6"], true),
    ] {
        assert_eq!(reached(&policy, names), expected, "{names:?}");
    }
}

#[test]
fn thresholds_count() {
    for (threshold, needed) in [("any", 1), ("1", 1), ("2", 2), ("3", 3), ("all", 3)] {
        let text = head(3) + &format!("group g {threshold} w1 w2 w3\nquorum g\n");
        let policy = parse(&text).unwrap();
        assert_eq!(policy.to_string(), text);
        for count in 0..=3 {
            let names = &["w1", "w2", "w3"][..count];
            assert_eq!(
                reached(&policy, names),
                count >= needed,
                "{threshold}: {count}"
            );
        }
    }
    let one = parse(&(head(2) + "quorum w2\n")).unwrap();
    assert_eq!(one.describe_quorum(), "1 of 1 (w2)");
    assert!(reached(&one, &["w2"]) && !reached(&one, &["w1"]));
    let none = parse("quorum none\n").unwrap();
    assert!(reached(&none, &[]));
    // A group that is not the quorum asks for nothing.
    let unused = parse(&(head(2) + "group g all w1 w2\nquorum none\n")).unwrap();
    assert!(reached(&unused, &[]));
}

#[test]
fn white_space_comments_and_urls() {
    let text = format!(
        "# a policy\n\n \t \n\t#comment \u{e9}\n  log\t{LOG_KEY}   https://example.com/ \n\
             witness w {WITNESS_KEY} https://w.example/\u{fc}\nquorum \t w\n"
    );
    let policy = parse(&text).unwrap();
    assert_eq!(
        policy.logs()[0].url.as_deref(),
        Some("https://example.com/")
    );
    assert_eq!(
        policy.witnesses()[0].url.as_deref(),
        Some("https://w.example/\u{fc}")
    );
    assert_eq!(parse(&policy.to_string()), Ok(policy));
    // Octets in comments are opaque; names are UTF-8.
    assert!(Policy::parse(b"# \xff\nquorum none\n").is_ok());
    let error = Policy::parse(b"quorum \xff\n").unwrap_err();
    assert_eq!(error.problem, PolicyProblem::Characters);
}

#[test]
fn names_are_not_folded() {
    let text = head(2).replace(" w1 ", " K ").replace(" w2 ", " \u{212a} ");
    let policy = parse(&(text + "group g all K \u{212a}\nquorum g\n")).unwrap();
    assert!(reached(&policy, &["K", "\u{212a}"]) && !reached(&policy, &["K"]));
}

#[test]
fn refusals_name_their_line() {
    let line = |problem: PolicyProblem| move |at: usize| (at, problem.clone());
    let bad_line = line(PolicyProblem::Line);
    let h = head(2);
    for (text, expected) in [
        (String::new(), (0, PolicyProblem::NoQuorum)),
        (h.clone(), (0, PolicyProblem::NoQuorum)),
        ("quorum none".into(), (1, PolicyProblem::CutOff)),
        ("quorum none\r\n".into(), (1, PolicyProblem::Characters)),
        (
            "# \x7f\nquorum none\n".into(),
            (1, PolicyProblem::Characters),
        ),
        ("# \0\nquorum none\n".into(), (1, PolicyProblem::Characters)),
        ("quorum\n".into(), bad_line(1)),
        ("quorum none none\n".into(), bad_line(1)),
        ("quorum none # comment\n".into(), bad_line(1)),
        ("Quorum none\n".into(), bad_line(1)),
        ("\u{a0}quorum none\n".into(), bad_line(1)),
        ("log\n".into(), bad_line(1)),
        (format!("log {LOG_KEY} a b\n"), bad_line(1)),
        (format!("witness {WITNESS_KEY}\n"), bad_line(1)),
        (format!("witness w {WITNESS_KEY} a b\n"), bad_line(1)),
        (format!("{h}group g\n"), bad_line(4)),
        (format!("{h}group g all\n"), bad_line(4)),
        (format!("{h}\n\nmystery\n"), bad_line(6)),
        (
            "quorum none\n\nquorum none\n".into(),
            (3, PolicyProblem::SecondQuorum),
        ),
        (
            "log nonsense\n".into(),
            (1, PolicyProblem::Key(KeyError::Format)),
        ),
        (
            format!("log {WITNESS_KEY}\n"),
            (1, PolicyProblem::Kind("witness.example/w1".into())),
        ),
        (
            format!("witness w {LOG_KEY}\n"),
            (1, PolicyProblem::Kind("example.com/chain".into())),
        ),
        (
            format!("{h}witness w1 {WITNESS_KEY}\n"),
            (4, PolicyProblem::DuplicateName("w1".into())),
        ),
        (
            format!("witness none {WITNESS_KEY}\n"),
            (1, PolicyProblem::DuplicateName("none".into())),
        ),
        (
            format!("{h}group w1 all w2\nquorum w1\n"),
            (4, PolicyProblem::DuplicateName("w1".into())),
        ),
        (
            format!("{h}group none all w2\nquorum w1\n"),
            (4, PolicyProblem::DuplicateName("none".into())),
        ),
        (
            format!("{h}quorum g\n"),
            (4, PolicyProblem::UnknownName("g".into())),
        ),
        (
            format!("{h}quorum g\ngroup g all w1\n"),
            (4, PolicyProblem::UnknownName("g".into())),
        ),
        (
            format!("{h}group g all g\n"),
            (4, PolicyProblem::UnknownName("g".into())),
        ),
        (
            format!("{h}group g all none\n"),
            (4, PolicyProblem::UnknownName("none".into())),
        ),
        (
            format!("{h}group g any w1 w1\n"),
            (4, PolicyProblem::MemberTwice("w1".into())),
        ),
        (
            format!("{h}group g any w1\ngroup h any w1 w2\n"),
            (5, PolicyProblem::MemberTwice("w1".into())),
        ),
    ] {
        assert_eq!(problem(&text), expected, "{text}");
    }
    for threshold in [
        "0",
        "3",
        "-1",
        "+1",
        "01",
        "1.0",
        "most",
        "ALL",
        "99999999999999999999",
    ] {
        let text = format!("{h}group g {threshold} w1 w2\nquorum g\n");
        assert_eq!(
            problem(&text),
            (4, PolicyProblem::Threshold(threshold.into()))
        );
    }
    let error = parse("quorum\n").unwrap_err().to_string();
    assert!(error.starts_with("line 1: expected 'log"), "{error}");
    assert_eq!(
        parse("").unwrap_err().to_string(),
        "the policy has no quorum line"
    );
}

#[test]
fn one_key_and_one_name_each() {
    // The same public key under another name, and another key under the same name.
    let renamed = key("example.org/other", KeyKind::Log, 1);
    let replaced = key("example.org/log1", KeyKind::Log, 7);
    for other in [renamed, replaced] {
        let text = format!("{}log {other}\nquorum none\n", head(0));
        assert_eq!(
            problem(&text),
            (2, PolicyProblem::DuplicateKey(other.name().into()))
        );
    }
    let renamed = key("example.org/other", KeyKind::Witness, 101);
    let replaced = key("example.org/witness/w1", KeyKind::Witness, 7);
    for other in [renamed, replaced] {
        let text = format!("{}witness other {other}\nquorum none\n", head(1));
        assert_eq!(
            problem(&text),
            (3, PolicyProblem::DuplicateKey(other.name().into()))
        );
    }
}

#[test]
fn size_is_capped() {
    let comment = |len: usize| format!("#{}\nquorum none\n", "x".repeat(len - 14));
    assert!(parse(&comment(MAX_POLICY_BYTES)).is_ok());
    assert_eq!(
        problem(&comment(MAX_POLICY_BYTES + 1)),
        (0, PolicyProblem::TooLarge)
    );
}

/// A chain of groups as long as a file can hold is neither slow nor deep.
#[test]
fn long_chains_of_groups() {
    let mut text = head(1) + "group g0 all w1\n";
    for n in 1..40_000 {
        text += &format!("group g{n} 1 g{}\n", n - 1);
    }
    text += "quorum g39999\n";
    let policy = parse(&text).unwrap();
    assert!(reached(&policy, &["w1"]));
    assert!(!reached(&policy, &[]));
}

/// Every truncation and every flipped bit: refused, or a policy that differs.
#[test]
fn every_change_shows() {
    let text = head(3) + "group g1 2 w1 w2 w3\ngroup g12 any g1\nquorum g12\n";
    let policy = parse(&text).unwrap();
    for at in 0..text.len() {
        assert!(
            Policy::parse(&text.as_bytes()[..at]).is_err(),
            "cut at {at}"
        );
        for bit in 0..8 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            // White space is the one thing that has two spellings: a space is not a tab's
            // neighbour by one bit, so no flip gives an equal policy.
            assert_ne!(
                Policy::parse(&bytes),
                Ok(policy.clone()),
                "byte {at}, bit {bit}"
            );
        }
    }
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>, lines in prop::collection::vec("(log|witness|group|quorum|#)( [a-c0-3]{1,2}| any| all| none){0,5}\n?", 0..8)) {
        let _ = Policy::parse(&bytes);
        let text = head(2) + &lines.concat();
        if let Ok(policy) = parse(&text) {
            prop_assert_eq!(parse(&policy.to_string()), Ok(policy));
        }
    }

    /// Random groups, against a count written down as the specification says it.
    #[test]
    fn groups_count_their_members(
        picks in prop::collection::vec((1_usize..4, any::<prop::sample::Index>()), 1..6),
        present in prop::collection::vec(any::<bool>(), 8),
    ) {
        let mut free: Vec<String> = (1..=8).map(|n| format!("w{n}")).collect();
        let mut holds: HashMap<String, bool> = (1..=8)
            .map(|n| (format!("w{n}"), present[n - 1]))
            .collect();
        let mut text = head(8);
        let mut last = String::new();
        for (g, (size, threshold)) in picks.iter().enumerate() {
            if free.len() < *size {
                break;
            }
            let members = free.split_off(free.len() - size);
            let k = 1 + threshold.index(*size);
            last = format!("g{g}");
            text += &format!("group {last} {k} {}\n", members.join(" "));
            let count = members.iter().filter(|member| holds[*member]).count();
            holds.insert(last.clone(), count >= k);
            free.push(last.clone());
        }
        text += &format!("quorum {last}\n");
        let policy = parse(&text).unwrap();
        let reached = policy.satisfied_by(|witness| holds[&witness.name]);
        prop_assert_eq!(reached, holds[&last]);
        prop_assert_eq!(policy.to_string(), text);
    }
}
