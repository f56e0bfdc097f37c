# commands/version.h's kGitDescription: made when the program is built, not when it is configured, so that it is never stale. The file is
# rewritten only when the description changed.
if(CMAKE_SCRIPT_MODE_FILE)
  execute_process(COMMAND git describe --always --dirty --tags WORKING_DIRECTORY ${SOURCE_DIR}
                  OUTPUT_VARIABLE description OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  set(text "${VERSION}")
  if(description)
    string(APPEND text " (${description})")
  endif()
  file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include "commands/version.h"

namespace holdfast::commands {
const char* const kGitDescription = "@text@";
}  // namespace holdfast::commands
]] @ONLY)
  return()
endif()

set(version_source ${CMAKE_BINARY_DIR}/generated/git_description.cc)
add_custom_target(git_description
  COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${CMAKE_SOURCE_DIR} -DVERSION=${PROJECT_VERSION} -DOUTPUT=${version_source}
          -P ${CMAKE_CURRENT_LIST_FILE}
  BYPRODUCTS ${version_source} COMMENT "" VERBATIM)
target_sources(holdfast_commands PRIVATE ${version_source})
add_dependencies(holdfast_commands git_description)
