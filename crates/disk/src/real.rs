//! The disk of the machine.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use crate::{Access, DirEntry, Disk, Durable, File, Open, Space};

/// Parts that the kernel takes in one vectored write (IOV_MAX).
const PARTS_MAX: usize = 1024;

/// The file systems of this machine, through the page cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// The real disk as the rest of the broker holds it.
    #[must_use]
    pub fn shared() -> Arc<dyn Disk> {
        Arc::new(RealDisk)
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(mode == Open::Create)
            .truncate(false)
            .open(path)?;
        Ok(Arc::new(RealFile { file, direct: OnceLock::new() }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = fs::read_dir(dir)?
            .map(|entry| {
                let entry = entry?;
                Ok(DirEntry { path: entry.path(), is_dir: entry.file_type()?.is_dir() })
            })
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(fs::File::open(path)?)?)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(path)?;
        // `f_bavail` leaves out the blocks that only root may take.
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

struct RealFile {
    file: fs::File,
    /// The same file, past the page cache; opened when it is first needed, none where that cannot be had.
    direct: OnceLock<Option<fs::File>>,
}

impl RealFile {
    fn direct(&self) -> Option<&fs::File> {
        let open = || {
            // By its descriptor: the file may have another name by now.
            let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty()).ok().map(fs::File::from)
        };
        self.direct.get_or_init(open).as_ref()
    }

    /// One read into the first `bytes` of the spare capacity of `buffer`, which grows by what was read.
    #[allow(
        unsafe_code,
        reason = "clearing memory that the kernel fills next is a seventh of what a fetch from the page cache costs"
    )]
    fn read_uncleared(
        &self,
        buffer: &mut Vec<u8>,
        bytes: usize,
        position: u64,
        access: Access,
    ) -> io::Result<usize> {
        let flags = match access {
            Access::Blocking => 0,
            Access::Cached => libc::RWF_NOWAIT,
        };
        let position = libc::off64_t::try_from(position).map_err(io::Error::other)?;
        let spare = buffer.spare_capacity_mut();
        let part = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: bytes.min(spare.len()) };
        // SAFETY: the descriptor is open as long as `self.file` lives. The kernel writes to no more than `iov_len` bytes from
        // `iov_base` on, all of them spare capacity of `buffer`, which nobody else can reach through the `&mut`.
        let read = unsafe { libc::preadv2(self.file.as_raw_fd(), &part, 1, position, flags) };
        match usize::try_from(read) {
            Ok(read) => {
                // SAFETY: the kernel has written the first `read` bytes of the spare capacity, and returns no more than `iov_len`.
                unsafe { buffer.set_len(buffer.len() + read) };
                Ok(read)
            }
            Err(_) => Err(not_offered_waits(io::Error::last_os_error())),
        }
    }
}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        read_until_full(buffer, position, |rest, at| self.file.read_at(rest, at))
    }

    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let nowait = |rest: &mut [u8], at| {
            rustix::io::preadv2(&self.file, &mut [IoSliceMut::new(rest)], at, ReadWriteFlags::NOWAIT)
                .map_err(|error| not_offered_waits(error.into()))
        };
        read_until_full(buffer, position, nowait)
    }

    fn append_to(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64, access: Access) -> io::Result<()> {
        let before = buffer.len();
        buffer.reserve(bytes);
        while buffer.len() < before + bytes {
            let (read, wanted) = (buffer.len() - before, before + bytes - buffer.len());
            match self.read_uncleared(buffer, wanted, position + read as u64, access) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    buffer.truncate(before);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        if let [part] = parts {
            return self.file.write_all_at(part, position);
        }
        let mut at = position;
        for chunk in parts.chunks(PARTS_MAX) {
            let mut chunk = chunk.to_vec();
            let mut rest = &mut chunk[..];
            // Empty parts at the front would make a write of nothing look like a disk that takes nothing.
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match rustix::io::pwritev(&self.file, rest, at) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        at += written as u64;
                        IoSlice::advance_slices(&mut rest, written);
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn write_direct_at(&self, bytes: &[u8], position: u64, durable: Durable) -> Option<io::Result<()>> {
        let file = self.direct()?;
        let flags = match durable {
            Durable::AtOnce => ReadWriteFlags::DSYNC,
            Durable::AfterSync => ReadWriteFlags::empty(),
        };
        let (mut rest, mut at) = (bytes, position);
        while !rest.is_empty() {
            match rustix::io::pwritev2(file, &[IoSlice::new(rest)], at, flags) {
                Ok(0) => return Some(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    at += written as u64;
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                // The file system wants another alignment, or none of this.
                Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => return None,
                Err(error) => return Some(Err(error.into())),
            }
        }
        Some(Ok(()))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
}

/// File systems without RWF_NOWAIT (tmpfs before 6.x, FUSE, overlays) are read where blocking is allowed.
fn not_offered_waits(error: io::Error) -> io::Error {
    match Errno::from_io_error(&error) {
        Some(Errno::OPNOTSUPP | Errno::NOSYS) => io::ErrorKind::WouldBlock.into(),
        _ => error,
    }
}

/// Calls `read` until the buffer is full or the file ends. What was read before an error is given up.
fn read_until_full(
    buffer: &mut [u8],
    position: u64,
    read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(&mut buffer[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
