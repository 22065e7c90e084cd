//! Proposals of leaders for other in-sync replicas, on their way to the controller.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eddy_core::{IsrDecision, IsrMember, IsrProposal};
use eddy_engine::{Engine, PartitionKey};
use eddy_metadata::Image;
use eddy_metadata::controller::{self, IsrAccepted, IsrChange, IsrRefusal};

/// Proposals of one change of the metadata: more go with the next one.
const BATCH_MAX: usize = 1000;

/// Pause after the metadata group did not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// Proposals that wait for their answer, for metrics.
pub(crate) type Outstanding = Arc<AtomicUsize>;

/// Takes proposals to the controller and answers back, for as long as it is polled. What gathers while one change is
/// committed goes together with the next.
pub(crate) async fn run(engine: Arc<Engine>, outstanding: Outstanding) {
    let proposals = engine.isr_proposals();
    loop {
        let proposed = proposals.next().await;
        outstanding.store(proposed.len(), Ordering::Relaxed);
        for batch in proposed.chunks(BATCH_MAX) {
            let answered = ask(&engine, batch).await;
            outstanding.fetch_sub(batch.len(), Ordering::Relaxed);
            if !answered {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the group has answered.
async fn ask(engine: &Engine, proposals: &[(PartitionKey, IsrProposal)]) -> bool {
    let me = engine.me();
    let decide = |image: &Image| {
        let epoch = image.broker(me).map_or(-1, |broker| broker.epoch);
        let changes: Vec<IsrChange> = proposals.iter().map(|proposal| change(image, proposal)).collect();
        Ok::<_, std::convert::Infallible>(controller::alter_partitions(image, me, epoch, &changes))
    };
    let decided = engine.quorum().change(decide).await;
    let (answered, decisions) = match decided {
        Ok(answers) => (true, answers.into_iter().map(decision).collect()),
        Err(error) => {
            tracing::debug!(%error, proposals = proposals.len(), "in-sync replicas not decided");
            (false, vec![IsrDecision::Unanswered; proposals.len()])
        }
    };
    for ((key, proposal), decision) in proposals.iter().zip(decisions) {
        tracing::debug!(partition = %key, wanted = ?proposal.isr, ?decision, "in-sync replicas");
        if let Some(partition) = engine.partitions().get_open(*key) {
            if let IsrDecision::Accepted { isr, .. } = &decision {
                tracing::info!(topic = %partition.topic(), partition = key.index, ?isr, "in-sync replicas changed");
            }
            partition.isr_decided(proposal.partition_epoch, decision);
        }
    }
    answered
}

fn change(image: &Image, (key, proposal): &(PartitionKey, IsrProposal)) -> IsrChange {
    let member = |member: &IsrMember| match member.broker_epoch {
        // The leader itself, or a member that has not been heard in this leadership: it is one by the controller's word, in
        // its present life.
        -1 => (member.broker, image.broker(member.broker).map_or(-1, |broker| broker.epoch)),
        said => (member.broker, said),
    };
    IsrChange {
        topic: key.topic,
        partition: key.index,
        leader_epoch: proposal.leader_epoch,
        partition_epoch: proposal.partition_epoch,
        isr: proposal.isr.iter().map(member).collect(),
    }
}

fn decision(answer: Result<IsrAccepted, IsrRefusal>) -> IsrDecision {
    match answer {
        Ok(IsrAccepted { isr, partition_epoch }) => IsrDecision::Accepted { isr, partition_epoch },
        Err(refusal) => {
            tracing::debug!(%refusal, "in-sync replicas refused");
            match refusal {
                // The metadata says, or will say, what has changed meanwhile.
                IsrRefusal::StalePartition { .. }
                | IsrRefusal::FencedEpoch { .. }
                | IsrRefusal::NotLeader(_)
                | IsrRefusal::NewLeader
                | IsrRefusal::UnknownTopic(_)
                | IsrRefusal::UnknownPartition { .. } => IsrDecision::Superseded,
                // Asked too early, or in an earlier life.
                IsrRefusal::AheadOfImage { .. }
                | IsrRefusal::NotRegistered(_)
                | IsrRefusal::StaleBroker { .. } => IsrDecision::Unanswered,
                IsrRefusal::InvalidIsr { .. } | IsrRefusal::Ineligible { .. } => IsrDecision::Refused,
            }
        }
    }
}
