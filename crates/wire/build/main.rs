//! Generates the message types of `eddy-wire` from Kafka's JSON schemas.
//!
//! `schema` reads a file, `api` pairs requests with responses and `stored` keys of internal topics with their values, `emit`
//! writes their Rust with the help of `decode`, `encode` and `names`, `samples` writes random messages for tests. Every request with valid versions is paired with its response; the schemas of
//! APIs that Kafka 4.0 removed carry no valid versions and are skipped. Anything the generator does not understand is an
//! error: a schema must not lose a field in silence.

mod api;
mod decode;
mod emit;
mod encode;
mod names;
mod samples;
mod schema;
mod stored;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::{env, fs};

use schema::Message;

const SCHEMAS: &str = "schemas/message";
const STORED_SCHEMAS: &str = "schemas/records";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed={SCHEMAS}");
    println!("cargo::rerun-if-changed={STORED_SCHEMAS}");
    let out = env::var("OUT_DIR")?;
    let apis = api::pair(read_messages(SCHEMAS)?)?;
    let records = stored::pair(read_messages(STORED_SCHEMAS)?)?;
    fs::write(Path::new(&out).join("messages.rs"), emit::messages(&apis)?)?;
    fs::write(Path::new(&out).join("api_key.rs"), api::api_key(&apis))?;
    fs::write(Path::new(&out).join("stored.rs"), emit::stored(&records)?)?;
    fs::write(Path::new(&out).join("samples.rs"), samples::samples(&apis))?;
    fs::write(Path::new(&out).join("stored_samples.rs"), samples::stored(&records))?;
    Ok(())
}

/// All messages of a directory that have valid versions, by name.
fn read_messages(schemas: &str) -> Result<BTreeMap<String, Message>, Box<dyn Error>> {
    let mut messages = BTreeMap::new();
    for entry in fs::read_dir(schemas)? {
        let path = entry?.path();
        let message = Message::parse(&fs::read_to_string(&path)?)
            .map_err(|error| format!("cannot read schema {}: {error}", path.display()))?;
        if let Some(message) = message {
            messages.insert(message.name.clone(), message);
        }
    }
    Ok(messages)
}
