# libweft-sim: all of weft with a simulated machine under it, for tests. The sources of libweft once
# more, behind the atomics of sim/include, with assertions and hold points; the functions of src/os
# that sim/ has bodies of its own for get other names. HAVE_SIM says whether it is built.
set(HAVE_SIM FALSE)
if(NOT WEFT_SIM OR WEFT_SANITIZE OR CMAKE_CROSSCOMPILING)
	return()
endif()
set(HAVE_SIM TRUE)
set(sim ${PROJECT_SOURCE_DIR}/sim)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${sim}/real.h)
file(STRINGS ${sim}/real.h replaced REGEX "wf_real_[a-z_]+;$|^REAL\\([a-z_]+\\)$")
list(TRANSFORM replaced REPLACE "^.*wf_real_([a-z_]+).*$" "\\1")
list(TRANSFORM replaced REPLACE "^REAL\\(([a-z_]+)\\)$" "\\1")
list(TRANSFORM replaced REPLACE "(.+)" "wf_os_\\1=wf_real_\\1")

set(sim_os ${sources})
list(FILTER sim_os INCLUDE REGEX "/src/os/")
set(sim_rest ${sources})
list(FILTER sim_rest EXCLUDE REGEX "/src/os/")
file(GLOB sim_own CONFIGURE_DEPENDS ${sim}/*.c)

add_library(weft_sim_os OBJECT ${sim_os})
target_compile_definitions(weft_sim_os PRIVATE ${replaced})
add_library(weft_sim_rest OBJECT ${sim_rest})
target_include_directories(weft_sim_rest BEFORE PRIVATE ${sim}/include)
foreach(name malloc calloc realloc aligned_alloc)
	list(APPEND sim_renamed ${name}=wf_sim_${name})
endforeach()
target_compile_definitions(weft_sim_rest PRIVATE ${sim_renamed})
add_library(weft_sim_own OBJECT ${sim_own})
foreach(objects weft_sim_os weft_sim_rest weft_sim_own)
	target_link_libraries(${objects} PUBLIC weft_internal)
	target_compile_definitions(${objects} PRIVATE WEFT_DEBUG_BUILD WF_NO_RACES)
	target_compile_options(${objects} PRIVATE -fvisibility=hidden -fno-lto)
endforeach()
set(sim_objects $<TARGET_OBJECTS:weft_sim_os> $<TARGET_OBJECTS:weft_sim_rest>
    $<TARGET_OBJECTS:weft_sim_own>)

add_library(weft_sim SHARED ${sim_objects})
add_library(weft::sim ALIAS weft_sim)
set_target_properties(weft_sim PROPERTIES OUTPUT_NAME weft-sim EXPORT_NAME sim LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS ${PROJECT_SOURCE_DIR}/src/weft.map)
target_link_libraries(weft_sim PRIVATE $<BUILD_INTERFACE:weft_flags>)
target_link_options(weft_sim PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/src/weft.map
    -Wl,--no-undefined)
target_include_directories(weft_sim INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
