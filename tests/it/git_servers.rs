//! Real git servers on loopback: lighttpd in front of `git http-backend`, and openssh.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::World;

/// A server that ends with the test.
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: PathBuf,
}

/// The user that the web server lets in.
pub(crate) const USER: &str = "git";

/// Asks who it is.
const DOOR: &str = r#"auth.require = ( "/git/" =>
    ( "method" => "basic", "realm" => "git", "require" => "valid-user" )
)"#;

impl Server {
    /// The repositories below `served` over http, or https with a certificate of its own, for
    /// those who know the password, or for all; `more` is further configuration of the server.
    pub(crate) fn http(
        world: &World,
        name: &str,
        password: Option<&str>,
        tls: bool,
        more: &str,
    ) -> Option<Self> {
        let program = program("lighttpd")?;
        let folder = world.path(name);
        fs::create_dir_all(&folder).unwrap();
        let mut modules = vec!["alias", "setenv", "auth", "authn_file", "redirect", "cgi"];
        modules.push("accesslog");
        let mut text = more.to_owned();
        if tls {
            modules.push("openssl");
            certificate(&folder)?;
            text += &format!(
                "ssl.engine = \"enable\"\nssl.pemfile = \"{}\"\n",
                folder.join("both.pem").display()
            );
        }
        let modules: Vec<String> = modules.iter().map(|m| format!("\"mod_{m}\"")).collect();
        let backend = Command::new("git").arg("--exec-path").output().unwrap().stdout;
        let backend = String::from_utf8(backend).unwrap();
        text += &format!(
            r#"
            server.modules = ( {modules} )
            server.document-root = "{served}"
            server.bind = "127.0.0.1"
            server.errorlog = "{folder}/errors"
            accesslog.filename = "{folder}/requests"
            accesslog.format = "%U [%{{Authorization}}i]"
            alias.url = ( "/git" => "{backend}/git-http-backend" )
            auth.backend = "plain"
            auth.backend.plain.userfile = "{folder}/users"
            $HTTP["url"] =~ "^/git/" {{
                cgi.assign = ( "" => "" )
                setenv.set-environment = (
                    "GIT_PROJECT_ROOT" => "{served}", "GIT_HTTP_EXPORT_ALL" => "1"
                )
            }}
            {door}
            "#,
            door = if password.is_some() { DOOR } else { "" },
            modules = modules.join(", "),
            served = served(world).display(),
            folder = folder.display(),
            backend = backend.trim(),
        );
        let config = folder.join("config");
        let server = start(&folder, |port| {
            fs::write(&config, format!("server.port = {port}\n{text}")).unwrap();
            let mut command = Command::new(&program);
            command.arg("-D").arg("-f").arg(&config);
            command
        });
        server.password(password.unwrap_or_default());
        Some(server)
    }

    /// Lets another password in, and the old one no more.
    pub(crate) fn password(&self, password: &str) {
        fs::write(self.folder.join("users"), format!("{USER}:{password}\n")).unwrap();
    }

    /// The repositories of the machine over ssh, for a key of its own.
    pub(crate) fn ssh(world: &World) -> Option<Self> {
        let program = program("sshd")?;
        let folder = world.path("ssh");
        fs::create_dir_all(&folder).unwrap();
        for name in ["host", "user", "stranger"] {
            key(&folder.join(name))?;
        }
        fs::copy(folder.join("user.pub"), folder.join("authorized")).unwrap();
        // The server wants this folder if it is started by root, and Debian makes it at boot.
        let _ = fs::create_dir_all("/run/sshd");
        let config = folder.join("config");
        let server = start(&folder, |port| {
            let text = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nPidFile none\n\
                 AuthorizedKeysFile {at}/authorized\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n\
                 PermitRootLogin prohibit-password\n",
                at = folder.display()
            );
            fs::write(&config, text).unwrap();
            let mut command = Command::new(&program);
            command.arg("-D").arg("-e").arg("-f").arg(&config);
            command
        });
        let host = fs::read_to_string(folder.join("host.pub")).unwrap();
        let known = format!("[127.0.0.1]:{} {host}", server.port);
        fs::write(folder.join("known_hosts"), known).unwrap();
        Some(server)
    }

    /// The value of `GIT_SSH_COMMAND` for a key and a file of known hosts of this server.
    pub(crate) fn ssh_command(&self, key: &str, known_hosts: &str) -> String {
        let at = self.folder.display();
        format!(
            "ssh -F /dev/null -i {at}/{key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
             -o UserKnownHostsFile={at}/{known_hosts}"
        )
    }

    /// The URL of a repository over http.
    pub(crate) fn url(&self, scheme: &str, repository: &str) -> String {
        format!("{scheme}://127.0.0.1:{}/git/{repository}", self.port)
    }

    /// The URL of a repository over ssh.
    pub(crate) fn ssh_url(&self, repository: &Path) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        format!("ssh://{}@127.0.0.1:{}{}", user.trim(), self.port, repository.display())
    }

    /// Where the certificate of the server is.
    pub(crate) fn certificate(&self) -> String {
        self.folder.join("certificate.pem").display().to_string()
    }

    /// Ends the server; each request that it had, with its path and its `Authorization`.
    pub(crate) fn requests(mut self) -> String {
        // Told to end, it writes what it still holds of its log.
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap();
        fs::read_to_string(self.folder.join("requests")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the repositories that are served.
pub(crate) fn served(world: &World) -> PathBuf {
    world.path("served")
}

/// Makes a bare repository that is served.
pub(crate) fn serve(world: &World, name: &str) -> PathBuf {
    let at = served(world).join(name);
    fs::create_dir_all(&at).unwrap();
    crate::world::git_in(&at, &["init", "-q", "--bare", "-b", "main"]);
    at
}

/// Says on the real stderr, which the test runner does not swallow, that a test is skipped.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Makes an ssh key without a passphrase; `None` where the machine cannot.
pub(crate) fn key(at: &Path) -> Option<()> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(at)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        skipped("ssh-keygen is not installed");
        return None;
    }
    Some(())
}

/// A program that may be in a folder for administrators only.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skipped(&format!("{name} is not installed; .ci/run installs it where it may"));
    }
    found
}

fn certificate(folder: &Path) -> Option<()> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem"])
        .args(["-out", "certificate.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    let has_module = ["/usr/lib/lighttpd", "/usr/local/lib"]
        .iter()
        .any(|at| Path::new(at).join("mod_openssl.so").is_file());
    if !has_module || !made.is_ok_and(|status| status.success()) {
        skipped("openssl or lighttpd-mod-openssl is not installed");
        return None;
    }
    let both = ["key.pem", "certificate.pem"].map(|name| fs::read(folder.join(name)).unwrap());
    fs::write(folder.join("both.pem"), both.concat()).unwrap();
    Some(())
}

/// Starts a server on a port that was free a moment ago; on another if it is not any more.
fn start(folder: &Path, command: impl Fn(u16) -> Command) -> Server {
    for _ in 0..10 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut child = command(port).stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Server { child, port, folder: folder.to_path_buf() };
            }
            assert!(started.elapsed() < Duration::from_secs(30), "the server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let log = fs::read_to_string(folder.join("log")).unwrap();
    panic!("the server does not start: {log}");
}
