use std::sync::LazyLock;

use countersign_core::keys::Signer;
use countersign_core::policy::Policy;

use super::{edited, log, mode, witness};

/// A policy with all that a policy may have.
static FILE: LazyLock<String> = LazyLock::new(|| {
    let [aws, azure, gcp] = [("aws", 1), ("azure", 2), ("gcp", 3)].map(|(cloud, seed)| {
        let signer = witness(cloud, seed);
        format!("witness {cloud} {}", signer.key())
    });
    format!(
        "# three clouds\n\nlog {} https://log.example/\n{aws}\n{azure} https://witness.example/\n\t{gcp} \n\
         group two any azure gcp\ngroup clouds all aws two\nquorum clouds\n",
        log().key()
    )
});

/// Policies: what is read is written as a policy that is equal.
pub fn policy(input: &[u8]) {
    let (mode, rest) = mode(input);
    let file = match mode % 2 {
        0 => rest.to_vec(),
        _ => edited(FILE.as_bytes(), rest),
    };
    let policy = match Policy::parse(&file) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(error.line <= file.split_inclusive(|byte| *byte == b'\n').count());
            assert!(!error.to_string().contains('\n'), "{error}");
            return;
        }
    };
    let written = policy.to_string();
    let again = Policy::parse(written.as_bytes()).unwrap();
    assert_eq!(again, policy);
    assert_eq!(again.to_string(), written);
    for known in policy.logs() {
        assert_eq!(policy.log(known.key.name()), Some(&known.key));
    }
    for known in policy.witnesses() {
        assert_eq!(policy.witness(known.key.name()), Some(known));
    }
    // All of them are always enough; nobody is only where nobody is asked for.
    assert!(policy.satisfied_by(|_| true));
    assert_eq!(
        policy.satisfied_by(|_| false),
        policy.describe_quorum() == "none"
    );
    // One more never takes the quorum away.
    let first = |count: usize| {
        let names: Vec<_> = policy
            .witnesses()
            .iter()
            .take(count)
            .map(|known| &known.name)
            .collect();
        policy.satisfied_by(|witness| names.contains(&&witness.name))
    };
    for count in 1..=policy.witnesses().len().min(16) {
        assert!(first(count) || !first(count - 1));
    }
}
