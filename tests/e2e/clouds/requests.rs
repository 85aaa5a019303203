//! The requests that a report counts are those that the servers received.

use countersign_tests::{CLOUDS, Clouds};

use super::front::Fronts;
use super::{Ground, anchored, deliveries, domain, emulators, verified};

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_the_requests_that_the_servers_received() {
    if emulators().is_none() {
        return;
    }
    let fronts = Fronts::new().await;
    let mut settings = domain("audit");
    for cloud in CLOUDS {
        let ground = Ground::new(&fronts.emulators, cloud).await;
        settings += &ground.chain(cloud, &format!("file:{cloud}.seed"));
        settings += &ground.witness(cloud, &format!("file:{cloud}-witness.seed"));
    }
    let clouds = Clouds::over(&fronts.emulators, &settings).await;
    for round in 0..3 {
        for cloud in CLOUDS {
            let round = format!("{cloud}{round}");
            clouds.seal(cloud, deliveries(&round, 2)).await;
        }
        anchored(&clouds).await;
    }

    fronts.take();
    let report = verified(&clouds).await;
    let received = fronts.take();
    let counted: u64 = report
        .chains
        .iter()
        .map(|chain| chain.requests.total())
        .sum();
    assert_eq!(counted, received.len() as u64, "{received:#?}");

    // By kind, where a request says what it is.
    let of = |variable: &str, says: &str| {
        let fits = |(to, line): &&(&str, String)| *to == variable && line.contains(says);
        received.iter().filter(fits).count() as u64
    };
    let chain = |nth: usize| &report.chains[nth];
    let versions = of("STANDIN_S3", "?versions") + of("STANDIN_S3", "?retention");
    assert_eq!(chain(0).requests.versions, versions);
    let objects: u64 = versions - of("STANDIN_S3", "?versions");
    assert!(objects > chain(0).segments, "one for each object");
    for (nth, chain) in report.chains.iter().enumerate() {
        let each = chain.requests_per_segment.unwrap();
        let exactly = chain.requests.total() as f64 / chain.segments as f64;
        assert!((each - exactly).abs() < 0.006, "{each} {exactly}");
        // First and last.
        assert_eq!(chain.requests.head, 2, "{nth}");
        assert!(chain.requests.settings > 0 && chain.requests.list >= 8);
        println!("{}: {:?}, {each} a segment", chain.origin, chain.requests);
    }
    assert_eq!(of("STANDIN_AWS", ""), 2, "the head of one chain");
    assert!(of("STANDIN_ARM", "") > 0, "settings of the container");
}
