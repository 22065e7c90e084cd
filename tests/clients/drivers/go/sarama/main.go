// Sarama: partition consumers, and members of groups.
package main

import (
	"fmt"
	"sync"
	"time"

	"eddyline/clients/spec"

	"github.com/IBM/sarama"
)

const limit = 60 * time.Second

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.ClientID = "sarama"
	config.Version = sarama.MaxVersion
	return config
}

func encoder(text *string) sarama.Encoder {
	if text == nil {
		return nil
	}
	return sarama.ByteEncoder(spec.Decode(text))
}

func produce(bootstrap string, job spec.Job) spec.Answer {
	config := config()
	config.Producer.RequiredAcks = sarama.RequiredAcks(job.Acks)
	config.Producer.Idempotent = job.Idempotent
	config.Producer.Compression = codecs[job.Codec]
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	config.Net.MaxOpenRequests = 1
	// By default it gives up before another broker can lead.
	config.Producer.Retry.Max = 100
	config.Producer.Retry.Backoff = 250 * time.Millisecond
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, config)
	spec.Check(err)
	messages := make([]*sarama.ProducerMessage, len(job.Records))
	for i, from := range job.Records {
		messages[i] = &sarama.ProducerMessage{Topic: job.Topic, Partition: from.Partition, Key: encoder(from.Key), Value: encoder(from.Value)}
		if from.Timestamp != nil {
			messages[i].Timestamp = time.UnixMilli(*from.Timestamp)
		}
		for _, header := range from.Headers {
			messages[i].Headers = append(messages[i].Headers, sarama.RecordHeader{Key: []byte(*header[0]), Value: spec.Decode(header[1])})
		}
	}
	answer := spec.Answer{Topic: job.Topic, Offsets: make([]*int64, len(messages)), Errors: []string{}}
	left := messages
	for len(left) > 0 && job.Goes() {
		if _, _, err := producer.SendMessage(left[0]); err != nil {
			answer.Errors = append(answer.Errors, err.Error())
			break
		}
		left = left[1:]
		job.Pause()
	}
	if len(answer.Errors) > 0 {
		return answer
	}
	if err := producer.SendMessages(left); err != nil {
		answer.Errors = append(answer.Errors, err.Error())
	} else if job.Acks != 0 {
		for i, message := range messages {
			answer.Offsets[i] = &message.Offset
		}
	}
	spec.Check(producer.Close())
	return answer
}

func readPartition(client sarama.Client, consumer sarama.Consumer, topic string, partition int32, emit func(spec.Record)) {
	end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
	spec.Check(err)
	if end == 0 {
		return
	}
	reader, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
	spec.Check(err)
	deadline := time.After(limit)
	for {
		select {
		case message := <-reader.Messages():
			timestamp := message.Timestamp.UnixMilli()
			out := spec.Record{
				Topic: topic, Partition: partition, Offset: message.Offset, Timestamp: &timestamp,
				Key: spec.Encode(message.Key), Value: spec.Encode(message.Value), Headers: []spec.Header{},
			}
			for _, header := range message.Headers {
				name := string(header.Key)
				out.Headers = append(out.Headers, spec.Header{&name, spec.Encode(header.Value)})
			}
			emit(out)
			if message.Offset+1 >= end {
				spec.Check(reader.Close())
				return
			}
		case <-deadline:
			spec.Check(fmt.Errorf("not read to the end in %s: %s-%d", limit, topic, partition))
		}
	}
}

func consume(bootstrap string, topics []string, emit func(spec.Record)) {
	config := config()
	config.Consumer.MaxWaitTime = 20 * time.Millisecond
	client, err := sarama.NewClient([]string{bootstrap}, config)
	spec.Check(err)
	consumer, err := sarama.NewConsumerFromClient(client)
	spec.Check(err)
	var emitting sync.Mutex
	emitOne := func(record spec.Record) {
		emitting.Lock()
		defer emitting.Unlock()
		emit(record)
	}
	var readers sync.WaitGroup
	for _, topic := range topics {
		partitions, err := client.Partitions(topic)
		spec.Check(err)
		for _, partition := range partitions {
			readers.Go(func() { readPartition(client, consumer, topic, partition, emitOne) })
		}
	}
	readers.Wait()
	spec.Check(consumer.Close())
	spec.Check(client.Close())
}

func main() { spec.Main(produce, consume, group) }
