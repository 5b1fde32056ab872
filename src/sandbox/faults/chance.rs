//! Faults by chance, as `--fault` spells them.

use std::str::FromStr;
use std::time::Duration;

use axum::http::{Method, StatusCode};

use super::Fault;

/// The names of all faults, as `--fault` takes them.
const NAMES: &str = "error, late-error, failure, unavailable, rate, unauthorized, forbidden, \
                     reset, lost, truncate, html, late-html, slow, shortlist, noname, undeployed";

/// Faults that strike by chance, such as `error=0.2,reset@PUT=0.1,slow=0.5:200`.
///
/// Each is `NAME[@METHOD]=CHANCE[:NUMBER]`, with a chance from 0 to 1. The number is the
/// milliseconds of `slow` (200), the seconds to wait of `rate` (1) and `unavailable` (none), and
/// the status of `html` (502).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    pub(super) chances: Vec<Chance>,
}

/// One fault, how likely it is, and on which method.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chance {
    pub(super) fault: Fault,
    pub(super) method: Option<Method>,
    pub(super) probability: f64,
}

impl Faults {
    /// Adds a fault that strikes calls of one method, or all, with a chance from 0 to 1.
    #[must_use]
    pub fn with(mut self, fault: Fault, method: Option<Method>, probability: f64) -> Self {
        self.chances.push(Chance { fault, method, probability: probability.clamp(0.0, 1.0) });
        self
    }

    /// Whether no fault can strike.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chances.is_empty()
    }
}

/// A fault that is not written as it should be.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// It has not the form of a fault.
    #[error("fault `{0}` is not of the form NAME[@METHOD]=CHANCE[:NUMBER], such as `error=0.2`")]
    Form(String),
    /// There is no such fault.
    #[error("there is no fault `{0}`: the faults are {NAMES}")]
    Name(String),
    /// The connection API has no such method.
    #[error("fault `{0}` names no method of the API: use GET, POST, PUT or DELETE")]
    Method(String),
    /// The chance is no chance.
    #[error("the chance of fault `{0}` is not a number from 0 to 1")]
    Chance(String),
    /// The number behind the colon does not fit the fault.
    #[error(
        "the number of fault `{0}` does not fit: `slow` takes milliseconds, `rate` and \
         `unavailable` seconds, `html` an HTTP status, and the others none"
    )]
    Number(String),
}

impl FromStr for Faults {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut faults = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            faults.chances.push(part.parse()?);
        }
        Ok(faults)
    }
}

impl FromStr for Chance {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (what, chance) =
            text.split_once('=').ok_or_else(|| FaultError::Form(text.to_owned()))?;
        let (name, method) = match what.split_once('@') {
            Some((name, method)) => (name, Some(method)),
            None => (what, None),
        };
        let (chance, number) = match chance.split_once(':') {
            Some((chance, number)) => (chance, Some(number)),
            None => (chance, None),
        };
        let probability = chance
            .trim()
            .parse()
            .ok()
            .filter(|probability| (0.0..=1.0).contains(probability))
            .ok_or_else(|| FaultError::Chance(text.to_owned()))?;
        let method = method.map(|method| method_of(method, text)).transpose()?;
        let fault = fault_of(name.trim(), number.map(str::trim), text)?;
        Ok(Self { fault, method, probability })
    }
}

fn method_of(name: &str, text: &str) -> Result<Method, FaultError> {
    match name.trim().to_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(FaultError::Method(text.to_owned())),
    }
}

fn fault_of(name: &str, number: Option<&str>, text: &str) -> Result<Fault, FaultError> {
    let wrong = || FaultError::Number(text.to_owned());
    let seconds = |number: &str| number.trim_end_matches('s').parse().map_err(|_| wrong());
    let plain = |fault: Fault| if number.is_some() { Err(wrong()) } else { Ok(fault) };
    match name {
        "error" => plain(Fault::Error),
        "late-error" => plain(Fault::LateError),
        "failure" => plain(Fault::Failure),
        "forbidden" => plain(Fault::Forbidden),
        "unauthorized" => plain(Fault::Unauthorized),
        "reset" => plain(Fault::Reset),
        "lost" => plain(Fault::Lost),
        "truncate" => plain(Fault::Truncated),
        "late-html" => plain(Fault::LateHtml),
        "shortlist" => plain(Fault::ShortList),
        "noname" => plain(Fault::NoName),
        "undeployed" => plain(Fault::Undeployed),
        "rate" => Ok(Fault::RateLimited { after: number.map_or(Ok(1), seconds)? }),
        "unavailable" => Ok(Fault::Unavailable { after: number.map(seconds).transpose()? }),
        "slow" => {
            let pause = number.unwrap_or("200").trim_end_matches("ms");
            let pause = pause.parse().map_err(|_| wrong())?;
            Ok(Fault::Slow(Duration::from_millis(pause)))
        }
        "html" => {
            let status = number.unwrap_or("502").parse().map_err(|_| wrong())?;
            Ok(Fault::Html(status))
        }
        _ => Err(FaultError::Name(name.to_owned())),
    }
    .and_then(|fault| match fault {
        // Informational answers are followed by another answer, so they are none.
        Fault::Html(status) if status < StatusCode::OK => Err(wrong()),
        fault => Ok(fault),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_text() {
        let faults: Faults =
            "error=0.2, reset@put=1,slow=0.5:30ms,html=0.1:200,rate=0:7".parse().expect("faults");
        let expected = Faults::default()
            .with(Fault::Error, None, 0.2)
            .with(Fault::Reset, Some(Method::PUT), 1.0)
            .with(Fault::Slow(Duration::from_millis(30)), None, 0.5)
            .with(Fault::Html(StatusCode::OK), None, 0.1)
            .with(Fault::RateLimited { after: 7 }, None, 0.0);
        assert_eq!(faults, expected);
        assert!("".parse::<Faults>().expect("no faults").is_empty());
    }

    #[test]
    fn every_fault_is_spelled_as_it_is_shown() {
        for name in NAMES.split(", ").map(str::trim) {
            let faults: Faults = format!("{name}=1").parse().expect(name);
            assert_eq!(faults.chances.len(), 1);
            assert_eq!(faults.chances[0].fault.to_string(), name);
        }
    }

    #[test]
    fn a_wrong_fault_says_what_is_wrong() {
        for (text, part) in [
            ("error", "form"),
            ("boom=0.1", "there is no fault `boom`"),
            ("error=1.1", "0 to 1"),
            ("error=NaN", "0 to 1"),
            ("error=-0.1", "0 to 1"),
            ("error@FETCH=0.1", "method"),
            ("error=0.1:5", "number"),
            ("slow=0.1:soon", "number"),
            ("html=0.1:99", "number"),
            ("html=0.1:100", "number"),
        ] {
            let error = text.parse::<Faults>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
