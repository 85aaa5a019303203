//! Chains whose objects are in one cloud and whose head is in another, or in a
//! folder.

use countersign_tests::Clouds;

use super::{Ground, anchored, deliveries, domain, emulators, keys, verified};

#[tokio::test(flavor = "multi_thread")]
async fn objects_and_head_may_be_in_different_places() {
    let Some(emulators) = emulators() else {
        return;
    };
    let aws = Ground::new(&emulators, "aws").await;
    let azure = Ground::new(&emulators, "azure").await;
    let gcp = Ground::new(&emulators, "gcp").await;
    let [aws_seed, azure_seed, gcp_seed] = keys::secrets("mixed");
    let here = |name: &str| format!("file:{name}/state");
    let mixed = [
        ("a", "aws", aws.part("a").sealed, azure.part("a").head),
        ("b", "aws", aws.part("b").sealed, here("b")),
        ("c", "azure", azure.part("c").sealed, gcp.part("c").head),
        ("d", "azure", azure.part("d").sealed, here("d")),
        ("e", "gcp", gcp.part("e").sealed, aws.head.clone()),
        ("f", "gcp", gcp.part("f").sealed, here("f")),
        ("g", "aws", "file:g/sealed".to_owned(), aws.head.clone()),
        (
            "h",
            "azure",
            "file:h/sealed".to_owned(),
            azure.part("h").head,
        ),
        ("i", "gcp", "file:i/sealed".to_owned(), gcp.part("i").head),
    ];
    // A key may be anywhere too.
    let keys = [
        keys::gcp_kms().await,
        azure_seed,
        keys::aws_kms().await,
        aws_seed,
        "file:e.seed".to_owned(),
        gcp_seed,
    ];
    let mut settings = domain("audit");
    for (nth, (name, cloud, sealed, head)) in mixed.iter().enumerate() {
        let ground = Ground {
            cloud,
            sealed: sealed.clone(),
            head: head.clone(),
        };
        let file = format!("file:{name}.seed");
        settings += &ground.chain(name, keys.get(nth).unwrap_or(&file));
        if ["a", "c", "e"].contains(name) {
            settings += &ground.witness(name, &format!("file:{cloud}-witness.seed"));
        }
    }
    let clouds = Clouds::over(&emulators, &settings).await;
    for round in 0..2 {
        for (name, ..) in &mixed {
            let round = format!("{name}{round}");
            let (receipts, errors) = clouds.seal(name, deliveries(&round, 3)).await;
            assert_eq!((receipts.len(), errors.len()), (3, 0), "{errors:?}");
        }
        anchored(&clouds).await;
    }
    let report = verified(&clouds).await;
    assert_eq!(report.chains.len(), mixed.len());
    for chain in &report.chains {
        // One segment a round, and those of anchors' records.
        assert!(chain.segments >= 2 && chain.duplicates == 0);
        let witnesses = chain.witnesses.len();
        let of_chain = report.anchors.iter().filter(|a| a.origin == chain.origin);
        assert_eq!((witnesses, of_chain.count()), (2, 4), "{}", chain.origin);
    }
}
