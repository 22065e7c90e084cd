//! The serving side of a call connection.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use eddy_types::BrokerId;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::debug;

use crate::frames::{FrameReader, FrameWriter};
use crate::limits::{
    FRAME_BYTES_MAX, HANDLERS_PER_CONNECTION_MAX, HANDLING_BYTES_MAX, KEEP_ALIVE, SILENCE_MAX,
    UNHANDLED_ANSWERS_MAX,
};
use crate::message::{MESSAGE_BYTES_MAX, Message, Status, put_answer, put_keep_alive};
use crate::shared::Inner;
use crate::stats::count;

/// What is sent of a failure's words, in bytes.
const WORDS_MAX: usize = 16 << 10;

/// What the handlers of a connection share with it. Outlives the connection in those that still run.
struct Answers {
    ready: Mutex<Vec<Ready>>,
    work: Notify,
    /// Handlers that run, and bytes of their requests.
    handlers: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// An answer to write.
struct Ready {
    id: u64,
    status: Status,
    payload: Bytes,
    /// What its handler occupied: free when the answer is on its way. None for an answer without a handler.
    _place: Option<Place>,
}

/// What a running handler occupies.
struct Place {
    _of_connection: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// Serves calls until the connection ends; `_place` is its place among the accepted connections.
pub(super) async fn serve(
    inner: &Arc<Inner>,
    from: BrokerId,
    socket: TcpStream,
    _place: OwnedSemaphorePermit,
) {
    let (read, write) = socket.into_split();
    let mut reader = FrameReader::new(read, MESSAGE_BYTES_MAX);
    let mut writer = FrameWriter::new(write);
    let answers = Arc::new(Answers {
        ready: Mutex::default(),
        work: Notify::new(),
        handlers: Arc::new(Semaphore::new(HANDLERS_PER_CONNECTION_MAX)),
        bytes: Arc::new(Semaphore::new(HANDLING_BYTES_MAX)),
    });
    let end = tokio::select! {
        end = read_requests(inner, from, &answers, &mut reader) => end,
        end = write_answers(&answers, &mut writer) => end,
    };
    if let Err(error) = end {
        debug!(broker = %from, %error, "a connection for calls ended");
        if error.kind() == io::ErrorKind::InvalidData {
            count(&inner.counters.garbage);
        }
    }
}

async fn read_requests(
    inner: &Arc<Inner>,
    from: BrokerId,
    answers: &Arc<Answers>,
    reader: &mut FrameReader,
) -> io::Result<()> {
    while let Some(frame) = reader.next_within(SILENCE_MAX).await? {
        match Message::read(frame)? {
            Message::KeepAlive => {}
            Message::Request { id, service, payload } => handle(inner, from, answers, id, service, payload)?,
            Message::Answer { .. } => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer from the other side"));
            }
        }
    }
    Ok(())
}

async fn write_answers(answers: &Answers, writer: &mut FrameWriter) -> io::Result<()> {
    loop {
        let ready = std::mem::take(&mut *answers.ready.lock());
        if ready.is_empty() {
            if tokio::time::timeout(KEEP_ALIVE, answers.work.notified()).await.is_ok() {
                continue;
            }
            put_keep_alive(writer);
        }
        for answer in &ready {
            put_answer(writer, answer.id, answer.status, &answer.payload);
        }
        writer.drain().await?;
    }
}

/// Starts the handler of a request, or answers without one.
fn handle(
    inner: &Arc<Inner>,
    from: BrokerId,
    answers: &Arc<Answers>,
    id: u64,
    service: u8,
    request: Bytes,
) -> io::Result<()> {
    let Some(handler) = inner.handler(service) else {
        return answers.unhandled(id, Status::NotServed);
    };
    let Some(place) = answers.place(inner, request.len()) else {
        return answers.unhandled(id, Status::Busy);
    };
    let mut answering = Answering { answers: answers.clone(), id, place: Some(place) };
    inner.spawn(async move {
        let answer = handler.call(from, request).await;
        answering.answer(answer);
    });
    Ok(())
}

impl Answers {
    fn place(&self, inner: &Inner, bytes: usize) -> Option<Place> {
        let bytes = u32::try_from(bytes).ok()?;
        Some(Place {
            _of_connection: self.handlers.clone().try_acquire_owned().ok()?,
            _of_all: inner.handling.clone().try_acquire_owned().ok()?,
            _bytes: self.bytes.clone().try_acquire_many_owned(bytes).ok()?,
        })
    }

    fn push(&self, answer: Ready) {
        self.ready.lock().push(answer);
        self.work.notify_one();
    }

    /// Answers a request that no handler sees; fails when the caller lets such answers pile up.
    fn unhandled(&self, id: u64, status: Status) -> io::Result<()> {
        if self.ready.lock().len() >= UNHANDLED_ANSWERS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "answers are not read"));
        }
        self.push(Ready { id, status, payload: Bytes::new(), _place: None });
        Ok(())
    }
}

/// A request whose handler runs. A handler that panics or is dropped is answered too: the caller should not have to
/// wait for its timeout.
struct Answering {
    answers: Arc<Answers>,
    id: u64,
    place: Option<Place>,
}

impl Answering {
    fn answer(&mut self, answer: Result<Bytes, String>) {
        let (status, payload) = match answer {
            Ok(payload) if payload.len() > FRAME_BYTES_MAX => {
                (Status::Failed, Bytes::from(format!("an answer of {} bytes", payload.len())))
            }
            Ok(payload) => (Status::Done, payload),
            Err(words) => {
                let mut words = Bytes::from(words);
                words.truncate(WORDS_MAX);
                (Status::Failed, words)
            }
        };
        self.answers.push(Ready { id: self.id, status, payload, _place: self.place.take() });
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.answer(Err("the handler did not end".to_owned()));
        }
    }
}
