#pragma once

// What runs on the simulated server: handlers as a program would write them, and some that do what
// a program should not.

#include "server/router.h"
#include "simulator/ledger.h"

namespace holdfast::simulator {

//   /           nothing
//   /echo       every message back
//   /play       obeys the first character of a message (see Verb)
//   /forbidden  refuses the upgrade
//   /pages/N    GET: N bytes. POST: publishes
void add_handlers(server::Router& router, Ledger& ledger);

// What a message to /play asks for. A digit behind it is a number (a topic, or how many).
enum class Verb : char {
  kEcho = 'e',
  kManyEchoes = 'm',  // as many as the digit squared, each told apart by its last character
  kSubscribe = 's',   // with the wish that its length stands for
  kUnsubscribe = 'u',
  kPublish = 'p',  // to the topic of the digit
  kClose = 'x',    // with kHandlerCode, and does what a closed peer must not notice
};
inline constexpr std::uint16_t kHandlerCode = 4'000;
// What every handler would speak, whether the peer offered it or not.
inline constexpr std::string_view kSubprotocol = "simulated.v1";

// The answers to kManyEchoes, in order.
std::vector<std::string> many_echoes(std::string_view message);
// The body of /pages/N.
std::string page(std::size_t bytes);

}  // namespace holdfast::simulator
