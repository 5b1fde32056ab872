//! The status page as people see it, in headless Chromium. Where `chromedriver` is not installed
//! these tests say so and do nothing; `.ci/run` installs it where it may.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::running::{Running, eventually};
use crate::world::{CANARY, World};

const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// The driver and its port; `None` where it is not installed. It takes a free port of IPv6 and ends
/// if another process has the same one of IPv4, so it is started until it listens.
fn start_driver() -> Option<(Child, String)> {
    let mut said = Vec::new();
    for _ in 0..20 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            let line = line.unwrap();
            if let Some((_, port)) = line.split_once("successfully on port ") {
                let port = port.trim_end_matches('.').to_owned();
                std::thread::spawn(move || lines.for_each(drop));
                return Some((driver, port));
            }
            said.push(line);
        }
        driver.wait().unwrap();
    }
    panic!("chromedriver does not start:\n{}", said.join("\n"));
}

/// A browser with one tab.
struct Browser<'w> {
    world: &'w World,
    driver: Child,
    session: String,
    _profile: tempfile::TempDir,
}

impl<'w> Browser<'w> {
    /// `None`, and a notice that is seen whether or not the test passes: it is not installed.
    fn start(world: &'w World) -> Option<Self> {
        let Some((driver, port)) = start_driver() else {
            let notice =
                b"notice: chromedriver is not installed; the status page was NOT looked at\n";
            std::io::stderr().write_all(notice).unwrap();
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let address = format!("http://127.0.0.1:{port}");
        let mut browser = Self { world, driver, session: address, _profile: profile };
        let session = browser.call("POST", "/session", &wanted);
        let id = session["sessionId"].as_str().unwrap().to_owned();
        browser.session = format!("{}/session/{id}", browser.session);
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.session);
        self.world.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut request = client.request(method.parse().unwrap(), url);
            if method == "POST" {
                request = request.json(body);
            }
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
            answer["value"].clone()
        })
    }

    fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({"url": url}));
    }

    fn script(&self, text: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({"script": text, "args": []}))
    }

    /// The text of the page.
    fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        eventually(&format!("`{text}` on the page"), || self.text().contains(text));
    }

    fn element(&self, css: &str) -> String {
        let found = self.call("POST", "/element", &json!({"using": "css selector", "value": css}));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    fn click(&self, css: &str) {
        self.call("POST", &format!("/element/{}/click", self.element(css)), &json!({}));
    }

    fn write(&self, css: &str, text: &str) {
        let path = format!("/element/{}/value", self.element(css));
        self.call("POST", &path, &json!({"text": text}));
    }

    /// Everything the browser has of the page, and no complaint about it: a policy that is broken
    /// is one.
    fn assert_clean(&self) {
        let whole = self.script("return document.documentElement.outerHTML").to_string();
        assert!(!whole.contains(CANARY) && !whole.contains("c4nary"), "a secret is in the page");
        let log = self.call("POST", "/se/log", &json!({"type": "browser"}));
        let severe = log.as_array().unwrap().iter().filter(|entry| {
            // A refused token is no fault of the page.
            entry["level"] == "SEVERE" && !entry.to_string().contains("401")
        });
        assert_eq!(severe.collect::<Vec<_>>(), Vec::<&Value>::new());
    }

    fn screenshot(&self, width: u32, height: u32, is_dark: bool) -> Vec<u8> {
        use base64::Engine as _;
        let command = |name: &str, parameters: Value| {
            self.call("POST", "/goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
        };
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        command("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        command("Emulation.setEmulatedMedia", json!({"features": [feature]}));
        let taken = command("Page.captureScreenshot", json!({"format": "png"}));
        let data = taken["data"].as_str().unwrap();
        base64::engine::general_purpose::STANDARD.decode(data).unwrap()
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.call("DELETE", "", &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn world(target: &str) -> World {
    let mut world = World::new();
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "admin-c4nary".to_owned());
    world.config(&format!(
        "source: {{path: '{{repo}}'}}\ntargets:\n  - name: prod\n    url: {{url}}\n    \
         project: demo\n    token: ${{env:APINIZER_TOKEN}}\n    {target}\n\
         server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n"
    ));
    world
}

#[test]
fn a_commit_and_a_held_delete_show_up_without_a_reload() {
    let world = world("max_deletes: 0");
    world.commit_email("first", "");
    let daemon = Running::start(&world, &[]);
    let Some(browser) = Browser::start(&world) else { return };
    browser.open(&daemon.address);
    browser.shows("Everything is in sync");
    browser.shows("declare first");
    // The reader's search and filters outlive an update of the page.
    browser.script("window.unchanged = true; document.getElementById('q').focus()");
    browser.write("#q", "s");
    world.commit_email("second", "");
    browser.shows("declare second");
    browser.shows("second");
    world.remove("connections/first.yaml");
    world.commit("retire first");
    browser.shows("prod needs attention");
    browser.shows("held by max_deletes");
    let kept = "return [window.unchanged, document.activeElement.id, document.activeElement.value]";
    assert_eq!(browser.script(kept), json!([true, "q", "s"]));
    assert_eq!(
        browser.script("return document.title"),
        "prod needs attention: 1 held · apinizer-gitops"
    );
    browser.script("document.getElementById('q').value = ''");
    browser.click("a.badge.held");
    eventually("only what is held", || !browser.text().contains("second\n"));
    assert!(browser.script("return location.search").as_str().unwrap().contains("state=held"));
    browser.assert_clean();
}

#[test]
fn drift_is_shown_field_by_field_and_no_secret_with_it() {
    let world = world("drift: report\n    resync: 1s");
    world.commit_email("mails", "port: 25\n");
    let daemon = Running::start(&world, &[]);
    let Some(browser) = Browser::start(&world) else { return };
    browser.open(&daemon.address);
    browser.shows("Everything is in sync");
    world.edit("mails", "port", json!(26));
    world.edit("mails", "password", json!("c4nary-drifted"));
    browser.shows("prod needs attention");
    let difference =
        "return [...document.querySelectorAll('.fields li')].map(li => li.textContent)";
    eventually("the difference", || {
        browser.script(difference).to_string().contains("port live 26 git 25 drift")
    });
    world.remove("connections/mails.yaml");
    world.write(
        "connections/bad.yaml",
        "type: email\nname: bad\nhost: h\npassword: c4nary-literal\n",
    );
    world.commit("a mistake");
    browser.shows("The newest commit is refused; the last good one is kept up.");
    browser.shows("connections/bad.yaml:4");
    browser.assert_clean();
}

#[test]
fn a_check_that_is_late_is_due() {
    let world = world("resync: 10s");
    world.commit_email("mails", "");
    let daemon = Running::start(&world, &[]);
    let Some(browser) = Browser::start(&world) else { return };
    browser.open(&daemon.address);
    browser.shows("Everything is in sync");
    browser.shows("next check in ");
    // A daemon that stands still makes no check, and the page tells time by itself.
    daemon.signal("-STOP");
    browser.shows("next check is due");
    daemon.signal("-CONT");
    browser.shows("next check in ");
    browser.assert_clean();
}

#[test]
fn the_buttons_ask_for_the_token_once() {
    let world = world("resync: 1h");
    world.commit_email("mails", "");
    let daemon = Running::start(&world, &[]);
    let Some(browser) = Browser::start(&world) else { return };
    browser.open(&daemon.address);
    browser.shows("Everything is in sync");
    let state = || daemon.status(&world)["targets"][0]["suspended"].clone();
    browser.click("button[data-verb=suspend]");
    browser.write("#token", "guess");
    browser.click("#ask button[value=ok]");
    browser.shows("The token is wrong");
    assert_eq!(state(), json!(false));
    browser.click("button[data-verb=suspend]");
    browser.write("#token", "admin-c4nary\u{e007}");
    browser.shows("suspend prod: accepted");
    browser.shows("prod needs attention");
    assert_eq!(state(), json!(true));
    browser.click("button[data-verb=resume]");
    browser.shows("Everything is in sync");
    assert_eq!(state(), json!(false));
    world.edit("mails", "host", json!("elsewhere"));
    browser.click(".banner button[data-verb=reconcile]");
    eventually("put right", || world.live("mails")["host"] == json!("smtp.example.com"));
    // The keyboard reaches all of it.
    browser.script("document.activeElement.blur()");
    browser.write("body", "/");
    assert_eq!(browser.script("return document.activeElement.id"), "q");
    browser.assert_clean();
}

#[test]
fn a_target_of_a_fleet_opens_and_closes_without_a_reload() {
    let world = crate::fleet::fleet();
    let daemon = Running::start(&world, &[]);
    let Some(browser) = Browser::start(&world) else { return };
    browser.open(&daemon.address);
    browser.shows("Everything is in sync");
    browser.script("window.unchanged = true");
    assert!(!browser.text().contains("orders"));
    browser.click("a[data-open=target-07]");
    browser.shows("orders");
    assert!(
        browser.script("return location.search").as_str().unwrap().contains("target=target-07")
    );
    world.write("project-07/refunds.yaml", &crate::world::email("refunds", ""));
    world.commit("declare refunds");
    browser.shows("refunds");
    browser.script("document.querySelector('details[data-key=history-target-07]').open = true");
    browser.script("document.querySelector('details[data-key^=\"sent-target-07\"]').open = true");
    browser.shows("host git \"smtp.example.com\"");
    browser.click("a[data-open=target-07]");
    eventually("closed", || !browser.text().contains("orders"));
    assert_eq!(browser.script("return window.unchanged"), json!(true));
    browser.assert_clean();
}

#[test]
fn a_wall_is_used_whole_and_a_phone_scrolls_down_only() {
    let world = world("max_deletes: 0");
    world.commit_email("first", "");
    world.commit_email("second", "");
    let daemon = Running::start(&world, &[]);
    let Some(browser) = Browser::start(&world) else { return };
    browser.open(&daemon.address);
    browser.shows("Everything is in sync");
    drop(browser.screenshot(1920, 1080, true));
    // The past stands beside the connections, in the open, and both end at the edges.
    let edges = "const edges = (css) => { const box = document.querySelector(css).getBoundingClientRect(); \
                 return [box.left < 80, box.right > 1840, box.top]; }; \
                 const [left, , top] = edges('.now'), [, right, beside] = edges('.past'); \
                 return [left, right, top === beside, document.querySelectorAll('.past > details[open]').length]";
    eventually("a wall", || browser.script(edges) == json!([true, true, true, 2]));
    browser.click(".past > details > summary");
    world.commit_email("third", "");
    browser.shows("declare third");
    assert_eq!(
        browser.script(edges),
        json!([true, true, true, 1]),
        "what a reader closed stays so"
    );
    drop(browser.screenshot(375, 800, false));
    assert_eq!(browser.script("return document.documentElement.scrollWidth"), json!(375));
    browser.assert_clean();
}

/// Makes the picture of the README:
/// `cargo test --test it -- --ignored the_picture_of_the_readme`.
#[test]
#[ignore = "writes docs/status-page.png"]
fn the_picture_of_the_readme() {
    let mut world = World::new();
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "admin".to_owned());
    let target = |name: &str, project: &str, more: &str| {
        format!(
            "  - name: {name}\n    url: {{url}}\n    project: {project}\n    \
             token: ${{env:APINIZER_TOKEN}}\n    resync: 1s\n    {more}\n"
        )
    };
    world.alter_projects(&["demo", "Orders"]);
    world.config(&format!(
        "source: {{path: repo}}\ntargets:\n{}{}server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n",
        target("prod", "demo", "drift: report\n    max_deletes: 1"),
        target("staging", "Orders", "prune: true"),
    ));
    for name in ["order-mails", "invoice-mails", "refund-mails", "newsletter", "password-resets"] {
        world.write(&format!("connections/{name}.yaml"), &crate::world::email(name, "port: 587\n"));
    }
    let webhook = "type: webhook\nname: fraud-check\nhttpMethod: POST\nfullUrl: https://fraud.example.com/events\ntimeout: 30\n";
    world.write("connections/fraud-check.yaml", webhook);
    world.commit("Declare the connections of the shop");
    let daemon = Running::start(&world, &[]);
    // The ids of what was created are learnt at the look after the creates.
    let outcome = || daemon.status(&world)["targets"][0]["history"][0]["outcome"].clone();
    eventually("created and looked at", || outcome() == json!("in_sync"));
    world.edit("fraud-check", "timeout", json!(99));
    world.remove("connections/newsletter.yaml");
    world.remove("connections/refund-mails.yaml");
    world.commit("Move newsletter and refunds to the new provider");
    let Some(browser) = Browser::start(&world) else { return };
    browser.open(&daemon.address);
    browser.shows("held by max_deletes");
    browser.shows("drifted");
    drop(browser.screenshot(1100, 1080, false));
    std::thread::sleep(std::time::Duration::from_secs(2));
    let picture = browser.screenshot(1100, 1080, false);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/status-page.png");
    std::fs::write(file, picture).unwrap();
}
