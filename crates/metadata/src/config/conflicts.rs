//! Values of a broker's configuration that do not go together.

use super::BrokerConfig;

impl BrokerConfig {
    /// Values that do not go together, a sentence each; Kafka does not start with them either.
    #[must_use]
    pub fn conflicts(&self) -> Vec<String> {
        let number = i64::from;
        let mut conflicts: Vec<String> = Vec::new();
        let bounded = [
            (
                ["group.min.session.timeout.ms", "group.max.session.timeout.ms", ""],
                [
                    number(self.group_min_session_timeout_ms),
                    number(self.group_max_session_timeout_ms),
                    i64::MAX,
                ],
            ),
            (
                [
                    "group.consumer.min.session.timeout.ms",
                    "group.consumer.session.timeout.ms",
                    "group.consumer.max.session.timeout.ms",
                ],
                [
                    number(self.group_consumer_min_session_timeout_ms),
                    number(self.group_consumer_session_timeout_ms),
                    number(self.group_consumer_max_session_timeout_ms),
                ],
            ),
            (
                [
                    "group.consumer.min.heartbeat.interval.ms",
                    "group.consumer.heartbeat.interval.ms",
                    "group.consumer.max.heartbeat.interval.ms",
                ],
                [
                    number(self.group_consumer_min_heartbeat_interval_ms),
                    number(self.group_consumer_heartbeat_interval_ms),
                    number(self.group_consumer_max_heartbeat_interval_ms),
                ],
            ),
        ];
        for (names, values) in bounded {
            for (name, value) in names.windows(2).zip(values.windows(2)) {
                if let ([less, more], [a, b]) = (name, value)
                    && a > b
                {
                    conflicts.push(format!("{less} ({a}) must not be above {more} ({b})"));
                }
            }
        }
        conflicts.extend(self.cluster_conflicts());
        conflicts
    }

    /// What is missing or too much for a broker of a cluster.
    fn cluster_conflicts(&self) -> Vec<String> {
        let mut conflicts = Vec::new();
        let mut conflict = |is: bool, text: String| {
            if is {
                conflicts.push(text);
            }
        };
        let (listen, seeds) = (self.cluster_listen.is_some(), !self.cluster_seeds.is_empty());
        conflict(
            seeds && !listen,
            "cluster.seeds needs cluster.listen: without it no other broker reaches this one".to_owned(),
        );
        conflict(
            !seeds && !listen && self.cluster_advertised.is_some(),
            "cluster.advertised needs cluster.listen: without it the broker is alone".to_owned(),
        );
        conflict(
            listen && !seeds,
            "cluster.listen needs cluster.seeds: it names the brokers of the cluster; one that names only this broker founds \
             a cluster that others can join"
                .to_owned(),
        );
        conflict(
            listen && seeds && self.advertised_to_brokers().is_none(),
            format!(
                "cluster.listen is every address and cluster.seeds does not name broker {}: set cluster.advertised to the \
                 address at which the other brokers reach it",
                self.node_id
            ),
        );
        conflict(
            listen && self.advertised().is_unspecified(),
            format!(
                "listeners.kafka is every address: set listeners.advertised to the one at which clients reach broker {}, \
                 which the other brokers tell them",
                self.node_id
            ),
        );
        let (heartbeat, session) = (self.broker_heartbeat_interval_ms, self.broker_session_timeout_ms);
        conflict(
            heartbeat.saturating_mul(2) > session,
            format!(
                "broker.heartbeat.interval.ms ({heartbeat}) must not be above half of broker.session.timeout.ms \
                 ({session}): one late heartbeat would end the session"
            ),
        );
        conflicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StaticConfig;

    #[test]
    fn values_that_do_not_go_together_are_found() {
        assert_eq!(BrokerConfig::default().conflicts(), [""; 0]);
        let pairs = [
            ("group.min.session.timeout.ms", "10m"),
            ("group.max.session.timeout.ms", "5m"),
            ("group.consumer.session.timeout.ms", "61s"),
        ];
        let config = BrokerConfig::from_static(&StaticConfig::from_pairs(pairs).unwrap());
        assert_eq!(
            config.conflicts(),
            [
                "group.min.session.timeout.ms (600000) must not be above group.max.session.timeout.ms (300000)",
                "group.consumer.session.timeout.ms (61000) must not be above \
                 group.consumer.max.session.timeout.ms (60000)",
            ]
        );
    }

    #[test]
    fn a_broker_of_a_cluster_says_where_it_listens_and_whom_it_asks() {
        let conflicts = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().copied();
            BrokerConfig::from_static(&StaticConfig::from_pairs(pairs).unwrap()).conflicts()
        };
        let seeds = ("cluster.seeds", "1@a:9094,2@b:9094");
        assert_eq!(conflicts(&[seeds, ("cluster.listen", ":9094")]), [""; 0]);
        assert_eq!(conflicts(&[seeds, ("cluster.listen", "c:9094"), ("node.id", "3")]), [""; 0], "it joins");
        for (pairs, begins) in [
            (&[seeds][..], "cluster.seeds needs cluster.listen"),
            (&[("cluster.listen", "a:9094")], "cluster.listen needs cluster.seeds"),
            (&[("cluster.advertised", "a:9094")], "cluster.advertised needs cluster.listen"),
            (
                &[seeds, ("cluster.listen", ":9094"), ("node.id", "3")],
                "cluster.listen is every address and cluster.seeds does not name broker 3",
            ),
            (
                &[seeds, ("cluster.listen", ":9094"), ("listeners", "PLAINTEXT://:9092")],
                "listeners.kafka is every address: set listeners.advertised",
            ),
            (&[("broker.heartbeat.interval.ms", "1501")], "broker.heartbeat.interval.ms (1501)"),
        ] {
            let found = conflicts(pairs);
            assert!(matches!(&found[..], [one] if one.starts_with(begins)), "{begins}: {found:?}");
        }
    }

    #[test]
    fn the_other_brokers_are_told_the_most_exact_address_there_is() {
        let told = |pairs: &[(&str, &str)]| {
            let fixed = StaticConfig::from_pairs(pairs.iter().copied()).unwrap();
            BrokerConfig::from_static(&fixed).advertised_to_brokers().map(ToString::to_string)
        };
        let (seeds, listen) = (("cluster.seeds", "1@a:1,2@b:1"), ("cluster.listen", "10.0.0.1:9094"));
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[listen, seeds, ("cluster.advertised", "c:1")]).as_deref(), Some("c:1"));
        assert_eq!(told(&[listen, seeds]).as_deref(), Some("a:1"));
        assert_eq!(told(&[listen, seeds, ("node.id", "3")]).as_deref(), Some("10.0.0.1:9094"));
        assert_eq!(told(&[("cluster.listen", ":9094"), seeds, ("node.id", "3")]), None);
    }
}
