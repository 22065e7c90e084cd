//! Sans-IO state machines: replica, producer window, fetch sessions.
