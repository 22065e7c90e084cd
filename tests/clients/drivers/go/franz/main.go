// franz-go: direct consumption of partitions, and members of groups.
package main

import (
	"context"
	"time"

	"eddyline/clients/spec"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const limit = 60 * time.Second

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

var acks = map[int]kgo.Acks{-1: kgo.AllISRAcks(), 0: kgo.NoAck(), 1: kgo.LeaderAck()}

func produce(bootstrap string, job spec.Job) spec.Answer {
	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.RequiredAcks(acks[job.Acks]),
		kgo.ProducerBatchCompression(codecs[job.Codec]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(20 * time.Millisecond),
	}
	if !job.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	client, err := kgo.NewClient(options...)
	spec.Check(err)
	defer client.Close()
	length := limit
	if job.Until != "" {
		length *= 3
	}
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()

	records := make([]*kgo.Record, len(job.Records))
	for i, from := range job.Records {
		records[i] = &kgo.Record{Topic: job.Topic, Partition: from.Partition, Key: spec.Decode(from.Key), Value: spec.Decode(from.Value)}
		if from.Timestamp != nil {
			records[i].Timestamp = time.UnixMilli(*from.Timestamp)
		}
		for _, header := range from.Headers {
			records[i].Headers = append(records[i].Headers, kgo.RecordHeader{Key: *header[0], Value: spec.Decode(header[1])})
		}
	}
	failed := make([]error, len(records))
	for i, record := range records {
		client.Produce(ctx, record, func(_ *kgo.Record, err error) { failed[i] = err })
		if job.OneByOne {
			spec.Check(client.Flush(ctx))
		}
		job.Pause()
	}
	spec.Check(client.Flush(ctx))

	answer := spec.Answer{Topic: job.Topic, Offsets: make([]*int64, len(records)), Errors: []string{}}
	for i, record := range records {
		if failed[i] != nil {
			answer.Errors = append(answer.Errors, failed[i].Error())
		} else if job.Acks != 0 {
			answer.Offsets[i] = &record.Offset
		}
	}
	return answer
}

func consume(bootstrap string, topics []string, emit func(spec.Record)) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	admin, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	spec.Check(err)
	defer admin.Close()
	ends, err := kadm.NewClient(admin).ListEndOffsets(ctx, topics...)
	spec.Check(err)
	spec.Check(ends.Error())

	type partition struct {
		topic string
		index int32
	}
	left := map[partition]int64{}
	starts := map[string]map[int32]kgo.Offset{}
	ends.Each(func(end kadm.ListedOffset) {
		if end.Offset > 0 {
			left[partition{end.Topic, end.Partition}] = end.Offset
			if starts[end.Topic] == nil {
				starts[end.Topic] = map[int32]kgo.Offset{}
			}
			starts[end.Topic][end.Partition] = kgo.NewOffset().AtStart()
		}
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumePartitions(starts))
	spec.Check(err)
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		spec.Check(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			timestamp := record.Timestamp.UnixMilli()
			out := spec.Record{
				Topic: record.Topic, Partition: record.Partition, Offset: record.Offset, Timestamp: &timestamp,
				Key: spec.Encode(record.Key), Value: spec.Encode(record.Value), Headers: []spec.Header{},
			}
			for _, header := range record.Headers {
				out.Headers = append(out.Headers, spec.Header{&header.Key, spec.Encode(header.Value)})
			}
			emit(out)
			at := partition{record.Topic, record.Partition}
			if record.Offset+1 >= left[at] {
				delete(left, at)
			}
		})
	}
}

func main() { spec.Main(produce, consume, group) }
