//! Telling people and programs what happened to a target.
//!
//! The daemon decides what is news and hands over a [`Notice`]; here it is put into the form of
//! each receiver and sent. Nothing of it may hold a reconcile up: each receiver has a bounded
//! queue and a task of its own, and a notice that does not fit is dropped with a line in the log.
//! Every text passes the redactor before it leaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::{Notify, NotifyEvent, NotifyKind};
use crate::environment::Environment;
use crate::secret::Redactor;

mod deliver;
mod notice;
mod request;

pub(crate) use notice::{Notice, NoticeTarget, Subject};

/// How many notices may wait for one receiver.
const QUEUE: usize = 64;

/// How long deliveries may take at the end.
const DRAIN: Duration = Duration::from_secs(3);

/// Hands notices to the receivers; clones hand to the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notifier {
    receivers: Arc<Vec<(Notify, mpsc::Sender<Arc<Notice>>)>>,
}

/// The tasks that send.
#[derive(Debug)]
pub(crate) struct Senders {
    tasks: JoinSet<()>,
    ending: CancellationToken,
}

impl Notifier {
    /// Starts a task for each receiver.
    pub(crate) fn start(
        receivers: &[Notify],
        environment: &Environment,
        redactor: &Redactor,
    ) -> (Self, Senders) {
        let mut senders = Senders { tasks: JoinSet::new(), ending: CancellationToken::new() };
        let mut queues = Vec::new();
        for receiver in receivers {
            let kind = receiver.kind.as_str();
            let client = match deliver::client(environment) {
                Ok(client) => client,
                Err(error) => {
                    warn!(kind, "notifications are off: {error}");
                    continue;
                }
            };
            let (queue, waiting) = mpsc::channel(QUEUE);
            let delivery = deliver::Delivery {
                client,
                receiver: receiver.clone(),
                environment: environment.clone(),
                redactor: redactor.clone(),
                ending: senders.ending.clone(),
            };
            if let Err(problem) = delivery.address() {
                warn!(kind, "a notification will not arrive: {problem}");
            }
            senders.tasks.spawn(delivery.run(waiting));
            queues.push((receiver.clone(), queue));
        }
        (Self { receivers: Arc::new(queues) }, senders)
    }

    /// Hands a notice to the receivers that want it. Never waits.
    pub(crate) fn tell(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for (receiver, queue) in self.receivers.iter() {
            if !is_wanted(receiver, &notice) {
                continue;
            }
            if queue.try_send(Arc::clone(&notice)).is_err() {
                let (kind, event) = (receiver.kind.as_str(), notice.event.as_str());
                warn!(
                    kind,
                    event,
                    target = notice.target.as_ref().map(|target| target.name.as_str()),
                    "a notification is dropped: {QUEUE} wait"
                );
            }
        }
    }
}

fn is_wanted(receiver: &Notify, notice: &Notice) -> bool {
    let is_of_interest = match receiver.kind {
        // A chat is not told of commits that changed nothing for a target.
        NotifyKind::Slack => notice.event != NotifyEvent::Applied || !notice.subjects.is_empty(),
        NotifyKind::Webhook => true,
        // Drift says nothing of a commit, and without one there is no status; nor is there one of
        // the source.
        _ => {
            notice.event != NotifyEvent::Drift && notice.commit.is_some() && notice.target.is_some()
        }
    };
    is_of_interest && receiver.events.contains(&notice.event)
}

impl Senders {
    /// Sends the waiting notices once each and ends.
    pub(crate) async fn end(mut self) {
        self.ending.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            warn!("some notifications were not sent before the end");
        }
    }
}

#[cfg(test)]
mod tests;
