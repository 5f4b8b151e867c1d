import de.bwaldvogel.mongo.bson.BinData;
import de.bwaldvogel.mongo.bson.Document;
import io.netty.channel.Channel;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.crypto.Mac;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;

/** The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) for one user. */
final class Scram {
    static final String MECHANISM = "SCRAM-SHA-256";
    private static final Set<String> OPEN_TO_ALL =
        Set.of("hello", "ismaster", "ping", "buildinfo", "endsessions");
    private static final int ROUNDS = 15000;

    /** What one connection has said so far. */
    private static final class Talk {
        String first; // client-first-message-bare,server-first-message; null: none
        String nonce;
        boolean isProved;
        boolean isDone;
    }

    private final Map<Channel, Talk> talks = new ConcurrentHashMap<>();
    private final SecureRandom random = new SecureRandom();
    private final String user;
    private final byte[] salt = new byte[28];
    private final byte[] salted;

    Scram(String user, String password) throws GeneralSecurityException {
        this.user = user;
        random.nextBytes(salt);
        salted = SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256")
            .generateSecret(new PBEKeySpec(password.toCharArray(), salt, ROUNDS, 256)).getEncoded();
    }

    void close(Channel channel) {
        talks.remove(channel);
    }

    /** What to answer; null where the command is nothing to a login, and allowed. */
    Document handle(Channel channel, String command, Document asked) {
        Talk talk = talks.computeIfAbsent(channel, key -> new Talk());
        try {
            if (command.equals("saslStart")) {
                return start(talk, asked);
            }
            if (command.equals("saslContinue")) {
                return goOn(talk, asked);
            }
        } catch (GeneralSecurityException | RuntimeException problem) {
            talk.first = null;
            return Front.error(18, "AuthenticationFailed", "Authentication failed.");
        }
        if (talk.isDone || OPEN_TO_ALL.contains(command.toLowerCase(Locale.ROOT))) {
            return null;
        }
        return Front.error(13, "Unauthorized", "command " + command + " requires authentication");
    }

    private Document start(Talk talk, Document asked) {
        String payload = payloadOf(asked);
        String bare = payload.substring(payload.indexOf(',', payload.indexOf(',') + 1) + 1);
        if (!MECHANISM.equals(asked.get("mechanism")) || !bare.startsWith("n=" + user + ",r=")) {
            throw new SecurityException();
        }
        byte[] ours = new byte[18];
        random.nextBytes(ours);
        talk.nonce = bare.substring(bare.indexOf(",r=") + 3) + base64(ours);
        String challenge = "r=" + talk.nonce + ",s=" + base64(salt) + ",i=" + ROUNDS;
        talk.first = bare + "," + challenge;
        talk.isProved = false;
        return reply(challenge, false);
    }

    private Document goOn(Talk talk, Document asked) throws GeneralSecurityException {
        String payload = payloadOf(asked);
        if (payload.isEmpty() && talk.isProved) {
            talk.isDone = true;
            return reply("", true);
        }
        int proofAt = payload.lastIndexOf(",p=");
        if (talk.first == null || proofAt < 0 || !payload.contains(",r=" + talk.nonce + ",")) {
            throw new SecurityException();
        }
        String message = talk.first + "," + payload.substring(0, proofAt);
        byte[] stored = sha256(hmac(salted, "Client Key"));
        byte[] signature = hmac(stored, message);
        byte[] key = Base64.getDecoder().decode(payload.substring(proofAt + 3));
        for (int i = 0; i < key.length; i++) {
            key[i] ^= signature[i];
        }
        if (!MessageDigest.isEqual(sha256(key), stored)) {
            throw new SecurityException();
        }
        talk.isProved = true;
        return reply("v=" + base64(hmac(hmac(salted, "Server Key"), message)), false);
    }

    private static String payloadOf(Document asked) {
        return new String(((BinData) asked.get("payload")).getData(), StandardCharsets.UTF_8);
    }

    private static Document reply(String payload, boolean isDone) {
        return new Document("conversationId", 1).append("done", isDone)
            .append("payload", new BinData(payload.getBytes(StandardCharsets.UTF_8)))
            .append("ok", 1.0);
    }

    private static String base64(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }

    private static byte[] sha256(byte[] bytes) throws GeneralSecurityException {
        return MessageDigest.getInstance("SHA-256").digest(bytes);
    }

    private static byte[] hmac(byte[] key, String text) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }
}
