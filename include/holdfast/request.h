#pragma once

// A request as a handler sees it, and what can be answered.

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/bytes.h"

namespace holdfast {

// The certificate that a client showed over TLS (Options::tls_client_cert), and that an authority
// of Options::tls_client_ca has signed.
struct ClientCertificate {
  std::string subject;             // "CN=alice,O=Example": RFC 2253, UTF-8
  std::string fingerprint;         // SHA-256 of all of it, 64 hexadecimal digits
  std::vector<std::string> names;  // alternative: "DNS:a.example", "URI:spiffe://…", "email:…"
};

// An upgrade, or plain HTTP. Views; they live until the handler returns. Whether they are UTF-8 is
// not checked.
class Request {
 public:
  virtual ~Request() = default;
  // "GET" for a HEAD too, whose answer goes out without its body.
  virtual std::string_view method() const = 0;
  virtual std::string_view path() const = 0;   // without the query: "/topics/prices"
  virtual std::string_view query() const = 0;  // behind the '?'; may be empty
  virtual std::optional<std::string_view> header(
      std::string_view name) const = 0;  // first of that name, any case
  virtual Bytes body() const = 0;        // empty for an upgrade
  // The client's address, without its port: "203.0.113.7", "2001:db8::17". That of the connection,
  // or whom a PROXY header named, or, where Options::trusted_proxies trust that one, the hop that
  // they say is behind them. Empty when nobody knows: the peer of a unix socket whose proxy says
  // nothing. A system call where the connection itself has to be asked.
  virtual std::string remote_address() const = 0;
  // Whether remote_address() lies in 127.0.0.0/8 or is ::1. False for the peer of a unix socket: it
  // is a proxy, most likely.
  virtual bool from_loopback() const = 0;
  // The sub-protocols that an upgrade offers (RFC 6455 11.3.4), in the client's order, which is
  // that of its preference.
  virtual std::vector<std::string_view> subprotocols() const = 0;

  // The client's certificate; null: it showed none, or was not asked for one. It is kept until the
  // WebSocket is open: who needs it later keeps what he needs in Peer::data(). Behind a proxy, it
  // is the proxy's.
  virtual const ClientCertificate* client_certificate() const { return nullptr; }

  // The value of a query parameter, percent-decoded ('+' is a space); nothing where there is none
  // of that name. The first one counts. Any bytes may be in it: before it is sent or published as
  // text, ask is_utf8() (utf8.h).
  std::optional<std::string> parameter(std::string_view name) const;
  // The first of `ours` that the client offers; empty when it offers none of them. For
  // Verdict::accept().
  std::string_view first_offered(std::initializer_list<std::string_view> ours) const;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

// An answer over plain HTTP. A header whose name is no token, or whose value holds a control
// character, is left out.
struct Reply {
  int status = 200;       // 200..599; any other becomes 500
  std::string body = {};  // left out with 204, 205 and 304, which have none (RFC 9110 6.4.1)
  std::string content_type = "text/plain; charset=utf-8";
  // Content-Length, Transfer-Encoding and Connection are the server's to say, and left out here; a
  // Date or Content-Type takes the place of the server's Date and of `content_type`.
  Headers headers = {};
  // Answers a GET with a stream of server-sent events (WHATWG HTML, 9.2) of status 200, which
  // begins with `body` and lasts until one of the two ends it. What began with this request is then
  // a peer: Handler::open and close are called for it, it can be sent texts and subscribed, and
  // costs what an idle WebSocket costs. Keepalive sends it comments. HEAD gets the head alone.
  bool event_stream = false;
};

// A handler's answer to an upgrade.
struct Verdict {
  // The peer is let in. `subprotocol`: one that it offered, for Sec-WebSocket-Protocol; one that it
  // did not offer, or none, leaves the header out (RFC 6455 4.2.2), and the client decides whether
  // it goes on without.
  static Verdict accept(std::string_view subprotocol = {}) {
    return {std::string(subprotocol), {}};
  }
  // It is answered over HTTP and the connection ends. `reason` becomes the body, with a line end.
  // Status 300..599; any other becomes 500.
  static Verdict refuse(int status, std::string reason, Headers headers = {}) {
    return refuse(
        Reply{.status = status, .body = std::move(reason) + "\n", .headers = std::move(headers)});
  }
  static Verdict refuse(Reply reply) { return {{}, std::move(reply)}; }

  std::string subprotocol;
  std::optional<Reply> refusal;
};

}  // namespace holdfast
