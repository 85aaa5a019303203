//! What the clouds refuse even their administrators, while a lock is firm.

use countersign_core::names;
use countersign_store::Lock;
use countersign_store::emulators::ActError;

use super::clouds::{Clouds, RETENTION_DAYS};
use crate::commands::demo::stage::Stage;
use crate::ui::Failure;

const DAY_MILLIS: u64 = 86_400_000;

/// Tries each, and shows what the cloud answers.
pub async fn try_all(clouds: &Clouds, stage: &mut Stage) -> Result<(), Failure> {
    let (bucket, segment) = (&*clouds.sealed, &*names::segment(0));
    let (aws, azure, gcp) = (&clouds.aws, &clouds.azure, &clouds.gcp);
    let undone = |error: ActError| Failure::undone(error);
    let forged = || b"{\"forged\":true}\n".to_vec();
    let tomorrow = tomorrow_millis();
    let version = aws.version(bucket, segment).await.map_err(undone)?;
    // The policy denies most of it already; whoever administers the bucket may
    // remove it, and then the lock alone is left.
    let policy = aws.delete_version(bucket, segment, &version).await;
    show(stage, "aws: delete a locked version", policy);
    aws.remove_policy(bucket).await.map_err(undone)?;
    let tried = [
        (
            "aws: again, policy removed",
            aws.delete_version(bucket, segment, &version).await,
        ),
        (
            "aws: shorten its retention",
            aws.retain(bucket, segment, &version, tomorrow, Lock::Compliance)
                .await,
        ),
        (
            "aws: suspend versioning",
            aws.suspend_versions(bucket).await,
        ),
        (
            "azure: overwrite a segment",
            azure.put(bucket, segment, forged()).await,
        ),
        (
            "azure: delete a segment",
            azure.delete(bucket, segment).await,
        ),
        (
            "azure: shorten the policy",
            azure.set_policy(bucket, 1).await,
        ),
        (
            "azure: remove the policy",
            azure.remove_policy(bucket).await,
        ),
        (
            "azure: delete the container",
            azure.delete_container(bucket).await,
        ),
        (
            "gcp: overwrite a segment",
            gcp.put(bucket, segment, forged()).await,
        ),
        ("gcp: delete a segment", gcp.delete(bucket, segment).await),
        (
            "gcp: shorten the retention",
            gcp.set_retention(bucket, Some(1)).await,
        ),
    ];
    aws.set_policy(bucket).await.map_err(undone)?;
    for (what, done) in tried {
        show(stage, what, done);
    }
    stage.line(&format!(
        "   every object keeps its {RETENTION_DAYS} days, whoever asks"
    ));
    Ok(())
}

fn show(stage: &mut Stage, what: &str, done: Result<(), ActError>) {
    let (word, how) = match &done {
        Err(ActError::Refused { status, code, .. }) => ("refused", format!("{status} {code}")),
        Err(error) => ("UNKNOWN", error.to_string()),
        Ok(()) => ("DONE", String::new()),
    };
    let good = word == "refused";
    stage.expect(good);
    let word = stage.verdict(&format!("{word:<7}"), good);
    stage.line(&format!("   {what:<28}  {word}  {how}"));
}

fn tomorrow_millis() -> u64 {
    use countersign_service::clock::{Clock as _, SystemClock};
    SystemClock.unix_millis() + DAY_MILLIS
}
