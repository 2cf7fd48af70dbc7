# The benchmarks, and whom they compare with as far as it is installed (tools/setup bench). The
# target `bench` builds all of it. A peer goes into bench/peers/, named as in the results.
set(bench_src ${PROJECT_SOURCE_DIR}/bench)
set(bench_peers ${PROJECT_BINARY_DIR}/bench/peers)
file(GLOB benches CONFIGURE_DEPENDS ${bench_src}/*.c)
file(GLOB bench_lib CONFIGURE_DEPENDS ${bench_src}/lib/*.c)

# What http.c cannot do without.
find_path(HTTP_PARSER_INCLUDE http_parser.h)
find_library(HTTP_PARSER_LIBRARY http_parser)
if(NOT HTTP_PARSER_INCLUDE OR NOT HTTP_PARSER_LIBRARY)
	list(FILTER benches EXCLUDE REGEX "/http\\.c$")
endif()

add_custom_target(bench)
add_library(weft_benchlib STATIC EXCLUDE_FROM_ALL ${bench_lib})
target_include_directories(weft_benchlib PUBLIC ${bench_src})
target_link_libraries(weft_benchlib PUBLIC weft_flags)
# Small stacks are small in such programs only (weft_go(3), WEFT_STACK_SMALL).
target_link_options(weft_benchlib INTERFACE -Wl,-z,now)
foreach(file ${benches})
	get_filename_component(name ${file} NAME_WE)
	add_executable(bench_${name} ${file})
	set_target_properties(bench_${name} PROPERTIES OUTPUT_NAME ${name}
	    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench
	    EXCLUDE_FROM_ALL $<NOT:$<BOOL:${WEFT_BENCH}>>)
	target_link_libraries(bench_${name} PRIVATE weft_benchlib weft_static)
	add_dependencies(bench bench_${name})
endforeach()

add_executable(bench_load EXCLUDE_FROM_ALL ${bench_src}/load/load.c)
set_target_properties(bench_load PROPERTIES OUTPUT_NAME load
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench/load)
target_link_libraries(bench_load PRIVATE weft_benchlib)
add_dependencies(bench bench_load)

# The floor under everything is measured with the library's own switch and atomics; a timing wheel
# against its own heap.
target_include_directories(bench_limits PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_include_directories(bench_wheel PRIVATE ${PROJECT_SOURCE_DIR}/src)
set(entry ${sources})
list(FILTER entry INCLUDE REGEX "/arch/.*/entry\\.c$")
target_sources(bench_limits PRIVATE ${entry})

# The same cases in the same programs, when there is the library for it.
find_library(BENCH_LIBURING uring)
find_path(BENCH_LIBURING_INCLUDE liburing.h)
if(BENCH_LIBURING AND BENCH_LIBURING_INCLUDE)
	target_compile_definitions(bench_echo PRIVATE HAVE_LIBURING)
	target_link_libraries(bench_echo PRIVATE ${BENCH_LIBURING})
endif()

if(TARGET bench_http)
	target_include_directories(bench_http PRIVATE ${HTTP_PARSER_INCLUDE})
	target_link_libraries(bench_http PRIVATE ${HTTP_PARSER_LIBRARY})
endif()

# A cross build cannot run what these tools would make for the host.
if(CMAKE_CROSSCOMPILING)
	return()
endif()

execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/find-go OUTPUT_VARIABLE BENCH_GO
    OUTPUT_STRIP_TRAILING_WHITESPACE)
if(BENCH_GO)
	file(GLOB go_files CONFIGURE_DEPENDS ${bench_src}/go/*.go)
	add_custom_command(OUTPUT ${bench_peers}/go
	    COMMAND ${CMAKE_COMMAND} -E env GOTOOLCHAIN=local GOPROXY=off
	        ${BENCH_GO} build -buildvcs=false -o ${bench_peers}/go .
	    WORKING_DIRECTORY ${bench_src}/go
	    DEPENDS ${go_files} ${bench_src}/go/go.mod VERBATIM)
	add_custom_target(bench_go DEPENDS ${bench_peers}/go)
	add_dependencies(bench bench_go)
endif()

find_library(BENCH_STATE_THREADS st)
find_path(BENCH_STATE_THREADS_INCLUDE st.h)
if(BENCH_STATE_THREADS AND BENCH_STATE_THREADS_INCLUDE)
	add_executable(bench_state-threads EXCLUDE_FROM_ALL ${bench_src}/peers/state-threads.c)
	set_target_properties(bench_state-threads PROPERTIES OUTPUT_NAME state-threads
	    RUNTIME_OUTPUT_DIRECTORY ${bench_peers})
	target_link_libraries(bench_state-threads PRIVATE weft_benchlib ${BENCH_STATE_THREADS})
	add_dependencies(bench bench_state-threads)
endif()

find_library(BENCH_BOOST_FIBER boost_fiber)
find_library(BENCH_BOOST_CONTEXT boost_context)
include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER AND BENCH_BOOST_FIBER AND BENCH_BOOST_CONTEXT)
	enable_language(CXX)
	add_executable(bench_boost-fiber EXCLUDE_FROM_ALL ${bench_src}/peers/boost-fiber.cpp)
	set_target_properties(bench_boost-fiber PROPERTIES OUTPUT_NAME boost-fiber
	    RUNTIME_OUTPUT_DIRECTORY ${bench_peers})
	target_link_libraries(bench_boost-fiber PRIVATE weft_benchlib ${BENCH_BOOST_FIBER}
	    ${BENCH_BOOST_CONTEXT})
	add_dependencies(bench bench_boost-fiber)
endif()

find_program(BENCH_CARGO cargo)
if(BENCH_CARGO AND EXISTS /usr/share/cargo/registry)
	set(tokio_src ${bench_src}/peers/tokio)
	set(tokio_build ${PROJECT_BINARY_DIR}/bench/cargo)
	file(GLOB tokio_files CONFIGURE_DEPENDS ${tokio_src}/src/*.rs)
	add_custom_command(OUTPUT ${bench_peers}/tokio
	    COMMAND ${BENCH_CARGO} build --quiet --release --offline --target-dir ${tokio_build}
	    COMMAND ${CMAKE_COMMAND} -E copy ${tokio_build}/release/tokio-bench ${bench_peers}/tokio
	    WORKING_DIRECTORY ${tokio_src}
	    DEPENDS ${tokio_files} ${tokio_src}/Cargo.toml VERBATIM)
	add_custom_target(bench_tokio DEPENDS ${bench_peers}/tokio)
	add_dependencies(bench bench_tokio)
endif()
