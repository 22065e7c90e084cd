//! The bounds of this crate in one place.

use std::time::Duration;

/// Largest payload of a frame, in bytes, of calls (request or answer) and of streams.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// Time from a connection's first packet to the end of its handshake, on both sides.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// Accepted connections whose handshake is not finished. One more ends the oldest of them: a real broker is done within
/// milliseconds, so those who only sit there cannot keep it out.
pub const HANDSHAKES_MAX: usize = 64;

/// Accepted connections with a finished handshake; more are refused with
/// [`RefuseReason::Overloaded`](crate::RefuseReason).
pub const CONNECTIONS_MAX: usize = 1024;

/// A side of a call connection that has written nothing for this long sends a keep-alive.
pub const KEEP_ALIVE: Duration = Duration::from_millis(250);

/// A call connection is broken when not a byte arrived for this long: six keep-alives.
pub const SILENCE_MAX: Duration = Duration::from_millis(1500);

/// Calls to one broker that are waiting or unanswered; more wait for a place, within their timeout.
pub const CALLS_IN_FLIGHT_MAX: usize = 1024;

/// Handlers running for one connection; a request beyond it is answered [`CallError::Busy`](crate::CallError).
pub const HANDLERS_PER_CONNECTION_MAX: usize = 1024;

/// Handlers running for all connections, those of connections that have ended meanwhile among them.
pub const HANDLERS_MAX: usize = 8192;

/// Bytes of the requests that are being handled for one connection, and of their unwritten answers' requests.
pub const HANDLING_BYTES_MAX: usize = 256 << 20;

/// Answers of one connection that need no handler and wait to be written. A caller that lets more pile up does not read
/// its answers: its connection is closed.
pub(crate) const UNHANDLED_ANSWERS_MAX: usize = 4096;

/// A connection that lasted less than this does not reset the back-off: a listener that accepts and hangs up must not
/// be called in a tight loop.
pub(crate) const LASTING: Duration = Duration::from_secs(1);

/// Delay before the second attempt to connect; doubles up to [`BACKOFF_MAX`]. The first attempt after a break is
/// immediate.
pub const BACKOFF_MIN: Duration = Duration::from_millis(20);

/// Longest delay between attempts to connect.
pub const BACKOFF_MAX: Duration = Duration::from_millis(500);
