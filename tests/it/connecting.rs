//! Reaching the Manager: proxies, certificates, and addresses where no Manager is.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ran::Ran;
use crate::tls::TlsFront;
use crate::world::{CHECKOUT, World, one_target};

/// A world whose target is at an address.
fn calling(url: &str) -> World {
    let mut world = World::new();
    world.commit_email("a", "");
    world.config(&one_target(CHECKOUT, "").replace("{url}", url));
    world
}

fn set(world: &mut World, variables: &[(&str, &str)]) {
    for (name, value) in variables {
        world.env.insert((*name).to_owned(), (*value).to_owned());
    }
}

/// Asserts that a cause is told, and once.
#[track_caller]
fn tells_once(ran: &Ran, cause: &str) {
    let text = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(text.matches(cause).count(), 1, "{text}");
}

/// A proxy that answers every request so; counts them.
fn proxy(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, requests)
}

const REFUSES: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_proxy_that_asks_for_a_password_is_asked_once() {
    for url in ["https://manager.example.com", "http://manager.example.com"] {
        let (address, requests) = proxy(REFUSES);
        let mut world = calling(url);
        let named = format!("http://user:pr0xy-passw0rd@{address}");
        set(&mut world, &[("HTTPS_PROXY", &named), ("HTTP_PROXY", &named)]);
        let ran = world.plan().code(1);
        tells_once(&ran, &format!("the proxy {address} asks for a user name and password"));
        assert!(!format!("{ran:?}").contains("pr0xy"), "{ran:?}");
        assert_eq!(requests.load(Ordering::Relaxed), 1, "{url}");
    }
}

#[test]
fn a_proxy_that_is_down_or_unknown_is_told_as_such() {
    for (proxy, cause) in [
        ("http://127.0.0.1:9", "connection refused by the proxy 127.0.0.1:9"),
        ("proxy.invalid:3128", "DNS lookup of the proxy proxy.invalid:3128 failed"),
    ] {
        for url in ["https://manager.example.com", "http://manager.example.com"] {
            let mut world = calling(url);
            set(&mut world, &[("ALL_PROXY", proxy)]);
            tells_once(&world.plan().code(1), cause);
        }
    }
}

#[test]
fn a_proxy_that_opens_no_connection_is_told_as_such() {
    let (address, _) = proxy("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let mut world = calling("https://manager.example.com");
    set(&mut world, &[("https_proxy", &address)]);
    let cause = format!("the proxy {address} opens no connection to manager.example.com");
    tells_once(&world.plan().code(1), &cause);
}

#[test]
fn a_proxy_url_that_cannot_be_read_is_an_error_that_does_not_show_it() {
    for text in ["socks5://user:pr0xy-passw0rd@p:1", "http://user:pr0xy-passw0rd@"] {
        let mut world = calling("https://manager.example.com");
        set(&mut world, &[("HTTPS_PROXY", text)]);
        let ran = world.plan().code(1);
        tells_once(&ran, "the variable HTTPS_PROXY");
        assert!(!format!("{ran:?}").contains("pr0xy-passw0rd"), "{ran:?}");
    }
}

#[test]
fn a_target_on_this_machine_is_called_without_the_proxy() {
    let (address, requests) = proxy(REFUSES);
    let mut world = World::new();
    world.commit_email("a", "");
    set(&mut world, &[("HTTP_PROXY", &address), ("HTTPS_PROXY", &address)]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a"]);
    assert_eq!(requests.load(Ordering::Relaxed), 0);
}

#[test]
fn a_self_signed_certificate_is_trusted_once_ca_file_holds_it() {
    let mut world = World::new();
    world.commit_email("a", "");
    let folder = tempfile::tempdir().unwrap();
    let front = TlsFront::start(folder.path(), &world.url());
    let config = |keys: &str| one_target(CHECKOUT, keys).replace("{url}", &front.url);
    world.config(&config(""));
    tells_once(
        &world.plan().code(1).says("`ca_file`"),
        "is self-signed or of an unknown authority",
    );
    world.config(&config(&format!("ca_file: {}", front.certificate.display())));
    world.apply().code(0);
    assert_eq!(world.names(), ["a"]);
    // Trust in another certificate is none in this one.
    let other = tempfile::tempdir().unwrap();
    let other = TlsFront::start(other.path(), &world.url());
    world.config(&config(&format!("ca_file: {}", other.certificate.display())));
    world.plan().code(1).says("`ca_file`");
}

#[test]
fn a_server_that_does_not_speak_tls_is_told_as_such() {
    let mut world = World::new();
    world.commit_email("a", "");
    let url = world.url().replace("http:", "https:");
    world.config(&one_target(CHECKOUT, "").replace("{url}", &url));
    tells_once(&world.plan().code(1), "does not speak TLS: http, not https?");
}
