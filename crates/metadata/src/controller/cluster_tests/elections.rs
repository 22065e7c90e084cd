//! Who leads.

use super::*;

#[test]
fn the_preferred_leader_is_elected_when_it_is_in_the_isr() {
    story(
        three_of_four(),
        "elect preferred -> ELECTION_NOT_NEEDED
         elect unclean   -> ELECTION_NOT_NEEDED
         fence 1         -> 2/1/1 isr 2,3
         elect preferred -> PREFERRED_LEADER_NOT_AVAILABLE
         prefer          -> 2/1/1 isr 2,3
         restart 1       -> 2/1/1 isr 2,3
         elect preferred -> PREFERRED_LEADER_NOT_AVAILABLE
         isr 1,2,3       -> 2/1/2 isr 1,2,3
         elect preferred -> 1/2/3 isr 1,2,3
         restart 1       -> 2/3/4 isr 1,2,3
         prefer          -> 1/4/5 isr 1,2,3
         prefer          -> 1/4/5 isr 1,2,3",
    );
}

#[test]
fn a_preferred_leader_that_stops_or_is_emptied_does_not_get_its_partitions_back() {
    story(
        three_of_four(),
        "restart 1       -> 2/1/1 isr 1,2,3
         stop 1          -> 2/1/1 isr 1,2,3
         prefer          -> 2/1/1 isr 1,2,3
         elect preferred -> PREFERRED_LEADER_NOT_AVAILABLE",
    );
}

/// R4: out of sync leads only where the topic allows it, or an operator asks for it.
#[test]
fn records_are_given_up_only_where_somebody_allows_it() {
    story(
        Cluster::of(3).topic("t", &[&[1, 2, 3]], &[]),
        "isr 1         -> 1/0/1 isr 1
         fence 1       -> none/1/2 isr 1
         upkeep        -> none/1/2 isr 1
         unclean true  -> none/1/2 isr 1
         upkeep        -> 2/2/3 isr 2
         restart 1     -> 2/2/3 isr 2
         fence 2       -> 1/3/4 isr 1",
    );
    story(
        Cluster::of(3).topic("t", &[&[1, 2]], &[]),
        "isr 1         -> 1/0/1 isr 1 of 1,2
         fence 1       -> none/1/2 isr 1 of 1,2
         elect unclean -> 2/2/3 isr 2 of 1,2
         fence 2       -> none/3/4 isr 2 of 1,2
         elect unclean -> ELIGIBLE_LEADERS_NOT_AVAILABLE",
    );
}

/// Another history begins, in which nobody else is known to hold anything.
#[test]
fn after_an_unclean_election_nobody_is_eligible() {
    story(
        three_of_four(),
        "isr 1         -> 1/0/1 isr 1 elr 2,3
         isr 1,2       -> 1/0/2 isr 1,2
         isr 1         -> 1/0/3 isr 1 elr 2
         fence 2       -> 1/0/3 isr 1 elr 2
         fence 1       -> none/1/4 isr 1 elr 2
         elect unclean -> 3/2/5 isr 3
         restart 1     -> 3/2/5 isr 3",
    );
}

/// The high watermark moves on as soon as the minimum is met without them.
#[test]
fn replicas_are_no_longer_eligible_when_the_minimum_falls_to_the_isr() {
    story(
        three_of_four(),
        "isr 1    -> 1/0/1 isr 1 elr 2,3
         min 3    -> 1/0/1 isr 1 elr 2,3
         min 2    -> 1/0/1 isr 1 elr 2,3
         min 1    -> 1/0/2 isr 1
         min 2    -> 1/0/2 isr 1
         fence 1  -> none/1/3 isr 1",
    );
    story(
        Cluster::of(3).topic("t", &[&[1, 2, 3]], &[]),
        "min-all 2 -> 1/0/0 isr 1,2,3
         isr 1     -> 1/0/1 isr 1 elr 2,3
         min 3     -> 1/0/1 isr 1 elr 2,3
         min-all 1 -> 1/0/1 isr 1 elr 2,3
         min default -> 1/0/2 isr 1",
    );
}

/// What one broker has of its own would let its leader's high watermark move where the others think it stands.
#[test]
fn one_broker_alone_has_no_minimum_of_its_own() {
    let mut cluster = three_of_four();
    let target = ConfigTarget::Broker(BrokerId(1));
    assert_eq!(cluster.configure(&target, "min.insync.replicas", "1"), Err(ErrorCode::InvalidConfig));
    assert_eq!(cluster.configure(&target, "min.insync.replicas", "default"), Ok(()));
    let local = Local {
        broker: BrokerId(1),
        config: StaticConfig::from_pairs([("min.insync.replicas", "2")]).unwrap(),
    };
    cluster.image = Image::from_snapshot(&cluster.image.to_snapshot(), Arc::new(local)).unwrap();
    // Nor does a file count, which the other brokers do not see.
    story(cluster.topic("u", &[&[1, 2, 3]], &[]), "min default -> 1/0/0 isr 1,2,3\n isr 1 -> 1/0/1 isr 1");
}

#[test]
fn an_election_of_all_partitions_tells_of_those_that_needed_one() {
    let mut cluster = Cluster::of(4).topic("t", &[&[1, 2], &[2, 1], &[3, 4]], &[]);
    let all = |cluster: &Cluster, kind| {
        let (records, outcomes) = elect_leaders(&cluster.image, kind, None);
        let told = |(at, result): (TopicPartition, Result<(), ElectionRefusal>)| {
            format!(
                "{at}: {}",
                result.err().map_or("elected".to_owned(), |refused| refused.code().name().to_owned())
            )
        };
        (records, outcomes.into_iter().map(told).collect::<Vec<_>>())
    };
    assert_eq!(all(&cluster, ElectionKind::Preferred), (Vec::new(), Vec::new()));
    cluster.run("restart 1").unwrap();
    cluster.run("fence 3").unwrap();
    let (records, told) = all(&cluster, ElectionKind::Preferred);
    assert_eq!(told, ["t-0: elected", "t-2: PREFERRED_LEADER_NOT_AVAILABLE"]);
    cluster.commit(&records);
    assert_eq!(state(cluster.partition("t", 0)), "1/2/2 isr 1,2 of 1,2");
    assert_eq!(all(&cluster, ElectionKind::Unclean), (Vec::new(), Vec::new()));
    cluster.run("fence 4").unwrap();
    assert_eq!(all(&cluster, ElectionKind::Unclean).1, ["t-2: ELIGIBLE_LEADERS_NOT_AVAILABLE"]);
}

#[test]
fn elections_of_what_is_not_there_are_refused() {
    let cluster = three_of_four();
    let at = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
    let targets = [at("u", 0), at("t", 1), at("t", -1)];
    let (_, outcomes) = elect_leaders(&cluster.image, ElectionKind::Unclean, Some(&targets));
    for (_, result) in outcomes {
        assert_eq!(result.unwrap_err().code(), ErrorCode::UnknownTopicOrPartition);
    }
}
