//! Proofs of records of a real size, and what becomes of changed ones.

use countersign_core::proof::ProofFile;
use countersign_service::chain::read_policy;
use countersign_service::prove::prove;
use countersign_tests::Clouds;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_the_last_and_a_hundred_others_are_proven() {
    let clouds = Clouds::new().await;
    for cloud in countersign_tests::CLOUDS {
        for part in 0..3 {
            let text: String = (0..1000)
                .map(|n| format!("{{\"part\":{part},\"n\":{n}}}\n"))
                .collect();
            clouds
                .seal(cloud, vec![(format!("{part}"), text.into_bytes())])
                .await;
        }
    }
    assert_eq!(clouds.anchor().await.exit_code(), 0);
    let deployment = clouds.deployment().await;
    let chain = deployment.chains_named("aws").unwrap()[0];
    // What an auditor gets, and nothing else.
    let (policy, _) = read_policy(&clouds.path("countersign.aws.policy")).unwrap();
    let last = 3 * 1000 + 3 - 1;
    let spread = (1..=100u64).map(|n| n * 7919 % last);
    let mut changed = 0;
    for index in [0, last].into_iter().chain(spread) {
        let file = prove(&deployment, chain, index)
            .await
            .unwrap()
            .file
            .to_bytes();
        let (proof, proven) = ProofFile::check(&file, &policy).unwrap();
        assert_eq!((proof.index, proven.cosigned.len()), (index, 2));
        // Any byte of it, a few of them each time.
        for step in 0..20 {
            let at = (index as usize * 31 + step * 97) % (file.len() - 1);
            let mut spoiled = file.clone();
            spoiled[at] ^= 1;
            assert!(ProofFile::check(&spoiled, &policy).is_err(), "{index} {at}");
            changed += 1;
        }
    }
    assert_eq!(changed, 102 * 20);
}
