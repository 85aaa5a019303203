//! The wire between a client and a server, for tests: a TCP proxy that can be
//! slow, cut, or silent.
//!
//! It works by exchanges. An exchange begins with the first byte that a client
//! sends, or sends after an answer: over HTTP/1.1 that is one request and its
//! answer, whether the client keeps its connections or not.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const CHUNK_BYTES: usize = 16 << 10;

/// What an interim answer starts with: the exchange goes on after it.
const CONTINUE: &[u8] = b"HTTP/1.1 100";

/// What the wire does to an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Passes both ways.
    Pass,
    /// Holds the answer back for this long, then passes it on.
    Delay(Duration),
    /// Passes this many bytes on, headers included, then resets both sides. A
    /// shorter upload passes, and counts as no hit.
    CutUpload(u64),
    /// Passes the whole upload on, swallows the answer, and resets: done, but
    /// reported as failed.
    LoseAnswer,
    /// Takes the upload, passes nothing on, and never answers.
    Stall,
}

/// What has gone over the wire so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections that clients made.
    pub connections: u64,
    /// Exchanges that clients began.
    pub exchanges: u64,
    /// Exchanges that were in truth delayed, cut, lost or stalled.
    pub hits: u64,
}

/// A proxy at an address of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    task: JoinHandle<()>,
}

impl Wire {
    /// A wire that passes everything to `server`, an `http://host:port` or
    /// `host:port`.
    ///
    /// # Panics
    ///
    /// Where no port can be had on the loopback interface.
    pub(crate) async fn before(server: &str) -> Self {
        let server = server.strip_prefix("http://").unwrap_or(server);
        let server = server.trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("the address of the port");
        let plan = Arc::new(Mutex::new(Plan::default()));
        let task = tokio::spawn(accept(listener, server, Arc::clone(&plan)));
        Self {
            address,
            plan,
            task,
        }
    }

    /// The wire's own address for a client: `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this to every exchange from now on that nothing else is planned for.
    pub(crate) fn all(&self, mode: Mode) {
        self.plan().all = mode;
    }

    /// Does this to the `nth` exchange from now on: 1 is the next.
    pub(crate) fn nth(&self, nth: u64, mode: Mode) {
        let mut plan = self.plan();
        let exchange = plan.counts.exchanges + nth;
        plan.picked.push((Pick::Nth(exchange), mode));
    }

    /// Does this to the next exchange whose upload starts with `start`: `PUT /`.
    pub(crate) fn next(&self, start: &str, mode: Mode) {
        self.plan()
            .picked
            .push((Pick::Start(start.to_owned()), mode));
    }

    /// What has gone over the wire so far.
    pub(crate) fn counts(&self) -> Counts {
        self.plan().counts
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The connections go with the task that holds them.
        self.task.abort();
    }
}

#[derive(Debug)]
enum Pick {
    Nth(u64),
    Start(String),
}

#[derive(Debug)]
struct Plan {
    all: Mode,
    /// Each is used once.
    picked: Vec<(Pick, Mode)>,
    counts: Counts,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            all: Mode::Pass,
            picked: Vec::new(),
            counts: Counts {
                connections: 0,
                exchanges: 0,
                hits: 0,
            },
        }
    }
}

impl Plan {
    /// The mode of the exchange that `upload` begins.
    fn begin(&mut self, upload: &[u8]) -> Mode {
        self.counts.exchanges += 1;
        let number = self.counts.exchanges;
        let found = self.picked.iter().position(|(pick, _)| match pick {
            Pick::Nth(nth) => *nth == number,
            Pick::Start(start) => upload.starts_with(start.as_bytes()),
        });
        found.map_or(self.all, |at| self.picked.remove(at).1)
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, server: String, plan: Arc<Mutex<Plan>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                lock(&plan).counts.connections += 1;
                let (server, plan) = (server.clone(), Arc::clone(&plan));
                connections.spawn(async move {
                    // An error is one side's going away: the other learns it as
                    // its connection is dropped.
                    let _ = carry(client, &server, &plan).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// An exchange that is under way on a connection.
struct Exchange {
    mode: Mode,
    uploaded_bytes: u64,
    answered: bool,
}

/// Carries one connection until either side ends it.
async fn carry(mut client: TcpStream, server: &str, plan: &Mutex<Plan>) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut upload = vec![0; CHUNK_BYTES];
    let mut answer = vec![0; CHUNK_BYTES];
    let mut exchange = Exchange {
        mode: Mode::Pass,
        uploaded_bytes: 0,
        answered: true,
    };
    // A server may answer before it has read everything, and read no more.
    let mut server_reads = true;
    loop {
        tokio::select! {
            read = client.read(&mut upload) => {
                let chunk = &upload[..read?];
                if chunk.is_empty() {
                    return Ok(());
                }
                if exchange.answered {
                    exchange = Exchange {
                        mode: lock(plan).begin(chunk),
                        uploaded_bytes: 0,
                        answered: false,
                    };
                }
                let pass = match exchange.mode {
                    Mode::Stall => {
                        if exchange.uploaded_bytes == 0 {
                            lock(plan).counts.hits += 1;
                        }
                        &[]
                    }
                    Mode::CutUpload(after_bytes) => {
                        let left = after_bytes.saturating_sub(exchange.uploaded_bytes);
                        &chunk[..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX))]
                    }
                    Mode::Pass | Mode::Delay(_) | Mode::LoseAnswer => chunk,
                };
                exchange.uploaded_bytes += chunk.len() as u64;
                if server_reads && server.write_all(pass).await.is_err() {
                    server_reads = false;
                }
                if let Mode::CutUpload(after_bytes) = exchange.mode
                    && exchange.uploaded_bytes >= after_bytes
                {
                    lock(plan).counts.hits += 1;
                    return reset(&client, &server);
                }
            }
            read = server.read(&mut answer) => {
                let chunk = &answer[..read?];
                if chunk.is_empty() {
                    return Ok(());
                }
                if !exchange.answered && !chunk.starts_with(CONTINUE) {
                    exchange.answered = true;
                    match exchange.mode {
                        Mode::Delay(time) => {
                            lock(plan).counts.hits += 1;
                            tokio::time::sleep(time).await;
                        }
                        Mode::LoseAnswer => {
                            lock(plan).counts.hits += 1;
                            return reset(&client, &server);
                        }
                        Mode::Pass | Mode::CutUpload(_) | Mode::Stall => {}
                    }
                }
                client.write_all(chunk).await?;
            }
        }
    }
}

/// Has both connections end with a reset instead of a close when dropped.
fn reset(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    client.set_zero_linger()?;
    server.set_zero_linger()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use super::*;

    /// A server that answers each line `PUT n` and its `n` bytes with a line,
    /// and counts the bytes that it took and the uploads that were whole.
    struct Server {
        address: String,
        taken_bytes: Arc<AtomicU64>,
        done: Arc<AtomicU64>,
        task: JoinHandle<()>,
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    async fn server() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (taken_bytes, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (taken, whole) = (Arc::clone(&taken_bytes), Arc::clone(&done));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (taken, whole) = (Arc::clone(&taken), Arc::clone(&whole));
                tokio::spawn(async move { serve(stream, &taken, &whole).await });
            }
        });
        Server {
            address,
            taken_bytes,
            done,
            task,
        }
    }

    async fn serve(mut stream: TcpStream, taken: &AtomicU64, whole: &AtomicU64) -> Option<()> {
        loop {
            let mut line = Vec::new();
            while line.last() != Some(&b'\n') {
                line.push(stream.read_u8().await.ok()?);
                taken.fetch_add(1, Ordering::SeqCst);
            }
            let line = String::from_utf8(line).ok()?;
            let mut left: usize = line.trim().split(' ').nth(1)?.parse().ok()?;
            let mut body = vec![0; CHUNK_BYTES];
            while left > 0 {
                let want = left.min(CHUNK_BYTES);
                let read = stream.read(&mut body[..want]).await.ok()?;
                if read == 0 {
                    return None;
                }
                taken.fetch_add(read as u64, Ordering::SeqCst);
                left -= read;
            }
            whole.fetch_add(1, Ordering::SeqCst);
            stream.write_all(b"done\n").await.ok()?;
        }
    }

    async fn connect(wire: &Wire) -> TcpStream {
        let url = wire.url();
        TcpStream::connect(url.strip_prefix("http://").unwrap())
            .await
            .unwrap()
    }

    async fn put(stream: &mut TcpStream, verb: &str, bytes: usize) -> io::Result<String> {
        let mut request = format!("{verb} {bytes}\n").into_bytes();
        request.resize(request.len() + bytes, b'x');
        stream.write_all(&request).await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    #[tokio::test]
    async fn a_wire_passes_large_uploads_and_counts_the_exchanges_of_kept_connections() {
        let server = server().await;
        let wire = Wire::before(&format!("http://{}/", server.address)).await;
        let mut stream = connect(&wire).await;
        assert_eq!(put(&mut stream, "PUT", 3 << 20).await.unwrap(), "done\n");
        assert_eq!(put(&mut stream, "PUT", 0).await.unwrap(), "done\n");
        let mut other = connect(&wire).await;
        assert_eq!(put(&mut other, "PUT", 1).await.unwrap(), "done\n");
        let counts = Counts {
            connections: 2,
            exchanges: 3,
            hits: 0,
        };
        assert_eq!(wire.counts(), counts);
        assert_eq!(server.done.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_delayed_answer_comes_late_and_whole() {
        let server = server().await;
        let wire = Wire::before(&server.address).await;
        wire.all(Mode::Delay(Duration::from_millis(150)));
        let mut stream = connect(&wire).await;
        for _ in 0..2 {
            let began = Instant::now();
            assert_eq!(put(&mut stream, "PUT", 9).await.unwrap(), "done\n");
            assert!(began.elapsed() >= Duration::from_millis(150));
        }
        assert_eq!(wire.counts().hits, 2);
    }

    #[tokio::test]
    async fn a_cut_upload_ends_in_a_reset_and_nothing_behind_the_cut_reaches_the_server() {
        let server = server().await;
        let wire = Wire::before(&server.address).await;
        wire.all(Mode::CutUpload(100_000));
        let mut stream = connect(&wire).await;
        let failure = put(&mut stream, "PUT", 1 << 20).await.unwrap_err();
        assert!(
            matches!(
                failure.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ),
            "{failure:?}"
        );
        assert!(server.taken_bytes.load(Ordering::SeqCst) <= 100_000);
        assert_eq!(server.done.load(Ordering::SeqCst), 0);
        assert_eq!(wire.counts().hits, 1);
    }

    #[tokio::test]
    async fn an_upload_shorter_than_the_cut_passes_and_is_no_hit() {
        let server = server().await;
        let wire = Wire::before(&server.address).await;
        wire.all(Mode::CutUpload(100));
        let mut stream = connect(&wire).await;
        assert_eq!(put(&mut stream, "PUT", 9).await.unwrap(), "done\n");
        assert_eq!(wire.counts().hits, 0);
    }

    #[tokio::test]
    async fn a_lost_answer_ends_in_a_reset_after_the_server_has_done_its_part() {
        let server = server().await;
        let wire = Wire::before(&server.address).await;
        wire.nth(2, Mode::LoseAnswer);
        let mut stream = connect(&wire).await;
        assert_eq!(put(&mut stream, "PUT", 9).await.unwrap(), "done\n");
        let failure = put(&mut stream, "PUT", 1 << 20).await.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::ConnectionReset);
        assert_eq!(server.done.load(Ordering::SeqCst), 2);

        let mut again = connect(&wire).await;
        assert_eq!(put(&mut again, "PUT", 9).await.unwrap(), "done\n");
        assert_eq!((wire.counts().exchanges, wire.counts().hits), (3, 1));
    }

    #[tokio::test]
    async fn a_stalled_exchange_reaches_no_server_and_is_never_answered() {
        let server = server().await;
        let wire = Wire::before(&server.address).await;
        wire.all(Mode::Stall);
        let mut stream = connect(&wire).await;
        let answer =
            tokio::time::timeout(Duration::from_millis(200), put(&mut stream, "PUT", 3 << 20));
        assert!(answer.await.is_err(), "answered");
        assert_eq!(server.taken_bytes.load(Ordering::SeqCst), 0);
        assert_eq!(wire.counts().hits, 1);
    }

    #[tokio::test]
    async fn a_mode_may_wait_for_the_request_that_it_is_meant_for_and_is_used_once() {
        let server = server().await;
        let wire = Wire::before(&server.address).await;
        wire.next("PUT ", Mode::LoseAnswer);
        let mut stream = connect(&wire).await;
        assert_eq!(put(&mut stream, "GET", 0).await.unwrap(), "done\n");
        assert!(put(&mut stream, "PUT", 5).await.is_err());
        let mut stream = connect(&wire).await;
        assert_eq!(put(&mut stream, "PUT", 5).await.unwrap(), "done\n");
    }

    #[tokio::test]
    async fn a_client_of_a_server_that_is_away_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let wire = Wire::before(&address).await;
        let mut stream = connect(&wire).await;
        assert!(put(&mut stream, "PUT", 5).await.is_err());
    }

    #[tokio::test]
    async fn a_dropped_wire_ends_the_connections_over_it() {
        let server = server().await;
        let wire = Wire::before(&server.address).await;
        let mut stream = connect(&wire).await;
        assert_eq!(put(&mut stream, "PUT", 5).await.unwrap(), "done\n");
        drop(wire);
        assert!(put(&mut stream, "PUT", 5).await.is_err());
    }
}
