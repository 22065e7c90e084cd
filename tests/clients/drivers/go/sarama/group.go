package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"eddyline/clients/spec"

	"github.com/IBM/sarama"
)

func group(bootstrap string, member spec.Member, events *spec.Events) {
	config := config()
	config.Metadata.RefreshFrequency = time.Second
	config.Consumer.Return.Errors = true
	config.Consumer.MaxWaitTime = 500 * time.Millisecond
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.InstanceId = member.Instance
	config.Consumer.Group.Session.Timeout = time.Duration(member.SessionMs) * time.Millisecond
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	strategy := sarama.NewBalanceStrategyRange()
	if member.Assignment == "cooperative" {
		strategy = sarama.NewBalanceStrategyCooperativeSticky()
	}
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	consumer, err := sarama.NewConsumerGroup([]string{bootstrap}, member.Group, config)
	spec.Check(err)
	go func() {
		for err := range consumer.Errors() {
			fmt.Fprintln(os.Stderr, err)
		}
	}()

	ctx, cancel := context.WithCancel(context.Background())
	var sessions sync.WaitGroup
	sessions.Go(func() {
		handler := &handler{events: events}
		// Each session lasts until a rebalance ends it, or the whole membership with a cooperative strategy.
		for ctx.Err() == nil {
			err := consumer.Consume(ctx, member.Topics, handler)
			if err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
				// While the coordinator moves; a group that is closed ends the loop.
				fmt.Fprintln(os.Stderr, err)
				time.Sleep(100 * time.Millisecond)
			}
		}
	})
	for command := range spec.Commands() {
		switch command[0] {
		case "pause":
			consumer.PauseAll()
		case "resume":
			consumer.ResumeAll()
		default:
			// A session's offsets can be reset for the next session only.
			spec.Check(fmt.Errorf("unknown command: %v", command))
		}
		events.Done(command[0])
	}
	cancel()
	sessions.Wait()
	spec.Check(consumer.Close())
}

type handler struct {
	events *spec.Events
	// One claim prints and commits at a time: a commit is for all that was printed before.
	printing sync.Mutex
}

func (h *handler) Setup(session sarama.ConsumerGroupSession) error {
	h.events.Change(func([]spec.Partition) []spec.Partition {
		var all []spec.Partition
		for topic, indexes := range session.Claims() {
			for _, index := range indexes {
				all = append(all, spec.Partition{Topic: topic, Index: index})
			}
		}
		return all
	})
	return nil
}

func (h *handler) Cleanup(sarama.ConsumerGroupSession) error {
	h.events.Change(func([]spec.Partition) []spec.Partition { return nil })
	return nil
}

func (h *handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	partition := spec.Partition{Topic: claim.Topic(), Index: claim.Partition()}
	// With a cooperative strategy claims come and go within the session.
	if !slices.Contains(h.events.Owned(), partition) {
		h.events.Gain(partition)
	}
	for message := range claim.Messages() {
		h.read(session, claim, message)
	}
	if session.Context().Err() == nil {
		h.events.Lose(partition)
	}
	return nil
}

// read prints the message and those that wait behind it, and commits them.
func (h *handler) read(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim, message *sarama.ConsumerMessage) {
	h.printing.Lock()
	defer h.printing.Unlock()
	for message != nil {
		h.events.Record(message.Topic, message.Partition, message.Offset, message.Value)
		session.MarkMessage(message, "")
		select {
		case message = <-claim.Messages():
		default:
			message = nil
		}
	}
	session.Commit()
	h.events.Committed()
}
