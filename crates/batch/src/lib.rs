//! Record batches, format v2: validate, stamp, iterate, compress, build.
