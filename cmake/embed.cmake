# Web pages in the binary: built into one HTML file by Vite, then turned into a C++ source of the room that shows them.
#
#   holdfast_embed_page(ROOM PAGE FUNCTION)
#
# builds web/PAGE and adds to the room a definition of `std::string_view holdfast::ROOM::FUNCTION()`, which returns that file.
find_program(NODE node REQUIRED)
set(HOLDFAST_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed_file.cmake)

function(holdfast_embed_page room page function)
  set(source_folder ${CMAKE_SOURCE_DIR}/web/${page})
  set(built_folder ${CMAKE_BINARY_DIR}/web/${page})
  set(vite ${CMAKE_SOURCE_DIR}/node_modules/vite/bin/vite.js)
  if(NOT EXISTS ${vite})
    message(FATAL_ERROR "Vite is missing: run scripts/bootstrap")
  endif()
  file(GLOB page_sources CONFIGURE_DEPENDS ${source_folder}/* ${CMAKE_SOURCE_DIR}/web/common/*)
  add_custom_command(
    OUTPUT ${built_folder}/index.html
    COMMAND ${NODE} ${vite} build --outDir ${built_folder} --emptyOutDir
    WORKING_DIRECTORY ${source_folder}
    DEPENDS ${page_sources} ${CMAKE_SOURCE_DIR}/package-lock.json
    COMMENT "Building the page web/${page}" VERBATIM)
  set(embedded ${CMAKE_CURRENT_BINARY_DIR}/embedded/${room}_${page}.cc)
  add_custom_command(
    OUTPUT ${embedded}
    COMMAND ${CMAKE_COMMAND} -DFILE=${built_folder}/index.html -DOUTPUT=${embedded} -DROOM=${room} -DFUNCTION=${function}
            -P ${HOLDFAST_EMBED_SCRIPT}
    DEPENDS ${built_folder}/index.html ${HOLDFAST_EMBED_SCRIPT}
    COMMENT "Embedding the page web/${page}" VERBATIM)
  target_sources(holdfast_${room} PRIVATE ${embedded})
endfunction()
