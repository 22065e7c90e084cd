//! Kafka's lists of named listeners, read as the one listener there is.

use super::foreign::{Foreign, foreign};

/// The address that a list of Kafka's listeners names for clients, as `host:port`: of the list without those that
/// `controllers` (`controller.listener.names`) names, the only one. `protocols` is `listener.security.protocol.map`.
///
/// # Errors
/// There is no listener for clients or more than one, or it is not one of plain text: a sentence that says so.
pub fn listener_of(listeners: &str, controllers: &str, protocols: &str) -> Result<String, String> {
    let controllers = controller_names(controllers);
    let all = super::parse_list(listeners);
    let clients: Vec<_> = all.iter().filter(|listener| !is_one_of(listener, &controllers)).collect();
    let [listener] = clients[..] else {
        return Err(match clients.len() {
            0 => "must name a listener for clients".to_owned(),
            count => format!("must name one listener for clients, not {count}"),
        });
    };
    plain_address(listener, protocols)
}

/// The address of the first listener of a list that `controllers` names; `None` when there is none. A broker serves the
/// others there, as a controller of Kafka does.
///
/// # Errors
/// It is not one of plain text: a sentence that says so.
pub fn controller_listener_of(
    listeners: &str,
    controllers: &str,
    protocols: &str,
) -> Option<Result<String, String>> {
    let controllers = controller_names(controllers);
    let all = super::parse_list(listeners);
    let listener = all.iter().find(|listener| is_one_of(listener, &controllers))?;
    Some(plain_address(listener, protocols))
}

fn controller_names(list: &str) -> Vec<String> {
    super::parse_list(&list.to_ascii_uppercase())
}

fn is_one_of(listener: &str, names: &[String]) -> bool {
    let name = listener.split_once("://").map(|(name, _)| name.to_ascii_uppercase());
    name.is_some_and(|name| names.contains(&name))
}

fn plain_address(listener: &str, protocols: &str) -> Result<String, String> {
    let Some((name, address)) = listener.split_once("://") else { return Ok(listener.to_owned()) };
    match protocol_of(name, protocols) {
        Some(protocol) if protocol.eq_ignore_ascii_case("PLAINTEXT") => Ok(address.to_owned()),
        Some(protocol) => Err(format!("listener {name} asks for {protocol}; {}", why(&protocol))),
        None => Err(format!("listener {name} has no protocol in listener.security.protocol.map")),
    }
}

/// The protocol of a listener: by the map, else the one it is named like.
fn protocol_of(name: &str, protocols: &str) -> Option<String> {
    let pairs = super::parse_list(protocols);
    let mapped = pairs.iter().find_map(|pair| {
        let (listener, protocol) = pair.split_once(':')?;
        listener.trim().eq_ignore_ascii_case(name).then(|| protocol.trim().to_owned())
    });
    let named = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
    mapped.or_else(|| {
        named.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| (*known).to_owned())
    })
}

fn why(protocol: &str) -> &'static str {
    let key = if protocol.to_ascii_uppercase().starts_with("SASL") {
        "sasl.enabled.mechanisms"
    } else {
        "ssl.protocol"
    };
    match foreign(key, "") {
        Some(Foreign::Unsupported(why) | Foreign::Harmless(why)) => why,
        None => "there is no such protocol",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_of_controllers_is_found_by_its_name() {
        let both = "PLAINTEXT://:9092,CONTROLLER://a:9093";
        let of = |controllers, protocols| controller_listener_of(both, controllers, protocols);
        assert_eq!(of("controller", "CONTROLLER:PLAINTEXT"), Some(Ok("a:9093".to_owned())));
        assert_eq!(of("", ""), None);
        assert!(
            matches!(of("CONTROLLER", "CONTROLLER:SSL"), Some(Err(why)) if why.contains("not encrypted"))
        );
    }

    #[test]
    fn the_listener_of_clients_is_found_among_those_of_kraft() {
        let typical = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL";
        let cases = [
            ("PLAINTEXT://:9092,CONTROLLER://:9093", "CONTROLLER", typical, Ok(":9092")),
            ("plaintext://h:1", "", "", Ok("h:1")),
            ("h:1", "", "", Ok("h:1")),
            ("CLIENTS://[::1]:1", "", "CLIENTS:PLAINTEXT", Ok("[::1]:1")),
            ("SSL://:9092", "", typical, Err("listener SSL asks for SSL; connections are not encrypted")),
            (
                "PLAINTEXT://:9092",
                "",
                "PLAINTEXT:SASL_SSL",
                Err("listener PLAINTEXT asks for SASL_SSL; clients do not authenticate"),
            ),
            ("X://:9092", "", typical, Err("listener X has no protocol in listener.security.protocol.map")),
            ("PLAINTEXT://:1,X://:2", "", "X:PLAINTEXT", Err("must name one listener for clients, not 2")),
            ("CONTROLLER://:1", "CONTROLLER", typical, Err("must name a listener for clients")),
            ("", "", "", Err("must name a listener for clients")),
        ];
        for (listeners, controllers, protocols, expected) in cases {
            let found = listener_of(listeners, controllers, protocols);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{listeners}");
        }
    }
}
