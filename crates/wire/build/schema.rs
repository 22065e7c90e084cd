//! Kafka's message schemas as data: what of them a codec needs.

use std::error::Error;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// Versions `min..=max`; empty when `max < min`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Versions {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Versions {
    pub(crate) const NONE: Versions = Versions { min: 0, max: -1 };

    fn parse(text: &str) -> Result<Versions, Box<dyn Error>> {
        if text == "none" {
            return Ok(Versions::NONE);
        }
        if let Some(min) = text.strip_suffix('+') {
            return Ok(Versions { min: min.parse()?, max: i16::MAX });
        }
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        Ok(Versions { min: min.parse()?, max: max.parse()? })
    }

    pub(crate) fn is_empty(self) -> bool {
        self.max < self.min
    }

    pub(crate) fn contains(self, other: Versions) -> bool {
        other.is_empty() || (self.min <= other.min && other.max <= self.max)
    }

    pub(crate) fn intersect(self, other: Versions) -> Versions {
        let both = Versions { min: self.min.max(other.min), max: self.max.min(other.max) };
        if both.is_empty() { Versions::NONE } else { both }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.min == self.max {
            true => write!(f, "{}", self.min),
            false => write!(f, "{}-{}", self.min, self.max),
        }
    }
}

/// Type of a field as the schema writes it: `int32`, `[]string`, `[]TopicProduceData`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Bool,
    /// An integer or float of fixed size; named as in Rust.
    Number(&'static str),
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(text: &str) -> Result<Type, String> {
        if let Some(element) = text.strip_prefix("[]") {
            return Ok(Type::Array(Box::new(Type::parse(element)?)));
        }
        Ok(match text {
            "bool" => Type::Bool,
            "int8" => Type::Number("i8"),
            "int16" => Type::Number("i16"),
            "uint16" => Type::Number("u16"),
            "int32" => Type::Number("i32"),
            "uint32" => Type::Number("u32"),
            "int64" => Type::Number("i64"),
            "float64" => Type::Number("f64"),
            "uuid" => Type::Uuid,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "records" => Type::Records,
            name if name.starts_with(char::is_uppercase) => Type::Struct(name.to_owned()),
            _ => return Err(format!("unknown type {text}")),
        })
    }

    /// Type of the elements of an array, any other type itself.
    pub(crate) fn element(&self) -> &Type {
        match self {
            Type::Array(element) => element,
            other => other,
        }
    }
}

/// A field, its versions already cut to those in which the message is valid.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) tag: Option<u32>,
    /// The schema's default as text; `null` for a nullable field.
    pub(crate) default: Option<String>,
    pub(crate) ignorable: bool,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    /// Versions in which the struct can occur.
    pub(crate) versions: Versions,
    pub(crate) fields: Vec<Field>,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    /// Key of a record in an internal topic, led by the record's type.
    StoredKey,
    /// Value of such a record, led by its version.
    StoredValue,
}

impl Kind {
    fn parse(text: &str) -> Option<Kind> {
        Some(match text {
            "request" => Kind::Request,
            "response" => Kind::Response,
            "coordinator-key" => Kind::StoredKey,
            "coordinator-value" => Kind::StoredValue,
            _ => return None,
        })
    }
}

/// One message: its own fields are the last of `structs`.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// The API of a request and its response; the record type of a stored key and its value.
    pub(crate) api_key: i16,
    pub(crate) valid: Versions,
    pub(crate) flexible: Versions,
    pub(crate) structs: Vec<Struct>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MessageJson {
    api_key: Option<i16>,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    valid_versions: String,
    flexible_versions: Option<String>,
    #[serde(default)]
    fields: Vec<FieldJson>,
    #[serde(default)]
    common_structs: Vec<StructJson>,
    #[serde(rename = "listeners")]
    _listeners: Option<Value>,
    #[serde(rename = "latestVersionUnstable")]
    _latest_version_unstable: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StructJson {
    name: String,
    #[serde(rename = "versions")]
    _versions: String,
    fields: Vec<FieldJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FieldJson {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    /// A field without has the versions in which it is tagged.
    versions: Option<String>,
    nullable_versions: Option<String>,
    tagged_versions: Option<String>,
    tag: Option<u32>,
    default: Option<Value>,
    #[serde(default)]
    ignorable: bool,
    #[serde(default)]
    fields: Vec<FieldJson>,
    #[serde(rename = "mapKey")]
    _map_key: Option<bool>,
    #[serde(rename = "entityType")]
    _entity_type: Option<String>,
    #[serde(rename = "zeroCopy")]
    _zero_copy: Option<bool>,
}

impl Message {
    /// The message of a schema file; `None` when it is of no kind that has a codec, or valid in no version.
    pub(crate) fn parse(text: &str) -> Result<Option<Message>, Box<dyn Error>> {
        let json: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let json = serde_json::from_str::<Value>(&json)?;
        let Some(kind) = json.get("type").and_then(Value::as_str).and_then(Kind::parse) else {
            return Ok(None);
        };
        let json: MessageJson = serde_json::from_value(json)?;
        let valid = Versions::parse(&json.valid_versions)?;
        if valid.is_empty() {
            return Ok(None);
        }
        let flexible = Versions::parse(json.flexible_versions.as_deref().unwrap_or("none"))?.intersect(valid);
        let mut message = Message {
            kind,
            api_key: json.api_key.ok_or_else(|| format!("{} {} without apiKey", json.kind, json.name))?,
            name: json.name,
            valid,
            flexible,
            structs: Vec::new(),
        };
        for common in json.common_structs {
            message.add_struct(common.name, common.fields, valid)?;
        }
        message.add_struct(message.name.clone(), json.fields, valid)?;
        Ok(Some(message))
    }

    pub(crate) fn is_request(&self) -> bool {
        self.kind == Kind::Request
    }

    fn add_struct(
        &mut self,
        name: String,
        fields: Vec<FieldJson>,
        versions: Versions,
    ) -> Result<(), Box<dyn Error>> {
        let mut own = Vec::new();
        for json in fields {
            let field = json.field(versions, self.flexible)?;
            if let (Type::Struct(inner), false) = (field.ty.element(), json.fields.is_empty()) {
                self.add_struct(inner.clone(), json.fields, field.versions)?;
            }
            if !field.versions.is_empty() {
                own.push(field);
            }
        }
        if self.structs.iter().any(|known| known.name == name) {
            return Err(format!("two structs named {name}").into());
        }
        self.structs.push(Struct { name, versions, fields: own });
        Ok(())
    }
}

impl FieldJson {
    fn field(&self, valid: Versions, flexible: Versions) -> Result<Field, Box<dyn Error>> {
        let versions = self.versions.as_deref().or(self.tagged_versions.as_deref());
        let versions = versions.ok_or_else(|| format!("field {} has no versions", self.name))?;
        let versions = Versions::parse(versions)?.intersect(valid);
        let nullable =
            Versions::parse(self.nullable_versions.as_deref().unwrap_or("none"))?.intersect(versions);
        let tagged = Versions::parse(self.tagged_versions.as_deref().unwrap_or("none"))?.intersect(versions);
        if self.tag.is_some() && (tagged != versions || !flexible.contains(tagged)) {
            return Err(format!("field {}: tagged in {tagged}, but valid in {versions}", self.name).into());
        }
        let default = match &self.default {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        Ok(Field {
            name: self.name.clone(),
            ty: Type::parse(&self.ty)?,
            versions,
            nullable,
            tag: self.tag,
            default,
            ignorable: self.ignorable,
        })
    }
}
