# test/model: programs of scenarios, run under the explorer. Each file of scenario/ is a program.
# A line "model: FILES -DFLAGS" in the comment at its head names what else is compiled for it:
# files of src/, which are checked, and of test/model/seam/, which stand in for what those call.
# Every SCENARIO(name) is a ctest model.PROGRAM.NAME; every file of wrong/, an edit that makes a
# source wrong, is a ctest model.wrong.NAME that passes when a scenario fails.
set(model ${PROJECT_SOURCE_DIR}/test/model)
set(model_flags -Wno-shadow -Wno-type-limits -O1 -fsanitize=thread -U_FORTIFY_SOURCE
    -DWF_NO_EVENTS -DWF_NO_RACES
    -Dmemcpy=__tsan_memcpy -Dmemset=__tsan_memset -Dmemmove=__tsan_memmove)

file(GLOB engine CONFIGURE_DEPENDS ${model}/engine/*.c)
add_library(model_engine STATIC ${engine} ${PROJECT_SOURCE_DIR}/src/arch/${cpu}/entry.c)
target_include_directories(model_engine PRIVATE ${model}/engine ${model} ${model}/include)
target_compile_options(model_engine PRIVATE -O2)
target_link_libraries(model_engine PRIVATE weft_internal)

# Compiled for the calls of ThreadSanitizer, whose library is not linked: the engine has its own.
function(weft_model_object target file flags before)
	add_library(${target} OBJECT ${file})
	target_include_directories(${target} PRIVATE ${before} ${model} ${model}/include)
	target_compile_definitions(${target} PRIVATE WEFT_DEBUG_BUILD)
	target_compile_options(${target} PRIVATE ${model_flags} ${flags})
	target_link_libraries(${target} PRIVATE weft_internal)
endfunction()

function(weft_model_link target objects)
	add_executable(${target} ${objects})
	set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C
	    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/model)
	target_link_libraries(${target} PRIVATE model_engine weft_flags)
endfunction()

function(weft_model_test name seconds)
	add_test(NAME model.${name} COMMAND ${ARGN})
	set_tests_properties(model.${name} PROPERTIES TIMEOUT ${seconds} LABELS model
	    ENVIRONMENT "${test_environment}")
endfunction()

# model_PROGRAM_files: all that is compiled; model_PROGRAM_flags.
file(GLOB programs CONFIGURE_DEPENDS ${model}/scenario/*.c)
foreach(path ${programs})
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
	get_filename_component(program ${path} NAME_WE)
	set(files test/model/scenario/${program}.c)
	set(flags)
	file(STRINGS ${path} marks REGEX "^ \\* model: ")
	list(TRANSFORM marks REPLACE "^ \\* model: " "")
	string(REPLACE " " ";" marks "${marks}")
	foreach(mark ${marks})
		if(mark MATCHES "^-")
			list(APPEND flags ${mark})
		elseif(mark MATCHES "^seam/")
			list(APPEND files test/model/${mark})
		else()
			list(APPEND files ${mark})
		endif()
	endforeach()
	set(objects)
	foreach(file ${files})
		string(MAKE_C_IDENTIFIER model_${program}_${file} object)
		weft_model_object(${object} ${PROJECT_SOURCE_DIR}/${file} "${flags}" "")
		list(APPEND objects $<TARGET_OBJECTS:${object}>)
	endforeach()
	weft_model_link(model_${program} "${objects}")
	set(model_${program}_files ${files})
	set(model_${program}_flags ${flags})

	# The explorer's own tests: each strategy alone has to find out.
	if(NOT marks)
		foreach(by random pct all bounded)
			weft_model_test(${program}.by_${by} 600 ${CMAKE_COMMAND} -E env
			    WEFT_MODEL_BY=${by} $<TARGET_FILE:model_${program}>)
		endforeach()
	endif()

	file(STRINGS ${path} lines REGEX "^([A-Z]+\\([a-z0-9_]+,|const .*mc_subjects.*\")")
	foreach(line ${lines})
		# WAITS and DETACH, in park.c and detach.c, are SCENARIO with a part filled in.
		if(line MATCHES "^(SCENARIO|WAITS|DETACH).([a-z0-9_]+)")
			weft_model_test(${program}.${CMAKE_MATCH_2} 600 model_${program}
			    ${CMAKE_MATCH_2})
		elseif(marks AND line MATCHES "mc_subjects")
			weft_model_test(${program}.weakened 900 model_${program}
			    --weaken ${model}/wrong/redundant.txt)
		endif()
	endforeach()
endforeach()

# A mutant: NAME.wrong names its program and its file of src/. One that changes a .c file shares
# all other objects with the right program; one that changes a header shares none.
file(GLOB mutants CONFIGURE_DEPENDS ${model}/wrong/*.wrong)
foreach(path ${mutants})
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
	get_filename_component(name ${path} NAME_WE)
	file(STRINGS ${path} lines REGEX "^(program|file): ")
	list(FILTER lines INCLUDE REGEX "^[pf]")
	string(REGEX REPLACE ".*program: ([a-z0-9_]+).*" "\\1" program "${lines}")
	file(STRINGS ${path} scenario REGEX "^scenario: ")
	string(REPLACE "scenario: " "" scenario "${scenario}")
	string(REGEX REPLACE ".*file: src/([a-z0-9_/.]+).*" "\\1" changed "${lines}")
	set(before ${PROJECT_BINARY_DIR}/test/model/wrong/${name})
	add_custom_command(OUTPUT ${before}/${changed}
	    COMMAND python3 ${model}/wrong/apply.py ${path} ${PROJECT_SOURCE_DIR} ${before}
	    DEPENDS ${path} ${model}/wrong/apply.py ${PROJECT_SOURCE_DIR}/src/${changed}
	    VERBATIM COMMENT "Making ${changed} wrong: ${name}")
	add_custom_target(model_wrong_${name}_source DEPENDS ${before}/${changed})
	set(objects)
	foreach(file ${model_${program}_files})
		string(MAKE_C_IDENTIFIER model_wrong_${name}_${file} object)
		set(source ${PROJECT_SOURCE_DIR}/${file})
		if(file STREQUAL "src/${changed}")
			set(source ${before}/${changed})
		elseif(NOT changed MATCHES "\\.h$")
			string(MAKE_C_IDENTIFIER model_${program}_${file} object)
		endif()
		if(NOT TARGET ${object})
			# What is not used any more is not what is wrong.
			set(flags ${model_${program}_flags} -Wno-unused-function
			    -Wno-unused-variable -Wno-unused-parameter)
			weft_model_object(${object} ${source} "${flags}" ${before})
			add_dependencies(${object} model_wrong_${name}_source)
		endif()
		list(APPEND objects $<TARGET_OBJECTS:${object}>)
	endforeach()
	weft_model_link(model_wrong_${name} "${objects}")
	weft_model_test(wrong.${name} 900 model_wrong_${name} --wrong ${scenario})
endforeach()

# A flaw of the engine itself, planted likewise: the scenario's verdict must be another one. The
# library's own object is left out, for the program has the names of its functions already.
file(GLOB flaws CONFIGURE_DEPENDS ${model}/flaws/*.wrong)
foreach(path ${flaws})
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
	get_filename_component(name ${path} NAME_WE)
	foreach(key program scenario file by)	# nothing of the one before
		set(${key})
	endforeach()
	file(STRINGS ${path} lines REGEX "^(program|scenario|file|by): ")
	foreach(line ${lines})
		string(REGEX MATCH "^([a-z]+): (.*)" line "${line}")
		set(${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
	endforeach()
	set(made ${PROJECT_BINARY_DIR}/test/model/flaws/${name})
	string(REGEX REPLACE "^test/" "" changed ${file})
	add_custom_command(OUTPUT ${made}/${changed}
	    COMMAND python3 ${model}/wrong/apply.py ${path} ${PROJECT_SOURCE_DIR} ${made}
	    DEPENDS ${path} ${model}/wrong/apply.py ${PROJECT_SOURCE_DIR}/${file}
	    VERBATIM COMMENT "Making ${file} wrong: ${name}")
	weft_model_link(model_flaw_${name} "${made}/${changed}")
	target_sources(model_flaw_${name} PRIVATE
	    $<TARGET_OBJECTS:model_${program}_test_model_scenario_${program}_c>)
	target_include_directories(model_flaw_${name} PRIVATE ${model}/engine ${model}
	    ${model}/include)
	target_link_libraries(model_flaw_${name} PRIVATE weft_internal)
	target_compile_options(model_flaw_${name} PRIVATE -O0 -g0 -w)
	if(by)
		set(by ${CMAKE_COMMAND} -E env WEFT_MODEL_BY=${by})
	endif()
	weft_model_test(flaw.${name} 600 ${by} $<TARGET_FILE:model_flaw_${name}>
	    --flawed ${scenario})
endforeach()

add_custom_target(model)
get_property(targets DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
list(FILTER targets INCLUDE REGEX "^model_")
add_dependencies(model ${targets})
