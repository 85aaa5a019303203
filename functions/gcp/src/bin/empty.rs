//! A service that does nothing: what `scripts/bench starts` compares with, for
//! Cloud Run and for the custom handlers of Azure Functions.

use std::io;
use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::get;

fn main() -> io::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let port = std::env::var("PORT").ok();
            let port = port.and_then(|port| port.parse().ok()).unwrap_or(8080);
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            axum::serve(
                listener,
                Router::new().route("/", get(|| async { "ready" })),
            )
            .await
        })
}
