//! What the machine grants this process: open files and memory.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one: every connection, segment and index is one. Returns the limit in
/// force, `None` for "no limit".
pub(crate) fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Memory this process may use, in bytes: the machine's, or less when a control group sets a limit.
pub(crate) fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text));
    let group = fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|text| group_limit(&text, Path::new("/sys/fs/cgroup")));
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The least limit on the way from the process's group to the root, for both versions of control groups. Inside a
/// container the path may not exist below the mount: then the mount itself is the container's group.
fn group_limit(cgroup: &str, root: &Path) -> Option<u64> {
    let mut least: Option<u64> = None;
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (mount, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let group = mount.join(path.trim_start_matches('/'));
        for dir in group.ancestors().take_while(|dir| dir.starts_with(&mount)) {
            // "max" of version 2 does not parse; version 1 writes a huge number, which the machine's memory undercuts.
            let limit = fs::read_to_string(dir.join(file)).ok().and_then(|text| text.trim().parse().ok());
            least = [least, limit].into_iter().flatten().min();
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_between_group_and_root_counts() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("memory.max"), "9000\n").unwrap();
        fs::write(root.path().join("a/memory.max"), "5000\n").unwrap();
        fs::write(root.path().join("a/b/memory.max"), "max\n").unwrap();
        assert_eq!(group_limit("0::/a/b\n", root.path()), Some(5000));
        assert_eq!(group_limit("0::/elsewhere/x\n", root.path()), Some(9000));
    }

    #[test]
    fn version_one_groups_are_read_too() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory/x")).unwrap();
        fs::write(root.path().join("memory/x/memory.limit_in_bytes"), "7000\n").unwrap();
        assert_eq!(group_limit("5:cpu:/x\n4:memory:/x\n", root.path()), Some(7000));
        assert_eq!(group_limit("5:cpu:/x\n", root.path()), None);
    }

    #[test]
    fn the_machine_has_memory_and_open_files() {
        assert!(memory_bytes().unwrap() > 1 << 20);
        assert!(raise_open_files().is_none_or(|files| files >= 64));
        assert_eq!(total_of("MemFree: 1 kB\nMemTotal:       16 kB\n"), Some(16384));
    }
}
