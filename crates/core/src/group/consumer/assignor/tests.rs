use std::collections::{BTreeMap, BTreeSet};

use eddy_types::TopicId;
use proptest::prelude::*;

use super::*;

fn topic(number: u8) -> TopicId {
    TopicId([number; 16])
}

/// A group in a form that tests can change: members by id, with instance ids, subscriptions and targets.
#[derive(Clone, Debug, Default)]
struct Group {
    members: BTreeMap<String, (Option<String>, BTreeSet<TopicId>, Partitions)>,
    counts: BTreeMap<TopicId, i32>,
}

impl Group {
    fn of(topics: &[(u8, i32)]) -> Group {
        Group {
            members: BTreeMap::new(),
            counts: topics.iter().map(|&(id, count)| (topic(id), count)).collect(),
        }
    }

    fn join(&mut self, member: &str, topics: &[u8]) -> &mut Group {
        let topics = topics.iter().map(|&id| topic(id)).collect();
        self.members.insert(member.to_owned(), (None, topics, Partitions::default()));
        self
    }

    fn join_static(&mut self, member: &str, instance: &str, topics: &[u8]) -> &mut Group {
        self.join(member, topics).members.get_mut(member).unwrap().0 = Some(instance.to_owned());
        self
    }

    /// Computes the target and takes it over; returns how many partitions have a new owner.
    fn assign(&mut self, assignor: Assignor) -> usize {
        let members = self
            .members
            .iter()
            .map(|(id, (instance, topics, target))| MemberSpec {
                member_id: id,
                instance_id: instance.as_deref(),
                topics,
                target,
            })
            .collect();
        let targets = assignor.assign(&GroupSpec { members, partition_counts: &self.counts });
        assert_eq!(targets.len(), self.members.len());
        let mut moved = 0;
        for ((_, _, before), after) in self.members.values_mut().zip(targets) {
            moved += after.iter().filter(|&(topic, partition)| !before.contains(topic, partition)).count();
            *before = after;
        }
        self.check();
        moved
    }

    /// Every partition of a subscribed topic has exactly one owner, who subscribes to the topic.
    fn check(&self) {
        let subscribed: BTreeSet<TopicId> =
            self.members.values().flat_map(|(_, topics, _)| topics).copied().collect();
        let expected: BTreeSet<_> = subscribed
            .iter()
            .flat_map(|id| (0..self.counts.get(id).copied().unwrap_or(0)).map(|p| (*id, p)))
            .collect();
        let mut seen = BTreeSet::new();
        for (id, (_, topics, target)) in &self.members {
            for partition in target.iter() {
                assert!(seen.insert(partition), "{id} has {partition:?}, which another one has");
                assert!(topics.contains(&partition.0), "{id} does not subscribe to {partition:?}");
            }
        }
        assert_eq!(seen, expected);
    }

    fn loads(&self) -> Vec<usize> {
        self.members.values().map(|(_, _, target)| target.count()).collect()
    }

    fn spread(&self) -> usize {
        let loads = self.loads();
        loads.iter().max().unwrap_or(&0) - loads.iter().min().unwrap_or(&0)
    }

    /// The most by which a member exceeds another one that could take one of its partitions.
    fn worst_move(&self) -> usize {
        let members = || self.members.values();
        let could = |from: &(_, _, Partitions), to: &(_, BTreeSet<TopicId>, Partitions)| {
            from.2.topics().any(|(id, _)| to.1.contains(id))
        };
        members()
            .flat_map(|from| members().filter(move |to| could(from, to)).map(move |to| (from, to)))
            .map(|(from, to)| from.2.count().saturating_sub(to.2.count()))
            .max()
            .unwrap_or(0)
    }

    fn show(&self) -> String {
        let member = |(id, (_, _, target)): (&String, &(_, _, Partitions))| {
            let topics: Vec<_> = target.topics().map(|(t, p)| format!("{}{p:?}", t.0[0])).collect();
            format!("{id}: {}", topics.join(" "))
        };
        self.members.iter().map(member).collect::<Vec<_>>().join("; ")
    }
}

#[test]
fn range_gives_the_same_stretch_of_every_topic() {
    let mut group = Group::of(&[(1, 3), (2, 3), (3, 1)]);
    group.join("a", &[1, 2, 3]).join("b", &[1, 2, 3]).assign(Assignor::Range);
    assert_eq!(group.show(), "a: 1{0, 1} 2{0, 1} 3{0}; b: 1{2} 2{2}");
}

#[test]
fn range_serves_each_topic_among_its_own_subscribers() {
    let mut group = Group::of(&[(1, 3), (2, 4)]);
    group.join("a", &[1]).join("b", &[1, 2]).join("c", &[2]).assign(Assignor::Range);
    assert_eq!(group.show(), "a: 1{0, 1}; b: 1{2} 2{0, 1}; c: 2{2, 3}");
}

#[test]
fn range_orders_static_members_by_instance_id_and_before_the_others() {
    let mut group = Group::of(&[(1, 4)]);
    group.join("a", &[1]).join_static("z", "i1", &[1]).join_static("b", "i2", &[1]).assign(Assignor::Range);
    assert_eq!(group.show(), "a: 1{3}; b: 1{2}; z: 1{0, 1}");
}

#[test]
fn uniform_moves_only_what_a_newcomer_is_due() {
    let mut group = Group::of(&[(1, 4), (2, 5)]);
    group.join("a", &[1, 2]).assign(Assignor::Uniform);
    assert_eq!(group.join("b", &[1, 2]).assign(Assignor::Uniform), 4);
    assert_eq!(group.join("c", &[1, 2]).assign(Assignor::Uniform), 3);
    assert_eq!(group.assign(Assignor::Uniform), 0, "nothing moves when nothing changed");
    group.members.remove("a");
    assert_eq!(group.assign(Assignor::Uniform), 3);
}

#[test]
fn uniform_leaves_the_extra_partition_with_who_has_it() {
    let mut group = Group::of(&[(1, 4)]);
    group.join("b", &[1]).join("c", &[1]).join("d", &[1]).assign(Assignor::Uniform);
    assert_eq!(group.show(), "b: 1{0, 1}; c: 1{2}; d: 1{3}");
    group.members.remove("c");
    group.join("a", &[1]).assign(Assignor::Uniform);
    assert_eq!(group.show(), "a: 1{2}; b: 1{0, 1}; d: 1{3}");
}

#[test]
fn more_members_than_partitions_leaves_some_without() {
    for assignor in Assignor::ALL {
        let mut group = Group::of(&[(1, 1)]);
        group.join("a", &[1]).join("b", &[1]).assign(assignor);
        assert_eq!(group.loads(), [1, 0]);
    }
}

#[test]
fn topics_that_do_not_exist_have_nothing_to_assign() {
    for assignor in Assignor::ALL {
        let mut group = Group::of(&[]);
        group.join("a", &[1]).join("b", &[1, 2]).assign(assignor);
        assert_eq!(group.loads(), [0, 0]);
        assert!(
            assignor.assign(&GroupSpec { members: Vec::new(), partition_counts: &group.counts }).is_empty()
        );
    }
}

#[test]
fn mixed_subscriptions_are_evened_out_by_the_topics_that_can() {
    let mut group = Group::of(&[(1, 4), (2, 4)]);
    group.join("a", &[1]).join("b", &[1, 2]).assign(Assignor::Uniform);
    assert_eq!(group.show(), "a: 1{0, 1, 2, 3}; b: 2{0, 1, 2, 3}");
}

#[test]
fn five_hundred_members_and_ten_thousand_partitions_take_little_time() {
    let topics: Vec<u8> = (0..100).collect();
    let mut group = Group::of(&topics.iter().map(|&id| (id, 100)).collect::<Vec<_>>());
    for member in 0..500u32 {
        group.join(&format!("m{member}"), &topics);
    }
    let mut mixed = group.clone();
    group.assign(Assignor::Uniform);
    mixed.join("one", &[1]).assign(Assignor::Uniform);
    assert!(group.spread() <= 1 && mixed.worst_move() <= 1);
}

/// One of: a member joins with topics, a member leaves, a topic has a new number of partitions.
#[derive(Clone, Debug)]
enum Step {
    Join(u8, Vec<u8>),
    Leave(u8),
    Topic(u8, i32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..8, prop::collection::vec(0u8..5, 1..5)).prop_map(|(member, topics)| Step::Join(member, topics)),
        2 => (0u8..8).prop_map(Step::Leave),
        1 => (0u8..5, 0i32..12).prop_map(|(id, count)| Step::Topic(id, count)),
    ];
    prop::collection::vec(step, 1..20)
}

fn apply(group: &mut Group, step: &Step, homogeneous: bool) {
    let name = |member: &u8| format!("m{member}");
    match step {
        Step::Join(member, _) if homogeneous => drop(group.join(&name(member), &[0, 1, 2, 3, 4])),
        Step::Join(member, topics) => {
            let target = group.members.remove(&name(member)).map(|(_, _, target)| target);
            group.join(&name(member), topics).members.get_mut(&name(member)).unwrap().2 =
                target.unwrap_or_default();
        }
        Step::Leave(member) => drop(group.members.remove(&name(member))),
        Step::Topic(id, count) => drop(group.counts.insert(topic(*id), *count)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn uniform_is_balanced_and_sticky_for_one_subscription(steps in steps()) {
        let mut group = Group::of(&[(0, 3), (1, 7), (2, 1), (3, 0), (4, 5)]);
        for step in &steps {
            apply(&mut group, step, true);
            group.assign(Assignor::Uniform);
            prop_assert!(group.spread() <= 1, "{}", group.show());
            let again = group.assign(Assignor::Uniform);
            prop_assert_eq!(again, 0);
        }
    }

    #[test]
    fn a_newcomer_moves_its_own_share_at_most(members in 1usize..10, partitions in 0i32..60) {
        let mut group = Group::of(&[(1, partitions)]);
        for member in 0..members {
            group.join(&format!("m{member}"), &[1]);
        }
        group.assign(Assignor::Uniform);
        group.join("new", &[1]);
        let moved = group.assign(Assignor::Uniform);
        prop_assert_eq!(moved, group.members["new"].2.count());
        let lost = group.members.remove("new").unwrap().2.count();
        prop_assert_eq!(group.assign(Assignor::Uniform), lost);
    }

    #[test]
    fn mixed_subscriptions_are_as_even_as_they_can_be_and_settled(steps in steps()) {
        let mut group = Group::of(&[(0, 3), (1, 7), (2, 1), (3, 0), (4, 5)]);
        for step in &steps {
            apply(&mut group, step, false);
            group.assign(Assignor::Uniform);
            prop_assert!(group.worst_move() <= 1, "{}", group.show());
            let again = group.assign(Assignor::Uniform);
            prop_assert_eq!(again, 0);
        }
    }

    #[test]
    fn range_covers_every_partition_in_stretches(steps in steps()) {
        let mut group = Group::of(&[(0, 3), (1, 7), (2, 1), (3, 0), (4, 5)]);
        for step in &steps {
            apply(&mut group, step, false);
            group.assign(Assignor::Range);
            for (_, _, target) in group.members.values() {
                for (_, stretch) in target.topics() {
                    let span = stretch.last().unwrap() - stretch.first().unwrap() + 1;
                    prop_assert_eq!(span, i32::try_from(stretch.len()).unwrap());
                }
            }
        }
    }
}
