//! The cause of a reconcile.

/// Why there is something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The daemon started.
    Start,
    /// The repository changed.
    Repository,
    /// A file of the working tree changed.
    Files,
    /// The source can be read again after a failure.
    Return,
    /// The daemon looked by itself, in case the system missed a change.
    Look,
    /// A fetch ended.
    Fetch,
    /// A git host reported a push.
    Webhook,
    /// A request to `POST /api/v1/reconcile`.
    Request,
    /// SIGHUP: the config is read again too.
    Reload,
    /// The target was suspended or resumed.
    Suspension,
    /// The target failed before.
    Retry,
    /// A connection that was saved but not deployed is due to be written again.
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
    pub(crate) fn as_str(self) -> &'static str {
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
