//! The codes of findings. They are stable: mails, `fail_on` and other programs
//! name them. The hundreds follow the order of the checks.

use super::checks::Check;
use super::report::Severity::{self, Critical, High, Info, Low, Medium};

/// What every finding of one kind has in common.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) code: &'static str,
    pub(super) check: Check,
    pub(super) severity: Severity,
    /// In words, for people.
    pub(super) title: &'static str,
    /// What to do next.
    pub(super) next: &'static str,
    /// Does not fail its check unless `fail_on` names it.
    pub(super) informs: bool,
}

const RESTORE: &str =
    "keep the store as it is, compare it with a copy, and find out who changed it";
const REWRITTEN: &str = "treat the history as rewritten: keep all stores as they are and compare with the other clouds' anchors";
const RUN_ANCHOR: &str =
    "run `countersign anchor`; if it reports an alarm, find out who changed the store";
const LISTED: &str = "find out who put it there; nothing of this project writes it";

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $check:ident $severity:ident $($informs:ident)?: $title:expr, $next:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: Code = Code {
            code: $code,
            check: Check::$check,
            severity: $severity,
            title: $title,
            next: $next,
            informs: codes!(@informs $($informs)?),
        };)*
    };
    (@informs) => { false };
    (@informs informs) => { true };
}

codes! {
    /// `genesis.json` is not there.
    GENESIS_MISSING = "CS-101" Genesis Critical: "genesis.json is missing", RESTORE;
    /// `genesis.json` does not open under the policy's key.
    GENESIS_INVALID = "CS-102" Genesis Critical: "genesis.json is not signed by the chain", "check that the policy is the pinned one, then find out who replaced the genesis";
    /// The first segment names another genesis.
    GENESIS_REPLACED = "CS-103" Genesis Critical: "genesis.json is not the one that the first segment names", "find out who replaced the genesis";

    /// No head, though segments stand.
    HEAD_MISSING = "CS-201" Head High: "there is no head, though segments stand", "stop sealing, then restore the head from the newest segment's root";
    /// The document in the head store is damaged or of another chain.
    HEAD_DAMAGED = "CS-202" Head High: "the head is damaged", "stop sealing, then restore the head from the newest segment's root";
    /// The head is ahead of all segments.
    HEAD_AHEAD = "CS-203" Head Critical: "the head is ahead of the stored segments", REWRITTEN;
    /// The head is further behind than one segment.
    HEAD_BEHIND = "CS-204" Head High: "the head is more than one segment behind", "stop sealing and find out who moved the head back, then restore it";
    /// The head is behind the newest checkpoint.
    HEAD_BEHIND_CHECKPOINT = "CS-205" Head Critical: "the head is behind the newest checkpoint", "stop sealing and find out who moved the head back, then restore it";
    /// The head has another root than the segments.
    HEAD_ROOT = "CS-206" Head Critical: "the head has another root than the stored segments", REWRITTEN;
    /// The head moved back while the verification ran.
    HEAD_MOVED_BACK = "CS-207" Head Critical: "the head moved back during this run", "stop sealing and find out who moved the head back";

    /// No records at all.
    EMPTY = "CS-301" SegmentsContiguous Critical: "the chain holds no records of its own", "if the chain is new, seal something or set `allow_empty`; otherwise its segments were removed";
    /// Segments are missing.
    SEGMENT_MISSING = "CS-302" SegmentsContiguous Critical: "a segment is missing", RESTORE;
    /// A segment stands within another.
    SEGMENT_OVERLAP = "CS-303" SegmentsContiguous Critical: "a segment overlaps another", LISTED;
    /// An object holds another segment than its name says.
    SEGMENT_MISPLACED = "CS-304" SegmentsContiguous Critical: "an object holds another segment than its name says", RESTORE;
    /// A segment's `prev` is not the root of what stands before it.
    SEGMENT_PREV = "CS-305" SegmentsContiguous Critical: "a segment does not continue what stands before it", REWRITTEN;

    /// A header that is not signed by the chain, or has a wrong form.
    SEGMENT_SIGNATURE = "CS-401" SegmentSignatures Critical: "a segment's header is not signed by the chain", RESTORE;
    /// A header whose members contradict each other.
    SEGMENT_HEADER = "CS-402" SegmentSignatures High: "a segment's header contradicts itself", RESTORE;

    /// The object is damaged.
    SEGMENT_DAMAGED = "CS-501" RecordHashes Critical: "a segment's object is damaged", RESTORE;
    /// The records are not the signed ones.
    SEGMENT_BODY = "CS-502" RecordHashes Critical: "a segment's records are not the signed ones", RESTORE;

    /// A record line is not in canonical form.
    RECORD_FORM = "CS-601" CanonicalForm High: "a record is not in canonical form", "find out which version of the sealer wrote the segment";

    /// A tile is missing.
    TILE_MISSING = "CS-701" Tiles High: "a tile is missing", RUN_ANCHOR;
    /// A tile differs from the tree.
    TILE_DIFFERS = "CS-702" Tiles Critical: "a tile differs from the stored segments", RESTORE;
    /// A tile beyond the tree.
    TILE_BEYOND = "CS-703" Tiles Critical: "a tile lies beyond the stored segments", RESTORE;
    /// Nothing was published.
    TILES_NONE = "CS-704" Tiles High: "nothing was published, so there are no tiles", RUN_ANCHOR;

    /// An index does not open.
    INDEX_INVALID = "CS-801" Index Critical: "an index is damaged or not signed by the chain", RESTORE;
    /// An index in the wrong place.
    INDEX_MISPLACED = "CS-802" Index High: "an index is not the one its name says, or begins at no checkpoint", RESTORE;
    /// An index line differs from the segment.
    INDEX_DIFFERS = "CS-803" Index Critical: "an index says something else than the stored segment", RESTORE;
    /// A checkpoint without index.
    INDEX_MISSING = "CS-804" Index High: "a checkpoint has no index", RESTORE;
    /// A published segment in no index.
    INDEX_LACKS_SEGMENT = "CS-805" Index High: "a published segment stands in no index", RESTORE;
    /// An index beyond the segments.
    INDEX_BEYOND = "CS-806" Index Critical: "an index lies beyond the stored segments", RESTORE;

    /// A checkpoint does not open.
    CHECKPOINT_INVALID = "CS-901" CheckpointsSigned Critical: "a checkpoint is not signed by the chain", RESTORE;
    /// A checkpoint of another size than its name.
    CHECKPOINT_MISPLACED = "CS-902" CheckpointsSigned High: "a checkpoint has another size than its name says", RESTORE;
    /// No checkpoint at all.
    CHECKPOINTS_NONE = "CS-903" CheckpointsSigned High: "the chain has no checkpoint", RUN_ANCHOR;

    /// A checkpoint's root is not the segments'.
    CHECKPOINT_ROOT = "CS-1001" CheckpointsConsistent Critical: "checkpoints contradict the stored segments", REWRITTEN;
    /// A checkpoint beyond the segments.
    CHECKPOINT_BEYOND = "CS-1002" CheckpointsConsistent Critical: "checkpoints lie beyond the stored segments", REWRITTEN;
    /// A checkpoint at a size at which no segment ends.
    CHECKPOINT_BOUNDARY = "CS-1003" CheckpointsConsistent Critical: "a checkpoint's size is no segment's end", REWRITTEN;
    /// An anchored size without checkpoint.
    CHECKPOINT_MISSING = "CS-1004" CheckpointsConsistent High: "an anchored size has no checkpoint", RESTORE;
    /// The root that the verifier trusted is not the stored one.
    TRUSTED_ROOT = "CS-1005" CheckpointsConsistent Critical: "the history contradicts the root trusted before", REWRITTEN;

    /// An anchor's root is not the segments'.
    ANCHOR_ROOT = "CS-1101" AnchorsConsistent Critical: "anchors contradict the stored segments", REWRITTEN;
    /// An anchor beyond the segments.
    ANCHOR_BEYOND = "CS-1102" AnchorsConsistent Critical: "anchored records are gone: anchors lie beyond the stored segments", REWRITTEN;
    /// An anchor object does not open.
    ANCHOR_INVALID = "CS-1103" AnchorsConsistent High: "an anchor is damaged or not signed by chain and witness", RESTORE;
    /// An anchor was removed.
    ANCHOR_MISSING = "CS-1104" AnchorsConsistent High: "an anchor was removed: its record stands without it", RESTORE;
    /// An anchor without record.
    ANCHOR_RECORD_MISSING = "CS-1105" AnchorsConsistent High: "an anchor has no record in a chain of its witness's cloud", RUN_ANCHOR;
    /// An anchor and its record differ.
    ANCHOR_RECORD_DIFFERS = "CS-1106" AnchorsConsistent High: "an anchor differs from its record", RESTORE;
    /// A record that is no anchor.
    ANCHOR_RECORD_INVALID = "CS-1107" AnchorsConsistent High: "an anchor record does not hold", RESTORE;

    /// The quorum is not reached.
    QUORUM_MISSING = "CS-1201" AnchorQuorum High: "the cosignatures do not make the policy's quorum", "run `countersign anchor` in the other clouds, and look why it did not run there";

    /// The newest anchor of a witness is too old.
    ANCHOR_STALE = "CS-1301" AnchorFreshness Medium: "a witness's newest anchor is too old", "look why `countersign anchor` does not run in the witness's cloud";

    /// A name that does not belong.
    STRAY_OBJECT = "CS-1401" ObjectVersions High: "an object does not belong into the store", LISTED;
    /// Something that is no regular object.
    NOT_REGULAR = "CS-1402" ObjectVersions High: "a name is no regular object", LISTED;
    /// More than one version.
    SECOND_VERSION = "CS-1403" ObjectVersions Critical: "an object has more than one version", "compare the versions: the oldest is what was sealed";
    /// A delete marker.
    DELETE_MARKER = "CS-1404" ObjectVersions Critical: "an object was deleted by a marker", "remove the marker, and find out who set it";

    /// No lock, or one that ends too early.
    RETENTION_SHORT = "CS-1501" RetentionLocks High: "an object is retained for less than it must be", "extend its retention, and check the store's default";
    /// A lock that some may lift.
    LOCK_SOFT = "CS-1502" RetentionLocks Medium informs: "a lock can still be lifted", "use compliance mode, or lock the policy, once the deployment is final";
    /// A lock that should be firm and is not.
    LOCK_SOFTER = "CS-1503" RetentionLocks High: "an object's lock can be lifted, though the settings ask for one that cannot", "look who changed the store's lock, and lock the objects again";
    /// Nothing is locked, as the settings say.
    LOCK_OFF = "CS-1504" RetentionLocks Medium informs: "the objects are not locked: the settings say `lock_mode = \"off\"`", "set `lock_mode`, once the deployment is more than a trial";
    /// The store's settings let objects be removed or changed before their time.
    RETENTION_OPEN = "CS-1505" RetentionLocks High: "a setting of the store lets objects go before their time", "mend the setting";
    /// A setting of retention that takes a safeguard away.
    RETENTION_WEAK = "CS-1506" RetentionLocks Low informs: "a setting of the store's retention could be firmer", "mend the setting";

    /// A setting leaves the store open.
    STORE_OPEN = "CS-1601" StorePosture High: "a setting leaves the store open", "mend the setting";
    /// A setting takes a safeguard away.
    STORE_WEAK = "CS-1602" StorePosture Low informs: "a setting of the store could be firmer", "mend the setting";

    /// `sealed_at` goes back.
    SEALED_AT_BACK = "CS-1701" TimeOrder Medium: "a segment says it was sealed before the one before it", "check the clocks of the sealers";
    /// Anchor times go back.
    ANCHOR_TIME_BACK = "CS-1702" TimeOrder Medium: "a larger size was anchored earlier than a smaller one", "check the witness's clock";
    /// An anchor is older than what it covers.
    ANCHOR_TOO_EARLY = "CS-1703" TimeOrder Medium: "an anchor is older than the segment it covers", "check the clocks of sealer and witness";

    /// A source fell silent.
    SILENCE = "CS-1901" LogVolume Low informs: "a source was silent for long", "check that the source still delivers";
    /// A source sent far more than usual.
    SPIKE = "CS-1902" LogVolume Info informs: "a source sent far more than usual", "look at the records of that hour";

    /// Logging was switched or changed.
    LOGGING_CHANGED = "CS-2001" LoggingChanges Medium informs: "logging was changed at the source", "make sure that the change was meant";
}
