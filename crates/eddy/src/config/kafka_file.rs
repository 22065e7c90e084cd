//! What Kafka spreads over several keys and Eddyline says with one: the listener of clients, and that of brokers.

use eddy_metadata::config::{controller_listener_of, listener_of, registry};

use super::bad_value;
use super::layers::Setting;
use crate::failure::Problem;

const PROTOCOLS: &str = "listener.security.protocol.map";
const CONTROLLERS: &str = "controller.listener.names";

const SEEDS: &str = "cluster.seeds";
const LISTEN: &str = "cluster.listen";

/// Replaces lists of named listeners by the address of the one that clients are served on. What asks for another protocol
/// than plain text, or for more than one listener, is a problem and is taken out.
pub(super) fn with_one_listener(layers: &mut [Vec<Setting>; 3], problems: &mut Vec<Problem>) {
    let last = |name: &str| layers.iter().flatten().rev().find(|setting| setting.name == name).cloned();
    let protocols = last(PROTOCOLS);
    let controllers = last(CONTROLLERS).map(|setting| setting.value).unwrap_or_default();
    let map = protocols.as_ref().map(|setting| setting.value.clone()).unwrap_or_default();
    with_listener_of_brokers(layers, &controllers, &map, problems);
    let mut names_listeners = false;
    for layer in layers {
        layer.retain_mut(|setting| {
            let Some(key) = registry::broker(&setting.name) else { return true };
            names_listeners |= key.name == "listeners.kafka";
            if !matches!(key.name, "listeners.kafka" | "listeners.advertised") {
                return true;
            }
            match listener_of(&setting.value, &controllers, &map) {
                Ok(address) => {
                    setting.value = address;
                    true
                }
                Err(reason) => {
                    problems.push(bad_value(key, setting, reason));
                    false
                }
            }
        });
    }
    // Kafka's own default is a listener PLAINTEXT, and the map may make that one of TLS.
    if let Some(setting) = protocols.filter(|_| !names_listeners)
        && let Some(key) = registry::broker(PROTOCOLS)
        && let Err(reason) = listener_of("PLAINTEXT://127.0.0.1:9092", "", &map)
    {
        problems.push(bad_value(key, &setting, reason));
    }
}

/// Where Kafka's controllers listen is `cluster.listen`, when the layers name more than one broker and nothing sets that key.
fn with_listener_of_brokers(
    layers: &mut [Vec<Setting>; 3],
    controllers: &str,
    protocols: &str,
    problems: &mut Vec<Problem>,
) {
    let of_key =
        |setting: &Setting, key| registry::broker(&setting.name).is_some_and(|found| found.name == key);
    let seeds = layers.iter().flatten().rev().find(|setting| of_key(setting, SEEDS));
    let several = seeds.is_some_and(|seeds| seeds.value.contains(','));
    if !several || layers.iter().flatten().any(|setting| setting.name == LISTEN) {
        return;
    }
    let Some(key) = registry::broker(LISTEN) else { return };
    for layer in layers {
        let Some(listeners) = layer.iter().find(|setting| of_key(setting, "listeners.kafka")) else {
            continue;
        };
        match controller_listener_of(&listeners.value, controllers, protocols) {
            Some(Ok(value)) => {
                let listen = Setting { name: LISTEN.to_owned(), value, place: listeners.place.clone() };
                layer.push(listen);
            }
            Some(Err(reason)) => problems.push(bad_value(key, listeners, reason)),
            None => {}
        }
    }
}
