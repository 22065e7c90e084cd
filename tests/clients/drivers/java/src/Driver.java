import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The Java client; drivers/python/driver.py describes the command line. It assigns partitions by hand but for the verb group. */
public final class Driver {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration LIMIT = Duration.ofSeconds(60);

    public static void main(String[] args) throws Exception {
        if (args[0].equals("group")) {
            GroupMember.run(args[1], JSON.readTree(Path.of(args[2]).toFile()));
            return;
        }
        List<String> lines = Files.readAllLines(Path.of(args[2])).stream().filter(line -> !line.isBlank()).toList();
        try (PrintWriter out = new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8)))) {
            if (args[0].equals("produce")) {
                for (String line : lines) {
                    out.println(produce(args[1], JSON.readTree(line)));
                }
            } else {
                consume(args[1], lines, out);
            }
        }
    }

    private static ObjectNode produce(String bootstrap, JsonNode job) throws InterruptedException {
        Map<String, Object> config = Map.of(
            "bootstrap.servers", bootstrap,
            "acks", job.get("acks").asText(),
            "enable.idempotence", job.get("idempotent").asBoolean(),
            "compression.type", job.get("codec").asText(),
            "linger.ms", 20,
            "max.in.flight.requests.per.connection", job.get("idempotent").asBoolean() ? 5 : 1);
        ObjectNode answer = JSON.createObjectNode().put("topic", job.get("topic").asText());
        ArrayNode offsets = answer.putArray("offsets");
        ArrayNode errors = answer.putArray("errors");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (JsonNode record : job.get("records")) {
                sent.add(producer.send(toProducerRecord(job.get("topic").asText(), record)));
                if (job.path("one_by_one").asBoolean()) {
                    producer.flush();
                }
                if (job.has("until") && !Files.exists(Path.of(job.get("until").asText()))) {
                    Thread.sleep(job.get("pace_ms").asLong());
                }
            }
            producer.flush();
            for (Future<RecordMetadata> future : sent) {
                try {
                    RecordMetadata metadata = future.get();
                    offsets.add(metadata.hasOffset() ? JSON.getNodeFactory().numberNode(metadata.offset()) : JSON.nullNode());
                } catch (ExecutionException error) {
                    offsets.addNull();
                    errors.add(error.getCause().toString());
                }
            }
        }
        return answer;
    }

    private static ProducerRecord<byte[], byte[]> toProducerRecord(String topic, JsonNode record) {
        Long timestamp = record.get("timestamp").isNull() ? null : record.get("timestamp").asLong();
        ProducerRecord<byte[], byte[]> out = new ProducerRecord<>(
            topic, record.get("partition").asInt(), timestamp, decode(record.get("key")), decode(record.get("value")));
        for (JsonNode header : record.get("headers")) {
            out.headers().add(header.get(0).asText(), decode(header.get(1)));
        }
        return out;
    }

    private static void consume(String bootstrap, List<String> topics, PrintWriter out) throws IOException {
        Map<String, Object> config = Map.of(
            "bootstrap.servers", bootstrap,
            "enable.auto.commit", false,
            "auto.offset.reset", "earliest",
            "check.crcs", true);
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = topics.stream()
                .flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(info -> new TopicPartition(info.topic(), info.partition()))
                .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Set<TopicPartition> left = new HashSet<>(partitions);
            left.removeIf(partition -> ends.get(partition) == 0);
            long deadline = System.nanoTime() + LIMIT.toNanos();
            while (!left.isEmpty()) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("not read to the end in " + LIMIT + ": " + left);
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    out.println(toJson(record));
                }
                left.removeIf(partition -> consumer.position(partition) >= ends.get(partition));
            }
        }
    }

    private static ObjectNode toJson(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode json = JSON.createObjectNode()
            .put("topic", record.topic())
            .put("partition", record.partition())
            .put("offset", record.offset())
            .put("timestamp", record.timestamp())
            .put("key", encode(record.key()))
            .put("value", encode(record.value()));
        ArrayNode headers = json.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(encode(header.value()));
        }
        return json;
    }

    private static byte[] decode(JsonNode text) {
        return text.isNull() ? null : Base64.getDecoder().decode(text.asText());
    }

    private static String encode(byte[] data) {
        return data == null ? null : Base64.getEncoder().encodeToString(data);
    }
}
