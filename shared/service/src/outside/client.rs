//! The HTTP side: which place is asked, for how long, and what an answer is worth.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use countersign_core::cosignature::{self, Cosigned};
use countersign_core::keys::{KeyKind, VerifierKey};
use countersign_core::note::{Note, SignatureLine};
use ureq::Agent;
use ureq::http::Uri;
use ureq::http::header::CONTENT_TYPE;

use super::OutsideResult;
use crate::config::{ConfigError, OutsideWitness};

/// A cosignature whose time is further off our clock is not kept: it would stand
/// in the store for good, and contradict the order of times.
const TOLERANCE_SECONDS: u64 = 300;

/// An answer has at most this many bytes.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// How long outside witnesses are waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connect: Duration,
    /// For one request, from looking up the name to the answer's last byte.
    pub(super) request: Duration,
    /// For all requests of one run to one witness: after that it is passed over,
    /// so that a slow one does not take a run's time once per chain.
    pub(super) run: Duration,
}

pub(super) const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    request: Duration::from_secs(20),
    run: Duration::from_secs(60),
};

/// An outside witness during one run.
pub(super) struct Outside {
    /// As the settings give it.
    pub(super) url: String,
    pub(super) endpoint: String,
    pub(super) key: VerifierKey,
    pub(super) agent: Agent,
    pub(super) budget: Duration,
}

/// What a request came to: the status, and what of the answer matters.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) is_size: bool,
    pub(super) body: Vec<u8>,
}

impl Outside {
    pub(super) fn open(
        settings: &OutsideWitness,
        taken: impl Fn(&VerifierKey) -> bool,
        limits: Limits,
    ) -> Result<Self, ConfigError> {
        let invalid = |setting: &str, problem: String| ConfigError::Invalid {
            setting: setting.to_owned(),
            problem,
        };
        let key: VerifierKey = settings
            .vkey
            .parse()
            .map_err(|error| invalid("vkey", format!("{error}")))?;
        if key.kind() != KeyKind::Witness {
            let problem = "is a log's key; a witness's (signature type 0x04) is needed";
            return Err(invalid("vkey", problem.to_owned()));
        }
        if taken(&key) {
            let problem = "is the key of another witness, or has the id of one";
            return Err(invalid("vkey", problem.to_owned()));
        }
        let https_only =
            is_https(&settings.url).map_err(|problem| invalid("url", problem.to_owned()))?;
        let agent = Agent::config_builder()
            .https_only(https_only)
            // What the settings name is asked, and no other place: neither one that
            // an answer names, nor one that the environment does.
            .max_redirects(0)
            .proxy(None)
            .http_status_as_error(false)
            .user_agent("countersign")
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_global(Some(limits.request))
            .build()
            .new_agent();
        Ok(Self {
            url: settings.url.clone(),
            endpoint: format!("{}/add-checkpoint", settings.url.trim_end_matches('/')),
            key,
            agent,
            budget: limits.run,
        })
    }

    /// What an answer is worth: a cosignature and its time, or why there is none.
    pub(super) fn judge(
        &self,
        answer: &Answer,
        note: &Note,
        now_seconds: u64,
    ) -> Result<(SignatureLine, u64), OutsideResult> {
        let said = answer.excerpt();
        let failed = |problem: String| Err(OutsideResult::Failed { problem });
        match answer.status {
            200 => {}
            422 => {
                let problem = format!(
                    "the witness finds that the checkpoint does not continue what it saw (422 {said}): run verify"
                );
                return Err(OutsideResult::Contradiction { problem });
            }
            403 => return failed(format!("it knows another key for this chain (403 {said})")),
            404 => {
                return failed(format!(
                    "it does not know this chain, or the url is not its submission prefix (404 {said})"
                ));
            }
            status => return failed(format!("it answered {status} {said}")),
        }
        let text = String::from_utf8_lossy(&answer.body);
        // Lines of other keys, and of kinds unknown here, are to be ignored.
        let lines = text.lines().filter_map(|line| line.parse().ok());
        let mut problem = "its answer has no cosignature of its configured key";
        let mut newest = None;
        for line in lines.filter(|line: &SignatureLine| line.names(&self.key)) {
            let Ok(alone) = Note::new(note.text().to_owned(), vec![line.clone()]) else {
                continue;
            };
            match cosignature::verify(&self.key, &alone) {
                Cosigned::At(at) if at.abs_diff(now_seconds) > TOLERANCE_SECONDS => {
                    problem = "its clock and ours differ by more than 5 minutes";
                }
                Cosigned::At(at) if newest.as_ref().is_none_or(|(_, other)| at > *other) => {
                    newest = Some((line, at));
                }
                Cosigned::At(_) => {}
                Cosigned::Bad | Cosigned::Absent => problem = "its cosignature does not hold",
            }
        }
        newest.map_or_else(|| failed(problem.to_owned()), Ok)
    }

    pub(super) async fn post(&mut self, body: String) -> Result<Answer, String> {
        if self.budget.is_zero() {
            return Err("passed over: it took too long for other chains in this run".into());
        }
        let begun = Instant::now();
        let (agent, endpoint) = (self.agent.clone(), self.endpoint.clone());
        let answer = tokio::task::spawn_blocking(move || post(&agent, &endpoint, &body)).await;
        self.budget = self.budget.saturating_sub(begun.elapsed());
        match answer {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Answer {
    /// The size in a 409.
    pub(super) fn size(&self) -> Option<u64> {
        let digits = std::str::from_utf8(&self.body).ok()?.strip_suffix('\n')?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        (self.is_size && plain).then(|| digits.parse().ok())?
    }

    /// The beginning of what it said, fit for a terminal.
    pub(super) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let shown: String = text.trim().chars().take(120).collect();
        format!("{shown:?}")
    }
}

fn post(agent: &Agent, endpoint: &str, body: &str) -> Result<Answer, Box<ureq::Error>> {
    let request = agent
        .post(endpoint)
        .content_type("text/plain; charset=utf-8");
    let mut response = request.send(body)?;
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let is_size = kind.split(';').next().map(str::trim) == Some("text/x.tlog.size");
    let limited = response.body_mut().with_config().limit(MAX_ANSWER_BYTES);
    let body = limited.read_to_vec()?;
    let status = response.status().as_u16();
    Ok(Answer {
        status,
        is_size,
        body,
    })
}

/// Whether a submission prefix is asked over TLS; refused if it is not, unless it
/// is on this machine.
pub(super) fn is_https(url: &str) -> Result<bool, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is no URL")?;
    let host = uri.host().filter(|host| !host.is_empty());
    let host = host.ok_or("names no host")?.trim_matches(['[', ']']);
    let user = uri
        .authority()
        .is_some_and(|all| all.as_str().contains('@'));
    if user || uri.query().is_some() || url.contains('#') {
        return Err("must be a prefix without user, query and fragment");
    }
    let address: Option<IpAddr> = host.parse().ok();
    let here = host.eq_ignore_ascii_case("localhost")
        || address.is_some_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(true),
        Some("http") if here => Ok(false),
        Some("http") => {
            Err("must begin with https:// (http:// only for 127.0.0.1, [::1] and localhost)")
        }
        _ => Err("must begin with https://"),
    }
}
