# What others build on: the rooms under the face in one archive, and how find_package() and pkg-config find it.
#
#   cmake --install build/release [--prefix /usr/local] [--component development|program]
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(objects $<TARGET_OBJECTS:llhttp>)
foreach(room base protocol net topics broker server client)
  list(APPEND objects $<TARGET_OBJECTS:holdfast_${room}>)
endforeach()
add_library(holdfast_library STATIC ${objects})
add_library(holdfast::holdfast ALIAS holdfast_library)
set_target_properties(holdfast_library PROPERTIES
  OUTPUT_NAME holdfast EXPORT_NAME holdfast LINKER_LANGUAGE CXX ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
target_compile_features(holdfast_library INTERFACE cxx_std_20)
target_include_directories(holdfast_library INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# What the archive needs at link time; holdfast-config.cmake.in and holdfast.pc.in name the same.
target_link_libraries(holdfast_library INTERFACE
  OpenSSL::SSL OpenSSL::Crypto PkgConfig::SIMDJSON PkgConfig::URING PkgConfig::ZLIB fmt::fmt Threads::Threads roaring)

# Apart, because of what it needs: the operator's pages.
add_library(holdfast_admin_library STATIC $<TARGET_OBJECTS:holdfast_admin>)
add_library(holdfast::admin ALIAS holdfast_admin_library)
set_target_properties(holdfast_admin_library PROPERTIES
  OUTPUT_NAME holdfast_admin EXPORT_NAME admin LINKER_LANGUAGE CXX ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
target_link_libraries(holdfast_admin_library INTERFACE holdfast_library prometheus-cpp::core)

install(TARGETS holdfast_library EXPORT holdfast ARCHIVE COMPONENT development)
install(TARGETS holdfast_admin_library EXPORT holdfast_admin ARCHIVE COMPONENT development)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/holdfast DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast)
install(EXPORT holdfast NAMESPACE holdfast:: FILE holdfastTargets.cmake DESTINATION ${config_folder} COMPONENT development)
install(EXPORT holdfast_admin NAMESPACE holdfast:: FILE holdfastAdminTargets.cmake DESTINATION ${config_folder} COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/holdfast-config.cmake.in
  ${CMAKE_BINARY_DIR}/generated/holdfast-config.cmake INSTALL_DESTINATION ${config_folder})
# Until 1.0 a minor version may change the face.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/generated/holdfast-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/generated/holdfast-config.cmake ${CMAKE_BINARY_DIR}/generated/holdfast-config-version.cmake
  DESTINATION ${config_folder} COMPONENT development)

file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/holdfast.pc.in ${CMAKE_BINARY_DIR}/generated/holdfast.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/generated/holdfast.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

# The program; holdfast::program for those who test against it.
install(TARGETS holdfast EXPORT holdfast_program RUNTIME COMPONENT program)
set_target_properties(holdfast PROPERTIES EXPORT_NAME program)
install(EXPORT holdfast_program NAMESPACE holdfast:: FILE holdfastProgramTargets.cmake DESTINATION ${config_folder} COMPONENT program)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program FILES_MATCHING PATTERN *.md)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/holdfast.toml DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT development)
# The unit names the program where it was installed.
install(FILES ${CMAKE_SOURCE_DIR}/packaging/holdfast.service DESTINATION lib/systemd/system COMPONENT program)
install(CODE [[
  set(unit "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system/holdfast.service")
  file(READ "${unit}" text)
  string(REPLACE "/usr/bin/holdfast" "${CMAKE_INSTALL_PREFIX}/bin/holdfast" text "${text}")
  file(WRITE "${unit}" "${text}")
]] COMPONENT program)
