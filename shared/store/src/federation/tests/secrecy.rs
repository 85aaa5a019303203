//! No token and no key is told: not in logs at any level, not in debug output,
//! not in errors, though a party repeats what it was sent.

use std::fmt::Write;

use super::world::{ROLE_SECRET, World};
use super::{ALL, HOME_SECRET, HOME_SESSION, token};
use crate::testing::log::Log;
use crate::testing::server::Answer;

/// On one thread, so that this test's log is that of its own calls.
#[tokio::test]
async fn no_token_is_logged_shown_or_part_of_an_error() {
    let (log, _guard) = Log::listen();
    let mut told = String::new();
    for direction in ALL {
        let world = World::new().await;
        let reached = direction.open(&world);
        reached.read().await.unwrap();
        writeln!(told, "{reached:?}").unwrap();
        for step in direction.home().into_iter().chain([direction.exchange()]) {
            let echo = [
                token("id token"),
                token("managed identity"),
                token("web identity"),
            ];
            for (status, text) in [
                (
                    400,
                    format!(
                        r#"{{"error":"x","error_description":"no: {}","error_codes":[1]}}"#,
                        echo.join(" ")
                    ),
                ),
                (
                    400,
                    format!(
                        "<ErrorResponse><Error><Code>Odd</Code><Message>no: {}</Message></Error></ErrorResponse>",
                        echo.join(" ")
                    ),
                ),
                (
                    403,
                    format!(
                        r#"{{"error":{{"message":"no: {}","status":"DENIED"}}}}"#,
                        echo.join(" ")
                    ),
                ),
                (500, echo.join(" ")),
                (
                    200,
                    format!(
                        r#"{{"access_token":"{}","expires_in":"{}"}}"#,
                        token("entra"),
                        token("exchange")
                    ),
                ),
                (
                    200,
                    format!(r#"{{"access_token":["{}"]}}"#, token("exchange")),
                ),
            ] {
                let world = World::with(step, Answer::new(status, text)).await;
                let reached = direction.open(&world);
                let error = reached.read().await.unwrap_err();
                writeln!(told, "{error} {reached:?}").unwrap();
            }
        }
    }
    let logged = log.text();
    assert!(logged.contains("hyper"), "the HTTP client logged");
    assert!(logged.contains("GetObject"), "AWS's library logged");
    assert!(
        told.contains("no: …"),
        "what was repeated is left out: {told}"
    );
    let secrets = [
        "id token",
        "managed identity",
        "web identity",
        "role",
        "entra",
        "exchange",
        "act",
    ];
    // Each token's parts, and what is left of one that was cut.
    let parts = secrets.map(|name| token(name)[..name.len() + 8].to_owned());
    for text in [told, logged] {
        for secret in parts.iter().map(String::as_str).chain([
            "p4yl0adp4yl0ad",
            HOME_SECRET,
            &HOME_SESSION[..20],
            ROLE_SECRET,
        ]) {
            let found = text.find(secret);
            let near = found.map(|at| {
                text[at.saturating_sub(400)..]
                    .chars()
                    .take(600)
                    .collect::<String>()
            });
            assert_eq!(near, None, "{secret} is told");
        }
    }
}
