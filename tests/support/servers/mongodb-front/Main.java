import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import org.h2.mvstore.MVStore;

/**
 * Main PORT STORE CERTIFICATE KEY: serves the file STORE on loopback, and prints "ready".
 * MONGODB_LOGIN is USER:PASSWORD, and MONGODB_CACHE how many MB of the file are kept in memory.
 */
final class Main {
    private Main() {
    }

    private static X509Certificate readCertificate(Path path) throws Exception {
        try (InputStream in = Files.newInputStream(path)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }

    private static PrivateKey readKey(Path path, String algorithm) throws Exception {
        String text = Files.readString(path).replaceAll("-----[^-]*-----|\\s", "");
        PKCS8EncodedKeySpec key = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text));
        return KeyFactory.getInstance(algorithm).generatePrivate(key);
    }

    /** Nothing is written by itself: the front does, before it answers. No old versions are kept. */
    private static MVStore openStore(String path) {
        MVStore store = new MVStore.Builder().fileName(path).autoCommitDisabled()
            .cacheSize(Integer.parseInt(System.getenv("MONGODB_CACHE"))).open();
        store.setRetentionTime(0);
        store.setVersionsToKeep(0);
        return store;
    }

    private static String setting(String name, String standard) {
        String value = System.getenv(name);
        return value == null ? standard : value;
    }

    private static void serve(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        String[] login = System.getenv("MONGODB_LOGIN").split(":", 2);
        X509Certificate certificate = readCertificate(Path.of(arguments[2]));
        PrivateKey key =
            readKey(Path.of(arguments[3]), certificate.getPublicKey().getAlgorithm());
        MVStore store = openStore(arguments[1]);
        MongoBackend front = new Front(
            new H2Backend(store), store, new Scram(login[0], login[1]),
            System.getenv("MONGODB_REPLICA_SET"),
            setting("MONGODB_HOST", "localhost") + ":" + port);
        MongoServer server = new MongoServer(front);
        server.enableSsl(key, null, certificate);
        server.bind(setting("MONGODB_ADDRESS", "127.0.0.1"), port);
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow)); // closes the store
        System.out.println("ready");
    }

    public static void main(String[] arguments) {
        try {
            serve(arguments);
        } catch (Throwable problem) {
            problem.printStackTrace();
            Runtime.getRuntime().halt(1); // threads of the library would live on
        }
    }
}
