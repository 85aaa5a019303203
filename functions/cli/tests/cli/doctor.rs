//! `doctor`, over local folders.

use super::*;

#[test]
fn it_says_what_is_open_and_what_mends_it() {
    let clouds = Clouds::new();
    clouds.write("events", b"{\"n\":1}\n");
    clouds.expect(0, &["seal", "--chain", "aws", "events"]);
    let text = stdout(&clouds.expect(1, &["doctor"]));
    for part in [
        "audit.example.org/aws in aws",
        "3 clouds witness each other",
        "-> add a [mail] to the settings",
        "2 of 2 leaves are not published",
        "the chain signs with a seed",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    clouds.expect(0, &["anchor"]);
    let text = stdout(&clouds.expect(1, &["doctor"]));
    assert!(
        text.contains("holds    countersigned by gcp up to 2"),
        "{text}"
    );
    assert!(!text.contains("leaves are not published"), "{text}");
}

#[test]
fn without_a_policy_it_could_not_be_done() {
    let clouds = Clouds::settings(TempDir::new().unwrap());
    let error = stderr(&clouds.expect(2, &["doctor"]));
    assert!(error.contains("countersign init"), "{error}");
}
