# Programs written against the library as a user would: examples and benchmarks. They link the
# archive, so that each runs from wherever it is copied to.
file(GLOB examples CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.c)
file(GLOB benches CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.c)
file(GLOB bench_lib CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/lib/*.c)

if(WEFT_EXAMPLES)
	foreach(file ${examples})
		get_filename_component(name ${file} NAME_WE)
		add_executable(example_${name} ${file})
		set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
		    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
		target_link_libraries(example_${name} PRIVATE weft_flags weft_static)
	endforeach()
	if(EXISTS ${PROJECT_SOURCE_DIR}/examples/httpd/CMakeLists.txt)
		add_subdirectory(examples/httpd)
	endif()
endif()

add_custom_target(bench)
add_library(weft_benchlib STATIC EXCLUDE_FROM_ALL ${bench_lib})
target_include_directories(weft_benchlib PUBLIC ${PROJECT_SOURCE_DIR}/bench)
target_link_libraries(weft_benchlib PUBLIC weft_flags)
foreach(file ${benches})
	get_filename_component(name ${file} NAME_WE)
	add_executable(bench_${name} ${file})
	set_target_properties(bench_${name} PROPERTIES OUTPUT_NAME ${name}
	    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench
	    EXCLUDE_FROM_ALL $<NOT:$<BOOL:${WEFT_BENCH}>>)
	target_link_libraries(bench_${name} PRIVATE weft_benchlib weft_static)
	add_dependencies(bench bench_${name})
endforeach()
