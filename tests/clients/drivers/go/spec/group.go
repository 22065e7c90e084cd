package spec

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Member is what a member of a consumer group is told at its start; drivers/python/group.py describes the verb.
type Member struct {
	Group      string   `json:"group"`
	Topics     []string `json:"topics"`
	Instance   string   `json:"instance"`
	Assignment string   `json:"assignment"`
	SessionMs  int      `json:"session_ms"`
}

// Partition of a topic; as JSON it is a [topic, index] pair.
type Partition struct {
	Topic string
	Index int32
}

func (p Partition) MarshalJSON() ([]byte, error) { return json.Marshal([]any{p.Topic, p.Index}) }

// Events prints what happens to a member, one JSON object a line, from any goroutine.
type Events struct {
	mutex sync.Mutex
	owned []Partition
}

func say(event map[string]any) { Check(json.NewEncoder(os.Stdout).Encode(event)) }

// Change says what the member owns once `change` has been applied to it.
func (e *Events) Change(change func(owned []Partition) []Partition) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.owned = change(e.owned)
	say(map[string]any{"event": "assigned", "partitions": append([]Partition{}, e.owned...)})
}

// Gain says that the member owns these, too.
func (e *Events) Gain(partitions ...Partition) {
	e.Change(func(owned []Partition) []Partition { return append(owned, partitions...) })
}

// Lose says that the member owns these no more.
func (e *Events) Lose(partitions ...Partition) {
	e.Change(func(owned []Partition) []Partition {
		return slices.DeleteFunc(owned, func(one Partition) bool { return slices.Contains(partitions, one) })
	})
}

// Owned gives what the member owns now.
func (e *Events) Owned() []Partition {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return slices.Clone(e.owned)
}

// Record says what was read.
func (e *Events) Record(topic string, partition int32, offset int64, value []byte) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	say(map[string]any{"event": "record", "topic": topic, "partition": partition, "offset": offset, "value": string(value)})
}

// Committed says that what was printed before is committed.
func (e *Events) Committed() {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	say(map[string]any{"event": "committed"})
}

// Done says that a command was carried out.
func (e *Events) Done(command string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	say(map[string]any{"event": "done", "command": command})
}

// Command is one line of the standard input: its words.
type Command []string

// Partition of a command such as `seek TOPIC PARTITION OFFSET`.
func (c Command) Partition() Partition {
	index, err := strconv.Atoi(c[2])
	Check(err)
	return Partition{c[1], int32(index)}
}

// Number at the end of such a command.
func (c Command) Number() int64 {
	number, err := strconv.ParseInt(c[3], 10, 64)
	Check(err)
	return number
}

// Commands gives the commands as they come; the channel closes on `close` and at the end of the input.
func Commands() <-chan Command {
	commands := make(chan Command, 16)
	go func() {
		defer close(commands)
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() && lines.Text() != "close" {
			commands <- strings.Fields(lines.Text())
		}
	}()
	return commands
}
