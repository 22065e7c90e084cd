//! The socket, what is still to be sent over it, and who waits for an answer.
//!
//! A caller writes its request itself as long as the socket takes it; what is left over, and all reading, is done by one task a
//! connection ([`run`]).

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use crate::error::Ended;
use crate::incoming::Incoming;

/// Reads in a row before other tasks get their turn.
const READS_IN_A_ROW: usize = 16;

/// An answer, header included.
pub(crate) type Answer = Result<Bytes, Ended>;

/// The part of a connection that callers and its task share.
#[derive(Debug)]
pub(crate) struct Link {
    state: Mutex<State>,
    /// Something is left to send, or the connection ended.
    wake: Notify,
    /// Nothing is left to send, or the connection ended.
    drained: Notify,
}

#[derive(Debug)]
struct State {
    /// `None` once the connection ended; the socket closes when the task has let go of it too.
    stream: Option<Arc<TcpStream>>,
    /// Bounded by the requests in flight.
    unsent: BytesMut,
    /// In the order of their requests, which is the order of the answers.
    waiting: VecDeque<Waiting>,
    ended: Option<Ended>,
}

#[derive(Debug)]
struct Waiting {
    correlation_id: i32,
    answer: oneshot::Sender<Answer>,
    /// The request's place in flight, free again when the answer is here.
    _place: OwnedSemaphorePermit,
}

impl Link {
    pub(crate) fn new(stream: Arc<TcpStream>) -> Link {
        let state =
            State { stream: Some(stream), unsent: BytesMut::new(), waiting: VecDeque::new(), ended: None };
        Link { state: Mutex::new(state), wake: Notify::new(), drained: Notify::new() }
    }

    /// Sends a request, length included, and gives where its answer will come.
    pub(crate) fn send(
        &self,
        correlation_id: i32,
        frame: &[u8],
        place: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Answer>, Ended> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        state.waiting.push_back(Waiting { correlation_id, answer, _place: place });
        self.write_frame(state, frame);
        Ok(receiver)
    }

    /// Sends a request that has no answer, once the socket has taken everything before it: no more than one such waits in memory.
    pub(crate) async fn post(&self, frame: &[u8]) -> Result<(), Ended> {
        loop {
            let drained = self.drained.notified();
            {
                let state = self.lock();
                if let Some(ended) = &state.ended {
                    return Err(ended.clone());
                }
                if state.unsent.is_empty() {
                    self.write_frame(state, frame);
                    return Ok(());
                }
            }
            drained.await;
        }
    }

    /// Writes what the socket takes now, and leaves the rest to the task.
    fn write_frame(&self, mut state: MutexGuard<'_, State>, frame: &[u8]) {
        let written = match (&state.stream, state.unsent.is_empty()) {
            (Some(stream), true) => write(stream, frame),
            _ => Ok(0),
        };
        match written {
            Ok(written) => {
                let rest = frame.get(written..).unwrap_or_default();
                if !rest.is_empty() {
                    state.unsent.extend_from_slice(rest);
                    self.wake.notify_one();
                }
            }
            Err(error) => {
                drop(state);
                self.end(Ended::Socket(Arc::new(error)));
            }
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    /// Ends the connection; only the first reason counts.
    pub(crate) fn end(&self, reason: Ended) {
        let waiting = {
            let mut state = self.lock();
            if state.ended.is_some() {
                return;
            }
            state.ended = Some(reason.clone());
            state.stream = None;
            state.unsent = BytesMut::new();
            std::mem::take(&mut state.waiting)
        };
        for one in waiting {
            // Who does not wait any more needs no reason.
            let _ = one.answer.send(Err(reason.clone()));
        }
        self.wake.notify_one();
        self.drained.notify_waiters();
    }

    /// What the task waits for; `None` when the connection ended.
    fn interest(&self) -> Option<Interest> {
        let state = self.lock();
        if state.ended.is_some() {
            return None;
        }
        Some(if state.unsent.is_empty() {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        })
    }

    fn send_rest(&self, stream: &TcpStream) -> Result<(), Ended> {
        let mut state = self.lock();
        let written = write(stream, &state.unsent).map_err(|error| Ended::Socket(Arc::new(error)))?;
        state.unsent.advance(written);
        if state.unsent.is_empty() {
            self.drained.notify_waiters();
        }
        Ok(())
    }

    fn receive(&self, stream: &TcpStream, incoming: &mut Incoming) -> Result<(), Ended> {
        for _ in 0..READS_IN_A_ROW {
            match stream.try_read_buf(incoming.buffer()) {
                Ok(0) => return Err(Ended::Broker),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Ended::Socket(Arc::new(error))),
            }
            while let Some(answer) = incoming.next()? {
                self.hand_over(answer)?;
            }
        }
        Ok(())
    }

    fn hand_over(&self, answer: Bytes) -> Result<(), Ended> {
        let got = answer.first_chunk::<4>().map_or(0, |bytes| i32::from_be_bytes(*bytes));
        let waiting = {
            let mut state = self.lock();
            let due = state.waiting.front().map(|waiting| waiting.correlation_id);
            if due != Some(got) {
                return Err(Ended::Correlation { due, got });
            }
            state.waiting.pop_front()
        };
        if let Some(waiting) = waiting {
            // The caller may have given up.
            let _ = waiting.answer.send(Ok(answer));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a connection until it ends.
pub(crate) async fn run(link: Arc<Link>, stream: Arc<TcpStream>, mut incoming: Incoming) {
    while let Some(interest) = link.interest() {
        let served = tokio::select! {
            () = link.wake.notified() => Ok(()),
            ready = stream.ready(interest) => match ready {
                Ok(ready) if ready.is_writable() => {
                    link.send_rest(&stream).and_then(|()| link.receive(&stream, &mut incoming))
                }
                Ok(_) => link.receive(&stream, &mut incoming),
                Err(error) => Err(Ended::Socket(Arc::new(error))),
            },
        };
        if let Err(reason) = served {
            link.end(reason);
        }
    }
}

/// Writes what the socket takes now; gives the number of bytes.
fn write(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match stream.try_write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
