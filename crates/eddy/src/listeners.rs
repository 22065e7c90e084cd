//! Binding of the listeners, and what to say when it fails.

use std::io;
use std::net::SocketAddr;

use eddy_metadata::config::Address;
use tokio::net::{TcpListener, lookup_host};

use crate::codes;
use crate::failure::{Problem, reason};
use crate::port_holder;

/// Binds `address`, a host and port, for the listener of that name.
pub(crate) async fn bind(name: &str, address: &Address) -> Result<TcpListener, Problem> {
    let resolved = lookup_host((address.host.as_str(), address.port))
        .await
        .and_then(|mut found| found.next().ok_or_else(|| io::ErrorKind::NotFound.into()));
    let resolved = resolved.map_err(|error| cannot_bind(name, address, &error))?;
    match eddy_gateway::bind(resolved) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(in_use(name, address, resolved)),
        Err(error) => Err(cannot_bind(name, address, &error)),
    }
}

fn in_use(name: &str, address: &Address, resolved: SocketAddr) -> Problem {
    let message = format!("cannot listen on {address} for the {name} listener: address already in use");
    let problem = Problem::new(&codes::PORT_IN_USE, message);
    let holder = port_holder::of(resolved);
    let problem = match &holder {
        Some(holder) if holder.pid == std::process::id() => {
            problem.fact("held by another listener of this broker")
        }
        Some(holder) => problem.fact(format!("held by pid {} ({})", holder.pid, holder.command)),
        None => {
            problem.fact("its holder cannot be seen from here: another user's process, or one in a container")
        }
    };
    let other = SocketAddr::new(resolved.ip(), another_port(resolved.port()));
    let up_flag = match name {
        "admin" => "--admin-port",
        "cluster" => "--cluster-port",
        _ => "--port",
    };
    let problem = problem
        .fix(format!("eddy serve --set {}={other}", key(name)), "use another port")
        .fix(format!("eddy up {up_flag} {}", other.port()), "the same, for a local cluster");
    match holder {
        Some(holder) if holder.pid != std::process::id() => {
            problem.fix(format!("kill {}", holder.pid), "stop the other process")
        }
        _ => problem,
    }
}

/// The key of a listener.
fn key(name: &str) -> String {
    if name == "cluster" { "cluster.listen".to_owned() } else { format!("listeners.{name}") }
}

/// A port to propose: a hundred higher, as local clusters lie side by side.
fn another_port(port: u16) -> u16 {
    port.checked_add(100).unwrap_or(port - 100)
}

fn cannot_bind(name: &str, address: &Address, error: &io::Error) -> Problem {
    let reason = reason(error);
    let problem = Problem::new(
        &codes::CANNOT_BIND,
        format!("cannot listen on {address} for the {name} listener: {reason}"),
    );
    problem.fix(
        format!("eddy serve --set {}=127.0.0.1:{}", key(name), address.port),
        "listen for this machine only",
    )
}
