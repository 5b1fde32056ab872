//! What made the daemon look.

/// Why there is something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The daemon started.
    Start,
    /// The repository changed.
    Repository,
    /// A file of the working tree changed.
    Files,
    /// The source could not be read for a while, and can be again.
    Return,
    /// Nothing was told of the repository for a while, so it was looked at.
    Look,
    /// A fetch brought something new.
    Fetch,
    /// A git host told of a push.
    Webhook,
    /// Somebody asked for it by `POST /api/v1/reconcile`.
    Request,
    /// SIGHUP: the config is read again too.
    Reload,
    /// Somebody suspended or resumed the target.
    Suspension,
    /// The target failed before.
    Retry,
    /// What was saved but not deployed is due to be written again.
    Degraded,
    /// It is time to compare.
    Resync,
}

impl Cause {
    /// Whether it only says that there may be another commit.
    pub(super) fn is_a_hint(self) -> bool {
        matches!(self, Self::Repository | Self::Fetch | Self::Look)
    }

    /// The word for it in JSON and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Repository => "repository",
            Self::Files => "files",
            Self::Return => "return",
            Self::Look => "look",
            Self::Fetch => "fetch",
            Self::Webhook => "webhook",
            Self::Request => "request",
            Self::Reload => "reload",
            Self::Suspension => "suspension",
            Self::Retry => "retry",
            Self::Degraded => "degraded",
            Self::Resync => "resync",
        }
    }
}
