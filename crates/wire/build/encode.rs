//! Rust that writes a struct.

use std::fmt::Write;

use crate::emit::{Context, guarded};
use crate::names::{ident, is_option, is_set};
use crate::schema::{Field, Type};

type Result<T> = std::result::Result<T, String>;

impl Context<'_> {
    /// Body of `encode`; `top` for the message itself, whose version may be anything.
    pub(crate) fn encode_body(&self, top: bool) -> Result<String> {
        let mut body = if top { self.version_check("EncodeError") } else { String::new() };
        body += &format!("        let flexible = {};\n", self.flexible());
        let (plain, tagged) = self.fields();
        for field in plain {
            let write = self.write(field);
            body += &guarded(self.condition(field.versions), &write, self.refuse(field)?.as_deref());
        }
        for field in &tagged {
            if let (Some(condition), Some(refuse)) = (self.condition(field.versions), self.refuse(field)?) {
                body += &guarded(Some(format!("!({condition})")), &refuse, None);
            }
        }
        let mut tags = String::new();
        for field in &tagged {
            let (tag, set) = (field.tag.unwrap_or_default(), is_set(field)?);
            let condition = match self.condition(field.versions) {
                Some(versions) if versions != self.flexible() => format!("{versions} && {set}"),
                _ => set,
            };
            let write = self.write(field);
            _ = write!(
                tags,
                "            if {condition} {{\n                tagged.field({tag}, |writer| {{\n                    {write}\n                    Ok(())\n                }})?;\n            }}\n"
            );
        }
        let tags = match tags.is_empty() {
            true => "writer.put_no_tagged_fields();".to_owned(),
            false => format!(
                "let mut tagged = TaggedFields::default();\n{tags}            writer.put_tagged_fields(tagged);"
            ),
        };
        body += &guarded(Some("flexible".into()), &tags, None);
        Ok(body + "        Ok(())\n")
    }

    /// A statement that writes the field in a version that has it.
    fn write(&self, field: &Field) -> String {
        let (what, name) = (self.what(field), ident(field));
        if !is_option(field) {
            return self.write_value(&field.ty, &format!("self.{name}"), &what);
        }
        let some = self.write_value(&field.ty, "value", &what);
        let null = match &field.ty {
            // In a tag Kafka says "null" with a zero, elsewhere with a negative byte.
            Type::Struct(_) if field.tag.is_some() => "writer.put_varint(0)",
            Type::Struct(_) => "writer.put_i8(-1)",
            Type::Array(_) => "writer.put_null_array(flexible)",
            Type::String => "writer.put_null_string(flexible)",
            _ => "writer.put_null_bytes(flexible)",
        };
        let present = if matches!(field.ty, Type::Struct(_)) { "writer.put_i8(1); " } else { "" };
        let refuse = format!("return Err(EncodeError::null({what}, version))");
        let null = match self.condition(field.nullable) {
            _ if field.nullable == field.versions => null.to_owned(),
            Some(condition) if condition == "false" => refuse,
            Some(condition) => format!("if {condition} {{ {null} }} else {{ {refuse} }}"),
            None => null.to_owned(),
        };
        format!("match &self.{name} {{ None => {null}, Some(value) => {{ {present}{some} }} }}")
    }

    /// A statement that writes `value`: a field of `self`, or a reference by that name.
    fn write_value(&self, ty: &Type, value: &str, what: &str) -> String {
        let (borrow, deref) = if value.starts_with("self.") { ("&", "") } else { ("", "*") };
        match ty {
            Type::Bool => format!("writer.put_bool({deref}{value});"),
            Type::Number(number) => format!("writer.put_{number}({deref}{value});"),
            Type::Uuid => format!("writer.put_uuid(&{value}.0);"),
            Type::String => format!("writer.put_string({borrow}{value}, flexible, {what})?;"),
            Type::Bytes => format!("writer.put_bytes({borrow}{value}, flexible, {what})?;"),
            Type::Records => format!("writer.put_records({borrow}{value}, flexible, {what})?;"),
            Type::Struct(_) => format!("{value}.encode(writer, version)?;"),
            Type::Array(element) => {
                let write = self.write_value(element, "value", what);
                format!(
                    "writer.put_array_len({value}.len(), flexible, {what})?; for value in {borrow}{value} {{ {write} }}"
                )
            }
        }
    }

    /// For a version without the field: a statement that refuses a value that would be lost (as Kafka does), unless
    /// the schema lets it be ignored.
    fn refuse(&self, field: &Field) -> Result<Option<String>> {
        if field.ignorable {
            return Ok(None);
        }
        let (set, what) = (is_set(field)?, self.what(field));
        Ok(Some(format!("if {set} {{ return Err(EncodeError::unsupported_field({what}, version)); }}")))
    }
}
