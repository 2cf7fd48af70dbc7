# The library, three ways from the same objects: linked into the tests (which see wf_ names),
# libweft.so, and libweft.a.
set(list ${PROJECT_SOURCE_DIR}/src/sources.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${list})
file(STRINGS ${list} sources)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
	set(cpu x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
	set(cpu aarch64)
else()
	message(FATAL_ERROR "weft has no stack switch for ${CMAKE_SYSTEM_PROCESSOR}")
endif()
set(other_cpus ${sources})
list(FILTER other_cpus INCLUDE REGEX "^arch/[^/]+/")
list(FILTER other_cpus EXCLUDE REGEX "^arch/${cpu}/")
list(REMOVE_ITEM sources ${other_cpus})
list(TRANSFORM sources PREPEND ${PROJECT_SOURCE_DIR}/src/)
if(WEFT_COVERAGE)
	list(APPEND sources ${PROJECT_SOURCE_DIR}/test/lib/counted.c)
endif()

add_library(weft_objects OBJECT ${sources})
target_link_libraries(weft_objects PUBLIC weft_internal)
# LTO would let the compiler look through functions that park, whatever the builder's flags say.
target_compile_options(weft_objects PRIVATE -fvisibility=hidden -fno-lto)
# clang: who holds which lock (src/base/guard.h).
check_c_compiler_flag(-Wthread-safety HAVE_THREAD_SAFETY)
if(HAVE_THREAD_SAFETY)
	target_compile_options(weft_objects PRIVATE $<$<COMPILE_LANGUAGE:C>:-Wthread-safety>)
endif()

add_library(weft SHARED $<TARGET_OBJECTS:weft_objects>)
add_library(weft::weft ALIAS weft)
set_target_properties(weft PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0 LINKER_LANGUAGE C
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/src/weft.map)
target_link_libraries(weft PRIVATE $<BUILD_INTERFACE:weft_flags>)
target_link_options(weft PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/src/weft.map)
if(NOT WEFT_SANITIZE)
	target_link_options(weft PRIVATE -Wl,--no-undefined)
endif()

# An archive holds one object in which hidden names are local: wf_ names cannot clash with a
# program's own, and the archive exports exactly what the shared library does.
function(weft_one_object objects name)
	set(file ${PROJECT_BINARY_DIR}/${name})
	add_custom_command(OUTPUT ${file}
	    COMMAND ${CMAKE_LINKER} -r -o ${file} $<TARGET_OBJECTS:${objects}>
	    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${file}
	    DEPENDS ${objects} $<TARGET_OBJECTS:${objects}>
	    COMMAND_EXPAND_LISTS VERBATIM
	    COMMENT "Linking ${name}, with local names only but weft_*")
	set_source_files_properties(${file} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
endfunction()
weft_one_object(weft_objects weft.o)
add_library(weft_static STATIC ${PROJECT_BINARY_DIR}/weft.o)
add_library(weft::static ALIAS weft_static)
set_target_properties(weft_static PROPERTIES OUTPUT_NAME weft EXPORT_NAME static LINKER_LANGUAGE C)
target_link_options(weft_static INTERFACE -pthread)
target_link_libraries(weft_static PRIVATE $<BUILD_INTERFACE:weft_flags>)

foreach(library weft weft_static)
	target_include_directories(${library} INTERFACE
	    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
endforeach()
