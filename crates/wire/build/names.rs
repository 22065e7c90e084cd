//! What a field is in Rust: its name, type, default and documentation.

use crate::schema::{Field, Type};

type Result<T> = std::result::Result<T, String>;

/// Records are optional everywhere, so that all APIs that carry them look alike.
pub(crate) fn is_option(field: &Field) -> bool {
    !field.nullable.is_empty() || field.ty == Type::Records
}

/// Rust for "the field is not its default", the test for writing a tag and for refusing a lost value.
pub(crate) fn is_set(field: &Field) -> Result<String> {
    let name = ident(field);
    let default = default_value(field)?;
    Ok(match (&field.ty, default.as_str()) {
        (Type::Bool, "false") => format!("self.{name}"),
        (Type::Bool, "true") => format!("!self.{name}"),
        (_, "None") => format!("self.{name}.is_some()"),
        (Type::Array(_) | Type::String | Type::Bytes, _) if is_option(field) => {
            format!("self.{name}.as_deref().is_none_or(|value| !value.is_empty())")
        }
        (Type::Array(_) | Type::Bytes, _) => format!("!self.{name}.is_empty()"),
        (Type::Uuid, _) => format!("self.{name}.0 != [0; 16]"),
        (Type::String, "Default::default()") => format!("!self.{name}.as_bytes().is_empty()"),
        (Type::Struct(_), _) if is_option(field) => format!("self.{name} != {default}"),
        (Type::Struct(inner), _) => format!("self.{name} != {inner}::default()"),
        _ => format!("self.{name} != {default}"),
    })
}

/// Rust for the schema's default. Without one a field is zero or empty, never null, even where null is valid: clients
/// read empty records, but several fail on null ones.
pub(crate) fn default_value(field: &Field) -> Result<String> {
    let default = field.default.as_deref();
    if default == Some("null") {
        return match field.nullable.is_empty() {
            true => Err(format!("field {} is null by default, but not nullable", field.name)),
            false => Ok("None".into()),
        };
    }
    let value = match (&field.ty, default) {
        (Type::Bool, default) => default.unwrap_or("false").to_lowercase(),
        (Type::Number(number), default) => number_literal(number, default.unwrap_or("0"))?,
        (Type::String, Some(text)) if !text.is_empty() => format!("Str::from_static({text:?})"),
        (Type::Array(_), None) => "Vec::new()".into(),
        (_, None | Some("")) => "Default::default()".into(),
        (ty, Some(text)) => return Err(format!("field {}: default {text} of a {ty:?}", field.name)),
    };
    Ok(if is_option(field) { format!("Some({value})") } else { value })
}

fn number_literal(number: &str, text: &str) -> Result<String> {
    if number == "f64" {
        return text.parse::<f64>().map(|value| format!("{value:?}")).map_err(|error| error.to_string());
    }
    let value = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    value.map(|value| value.to_string()).map_err(|error| format!("default {text}: {error}"))
}

pub(crate) fn rust_type(field: &Field) -> String {
    let plain = plain_type(&field.ty, &ident(field));
    if is_option(field) { format!("Option<{plain}>") } else { plain }
}

fn plain_type(ty: &Type, name: &str) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::Number(number) => (*number).into(),
        Type::Uuid => uuid_type(name).into(),
        Type::String => "Str".into(),
        Type::Bytes => "Bytes".into(),
        Type::Records => "Records".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", plain_type(element, name)),
    }
}

/// Ids of topics have their own type; all others are plain.
pub(crate) fn uuid_type(name: &str) -> &'static str {
    match name.trim_end_matches('"').ends_with("topic_id") {
        true => "TopicId",
        false => "Uuid",
    }
}

pub(crate) fn field_doc(field: &Field) -> String {
    let mut doc = format!("Versions {}", field.versions);
    if let Some(tag) = field.tag {
        doc += &format!("; tag {tag}");
    }
    if !field.nullable.is_empty() {
        doc += &match field.nullable == field.versions {
            true => "; nullable".to_owned(),
            false => format!("; nullable in {}", field.nullable),
        };
    }
    if let Some(default) = &field.default {
        doc += &format!("; default {default}");
    }
    doc + "."
}

pub(crate) fn ident(field: &Field) -> String {
    let name = snake_case(&field.name);
    match name.as_str() {
        "match" | "type" => format!("r#{name}"),
        _ => name,
    }
}

pub(crate) fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, &char) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        let starts_word = before
            .is_some_and(|before| !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase()));
        if char.is_uppercase() && starts_word {
            out.push('_');
        }
        out.extend(char.to_lowercase());
    }
    out
}
