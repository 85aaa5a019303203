//! What is not yet protected, per chain and cloud, in words: the settings, the
//! stores' own settings, and how far the chains are countersigned. Reads little;
//! whether the history holds is for `verify` to say.

use std::collections::BTreeSet;

use countersign_core::names::{self, Object};
use countersign_core::record::Cloud;
use countersign_core::segment::{Delivery, Segment};
use countersign_core::time;
use countersign_store::{
    Expected, GetError, KeyAddress, Knowledge, ListError, Lock, ObjectPages, SettingState,
    StoreAddress,
};

use crate::chain::{Chain, Deployment, Witness};
use crate::clock::Clock;
use crate::find::Numbered;
use crate::head::{Head, load_head};
use crate::objects::{MAX_OBJECT_BYTES, MAX_SMALL_BYTES};
use crate::printable::{printable, wrapped};

/// How old the newest anchor of an idle chain becomes at most, in milliseconds.
const ANCHOR_EVERY_MILLIS: i64 = 3_600_000;

const WIDTH: usize = 80;

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody can remove or change records, or nobody would notice: now.
    Open,
    /// Whether it is protected could not be found out.
    Unknown,
    /// A safeguard that could be there is not.
    Weak,
}

impl Urgency {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Unknown => "unknown",
            Self::Weak => "weak",
        }
    }
}

/// One thing that is not protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub urgency: Urgency,
    /// What is the case, and what follows from it.
    pub what: String,
    /// What mends it.
    pub mend: String,
}

/// What was found about the deployment as a whole, or about one chain.
#[derive(Debug, Clone)]
pub struct Findings {
    /// `deployment`, or the chain's origin.
    pub subject: String,
    /// The chain's cloud.
    pub cloud: Option<Cloud>,
    /// What is not protected, the most urgent first.
    pub remarks: Vec<Remark>,
    /// What is, in a few words each.
    pub holds: Vec<String>,
}

impl Findings {
    fn about(subject: &str, cloud: Option<Cloud>) -> Self {
        Self {
            subject: subject.to_owned(),
            cloud,
            remarks: Vec::new(),
            holds: Vec::new(),
        }
    }

    fn remark(&mut self, urgency: Urgency, what: impl Into<String>, mend: impl Into<String>) {
        self.remarks.push(Remark {
            urgency,
            what: what.into(),
            mend: mend.into(),
        });
    }

    fn holds(&mut self, what: impl Into<String>) {
        self.holds.push(what.into());
    }
}

/// What was found, for people: 80 columns, what is urgent first.
pub fn to_text(all: &[Findings]) -> String {
    let mut text = String::new();
    for Findings {
        subject,
        cloud,
        remarks,
        holds,
    } in all
    {
        let cloud = cloud.map_or_else(String::new, |cloud| format!(" in {cloud}"));
        text += &format!("{}{cloud}\n", printable(subject));
        for remark in remarks {
            paragraph(&mut text, remark.urgency.word(), &remark.what);
            paragraph(&mut text, "", &format!("-> {}", remark.mend));
        }
        for what in holds {
            paragraph(&mut text, "holds", what);
        }
        text.push('\n');
    }
    let count = |urgency| {
        let remarks = all.iter().flat_map(|findings| &findings.remarks);
        remarks.filter(|remark| remark.urgency == urgency).count()
    };
    let [open, unknown, weak] = [Urgency::Open, Urgency::Unknown, Urgency::Weak].map(count);
    text + &format!("{open} open, {unknown} unknown, {weak} weak\n")
}

/// A paragraph beside a word.
fn paragraph(text: &mut String, word: &str, what: &str) {
    const INDENT: usize = 11;
    for (nth, line) in wrapped(what, WIDTH - INDENT).iter().enumerate() {
        let word = if nth == 0 { word } else { "" };
        *text += format!("  {word:<8} {line}").trim_end();
        text.push('\n');
    }
}

/// Looks at a deployment: first as a whole, then each chain.
pub async fn examine(deployment: &Deployment, clock: &dyn Clock) -> Vec<Findings> {
    let mut all = vec![as_a_whole(deployment)];
    for chain in &deployment.chains {
        all.push(of_chain(deployment, chain, clock).await);
    }
    for findings in &mut all {
        findings.remarks.sort_by_key(|remark| remark.urgency);
    }
    all
}

fn as_a_whole(deployment: &Deployment) -> Findings {
    let settings = &deployment.settings;
    let mut found = Findings::about("deployment", None);
    let clouds: BTreeSet<Cloud> = settings.chains.iter().map(|chain| chain.cloud).collect();
    match clouds.len() {
        0 | 1 => found.remark(
            Urgency::Open,
            "all chains stand in one cloud: no independent witness exists, and whoever administers it can make a new history",
            "add a chain and a witness in another cloud, and run `countersign init`",
        ),
        2 => found.remark(
            Urgency::Weak,
            "there are two clouds: each chain has one witness, and whoever administers both can make a new history",
            "add a third cloud",
        ),
        many => found.holds(format!("{many} clouds witness each other")),
    }
    match &settings.report {
        None => found.remark(
            Urgency::Weak,
            "reports are not sealed, and the scheduled verification remembers nothing: a report can be denied later, and each run reads everything",
            "add a [report] to the settings",
        ),
        Some(report) => {
            key_in_folder(&report.key, "reports are signed with", &mut found);
            found.holds(format!("reports are sealed in the store of {}", report.chain));
        }
    }
    match &settings.mail {
        None => found.remark(
            Urgency::Open,
            "nobody is told: a verification that fails or does not run shows in the platform's alarms alone",
            "add a [mail] to the settings",
        ),
        Some(mail) => found.holds(format!("reports are mailed to {}", mail.to.join(", "))),
    }
    if settings.outside_witnesses.is_empty() {
        found.remark(
            Urgency::Weak,
            "no witness outside the clouds sees the heads: whoever administers all of them at once is not caught",
            "name some in `outside_witnesses`",
        );
    }
    for witness in &settings.witnesses {
        let what = format!("the witness {} signs with", witness.name);
        key_in_folder(&witness.key, &what, &mut found);
    }
    found
}

async fn of_chain(deployment: &Deployment, chain: &Chain, clock: &dyn Clock) -> Findings {
    let mut found = Findings::about(chain.origin(), Some(chain.settings.cloud));
    key_in_folder(&chain.settings.key, "the chain signs with", &mut found);
    locks(chain, &mut found).await;
    if begun(chain, &mut found).await {
        let now = i64::try_from(clock.unix_millis()).unwrap_or(i64::MAX);
        let grace = deployment.settings.anchor_grace.as_millis();
        let grace = i64::try_from(grace).unwrap_or(i64::MAX);
        let published = publication(chain, now, grace, &mut found).await;
        for witness in deployment.witnesses_of(chain) {
            let oldest = now.saturating_sub(ANCHOR_EVERY_MILLIS.saturating_add(grace));
            anchors(chain, witness, published, oldest, &mut found).await;
        }
    }
    found
}

/// A seed in a file can be read by whoever reads the folder.
fn key_in_folder(key: &KeyAddress, what: &str, found: &mut Findings) {
    if let KeyAddress::File(path) = key {
        found.remark(
            Urgency::Weak,
            format!(
                "{what} a seed in the file {}: whoever can read it can sign",
                path.display()
            ),
            "keep the key in a secret store or a key service of its own cloud",
        );
    }
}

/// How firmly the store keeps what stands in it.
async fn locks(chain: &Chain, found: &mut Findings) {
    let settings = &chain.settings;
    let local = matches!(settings.sealed, StoreAddress::File(_));
    match settings.lock {
        _ if local => {}
        Lock::Off => found.remark(
            Urgency::Open,
            "nothing is locked (`lock_mode = \"off\"`): what is deleted is missed, but it is gone",
            "set `lock_mode`, once the deployment is more than a trial",
        ),
        Lock::Governance => found.remark(
            Urgency::Weak,
            "locks can be lifted by administrators of the cloud with that permission (`lock_mode = \"governance\"`)",
            "set `lock_mode = \"compliance\"`, once the deployment is final: it cannot be undone",
        ),
        Lock::Compliance => found.holds(format!(
            "objects are locked for {} days, against everybody",
            settings.retention_days
        )),
    }
    let expected = Expected {
        retention_days: settings.retention_days,
        lock: settings.lock,
    };
    let known = match chain.sealed.posture(expected).await {
        Knowledge::Known(known) => known,
        Knowledge::NotApplicable { reason } => {
            return found.remark(
                Urgency::Open,
                format!("the store has no locks: {reason}"),
                "use a store with object locks: s3://, azblob:// or gs://",
            );
        }
    };
    for setting in known {
        match setting.state {
            SettingState::Holds { found: is } => found.holds(format!("{}: {is}", setting.name)),
            SettingState::Weak {
                open,
                found: is,
                why,
                mend,
                ..
            } => found.remark(
                if open { Urgency::Open } else { Urgency::Weak },
                format!("{} is {is}: {why}", setting.name),
                mend,
            ),
            SettingState::Unknown { reason, permission } => found.remark(
                Urgency::Unknown,
                format!("{} could not be read: {reason}", setting.name),
                permission.map_or_else(
                    || "run this again".to_owned(),
                    |permission| format!("give whoever runs this the permission {permission}"),
                ),
            ),
        }
    }
}

/// Whether the chain has begun.
async fn begun(chain: &Chain, found: &mut Findings) -> bool {
    match chain.sealed.get(names::GENESIS, MAX_SMALL_BYTES).await {
        Ok(_) => true,
        Err(GetError::NotFound { .. }) => {
            found.remark(
                Urgency::Open,
                "the chain has not begun: there is no genesis.json, and nothing can be sealed",
                "run `countersign init`",
            );
            false
        }
        Err(error) => {
            unread(
                found,
                "genesis.json",
                &error,
                "see that the store can be read",
            );
            false
        }
    }
}

/// What is sealed, and up to where a checkpoint tells of it.
async fn publication(chain: &Chain, now: i64, grace: i64, found: &mut Findings) -> u64 {
    let head = match load_head(&*chain.head, chain.origin()).await {
        Ok(head) => head.map_or_else(Head::empty, |head| head.value),
        Err(error) => {
            unread(
                found,
                "the head",
                &error,
                "see that the head store can be read; if the head is damaged, run `countersign verify`",
            );
            Head::empty()
        }
    };
    if head.size() == 0 {
        found.remark(
            Urgency::Weak,
            "nothing is sealed yet",
            "see that the cloud's log events reach the seal function",
        );
    }
    let checkpoints = Numbered {
        store: &*chain.sealed,
        folder: "checkpoints/",
    };
    let published = match checkpoints.newest(head.published).await {
        Ok(newest) => newest.unwrap_or(0),
        Err(error) => {
            unread(
                found,
                "the checkpoints",
                &error,
                "see that the store can be listed",
            );
            return 0;
        }
    };
    let size = head.size().max(published);
    let waiting = match oldest_unpublished(chain, &head, published).await {
        Ok(waiting) => waiting,
        Err(error) => {
            unread(
                found,
                "the newest segments",
                &error,
                "run `countersign verify`",
            );
            None
        }
    };
    match waiting {
        Some(sealed_at) if published == 0 || now - sealed_at > grace => found.remark(
            Urgency::Open,
            format!(
                "{} of {size} leaves are not published: they are protected by their own cloud alone",
                size - published
            ),
            "see that `countersign anchor` runs in the chain's cloud every 5 minutes, and that no alarm stops it",
        ),
        _ => found.holds(format!("published up to {published} of {size} leaves")),
    }
    published
}

/// When the first of the unpublished segments was sealed that holds more than
/// anchors: these alone may wait.
async fn oldest_unpublished(
    chain: &Chain,
    head: &Head,
    published: u64,
) -> Result<Option<i64>, String> {
    for start in head.segments.iter().filter(|start| **start >= published) {
        let key = names::segment(*start);
        let object = chain.sealed.get(&key, MAX_OBJECT_BYTES).await;
        let object = object.map_err(|error| error.to_string())?;
        let segment = Segment::open(&object, &chain.key);
        let header = segment.map_err(|error| format!("{key}: {error}"))?.header;
        let own = |delivery: &Delivery| !delivery.from.starts_with("anchors/");
        if header.deliveries.iter().any(own) {
            let sealed_at = time::parse(&header.sealed_at);
            return Ok(Some(sealed_at.map_or(0, |at| at.unix_millis())));
        }
    }
    Ok(None)
}

/// What a witness has countersigned; `oldest` is how old its newest anchor may be.
async fn anchors(
    chain: &Chain,
    witness: &Witness,
    published: u64,
    oldest: i64,
    found: &mut Findings,
) {
    if published == 0 {
        return;
    }
    let name = &witness.settings.name;
    let newest = match newest_anchor(chain, witness, published).await {
        Ok(newest) => newest,
        Err(error) => {
            let what = format!("the anchors of the witness {name}");
            return unread(found, &what, &error, "see that its store can be listed");
        }
    };
    let Some((size, seconds)) = newest else {
        return found.remark(
            Urgency::Open,
            format!("the witness {name} has countersigned nothing"),
            "see that `countersign anchor` runs in its cloud, and can read this chain's store",
        );
    };
    let at = i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    let when = time::from_unix_seconds(seconds);
    if at < oldest {
        found.remark(
            Urgency::Open,
            format!("the witness {name} countersigned last at {when}, up to {size}: what came after is protected by its own cloud alone"),
            "see that `countersign anchor` runs in its cloud every 5 minutes, and that no alarm stops it",
        );
    } else {
        found.holds(format!("countersigned by {name} up to {size} at {when}"));
    }
}

/// Size and time of the newest anchor.
async fn newest_anchor(
    chain: &Chain,
    witness: &Witness,
    published: u64,
) -> Result<Option<(u64, u64)>, ListError> {
    let folder = names::anchors(chain.origin());
    let anchors = Numbered {
        store: &*witness.sealed,
        folder: &folder,
    };
    let Some(size) = anchors.newest(published).await? else {
        return Ok(None);
    };
    let prefix = format!("{folder}{size:020}.");
    let mut pages = ObjectPages::new(&*witness.sealed, &prefix);
    let mut newest = None;
    while let Some(objects) = pages.next().await? {
        for object in objects {
            if let Some(Object::Anchor { seconds, .. }) = Object::parse(&object.key) {
                newest = newest.max(Some((size, seconds)));
            }
        }
    }
    Ok(newest)
}

fn unread(found: &mut Findings, what: &str, error: &dyn std::fmt::Display, mend: &str) {
    found.remark(
        Urgency::Unknown,
        format!("{what} could not be read: {error}"),
        mend,
    );
}

#[cfg(test)]
mod tests;
