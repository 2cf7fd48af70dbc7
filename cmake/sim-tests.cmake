# Mutants: each file of test/sim/wrong, or of test/model/wrong where test/sim/wrong/also.txt names
# it, is a libweft-sim with one source made wrong, under which the test that it names must fail,
# twice with the seed that it prints.
set(wrong ${PROJECT_SOURCE_DIR}/test/sim/wrong)
set(apply ${PROJECT_SOURCE_DIR}/test/model/wrong/apply.py)

function(weft_sim_mutant path program test)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
	get_filename_component(name ${path} NAME_WE)
	file(STRINGS ${path} changed REGEX "^file: src/")
	string(REPLACE "file: src/" "" changed "${changed}")
	set(before ${PROJECT_BINARY_DIR}/test/sim/wrong/${name})
	add_custom_command(OUTPUT ${before}/${changed}
	    COMMAND python3 ${apply} ${path} ${PROJECT_SOURCE_DIR} ${before}
	    DEPENDS ${path} ${apply} ${PROJECT_SOURCE_DIR}/src/${changed}
	    VERBATIM COMMENT "Making ${changed} wrong: ${name}")
	# If it is a header, the sources that are named after the test are compiled with it.
	set(replaced ${changed})
	set(objects "")
	if(ARGN)
		string(REPLACE ";" "|" replaced "${ARGN}")
		list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/src/)
		add_library(sim_wrong_${name}_rest OBJECT ${before}/${changed} ${ARGN})
		target_compile_definitions(sim_wrong_${name}_rest PRIVATE ${sim_renamed}
		    WF_NO_RACES)
		target_include_directories(sim_wrong_${name}_rest BEFORE PRIVATE ${before}
		    ${sim}/include)
		target_link_libraries(sim_wrong_${name}_rest PRIVATE weft_internal)
		set(objects $<TARGET_OBJECTS:sim_wrong_${name}_rest>)
	endif()
	add_executable(sim_wrong_${name} ${before}/${changed} ${objects}
	    ${PROJECT_SOURCE_DIR}/test/sim/${program}.c $<TARGET_OBJECTS:weft_sim_os>
	    $<TARGET_OBJECTS:weft_sim_own>
	    "$<FILTER:$<TARGET_OBJECTS:weft_sim_rest>,EXCLUDE,/src/(${replaced})>")
	set_target_properties(sim_wrong_${name} PROPERTIES
	    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/sim)
	set_source_files_properties(${before}/${changed} PROPERTIES COMPILE_DEFINITIONS
	    "${sim_renamed};WF_NO_RACES" COMPILE_OPTIONS "-Wno-unused;-Wno-shadow")
	target_include_directories(sim_wrong_${name} BEFORE PRIVATE ${sim}/include)
	target_link_libraries(sim_wrong_${name} PRIVATE weft_testlib weft_internal)
	add_test(NAME sim.wrong.${name} COMMAND ${PROJECT_SOURCE_DIR}/test/sim/again
	    $<TARGET_FILE:sim_wrong_${name}> ${test})
	set_tests_properties(sim.wrong.${name} PROPERTIES TIMEOUT 120 LABELS sim
	    ENVIRONMENT "${test_environment}")
endfunction()

file(GLOB mutants CONFIGURE_DEPENDS ${wrong}/*.wrong)
foreach(path ${mutants})
	file(STRINGS ${path} program REGEX "^program: ")
	file(STRINGS ${path} test REGEX "^scenario: ")
	string(REPLACE "program: " "" program "${program}")
	string(REPLACE "scenario: " "" test "${test}")
	weft_sim_mutant(${path} ${program} ${test})
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${wrong}/also.txt)
file(STRINGS ${wrong}/also.txt also REGEX "^[a-z]")
foreach(line ${also})
	string(REPLACE " " ";" line "${line}")
	list(GET line 0 name)
	list(GET line 1 program)
	list(GET line 2 test)
	list(REMOVE_AT line 0 1 2)
	weft_sim_mutant(${PROJECT_SOURCE_DIR}/test/model/wrong/${name}.wrong ${program} ${test}
	    ${line})
endforeach()
