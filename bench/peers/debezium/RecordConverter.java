// Makes of leat's records what Debezium's sink takes: a Struct with a schema. Of a key "APP/SUBSCRIPTION" the two columns of the
// primary key, of a body {session_count, last_active, properties} its three columns. A team whose topic has plain JSON writes such a
// converter; Connect's own for JSON wants the schema in each record, which costs more.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.storage.Converter;

public final class RecordConverter implements Converter {
    private static final Schema UUID = SchemaBuilder.string().name("io.debezium.data.Uuid").build();
    private static final Schema KEY = SchemaBuilder.struct().name("subscription.key")
        .field("app_id", UUID).field("subscription_id", UUID).build();
    private static final Schema BODY = SchemaBuilder.struct().name("subscription")
        .field("properties", SchemaBuilder.string().name("io.debezium.data.Json").build())
        .field("last_active", SchemaBuilder.string().name("io.debezium.time.ZonedTimestamp").build())
        .field("session_count", Schema.INT32_SCHEMA).build();

    private final ObjectMapper json = new ObjectMapper();
    private boolean isKey;

    @Override
    public void configure(Map<String, ?> settings, boolean isKey) {
        this.isKey = isKey;
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] bytes) {
        return isKey ? key(new String(bytes, StandardCharsets.UTF_8)) : body(bytes);
    }

    private static SchemaAndValue key(String text) {
        int slash = text.indexOf('/');
        Struct key = new Struct(KEY).put("app_id", text.substring(0, slash)).put("subscription_id", text.substring(slash + 1));
        return new SchemaAndValue(KEY, key);
    }

    private SchemaAndValue body(byte[] bytes) {
        try {
            JsonNode members = json.readTree(bytes);
            Struct body = new Struct(BODY).put("properties", members.get("properties").toString())
                .put("last_active", members.get("last_active").textValue())
                .put("session_count", members.get("session_count").intValue());
            return new SchemaAndValue(BODY, body);
        } catch (IOException notJson) {
            throw new DataException(notJson);
        }
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        throw new UnsupportedOperationException("only a sink uses it");
    }
}
