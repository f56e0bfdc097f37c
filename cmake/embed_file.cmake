# A file as C++: cmake -DFILE=… -DOUTPUT=… -DROOM=… -DFUNCTION=… -P embed_file.cmake
file(READ ${FILE} bytes HEX)
string(REGEX REPLACE "(................................................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUTPUT} "// Made from a built page; see cmake/embed.cmake.
#include <string_view>

namespace holdfast::${ROOM} {
std::string_view ${FUNCTION}();

namespace {
constexpr unsigned char kFile[] = {
${bytes}};
}  // namespace

std::string_view ${FUNCTION}() { return {reinterpret_cast<const char*>(kFile), sizeof kFile}; }
}  // namespace holdfast::${ROOM}
")
