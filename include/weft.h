/*
 * weft: Go's goroutine runtime for C.
 *
 *   #include <weft.h>
 *   weft_go(fn, arg);        cc prog.c -lweft
 *
 * This header includes all of weft/. Where to read on: man 7 weft.
 */
#ifndef WEFT_H
#define WEFT_H

#include <weft/base.h>
#include <weft/go.h>
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/sync.h>
#include <weft/flight.h>
#include <weft/label.h>
#include <weft/scope.h>
#include <weft/time.h>
#include <weft/trace.h>
#include <weft/panic.h>
#include <weft/file.h>
#include <weft/io.h>
#include <weft/process.h>
#include <weft/profile.h>
#include <weft/signal.h>
#include <weft/debug.h>
#include <weft/metrics.h>

#endif /* WEFT_H */
