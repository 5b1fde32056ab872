//! Every key of the config, once: its kind, default and meaning. Reading, the check for unknown
//! keys and the JSON Schema all work from these tables.

use std::time::Duration;

use strum::VariantNames as _;

use super::{Adopt, NotifyEvent, NotifyKind, OnDrift, OnInvalid};

/// The keys of one mapping of the config.
#[derive(Debug)]
pub(super) struct Section {
    /// Its name in a message.
    pub(super) name: &'static str,
    /// Its keys.
    pub(super) keys: &'static [Key],
    /// Groups of keys of which only one may be used.
    pub(super) choices: &'static [OneOf],
}

/// Groups of keys of which only one may be used; all keys of the used group have to be there.
#[derive(Debug)]
pub(super) struct OneOf {
    /// The groups.
    pub(super) groups: &'static [&'static [&'static str]],
    /// Whether one of them has to be used.
    pub(super) required: bool,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// How it is written.
    pub(super) name: &'static str,
    /// The kind of its value.
    pub(super) kind: KeyKind,
    /// The value of an absent key, as JSON.
    pub(super) default: Option<&'static str>,
    /// Whether it has to be there.
    pub(super) required: bool,
    /// Its meaning, one sentence.
    pub(super) about: &'static str,
}

/// The kind of a key's value.
#[derive(Debug)]
pub(super) enum KeyKind {
    /// A text; references in it are resolved at load.
    Text,
    /// A text as it is written: `${...}` in it stays text.
    Verbatim,
    /// A text whose references are resolved when it is used.
    Late,
    /// References only; the name to suggest.
    Secret(&'static str),
    /// A duration of at least this.
    Duration(Duration),
    /// A number of bytes of at least this.
    Size(u64),
    /// `true` or `false`.
    Boolean,
    /// A whole number between two bounds, both included.
    Integer(u64, u64),
    /// A share or a count.
    MaxDeletes,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A list of a few words.
    Words(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A mapping of names to texts, numbers and booleans.
    Vars,
    /// An address to listen on, or `none`.
    Listen,
    /// A mapping with keys of its own.
    Section(&'static Section),
    /// A list of such mappings.
    Sections(&'static Section),
}

impl Section {
    /// Finds a key by its name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Whether it or a section in it has a key of that name.
    fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| match key.kind {
            _ if key.name == name => true,
            KeyKind::Section(section) | KeyKind::Sections(section) => section.has(name),
            _ => false,
        })
    }
}

/// Whether any section has a key of that name.
pub(super) fn is_key(name: &str) -> bool {
    ROOT.has(name)
}

const fn key(name: &'static str, kind: KeyKind, about: &'static str) -> Key {
    Key { name, kind, default: None, required: false, about }
}

impl Key {
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// The whole file.
pub(super) static ROOT: Section = Section {
    name: "the config",
    choices: &[],
    keys: &[
        key(
            "source",
            KeyKind::Section(&SOURCE),
            "Where the documents come from; default: the folder of this file.",
        ),
        key(
            "targets",
            KeyKind::Sections(&TARGET),
            "The projects that are kept equal to git, at least one.",
        )
        .required(),
        key("server", KeyKind::Section(&SERVER), "What the daemon serves over HTTP."),
        key("notify", KeyKind::Sections(&NOTIFY), "Whom the daemon tells about what happened."),
        key(
            "rules",
            KeyKind::Sections(&RULE),
            "Rules of your own: expressions in CEL that deny documents and changes, hold changes or warn.",
        ),
        key(
            "kubernetes",
            KeyKind::Section(&KUBERNETES),
            "Share the targets with other replicas in a cluster, by a Lease for each.",
        ),
        key(
            "state_dir",
            KeyKind::Text,
            "The folder that keeps the state; default: $STATE_DIRECTORY, else the user's XDG state folder.",
        ),
        key(
            "fingerprint_key",
            KeyKind::Secret("FINGERPRINT_KEY"),
            "The key of the fingerprints of secrets; default: derived from the target's credential.",
        ),
    ],
};

/// The section `source`.
pub(super) static SOURCE: Section = Section {
    name: "`source`",
    choices: &[OneOf { groups: &[&["path"], &["url"]], required: false }],
    keys: &[
        key(
            "path",
            KeyKind::Text,
            "A checkout or a bare repository on this machine, relative to this file.",
        ),
        key(
            "url",
            KeyKind::Text,
            "Whatever `git fetch` takes (https, ssh, a file URL), without a password: cloned and fetched by the tool.",
        ),
        key("branch", KeyKind::Text, "The branch to follow; default: what HEAD names."),
        key("poll", KeyKind::Duration(SECOND), "How often a url is fetched.").or("\"30s\""),
        key("verify", KeyKind::Section(&VERIFY), "Apply only commits that are signed so."),
        key(
            "links",
            KeyKind::Section(&LINKS),
            "Where commits and files are shown on the web; default: known for GitHub, GitLab, Gitea and Bitbucket.",
        ),
    ],
};

static LINKS: Section = Section {
    name: "`links`",
    choices: &[],
    keys: &[
        key("commit", KeyKind::Verbatim, "The address of a commit, with `{commit}` for its id.")
            .required(),
        key(
            "file",
            KeyKind::Verbatim,
            "The address of a line of a file, with `{commit}`, `{file}` and `{line}`.",
        )
        .required(),
    ],
};

static VERIFY: Section = Section {
    name: "`verify`",
    choices: &[OneOf { groups: &[&["ssh_allowed_signers"], &["gpg_keyring"]], required: true }],
    keys: &[
        key(
            "ssh_allowed_signers",
            KeyKind::Text,
            "A file of allowed signers, as git's gpg.ssh.allowedSignersFile takes it.",
        ),
        key("gpg_keyring", KeyKind::Text, "A GPG keyring with the keys of those who may sign."),
    ],
};

static TARGET: Section = Section {
    name: "a target",
    choices: &[OneOf { groups: &[&["token"], &["username", "password"]], required: true }],
    keys: &[
        key("name", KeyKind::Text, "What the target is called, in `targets` of documents too.").required(),
        key("url", KeyKind::Text, "The URL of the Apinizer Manager.").required(),
        key("project", KeyKind::Text, "The Apinizer project, case-sensitive.").required(),
        key("token", KeyKind::Secret("APINIZER_TOKEN"), "A bearer token of the Management API."),
        key("username", KeyKind::Late, "The user of a client-credentials token."),
        key("password", KeyKind::Secret("APINIZER_PASSWORD"), "The password of a client-credentials token."),
        key("paths", KeyKind::Texts, "The folders of the repository to read; later ones patch earlier ones.").or("[\"connections\"]"),
        key("vars", KeyKind::Vars, "Plain values for ${var:NAME}; they are shown like any other."),
        key("prune", KeyKind::Boolean, "Whether owned connections that git no longer declares are deleted.").or("true"),
        key("max_deletes", KeyKind::MaxDeletes, "How many deletes a run may make: a share of the inventory (never less than 3) or an exact count.").or("\"30%\""),
        key("adopt", KeyKind::Word(Adopt::VARIANTS), "Which live connections are adopted when git declares them; default: always, with `drift: report` equal."),
        key("drift", KeyKind::Word(OnDrift::VARIANTS), "Whether drift is written back, or shown and kept.").or("\"correct\""),
        key("resync", KeyKind::Duration(SECOND), "How often live is compared when git is quiet.").or("\"5m\""),
        key("concurrency", KeyKind::Integer(1, 256), "How many calls may be under way at once. All targets at one host together make no more than the largest of theirs.").or("8"),
        key("on_invalid", KeyKind::Word(OnInvalid::VARIANTS), "Whether a commit with an invalid document is refused whole, or applied without it and without deletes.").or("\"refuse\""),
        key("verify_secrets", KeyKind::Duration(Duration::ZERO), "How often each secret that the API shows is read back; 0s: every time.").or("\"1h\""),
        key("profile", KeyKind::Text, "A profile of the server that `probe --out` wrote: a plan takes its defaults and the fields that it masks. Relative to this file."),
        key("timeout", KeyKind::Duration(Duration::from_millis(100)), "The deadline of one call.").or("\"30s\""),
        key("max_response", KeyKind::Size(1024), "The largest answer that is taken.").or("\"256 MiB\""),
        key("after", KeyKind::Section(&AFTER), "In the daemon: take a commit only once another target has applied it whole for some time."),
        key("ca_file", KeyKind::Text, "Certificates in PEM to trust beside those of the system: authorities, or the server's own as it is. Relative to this file."),
    ],
};

static AFTER: Section = Section {
    name: "`after`",
    choices: &[],
    keys: &[
        key("target", KeyKind::Text, "The target that comes first.").required(),
        key(
            "soak",
            KeyKind::Duration(Duration::ZERO),
            "For how long it has to have applied a commit whole: nothing failed, held, blocked or degraded.",
        )
        .or("\"0s\""),
    ],
};

/// The section `server`.
pub(super) static SERVER: Section = Section {
    name: "`server`",
    choices: &[],
    keys: &[
        key(
            "listen",
            KeyKind::Listen,
            "The address of status page, API, probes, metrics and webhooks; none: switched off.",
        )
        .or("\"127.0.0.1:8080\""),
        key(
            "token",
            KeyKind::Secret("ADMIN_TOKEN"),
            "For the calls that change something, and for page and API from other machines; without it both are off.",
        ),
        key(
            "webhook_secret",
            KeyKind::Secret("HOOK_SECRET"),
            "For /hooks/*; they are off without it.",
        ),
    ],
};

static KUBERNETES: Section = Section {
    name: "`kubernetes`",
    choices: &[],
    keys: &[
        key(
            "lease",
            KeyKind::Duration(SECOND),
            "How long a replica that is silent keeps its targets; at least twice the `timeout` of every target.",
        )
        .or("\"60s\""),
        key(
            "state",
            KeyKind::Word(&["volume", "secret"]),
            "Where the state is kept: in `state_dir`, which replicas then have to share, or in a Secret for each target.",
        )
        .or("\"volume\""),
        key(
            "namespace",
            KeyKind::Text,
            "The namespace of the Leases and Secrets; default: that of the service account.",
        ),
        key(
            "service_account",
            KeyKind::Text,
            "The folder with `token`, `ca.crt` and `namespace` of the service account.",
        )
        .or("\"/var/run/secrets/kubernetes.io/serviceaccount\""),
        key(
            "api",
            KeyKind::Text,
            "The URL of the Kubernetes API; default: that of the cluster around the process.",
        ),
    ],
};

static NOTIFY: Section = Section {
    name: "an entry of `notify`",
    choices: &[],
    keys: &[
        key(
            "kind",
            KeyKind::Word(NotifyKind::VARIANTS),
            "Who is told: a channel, a program, or the commit's status on a git host.",
        )
        .required(),
        key(
            "url",
            KeyKind::Late,
            "Where it is sent: the URL of a slack or webhook receiver, which is a secret, or the repository's address on a git host.",
        )
        .required(),
        key(
            "secret",
            KeyKind::Secret("NOTIFY_SECRET"),
            "What signs the body of a webhook (HMAC-SHA-256), or a token of the git host that may set statuses; a slack receiver has none.",
        ),
        key(
            "events",
            KeyKind::Words(NotifyEvent::VARIANTS),
            "What is told; default: all.",
        ),
    ],
};

static RULE: Section = Section {
    name: "a rule",
    choices: &[OneOf { groups: &[&["deny"], &["hold"], &["warn"]], required: true }],
    keys: &[
        key("name", KeyKind::Verbatim, "What the rule is called, in every output and in consents.")
            .required(),
        key("targets", KeyKind::Texts, "The targets that it is for; default: all."),
        key(
            "when",
            KeyKind::Verbatim,
            "An expression in CEL: the rule matches where it is true; `explain rules` shows what it sees.",
        )
        .required(),
        key("deny", KeyKind::Verbatim, "Refuse a document or block a change that matches; the text says why."),
        key("hold", KeyKind::Verbatim, "Hold a change that matches until it is consented to; the text says why."),
        key("warn", KeyKind::Verbatim, "Say this text in every output where the rule matches."),
    ],
};
