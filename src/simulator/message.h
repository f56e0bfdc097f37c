#pragma once

// What peers and publishers say: each message names itself and can be made again from its name, so
// that one that comes back twice, damaged, or in another's place is seen.

#include <cstdint>
#include <string>

namespace holdfast::simulator {

// `verb`, `number` and `serial` in front, then characters that depend on them up to `bytes` or a
// few more: of one to four bytes each in a text, any in a binary message.
std::string make_message(char verb, std::uint64_t number, std::uint64_t serial, std::size_t bytes,
                         bool is_text);

// A publication's payload, and its number again; -1 where there is none.
std::string make_publication_text(std::uint32_t number, std::size_t bytes);
std::int64_t publication_number(std::string_view payload);

}  // namespace holdfast::simulator
