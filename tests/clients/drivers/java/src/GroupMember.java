import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A member of a consumer group; drivers/python/group.py describes what it prints and what it is told. */
final class GroupMember implements ConsumerRebalanceListener {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Comparator<TopicPartition> ORDER =
        Comparator.comparing(TopicPartition::topic).thenComparingInt(TopicPartition::partition);

    private final KafkaConsumer<String, String> consumer;
    private final BlockingQueue<String[]> commands = new LinkedBlockingQueue<>();
    private final TreeSet<TopicPartition> owned = new TreeSet<>(ORDER);

    private GroupMember(String bootstrap, JsonNode spec) {
        consumer = new KafkaConsumer<>(config(bootstrap, spec), new StringDeserializer(), new StringDeserializer());
    }

    static void run(String bootstrap, JsonNode spec) {
        List<String> topics = new ArrayList<>();
        spec.get("topics").forEach(topic -> topics.add(topic.asText()));
        GroupMember member = new GroupMember(bootstrap, spec);
        try (member.consumer) {
            member.subscribe(topics, spec.get("assignment").asText());
            member.readCommands();
            member.poll();
        }
    }

    private static Map<String, Object> config(String bootstrap, JsonNode spec) {
        Map<String, Object> config = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap,
            "group.id", spec.get("group").asText(),
            "enable.auto.commit", false,
            "metadata.max.age.ms", 1000,
            "auto.offset.reset", "earliest"));
        if (!spec.get("instance").isNull()) {
            config.put("group.instance.id", spec.get("instance").asText());
        }
        String assignment = spec.get("assignment").asText();
        if (assignment.equals("consumer")) {
            config.put("group.protocol", "consumer");
        } else {
            boolean cooperative = assignment.equals("cooperative");
            config.put("partition.assignment.strategy", (cooperative ? CooperativeStickyAssignor.class : RangeAssignor.class).getName());
            config.put("session.timeout.ms", spec.get("session_ms").asInt());
            config.put("heartbeat.interval.ms", 500);
        }
        return config;
    }

    private void subscribe(List<String> topics, String assignment) {
        if (!topics.get(0).startsWith("^")) {
            consumer.subscribe(topics, this);
        } else if (assignment.equals("consumer")) {
            consumer.subscribe(new SubscriptionPattern(topics.get(0)), this);
        } else {
            consumer.subscribe(Pattern.compile(topics.get(0)), this);
        }
    }

    private void poll() {
        boolean uncommitted = false;
        while (true) {
            String[] command = commands.poll();
            if (command != null) {
                if (command[0].equals("close")) {
                    return;
                }
                obey(command);
                say(JSON.createObjectNode().put("event", "done").put("command", command[0]));
            }
            for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
                say(JSON.createObjectNode().put("event", "record").put("topic", record.topic())
                    .put("partition", record.partition()).put("offset", record.offset()).put("value", record.value()));
                uncommitted = true;
            }
            uncommitted = uncommitted && !commit();
        }
    }

    /** Commits what was printed; false when that is to be done later: a rebalance goes first, or the coordinator moves. */
    private boolean commit() {
        try {
            consumer.commitSync();
        } catch (RebalanceInProgressException later) {
            return false;
        } catch (CommitFailedException | RetriableException error) {
            System.err.println(error);
            return false;
        }
        say(JSON.createObjectNode().put("event", "committed"));
        return true;
    }

    private void obey(String[] command) {
        switch (command[0]) {
            case "pause" -> consumer.pause(consumer.assignment());
            case "resume" -> consumer.resume(consumer.assignment());
            case "seek" -> consumer.seek(partition(command), Long.parseLong(command[3]));
            case "seek-to-time" -> {
                TopicPartition partition = partition(command);
                consumer.seek(partition, consumer.offsetsForTimes(Map.of(partition, Long.parseLong(command[3]))).get(partition).offset());
            }
            default -> throw new IllegalArgumentException(String.join(" ", command));
        }
    }

    private static TopicPartition partition(String[] command) {
        return new TopicPartition(command[1], Integer.parseInt(command[2]));
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        owned.addAll(partitions);
        sayAssigned();
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        owned.removeAll(partitions);
        sayAssigned();
    }

    private void sayAssigned() {
        ObjectNode event = JSON.createObjectNode().put("event", "assigned");
        ArrayNode list = event.putArray("partitions");
        owned.forEach(partition -> list.addArray().add(partition.topic()).add(partition.partition()));
        say(event);
    }

    private static void say(ObjectNode event) {
        System.out.println(event);
        System.out.flush();
    }

    private void readCommands() {
        Thread reader = new Thread(() -> {
            try (BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
                lines.lines().forEach(line -> commands.add(line.split(" ")));
            } catch (IOException error) {
                System.err.println(error);
            }
            commands.add(new String[] {"close"});
        });
        reader.setDaemon(true);
        reader.start();
    }
}
