/*
 * A trace without names is a list of numbers, and one with wrong names sends people to the wrong
 * function. Static functions are in no table that the loader keeps.
 */
#include "debug/symtab.h"

#include "debug/cfi.h"
#include "debug/out.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct wf_symtab symtab;

__attribute__((noinline)) static int
hidden_away(int n)
{
	return n * 3 + 1;
}

int exported_one(int n);

__attribute__((noinline)) int
exported_one(int n)
{
	return hidden_away(n) * 5;
}

static const char *
name_at(uintptr_t pc)
{
	struct wf_symbol s;

	wf_symtab_find(&symtab, pc, &s);
	return s.name != NULL ? s.name : "??";
}

TEST(static_and_exported_functions_have_names)
{
	EXPECT_EQ(exported_one(1), 20);
	EXPECT(strncmp(name_at((uintptr_t)hidden_away), "hidden_away", 11) == 0);
	EXPECT_STR(name_at((uintptr_t)exported_one), "exported_one");
	EXPECT_STR(name_at((uintptr_t)exported_one + 1), "exported_one");
}

TEST(libc_has_names_from_its_dynamic_table)
{
	struct wf_symbol s;

	EXPECT_CONTAINS(name_at((uintptr_t)qsort), "qsort");
	wf_symtab_find(&symtab, (uintptr_t)qsort, &s);
	EXPECT(s.path != NULL);
	/* A static program has its libc inside. */
	EXPECT(strstr(s.path, "libc") != NULL || strstr(s.path, "debug_symtab") != NULL);
}

TEST(the_program_has_its_path)
{
	char exe[256];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	struct wf_symbol s;

	EXPECT(n > 0);
	exe[n] = '\0';
	wf_symtab_find(&symtab, (uintptr_t)exported_one, &s);
	EXPECT_STR(s.path, exe);
	EXPECT(s.file_pc < (uintptr_t)exported_one || s.file_pc == (uintptr_t)exported_one);
}

TEST(what_is_no_code_has_no_name)
{
	struct wf_symbol s;
	char *heap = malloc(1 << 20);

	wf_symtab_find(&symtab, 0x10, &s);
	EXPECT(s.name == NULL && s.path == NULL);
	wf_symtab_find(&symtab, (uintptr_t)heap, &s);
	EXPECT(s.name == NULL && s.path == NULL);
	wf_symtab_find(&symtab, UINTPTR_MAX, &s);
	EXPECT(s.name == NULL && s.path == NULL);
	free(heap);
}

TEST(closed_tables_open_again)
{
	for (int i = 0; i < 100; i++) {
		EXPECT_STR(name_at((uintptr_t)exported_one), "exported_one");
		wf_symtab_close(&symtab);
		EXPECT_EQ(symtab.n_files, 0);
	}
}

/* Many addresses that share a slot of the cache: each must keep its own name. */
TEST(the_cache_mixes_nothing_up)
{
	uintptr_t a = (uintptr_t)exported_one, b = (uintptr_t)hidden_away;

	for (uintptr_t off = 0; off < 3 * WF_SYMTAB_CACHE; off++) {
		const char *name = name_at(a - off);

		if (off == 0)
			EXPECT_STR(name, "exported_one");
		EXPECT(strncmp(name_at(b), "hidden_away", 11) == 0);
		EXPECT_STR(name_at(a), "exported_one");
	}
}

/* ---- expressions of call frame information ---- */

static bool
eval(const uint8_t *expr, size_t n, uintptr_t first, uintptr_t *ret)
{
	static struct wf_peek stack;
	static struct wf_regs regs;

	memset(&regs, 0, sizeof(regs));
	regs.v[WF_REG_SP] = 0x1000;
	regs.known[WF_REG_SP] = true;
	wf_peek_init(&stack, (uintptr_t)expr, (uintptr_t)expr + n, true);
	return wf_expr_eval(expr, expr + n, first, &regs, &stack, ret);
}

TEST(expressions_are_evaluated)
{
	/* A PLT entry's, as linkers write it: sp + 8 + ((0xb & 15) >= 11) << 3. */
	static const uint8_t plt[] = {
	    10, 0x70 + WF_REG_SP, 8, 0x3b, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22};
	static const uint8_t minus[] = {3, 0x35, 0x38, 0x1c};
	static const uint8_t plus[] = {3, 0x23, 0x80, 0x01};
	static const uint8_t branch[] = {9, 0x31, 0x28, 1, 0, 0x30, 0x41, 0x96, 0x12, 0x22};
	uintptr_t v;

	EXPECT(eval(plt, sizeof(plt), 0, &v));
	EXPECT_EQ(v, 0x1000 + 8 + 8);
	EXPECT(eval(minus, sizeof(minus), 0, &v));
	EXPECT_EQ((intptr_t)v, -3);
	EXPECT(eval(plus, sizeof(plus), 7, &v));
	EXPECT_EQ(v, 7 + 128);
	EXPECT(eval(branch, sizeof(branch), 0, &v));
	EXPECT_EQ(v, 34);
}

TEST(bad_expressions_are_refused)
{
	static const uint8_t underflow[] = {1, 0x22};
	static const uint8_t unknown_reg[] = {2, 0x70, 0};
	static const uint8_t endless[] = {3, 0x2f, 0xfd, 0xff};
	static const uint8_t outside[] = {3, 0x2f, 0x00, 0x10};
	static const uint8_t too_long[] = {100, 0x30};
	static const uint8_t bad_deref[] = {2, 0x30, 0x06};
	static const uint8_t unknown_op[] = {1, 0xff};
	uintptr_t v;

	EXPECT(!eval(underflow, sizeof(underflow), 0, &v));
	EXPECT(!eval(unknown_reg, sizeof(unknown_reg), 0, &v));
	EXPECT(!eval(endless, sizeof(endless), 0, &v));
	EXPECT(!eval(outside, sizeof(outside), 0, &v));
	EXPECT(!eval(too_long, sizeof(too_long), 0, &v));
	EXPECT(!eval(bad_deref, sizeof(bad_deref), 0, &v));
	EXPECT(!eval(unknown_op, sizeof(unknown_op), 0, &v));
}

TEST(random_expressions_end)
{
	uint64_t rng = test_seed();
	uint8_t expr[64];
	uintptr_t v;

	for (int i = 0; i < 200000; i++) {
		for (size_t k = 0; k < sizeof(expr); k++)
			expr[k] = (uint8_t)test_rand(&rng);
		expr[0] &= 63;
		(void)eval(expr, sizeof(expr), 1, &v);
	}
}

/* ---- numbers as text ---- */

TEST(numbers_are_printed)
{
	static const struct {
		int64_t v;
		const char *text;
	} table[] = {{0, "0"}, {7, "7"}, {-1, "-1"}, {INT64_MAX, "9223372036854775807"},
	    {INT64_MIN, "-9223372036854775808"}};
	struct wf_out o;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		wf_out_init(&o, -1);
		wf_out_i64(&o, table[i].v);
		o.buf[o.n] = '\0';
		EXPECT_STR(o.buf, table[i].text);
	}
	wf_out_init(&o, -1);
	wf_out_hex(&o, 0);
	wf_out_hex(&o, UINT64_MAX);
	o.buf[o.n] = '\0';
	EXPECT_STR(o.buf, "0x00xffffffffffffffff");
}

TEST(long_text_arrives_whole)
{
	static char text[10000], got[10001];
	struct wf_out o;
	FILE *f = tmpfile();

	EXPECT(f != NULL);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	wf_out_init(&o, fileno(f));
	wf_out_mem(&o, text, 1);
	wf_out_mem(&o, text + 1, sizeof(text) - 1);
	wf_out_flush(&o);
	EXPECT_EQ(pread(fileno(f), got, sizeof(got), 0), sizeof(text));
	EXPECT_EQ(memcmp(got, text, sizeof(text)), 0);
	fclose(f);
}
