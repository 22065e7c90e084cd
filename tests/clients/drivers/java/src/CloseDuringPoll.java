import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Closes a consumer while its fetch is parked at the broker, several times; prints the slowest close in milliseconds.
 *
 * The close of the fetch session goes out behind the parked fetch on the same connection, so a close may take as long as that fetch.
 */
public final class CloseDuringPoll {
    public static void main(String[] args) throws Exception {
        long slowest = 0;
        for (int round = 0; round < 5; round++) {
            slowest = Math.max(slowest, closeOnce(args[0], new TopicPartition(args[1], 0)));
        }
        System.out.println(slowest);
    }

    private static long closeOnce(String bootstrap, TopicPartition partition) throws InterruptedException {
        Map<String, Object> config = Map.of(
            "bootstrap.servers", bootstrap,
            "enable.auto.commit", false,
            "auto.offset.reset", "latest",
            "fetch.max.wait.ms", 1_500,
            "fetch.min.bytes", 1_000_000);
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        consumer.assign(List.of(partition));
        Thread waker = new Thread(() -> {
            try {
                Thread.sleep(500);
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
            consumer.wakeup();
        });
        waker.start();
        try {
            consumer.poll(Duration.ofSeconds(1));
            throw new IllegalStateException("the poll was not parked");
        } catch (WakeupException expected) {
            waker.join();
        }
        long start = System.nanoTime();
        consumer.close(CloseOptions.timeout(Duration.ofSeconds(10)));
        return (System.nanoTime() - start) / 1_000_000;
    }
}
