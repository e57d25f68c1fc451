// A write endpoint in Vert.x: each event loop checks the requests of its connections and gives them to one producer, which they share;
// the producer's thread hands the answer back to the loop. What is checked is what bench/edge sends: a key of two UUIDs in the path,
// and a JSON object whose members fit the columns of its table.

import io.vertx.core.AbstractVerticle;
import io.vertx.core.Context;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Peer extends AbstractVerticle {
    private static final byte[] PATCH = "patch".getBytes(StandardCharsets.UTF_8);

    private final KafkaProducer<byte[], byte[]> producer;
    private final String topic;
    private final int port;

    private Peer(KafkaProducer<byte[], byte[]> producer, String topic, int port) {
        this.producer = producer;
        this.topic = topic;
        this.port = port;
    }

    @Override
    public void start(Promise<Void> started) {
        HttpServerOptions options = new HttpServerOptions().setHost("127.0.0.1").setPort(port);
        vertx.createHttpServer(options).requestHandler(this::take).listen()
            .onSuccess(server -> started.complete()).onFailure(started::fail);
    }

    private void take(HttpServerRequest request) {
        String key = request.method() == HttpMethod.PATCH ? keyOf(request.path()) : null;
        if (key == null)
            refuse(request, 404, "no route has this path");
        else
            request.body().onSuccess(body -> takeBody(request, key, body)).onFailure(gone -> { });
    }

    private void takeBody(HttpServerRequest request, String key, Buffer body) {
        JsonObject members;
        try {
            members = new JsonObject(body);
        } catch (DecodeException notJson) {
            refuse(request, 400, "not a JSON object");
            return;
        }
        String fault = faultOf(members);
        if (fault == null)
            append(request, key, body);
        else
            refuse(request, 422, fault);
    }

    /** "/apps/UUID/subscriptions/UUID" as "UUID,UUID"; null: it is another path. */
    private static String keyOf(String path) {
        String[] parts = path.split("/");
        if (parts.length != 5 || !parts[1].equals("apps") || !parts[3].equals("subscriptions"))
            return null;
        try {
            return UUID.fromString(parts[2]) + "," + UUID.fromString(parts[4]);
        } catch (IllegalArgumentException noUuid) {
            return null;
        }
    }

    /** null: all members fit their columns. */
    private static String faultOf(JsonObject members) {
        for (Map.Entry<String, Object> member : members) {
            Object value = member.getValue();
            boolean fits = switch (member.getKey()) {
                case "session_count" -> value instanceof Integer;
                case "last_active" -> value == null || value instanceof String text && isTime(text);
                case "properties" -> value == null || value instanceof JsonObject;
                case "history" -> value instanceof JsonArray;
                default -> false;
            };
            if (!fits)
                return member.getKey() + " does not fit its column";
        }
        return null;
    }

    private static boolean isTime(String text) {
        try {
            OffsetDateTime.parse(text);
            return true;
        } catch (DateTimeParseException noTime) {
            return false;
        }
    }

    private void append(HttpServerRequest request, String key, Buffer body) {
        Context loop = vertx.getOrCreateContext();
        ProducerRecord<byte[], byte[]> record =
            new ProducerRecord<>(topic, key.getBytes(StandardCharsets.UTF_8), body.getBytes());
        record.headers().add("op", PATCH);
        producer.send(record, (place, fault) -> loop.runOnContext(ignored -> {
            if (fault == null)
                accept(request, place);
            else
                refuse(request, 503, fault.getMessage());
        }));
    }

    private static void accept(HttpServerRequest request, RecordMetadata place) {
        JsonObject text = new JsonObject()
            .put("topic", place.topic()).put("partition", place.partition()).put("offset", place.offset());
        request.response().setStatusCode(202).putHeader("Content-Type", "application/json").end(text.toBuffer());
    }

    private static void refuse(HttpServerRequest request, int status, String message) {
        request.response().setStatusCode(status).putHeader("Content-Type", "application/json")
            .end(new JsonObject().put("message", message).toBuffer());
    }

    private static String setting(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    private static KafkaProducer<byte[], byte[]> makeProducer() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", System.getenv("KAFKA_BROKERS"));
        properties.put("acks", "all");
        properties.put("enable.idempotence", "true");
        properties.put("linger.ms", setting("LINGER_MS", "1"));
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    public static void main(String[] arguments) {
        Vertx vertx = Vertx.vertx();
        KafkaProducer<byte[], byte[]> producer = makeProducer();
        String topic = System.getenv("TOPIC");
        int port = Integer.parseInt(System.getenv("PORT"));
        int instances = Integer.parseInt(setting("INSTANCES", "" + Runtime.getRuntime().availableProcessors()));
        vertx.deployVerticle(() -> new Peer(producer, topic, port), new DeploymentOptions().setInstances(instances))
            .onFailure(fault -> {
                System.err.println("error: " + fault.getMessage());
                System.exit(1);
            });
    }
}
