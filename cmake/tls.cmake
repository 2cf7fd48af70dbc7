# The TLS companion: libweft-tls.so and libweft-tls.a, users of weft like any other. HAVE_TLS says
# whether they are built; the core never needs OpenSSL.
set(HAVE_TLS FALSE)
if(NOT WEFT_TLS)
	return()
endif()
find_package(OpenSSL 3.0 QUIET)
if(NOT OPENSSL_FOUND)
	message(WARNING "weft-tls is not built: OpenSSL 3 is missing (libssl-dev; tools/setup)")
	return()
endif()
set(HAVE_TLS TRUE)

add_library(weft_tls_objects OBJECT tls/bio.c tls/conn.c tls/context.c tls/error.c tls/host.c
    tls/io.c tls/pump.c)
target_link_libraries(weft_tls_objects PUBLIC weft_flags OpenSSL::SSL)
target_compile_definitions(weft_tls_objects PRIVATE _GNU_SOURCE)
target_compile_options(weft_tls_objects PRIVATE -fvisibility=hidden -fno-lto)
set_target_properties(weft_tls_objects PROPERTIES CANARIES_EVERYWHERE TRUE)

set(map ${PROJECT_SOURCE_DIR}/tls/weft-tls.map)
add_library(weft_tls SHARED $<TARGET_OBJECTS:weft_tls_objects>)
add_library(weft::tls ALIAS weft_tls)
set_target_properties(weft_tls PROPERTIES OUTPUT_NAME weft-tls EXPORT_NAME tls LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS ${map})
target_link_libraries(weft_tls PUBLIC weft PRIVATE OpenSSL::SSL $<BUILD_INTERFACE:weft_flags>)
target_link_options(weft_tls PRIVATE -Wl,--version-script=${map})
if(NOT WEFT_SANITIZE)
	target_link_options(weft_tls PRIVATE -Wl,--no-undefined)
endif()

weft_one_object(weft_tls_objects weft-tls.o)
add_library(weft_tls_static STATIC ${PROJECT_BINARY_DIR}/weft-tls.o)
add_library(weft::tls_static ALIAS weft_tls_static)
set_target_properties(weft_tls_static PROPERTIES OUTPUT_NAME weft-tls EXPORT_NAME tls_static
    LINKER_LANGUAGE C)
target_link_libraries(weft_tls_static PUBLIC weft_static PRIVATE OpenSSL::SSL
    $<BUILD_INTERFACE:weft_flags>)
