//! How well a store's own settings protect what stands in it.

/// What one setting of a store is found to be.
///
/// Backends judge their own settings, since only they know what each means;
/// `verify` turns what does not hold into findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What it is about, in the cloud's own words: `Object Lock of the bucket`.
    pub name: String,
    /// Which question it answers.
    pub aspect: Aspect,
    /// What was found.
    pub state: SettingState,
}

/// What a setting protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// That objects are kept as long as they should be.
    Retention,
    /// Everything else about the store and what surrounds it.
    Store,
}

/// What a setting was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingState {
    /// As it should be.
    Holds {
        /// What was found, in a few words: `COMPLIANCE, 365 days`.
        found: String,
    },
    /// Not as it should be.
    Weak {
        /// Whether it leaves the records open to removal or change now (a
        /// failure), or takes away a safeguard beside others (a warning).
        open: bool,
        /// What should be there.
        expected: String,
        /// What was found.
        found: String,
        /// Why it matters: what an administrator could do.
        why: String,
        /// The command or console path that mends it.
        mend: String,
    },
    /// It could not be read.
    Unknown {
        /// What happened.
        reason: String,
        /// The permission that is missing, where that is the cause:
        /// `s3:GetBucketVersioning`.
        permission: Option<String>,
    },
}

/// What a store's settings should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// How many days objects are to be kept.
    pub retention_days: u32,
    /// How firmly.
    pub lock: Lock,
}

/// How firmly the objects of a store are to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lock {
    /// Not at all: for trying things out.
    Off,
    /// Against everybody but those who may lift the lock: S3 GOVERNANCE, an
    /// unlocked policy on Azure and GCS.
    #[default]
    Governance,
    /// Against everybody, for good: S3 COMPLIANCE, a locked policy.
    Compliance,
}
