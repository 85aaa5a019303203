//! A server that answers what a test tells it to: for what no stand-in says.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// An error of S3.
    pub(super) fn s3(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            ),
        )
    }

    /// An error of the services that speak JSON.
    pub(super) fn json(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            format!(r#"{{"__type":"com.amazon#{code}","message":"{message}"}}"#),
        )
        .with("content-type", "application/x-amz-json-1.0")
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The head of each request, in lower case, and its body.
type Requests = Arc<Mutex<Vec<(String, String)>>>;

/// Answers in turn; the last one for ever.
pub(super) struct Canned {
    url: String,
    requests: Requests,
    task: JoinHandle<()>,
}

impl Canned {
    pub(super) async fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Requests::default();
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, answers) = (Arc::clone(&seen), answers.clone());
                tokio::spawn(async move { serve(stream, &seen, &answers).await });
            }
        });
        Self {
            url,
            requests,
            task,
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The head of each request, in lower case.
    pub(super) fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|(head, _)| head.clone()).collect()
    }

    /// The body of each request.
    pub(super) fn bodies(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|(_, body)| body.clone()).collect()
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request, and closes the connection.
async fn serve(stream: TcpStream, seen: &Requests, answers: &[Answer]) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    head.make_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let at = {
        let mut seen = seen.lock().unwrap();
        seen.push((head, String::from_utf8_lossy(&body).into_owned()));
        seen.len() - 1
    };
    let answer = &answers[at.min(answers.len() - 1)];
    let mut text = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", answer.status);
    if !answer
        .headers
        .iter()
        .any(|(name, _)| name == "content-length")
    {
        text.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut stream = stream.into_inner();
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.write_all(&answer.body).await.ok()?;
    stream.shutdown().await.ok()
}
