//! A server that speaks TLS in front of another that does not.

use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(crate) struct TlsFront {
    pub(crate) url: String,
    /// Its certificate, as `openssl req -x509` makes it.
    pub(crate) certificate: PathBuf,
}

impl TlsFront {
    /// Starts one in front of `http://` and an address. It answers one request on each connection.
    pub(crate) fn start(folder: &Path, upstream: &str) -> Self {
        let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=manager.example.com", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&certificate).unwrap()],
                PrivateKeyDer::from_pem_file(&key).unwrap(),
            )
            .unwrap();
        // As most servers do, it prefers HTTP/2 where a client offers that.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let upstream = upstream.trim_start_matches("http://").to_owned();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (config, upstream) = (Arc::clone(&config), upstream.clone());
                std::thread::spawn(move || pass_on(stream, config, &upstream));
            }
        });
        Self { url, certificate }
    }
}

fn pass_on(stream: TcpStream, config: Arc<ServerConfig>, upstream: &str) -> Option<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let request = request(&mut stream)?;
    if stream.conn.alpn_protocol() == Some(b"h2") {
        return None;
    }
    let mut server = TcpStream::connect(upstream).unwrap();
    server.write_all(request.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    stream.write_all(&answer).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

/// Reads one request, up to the end of its body.
fn request(stream: &mut impl Read) -> Option<String> {
    let mut read = String::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        read.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let Some((head, body)) = read.split_once("\r\n\r\n") else { continue };
        let length: Option<usize> = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(read);
        }
    }
}
