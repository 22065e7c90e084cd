//! Rust for the messages: one module per API, holding its request, its response and their structs; and one per type of
//! stored record, holding its key and its value.

use crate::api::Api;
use crate::names::{default_value, field_doc, ident, rust_type, snake_case};
use crate::schema::{Field, Kind, Message, Struct, Versions};
use crate::stored::Record;

type Result<T> = std::result::Result<T, String>;

/// Stands before what only a client does: it would double the crate's compile time in every broker.
const CLIENT_SIDE: &str = "#[cfg(feature = \"testing\")]\n";

/// All message types with their codecs.
pub(crate) fn messages(apis: &[Api]) -> Result<String> {
    let mut out = String::new();
    for api in apis {
        let Api { name, request, response } = api;
        let (key, valid) = (request.api_key, request.valid);
        out += &format!("/// {name}: API key {key}, versions {valid}.\npub mod {} {{\n", snake_case(name));
        module_body(&mut out, [request, response])?;
    }
    Ok(out)
}

/// All records of internal topics with their codecs.
pub(crate) fn stored(records: &[Record]) -> Result<String> {
    let mut out = String::new();
    for Record { name, key, value } in records {
        let (record_type, valid) = (key.api_key, value.valid);
        out += &format!(
            "/// {name}: record type {record_type}, versions {valid} of the value.\npub mod {} {{\n",
            snake_case(name)
        );
        module_body(&mut out, [key, value])?;
        out += &format!(
            "impl StoredKey for {module}::{key} {{\n    const RECORD_TYPE: i16 = {record_type};\n}}\n\n",
            module = snake_case(name),
            key = key.name,
        );
    }
    Ok(out)
}

/// What follows the opening brace of a module, up to its closing one.
fn module_body(out: &mut String, messages: [&Message; 2]) -> Result<()> {
    *out += "use super::generated::*;\n";
    for message in messages {
        for definition in &message.structs {
            definition_of(out, message, definition).map_err(|error| format!("{}: {error}", message.name))?;
        }
    }
    *out += "}\n\n";
    Ok(())
}

fn definition_of(out: &mut String, message: &Message, definition: &Struct) -> Result<()> {
    let name = &definition.name;
    let top = *name == message.name;
    *out += &match top {
        true => format!("\n/// {name}, versions {}.\n", message.valid),
        false => format!("\n/// Part of [`{}`].\n", message.name),
    };
    *out += &format!("#[derive(Debug, Clone, PartialEq)]\npub struct {name} {{\n");
    for field in &definition.fields {
        *out += &format!("    /// {}\n    pub {}: {},\n", field_doc(field), ident(field), rust_type(field));
    }
    *out += "}\n";

    *out += &format!("\nimpl Default for {name} {{\n    fn default() -> Self {{\n        {name} {{\n");
    for field in &definition.fields {
        *out += &format!("            {}: {},\n", ident(field), default_value(field)?);
    }
    *out += "        }\n    }\n}\n";

    let context = Context { message, definition };
    let (decode_cfg, encode_cfg) = match message.kind {
        Kind::Request => ("", CLIENT_SIDE),
        Kind::Response => (CLIENT_SIDE, ""),
        Kind::StoredKey | Kind::StoredValue => ("", ""),
    };
    *out += &format!(
        "\n{decode_cfg}impl Decode for {name} {{\n    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {{\n"
    );
    *out += &context.decode_body(top);
    *out += "    }\n}\n";
    *out += &format!(
        "\n{encode_cfg}impl Encode for {name} {{\n    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{\n"
    );
    *out += &context.encode_body(top)?;
    *out += "    }\n}\n";
    Ok(())
}

/// The struct whose code is written, and its message.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) message: &'a Message,
    pub(crate) definition: &'a Struct,
}

impl Context<'_> {
    pub(crate) fn owner(&self) -> &str {
        &self.definition.name
    }

    /// The struct's fields without a tag, in order; and those with one, by tag.
    pub(crate) fn fields(&self) -> (Vec<&Field>, Vec<&Field>) {
        let (plain, mut tagged): (Vec<_>, Vec<_>) =
            self.definition.fields.iter().partition(|field| field.tag.is_none());
        tagged.sort_by_key(|field| field.tag);
        (plain, tagged)
    }

    /// What errors call the field.
    pub(crate) fn what(&self, field: &Field) -> String {
        format!("\"{}.{}\"", self.owner(), snake_case(&field.name))
    }

    /// Rust for "the version is in `versions`", `None` when it always is.
    pub(crate) fn condition(&self, versions: Versions) -> Option<String> {
        let valid = self.definition.versions;
        match (versions.min <= valid.min, versions.max >= valid.max) {
            _ if versions.is_empty() => Some("false".into()),
            (true, true) => None,
            (false, true) => Some(format!("version >= {}", versions.min)),
            (true, false) => Some(format!("version <= {}", versions.max)),
            (false, false) => Some(format!("({}..={}).contains(&version)", versions.min, versions.max)),
        }
    }

    /// Rust for "the version is flexible".
    pub(crate) fn flexible(&self) -> String {
        self.condition(self.message.flexible).unwrap_or_else(|| "true".into())
    }

    pub(crate) fn version_check(&self, error: &str) -> String {
        let Versions { min, max } = self.message.valid;
        format!(
            "        if !({min}..={max}).contains(&version) {{\n            return Err({error}::unsupported_version(\"{}\", version));\n        }}\n",
            self.owner()
        )
    }
}

/// `if condition { then } else { otherwise }`, or `then` alone when the condition always holds.
pub(crate) fn guarded(condition: Option<String>, then: &str, otherwise: Option<&str>) -> String {
    match (condition, otherwise) {
        (None, _) => format!("        {then}\n"),
        (Some(condition), None) => format!("        if {condition} {{ {then} }}\n"),
        (Some(condition), Some(otherwise)) => {
            format!("        if {condition} {{ {then} }} else {{ {otherwise} }}\n")
        }
    }
}
