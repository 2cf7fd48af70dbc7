# test/fuzz: each .c file is a program for libFuzzer (clang has it). A line "fuzz: FILES" in the
# comment at its head names what it is about, which is compiled with it, and flags; after "objects"
# the rest of the library is linked as it is, without AddressSanitizer, which would have to know its
# stacks. ctest fuzz.NAME
# runs its corpus and some thousand inputs more ("runs=" says how many); fuzz.wrong.NAME passes when
# a source that an edit of test/fuzz/wrong has made wrong is found to be. tools/nightly has each for
# ten minutes.
set(fuzz ${PROJECT_SOURCE_DIR}/test/fuzz)
set(fuzz_flags -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined)
# Where goroutines run, the depth of a stack means nothing.
set(fuzz_flags_objects -g -O1 -fsanitize=fuzzer -fno-sanitize-coverage=stack-depth)

function(weft_fuzz_program target name)
	set(fuzz_flags ${fuzz_flags${fuzz_${name}_kind}})
	add_executable(${target} ${ARGN})
	if(fuzz_${name}_kind)
		list(JOIN fuzz_${name}_files "|" own)
		string(REPLACE "." "[.]" own "${own}")
		target_sources(${target} PRIVATE
		    "$<FILTER:$<TARGET_OBJECTS:weft_objects>,EXCLUDE,/(${own})>")
	endif()
	set_target_properties(${target} PROPERTIES
	    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/fuzz)
	target_link_libraries(${target} PRIVATE weft_internal)
	target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tools/weft)
	target_compile_options(${target} PRIVATE ${fuzz_flags} -fno-lto)
	target_link_options(${target} PRIVATE ${fuzz_flags} ${fuzz_${name}_linked})
endfunction()

file(GLOB programs CONFIGURE_DEPENDS ${fuzz}/*.c)
foreach(path ${programs})
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
	get_filename_component(name ${path} NAME_WE)
	file(STRINGS ${path} files REGEX "^ \\* fuzz: ")
	list(TRANSFORM files REPLACE "^ \\* fuzz: " "")
	string(REPLACE " " ";" files "${files}")
	set(flags ${files})
	list(FILTER flags INCLUDE REGEX "^-")
	list(FILTER files EXCLUDE REGEX "^-")
	set(fuzz_${name}_flags ${flags})
	set(fuzz_${name}_linked ${flags})
	list(FILTER fuzz_${name}_linked INCLUDE REGEX "^-Wl,")
	list(FILTER fuzz_${name}_flags EXCLUDE REGEX "^-Wl,")
	set(fuzz_${name}_kind)
	if("objects" IN_LIST files)
		set(fuzz_${name}_kind _objects)
		list(REMOVE_ITEM files objects)
	endif()
	set(fuzz_${name}_files ${files})
	list(TRANSFORM files PREPEND ${PROJECT_SOURCE_DIR}/)
	if(fuzz_${name}_kind)
		# Once, for the program and all that have one of them wrong.
		add_library(fuzz_${name}_parts OBJECT ${files})
		target_link_libraries(fuzz_${name}_parts PRIVATE weft_internal)
		target_compile_options(fuzz_${name}_parts PRIVATE ${fuzz_flags_objects}
		    ${fuzz_${name}_flags} -fno-lto)
		set(files $<TARGET_OBJECTS:fuzz_${name}_parts>)
	endif()
	weft_fuzz_program(fuzz_${name} ${name} ${path} ${files})
	target_compile_options(fuzz_${name} PRIVATE ${fuzz_${name}_flags})
	file(STRINGS ${path} runs REGEX "^ \\* runs=[0-9]+$")
	string(REPLACE " * runs=" "" runs "${runs}")
	if(NOT runs)
		set(runs 20000)
	endif()
	add_test(NAME fuzz.${name} COMMAND ${fuzz}/run ${name} $<TARGET_FILE:fuzz_${name}> ${runs})
	set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 300 LABELS fuzz)
endforeach()

file(GLOB mutants CONFIGURE_DEPENDS ${fuzz}/wrong/*.wrong)
foreach(path ${mutants})
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
	get_filename_component(name ${path} NAME_WE)
	file(STRINGS ${path} program REGEX "^program: ")
	string(REPLACE "program: " "" program "${program}")
	list(APPEND planted ${program})
	file(STRINGS ${path} source REGEX "^file: ")
	string(REPLACE "file: " "" source "${source}")
	string(REGEX REPLACE "^[a-z]+/(.*)" "\\1" changed ${source})
	set(before ${PROJECT_BINARY_DIR}/test/fuzz/wrong/${name})
	set(apply ${PROJECT_SOURCE_DIR}/test/model/wrong/apply.py)
	add_custom_command(OUTPUT ${before}/${changed}
	    COMMAND python3 ${apply} ${path} ${PROJECT_SOURCE_DIR} ${before}
	    DEPENDS ${path} ${apply} ${PROJECT_SOURCE_DIR}/${source}
	    VERBATIM COMMENT "Making ${changed} wrong: ${name}")
	set(files ${fuzz_${program}_files})
	list(REMOVE_ITEM files ${source})
	list(TRANSFORM files PREPEND ${PROJECT_SOURCE_DIR}/)
	if(fuzz_${program}_kind)
		set(files
		    "$<FILTER:$<TARGET_OBJECTS:fuzz_${program}_parts>,EXCLUDE,/${source}>")
	endif()
	weft_fuzz_program(fuzz_wrong_${name} ${program} ${fuzz}/${program}.c ${before}/${changed}
	    ${files})
	target_compile_options(fuzz_wrong_${name} PRIVATE ${fuzz_${program}_flags} -Wno-unused)
	add_test(NAME fuzz.wrong.${name} COMMAND ${fuzz}/run ${program}
	    $<TARGET_FILE:fuzz_wrong_${name}> 2000000)
	set_tests_properties(fuzz.wrong.${name} PROPERTIES TIMEOUT 300 LABELS fuzz
	    PASS_REGULAR_EXPRESSION "found by ${program}")
endforeach()
foreach(path ${programs})
	get_filename_component(name ${path} NAME_WE)
	if(NOT name IN_LIST planted)
		message(FATAL_ERROR "test/fuzz/wrong has no edit that fuzz.${name} must find")
	endif()
endforeach()
