// Talks to a server over TLS 1.3 with Java's own TLS: HOST PORT CERTIFICATE. With small jdk.tls.keyLimits it sends hundreds of
// KeyUpdates meanwhile. Prints how many answers came.

import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

public class TlsClient {
  private static final int ROUNDS = 200;

  public static void main(String[] arguments) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    try (FileInputStream file = new FileInputStream(arguments[2])) {
      trusted.setCertificateEntry("server", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    managers.init(trusted);
    SSLContext context = SSLContext.getInstance("TLSv1.3");
    context.init(null, managers.getTrustManagers(), null);
    try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(arguments[0], Integer.parseInt(arguments[1]))) {
      socket.setSoTimeout(10_000);
      byte[] request = ("POST /topics/java HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000\r\n\r\n" + "x".repeat(8000)).getBytes(StandardCharsets.US_ASCII);
      OutputStream out = socket.getOutputStream();
      InputStream in = socket.getInputStream();
      int answers = 0;
      for (int round = 0; round < ROUNDS; ++round) {
        out.write(request);
        out.flush();
        StringBuilder head = new StringBuilder();
        while (head.indexOf("\r\n\r\n") < 0) {
          int next = in.read();
          if (next < 0) throw new IllegalStateException("the server left: " + head);
          head.append((char) next);
        }
        if (!head.toString().startsWith("HTTP/1.1 2")) throw new IllegalStateException(head.toString());
        int at = head.indexOf("Content-Length: ");
        int length = at < 0 ? 0 : Integer.parseInt(head.substring(at + 16, head.indexOf("\r", at)));
        in.readNBytes(length);
        ++answers;
      }
      System.out.println(answers + " answers");
    }
  }
}
