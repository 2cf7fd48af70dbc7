# Every TEST(name) of test/unit and test/spec, and every shell script under test/, is a ctest of
# its own with a time limit. A line "ctest: serial timeout=SECONDS" in the comment at the head of
# a file changes that for the tests of the file. "ctest: nomembarrier" runs them once more where
# membarrier(2) is refused.
set(scale 1)
# A test that hangs costs its limit, and once more when it runs alone: a stage of .ci/run must end.
set(patience 1)
if(WEFT_SANITIZE OR CMAKE_CROSSCOMPILING OR WEFT_COVERAGE)
	set(scale 4)
	set(patience 3)
endif()
# What scripts build theirs with. The archive asks for gcov's library where the tests are counted.
set(test_cc ${CMAKE_C_COMPILER})
set(test_cxx ${CMAKE_CXX_COMPILER})
if(WEFT_COVERAGE)
	foreach(compiler cc cxx)
		set(file ${PROJECT_BINARY_DIR}/test/${compiler})
		file(WRITE ${file} "#!/bin/sh\nexec '${test_${compiler}}' \"$@\" -lgcov\n")
		file(CHMOD ${file} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
		set(test_${compiler} ${file})
	endforeach()
	# See test/lib/counted.c. Each run of the simulator writes its counts, too.
	set(counted "WEFT_KILL=57" "WEFT_SIM_SEEDS=50")
endif()
string(CONCAT tsan "halt_on_error=1:second_deadlock_stack=1:atexit_sleep_ms=0"
    ":suppressions=${PROJECT_SOURCE_DIR}/test/lib/tsan.supp")
set(test_environment
    "WEFT_SRC=${PROJECT_SOURCE_DIR}" "WEFT_BUILD=${PROJECT_BINARY_DIR}" "WEFT_TEST_SCALE=${scale}"
    "WEFT_SANITIZE=${WEFT_SANITIZE}" "CC=${test_cc}" "CXX=${test_cxx}"
    # main() may return while goroutines are parked; what they hold is not a leak, but looks so.
    "ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1:strict_init_order=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=${tsan}" ${counted})
if(CMAKE_CROSSCOMPILING)
	list(JOIN CMAKE_CROSSCOMPILING_EMULATOR " " emulator)
	list(APPEND test_environment "WEFT_TEST_EMULATOR=${emulator}")
endif()

add_library(weft_testlib STATIC ${PROJECT_SOURCE_DIR}/test/lib/test_main.c
    ${PROJECT_SOURCE_DIR}/test/lib/child.c ${PROJECT_SOURCE_DIR}/test/lib/hold.c)
target_link_libraries(weft_testlib PUBLIC weft_internal)
target_include_directories(weft_testlib PUBLIC ${PROJECT_SOURCE_DIR}/test/lib)

# What looks at the sources, or at the same code again in a way that the sanitizers and the compiler
# make no difference to, is done in one build only.
set(everything FALSE)
if(CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT WEFT_SANITIZE)
	set(everything TRUE)
endif()

# Runs a program with io_uring for all I/O, or with io_uring refused as in a container.
add_executable(test_poller ${PROJECT_SOURCE_DIR}/test/lib/poller.c)
set_target_properties(test_poller PROPERTIES OUTPUT_NAME poller
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test)
target_link_libraries(test_poller PRIVATE weft_flags)

function(weft_set_test name file tier seconds)
	set(serial FALSE)
	file(STRINGS ${file} marks REGEX "ctest: " LIMIT_INPUT 4096)
	if(marks MATCHES "timeout=([0-9]+)")
		set(seconds ${CMAKE_MATCH_1})
	endif()
	if(marks MATCHES "ctest:[a-z0-9= ]* serial")
		set(serial TRUE)
	endif()
	math(EXPR seconds "${seconds} * ${patience}")
	set_tests_properties(${name} PROPERTIES TIMEOUT ${seconds} RUN_SERIAL ${serial}
	    LABELS ${tier} SKIP_RETURN_CODE 77 ENVIRONMENT "${test_environment}")
endfunction()

# What does I/O does it with each poller; what only builds on that, in the debug build.
function(weft_pollers_of result base)
	set(pollers)
	if(CMAKE_CROSSCOMPILING OR base MATCHES "^poll_(refused|receive)$")	# these choose
	elseif(base STREQUAL poll_ring)				# needs io_uring
		set(pollers uring)
	elseif(base MATCHES "^(io|poll)_")
		set(pollers uring)
		if(everything)
			list(APPEND pollers refused)
		endif()
	elseif(everything AND base MATCHES "^(process|signal)_|^scope_io$")
		set(pollers uring refused)
	elseif(everything AND base MATCHES "^tls_")
		set(pollers uring)
	endif()
	set(${result} ${pollers} PARENT_SCOPE)
endfunction()

set(tiers unit spec)
if(HAVE_TLS)
	list(APPEND tiers tls)
endif()
# One thread and its own clock: another compiler or sanitizer would see the same.
if(HAVE_SIM AND everything)
	list(APPEND tiers sim)
endif()
# Once more with WEFT_PERTURB, which makes some tests a hundred times as long on a busy machine:
# those that stay short. tools/nightly does more.
string(CONCAT perturbed "^spec\\.("
    "sync_mutex\\.(one_owner|waiters_that_give_up|of_a_thousand|unlock_is_done)|"
    "sync_cond\\.(each_signal|a_later_waiter|a_broadcast)|"
    "sync_waitgroup\\.(done_races|a_waiter_that_polls|all_waiters)|"
    "scope_race\\.(cancel_meets|simultaneous|done_wakes)|"
    "chan_race\\.close_wakes|select_race\\.(a_channel_twice|a_timer_among))")

# Each call of the system fails once: the linker puts test/fault/inject.c in between.
set(fault ${PROJECT_SOURCE_DIR}/test/fault)
if((everything OR WEFT_SANITIZE STREQUAL "address") AND NOT CMAKE_CROSSCOMPILING)
	list(APPEND tiers fault)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${fault}/calls.h)
	file(STRINGS ${fault}/calls.h calls REGEX "^[A-Z]+\\(")
	set(wrapped -Wl,--wrap=_exit -Wl,--wrap=wf_os_exit)
	foreach(line ${calls})
		if(line MATCHES "^(BLOCK|VECTOR|SIGNALLED).([a-z_0-9]+)")
			set(name ${CMAKE_MATCH_2})
		else()
			string(REGEX REPLACE "^[A-Z]+\\([^,]*, ([a-z_]+),.*" "\\1" name
			    "${line}")
		endif()
		if(NOT line MATCHES "^(BLOCK|SIGNALLED)")
			set(name wf_os_${name})
		endif()
		list(APPEND wrapped -Wl,--wrap=${name})
	endforeach()
	add_library(weft_faultlib OBJECT ${fault}/inject.c)
	target_include_directories(weft_faultlib PRIVATE ${PROJECT_SOURCE_DIR}/test/lib)
	target_link_libraries(weft_faultlib PRIVATE weft_internal)
endif()
foreach(tier ${tiers})
	file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/test/${tier}/*.c
	    ${PROJECT_SOURCE_DIR}/test/${tier}/*.cc)
	foreach(file ${files})
		# What is linked to all; and 200 starts, which take a minute under a sanitizer.
		if(file MATCHES "/fault/inject\\.c$" OR (file MATCHES "/fault/begin\\.c$" AND
		    NOT everything))
			continue()
		endif()
		set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
		get_filename_component(base ${file} NAME_WE)
		set(target test_${tier}_${base})
		add_executable(${target} ${file})
		set_target_properties(${target} PROPERTIES OUTPUT_NAME ${base}
		    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/${tier})
		if(tier STREQUAL "sim")
			target_link_libraries(${target} PRIVATE weft_testlib weft_sim)
		else()
			target_link_libraries(${target} PRIVATE weft_testlib weft_objects)
		endif()
		if(tier STREQUAL "fault")
			target_link_libraries(${target} PRIVATE weft_faultlib)
			target_link_options(${target} PRIVATE ${wrapped})
		endif()
		file(STRINGS ${file} marks REGEX "ctest: " LIMIT_INPUT 4096)
		if(tier STREQUAL "tls")
			target_link_libraries(${target} PRIVATE weft_tls_objects)
		endif()
		weft_pollers_of(pollers ${base})
		file(STRINGS ${file} lines REGEX "^TEST\\([a-z0-9_]+\\)")
		foreach(line ${lines})
			string(REGEX REPLACE "^TEST\\(([a-z0-9_]+)\\).*" "\\1" test ${line})
			add_test(NAME ${tier}.${base}.${test} COMMAND ${target} ${test})
			weft_set_test(${tier}.${base}.${test} ${file} ${tier} 60)
			foreach(poller ${pollers})
				set(name ${tier}.${base}.${test}@${poller})
				add_test(NAME ${name} COMMAND test_poller ${poller}
				    $<TARGET_FILE:${target}> ${test})
				weft_set_test(${name} ${file} ${tier} 60)
			endforeach()
			if(everything AND "${tier}.${base}.${test}" MATCHES "${perturbed}")
				set(again ${tier}.${base}.${test}.perturbed)
				add_test(NAME ${again} COMMAND ${target} ${test})
				weft_set_test(${again} ${file} ${tier} 300)
				set_property(TEST ${again} APPEND PROPERTY ENVIRONMENT
				    "WEFT_PERTURB=1")
			endif()
			if(marks MATCHES "nomembarrier")
				set(again ${tier}.${base}.${test}.nomembarrier)
				add_test(NAME ${again} COMMAND ${target} ${test})
				weft_set_test(${again} ${file} ${tier} 60)
				set_property(TEST ${again} APPEND PROPERTY ENVIRONMENT
				    "WEFT_DEBUG=nomembarrier=1")
			endif()
		endforeach()
	endforeach()
endforeach()

# Programs that scripts of test/net and test/trace run.
foreach(program net/crowd trace/load trace/profiles)
	get_filename_component(folder ${program} DIRECTORY)
	get_filename_component(name ${program} NAME)
	set(target test_${folder}_${name})
	add_executable(${target} ${PROJECT_SOURCE_DIR}/test/${program}.c)
	set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name}
	    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/${folder})
	target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/test/lib)
	target_link_libraries(${target} PRIVATE weft_flags weft_static)
endforeach()

add_executable(test_soak ${PROJECT_SOURCE_DIR}/test/soak/soak.c)
set_target_properties(test_soak PROPERTIES OUTPUT_NAME soak
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/soak)
target_link_libraries(test_soak PRIVATE weft_testlib weft_static)

file(GLOB_RECURSE scripts CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/test
    ${PROJECT_SOURCE_DIR}/test/*.sh)
list(FILTER scripts EXCLUDE REGEX "^(lib/|net/crowd\\.sh$|tools/analyze)")
if(NOT everything)
	list(FILTER scripts EXCLUDE REGEX "^model/")
endif()
if(CMAKE_CROSSCOMPILING)
	# Only what looks at the products without running them, or knows the emulator.
	list(FILTER scripts INCLUDE REGEX "^(abi/notes|gdb/emulated)")
elseif(WEFT_SANITIZE OR WEFT_COVERAGE)
	# These look at the products, which are other ones here.
	list(FILTER scripts EXCLUDE REGEX "^(abi|install)/")
endif()
if(WEFT_COVERAGE)
	# These look at the sources, at what compilers make of them, or run no source of ours.
	list(FILTER scripts EXCLUDE REGEX "^((tools|model|gdb)/|sanitize/[fm])")
endif()
if(NOT everything)
	list(FILTER scripts EXCLUDE REGEX "^(tools/|sanitize/memcheck|gdb/)")
	list(FILTER scripts EXCLUDE REGEX "^trace/(convert|stress|viewer)")
	list(FILTER scripts EXCLUDE REGEX "^command/(stacks|crew|top)")
	list(FILTER scripts EXCLUDE REGEX "^(examples/(from-go|observe)|net/loss)")
endif()
if(NOT everything AND NOT WEFT_SANITIZE STREQUAL "address")
	list(FILTER scripts EXCLUDE REGEX "^debug/hostile")
endif()
if(NOT CMAKE_CROSSCOMPILING)
	list(FILTER scripts EXCLUDE REGEX "^gdb/emulated")
endif()
if(NOT WEFT_SANITIZE)
	list(FILTER scripts EXCLUDE REGEX "^sanitize/found")
endif()
if(NOT HAVE_SIM)
	list(FILTER scripts EXCLUDE REGEX "^abi/sim")
endif()
if(NOT HAVE_TLS)
	list(FILTER scripts EXCLUDE REGEX "^tls/|/tls\\.sh$")
endif()
foreach(script ${scripts})
	string(REGEX REPLACE "\\.sh$" "" name ${script})
	string(REPLACE "/" "." name ${name})
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
	    ${PROJECT_SOURCE_DIR}/test/${script})
	add_test(NAME sh.${name} COMMAND bash ${PROJECT_SOURCE_DIR}/test/${script})
	weft_set_test(sh.${name} ${PROJECT_SOURCE_DIR}/test/${script} sh 240)
	if(everything AND name MATCHES "^(httpd|net)\\.|^tls\\.openssl$")
		add_test(NAME sh.${name}@uring
		    COMMAND test_poller uring bash ${PROJECT_SOURCE_DIR}/test/${script})
		weft_set_test(sh.${name}@uring ${PROJECT_SOURCE_DIR}/test/${script} sh 240)
	endif()
endforeach()

if(HAVE_SIM AND everything AND NOT WEFT_COVERAGE)
	include(cmake/sim-tests.cmake)
endif()
