import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.QueryResult;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import de.bwaldvogel.mongo.wire.message.MongoQuery;
import io.netty.channel.Channel;
import java.time.Clock;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import org.h2.mvstore.MVStore;

/**
 * What the library does not do and a mongod does:
 *
 * - A write is in the file before it is answered, so that a kill loses nothing that was acknowledged;
 *   for that, one write at a time over all collections.
 * - Answers stay below the size that clients accept: a batch size where the client names none.
 * - Logins (SCRAM-SHA-256) and, if asked for, a replica set of one.
 * - `serverStatus` tells how many of each command there were.
 * - Commands that the library would carry out wrong, silently, are refused.
 */
final class Front implements MongoBackend {
    private static final Set<String> WRITES = Set.of(
        "insert", "update", "delete", "findandmodify", "createindexes", "dropindexes", "create",
        "drop", "dropdatabase", "renamecollection");
    private static final int BATCH_SIZE = 40; // of a GridFS bucket's chunks, 10 MiB

    private final MongoBackend library;
    private final MVStore store;
    private final Scram scram;
    private final String replicaSet; // or null
    private final String address;
    private final Map<String, AtomicLong> counts = new ConcurrentSkipListMap<>();

    Front(MongoBackend library, MVStore store, Scram scram, String replicaSet, String address) {
        this.library = library;
        this.store = store;
        this.scram = scram;
        this.replicaSet = replicaSet;
        this.address = address;
    }

    static Document error(int code, String name, String text) {
        return new Document("ok", 0.0)
            .append("errmsg", text).append("code", code).append("codeName", name);
    }

    private Document greet(Document asked, Document answer) {
        if (replicaSet != null) {
            answer.append("setName", replicaSet).append("setVersion", 1)
                .append("hosts", List.of(address)).append("primary", address)
                .append("me", address).append("secondary", false);
        }
        if (asked.containsKey("saslSupportedMechs")) {
            answer.append("saslSupportedMechs", List.of(Scram.MECHANISM));
        }
        return answer;
    }

    private Document hello(Document asked) {
        Document answer = new Document("isWritablePrimary", true).append("helloOk", true)
            .append("maxBsonObjectSize", 16 * 1024 * 1024).append("maxMessageSizeBytes", 48_000_000)
            .append("maxWriteBatchSize", 1000).append("localTime", Instant.now())
            .append("minWireVersion", 0).append("maxWireVersion", 8).append("readOnly", false)
            .append("ok", 1.0);
        return greet(asked, answer);
    }

    private static Document refusal(String command, Document asked) {
        if (asked.containsKey("startTransaction")) {
            return error(20, "IllegalOperation",
                "Transaction numbers are only allowed on a replica set member or mongos");
        }
        if (command.equals("createIndexes")) { // the library would index all documents
            for (Object index : (Collection<?>) asked.get("indexes")) {
                if (((Document) index).containsKey("partialFilterExpression")) {
                    return error(238, "NotImplemented", "partialFilterExpression");
                }
            }
        }
        return null;
    }

    private static void complete(String command, Document asked) {
        switch (command) {
            case "find", "getMore" -> asked.putIfAbsent("batchSize", BATCH_SIZE);
            case "aggregate" -> {
                if (asked.get("cursor") instanceof Document cursor) {
                    cursor.putIfAbsent("batchSize", BATCH_SIZE);
                }
            }
            case "insert" -> asked.putIfAbsent("ordered", true);
            default -> { }
        }
    }

    /** The library counts documents that were not inserted too. */
    private static void correctCount(Document asked, Document answer) {
        if (answer.get("writeErrors") instanceof List<?> errors && !errors.isEmpty()) {
            int all = (Integer) answer.get("n");
            int first = (Integer) ((Document) errors.get(0)).get("index");
            answer.put("n", Boolean.TRUE.equals(asked.get("ordered")) ? first : all - errors.size());
        }
    }

    private Document tellCounts(Document status) {
        Document commands = new Document();
        counts.forEach((command, count) ->
            commands.append(command, new Document("total", count.get())));
        return status.append("metrics", new Document("commands", commands));
    }

    private Document carryOut(String command, MongoMessage message) {
        if (!WRITES.contains(command.toLowerCase(Locale.ROOT))) {
            return library.handleMessage(message);
        }
        synchronized (store) {
            try {
                return library.handleMessage(message);
            } finally {
                store.commit();
            }
        }
    }

    @Override
    public Document handleMessage(MongoMessage message) {
        Document asked = message.getDocument();
        String command = asked.keySet().iterator().next();
        counts.computeIfAbsent(command, unused -> new AtomicLong()).incrementAndGet();
        Document answer = scram.handle(message.getChannel(), command, asked);
        if (answer == null && command.equals("hello")) {
            answer = hello(asked);
        }
        if (answer == null) {
            answer = refusal(command, asked);
        }
        if (answer != null) {
            return answer;
        }
        complete(command, asked);
        answer = carryOut(command, message);
        if (command.equals("insert")) {
            correctCount(asked, answer);
        } else if (command.equals("serverStatus")) {
            tellCounts(answer);
        }
        return answer;
    }

    /** The older form of a command, in which clients say their first isMaster. */
    @Override
    public Document handleCommand(Channel channel, String database, String command, Document asked) {
        if (!command.equalsIgnoreCase("ismaster")) {
            return error(59, "CommandNotFound", "in this form only isMaster is taken");
        }
        return greet(asked, library.handleCommand(channel, database, command, asked));
    }

    /** The older form of a find, without a login. */
    @Override
    public QueryResult handleQuery(MongoQuery query) {
        throw new UnsupportedOperationException("OP_QUERY is not taken");
    }

    @Override
    public void handleClose(Channel channel) {
        scram.close(channel);
        library.handleClose(channel);
    }

    @Override
    public void dropDatabase(String database) {
        library.dropDatabase(database);
    }

    @Override
    public Collection<Document> getCurrentOperations(MongoQuery query) {
        return library.getCurrentOperations(query);
    }

    @Override
    public Document getServerStatus() {
        return library.getServerStatus();
    }

    @Override
    public void close() {
        library.close();
    }

    @Override
    public void closeCursors(List<Long> ids) {
        library.closeCursors(ids);
    }

    @Override
    public Clock getClock() {
        return library.getClock();
    }

    @Override
    public void enableOplog() {
        library.enableOplog();
    }

    @Override
    public void disableOplog() {
        library.disableOplog();
    }

    @Override
    public MongoDatabase resolveDatabase(String database) {
        return library.resolveDatabase(database);
    }

    @Override
    public MongoBackend version(MongoVersion version) {
        library.version(version);
        return this;
    }
}
