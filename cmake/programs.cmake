# Programs written against the library as a user would. They link the archive, so that each runs
# from wherever it is copied to.
file(GLOB examples CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.c)

if(WEFT_EXAMPLES)
	if(NOT HAVE_TLS)
		list(FILTER examples EXCLUDE REGEX "/tls\\.c$")
	endif()
	foreach(file ${examples})
		get_filename_component(name ${file} NAME_WE)
		add_executable(example_${name} ${file})
		set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
		    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
		target_link_libraries(example_${name} PRIVATE weft_flags weft_static)
	endforeach()
	if(HAVE_TLS)
		target_link_libraries(example_tls PRIVATE weft_tls_static)
	endif()
	if(EXISTS ${PROJECT_SOURCE_DIR}/examples/httpd/CMakeLists.txt)
		add_subdirectory(examples/httpd)
	endif()
endif()
