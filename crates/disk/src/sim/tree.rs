//! Names of a simulated disk: directory entries as the process sees them, and as they are after a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use parking_lot::Mutex;

use super::contents::Contents;
use super::random::Random;

type Node = u64;
const ROOT: Node = 0;

/// A file's bytes, shared with its open handles.
pub(super) type Shared = Arc<Mutex<Contents>>;

enum Kind {
    File(Shared),
    Dir(Names),
}

#[derive(Default)]
struct Names {
    seen: BTreeMap<OsString, Node>,
    durable: BTreeMap<OsString, Node>,
}

/// One entry that comes or, with `None`, goes.
struct Change {
    dir: Node,
    name: OsString,
    node: Option<Node>,
}

/// What one call changed: it survives a power cut whole or not at all, as a journal's transaction does.
type Step = Vec<Change>;

/// All names and files of a disk.
pub(super) struct Tree {
    nodes: BTreeMap<Node, Kind>,
    next: Node,
    pending: Vec<Step>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let nodes = BTreeMap::from([(ROOT, Kind::Dir(Names::default()))]);
        Tree { nodes, next: ROOT + 1, pending: Vec::new() }
    }

    /// The file at `path`; made when it is missing and `create` is set. Tells whether it was made.
    pub(super) fn file(&mut self, path: &Path, create: bool) -> io::Result<(Shared, bool)> {
        let (dir, name) = self.parent(path)?;
        match self.entry(dir, name)? {
            Some(node) => match self.nodes.get(&node) {
                Some(Kind::File(file)) => Ok((file.clone(), false)),
                _ => Err(io::ErrorKind::IsADirectory.into()),
            },
            None if create => {
                let file = Shared::default();
                let node = self.add(Kind::File(file.clone()));
                self.step(vec![Change { dir, name: name.to_owned(), node: Some(node) }]);
                Ok((file, true))
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Names in a directory, sorted, and whether each is a directory.
    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<(OsString, bool)>> {
        let names = self.names(self.find(dir)?)?;
        let is_dir = |node: &Node| matches!(self.nodes.get(node), Some(Kind::Dir(_)));
        Ok(names.seen.iter().map(|(name, node)| (name.clone(), is_dir(node))).collect())
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for name in parts(path)? {
            at = match self.entry(at, name)? {
                Some(node) => {
                    self.names(node)?;
                    node
                }
                None => {
                    let node = self.add(Kind::Dir(Names::default()));
                    self.step(vec![Change { dir: at, name: name.to_owned(), node: Some(node) }]);
                    node
                }
            };
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        let node = self.entry(from_dir, from_name)?.ok_or(io::ErrorKind::NotFound)?;
        match self.entry(to_dir, to_name)? {
            Some(target) if target == node => return Ok(()),
            Some(target) if self.names(target).is_ok_and(|names| !names.seen.is_empty()) => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        self.step(vec![
            Change { dir: from_dir, name: from_name.to_owned(), node: None },
            Change { dir: to_dir, name: to_name.to_owned(), node: Some(node) },
        ]);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        let node = self.entry(dir, name)?.ok_or(io::ErrorKind::NotFound)?;
        if matches!(self.nodes.get(&node), Some(Kind::Dir(_))) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.step(vec![Change { dir, name: name.to_owned(), node: None }]);
        Ok(())
    }

    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = match self.parent(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let Some(node) = self.entry(dir, name)? else { return Ok(()) };
        self.names(node)?;
        // Entry by entry, leaves first, as the system does it: a power cut may leave any part of the directory.
        self.empty(node);
        self.step(vec![Change { dir, name: name.to_owned(), node: None }]);
        Ok(())
    }

    fn empty(&mut self, dir: Node) {
        let Some(Kind::Dir(names)) = self.nodes.get(&dir) else { return };
        for (name, node) in names.seen.clone() {
            self.empty(node);
            self.step(vec![Change { dir, name, node: None }]);
        }
    }

    /// Makes the pending changes of a directory durable, and with them those that they cannot be parted from: a rename
    /// between two directories is one step, and takes the other directory's earlier steps along.
    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.find(path)?;
        self.names(dir)?;
        let mut dirs = BTreeSet::from([dir]);
        let mut synced = Vec::new();
        let mut kept = Vec::new();
        for step in std::mem::take(&mut self.pending).into_iter().rev() {
            if step.iter().any(|change| dirs.contains(&change.dir)) {
                dirs.extend(step.iter().map(|change| change.dir));
                synced.push(step);
            } else {
                kept.push(step);
            }
        }
        kept.reverse();
        self.pending = kept;
        for step in synced.into_iter().rev() {
            self.apply(step, |names| &mut names.durable);
        }
        self.forget_unreachable();
        Ok(())
    }

    /// Makes the pending changes of all directories durable.
    pub(super) fn sync_all(&mut self) {
        for step in std::mem::take(&mut self.pending) {
            self.apply(step, |names| &mut names.durable);
        }
        self.forget_unreachable();
    }

    /// Keeps the steps that `keep` picks out of those not yet durable; what the process sees is then what is durable.
    pub(super) fn power_cut(&mut self, mut keep: impl FnMut() -> bool) {
        for step in std::mem::take(&mut self.pending) {
            if keep() {
                self.apply(step, |names| &mut names.durable);
            }
        }
        for kind in self.nodes.values_mut() {
            if let Kind::Dir(names) = kind {
                names.seen = names.durable.clone();
            }
        }
        self.forget_unreachable();
    }

    /// All files, in a stable order.
    pub(super) fn files(&self) -> impl Iterator<Item = &Shared> {
        self.nodes.values().filter_map(|kind| match kind {
            Kind::File(file) => Some(file),
            Kind::Dir(_) => None,
        })
    }

    /// Bytes taken by files that still have a name.
    pub(super) fn allocated(&self) -> u64 {
        let named: BTreeSet<_> =
            self.nodes.values().flat_map(names_of).flat_map(|names| names.seen.values()).collect();
        let bytes = |node| match self.nodes.get(node) {
            Some(Kind::File(file)) => file.lock().allocated(),
            _ => 0,
        };
        named.into_iter().map(bytes).sum()
    }

    fn add(&mut self, kind: Kind) -> Node {
        let node = self.next;
        self.next += 1;
        self.nodes.insert(node, kind);
        node
    }

    fn step(&mut self, step: Step) {
        let copy = |change: &Change| Change { dir: change.dir, name: change.name.clone(), node: change.node };
        self.pending.push(step.iter().map(copy).collect());
        self.apply(step, |names| &mut names.seen);
    }

    fn apply(&mut self, step: Step, view: impl Fn(&mut Names) -> &mut BTreeMap<OsString, Node>) {
        for change in step {
            let Some(Kind::Dir(names)) = self.nodes.get_mut(&change.dir) else { continue };
            match change.node {
                Some(node) => view(names).insert(change.name, node),
                None => view(names).remove(&change.name),
            };
        }
    }

    fn forget_unreachable(&mut self) {
        let mut reached = BTreeSet::from([ROOT]);
        let pending = self.pending.iter().flatten().flat_map(|change| [Some(change.dir), change.node]);
        let mut open: Vec<Node> = std::iter::once(ROOT).chain(pending.flatten()).collect();
        reached.extend(&open);
        while let Some(node) = open.pop() {
            let Some(names) = self.nodes.get(&node).and_then(names_of) else { continue };
            for &child in names.seen.values().chain(names.durable.values()) {
                if reached.insert(child) {
                    open.push(child);
                }
            }
        }
        self.nodes.retain(|node, _| reached.contains(node));
    }

    fn names(&self, node: Node) -> io::Result<&Names> {
        match self.nodes.get(&node) {
            Some(Kind::Dir(names)) => Ok(names),
            Some(Kind::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn entry(&self, dir: Node, name: &OsStr) -> io::Result<Option<Node>> {
        Ok(self.names(dir)?.seen.get(name).copied())
    }

    fn find(&self, path: &Path) -> io::Result<Node> {
        let mut at = ROOT;
        for name in parts(path)? {
            at = self.entry(at, name)?.ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    fn parent<'p>(&self, path: &'p Path) -> io::Result<(Node, &'p OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.find(path.parent().unwrap_or(Path::new("")))?;
        self.names(dir)?;
        Ok((dir, name))
    }
}

/// A coin that falls on "keep" about as often as one draw of `random` decides, so that all, none and some occur.
pub(super) fn coin(random: &mut Random) -> impl FnMut() -> bool + '_ {
    let keep_of_four = random.below(5);
    move || random.below(4) < keep_of_four
}

fn names_of(kind: &Kind) -> Option<&Names> {
    match kind {
        Kind::Dir(names) => Some(names),
        Kind::File(_) => None,
    }
}

fn parts(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(parts)
}
