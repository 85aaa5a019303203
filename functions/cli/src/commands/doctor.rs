//! `doctor`: what is not yet protected, in words.

use countersign_service::clock::SystemClock;
use countersign_service::doctor::{Urgency, examine, to_text};

use super::deployment;
use crate::args::Common;
use crate::ui::{Out, Outcome, Status};

/// Examines the deployment.
///
/// # Errors
/// When settings or policy are not in order.
pub async fn run(common: &Common) -> Outcome {
    let deployment = deployment(common).await?;
    let found = examine(&deployment, &SystemClock).await;
    let mut out = Out::new();
    out.bytes(to_text(&found).as_bytes());
    out.finish()?;
    let any = |urgency| {
        let mut remarks = found.iter().flat_map(|findings| &findings.remarks);
        remarks.any(|remark| remark.urgency == urgency)
    };
    Ok(match () {
        () if any(Urgency::Open) => Status::Failed,
        () if any(Urgency::Unknown) => Status::Undone,
        () => Status::Well,
    })
}
