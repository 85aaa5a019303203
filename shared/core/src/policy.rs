//! Trust policies (C2SP tlog-policy): which logs and witnesses are known, and how many
//! witnesses must have cosigned.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::checkpoint::parse_decimal;
use crate::keys::{KeyError, KeyKind, VerifierKey};

/// The largest policy file that is read, in bytes: 1 MiB.
pub const MAX_POLICY_BYTES: usize = 1 << 20;

/// A log that the policy knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyLog {
    /// Its key; the key's name is the log's origin.
    pub key: VerifierKey,
    /// Where it is found; optional, and its meaning is the application's.
    pub url: Option<String>,
}

/// A witness that the policy knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyWitness {
    /// Its name within the policy, not that of its key.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where it is found; optional, and its meaning is the application's.
    pub url: Option<String>,
}

/// The quorum of a policy that is built: none, or one group of all its witnesses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Quorum {
    /// `quorum none`: a signature by the log is enough.
    None,
    /// `k` of all witnesses.
    Group {
        /// The group's name.
        name: String,
        /// How many must have cosigned.
        k: usize,
    },
    /// All witnesses, written `all`.
    All {
        /// The group's name.
        name: String,
    },
}

/// Known logs, known witnesses, and the quorum.
///
/// Displays as a policy file that parses to an equal policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    /// In the order of their definition, so that members stand before the group.
    groups: Vec<Group>,
    quorum: Option<Member>,
}

/// Why a policy was refused, and in which line (from 1; 0 where no single line is at fault).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", place(.line))]
pub struct PolicyError {
    /// The line, from 1; 0 where no single line is at fault.
    pub line: usize,
    /// What is wrong.
    pub problem: PolicyProblem,
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    /// The file is larger than [`MAX_POLICY_BYTES`].
    #[error("the policy is larger than 1 MiB")]
    TooLarge,
    /// The last line has no line feed.
    #[error("the policy does not end with a line feed: is it cut off?")]
    CutOff,
    /// A control character other than tab and line feed, or names that are not UTF-8.
    #[error("control characters (CR too) and text that is not UTF-8 are not allowed")]
    Characters,
    /// The line is none that a policy has.
    #[error(
        "expected 'log <vkey> [<url>]', 'witness <name> <vkey> [<url>]', 'group <name> <k>|any|all <name>…' or 'quorum <name>'"
    )]
    Line,
    /// A verifier key was refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A witness's key where a log's belongs, or the other way round.
    #[error("the key of {0} is of the wrong type for this line (0x01 in logs, 0x04 in witnesses)")]
    Kind(String),
    /// A key, or a key name, for the second time.
    #[error("the key of {0} stands here for the second time, or a second key has its name")]
    DuplicateKey(String),
    /// A name for the second time, or the reserved name `none`.
    #[error("the name {0:?} is taken")]
    DuplicateName(String),
    /// A name that no line before this one defines.
    #[error("{0:?} is no witness or group of the lines above")]
    UnknownName(String),
    /// A name that is a member of a group already.
    #[error("{0:?} is a member of a group already")]
    MemberTwice(String),
    /// A threshold that is not a number from 1 to the number of members.
    #[error("the threshold {0:?} is not any, all, or a number from 1 to the number of members")]
    Threshold(String),
    /// A second quorum line.
    #[error("a policy has one quorum line; this is a second one")]
    SecondQuorum,
    /// No quorum line.
    #[error("the policy has no quorum line")]
    NoQuorum,
    /// A name that cannot stand in a policy file.
    #[error(
        "{0:?} cannot be a name: it must not be empty, nor hold white space or control characters"
    )]
    Name(String),
}

impl Policy {
    /// Reads a policy file.
    ///
    /// Narrower than the specification in four points: the last line must end with a line
    /// feed (a file that was cut off is noticed), names and URLs are UTF-8, only Ed25519 keys
    /// are known, and no two logs or two witnesses share a key name.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with the first line at fault.
    pub fn parse(file: &[u8]) -> Result<Self, PolicyError> {
        let at = |line| move |problem| PolicyError { line, problem };
        if file.len() > MAX_POLICY_BYTES {
            return Err(at(0)(PolicyProblem::TooLarge));
        }
        let mut parser = Parser::default();
        let mut line_number = 0;
        for line in file.split_inclusive(|&b| b == b'\n') {
            line_number += 1;
            parser.line(line).map_err(at(line_number))?;
        }
        let quorum = parser.quorum.ok_or(at(0)(PolicyProblem::NoQuorum))?;
        let Parser {
            logs,
            witnesses,
            groups,
            ..
        } = parser;
        Ok(Self {
            logs,
            witnesses,
            groups,
            quorum,
        })
    }

    /// A policy of these logs and witnesses (policy name and key), with one group of all
    /// witnesses as its quorum, or none.
    ///
    /// # Errors
    ///
    /// As [`Policy::parse`], for the file that it would be.
    pub fn build(
        logs: Vec<VerifierKey>,
        witnesses: Vec<(String, VerifierKey)>,
        quorum: Quorum,
    ) -> Result<Self, PolicyError> {
        // Through the parser, so that there is one set of rules.
        let mut parser = Parser::default();
        let names: Vec<String> = witnesses.iter().map(|(name, _)| name.clone()).collect();
        let build = || -> Result<Option<Member>, PolicyProblem> {
            for key in logs {
                parser.log(PolicyLog { key, url: None })?;
            }
            for (name, key) in witnesses {
                parser.witness(PolicyWitness {
                    name,
                    key,
                    url: None,
                })?;
            }
            let (name, threshold) = match &quorum {
                Quorum::None => return Ok(None),
                Quorum::Group { name, k } => (name, k.to_string()),
                Quorum::All { name } => (name, "all".to_owned()),
            };
            parser.group(name, &threshold, names.iter().map(String::as_str))?;
            parser.member(name).map(Some)
        };
        let quorum = build().map_err(|problem| PolicyError { line: 0, problem })?;
        let Parser {
            logs,
            witnesses,
            groups,
            ..
        } = parser;
        let policy = Self {
            logs,
            witnesses,
            groups,
            quorum,
        };
        if policy.to_string().len() > MAX_POLICY_BYTES {
            return Err(PolicyError {
                line: 0,
                problem: PolicyProblem::TooLarge,
            });
        }
        Ok(policy)
    }

    /// The known logs, in the order of the file.
    #[must_use]
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The key of the log with this origin.
    #[must_use]
    pub fn log(&self, origin: &str) -> Option<&VerifierKey> {
        self.logs
            .iter()
            .map(|log| &log.key)
            .find(|key| key.name() == origin)
    }

    /// The known witnesses, in the order of the file.
    #[must_use]
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// The witness whose key has this name (which is not its name within the policy).
    #[must_use]
    pub fn witness(&self, key_name: &str) -> Option<&PolicyWitness> {
        self.witnesses
            .iter()
            .find(|witness| witness.key.name() == key_name)
    }

    /// Whether the quorum is reached by the witnesses for which `witnessed` holds. Always, with
    /// `quorum none`.
    pub fn satisfied_by(&self, witnessed: impl Fn(&PolicyWitness) -> bool) -> bool {
        // Groups only refer to earlier ones, so one pass in order settles them all.
        let mut reached: Vec<bool> = Vec::with_capacity(self.groups.len());
        let holds = |member: &Member, reached: &[bool]| match *member {
            Member::Witness(i) => witnessed(&self.witnesses[i]),
            Member::Group(i) => reached[i],
        };
        for group in &self.groups {
            let count = group
                .members
                .iter()
                .filter(|member| holds(member, &reached))
                .count();
            reached.push(count >= group.needed());
        }
        self.quorum
            .as_ref()
            .is_none_or(|member| holds(member, &reached))
    }

    /// The quorum in words: `none`, or such as `2 of 3 (clouds)`.
    #[must_use]
    pub fn describe_quorum(&self) -> String {
        match self.quorum {
            None => "none".to_owned(),
            Some(Member::Witness(i)) => format!("1 of 1 ({})", self.witnesses[i].name),
            Some(Member::Group(i)) => {
                let group = &self.groups[i];
                format!(
                    "{} of {} ({})",
                    group.needed(),
                    group.members.len(),
                    group.name
                )
            }
        }
    }

    fn name(&self, member: &Member) -> &str {
        match *member {
            Member::Witness(i) => &self.witnesses[i].name,
            Member::Group(i) => &self.groups[i].name,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |url: &Option<String>| url.as_ref().map_or_else(String::new, |u| format!(" {u}"));
        for log in &self.logs {
            writeln!(f, "log {}{}", log.key, url(&log.url))?;
        }
        for witness in &self.witnesses {
            writeln!(
                f,
                "witness {} {}{}",
                witness.name,
                witness.key,
                url(&witness.url)
            )?;
        }
        for group in &self.groups {
            write!(f, "group {} {}", group.name, group.threshold)?;
            group
                .members
                .iter()
                .try_for_each(|member| write!(f, " {}", self.name(member)))?;
            writeln!(f)?;
        }
        writeln!(
            f,
            "quorum {}",
            self.quorum
                .as_ref()
                .map_or(NONE, |member| self.name(member))
        )
    }
}

/// The name that stands for no quorum and can name nothing else.
const NONE: &str = "none";

/// A witness or a group, by its place in the policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Member {
    Witness(usize),
    Group(usize),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Group {
    name: String,
    threshold: Threshold,
    members: Vec<Member>,
}

impl Group {
    /// How many members must have witnessed.
    fn needed(&self) -> usize {
        match self.threshold {
            Threshold::Any => 1,
            Threshold::All => self.members.len(),
            Threshold::Number(k) => k,
        }
    }
}

/// As it is spelled, so that a file keeps its meaning when it is edited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Threshold {
    Any,
    All,
    Number(usize),
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::All => f.write_str("all"),
            Self::Number(k) => write!(f, "{k}"),
        }
    }
}

/// Where an error message places its problem.
fn place(line: &usize) -> String {
    if *line == 0 {
        String::new()
    } else {
        format!("line {line}: ")
    }
}

/// A policy as far as it has been read.
#[derive(Default)]
struct Parser {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    /// The outer option: whether there was a quorum line.
    quorum: Option<Option<Member>>,
    names: HashMap<String, Member>,
    /// Names that are members of a group.
    taken: HashSet<String>,
    /// Public keys and key names, of logs and of witnesses.
    keys: HashSet<(KeyKind, [u8; 32])>,
    key_names: HashSet<(KeyKind, String)>,
}

impl Parser {
    fn line(&mut self, line: &[u8]) -> Result<(), PolicyProblem> {
        let line = line.strip_suffix(b"\n").ok_or(PolicyProblem::CutOff)?;
        if line.iter().any(|&b| (b < b' ' && b != b'\t') || b == 0x7f) {
            return Err(PolicyProblem::Characters);
        }
        let mut words = line
            .split(|b| matches!(b, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let mut word = || words.next().map(std::str::from_utf8).transpose();
        // A comment may hold any octets; elsewhere what is not UTF-8 is refused.
        if line.trim_ascii_start().first().is_none_or(|&b| b == b'#') {
            return Ok(());
        }
        let mut items = Vec::new();
        while let Some(item) = word().map_err(|_| PolicyProblem::Characters)? {
            items.push(item);
        }
        let url = |rest: &[&str]| rest.first().map(|&url| url.to_owned());
        match items.as_slice() {
            ["log", key, rest @ ..] if rest.len() < 2 => self.log(PolicyLog {
                key: key.parse()?,
                url: url(rest),
            }),
            ["witness", name, key, rest @ ..] if rest.len() < 2 => {
                let (name, key, url) = ((*name).to_owned(), key.parse()?, url(rest));
                self.witness(PolicyWitness { name, key, url })
            }
            ["group", name, threshold, members @ ..] if !members.is_empty() => {
                self.group(name, threshold, members.iter().copied())
            }
            ["quorum", name] => {
                if self.quorum.is_some() {
                    return Err(PolicyProblem::SecondQuorum);
                }
                let quorum = if *name == NONE {
                    None
                } else {
                    Some(self.member(name)?)
                };
                self.quorum = Some(quorum);
                Ok(())
            }
            _ => Err(PolicyProblem::Line),
        }
    }

    fn log(&mut self, log: PolicyLog) -> Result<(), PolicyProblem> {
        self.claim_key(&log.key, KeyKind::Log)?;
        self.logs.push(log);
        Ok(())
    }

    fn witness(&mut self, witness: PolicyWitness) -> Result<(), PolicyProblem> {
        self.claim_key(&witness.key, KeyKind::Witness)?;
        self.claim_name(&witness.name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(witness);
        Ok(())
    }

    fn group<'a>(
        &mut self,
        name: &str,
        threshold: &str,
        members: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<(), PolicyProblem> {
        let allowed = 1..=members.len();
        let number = || parse_decimal(threshold).and_then(|k| usize::try_from(k).ok());
        let parsed = match threshold {
            "any" => Some(Threshold::Any),
            "all" => Some(Threshold::All),
            _ => number()
                .filter(|k| allowed.contains(k))
                .map(Threshold::Number),
        };
        let threshold = parsed
            .filter(|_| !allowed.is_empty())
            .ok_or_else(|| PolicyProblem::Threshold(threshold.to_owned()))?;
        let mut resolved = Vec::with_capacity(members.len());
        for member in members {
            resolved.push(self.member(member)?);
            // Once in all groups, so that a witness counts in one way only.
            if !self.taken.insert(member.to_owned()) {
                return Err(PolicyProblem::MemberTwice(member.to_owned()));
            }
        }
        self.claim_name(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group {
            name: name.to_owned(),
            threshold,
            members: resolved,
        });
        Ok(())
    }

    fn member(&self, name: &str) -> Result<Member, PolicyProblem> {
        let unknown = || PolicyProblem::UnknownName(name.to_owned());
        self.names.get(name).copied().ok_or_else(unknown)
    }

    fn claim_name(&mut self, name: &str, member: Member) -> Result<(), PolicyProblem> {
        // What the file's own parser splits at or refuses; all else is opaque to it.
        if name.is_empty() || name.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(PolicyProblem::Name(name.to_owned()));
        }
        if name == NONE || self.names.insert(name.to_owned(), member).is_some() {
            return Err(PolicyProblem::DuplicateName(name.to_owned()));
        }
        Ok(())
    }

    fn claim_key(&mut self, key: &VerifierKey, kind: KeyKind) -> Result<(), PolicyProblem> {
        let name = key.name().to_owned();
        if key.kind() != kind {
            return Err(PolicyProblem::Kind(name));
        }
        if name.contains('\x7f') {
            return Err(PolicyProblem::Name(name));
        }
        let new =
            self.keys.insert((kind, key.public())) && self.key_names.insert((kind, name.clone()));
        if new {
            Ok(())
        } else {
            Err(PolicyProblem::DuplicateKey(name))
        }
    }
}

#[cfg(test)]
mod tests {
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
}
