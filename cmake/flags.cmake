# How our C is compiled. weft_flags: everything of ours; weft_internal: what may see src/.
include(CheckCCompilerFlag)
include(CheckPIESupported)

# Programs at addresses that nobody can foretell, whatever the compiler's default is.
check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(weft_flags INTERFACE)
add_library(weft_internal INTERFACE)

set(c_warnings -Wall -Wextra -Wshadow -Wundef -Wvla -Wcast-qual -Wwrite-strings)
set(c_only_warnings -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wconversion
    -Wno-sign-conversion)
target_compile_options(weft_flags INTERFACE
    ${c_warnings} "$<$<COMPILE_LANGUAGE:C>:${c_only_warnings}>"
    "$<$<COMPILE_LANGUAGE:C>:-std=gnu11>" "$<$<COMPILE_LANGUAGE:CXX>:-std=c++17>"
    $<$<BOOL:${WEFT_WERROR}>:-Werror>
    -fno-omit-frame-pointer
    -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_include_directories(weft_flags INTERFACE ${PROJECT_SOURCE_DIR}/include)

# A frame larger than the guard region must touch every page on its way down.
check_c_compiler_flag(-fstack-clash-protection HAVE_STACK_CLASH_PROTECTION)
if(HAVE_STACK_CLASH_PROTECTION)
	target_compile_options(weft_flags INTERFACE -fstack-clash-protection)
endif()
# A frame with an array that is overrun ends the process when its function returns. The canary is
# the same in all threads, so that goroutines may change threads in between. Targets with the
# property CANARIES_EVERYWHERE have one in each function; the library has not, for it would be 5 to
# 8 % more instructions (SECURITY.md).
check_c_compiler_flag(-fstack-protector-strong HAVE_STACK_PROTECTOR)
if(HAVE_STACK_PROTECTOR)
	string(CONCAT which "$<IF:$<BOOL:$<TARGET_PROPERTY:CANARIES_EVERYWHERE>>,"
	    "-fstack-protector-all,-fstack-protector-strong>")
	target_compile_options(weft_flags INTERFACE ${which})
endif()
# Landing pads only. Shadow stacks must not be claimed: our switch does not know them, so that a
# program which the linker marks for them would end with its first goroutine.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
	target_compile_options(weft_flags INTERFACE -fcf-protection=branch)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
	target_compile_options(weft_flags INTERFACE -mbranch-protection=bti)
endif()

if(WEFT_SANITIZE STREQUAL "address")
	set(sanitizer -fsanitize=address,undefined -fno-sanitize-recover=undefined)
elseif(WEFT_SANITIZE STREQUAL "thread")
	set(sanitizer -fsanitize=thread)
elseif(WEFT_SANITIZE)
	message(FATAL_ERROR "WEFT_SANITIZE is address, thread or empty, not ${WEFT_SANITIZE}")
else()
	target_compile_options(weft_flags INTERFACE
	    $<$<CONFIG:Release>:-U_FORTIFY_SOURCE$<SEMICOLON>-D_FORTIFY_SOURCE=3>)
endif()
if(WEFT_COVERAGE)
	list(APPEND sanitizer --coverage -fprofile-update=atomic)
endif()
target_compile_options(weft_flags INTERFACE ${sanitizer})
target_link_options(weft_flags INTERFACE ${sanitizer} -Wl,-z,noexecstack,-z,relro,-z,now)

target_link_libraries(weft_internal INTERFACE weft_flags)
target_include_directories(weft_internal INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(weft_internal INTERFACE $<$<CONFIG:Debug>:WEFT_DEBUG_BUILD>
    $<$<BOOL:${WEFT_COVERAGE}>:WEFT_COVERAGE>)
