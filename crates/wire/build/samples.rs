//! Rust that makes random messages.

use crate::api::Api;
use crate::emit::{Context, guarded};
use crate::names::{ident, is_option, snake_case, uuid_type};
use crate::schema::{Message, Struct, Type};
use crate::stored::Record;

/// Random messages for tests: one `Sample` per struct and the list of all codecs.
pub(crate) fn samples(apis: &[Api]) -> String {
    let mut out = String::new();
    let mut list = String::from("/// Every request and every response.\npub static CODECS: &[Codec] = &[\n");
    for api in apis {
        let module = snake_case(&api.name);
        for message in [&api.request, &api.response] {
            for definition in &message.structs {
                sample(&mut out, &format!("messages::{module}"), message, definition);
            }
            let (name, request) = (&message.name, message.is_request());
            list += &format!(
                "    Codec::new::<crate::messages::{module}::{name}>(\"{name}\", ApiKey::{}, {request}),\n",
                api.name
            );
        }
    }
    out + &list + "];\n"
}

/// The same for the records of internal topics.
pub(crate) fn stored(records: &[Record]) -> String {
    let mut out = String::new();
    let mut list = String::from(
        "/// Every key and every value of stored records.\npub static STORED: &[StoredCodec] = &[\n",
    );
    for record in records {
        let module = format!("stored::{}", snake_case(record.name));
        for message in [&record.key, &record.value] {
            for definition in &message.structs {
                sample(&mut out, &module, message, definition);
            }
            let (name, valid) = (&message.name, message.valid);
            list += &format!(
                "    StoredCodec::new::<crate::{module}::{name}>(\"{name}\", {}, {}),\n",
                valid.min, valid.max
            );
        }
    }
    out + &list + "];\n"
}

/// `module` is below the crate's root.
fn sample(out: &mut String, module: &str, message: &Message, definition: &Struct) {
    let context = Context { message, definition };
    let path = format!("crate::{module}::");
    let name = &definition.name;
    *out += &format!(
        "impl Sample for {path}{name} {{\n    fn sample(sampler: &mut Sampler, version: i16) -> Self {{\n"
    );
    *out += &format!("        let mut message = {path}{name}::default();\n");
    for field in &definition.fields {
        let mut value = sample_value(&field.ty, &path, &context.what(field));
        if is_option(field) {
            let nullable = context.condition(field.nullable).unwrap_or_else(|| "true".into());
            value = format!("sampler.nullable({nullable}, |sampler| {value})");
        }
        *out += &guarded(
            context.condition(field.versions),
            &format!("message.{} = {value};", ident(field)),
            None,
        );
    }
    *out += "        message\n    }\n}\n\n";
}

fn sample_value(ty: &Type, path: &str, what: &str) -> String {
    match ty {
        Type::Bool => "sampler.bool()".into(),
        Type::Number(number) => format!("sampler.{number}()"),
        Type::Uuid => format!("{}(sampler.uuid())", uuid_type(what)),
        Type::String => "sampler.string()".into(),
        Type::Bytes => "sampler.bytes()".into(),
        Type::Records => "sampler.records()".into(),
        Type::Struct(name) => format!("{path}{name}::sample(sampler, version)"),
        Type::Array(element) => format!("sampler.array(|sampler| {})", sample_value(element, path, what)),
    }
}
