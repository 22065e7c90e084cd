import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A consumer that says where it is (KIP-392): BOOTSTRAP TOPIC RACK COUNT.
 *
 * Reads so many records of partition 0 from its start; prints the broker that it prefers over the leader, or nothing when it reads from that one.
 */
public final class RackReader {
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private RackReader() { }

    public static void main(String[] args) {
        TopicPartition partition = new TopicPartition(args[1], 0);
        Map<String, Object> config = Map.of("bootstrap.servers", args[0], "client.rack", args[2], "fetch.max.wait.ms", 100, "max.poll.records", 10);
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long deadline = System.nanoTime() + LIMIT.toNanos();
            for (int read = 0; read < Integer.parseInt(args[3]); ) {
                read += consumer.poll(Duration.ofMillis(500)).count();
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("read only " + read + " in " + LIMIT);
                }
            }
            consumer.metrics().forEach((name, metric) -> {
                if (name.name().equals("preferred-read-replica") && (int) metric.metricValue() >= 0) {
                    System.out.println(metric.metricValue());
                }
            });
        }
    }
}
