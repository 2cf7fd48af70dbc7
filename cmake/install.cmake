# make install: headers, both libraries, weft.pc, the CMake package, man pages, programs.
include(CMakePackageConfigHelpers)

install(TARGETS weft weft_static EXPORT weft-targets)
install(FILES ${PROJECT_SOURCE_DIR}/include/weft.h TYPE INCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/weft TYPE INCLUDE FILES_MATCHING PATTERN "*.h"
    PATTERN "tls.h" EXCLUDE PATTERN "sim.h" EXCLUDE)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/weft)
install(EXPORT weft-targets NAMESPACE weft:: DESTINATION ${package})
if(HAVE_TLS)
	install(FILES ${PROJECT_SOURCE_DIR}/include/weft/tls.h DESTINATION
	    ${CMAKE_INSTALL_INCLUDEDIR}/weft)
	install(TARGETS weft_tls weft_tls_static EXPORT weft-tls-targets)
	install(EXPORT weft-tls-targets NAMESPACE weft:: DESTINATION ${package})
endif()
if(HAVE_SIM)
	install(FILES ${PROJECT_SOURCE_DIR}/include/weft/sim.h DESTINATION
	    ${CMAKE_INSTALL_INCLUDEDIR}/weft)
	install(TARGETS weft_sim EXPORT weft-sim-targets)
	install(EXPORT weft-sim-targets NAMESPACE weft:: DESTINATION ${package})
endif()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/weft-config.cmake.in
    ${PROJECT_BINARY_DIR}/weft-config.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weft-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weft-config.cmake
    ${PROJECT_BINARY_DIR}/weft-config-version.cmake DESTINATION ${package})

# Relative to the file itself, so that a tree installed into DESTDIR can be used from there.
set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
foreach(dir pc_includedir pc_libdir)
	if(NOT IS_ABSOLUTE ${${dir}})
		set(${dir} "\${prefix}/${${dir}}")
	endif()
endforeach()
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")
set(pc_files weft)
if(HAVE_TLS)
	list(APPEND pc_files weft-tls)
endif()
if(HAVE_SIM)
	list(APPEND pc_files weft-sim)
endif()
foreach(name ${pc_files})
	configure_file(${PROJECT_SOURCE_DIR}/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
	install(FILES ${PROJECT_BINARY_DIR}/${name}.pc
	    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

foreach(section 1 3 7)
	file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.${section})
	if(NOT HAVE_TLS)
		list(FILTER pages EXCLUDE REGEX "/weft_tls_[a-z_]*\\.3$")
	endif()
	if(NOT HAVE_SIM)
		list(FILTER pages EXCLUDE REGEX "/weft_sim_[a-z_]*\\.3$")
	endif()
	install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# For gdb: loaded by itself with the library where gdb looks (prefix /usr), and for programs with
# the archive to be sourced.
set(gdb_script ${PROJECT_SOURCE_DIR}/tools/gdb/weft-gdb.py)
install(FILES ${gdb_script} DESTINATION
    ${CMAKE_INSTALL_DATADIR}/gdb/auto-load/${CMAKE_INSTALL_FULL_LIBDIR}
    RENAME $<TARGET_FILE_NAME:weft>-gdb.py)
install(FILES ${gdb_script} DESTINATION ${CMAKE_INSTALL_DATADIR}/weft)

foreach(program weft-httpd weft-cli)
	if(TARGET ${program})
		install(TARGETS ${program})
	endif()
endforeach()
