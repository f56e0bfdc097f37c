# The addition to pusher-js that recovers what a client missed: a module, a script, and their types (docs/pusher.md).
set(built_folder ${CMAKE_BINARY_DIR}/web/recovery)
file(GLOB recovery_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/recovery/*)
add_custom_command(
  OUTPUT ${built_folder}/recovery.mjs ${built_folder}/recovery.js ${built_folder}/recovery.d.ts
  COMMAND ${NODE} ${CMAKE_SOURCE_DIR}/node_modules/vite/bin/vite.js build --outDir ${built_folder} --emptyOutDir
  COMMAND ${CMAKE_COMMAND} -E copy recovery.d.ts ${built_folder}
  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/web/recovery
  DEPENDS ${recovery_sources} ${CMAKE_SOURCE_DIR}/package-lock.json
  COMMENT "Building web/recovery" VERBATIM)
add_custom_target(web_recovery ALL DEPENDS ${built_folder}/recovery.mjs)
install(FILES ${built_folder}/recovery.mjs ${built_folder}/recovery.js ${built_folder}/recovery.d.ts
  DESTINATION ${CMAKE_INSTALL_DATADIR}/holdfast COMPONENT program)
