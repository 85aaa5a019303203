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
mod tests;
