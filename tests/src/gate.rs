//! A gate before a server, which can be shut as a server that is down.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Connections that wait to be taken.
const BACKLOG: u32 = 128;

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// All goes through.
    Open,
    /// Nothing listens, and what was connected is cut off.
    Refuses,
    /// Connections are taken, and nothing ever answers.
    Hangs,
}

/// A gate at an address of its own, until dropped.
pub struct Gate {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    stance: watch::Sender<Stance>,
    door: JoinHandle<()>,
}

impl Gate {
    /// An open one before the server at `url`.
    pub fn before(url: &str) -> Self {
        let upstream: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = listener.local_addr().unwrap();
        let (stance, seen) = watch::channel(Stance::Open);
        Self {
            url: format!("http://{address}"),
            stance,
            door: tokio::spawn(keep(address, listener, upstream, seen)),
        }
    }

    /// Sets it so.
    pub fn set(&self, stance: Stance) {
        self.stance.send(stance).unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.door.abort();
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    // The port is taken again while connections of before still linger.
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(BACKLOG).unwrap()
}

async fn keep(
    address: SocketAddr,
    first: TcpListener,
    upstream: SocketAddr,
    mut stance: watch::Receiver<Stance>,
) {
    let mut listener = Some(first);
    loop {
        let now = *stance.borrow_and_update();
        match now {
            Stance::Refuses => listener = None,
            Stance::Open | Stance::Hangs => {
                listener = listener.or_else(|| Some(listen(address)));
            }
        }
        // Those of this stance end with it.
        let mut connections = JoinSet::new();
        let turned = async { stance.changed().await.is_ok() };
        let taken = async {
            match &listener {
                None => std::future::pending().await,
                Some(listener) => loop {
                    let Ok((client, _)) = listener.accept().await else {
                        continue;
                    };
                    match now {
                        Stance::Open => connections.spawn(pass(client, upstream)),
                        _ => connections.spawn(hold(client)),
                    };
                },
            }
        };
        tokio::select! {
            turned = turned => if !turned { return },
            () = taken => {}
        }
    }
}

async fn pass(mut client: TcpStream, upstream: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(upstream).await {
        // How either ends is the other's to see.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

async fn hold(client: TcpStream) {
    std::future::pending::<()>().await;
    drop(client);
}
