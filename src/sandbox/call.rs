//! Which call a request makes: the paths are exact, to the last slash.

use axum::http::Method;
use percent_encoding::percent_decode_str;

/// One call of the connection API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `POST .../auth/token`.
    Token,
    /// `GET .../connections/?type=T`.
    List { project: String, type_name: Option<String> },
    /// `GET .../environmentVariables/`.
    Variables { project: String },
    /// `GET .../connections/{name}/`.
    Get(Path),
    /// `POST .../connections/{name}/`.
    Create(Path),
    /// `PUT .../connections/{name}/`.
    Update(Path),
    /// `DELETE .../connections/{name}/`.
    Delete(Path),
    /// A path of the API with a method that it does not take.
    NoSuchMethod,
    /// No path of the API.
    NoSuchPath,
}

/// The path of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) project: String,
    pub(super) name: String,
}

impl Call {
    /// Reads method, path and query.
    pub(super) fn of(method: &Method, path: &str, query: Option<&str>) -> Self {
        if path == "/apiops/auth/token" {
            return if method == Method::POST { Self::Token } else { Self::NoSuchMethod };
        }
        let Some(rest) = path.strip_prefix("/apiops/projects/") else { return Self::NoSuchPath };
        let segments: Option<Vec<String>> = rest.split('/').map(decoded).collect();
        let Some(segments) = segments else { return Self::NoSuchPath };
        match segments.as_slice() {
            [project, list, end]
                if ["connections", "environmentVariables"].contains(&list.as_str())
                    && end.is_empty()
                    && !project.is_empty() =>
            {
                let project = project.clone();
                match list.as_str() {
                    _ if method != Method::GET => Self::NoSuchMethod,
                    "connections" => Self::List { project, type_name: type_of(query) },
                    _ => Self::Variables { project },
                }
            }
            [project, connections, name, end]
                if connections == "connections"
                    && end.is_empty()
                    && !project.is_empty()
                    && !name.is_empty() =>
            {
                let path = Path { project: project.clone(), name: name.clone() };
                match *method {
                    Method::GET => Self::Get(path),
                    Method::POST => Self::Create(path),
                    Method::PUT => Self::Update(path),
                    Method::DELETE => Self::Delete(path),
                    _ => Self::NoSuchMethod,
                }
            }
            _ => Self::NoSuchPath,
        }
    }

    /// Whether it changes a connection.
    pub(super) fn is_write(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Update(_) | Self::Delete(_))
    }
}

fn decoded(segment: &str) -> Option<String> {
    Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned())
}

fn type_of(query: Option<&str>) -> Option<String> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == "type")?;
    decoded(&value.replace('+', " ")).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &Method, path: &str) -> Call {
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        Call::of(method, path, query)
    }

    #[test]
    fn paths_are_exact() {
        let path = Path { project: "My Project".to_owned(), name: "a/b".to_owned() };
        let text = "/apiops/projects/My%20Project/connections/a%2Fb/";
        assert_eq!(call(&Method::GET, text), Call::Get(path.clone()));
        assert_eq!(call(&Method::POST, text), Call::Create(path.clone()));
        assert_eq!(call(&Method::PUT, text), Call::Update(path.clone()));
        assert_eq!(call(&Method::DELETE, text), Call::Delete(path));
        assert_eq!(call(&Method::PATCH, text), Call::NoSuchMethod);
        for wrong in [
            "/apiops/projects/p/connections/a",
            "/apiops/projects/p/connections",
            "/apiops/projects/p/connections//",
            "/apiops/projects//connections/a/",
            "/apiops/projects/p/connections/a/b/",
            "/apiops/projects/p/connections/%ff/",
            "/apiops/auth/token/",
            "/",
        ] {
            assert_eq!(call(&Method::GET, wrong), Call::NoSuchPath, "{wrong}");
        }
    }

    #[test]
    fn lists_name_a_type() {
        let project = "p".to_owned();
        let list = "/apiops/projects/p/connections/";
        let of = |type_name: Option<&str>| Call::List {
            project: project.clone(),
            type_name: type_name.map(str::to_owned),
        };
        assert_eq!(call(&Method::GET, list), of(None));
        assert_eq!(call(&Method::GET, &format!("{list}?type=")), of(None));
        assert_eq!(call(&Method::GET, &format!("{list}?a=b&type=email")), of(Some("email")));
        assert_eq!(
            call(&Method::GET, &format!("{list}?type=linux%2Dscript")),
            of(Some("linux-script"))
        );
        assert_eq!(call(&Method::POST, list), Call::NoSuchMethod);
        let variables = "/apiops/projects/p/environmentVariables/";
        assert_eq!(call(&Method::GET, variables), Call::Variables { project: project.clone() });
        assert_eq!(call(&Method::POST, variables), Call::NoSuchMethod);
    }
}
