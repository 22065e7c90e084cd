//! Rust that reads a struct.

use crate::emit::{Context, guarded};
use crate::names::{ident, uuid_type};
use crate::schema::{Field, Type};

impl Context<'_> {
    /// Body of `decode`; `top` for the message itself, whose version may be anything.
    pub(crate) fn decode_body(&self, top: bool) -> String {
        let mut body = if top { self.version_check("DecodeError") } else { String::new() };
        body += &format!("        let flexible = {};\n", self.flexible());
        body += &format!("        let mut message = {}::default();\n", self.owner());
        let (plain, tagged) = self.fields();
        for field in plain {
            let read = format!("message.{} = {};", ident(field), self.read(field));
            body += &guarded(self.condition(field.versions), &read, None);
        }
        let mut arms = String::new();
        for field in tagged {
            let tag = field.tag.unwrap_or_default();
            let guard = self
                .condition(field.versions)
                .map(|condition| format!(" if {condition}"))
                .unwrap_or_default();
            let read = self.read(field);
            arms += &format!("                {tag}{guard} => message.{} = {read},\n", ident(field));
        }
        let tags = match arms.is_empty() {
            true => format!("reader.skip_tagged_fields(\"{}\")?;", self.owner()),
            false => format!(
                "reader.tagged_fields(\"{}\", |reader, tag| {{\n            match tag {{\n{arms}                _ => return Ok(false),\n            }}\n            Ok(true)\n        }})?;",
                self.owner()
            ),
        };
        body += &guarded(Some("flexible".into()), &tags, None);
        body + "        Ok(message)\n"
    }

    /// An expression that reads the field in a version that has it.
    fn read(&self, field: &Field) -> String {
        let what = self.what(field);
        let plain = self.read_value(&field.ty, false, &what);
        if let (Type::Struct(name), true, false) = (&field.ty, field.tag.is_some(), field.nullable.is_empty())
        {
            return format!(
                "reader.nullable_tagged_struct({what}, |reader| {name}::decode(reader, version))?"
            );
        }
        if field.nullable.is_empty() {
            return if field.ty == Type::Records { format!("Some({plain})") } else { plain };
        }
        let nullable = self.read_value(&field.ty, true, &what);
        match field.nullable == field.versions {
            true => nullable,
            false => {
                let condition = self.condition(field.nullable).unwrap_or_else(|| "true".into());
                format!("if {condition} {{ {nullable} }} else {{ Some({plain}) }}")
            }
        }
    }

    fn read_value(&self, ty: &Type, nullable: bool, what: &str) -> String {
        let nullable_ = if nullable { "nullable_" } else { "" };
        match ty {
            Type::Bool => format!("reader.bool({what})?"),
            Type::Number(number) => format!("reader.{number}({what})?"),
            Type::Uuid => format!("{}(reader.uuid({what})?)", uuid_type(what)),
            Type::String => format!("reader.{nullable_}string(flexible, {what})?"),
            Type::Bytes => format!("reader.{nullable_}bytes(flexible, {what})?"),
            Type::Records => format!("reader.{nullable_}records(flexible, {what})?"),
            Type::Struct(name) if nullable => {
                format!("reader.nullable_struct({what}, |reader| {name}::decode(reader, version))?")
            }
            Type::Struct(name) => format!("{name}::decode(reader, version)?"),
            Type::Array(element) => {
                let read = self.read_value(element, false, what);
                let read = read.strip_suffix('?').map_or_else(|| format!("Ok({read})"), str::to_owned);
                format!("reader.{nullable_}array(flexible, {what}, |reader| {read})?")
            }
        }
    }
}
