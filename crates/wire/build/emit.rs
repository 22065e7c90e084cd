//! Rust for the messages: one module per API, holding its request, its response and their structs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::schema::{Field, Message, Struct, Type, Versions};

type Result<T> = std::result::Result<T, String>;

/// A request with its response.
pub(crate) struct Api {
    /// Such as `OffsetForLeaderEpoch`.
    name: String,
    request: Message,
    response: Message,
}

/// Pairs requests with responses, ordered by API key.
pub(crate) fn pair(mut messages: BTreeMap<String, Message>) -> Result<Vec<Api>> {
    let names: Vec<String> =
        messages.keys().filter_map(|name| name.strip_suffix("Request")).map(str::to_owned).collect();
    let mut apis = Vec::new();
    for name in names {
        let mut take = |suffix: &str| {
            let full = format!("{name}{suffix}");
            messages.remove(&full).ok_or_else(|| format!("no schema of {full}"))
        };
        let (mut request, mut response) = (take("Request")?, take("Response")?);
        if (request.api_key, request.valid, request.flexible)
            != (response.api_key, response.valid, response.flexible)
        {
            return Err(format!("request and response of {name} differ in key or versions"));
        }
        prefix_clashes(&mut request, &mut response);
        apis.push(Api { name, request, response });
    }
    match messages.pop_first() {
        Some((alone, _)) => Err(format!("{alone} is no half of a pair")),
        None => {
            apis.sort_by_key(|api| api.request.api_key);
            Ok(apis)
        }
    }
}

/// Struct names that a request and its response both use get the prefix `Request` or `Response`.
fn prefix_clashes(request: &mut Message, response: &mut Message) {
    let names = |message: &Message| -> BTreeSet<String> {
        message.structs.iter().map(|definition| definition.name.clone()).collect()
    };
    let clashes: BTreeSet<String> = names(request).intersection(&names(response)).cloned().collect();
    for (message, prefix) in [(request, "Request"), (response, "Response")] {
        let rename = |name: &mut String| {
            if clashes.contains(name) {
                name.insert_str(0, prefix);
            }
        };
        for definition in &mut message.structs {
            rename(&mut definition.name);
            for field in &mut definition.fields {
                match &mut field.ty {
                    Type::Struct(name) => rename(name),
                    Type::Array(element) => {
                        if let Type::Struct(name) = element.as_mut() {
                            rename(name);
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The `ApiKey` enum's table: `api_keys! { 0 Produce 3 13 9, … }`, flexible version -1 for "never".
pub(crate) fn api_key(apis: &[Api]) -> String {
    let mut out = String::from("api_keys! {\n");
    for Api { name, request, .. } in apis {
        let flexible = if request.flexible.is_empty() {
            "None".into()
        } else {
            format!("Some({})", request.flexible.min)
        };
        let (key, Versions { min, max }) = (request.api_key, request.valid);
        out += &format!("    {key} {name} {min} {max} ({flexible})\n");
    }
    out + "}\n"
}

/// All message types with their codecs.
pub(crate) fn messages(apis: &[Api]) -> Result<String> {
    let mut out = String::new();
    for api in apis {
        let Api { name, request, response } = api;
        let (key, valid) = (request.api_key, request.valid);
        out += &format!("/// {name}: API key {key}, versions {valid}.\npub mod {} {{\n", snake_case(name));
        out += "use super::generated::*;\n";
        for message in [request, response] {
            for definition in &message.structs {
                definition_of(&mut out, message, definition)
                    .map_err(|error| format!("{}: {error}", message.name))?;
            }
        }
        out += "}\n\n";
    }
    Ok(out)
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

    let context = Context { message, owner: name };
    *out += &format!(
        "\nimpl Decode for {name} {{\n    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {{\n"
    );
    *out += &context.decode_body(definition, top)?;
    *out += "    }\n}\n";
    *out += &format!(
        "\nimpl Encode for {name} {{\n    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{\n"
    );
    *out += &context.encode_body(definition, top)?;
    *out += "    }\n}\n";
    Ok(())
}

/// The struct whose code is written, and its message: versions are judged against the message's.
struct Context<'a> {
    message: &'a Message,
    owner: &'a str,
}

impl Context<'_> {
    /// What errors call the field.
    fn what(&self, field: &Field) -> String {
        format!("\"{}.{}\"", self.owner, ident(field))
    }

    /// Rust for "the version is in `versions`", `None` when it always is.
    fn condition(&self, versions: Versions) -> Option<String> {
        let valid = self.message.valid;
        match (versions.min <= valid.min, versions.max >= valid.max) {
            _ if versions.is_empty() => Some("false".into()),
            (true, true) => None,
            (false, true) => Some(format!("version >= {}", versions.min)),
            (true, false) => Some(format!("version <= {}", versions.max)),
            (false, false) => Some(format!("({}..={}).contains(&version)", versions.min, versions.max)),
        }
    }

    /// Rust for "the version is flexible".
    fn flexible(&self) -> String {
        self.condition(self.message.flexible).unwrap_or_else(|| "true".into())
    }

    fn version_check(&self, error: &str) -> String {
        let Versions { min, max } = self.message.valid;
        format!(
            "        if !({min}..={max}).contains(&version) {{\n            return Err({error}::unsupported_version(\"{}\", version));\n        }}\n",
            self.owner
        )
    }

    fn decode_body(&self, definition: &Struct, top: bool) -> Result<String> {
        let mut body = if top { self.version_check("DecodeError") } else { String::new() };
        body += &format!("        let flexible = {};\n", self.flexible());
        body += &format!("        let mut message = {}::default();\n", self.owner);
        for field in definition.fields.iter().filter(|field| field.tag.is_none()) {
            let read = format!("message.{} = {};", ident(field), self.read(field));
            body += &guarded(self.condition(field.versions), &read, None);
        }
        let mut arms = String::new();
        for field in &definition.fields {
            let Some(tag) = field.tag else { continue };
            let guard = self
                .condition(field.versions)
                .map(|condition| format!(" if {condition}"))
                .unwrap_or_default();
            let read = self.read(field);
            arms += &format!("                {tag}{guard} => message.{} = {read},\n", ident(field));
        }
        let tags = match arms.is_empty() {
            true => format!("reader.skip_tagged_fields(\"{}\")?;", self.owner),
            false => format!(
                "reader.tagged_fields(\"{}\", |reader, tag| {{\n            match tag {{\n{arms}                _ => return Ok(false),\n            }}\n            Ok(true)\n        }})?;",
                self.owner
            ),
        };
        body += &guarded(Some("flexible".into()), &tags, None);
        Ok(body + "        Ok(message)\n")
    }

    /// An expression that reads the field in a version that has it.
    fn read(&self, field: &Field) -> String {
        let what = self.what(field);
        let plain = self.read_value(&field.ty, false, &what);
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

    fn encode_body(&self, definition: &Struct, top: bool) -> Result<String> {
        let mut body = if top { self.version_check("EncodeError") } else { String::new() };
        body += &format!("        let flexible = {};\n", self.flexible());
        for field in definition.fields.iter().filter(|field| field.tag.is_none()) {
            let write = self.write(field);
            body += &guarded(self.condition(field.versions), &write, self.refuse(field)?.as_deref());
        }
        let mut tagged: Vec<_> = definition.fields.iter().filter(|field| field.tag.is_some()).collect();
        tagged.sort_by_key(|field| field.tag);
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

/// `if condition { then } else { otherwise }`, or `then` alone when the condition always holds.
fn guarded(condition: Option<String>, then: &str, otherwise: Option<&str>) -> String {
    match (condition, otherwise) {
        (None, _) => format!("        {then}\n"),
        (Some(condition), None) => format!("        if {condition} {{ {then} }}\n"),
        (Some(condition), Some(otherwise)) => {
            format!("        if {condition} {{ {then} }} else {{ {otherwise} }}\n")
        }
    }
}

/// Random messages for tests: one `Sample` per struct and the list of all codecs.
pub(crate) fn samples(apis: &[Api]) -> Result<String> {
    let mut out = String::new();
    let mut list = String::from("/// Every request and every response.\npub static CODECS: &[Codec] = &[\n");
    for api in apis {
        let module = snake_case(&api.name);
        for message in [&api.request, &api.response] {
            for definition in &message.structs {
                sample(&mut out, &module, message, definition);
            }
            let (name, request) = (&message.name, message.name.ends_with("Request"));
            list += &format!(
                "    Codec::new::<crate::messages::{module}::{name}>(\"{name}\", ApiKey::{}, {request}),\n",
                api.name
            );
        }
    }
    Ok(out + &list + "];\n")
}

fn sample(out: &mut String, module: &str, message: &Message, definition: &Struct) {
    let context = Context { message, owner: &definition.name };
    let path = format!("crate::messages::{module}::");
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

/// Records are optional everywhere, so that all APIs that carry them look alike.
fn is_option(field: &Field) -> bool {
    !field.nullable.is_empty() || field.ty == Type::Records
}

/// Rust for "the field is not its default", the test for writing a tag and for refusing a lost value.
fn is_set(field: &Field) -> Result<String> {
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
fn default_value(field: &Field) -> Result<String> {
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

fn rust_type(field: &Field) -> String {
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
fn uuid_type(name: &str) -> &'static str {
    match name.trim_end_matches('"').ends_with("topic_id") {
        true => "TopicId",
        false => "Uuid",
    }
}

fn field_doc(field: &Field) -> String {
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

fn ident(field: &Field) -> String {
    let name = snake_case(&field.name);
    match name.as_str() {
        "match" | "type" => format!("r#{name}"),
        _ => name,
    }
}

fn snake_case(name: &str) -> String {
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
