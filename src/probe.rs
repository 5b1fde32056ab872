//! The behaviour of a real server, found out by experiments with connections of the probe's own in
//! a scratch project.
//!
//! One connection of each type is made, watched and deleted. A write that the server refuses is a
//! finding; a call that fails in any other way ends the probe. Whatever was made is deleted in either
//! case, and a run that was killed leaves names and descriptions by which the next one knows them
//! (`PREFIX`, `MARKER`).

mod trial;

use reqwest::Method;
use serde_json::{Map, Value};

use crate::api::{CallError, Client, ErrorKind, Listed, Tries};
use crate::catalog::{self, ConnectionType};
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::profile::{
    Names, OnExisting, OnMissing, Profile, Rename, Support, TypeProfile, UnknownFields,
};
use crate::secret::SensitiveValue;

use trial::{Bodies, Trial};

/// The findings of a probe.
#[derive(Debug)]
pub(crate) struct Findings {
    /// The behaviour of the server.
    pub(crate) profile: Profile,
    /// The words of the server about types whose connections it refused.
    pub(crate) refusals: Vec<String>,
}

/// Why a probe has no findings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// A call failed, and it was no refusal of a write.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A connection is not there though the server took it.
    #[error("`{0}` was written and cannot be read")]
    Vanished(ConnectionName),
    /// It ended early.
    #[error("{0}; the probe ended, and all that it made is deleted")]
    Ended(Box<Self>),
    /// Connections of the probe are left.
    #[error("connections of the probe are left, delete them by hand: {}", .0.join("; "))]
    Left(Vec<String>),
}

/// Probes the project of a client.
///
/// # Errors
/// A call failed, or something that was made could not be deleted.
pub(crate) async fn run(client: &Client) -> Result<Findings, ProbeError> {
    let mut probe = Probe {
        client,
        prefix: prefix_of_a_run(),
        made: Vec::new(),
        trials: Vec::new(),
        findings: Findings { profile: Profile::default(), refusals: Vec::new() },
    };
    let probed = probe.everything().await;
    let mut left = delete_all(&client.finishing(), &probe.made, true).await;
    match probed {
        Ok(()) if left.is_empty() => Ok(probe.findings),
        Err(error) if left.is_empty() => Err(ProbeError::Ended(Box::new(error))),
        probed => {
            left.extend(probed.err().map(|error| error.to_string()));
            Err(ProbeError::Left(left))
        }
    }
}

/// One run.
struct Probe<'a> {
    client: &'a Client,
    prefix: String,
    /// The names of all that may have been made, noted before the call.
    made: Vec<ConnectionName>,
    /// The name and the fields of a connection of each type that the server takes.
    trials: Vec<(ConnectionName, Map<String, Value>)>,
    findings: Findings,
}

impl Probe<'_> {
    async fn everything(&mut self) -> Result<(), ProbeError> {
        let nobody = self.named("missing");
        let reply = self.client.reply(Method::GET, &nobody, None).await?;
        self.findings.profile.dialect = Some(reply.dialect);
        self.findings.profile.missing = match reply.status {
            404 => Some(OnMissing::NotFound),
            400 => Some(OnMissing::BadRequest),
            _ => None,
        };
        for own_type in catalog::all() {
            let found = self.one_type(own_type).await?;
            self.findings.profile.types.insert(own_type.name.to_owned(), found);
        }
        let [(name, fields), others @ ..] = &self.trials[..] else { return Ok(()) };
        let (name, fields) = (name.clone(), fields.clone());
        let other = others.first().map(|(name, _)| name.clone());
        self.findings.profile.existing = Some(self.post_on_existing(&name, &fields).await?);
        self.findings.profile.rename = Some(self.rename(&name, &fields).await?);
        if let Some(other) = other {
            self.findings.profile.names = Some(self.name_in_two_types(&other, &fields).await?);
        }
        Ok(())
    }

    /// A name of this run, which is noted before anything is made under it.
    fn named(&mut self, end: &str) -> ConnectionName {
        let name = ConnectionName::new(&format!("{}-{end}", self.prefix));
        self.made.push(name.clone());
        name
    }

    async fn one_type(
        &mut self,
        own_type: &'static ConnectionType,
    ) -> Result<TypeProfile, ProbeError> {
        let mut found = TypeProfile::default();
        if matches!(self.client.list(own_type.name).await?, Listed::Unsupported) {
            found.support = Support::Unknown;
            return Ok(found);
        }
        let name = self.named(own_type.name);
        let Bodies { required, optional } = Bodies::of(own_type, name.as_str());
        if let Some(why) = refusal(self.client, &Method::POST, &name, &required).await? {
            self.findings.refusals.push(format!("{}: {why}", own_type.name));
            found.support = Support::Refused;
            return Ok(found);
        }
        let mut trial = Trial { client: self.client, own_type, name, required, found };
        let fields = trial.watch(optional).await?;
        let Trial { name, found, .. } = trial;
        self.trials.push((name, fields));
        Ok(found)
    }

    async fn post_on_existing(
        &self,
        name: &ConnectionName,
        fields: &Map<String, Value>,
    ) -> Result<OnExisting, ProbeError> {
        let body = SensitiveValue::new(Value::Object(fields.clone()));
        let reply = self.client.reply(Method::POST, name, Some(&body)).await?;
        Ok(match reply.status {
            _ if reply.is_success => OnExisting::Update,
            409 => OnExisting::Conflict,
            _ => OnExisting::Refuse,
        })
    }

    async fn rename(
        &mut self,
        name: &ConnectionName,
        fields: &Map<String, Value>,
    ) -> Result<Rename, ProbeError> {
        let new = self.named("renamed");
        let mut body = fields.clone();
        body.insert("name".to_owned(), new.as_str().into());
        refusal(self.client, &Method::PUT, name, &body).await?;
        let is_there = !self.client.named(&new).await?.is_empty();
        Ok(if is_there { Rename::Allowed } else { Rename::Refused })
    }

    /// Makes a connection with these fields under the name of one of another type.
    async fn name_in_two_types(
        &self,
        name: &ConnectionName,
        fields: &Map<String, Value>,
    ) -> Result<Names, ProbeError> {
        let mut body = fields.clone();
        body.insert("name".to_owned(), name.as_str().into());
        refusal(self.client, &Method::POST, name, &body).await?;
        let is_twice = self.client.named(name).await?.len() > 1;
        Ok(if is_twice { Names::OnceInType } else { Names::OnceInProject })
    }
}

/// A server that answers 5xx so often to a write that it may not like refuses it.
const SERVER_ERRORS: u32 = 3;

/// Sends a write; the words with which the server refuses it, `None` where it is carried out. What
/// is written is the probe's own and the same each time, so it may be sent again.
async fn refusal(
    client: &Client,
    method: &Method,
    name: &ConnectionName,
    fields: &Map<String, Value>,
) -> Result<Option<String>, CallError> {
    let body = SensitiveValue::new(Value::Object(fields.clone()));
    let mut tries = Tries::default();
    loop {
        let written = match *method {
            Method::POST => client.create(name, &body).await,
            _ => client.update(name, &body).await,
        };
        let Err(error) = written else { return Ok(None) };
        match error.kind {
            // An earlier try was carried out, and its answer was lost.
            ErrorKind::AlreadyExists if tries.failed() > 0 => return Ok(None),
            ErrorKind::Refused | ErrorKind::AlreadyExists | ErrorKind::NotFound => {
                return Ok(Some(error.message));
            }
            ErrorKind::ServerError if tries.failed() + 1 >= SERVER_ERRORS => {
                return Ok(Some(error.message));
            }
            _ => {}
        }
        if client.retries().pause(&mut tries, &error).await.is_err() {
            return Err(error);
        }
    }
}

// The connections that a probe made: what they are called, how they are known again, and how they
// are deleted.

/// The beginning of the name of every connection that a probe makes.
const PREFIX: &str = "apinizer-gitops-probe-";

/// The description of every connection that a probe makes.
const MARKER: &str = "Made by the probe of apinizer-gitops and deleted by it";

/// How often a delete is sent before it is given up; a name in two types needs two.
const DELETES: usize = 5;

/// The beginning of the names of one run.
fn prefix_of_a_run() -> String {
    format!("{PREFIX}{:016x}", fastrand::u64(..))
}

/// The connections that an earlier probe left in the project: its name and its marker say so.
///
/// # Errors
/// A list or a connection cannot be read.
pub(crate) async fn leftovers(client: &Client) -> Result<Vec<ConnectionName>, CallError> {
    let mut found = Vec::new();
    for own_type in catalog::all() {
        let Listed::Complete(listed) = client.list(own_type.name).await? else { continue };
        for entry in listed.into_iter().filter(|entry| entry.name.as_str().starts_with(PREFIX)) {
            let named = client.named(&entry.name).await?;
            if named.iter().all(|one| is_marked(one, false))
                && !named.is_empty()
                && !found.contains(&entry.name)
            {
                found.push(entry.name);
            }
        }
    }
    Ok(found)
}

/// Deletes connections of a probe; those that are left, each with the reason. `made_now`: this run
/// made them, under names that are drawn by chance.
pub(crate) async fn delete_all(
    client: &Client,
    names: &[ConnectionName],
    made_now: bool,
) -> Vec<String> {
    let mut left = Vec::new();
    for name in names {
        if let Err(why) = delete(client, name, made_now).await {
            left.push(format!("{name}: {why}"));
        }
    }
    left
}

async fn delete(client: &Client, name: &ConnectionName, made_now: bool) -> Result<(), String> {
    let mut tries = Tries::default();
    let still_shown = || "the server still shows it after it was deleted".to_owned();
    let mut left = still_shown();
    for _ in 0..DELETES {
        let named = client.named(name).await.map_err(|error| error.to_string())?;
        if named.is_empty() {
            return Ok(());
        }
        if !named.iter().all(|one| is_marked(one, made_now)) {
            return Err("its description is not the one that a probe writes".to_owned());
        }
        match client.delete(name).await {
            Ok(_) => left = still_shown(),
            Err(error) if error.kind == ErrorKind::NotFound => left = still_shown(),
            Err(error) => {
                left = error.to_string();
                client.retries().pause(&mut tries, &error).await.map_err(|_| left.clone())?;
            }
        }
    }
    Err(left)
}

/// Whether a connection is that of a probe: its description says so, or this run made it, under a name
/// that was drawn by chance, whatever the server shows of its description.
fn is_marked(live: &LiveConnection, made_now: bool) -> bool {
    let description = live.body().get("description").and_then(|value| value.as_str());
    made_now || description.is_some_and(|text| text.eq_ignore_ascii_case(MARKER))
}
