//! A raw HTTP server: what a real one would never send can be sent too.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it came over the wire.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    head: String,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(super) fn is_token_request(&self) -> bool {
        self.path == "/apiops/auth/token"
    }
}

/// Bytes to send; an answer that is cut short is followed by the end of the connection.
pub(super) struct Reply {
    bytes: Vec<u8>,
    then_close: bool,
}

impl Reply {
    pub(super) fn with(status: u16, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n{headers}\r\n");
        Self { bytes: [head.as_bytes(), body].concat(), then_close: false }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::with(status, "Content-Type: application/json\r\n", body.to_string().as_bytes())
    }

    pub(super) fn cut(mut self, bytes: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - bytes);
        self.then_close = true;
        self
    }

    pub(super) fn nothing() -> Self {
        Self { bytes: Vec::new(), then_close: true }
    }
}

pub(super) struct Server {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each request with what `respond` makes of it and of how many came before it.
    pub(super) async fn start(
        respond: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let respond = Arc::new(respond);
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (respond, log) = (Arc::clone(&respond), Arc::clone(&log));
                tokio::spawn(async move { serve(stream, &*respond, &log).await });
            }
        });
        Self { url, seen, task }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(super) fn token_requests(&self) -> usize {
        self.seen().iter().filter(|seen| seen.is_token_request()).count()
    }

    /// Requests other than those for tokens.
    pub(super) fn calls(&self) -> usize {
        self.seen().len() - self.token_requests()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    respond: &(impl Fn(&Seen, usize) -> Reply + Send + Sync),
    log: &Mutex<Vec<Seen>>,
) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let seen = loop {
            if let Some(seen) = request(&read) {
                break seen;
            }
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
            read.extend_from_slice(&buffer[..count]);
        };
        read.clear();
        let before = {
            let mut log = log.lock();
            log.push(seen.clone());
            log.len() - 1
        };
        let reply = respond(&seen, before);
        stream.write_all(&reply.bytes).await.ok()?;
        if reply.then_close {
            return None;
        }
    }
}

fn request(bytes: &[u8]) -> Option<Seen> {
    let text = std::str::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let seen = Seen { method, path, head: head.to_owned(), body: body.to_owned() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    (body.len() == length).then_some(seen)
}
