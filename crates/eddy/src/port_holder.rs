//! Who listens on a port: read from `/proc`, for the message that the port is in use.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// State of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Characters of a command line that are shown.
const COMMAND_MAX: usize = 180;

/// A process that listens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) command: String,
}

/// The process that keeps `address` from being bound; `None` when it cannot be seen, as another user's.
pub(crate) fn of(address: SocketAddr) -> Option<Holder> {
    let sockets = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address))
        .collect::<Vec<_>>();
    processes()
        .find(|&pid| holds(pid, |target| sockets.iter().any(|socket| socket == target)))
        .map(|pid| Holder { pid, command: command(pid).unwrap_or_else(|| "name unknown".to_owned()) })
}

/// Whether a process has a file below `dir` open.
pub(crate) fn has_open_file_in(pid: u32, dir: &Path) -> bool {
    holds(pid, |target| Path::new(target).starts_with(dir))
}

/// The command line of a process, shortened to its program and its last argument when it is long.
pub(crate) fn command(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        bytes.split(|&byte| byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    let (program, arguments) = words.split_first()?;
    let program = program.rsplit('/').next().unwrap_or(program);
    let whole =
        std::iter::once(program).chain(arguments.iter().map(AsRef::as_ref)).collect::<Vec<_>>().join(" ");
    match arguments.last() {
        Some(last) if whole.chars().count() > COMMAND_MAX => {
            Some(format!("{program} … {}", last.chars().take(COMMAND_MAX).collect::<String>()))
        }
        _ => Some(whole),
    }
}

/// Ids of all processes.
fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether one of the open files of a process is what `wanted` looks for, given as the link's text.
fn holds(pid: u32, wanted: impl Fn(&str) -> bool) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|link| link.to_str().is_some_and(&wanted))
}

/// Link texts (`socket:[inode]`) of the sockets in one table that listen where `address` would.
fn listening(table: &str, address: SocketAddr) -> Vec<String> {
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
            let (ip, port) = local.split_once(':')?;
            let (ip, port) = (parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
            let same = ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
            (*state == LISTEN && port == address.port() && same).then(|| format!("socket:[{inode}]"))
        })
        .collect()
}

/// An address as the kernel prints it: words of 32 bits, each in the machine's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for start in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(start..start + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?))),
        16 => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_this_process_while_it_listens() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = std::net::TcpListener::bind(bind).unwrap();
            let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
            let holder = of(address).unwrap();
            assert_eq!(holder.pid, std::process::id());
            drop(listener);
            assert_eq!(of(address), None);
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn only_listening_sockets_on_an_overlapping_address_count() {
        let table = "sl local_address rem_address st tx_queue tr tm->when retrnsmt uid timeout inode\n\
            0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 11 1\n\
            1: 0200007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12 1\n\
            2: 0100007F:2384 0100007F:9999 01 00000000:00000000 00:00000000 00000000 0 0 13 1\n\
            3: 00000000000000000000000000000000:2384 0:0 0A 0:0 0:0 0 0 0 14 1\n";
        let at = |text: &str| listening(table, text.parse().unwrap());
        assert_eq!(at("127.0.0.1:9092"), ["socket:[11]", "socket:[14]"]);
        assert_eq!(at("0.0.0.0:9092"), ["socket:[11]", "socket:[12]", "socket:[14]"]);
        assert!(at("127.0.0.1:9093").is_empty());
    }
}
