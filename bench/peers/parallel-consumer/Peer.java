// Confluent's parallel-consumer with the order of keys: up to CONCURRENCY batches of BATCH records are with as many threads, and no
// two of them have a key in common. Each batch is one upsert, which is one transaction, over its thread's own connection.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

public final class Peer {
    private static final String UPSERT = """
        insert into subscriptions as t (app_id, subscription_id, properties, last_active, session_count)
        select * from unnest(?::uuid[], ?::uuid[], ?::jsonb[], ?::timestamptz[], ?::int[])
        on conflict (app_id, subscription_id) do update set properties = excluded.properties,
          last_active = excluded.last_active, session_count = t.session_count + excluded.session_count""";

    private static final ObjectMapper JSON = new ObjectMapper();

    /** What the records of one key in a batch become: the last values, and the sum of the counter. */
    private record Row(String app, String subscription, String properties, String lastActive, int sessions) {
        static Row of(ConsumerRecord<String, byte[]> record) {
            try {
                JsonNode body = JSON.readTree(record.value());
                int slash = record.key().indexOf('/');
                return new Row(record.key().substring(0, slash), record.key().substring(slash + 1),
                    body.get("properties").toString(), body.get("last_active").textValue(), body.get("session_count").intValue());
            } catch (IOException notJson) {
                throw new UncheckedIOException(notJson);
            }
        }

        Row after(Row before) {
            return new Row(app, subscription, properties, lastActive, before.sessions + sessions);
        }
    }

    /** One for each thread. */
    private static final class Database {
        private final Connection connection;
        private final PreparedStatement upsert;

        Database() {
            try {
                String url = "jdbc:postgresql://" + env("PGHOST") + ":" + env("PGPORT") + "/" + env("PGDATABASE");
                connection = DriverManager.getConnection(url, env("PGUSER"), "");
                upsert = connection.prepareStatement(UPSERT);
            } catch (SQLException fault) {
                throw new IllegalStateException(fault);
            }
        }

        void write(Collection<Row> rows) {
            try {
                bind(1, "text", rows, Row::app);
                bind(2, "text", rows, Row::subscription);
                bind(3, "text", rows, Row::properties);
                bind(4, "text", rows, Row::lastActive);
                bind(5, "int4", rows, Row::sessions);
                upsert.executeUpdate();
            } catch (SQLException fault) {
                throw new IllegalStateException(fault);
            }
        }

        private void bind(int parameter, String type, Collection<Row> rows, Function<Row, Object> value) throws SQLException {
            upsert.setArray(parameter, connection.createArrayOf(type, rows.stream().map(value).toArray()));
        }
    }

    private static final ThreadLocal<Database> DATABASE = ThreadLocal.withInitial(Database::new);

    private static void apply(List<ConsumerRecord<String, byte[]>> records) {
        Map<String, Row> rows = new LinkedHashMap<>();
        for (ConsumerRecord<String, byte[]> record : records)
            rows.merge(record.key(), Row.of(record), (before, row) -> row.after(before));
        DATABASE.get().write(rows.values());
    }

    private static String env(String name) {
        return System.getenv(name);
    }

    private static int setting(String name, int otherwise) {
        String value = env(name);
        return value == null || value.isEmpty() ? otherwise : Integer.parseInt(value);
    }

    private static KafkaConsumer<String, byte[]> makeConsumer() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", env("KAFKA_BROKERS"));
        properties.put("group.id", env("GROUP"));
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(properties, new StringDeserializer(), new ByteArrayDeserializer());
    }

    public static void main(String[] arguments) {
        ParallelStreamProcessor<String, byte[]> processor = ParallelStreamProcessor.createEosStreamProcessor(
            ParallelConsumerOptions.<String, byte[]>builder()
                .consumer(makeConsumer())
                .ordering(ProcessingOrder.KEY)
                .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
                .commitInterval(Duration.ofMillis(setting("COMMIT_MS", 1000)))
                .maxConcurrency(setting("CONCURRENCY", 16))
                .batchSize(setting("BATCH", 500))
                .build());
        processor.subscribe(List.of(env("TOPIC")));
        processor.poll(context -> apply(context.getConsumerRecordsFlattened()));
        Runtime.getRuntime().addShutdownHook(new Thread(processor::closeDontDrainFirst));
    }
}
