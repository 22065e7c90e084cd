//! APIs: requests paired with their responses.

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::{Message, Type, Versions};

type Result<T> = std::result::Result<T, String>;

/// A request with its response.
pub(crate) struct Api {
    /// Such as `OffsetForLeaderEpoch`.
    pub(crate) name: String,
    pub(crate) request: Message,
    pub(crate) response: Message,
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
