//! Who copies what from whom in a move.

use std::collections::BTreeSet;

use super::super::moving::Moving;
use super::super::plan::Move;
use crate::positions::Place;

/// The part of a move that takes network and disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct Copying {
    pub(super) place: Place,
    /// Who has the partition.
    pub(super) sources: Vec<i32>,
    /// Who has it not, and shall.
    pub(super) targets: Vec<i32>,
}

impl Copying {
    fn new(place: &Place, replicas: &[i32], adding: &[i32], wanted: &[i32]) -> Copying {
        let has = |id: &i32| replicas.contains(id) && !adding.contains(id);
        Copying {
            place: place.clone(),
            sources: replicas.iter().copied().filter(has).collect(),
            targets: wanted.iter().copied().filter(|id| !has(id)).collect(),
        }
    }

    /// A move that begins while others are under way, of the same partition perhaps: who only just gets it is no source.
    pub(in crate::cluster) fn of_move(one: &Move, moving: &[Moving]) -> Copying {
        let before = moving.iter().find(|before| before.place == one.place);
        let adding = before.map_or(&[][..], |before| &before.adding);
        Copying::new(&one.place, &one.from, adding, &one.to)
    }

    /// The brokers that it concerns; none when nothing is copied.
    pub(super) fn brokers(&self) -> impl Iterator<Item = i32> + '_ {
        let sources = if self.targets.is_empty() { &[][..] } else { &self.sources };
        sources.iter().chain(&self.targets).copied()
    }
}

impl From<&Moving> for Copying {
    fn from(moving: &Moving) -> Copying {
        Copying::new(&moving.place, &moving.replicas, &moving.adding, &moving.adding)
    }
}

/// The brokers that any of these moves concerns.
pub(super) fn brokers_of<'a>(moves: impl IntoIterator<Item = &'a Copying>) -> BTreeSet<i32> {
    moves.into_iter().flat_map(Copying::brokers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { topic: "t".to_owned(), partition: 0 }
    }

    fn a_move(from: &[i32], to: &[i32]) -> Move {
        Move { place: place(), from: from.to_vec(), to: to.to_vec() }
    }

    #[test]
    fn new_replicas_copy_from_those_that_are_there() {
        let copying = Copying::of_move(&a_move(&[1, 2], &[2, 3]), &[]);
        assert_eq!((copying.sources.as_slice(), copying.targets.as_slice()), (&[1, 2][..], &[3][..]));
        assert_eq!(brokers_of([&copying]), BTreeSet::from([1, 2, 3]));
        let smaller = Copying::of_move(&a_move(&[1, 2], &[2]), &[]);
        assert_eq!(brokers_of([&smaller]), BTreeSet::new());
    }

    #[test]
    fn who_is_being_added_has_nothing_yet_and_a_move_is_the_same_before_and_after_its_start() {
        // From 1,2 to 1,3; now it is to go to 3,4.
        let (replicas, adding) = (vec![3, 1, 2], vec![3]);
        let moving = Moving { place: place(), replicas: replicas.clone(), adding, removing: vec![2] };
        assert_eq!(Copying::from(&moving), Copying::new(&place(), &[1, 2], &[], &[3]));
        let again = Copying::of_move(&a_move(&replicas, &[3, 4]), &[moving]);
        assert_eq!(again, Copying::new(&place(), &[1, 2], &[], &[3, 4]));
    }
}
