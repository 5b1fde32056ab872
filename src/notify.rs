//! Telling people and programs what happened to a target or to the source.
//!
//! The daemon decides what is news and hands over a [`Notice`]; here it is put into the form of
//! each receiver and sent. Nothing of it may hold a reconcile up: each receiver has a bounded
//! queue and a task of its own, and a notice that does not fit is dropped with a line in the log.
//! Every text passes the redactor before it leaves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::api::{Proxy, USER_AGENT, clean, read_at_most, reason, retry_after};
use crate::config::{Notify, NotifyEvent, NotifyKind};
use crate::environment::Environment;
use crate::secret::{Redactor, Sensitive};

use notice::OutgoingRequest;

pub(crate) use notice::{Notice, NoticeSubject};

mod notice;

/// How many notices may wait for one receiver.
const QUEUE: usize = 64;

/// How long deliveries may take at the end.
const DRAIN: Duration = Duration::from_secs(3);

/// Hands notices to the receivers; clones hand to the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notifier {
    receivers: Arc<Vec<(Notify, mpsc::Sender<Arc<Notice>>)>>,
}

/// The tasks that send. They outlive a config: what a receiver did not get yet is tried again.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    tasks: JoinSet<()>,
    ending: CancellationToken,
    /// A task ends once it has sent everything and no config has its receiver.
    queues: Vec<(Notify, mpsc::WeakSender<Arc<Notice>>)>,
}

impl Senders {
    /// Starts a task for each receiver of a config that has none.
    pub(crate) fn start(
        &mut self,
        receivers: &[Notify],
        environment: &Environment,
        redactor: &Redactor,
    ) -> Notifier {
        while self.tasks.try_join_next().is_some() {}
        let mut queues = Vec::new();
        for receiver in receivers {
            let mut known = self.queues.iter().filter(|(known, _)| known == receiver);
            if let Some(queue) = known.find_map(|(_, queue)| queue.upgrade()) {
                queues.push((receiver.clone(), queue));
                continue;
            }
            let kind = receiver.kind.into_str();
            let client = match client(environment) {
                Ok(client) => client,
                Err(error) => {
                    warn!(kind, "notifications are off: {error}");
                    continue;
                }
            };
            let (queue, waiting) = mpsc::channel(QUEUE);
            let delivery = Delivery {
                client,
                receiver: receiver.clone(),
                environment: environment.clone(),
                redactor: redactor.clone(),
                ending: self.ending.clone(),
            };
            if let Err(problem) = delivery.address() {
                warn!(kind, "a notification will not arrive: {problem}");
            }
            self.tasks.spawn(delivery.run(waiting));
            queues.push((receiver.clone(), queue));
        }
        self.queues = queues.iter().map(|(one, queue)| (one.clone(), queue.downgrade())).collect();
        Notifier { receivers: Arc::new(queues) }
    }

    /// Sends the waiting notices once each and ends.
    pub(crate) async fn end(mut self) {
        self.ending.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            warn!("some notifications were not sent before the end");
        }
    }
}

impl Notifier {
    /// Hands a notice to the receivers that want it. Never waits.
    pub(crate) fn tell(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for (receiver, queue) in self.receivers.iter() {
            if !is_wanted(receiver, &notice) {
                continue;
            }
            if queue.try_send(Arc::clone(&notice)).is_err() {
                warn_of(receiver, &notice, &format!("a notification is dropped: {QUEUE} wait"));
            }
        }
    }
}

fn warn_of(receiver: &Notify, notice: &Notice, problem: &str) {
    let (kind, event) = (receiver.kind.into_str(), notice.event.into_str());
    let target = notice.target.as_ref().map(|target| target.name.as_str());
    warn!(kind, event, target, "{problem}");
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

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How often one notice is tried; with the pauses between, five to ten minutes.
const TRIES: u32 = 12;

/// The longest pause, whatever a receiver asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The largest refusal of which the log repeats the beginning, in bytes.
const LARGEST_REFUSAL: u64 = 64 * 1024;

/// Makes the HTTP client of a receiver; proxies are those of the environment.
pub(super) fn client(environment: &Environment) -> reqwest::Result<reqwest::Client> {
    let environment = environment.clone();
    let proxy = reqwest::Proxy::custom(move |url| {
        let proxy = Proxy::for_url(url.as_str(), &environment).ok().flatten();
        proxy.map(|proxy| proxy.url().clone())
    });
    reqwest::Client::builder()
        .no_proxy()
        .proxy(proxy)
        .user_agent(USER_AGENT)
        .timeout(DEADLINE)
        // A redirect could carry the token elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .build()
}

/// One receiver and all that sending to it needs.
pub(super) struct Delivery {
    pub(super) client: reqwest::Client,
    pub(super) receiver: Notify,
    pub(super) environment: Environment,
    pub(super) redactor: Redactor,
    /// Nothing is tried again after it.
    pub(super) ending: CancellationToken,
}

/// Why a notice did not arrive.
enum Failed {
    /// Another try may help, at the earliest after this.
    ForNow(String, Duration),
    /// None will.
    ForGood(String),
}

impl Delivery {
    /// Sends notices until the end, and then those that wait.
    pub(super) async fn run(self, mut waiting: mpsc::Receiver<Arc<Notice>>) {
        while let Some(notice) = self.next(&mut waiting).await {
            if let Err(problem) = self.send(&notice).await {
                let problem = self.redactor.redact(&problem);
                let problem = format!("a notification did not arrive: {problem}");
                warn_of(&self.receiver, &notice, &problem);
            }
        }
    }

    /// The next notice; `None`: the end has come, and none waits.
    async fn next(&self, waiting: &mut mpsc::Receiver<Arc<Notice>>) -> Option<Arc<Notice>> {
        tokio::select! {
            biased;
            notice = waiting.recv() => notice,
            () = self.ending.cancelled() => {
                waiting.close();
                waiting.recv().await
            }
        }
    }

    /// The URL and the secret, looked up anew since both may rotate.
    pub(super) fn address(&self) -> Result<(Sensitive, Option<Sensitive>), String> {
        let look_up = |text: &crate::config::SecretText| {
            let found = text.resolve(&self.environment).map_err(|unset| unset.to_string())?;
            self.redactor.learn(found.expose());
            Ok::<_, String>(found)
        };
        let url = look_up(&self.receiver.url)?;
        notice::web_address(&url)?;
        Ok((url, self.receiver.secret.as_ref().map(look_up).transpose()?))
    }

    async fn send(&self, notice: &Notice) -> Result<(), String> {
        let mut tried = 0;
        loop {
            tried += 1;
            let (problem, least) = match self.once(notice).await {
                Ok(()) => return Ok(()),
                Err(Failed::ForGood(problem)) => return Err(problem),
                Err(Failed::ForNow(problem, least)) => (problem, least),
            };
            if tried >= TRIES {
                return Err(format!("{problem}, {tried} times"));
            }
            debug!(kind = self.receiver.kind.into_str(), "a notification is tried again");
            tokio::select! {
                () = self.ending.cancelled() => return Err(problem),
                () = tokio::time::sleep(pause(tried).max(least).min(LONGEST_PAUSE)) => {}
            }
        }
    }

    async fn once(&self, notice: &Notice) -> Result<(), Failed> {
        let made = self.address().and_then(|(url, secret)| {
            notice::request(notice, &self.receiver, &url, secret.as_ref(), &self.redactor)
                .map_err(str::to_owned)
        });
        let OutgoingRequest { url, headers, body } = made.map_err(Failed::ForGood)?;
        Proxy::for_url(url.as_str(), &self.environment)
            .map_err(|error| Failed::ForGood(error.to_string()))?;
        let mut call = self.client.post(url).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            call = call.header(name, value.expose());
        }
        let lost = |error: reqwest::Error| Failed::ForNow(reason(&error), Duration::ZERO);
        let answer = call.send().await.map_err(lost)?;
        let code = answer.status();
        if code.is_success() {
            return Ok(());
        }
        let least = retry_after(answer.headers(), SystemTime::now()).unwrap_or_default();
        let said = read_at_most(answer, LARGEST_REFUSAL).await.ok().flatten().unwrap_or_default();
        let said = clean(&self.redactor, &String::from_utf8_lossy(&said));
        let problem = format!("{code} {said}");
        let may_pass = code.is_server_error()
            || matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        Err(if may_pass { Failed::ForNow(problem, least) } else { Failed::ForGood(problem) })
    }
}

/// The pause after so many tries: doubling from a second, and up to half of it by chance.
fn pause(tried: u32) -> Duration {
    let whole = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(tried - 1));
    whole.min(LONGEST_PAUSE).mul_f64(1.0 - fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests;
