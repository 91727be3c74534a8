# What `cmake --install` puts where. Nothing that is installed names the folder it was built in, nor the prefix: the
# tree can be moved.

install(DIRECTORY include/holdfast DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS holdfast_shared EXPORT holdfast-shared
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS holdfast_static EXPORT holdfast-static
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET holdfast)
  install(TARGETS holdfast RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/docs/holdfast.1)
  install(FILES docs/holdfast.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

# ---- the CMake package: holdfast::holdfast (shared), holdfast::holdfast_static ----

set(hf_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast)
install(EXPORT holdfast-shared NAMESPACE holdfast:: FILE holdfast-shared.cmake DESTINATION ${hf_package_dir})
install(EXPORT holdfast-static NAMESPACE holdfast:: FILE holdfast-static.cmake DESTINATION ${hf_package_dir})
configure_package_config_file(cmake/holdfast-config.cmake.in holdfast-config.cmake
                              INSTALL_DESTINATION ${hf_package_dir})
write_basic_package_version_file(holdfast-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/holdfast-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/holdfast-config-version.cmake
        DESTINATION ${hf_package_dir})

# ---- pkg-config ----

if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR} OR IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(hf_pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(hf_pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
  set(hf_pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH hf_pc_up /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
  string(REGEX REPLACE "/$" "" hf_pc_up "${hf_pc_up}")
  set(hf_pc_prefix "\${pcfiledir}/${hf_pc_up}")
  set(hf_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(hf_pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/holdfast.pc.in holdfast.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/holdfast.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
