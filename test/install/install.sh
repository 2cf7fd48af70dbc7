#!/usr/bin/env bash
# Installs into an empty root and builds a five-line program against what is there, by pkg-config
# and by find_package, in C11 and C++17, shared, static and fully static, and runs it. If it fails,
# weft cannot be used by anyone who did not build it.
#
#   install.sh [ROOT PREFIX]     with arguments: looks at what `make install` has put there
set -eu
here=$WEFT_SRC/test/install
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ $# -eq 2 ]; then
	root=$1 prefix=$2
else
	root=$work/root
	prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$WEFT_BUILD/CMakeCache.txt")
	DESTDIR=$root cmake --install "$WEFT_BUILD" >"$work/log" || { cat "$work/log"; exit 1; }
fi
top=$root$prefix
lib=$(dirname "$(find "$top" -name libweft.a)")

# Everything is there, and nothing lies outside of the prefix.
for file in include/weft.h include/weft/chan.h; do
	[ -f "$top/$file" ] || { echo "not installed: $file"; exit 1; }
done
if [ -e "$lib/libweft-tls.a" ]; then
	for file in libweft-tls.so libweft-tls.so.0 pkgconfig/weft-tls.pc; do
		[ -e "$lib/$file" ] || { echo "not installed: $file"; exit 1; }
	done
elif [ -e "$top/include/weft/tls.h" ] || [ -e "$lib/pkgconfig/weft-tls.pc" ]; then
	echo "a part of weft-tls is installed, and not the library"
	exit 1
fi
for file in libweft.a libweft.so libweft.so.0 pkgconfig/weft.pc cmake/weft/weft-config.cmake; do
	[ -e "$lib/$file" ] || { echo "not installed: $file"; exit 1; }
done
outside=$(find "$root" ! -type d ! -path "$top/*")
[ -z "$outside" ] || { echo "outside of the prefix: $outside"; exit 1; }
if grep -rIE "(^|[^[:alnum:]._-])$WEFT_SRC/" "$top" >"$work/leak"; then
	echo "names the source folder:"
	cat "$work/leak"
	exit 1
fi

runs() # COMMAND...
{
	local said
	said=$(LD_LIBRARY_PATH=$lib timeout 60 "$@")
	case $said in
	"hello from goroutine "*) echo "ok $(basename "$1")" ;;
	*) echo "$* said: $said"; exit 1 ;;
	esac
}

export PKG_CONFIG_PATH=$lib/pkgconfig
version=$(sed -n 's/^#define WEFT_VERSION "\(.*\)"/\1/p' "$top/include/weft/base.h")
[ "$(pkg-config --modversion weft)" = "$version" ] || { echo "weft.pc is not $version"; exit 1; }
cflags=$(pkg-config --cflags weft) libs=$(pkg-config --libs weft)
all_libs=$(pkg-config --static --libs weft)
warnings="-Wall -Wextra -Werror"
c="$CC -std=c11 $warnings $cflags $here/consumer/hello.c"
cxx="$CXX -x c++ -std=c++17 $warnings $cflags $here/consumer/hello.c -x none"
$c -o "$work/c_shared" $libs
$cxx -o "$work/cxx_shared" $libs
$c -o "$work/c_static" -Wl,-Bstatic $all_libs -Wl,-Bdynamic
$cxx -o "$work/cxx_static" -Wl,-Bstatic $all_libs -Wl,-Bdynamic
$c -o "$work/c_all_static" -static $all_libs 2>"$work/log" || { cat "$work/log"; exit 1; }
for program in c_shared cxx_shared c_static cxx_static c_all_static; do
	runs "$work/$program"
done
if ! readelf -dW "$work/c_shared" | grep -q 'NEEDED.*libweft.so.0'; then
	echo "not linked shared"
	exit 1
fi
if readelf -dW "$work/c_static" | grep -q 'NEEDED.*libweft'; then
	echo "not linked static"
	exit 1
fi

# The companion, if it was built: it brings OpenSSL, the core does not.
if [ -e "$lib/libweft-tls.a" ]; then
	warned="$warnings $(pkg-config --cflags weft-tls)"
	tls_libs=$(pkg-config --libs weft-tls) tls_all=$(pkg-config --static --libs weft-tls)
	$CC -std=c11 $warned "$here/consumer/tls.c" -o "$work/tls_shared" $tls_libs
	$CXX -x c++ -std=c++17 $warned "$here/consumer/tls.c" -x none -o "$work/tls_cxx" $tls_libs
	$CC -std=c11 $warned "$here/consumer/tls.c" -o "$work/tls_static" "$lib/libweft-tls.a" \
	    "$lib/libweft.a" $tls_all
	for program in tls_shared tls_cxx tls_static; do
		runs "$work/$program"
	done
	if readelf -dW "$work/c_shared" "$lib/libweft.so" | grep -q 'NEEDED.*libssl'; then
		echo "the core needs OpenSSL"
		exit 1
	fi
fi

# For tests, if it was built: stands in for the library itself.
if [ -e "$lib/libweft-sim.so" ]; then
	warned="$warnings $(pkg-config --cflags weft-sim)" sim_libs=$(pkg-config --libs weft-sim)
	$CC -std=c11 $warned "$here/consumer/sim.c" -o "$work/sim" $sim_libs
	$CXX -x c++ -std=c++17 $warned "$here/consumer/sim.c" -x none -o "$work/sim_cxx" $sim_libs
	runs "$work/sim"
	runs "$work/sim_cxx"
fi

cmake -S "$here/consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$top" -DCMAKE_C_COMPILER="$CC" \
    -DCMAKE_CXX_COMPILER="$CXX" >"$work/log" &&
	cmake --build "$work/consumer" >>"$work/log" || { cat "$work/log"; exit 1; }
for program in c_weft cxx_weft c_static cxx_static; do
	runs "$work/consumer/$program"
done
if [ -e "$lib/libweft-tls.a" ]; then
	runs "$work/consumer/c_tls"
	runs "$work/consumer/c_tls_static"
fi
if [ -e "$lib/libweft-sim.so" ]; then
	runs "$work/consumer/c_sim"
fi
