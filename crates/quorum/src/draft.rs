//! Changes of one broker that are made together.
//!
//! While a proposal is under way, those who want to change something wait at the door ([`Member::drafting`]). When it opens,
//! each of them decides on the image that those before it leave behind, and the proposal of all of them is sent when the
//! last one who waited has decided. So a crowd of changes costs as few commits as a disk can write, and one alone does not wait.

use std::sync::Arc;

use eddy_metadata::{ApplyError, Image, Record};
use tokio::sync::watch;

use crate::change::{Fate, Leave};
use crate::member::Member;
use crate::types::Proposal;

/// Records of one proposal at most; who would add more waits for the next one.
const RECORDS_MAX: usize = 1000;

/// A proposal that changes still join.
pub(crate) struct Draft {
    pub(crate) leave: Leave,
    base: u64,
    /// What the next one decides on, but for records that are not in it yet.
    image: Arc<Image>,
    missing: Vec<Record>,
    records: Vec<Record>,
    fate: watch::Sender<Option<Fate>>,
}

/// A draft that takes nothing more.
#[derive(Debug)]
pub(crate) struct Full;

impl Draft {
    pub(crate) fn new(image: Arc<Image>, leave: Leave) -> Draft {
        let (fate, _) = watch::channel(None);
        Draft { leave, base: image.version(), image, missing: Vec::new(), records: Vec::new(), fate }
    }

    /// The image that the records so far make.
    pub(crate) fn image(&mut self) -> Result<&Arc<Image>, Full> {
        if self.records.len() >= RECORDS_MAX {
            return Err(Full);
        }
        if !self.missing.is_empty() {
            // Records that do not fit are for the leader to refuse, alone.
            self.image = Arc::new(applied(&self.image, &self.missing).map_err(|_| Full)?);
            self.missing.clear();
        }
        Ok(&self.image)
    }

    /// Adds records decided on [`Draft::image`]. Those that do not fit are refused without harm to the others.
    pub(crate) fn add(&mut self, records: Vec<Record>) -> Result<(), ApplyError> {
        if !self.records.is_empty() {
            self.image = Arc::new(applied(&self.image, &records)?);
            self.records.extend(records);
        } else {
            // Alone so far: most are, and then the image is not needed.
            self.records.clone_from(&records);
            self.missing = records;
        }
        Ok(())
    }

    /// Tells what has become of it; without a word if that will never be known.
    pub(crate) fn fate(&self) -> watch::Receiver<Option<Fate>> {
        self.fate.subscribe()
    }

    /// Sends what has been gathered, and tells those who take part.
    pub(crate) async fn send(self, member: &Member) {
        let Draft { leave, base, records, fate, .. } = self;
        let settled = if records.is_empty() {
            // Answers that change nothing are only as good as the image they were read from.
            let newest = member.is_newest(base).await;
            member.give_back(leave).await;
            if newest { Fate::Applied } else { Fate::Stale }
        } else {
            let expected = member.machine.expect(member.me);
            let proposal = Proposal::new(&records).based_on(base, expected.id);
            member.settle(proposal, expected, leave).await
        };
        fate.send_replace(Some(settled));
    }
}

fn applied(image: &Image, records: &[Record]) -> Result<Image, ApplyError> {
    let mut image = image.clone();
    records.iter().try_for_each(|record| image.apply(record))?;
    Ok(image)
}
