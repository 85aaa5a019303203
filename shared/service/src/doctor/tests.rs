use countersign_store::fault::Fault;
use countersign_store::{Aspect, Setting};

use super::*;
use crate::config::{MailSettings, MailTls, MailWhen};
use crate::testing::World;

async fn examined(world: &World) -> Vec<Findings> {
    examine(&world.deployment, &*world.clock).await
}

fn urgent<'a>(all: &'a [Findings], subject: &str, urgency: Urgency) -> Vec<&'a str> {
    let found = all
        .iter()
        .find(|findings| findings.subject.ends_with(subject));
    let remarks = found.unwrap().remarks.iter();
    remarks
        .filter(|remark| remark.urgency == urgency)
        .map(|remark| &*remark.what)
        .collect()
}

#[track_caller]
fn assert_told(remarks: &[&str], part: &str) {
    assert!(
        remarks.iter().any(|what| what.contains(part)),
        "not told of `{part}`: {remarks:#?}"
    );
}

#[tokio::test]
async fn one_cloud_is_open_two_are_weak_three_hold() {
    let one = examined(&World::new(&["aws"]).await).await;
    assert_told(
        &urgent(&one, "deployment", Urgency::Open),
        "no independent witness",
    );
    let two = examined(&World::new(&["aws", "gcp"]).await).await;
    assert_told(
        &urgent(&two, "deployment", Urgency::Weak),
        "there are two clouds",
    );
    let three = examined(&World::new(&["aws", "azure", "gcp"]).await).await;
    assert!(three[0].holds.iter().any(|what| what.contains("3 clouds")));
}

#[tokio::test]
async fn a_chain_goes_from_empty_to_published_to_countersigned_to_late() {
    let world = World::new(&["aws", "azure", "gcp"]).await;
    let all = examined(&world).await;
    assert_told(&urgent(&all, "/aws", Urgency::Weak), "nothing is sealed");

    world.seal("aws", &["one"]).await;
    let all = examined(&world).await;
    assert_told(
        &urgent(&all, "/aws", Urgency::Open),
        "leaves are not published",
    );

    world.anchor().await;
    let all = examined(&world).await;
    let aws = all
        .iter()
        .find(|findings| findings.subject.ends_with("/aws"))
        .unwrap();
    for witness in ["azure", "gcp"] {
        let told = format!("countersigned by {witness} up to 2");
        assert!(
            aws.holds.iter().any(|what| what.starts_with(&told)),
            "{aws:#?}"
        );
    }
    let text = to_text(&all);
    assert!(!text.contains("countersigned last"), "{text}");
    assert!(!text.contains("not published"), "{text}");

    world.clock.advance(3_600_000 + 15 * 60_000 + 1);
    let late = urgent(&examined(&world).await, "/aws", Urgency::Open).join("; ");
    for witness in ["azure", "gcp"] {
        assert!(
            late.contains(&format!("the witness {witness} countersigned last at 2026")),
            "{late}"
        );
    }
}

#[tokio::test]
async fn a_witness_that_never_signed_is_open() {
    let world = World::new(&["aws", "azure"]).await;
    world.seal("aws", &["one"]).await;
    crate::publish::publish(&mut world.sealer("aws"))
        .await
        .unwrap();
    let all = examined(&world).await;
    assert_told(
        &urgent(&all, "/aws", Urgency::Open),
        "the witness azure has countersigned nothing",
    );
}

#[tokio::test]
async fn what_a_store_says_of_itself_is_told_with_what_mends_it() {
    let world = World::new(&["aws", "azure"]).await;
    let setting = |name: &str, state| Setting {
        name: name.to_owned(),
        aspect: Aspect::Store,
        state,
    };
    let weak = |open| SettingState::Weak {
        open,
        expected: "on".into(),
        found: "off".into(),
        why: "it can be overwritten".into(),
        mend: "switch it on".into(),
    };
    world.sealed["aws"].inner().tamper_settings(vec![
        setting("versioning", weak(true)),
        setting("logging", weak(false)),
        setting(
            "Object Lock",
            SettingState::Holds {
                found: "GOVERNANCE".into(),
            },
        ),
        setting(
            "the policy",
            SettingState::Unknown {
                reason: "refused".into(),
                permission: Some("s3:GetBucketPolicy".into()),
            },
        ),
    ]);
    let all = examined(&world).await;
    assert_told(
        &urgent(&all, "/aws", Urgency::Open),
        "versioning is off: it can be overwritten",
    );
    assert_told(&urgent(&all, "/aws", Urgency::Weak), "logging is off");
    assert_told(
        &urgent(&all, "/aws", Urgency::Unknown),
        "the policy could not be read: refused",
    );
    assert_told(
        &urgent(&all, "/azure", Urgency::Open),
        "the store has no locks",
    );
    let text = to_text(&all);
    for part in [
        "-> switch it on",
        "-> give whoever runs this the permission s3:GetBucketPolicy",
        "holds    Object Lock: GOVERNANCE",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_unknown() {
    let world = World::new(&["aws", "azure"]).await;
    world.faults.fail_when(|_| Some(Fault::Refused));
    let all = examined(&world).await;
    assert_told(
        &urgent(&all, "/aws", Urgency::Unknown),
        "genesis.json could not be read",
    );
}

#[tokio::test]
async fn who_is_told_and_how_firm_locks_are_comes_from_the_settings() {
    let mut world = World::new(&["aws", "azure", "gcp"]).await;
    let all = examined(&world).await;
    assert_told(&urgent(&all, "deployment", Urgency::Open), "nobody is told");
    world.deployment.settings.mail = Some(MailSettings {
        server: "smtp.example.org".into(),
        port: 587,
        tls: MailTls::StartTls,
        user: None,
        password: None,
        from: "a@example.org".into(),
        to: vec!["b@example.org".into()],
        when: MailWhen::Always,
    });
    let bucket = StoreAddress::parse("s3://bucket").unwrap();
    for (nth, lock) in [Lock::Off, Lock::Governance, Lock::Compliance]
        .into_iter()
        .enumerate()
    {
        let settings = &mut world.deployment.chains[nth].settings;
        (settings.sealed, settings.lock) = (bucket.clone(), lock);
    }
    let all = examined(&world).await;
    assert!(
        all[0]
            .holds
            .contains(&"reports are mailed to b@example.org".to_owned())
    );
    assert_told(&urgent(&all, "/aws", Urgency::Open), "nothing is locked");
    assert_told(
        &urgent(&all, "/azure", Urgency::Weak),
        "locks can be lifted",
    );
    assert!(
        all[3].holds[0].contains("locked for 365 days"),
        "{:?}",
        all[3]
    );
}
