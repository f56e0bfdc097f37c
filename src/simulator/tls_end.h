#pragma once

// A simulated peer's end of TLS: OpenSSL's own client, in memory. What it agrees to is drawn, so
// that every kind of client that there is comes by.

#include <memory>
#include <string>
#include <string_view>

#include "simulator/random.h"
#include "simulator/tls_scene.h"

struct ssl_st;

namespace holdfast::simulator {

class TlsEnd {
 public:
  enum class State : std::uint8_t {
    kShaking,
    kTalking,
    kEnded,   // the server said close_notify
    kFailed,  // an alert came, or something that OpenSSL does not take; see reason()
  };

  // Both outlive it. The first flight lies in the output when this returns.
  TlsEnd(Random& random, TlsScene& scene);

  // Says it as soon as it can, in records of any length.
  void say(std::string_view plaintext);
  // Takes what came, and gives what the server said.
  std::string hear(std::string_view records);
  // What has to go out.
  std::string take_output();

  // Announces new keys; `ask`: and wants new ones of the server.
  void update_keys(bool ask);
  // close_notify: this end says no more, and still hears.
  void end();

  State state() const { return state_; }
  // The server said something: it knows too that the handshake is over.
  bool has_heard() const { return has_heard_; }
  // Speaks TLS 1.2 alone.
  bool is_old() const { return is_old_; }
  const std::string& reason() const { return reason_; }
  // Behind close_notify: there must not be any.
  bool has_more() const;

  // For the context of all clients.
  static int note_session(ssl_st* ssl, ssl_session_st* session);

 private:
  struct FreeSsl {
    void operator()(ssl_st* ssl) const;
  };

  void draw_terms();
  void say_what_waits();
  void shake_hands();
  void take_error(int result);

  Random& random_;
  TlsScene& scene_;
  std::unique_ptr<ssl_st, FreeSsl> ssl_;
  State state_ = State::kShaking;
  bool is_old_;
  bool has_said_end_ = false;
  bool has_heard_ = false;
  std::string unsaid_;  // until the handshake is over
  std::string reason_;
};

}  // namespace holdfast::simulator
