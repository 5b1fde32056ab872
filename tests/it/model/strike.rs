//! Faults of the server.

use reqwest::{Method, StatusCode};

use crate::faults::Fault;

use super::document::Kind;
use super::history::History;
use super::steps::{Disturbance, Failure, ListFailure};

impl History {
    pub(crate) fn strike(&self, fault: &Disturbance) {
        let control = self.ground.control();
        let single = "/connections/";
        match fault {
            Disturbance::Writes(failure, times) => {
                for method in [Method::POST, Method::PUT, Method::DELETE] {
                    control.fail_next(Some(method), single, failure.fault(), *times);
                }
            }
            Disturbance::Reads(times) => {
                for name in super::steps::NAMES {
                    let path = format!("/{}/", encoded(name));
                    control.fail_next(Some(Method::GET), &path, Fault::Error, *times);
                }
            }
            Disturbance::Lists(failure) => {
                control.fail_next(Some(Method::GET), "?type=ftp", failure.fault(), 9);
            }
            Disturbance::LateList(name) => {
                // Of the one list that shows it; the lists at the end of a run are on time.
                let unlisted = || Fault::Unlisted((*name).to_owned());
                for kind in Kind::ALL {
                    let list = format!("?type={}", kind.name());
                    control.fail_next(Some(Method::GET), &list, unlisted(), 1);
                }
            }
            Disturbance::IdLists => {
                for kind in Kind::ALL {
                    let list = format!("?type={}", kind.name());
                    control.fail_next(Some(Method::GET), &list, Fault::Nothing, 1);
                    control.fail_next(Some(Method::GET), &list, Fault::ShortList, 9);
                }
            }
            Disturbance::RefusePosts => {
                let refusal = Fault::Answer {
                    status: StatusCode::BAD_REQUEST,
                    body: r#"{"status":"FAILURE","resultMessage":"no"}"#.to_owned(),
                    retry_after: None,
                };
                // Its way back is taken.
                control.fail_next(Some(Method::POST), single, refusal, 1);
            }
            Disturbance::Crash(..) => {}
        }
    }
}

/// A name as it is sent in a path.
fn encoded(name: &str) -> String {
    name.replace('%', "%25").replace(' ', "%20").replace('*', "%2A")
}

impl Failure {
    fn fault(self) -> Fault {
        match self {
            Self::Lost => Fault::Lost,
            Self::Truncated => Fault::Truncated,
            Self::LateError => Fault::LateError,
            Self::LateHtml => Fault::LateHtml,
            Self::Undeployed => Fault::Undeployed,
            Self::Error => Fault::Error,
            Self::RateLimited => Fault::RateLimited { after: 0 },
            Self::Reset => Fault::Reset,
            Self::Html => Fault::Html(StatusCode::BAD_GATEWAY),
            Self::SaysFailed => Fault::Failure,
        }
    }
}

impl ListFailure {
    fn fault(self) -> Fault {
        match self {
            Self::Error => Fault::Error,
            Self::Short => Fault::ShortList,
            Self::NoName => Fault::NoName,
            Self::Html => Fault::Html(StatusCode::BAD_GATEWAY),
        }
    }
}
