#pragma once

// The table of tests/conformance/*.cases, as its README says it: what bytes a peer sends, and what
// must come of them. For tests.

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frame.h"
#include "protocol/session.h"

namespace holdfast::protocol {

// Lines are kept as they are written; bytes are made when they are needed, for some are 16 MiB.
struct ConformanceCase {
  std::string name;
  std::string place;    // "text.cases:12"
  std::string section;  // "6455 5.2 Base framing"
  Role role = Role::kServer;
  std::string limits = "default";
  std::string deflate;         // "on", "takeover": permessage-deflate was agreed on
  std::size_t chop_bytes = 0;  // 0: no
  std::size_t times = 1;
  bool unfinished = false;
  std::vector<std::string> sends;  // "81 \"x\"", "raw 81"; "fragments 1 81 \"x\"" with its keyword
  std::vector<std::string> tells;  // "text \"x\"", "fail 1002"
};

// The words of a line, one after the other. What is not as the README says ends the test.
class CaseLine {
 public:
  explicit CaseLine(std::string_view line) : rest_(line) { skip_spaces(); }

  bool is_empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  std::string_view peek() const { return rest_.substr(0, rest_.find(' ')); }
  std::string_view word() {
    const std::string_view result = peek();
    rest_.remove_prefix(result.size());
    skip_spaces();
    return result;
  }
  std::size_t number(int base = 10) { return number_of(word(), base); }
  std::string quoted() {
    const std::size_t end = rest_.find('"', 1);
    if (rest_.empty() || rest_.front() != '"' || end == std::string_view::npos)
      wrong("a quoted text");
    std::string result(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    skip_spaces();
    return result;
  }
  // All that is left, as a payload.
  std::string payload() {
    std::string result;
    while (!is_empty()) result += term();
    return result;
  }

  static std::string bytes_of(std::string_view hex) {
    if (hex.size() % 2 != 0) throw std::invalid_argument("half a byte in " + std::string(hex));
    std::string result;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      result += static_cast<char>(number_of(hex.substr(i, 2), 16));
    return result;
  }

 private:
  std::string term() {
    std::size_t times = 1;
    if (rest_.front() >= '0' && rest_.front() <= '9') {
      const std::size_t star = rest_.find('*');
      if (star == std::string_view::npos) wrong("N*");
      times = number_of(rest_.substr(0, star), 10);
      rest_.remove_prefix(star + 1);
    }
    std::string once;
    if (rest_.starts_with('"')) {
      once = quoted();
    } else if (rest_.starts_with('x')) {
      once = bytes_of(word().substr(1));
    } else if (rest_.starts_with('#')) {
      const std::size_t code = number_of(word().substr(1), 10);
      once = {static_cast<char>(code >> 8), static_cast<char>(code)};
    } else {
      wrong("\"text\", xHEX or #CODE");
    }
    std::string result;
    result.reserve(times * once.size());
    for (; times > 0; --times) result += once;
    return result;
  }

  static std::size_t number_of(std::string_view text, int base) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size()) {
      throw std::invalid_argument("no number: " + std::string(text));
    }
    return value;
  }
  [[noreturn]] void wrong(std::string_view wanted) const {
    throw std::invalid_argument("wanted " + std::string(wanted) + ", met " + std::string(rest_));
  }
  void skip_spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }

  std::string_view rest_;
};

// The bytes of one frame of the peer of `role`.
inline std::string frame_of_case(Role role, int first_byte, CaseLine line) {
  bool masked = role == Role::kServer;
  MaskKey key = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
  std::size_t form = 0;
  std::size_t says = 0;
  for (std::string_view word = line.peek();; word = line.peek()) {
    if (word == "bare") {
      masked = !masked;
    } else if (word == "form16" || word == "form64") {
      form = word == "form16" ? 2 : 8;
    } else if (word.starts_with("key=")) {
      const std::string bytes = CaseLine::bytes_of(word.substr(4));
      std::transform(bytes.begin(), bytes.end(), key.begin(),
                     [](char c) { return static_cast<std::byte>(c); });
    } else if (word.starts_with("says=")) {
      says = CaseLine(word.substr(5)).number();
    } else {
      break;
    }
    line.word();
  }
  std::string payload = line.payload();
  const std::size_t length = says != 0 ? says : payload.size();
  if (form == 0) form = length < kLength16 ? 0 : length <= 0xFFFF ? 2 : 8;
  std::string wire{static_cast<char>(first_byte)};
  const std::size_t short_length = form == 0 ? length : form == 2 ? kLength16 : kLength64;
  wire += static_cast<char>((masked ? kMaskBit : 0) | short_length);
  for (std::size_t i = form; i > 0; --i) wire += static_cast<char>(length >> (8 * (i - 1)));
  if (masked) {
    wire += as_text(key);
    apply_mask(std::as_writable_bytes(std::span(payload)), key);
  }
  return wire + payload;
}

// The bytes of a send line, one element for each frame.
inline std::vector<std::string> frames_of_case(Role role, std::string_view send) {
  CaseLine line(send);
  if (line.peek() == "raw") {
    line.word();
    return {CaseLine::bytes_of(line.word())};
  }
  if (line.peek() != "fragments") {
    const int first_byte = static_cast<int>(line.number(16));
    return {frame_of_case(role, first_byte, line)};
  }
  line.word();
  const std::size_t size = line.number();
  const int opcode = static_cast<int>(line.number(16)) & kOpcodeBits;
  const std::string payload = line.payload();
  std::vector<std::string> frames;
  for (std::size_t at = 0; at < payload.size(); at += size) {
    const bool last = at + size >= payload.size();
    std::byte header[kFrameHeaderBytesMax];
    const MaskKey key = {std::byte{0x11}, std::byte{0x22}, std::byte{0x33},
                         std::byte{static_cast<unsigned char>(at)}};
    std::string part = payload.substr(at, size);
    const std::size_t bytes =
        write_frame_header(header, static_cast<Opcode>(at == 0 ? opcode : 0), last, part.size(),
                           role == Role::kServer ? &key : nullptr);
    if (role == Role::kServer) apply_mask(std::as_writable_bytes(std::span(part)), key);
    frames.push_back(std::string(as_text({header, bytes})) + part);
  }
  return frames;
}

// Reads one file; throws std::invalid_argument with its place where it is not as the README says.
class CaseFile {
 public:
  explicit CaseFile(const std::filesystem::path& path) : name_(path.filename()) {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
      ++line_;
      if (line.empty() || line.front() == '#') continue;
      try {
        take(line);
      } catch (const std::invalid_argument& wrong) {
        throw std::invalid_argument(place() + ": " + wrong.what());
      }
    }
  }
  std::vector<ConformanceCase> cases;

 private:
  std::string place() const { return name_ + ":" + std::to_string(line_); }

  void begin_case(std::string name) {
    cases.emplace_back();
    cases.back().name = std::move(name);
    cases.back().place = place();
    cases.back().section = section_;
  }

  void take(const std::string& text) {
    CaseLine line(text);
    if (template_ != nullptr) {
      if (text == "end") {
        template_ = nullptr;
      } else {
        template_->push_back(text);
      }
      return;
    }
    const std::string keyword(line.word());
    if (keyword == "template") {
      template_ = &templates_[std::string(line.word())];
    } else if (keyword == "section") {
      section_ = line.rest();
    } else if (keyword == "case") {
      begin_case(std::string(line.rest()));
    } else if (keyword == "use") {
      const std::vector<std::string>& lines = templates_.at(std::string(line.word()));
      begin_case(line.quoted());
      for (std::string copy : lines) {
        if (const std::size_t at = copy.find('$'); at != std::string::npos)
          copy.replace(at, 1, line.rest());
        CaseLine copied(copy);
        const std::string copied_keyword(copied.word());
        take_property(copied_keyword, copied, copy);
      }
    } else {
      if (cases.empty()) throw std::invalid_argument("a line before the first case");
      take_property(keyword, line, text);
    }
  }

  void take_property(const std::string& keyword, CaseLine& line, const std::string& text) {
    ConformanceCase& current = cases.back();
    if (keyword == "role") {
      current.role = line.word() == "client" ? Role::kClient : Role::kServer;
    } else if (keyword == "limits") {
      current.limits = line.word();
    } else if (keyword == "deflate") {
      current.deflate = line.word();
    } else if (keyword == "chop") {
      current.chop_bytes = line.number();
    } else if (keyword == "times") {
      current.times = line.number();
    } else if (keyword == "unfinished") {
      current.unfinished = true;
    } else if (keyword == "send") {
      current.sends.emplace_back(line.rest());
    } else if (keyword == "fragments") {
      current.sends.push_back(text);
    } else if (keyword == "text" || keyword == "binary" || keyword == "ping" || keyword == "pong" ||
               keyword == "close" || keyword == "fail") {
      current.tells.push_back(text);
    } else if (keyword != "autobahn") {
      throw std::invalid_argument("unknown word " + keyword);
    }
  }

  std::string name_;
  int line_ = 0;
  std::string section_;
  std::map<std::string, std::vector<std::string>> templates_;
  std::vector<std::string>* template_ = nullptr;
};

inline std::vector<ConformanceCase> read_conformance_cases(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".cases") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<ConformanceCase> cases;
  for (const auto& path : paths) {
    for (ConformanceCase& one : CaseFile(path).cases) cases.push_back(std::move(one));
  }
  return cases;
}

}  // namespace holdfast::protocol
