//! A server that answers as a test says.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a client asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `GET /storage/v1/b/x?fields=y`, as it came.
    pub(super) line: String,
    /// The headers, as they came.
    pub(super) headers: String,
    pub(super) body: Vec<u8>,
}

impl Asked {
    pub(super) fn is(&self, method: &str, path: &str) -> bool {
        let start = format!("{method} {path}");
        self.line == start || self.line.starts_with(&format!("{start}?"))
    }
}

/// What the server answers.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: &'static str,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(body: impl Into<String>) -> Self {
        Self::error(200, body)
    }

    pub(super) fn error(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: "content-type: application/json\r\n",
            body: body.into(),
        }
    }

    /// An error as Google's JSON API for storage writes it.
    pub(super) fn storage(status: u16, reason: &str, message: &str) -> Self {
        Self::error(
            status,
            format!(
                r#"{{"error":{{"code":{status},"message":"{message}","errors":[{{"message":"{message}","domain":"global","reason":"{reason}"}}]}}}}"#
            ),
        )
    }

    /// An error as Google's newer APIs write it.
    pub(super) fn rpc(status: u16, word: &str, message: &str) -> Self {
        Self::error(
            status,
            format!(r#"{{"error":{{"code":{status},"message":"{message}","status":"{word}"}}}}"#),
        )
    }
}

/// The server, until it is dropped.
pub(super) struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// A server that answers what `answer` says, one request at a time.
    pub(super) async fn new(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it has one"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (all, answer) = (Arc::clone(&asked), Arc::new(Mutex::new(answer)));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                tokio::spawn(async move {
                    serve(stream, |asked| {
                        all.lock().expect("no panic").push(asked.clone());
                        (answer.lock().expect("no panic"))(asked)
                    })
                    .await
                });
            }
        });
        Self { url, asked, task }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Everything that was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, mut answer: impl FnMut(&Asked) -> Reply) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let (line, headers) = head.split_once("\r\n")?;
        let lower = headers.to_ascii_lowercase();
        let body = if lower.contains("transfer-encoding: chunked") {
            chunked(&mut stream).await?
        } else {
            let len = lower.split_once("content-length:");
            let len = len.and_then(|(_, rest)| rest.split("\r\n").next()?.trim().parse().ok());
            let mut body = vec![0; len.unwrap_or(0)];
            stream.read_exact(&mut body).await.ok()?;
            body
        };
        let reply = answer(&Asked {
            line: line.trim_end_matches(" HTTP/1.1").to_owned(),
            headers: headers.to_owned(),
            body,
        });
        let text = format!(
            "HTTP/1.1 {} X\r\n{}content-length: {}\r\n\r\n{}",
            reply.status,
            reply.headers,
            reply.body.len(),
            reply.body
        );
        stream.write_all(text.as_bytes()).await.ok()?;
    }
}

async fn chunked(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.ok()?);
        }
        let line = String::from_utf8(line).ok()?;
        let len = usize::from_str_radix(line.trim(), 16).ok()?;
        let start = body.len();
        body.resize(start + len + 2, 0);
        stream.read_exact(&mut body[start..]).await.ok()?;
        body.truncate(start + len);
        if len == 0 {
            return Some(body);
        }
    }
}
