//! The stage of `demo`: a repository made from the examples, the secrets that they refer to, and
//! a sandbox in which somebody has worked by hand.
//!
//! The command decides what happens on it, with the same `plan`, `apply` and `run` that
//! everybody uses: the demo shows nothing that the program would not do elsewhere.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::{fs, io};

use aws_lc_rs::rand;
use git2::{ConfigLevel, Repository, RepositoryInitOptions, Signature};
use serde_json::json;

use crate::config::FILE_NAME as CONFIG_FILE;
use crate::digest::hex;
use crate::environment::Environment;
use crate::sandbox::{Access, Control, Options, Sandbox, Variables};
use crate::secret::Sensitive;

/// The project that stands for production.
pub(crate) const PROJECT: &str = "Shop";

/// The project beside it.
const STAGING: &str = "ShopStaging";

/// The address of the sandbox where it is free.
const SANDBOX: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8089);

/// Everything that the demo plays on.
pub(crate) struct Stage {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The checkout that can be edited.
    pub repository: PathBuf,
    /// The folder of the state.
    pub state: PathBuf,
    /// Where the daemon should listen.
    pub listen: SocketAddr,
    /// The secrets that the documents and the config refer to, made up for this run.
    pub environment: Environment,
}

impl Stage {
    /// Builds the stage in a folder that is empty or not there yet.
    ///
    /// # Errors
    /// The folder, the repository or the sandbox cannot be had.
    pub(crate) async fn build(folder: &Path, listen: SocketAddr) -> Result<Self, String> {
        let secrets = make_up(EXAMPLES.iter().map(|(_, text)| *text))?;
        // The tokens that the sandbox takes.
        let tokens = secrets.iter().filter(|(name, _)| name.ends_with("APINIZER_TOKEN"));
        let tokens: Vec<_> = tokens.map(|(_, token)| Sensitive::new(token.clone())).collect();
        let options = |listen| Options {
            listen,
            access: Access {
                projects: vec![PROJECT.to_owned(), STAGING.to_owned()],
                tokens: tokens.clone(),
                ..Access::default()
            },
            // The one that the examples use.
            variables: Variables::Named(vec!["LEDGER_HOST".to_owned()]),
            bookkeeping: true,
            ..Options::default()
        };
        let sandbox = match Sandbox::start(options(SANDBOX.into())).await {
            Err(_) => Sandbox::start(options((Ipv4Addr::LOCALHOST, 0).into())).await,
            started => started,
        };
        let sandbox = sandbox.map_err(|error| error.to_string())?;
        work_by_hand(sandbox.control()).ok_or("an example of this program is no connection")?;
        let listen = free(listen);
        let repository = folder.join("gateway-config");
        make_repository(&repository, &sandbox.url(), listen)?;
        Ok(Self {
            sandbox,
            repository,
            state: folder.join("state"),
            listen,
            environment: Environment::new(secrets),
        })
    }
}

/// The address itself where it is free, else a free port beside it.
fn free(listen: SocketAddr) -> SocketAddr {
    let bind = |address: SocketAddr| TcpListener::bind(address)?.local_addr();
    let other = || bind(SocketAddr::new(listen.ip(), 0));
    bind(listen).or_else(|_| other()).unwrap_or(listen)
}

/// The connections from before git: one under its old name, one that drifted from what git
/// will declare, and one that git knows nothing of.
fn work_by_hand(control: &Control) -> Option<()> {
    control.put(
        PROJECT,
        json!({
            "type": "email", "name": "invoice-mails", "host": "smtp.example.com", "port": 465,
            "auth": true, "username": "invoices@example.com", "password": "set-by-hand",
            "from": "invoices@example.com",
        }),
    )?;
    control.put(
        PROJECT,
        json!({
            "type": "webhook", "name": "fraud-check", "httpMethod": "POST", "timeout": 30,
            "fullUrl": "https://fraud.example.com/v1/events",
        }),
    )?;
    control.put(
        PROJECT,
        json!({
            "type": "linux-script", "name": "old-build-host", "hostName": "build.example.com",
            "username": "build", "password": "set-by-hand",
        }),
    )
}

// The repository of the demo: the examples in one commit, and a config that points to the
// sandbox. It is made without the git program and without the user's git configuration.

const AUTHOR: (&str, &str) = ("Demo", "demo@example.com");

/// Makes the repository in a folder that is empty or not there yet.
fn make_repository(folder: &Path, url: &str, listen: SocketAddr) -> Result<(), String> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("cannot write {path}: {error}")
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    if fs::read_dir(folder).map_err(failed(folder))?.next().is_some() {
        return Err(format!("{} is not empty; name a new folder with --dir", folder.display()));
    }
    for (path, text) in EXAMPLES {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        let text = if *path == CONFIG_FILE {
            config(text, folder, url, listen)
        } else {
            (*text).to_owned()
        };
        fs::write(&file, text).map_err(failed(&file))?;
    }
    commit(folder).map_err(|error| format!("the repository of the demo cannot be made: {error}"))
}

/// The config of the examples, for the two projects of the sandbox.
fn config(example: &str, folder: &Path, url: &str, listen: SocketAddr) -> String {
    let config = example
        .replace("https://apinizer.staging.example.com", url)
        .replace("https://apinizer.example.com", url)
        // The plan names the source as it is written.
        .replacen("path: . ", &format!("path: {} ", json!(folder)), 1)
        // Soon enough to watch a change in the console being undone.
        .replace("    token:", "    resync: 10s\n    token:");
    format!("{config}server:\n  listen: {listen}\n")
}

fn commit(folder: &Path) -> Result<(), git2::Error> {
    let mut options = RepositoryInitOptions::new();
    options.initial_head("main").external_template(false);
    let repository = Repository::init_opts(folder, &options)?;
    // For the commits that the user is invited to make; theirs are neither needed nor touched.
    let mut config = repository.config()?.open_level(ConfigLevel::Local)?;
    let (name, email) = AUTHOR;
    config.set_str("user.name", name)?;
    config.set_str("user.email", email)?;
    config.set_bool("commit.gpgsign", false)?;
    let mut index = repository.index()?;
    for (path, _) in EXAMPLES {
        index.add_path(Path::new(path))?;
    }
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let author = Signature::now(name, email)?;
    let message = "Declare the connections of the shop";
    repository.commit(Some("HEAD"), &author, &author, message, &tree, &[])?;
    Ok(())
}

// Values for every secret that the examples refer to, made up at random for one run. They stay
// in the memory of the process: nothing prints them and no file holds them.

/// Makes up a value for every variable that the texts name.
fn make_up<'t>(texts: impl Iterator<Item = &'t str>) -> Result<BTreeMap<String, String>, String> {
    let mut secrets = BTreeMap::new();
    for name in texts.flat_map(names) {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes)
            .map_err(|_| "the system gives no random numbers for the demo's secrets")?;
        secrets.insert(name.to_owned(), hex(&bytes));
    }
    Ok(secrets)
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("${env:").skip(1).filter_map(|rest| {
        let name = rest.split_once('}')?.0;
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        (!name.is_empty() && name.bytes().all(fits)).then_some(name)
    })
}

// The examples of the repository, built into the program.

/// Makes the table of examples: paths relative to `examples/` with their texts.
macro_rules! examples {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../examples/", $path)))),+]
    };
}

/// The files of the examples: path and text.
pub(crate) const EXAMPLES: &[(&str, &str)] = examples![
    "apinizer-gitops.yaml",
    "connections/orders/broker.yaml",
    "connections/orders/files.yaml",
    "connections/orders/legacy.yaml",
    "connections/orders/mails.yaml",
    "connections/payments/database.yaml",
    "connections/payments/kafka.yaml",
    "connections/payments/mails.yaml",
    "connections/payments/webhook.yaml",
    "connections/platform/directory.yaml",
    "connections/platform/hosts.yaml",
    "connections/platform/logs.yaml",
    "connections/platform/monitoring.yaml",
    "overlays/prod/payments.yaml",
    "overlays/staging/mails.yaml",
    "overlays/staging/payments.yaml",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Resolve};

    #[test]
    fn the_repository_holds_one_commit_and_a_config_that_loads() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("repository");
        make_repository(&at, "http://127.0.0.1:8089", ([127, 0, 0, 1], 8080).into()).unwrap();
        let repository = Repository::open(&at).unwrap();
        assert!(repository.statuses(None).unwrap().is_empty());
        let file = at.join(CONFIG_FILE);
        let config = Config::load(&file, &Environment::default(), Resolve::Known).unwrap();
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        let targets = &config.targets;
        assert!(targets.iter().all(|target| target.manager.url == "http://127.0.0.1:8089"));
        assert_eq!(targets[0].resync, std::time::Duration::from_secs(10));
        let again = make_repository(&at, "http://x", ([127, 0, 0, 1], 1).into());
        assert!(again.unwrap_err().contains("is not empty"));
    }

    #[test]
    fn every_name_gets_a_value_of_its_own() {
        let text = "a: ${env:A}\nb: x${env:B_2}${env:A} ${env:...} ${env:";
        let secrets = make_up([text].into_iter()).unwrap();
        assert_eq!(secrets.keys().collect::<Vec<_>>(), ["A", "B_2"]);
        assert_ne!(secrets["A"], secrets["B_2"]);
    }

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
        let files = crate::source::Files::of_worktree(root.into());
        let paths = ["connections".to_owned(), "overlays".to_owned()];
        let listing = files.folders(&paths, None).unwrap();
        let mut on_disk: Vec<String> = listing
            .folders
            .iter()
            .flat_map(|folder| folder.files.iter().map(|file| file.path.to_string()))
            .collect();
        on_disk.push("apinizer-gitops.yaml".to_owned());
        on_disk.sort();
        let built_in: Vec<&str> = EXAMPLES.iter().map(|(path, _)| *path).collect();
        assert_eq!(built_in, on_disk);
    }
}
