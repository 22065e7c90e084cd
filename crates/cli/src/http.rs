//! Questions to a broker's HTTP port.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::{CliError, Exit};
use crate::{Address, Context};

/// The HTTP port of a broker unless one is named.
const DEFAULT_PORT: u16 = 9644;
/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// A broker that is there takes a connection sooner.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Where the HTTP port is: an option of those commands that need it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HttpAddress {
    /// HTTP port of any broker of the cluster
    #[arg(
        long = "http",
        value_name = "HOST:PORT",
        env = "EDDY_HTTP",
        hide_env_values = true,
        default_value = "127.0.0.1:9644",
        value_parser = |text: &str| Address::parse(text, DEFAULT_PORT)
    )]
    address: Address,
}

/// A connection to the HTTP port.
pub(crate) struct Http {
    address: Address,
    patience: Duration,
    sender: SendRequest<Empty<Bytes>>,
}

/// Why the broker does not answer what was asked: problem details, RFC 9457.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    /// Of HTTP.
    pub(crate) status: u16,
    /// Such as `ED-4503`.
    pub(crate) code: Option<String>,
    /// A sentence.
    pub(crate) detail: String,
    /// In the query, from 1.
    pub(crate) line: Option<usize>,
    /// In the query, from 1, in characters.
    pub(crate) col: Option<usize>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// The broker says no.
    Refused(Problem),
    /// It did not come to that.
    Failed(CliError),
}

impl Http {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there, or does not answer in time.
    pub(crate) async fn connect(context: &Context, http: &HttpAddress) -> Result<Http, CliError> {
        let (address, patience) = (http.address.clone(), context.global.timeout);
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let stream = match timeout(patience.min(CONNECT_WITHIN), connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(&address, &reason(&error))),
            Err(_) => return Err(unreachable(&address, "it does not answer")),
        };
        stream.set_nodelay(true).ok();
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(&address, &error.to_string()))?;
        // Ends with the sender; what goes wrong meanwhile, the sender says.
        tokio::spawn(connection);
        Ok(Http { address, patience, sender })
    }

    /// Asks for a path with parameters; the answer is JSON. `patience` goes before the options' where the broker itself
    /// may take its time.
    pub(crate) async fn get(
        &mut self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<Value, HttpError> {
        let failed =
            |error: &dyn std::fmt::Display| HttpError::Failed(unreachable(&self.address, &error.to_string()));
        let request = Request::get(target(path, parameters))
            .header(header::HOST, self.address.to_string())
            .header(header::ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|error| failed(&error))?;
        // The broker keeps the same time, and says more when it is over.
        let patience = self.patience + Duration::from_secs(2);
        let answering = async {
            self.sender.ready().await?;
            let answer = self.sender.send_request(request).await?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
            hyper::Result::Ok((status, body.collect().await.map(http_body_util::Collected::to_bytes)))
        };
        let (status, body) = match timeout(patience, answering).await {
            Ok(Ok((status, Ok(body)))) => (status, body),
            Ok(Ok((_, Err(error)))) => return Err(failed(&error)),
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(failed(&format!("no answer within {} s", patience.as_secs()))),
        };
        if status == 200 {
            return serde_json::from_slice(&body)
                .map_err(|error| failed(&format!("the answer is not JSON: {error}")));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if problem.status == status => Err(HttpError::Refused(problem)),
            _ => Err(HttpError::Failed(self.does_not_search(status))),
        }
    }

    fn does_not_search(&self, status: u16) -> CliError {
        CliError::new(Exit::Failed, format!("{} does not search: HTTP status {status}", self.address))
            .fact("it is not the HTTP port of a broker, or one of a broker that was built without search")
            .fix("eddy search … --http HOST:PORT", "ask another one")
    }
}

impl From<HttpError> for CliError {
    fn from(error: HttpError) -> CliError {
        match error {
            HttpError::Failed(error) => error,
            HttpError::Refused(problem) => problem.into(),
        }
    }
}

impl From<Problem> for CliError {
    fn from(problem: Problem) -> CliError {
        let exit = match problem.status {
            400 | 413 => Exit::Usage,
            404 => Exit::NotFound,
            408 | 429 | 503 | 504 => Exit::Unreachable,
            _ => Exit::Failed,
        };
        let error = CliError::new(exit, problem.detail);
        match problem.code {
            Some(code) => error.explained(code),
            None => error,
        }
    }
}

fn unreachable(address: &Address, reason: &str) -> CliError {
    CliError::new(Exit::Unreachable, format!("cannot reach the broker's HTTP port at {address}: {reason}"))
        .fix("eddy search … --http HOST:PORT", "name the port: listeners.admin of a broker")
        .fix("export EDDY_HTTP=HOST:PORT", "name it for all commands")
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}

/// A path with its parameters, as a URL has them.
fn target(path: &str, parameters: &[(&str, String)]) -> String {
    let mut out = path.to_owned();
    for (index, (name, value)) in parameters.iter().enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~*,:".contains(&byte) {
                out.push(char::from(byte));
            } else {
                // Writing to a string does not fail.
                write!(out, "%{byte:02X}").ok();
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_a_parameter_arrives() {
        let parameters = [("q", "a&b=c d+é\n\"x\"".to_owned()), ("topics", "logs-*,audit".to_owned())];
        assert_eq!(
            target("/v1/search", &parameters),
            "/v1/search?q=a%26b%3Dc%20d%2B%C3%A9%0A%22x%22&topics=logs-*,audit"
        );
    }

    #[test]
    fn a_problem_ends_the_process_as_its_status_says() {
        let exit = |status| CliError::from(Problem { status, ..Problem::default() }).exit();
        assert_eq!(
            [400, 404, 429, 500, 504].map(exit),
            [Exit::Usage, Exit::NotFound, Exit::Unreachable, Exit::Failed, Exit::Unreachable]
        );
    }
}
