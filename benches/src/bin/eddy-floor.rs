//! The least time that an acknowledged record can take on this machine: what it costs to pass its bytes over loopback sockets and to write a
//! block durably on every replica, with one thread a replica and nothing else. A broker that acknowledges what is on disk cannot be faster.

use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use eddy_disk::{AlignedBuffer, DIRECT_BLOCK, Disk, Durable, File, Open, RealDisk};
use hdrhistogram::Histogram;

/// Bytes of a request, of what a follower reports, and of an answer.
const REQUEST: usize = 384;
const REPORT: usize = 32;
const ANSWER: usize = 64;
/// Blocks that are written over and over.
const BLOCKS: u64 = 4096;

/// The least time that an acknowledged record can take on this machine.
#[derive(Parser)]
struct Arguments {
    /// Replicas beside the leader.
    #[arg(long, default_value_t = 2)]
    followers: usize,
    /// Records, one after the other.
    #[arg(long, default_value_t = 10_000)]
    records: u64,
    /// Directory for a file of each replica; a temporary one when not given.
    #[arg(long)]
    directory: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let directory = arguments.directory.as_deref().unwrap_or(temporary.path());
    let followers = (0..arguments.followers)
        .map(|number| {
            let mut replica = Replica::new(directory, &format!("follower-{number}"))?;
            start(move |mut leader| follow(&mut replica, &mut leader))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut replica = Replica::new(directory, "leader")?;
    let mut client = start(move |mut client| lead(&mut replica, &mut client, followers))?;
    let mut nanoseconds = Histogram::<u64>::new(3)?;
    let mut answer = [0; ANSWER];
    for _ in 0..arguments.records {
        let sent = Instant::now();
        client.write_all(&[1; REQUEST])?;
        client.read_exact(&mut answer)?;
        nanoseconds.record(sent.elapsed().as_nanos() as u64)?;
    }
    let ms = |quantile| nanoseconds.value_at_quantile(quantile) as f64 / 1e6;
    println!(
        "{} followers: p50 {:.3} ms, p90 {:.3}, p99 {:.3}",
        arguments.followers,
        ms(0.5),
        ms(0.9),
        ms(0.99)
    );
    Ok(())
}

/// A thread that serves one connection until it ends, and the other end of that.
fn start(serve: impl FnOnce(TcpStream) -> anyhow::Result<()> + Send + 'static) -> anyhow::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        serve(stream)
    });
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn follow(replica: &mut Replica, leader: &mut TcpStream) -> anyhow::Result<()> {
    let mut request = [0; REQUEST];
    loop {
        leader.read_exact(&mut request)?;
        replica.write()?;
        leader.write_all(&[2; REPORT])?;
    }
}

fn lead(replica: &mut Replica, client: &mut TcpStream, mut followers: Vec<TcpStream>) -> anyhow::Result<()> {
    let (mut request, mut report) = ([0; REQUEST], [0; REPORT]);
    loop {
        client.read_exact(&mut request)?;
        for follower in &mut followers {
            follower.write_all(&request)?;
        }
        replica.write()?;
        for follower in &mut followers {
            follower.read_exact(&mut report)?;
        }
        client.write_all(&[3; ANSWER])?;
    }
}

/// A file whose blocks are there already, as those of the write-ahead log.
struct Replica {
    file: Arc<dyn File>,
    block: AlignedBuffer,
    written: u64,
}

impl Replica {
    fn new(directory: &Path, name: &str) -> anyhow::Result<Replica> {
        let file = RealDisk.open(&directory.join(name), Open::Create)?;
        let zeros = vec![0; DIRECT_BLOCK];
        for number in 0..BLOCKS {
            file.write_at(&[IoSlice::new(&zeros)], number * DIRECT_BLOCK as u64)?;
        }
        file.sync_data()?;
        let mut replica = Replica { file, block: AlignedBuffer::new(DIRECT_BLOCK), written: 0 };
        // A disk that does not offer this says so here, and not as a connection that ends.
        replica.write()?;
        Ok(replica)
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let bytes = [4; DIRECT_BLOCK];
        let block = self.block.fill(&[IoSlice::new(&bytes)]).context("one block is whole")?;
        let position = self.written % BLOCKS * DIRECT_BLOCK as u64;
        self.file
            .write_direct_at(block, position, Durable::AtOnce)
            .context("this disk has no writes past the page cache")??;
        self.written += 1;
        Ok(())
    }
}
