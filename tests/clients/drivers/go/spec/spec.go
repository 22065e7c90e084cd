// Package spec is the command line that both Go drivers offer; drivers/python/driver.py describes it.
package spec

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Header is a [name, base64 or null] pair.
type Header [2]*string

// Record is one record of a job, or one that was read.
type Record struct {
	Topic     string   `json:"topic,omitempty"`
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp *int64   `json:"timestamp"`
	Key       *string  `json:"key"`
	Value     *string  `json:"value"`
	Headers   []Header `json:"headers"`
}

// Job is a set of records for one topic and how to produce them.
type Job struct {
	Topic      string   `json:"topic"`
	Codec      string   `json:"codec"`
	Acks       int      `json:"acks"`
	Idempotent bool     `json:"idempotent"`
	OneByOne   bool     `json:"one_by_one"`
	PaceMs     int64    `json:"pace_ms"`
	Until      string   `json:"until"`
	Records    []Record `json:"records"`
}

// Goes says whether the job still goes at its pace; every job without a pace does not.
func (job Job) Goes() bool {
	if job.Until == "" {
		return false
	}
	_, err := os.Stat(job.Until)
	return os.IsNotExist(err)
}

// Pause waits for as long as the job wants after a record.
func (job Job) Pause() {
	if job.Goes() {
		time.Sleep(time.Duration(job.PaceMs) * time.Millisecond)
	}
}

// Answer holds the acknowledged offset of each record of a job, in order, null where there is none.
type Answer struct {
	Topic   string   `json:"topic"`
	Offsets []*int64 `json:"offsets"`
	Errors  []string `json:"errors"`
}

// Decode gives nil for null and never nil for an empty string.
func Decode(text *string) []byte {
	if text == nil {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(*text)
	Check(err)
	return append([]byte{}, data...)
}

// Encode gives null for nil.
func Encode(data []byte) *string {
	if data == nil {
		return nil
	}
	text := base64.StdEncoding.EncodeToString(data)
	return &text
}

// Check ends the process with the error on stderr.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Main runs one verb: produce answers one job, consume emits every record of the topics, group is a member until it is told to close.
func Main(
	produce func(bootstrap string, job Job) Answer,
	consume func(bootstrap string, topics []string, emit func(Record)),
	group func(bootstrap string, member Member, events *Events),
) {
	verb, bootstrap, path := os.Args[1], os.Args[2], os.Args[3]
	data, err := os.ReadFile(path)
	Check(err)
	if verb == "group" {
		var member Member
		Check(json.Unmarshal(data, &member))
		group(bootstrap, member, &Events{})
		return
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	if verb == "consume" {
		consume(bootstrap, lines, func(record Record) { Check(encoder.Encode(record)) })
		return
	}
	for _, line := range lines {
		var job Job
		Check(json.Unmarshal([]byte(line), &job))
		Check(encoder.Encode(produce(bootstrap, job)))
	}
}
