#pragma once

// Faults of a server, planted at the seams that the simulator owns (its loops, and the ledger in
// front of the broker), to see that each is seen. What finds nothing when something is wrong would
// find nothing for ever.

#include <array>
#include <cstdint>
#include <string_view>

namespace holdfast::simulator {

enum class Sabotage : std::uint8_t {
  kNone,
  kSaysTwice,           // what one send said leaves twice
  kSwapsPieces,         // the first two pieces of a send leave in the other order
  kLosesByte,           // the last byte of a send never leaves, and counts as sent
  kDamagesInput,        // a bit of what is read is another
  kForgetsClose,        // a descriptor that is closed stays open
  kLeaksDescriptor,     // a connection is accepted, and nobody is told
  kOverlooksEnd,        // the end of a peer is read, and nobody is told
  kForgetsWritable,     // nobody waits any more for room in a socket that is full
  kStopsClock,          // deadlines never come
  kLosesPublication,    // a mailbox takes one, and does not have it
  kRepeatsPublication,  // a mailbox takes one twice
  kMiscounts,           // one delivery is counted that was none
};
inline constexpr std::array<std::string_view, 13> kSabotageNames = {"none",
                                                                    "says_twice",
                                                                    "swaps_pieces",
                                                                    "loses_byte",
                                                                    "damages_input",
                                                                    "forgets_close",
                                                                    "leaks_descriptor",
                                                                    "overlooks_end",
                                                                    "forgets_writable",
                                                                    "stops_clock",
                                                                    "loses_publication",
                                                                    "repeats_publication",
                                                                    "miscounts"};

}  // namespace holdfast::simulator
