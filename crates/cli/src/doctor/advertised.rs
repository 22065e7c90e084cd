//! Whether the addresses that brokers advertise lead to those brokers, from here.

use std::time::Duration;

use eddy_client::Connection;
use eddy_client::messages::describe_configs_request::DescribeConfigsResource;
use eddy_client::messages::{ApiKey, DescribeConfigsRequest, MetadataRequest};
use eddy_client::protocol::StrBytes;
use eddy_types::ErrorCode;

use super::dial::dial;
use super::metadata::Seen;
use super::{Check, Outcome, is_loopback_name};
use crate::Address;
use crate::brokers::{Cluster, Node};

/// Resource type of brokers in configuration requests.
const RESOURCE_BROKER: i8 = 4;

/// Dials every broker where it says it is.
pub(super) async fn check(seen: &Seen, bootstrap: &[Address], timeout: Duration) -> Vec<Check> {
    let mut checks = Vec::new();
    for node in &seen.cluster.nodes {
        checks.extend(check_one(seen, node, bootstrap, timeout).await);
    }
    checks
}

async fn check_one(seen: &Seen, node: &Node, bootstrap: &[Address], timeout: Duration) -> Vec<Check> {
    if let Some(check) = by_look(node, seen.is_loopback, bootstrap) {
        return vec![check];
    }
    let dialed = dial(&node.address, timeout).await;
    let Some(connection) = dialed.connection else {
        let failed = dialed.checks.into_iter().filter(|check| check.outcome == Outcome::Fail);
        return failed
            .map(|check| Check {
                step: "advertised",
                text: format!(
                    "broker {} at {}: {}",
                    node.id,
                    node.address,
                    without(&check.text, &node.address)
                ),
                advice: advice(node),
                code: Some("ED-3002"),
                ..check
            })
            .collect();
    };
    vec![identity(seen, node, &connection).await]
}

/// What is wrong with an address whoever answers there.
fn by_look(node: &Node, is_loopback: bool, bootstrap: &[Address]) -> Option<Check> {
    let Address { host, port } = &node.address;
    let failed = |text: String| {
        let mut check = Check::fail("advertised", text).code("ED-3002");
        check.advice = advice(node);
        check
    };
    if *port == 0 || host.is_empty() {
        return Some(failed(format!("broker {} advertises no address: {}", node.id, node.address)));
    }
    if matches!(host.as_str(), "0.0.0.0" | "::") {
        return Some(failed(format!(
            "broker {} advertises {}, which is no address to connect to",
            node.id, node.address
        )));
    }
    let asked_for_it = bootstrap.iter().any(is_loopback_name);
    (is_loopback_name(&node.address) && !is_loopback && !asked_for_it).then(|| {
        failed(format!(
            "broker {} advertises {}, which from here is this machine, not the broker",
            node.id, node.address
        ))
    })
}

/// A text without the address that it begins with.
fn without<'a>(text: &'a str, address: &Address) -> &'a str {
    text.strip_prefix(&format!("{address}: ")).unwrap_or(text)
}

fn advice(node: &Node) -> Vec<String> {
    let (id, port) = (node.id, node.address.port);
    vec![
        format!(
            "is broker {id} running? clients connect to what it advertises, so that must lead to it from here"
        ),
        format!("set on broker {id}: listeners.advertised = \"HOST:{port}\" (Kafka: advertised.listeners)"),
    ]
}

/// Whether the one who answers there is of this cluster, and the broker of that id.
async fn identity(seen: &Seen, node: &Node, connection: &Connection) -> Check {
    let request =
        MetadataRequest::default().with_topics(Some(Vec::new())).with_allow_auto_topic_creation(false);
    let cluster = match connection.send(&request).await {
        Ok(answer) => Cluster::new(answer),
        Err(error) => {
            return Check::fail("advertised", format!("broker {} at {}: {error}", node.id, node.address));
        }
    };
    if cluster.id != seen.cluster.id {
        let id = cluster.id.as_deref().unwrap_or("without id");
        let mut check = Check::fail(
            "advertised",
            format!("broker {} advertises {}, where cluster {id} answers", node.id, node.address),
        );
        check.advice = advice(node);
        return check.code("ED-3002");
    }
    if let Some(said) = is_another(node, connection).await {
        let text =
            format!("broker {} advertises {}, where another broker answers: {said}", node.id, node.address);
        let mut check = Check::fail("advertised", text).code("ED-3002");
        check.advice = advice(node);
        return check;
    }
    Check::ok("advertised", format!("broker {} answers at {}", node.id, node.address))
}

/// What a broker says that is asked for another one's settings: only a broker itself tells its own. `None` when it is the one, or
/// does not tell.
async fn is_another(node: &Node, connection: &Connection) -> Option<String> {
    connection.versions().served(ApiKey::DescribeConfigs as i16)?;
    let resource = DescribeConfigsResource::default()
        .with_resource_type(RESOURCE_BROKER)
        .with_resource_name(StrBytes::from_string(node.id.0.to_string()))
        .with_configuration_keys(Some(vec![StrBytes::from_static_str("node.id")]));
    let answer =
        connection.send(&DescribeConfigsRequest::default().with_resources(vec![resource])).await.ok()?;
    let result = answer.results.into_iter().next()?;
    let is_refused = result.error_code == ErrorCode::InvalidRequest as i16;
    is_refused.then(|| result.error_message.map(|words| words.to_string()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use eddy_types::BrokerId;

    use super::*;

    fn look(advertised: &str, is_loopback: bool, bootstrap: &str) -> Option<String> {
        let node = Node { id: BrokerId(2), address: advertised.parse().unwrap(), rack: None };
        by_look(&node, is_loopback, &[bootstrap.parse().unwrap()]).map(|check| check.text)
    }

    #[test]
    fn localhost_is_wrong_only_from_afar() {
        let wrong = look("localhost:9092", false, "broker.internal:9092").unwrap();
        assert_eq!(
            wrong,
            "broker 2 advertises localhost:9092, which from here is this machine, not the broker"
        );
        assert_eq!(look("localhost:9092", true, "localhost:9092"), None);
        assert_eq!(look("localhost:9092", true, "broker.internal:9092"), None, "a name of this machine");
        assert_eq!(look("broker2.internal:9092", false, "broker.internal:9092"), None);
    }

    #[test]
    fn any_address_is_never_one_to_connect_to() {
        assert!(look("0.0.0.0:9092", true, "localhost:9092").is_some());
        assert!(look("[::]:9092", true, "localhost:9092").is_some());
    }
}
