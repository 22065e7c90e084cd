package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"eddyline/clients/spec"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const pollTime = 100 * time.Millisecond

func group(bootstrap string, member spec.Member, events *spec.Events) {
	options := append(
		assignment(member),
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumerGroup(member.Group),
		kgo.ConsumeTopics(member.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		// Nothing moves between the reading of records and their commit.
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.MetadataMaxAge(time.Second),
		kgo.MetadataMinAge(100*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, gained map[string][]int32) { events.Gain(list(gained)...) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { events.Lose(list(lost)...) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { events.Lose(list(lost)...) }),
	)
	if strings.HasPrefix(member.Topics[0], "^") {
		options = append(options, kgo.ConsumeRegex())
	}
	if member.Instance != "" {
		options = append(options, kgo.InstanceID(member.Instance))
	}
	client, err := kgo.NewClient(options...)
	spec.Check(err)
	defer client.CloseAllowingRebalance()
	commands := spec.Commands()
	printed := false
	for {
		select {
		case command, open := <-commands:
			if !open {
				return
			}
			obey(client, events, command)
			events.Done(command[0])
		default:
		}
		printed = read(client, events, printed)
	}
}

func assignment(member spec.Member) []kgo.Opt {
	session := []kgo.Opt{
		kgo.SessionTimeout(time.Duration(member.SessionMs) * time.Millisecond),
		kgo.HeartbeatInterval(500 * time.Millisecond),
	}
	switch member.Assignment {
	case "consumer":
		return []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())}
	case "cooperative":
		return append(session, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	default:
		return append(session, kgo.Balancers(kgo.RangeBalancer()))
	}
}

func list(partitions map[string][]int32) []spec.Partition {
	var found []spec.Partition
	for topic, indexes := range partitions {
		for _, index := range indexes {
			found = append(found, spec.Partition{Topic: topic, Index: index})
		}
	}
	return found
}

// read prints what one poll gives, and commits it and what was printed before; it says whether that is still to be done.
func read(client *kgo.Client, events *spec.Events, printed bool) bool {
	polling, cancel := context.WithTimeout(context.Background(), pollTime)
	fetches := client.PollFetches(polling)
	cancel()
	defer client.AllowRebalance()
	// The client goes on by itself after each of them.
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			fmt.Fprintf(os.Stderr, "%s-%d: %v\n", failed.Topic, failed.Partition, failed.Err)
		}
	}
	if fetches.NumRecords() == 0 && !printed {
		return false
	}
	fetches.EachRecord(func(record *kgo.Record) { events.Record(record.Topic, record.Partition, record.Offset, record.Value) })
	committing, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := client.CommitUncommittedOffsets(committing); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return true
	}
	events.Committed()
	return false
}

func obey(client *kgo.Client, events *spec.Events, command spec.Command) {
	owned := map[string][]int32{}
	for _, partition := range events.Owned() {
		owned[partition.Topic] = append(owned[partition.Topic], partition.Index)
	}
	switch command[0] {
	case "pause":
		client.PauseFetchPartitions(owned)
	case "resume":
		client.ResumeFetchPartitions(owned)
	case "seek":
		seek(client, command.Partition(), command.Number())
	case "seek-to-time":
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		offsets, err := kadm.NewClient(client).ListOffsetsAfterMilli(ctx, command.Number(), command[1])
		spec.Check(err)
		partition := command.Partition()
		found, _ := offsets.Lookup(partition.Topic, partition.Index)
		seek(client, partition, found.Offset)
	default:
		spec.Check(fmt.Errorf("unknown command: %v", command))
	}
}

func seek(client *kgo.Client, partition spec.Partition, offset int64) {
	client.SetOffsets(map[string]map[int32]kgo.EpochOffset{partition.Topic: {partition.Index: {Epoch: -1, Offset: offset}}})
}
