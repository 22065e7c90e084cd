//! From checked values to fields of a struct.

use super::value::Value;

/// Reads a field from a value; `None` when the value is of another type.
pub(super) trait FromValue: Sized {
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Boolean(value) = value { Some(*value) } else { None }
    }
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Number(value) = value { Some(*value) } else { None }
    }
}

impl FromValue for i32 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for i16 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for u32 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Double(value) = value { Some(*value) } else { None }
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(value) = value { Some(value.clone()) } else { None }
    }
}

impl FromValue for Vec<String> {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::List(value) = value { Some(value.clone()) } else { None }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        T::from_value(value).map(Some)
    }
}

/// A struct with one field for each key, whose default is the keys' defaults.
macro_rules! typed_config {
    (
        $(#[$struct_doc:meta])*
        $name:ident($find:path) { $($(#[$doc:meta])* $key:literal => $field:ident: $type:ty,)* }
    ) => {
        $(#[$struct_doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$doc])* #[doc = concat!("`", $key, "`")] pub $field: $type,)*
        }

        impl $name {
            /// The keys that have a field, and the field.
            #[cfg(test)]
            pub(crate) const FIELDS: &'static [(&'static str, &'static str)] =
                &[$(($key, stringify!($field)),)*];

            /// Sets the field of a key; does nothing for a key without a field or a value of another type.
            fn set(&mut self, key: &str, value: &$crate::config::Value) {
                match key {
                    $($key => {
                        if let Some(value) = $crate::config::typed::FromValue::from_value(value) {
                            self.$field = value;
                        }
                    })*
                    _ => {}
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                // A test holds every default of the table against its type, so the fields' own defaults never show.
                let mut config = $name { $($field: Default::default(),)* };
                for key in [$($key,)*] {
                    let key = $find(key);
                    let default = key.and_then(|key| Some((key.name, key.parse(key.default?).ok()?)));
                    if let Some((name, value)) = default {
                        config.set(name, &value);
                    }
                }
                config
            }
        }
    };
}

pub(super) use typed_config;
