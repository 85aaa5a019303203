//! What tests of backends over real servers share.

#[cfg(feature = "gcp")]
pub(crate) mod log;
#[cfg(any(feature = "aws", feature = "gcp"))]
pub(crate) mod process;
#[cfg(feature = "azure")]
pub(crate) mod server;
pub(crate) mod wire;

/// The address of a stand-in for a service that `scripts/services up` started,
/// by the name of its variable: `STANDIN_S3`. `None`, said on stderr, where
/// there is none: the test skips.
///
/// # Panics
///
/// Where there is none though `STANDINS=required` is set, as `scripts/test` does.
pub(crate) fn stand_in(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|url| !url.is_empty());
    if found.is_none() {
        assert!(
            std::env::var_os("STANDINS").is_none_or(|value| value != "required"),
            "{variable} is not set: run scripts/services up"
        );
        eprintln!("skipped: {variable} is not set (scripts/services starts what it names)");
    }
    found
}
