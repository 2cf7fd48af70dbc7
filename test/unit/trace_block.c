/*
 * Bytes of the trace: numbers, words, tables. What is wrong here no parser can make good.
 */
#include "trace/block.h"
#include "trace/encode.h"
#include "trace/word.h"

#include "test.h"

#include <string.h>

/* The widths and borders of LEB128, by hand. */
TEST(varints_are_as_short_as_can_be)
{
	static const struct {
		uint64_t v;
		const char *bytes;
		size_t n;
	} cases[] = {
		{ 0, "\0", 1 }, { 1, "\1", 1 }, { 127, "\177", 1 }, { 128, "\200\1", 2 },
		{ 300, "\254\2", 2 }, { 16383, "\377\177", 2 }, { 16384, "\200\200\1", 3 },
		{ UINT64_MAX, "\377\377\377\377\377\377\377\377\377\1", 10 },
	};
	uint8_t buf[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(trace_put_varint(buf, cases[i].v) - buf, cases[i].n);
		EXPECT(memcmp(buf, cases[i].bytes, cases[i].n) == 0);
	}
}

/* Byte by byte, as the format is explained. */
static size_t
put_slowly(uint8_t *to, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		to[n++] = (uint8_t)(v | 0x80);
	to[n++] = (uint8_t)v;
	return n;
}

/* Each power of two and its neighbours, and some between, written at once, and packed. */
TEST(varints_are_what_they_are_byte_by_byte)
{
	for (int shift = 0; shift < 64; shift++)
		for (uint64_t i = 0; i < 64; i++) {
			uint64_t v = ((uint64_t)1 << shift) + i * 0x123456789abcdefu % 257 - 128;
			uint8_t want[16], at_once[16], packed[16];
			size_t n = put_slowly(want, v);

			EXPECT_EQ(trace_put_varint(at_once, v) - at_once, n);
			EXPECT(memcmp(at_once, want, n) == 0);
			if (v >= TRACE_PACKED_LIMIT)
				continue;
			EXPECT_EQ(trace_put_packed(packed, trace_pack(v)) - packed, n);
			EXPECT(memcmp(packed, want, n) == 0);
		}
	EXPECT_EQ(trace_pack(0).bytes, TRACE_PACKED_ZERO.bytes);
}

TEST(a_word_holds_its_parts_apart)
{
	struct trace_word all = { TRACE_GEN_MASK, TRACE_SEQ_MAX, TRACE_M_MASK, 7 };
	struct trace_word some = { 5, 6, 7, 4 };

	EXPECT_EQ(trace_word_pack(all), UINT64_MAX & ~TRACE_TOLD);
	EXPECT_EQ(trace_word_with(trace_word_next(trace_word_pack(some) | TRACE_TOLD), 1, 2),
	    trace_word_pack((struct trace_word){ 5, 7, 2, 1 }) | TRACE_TOLD);
	for (int i = 0; i < 4; i++) {
		struct trace_word w = { 0, 0, 0, 0 }, r;
		uint32_t *part = i == 0 ? &w.gen : i == 1 ? &w.seq : i == 2 ? &w.m : &w.state;

		*part = i == 3 ? 7 : 12345;
		r = trace_word_unpack(trace_word_pack(w));
		EXPECT(memcmp(&r, &w, sizeof(r)) == 0);
	}
	some.gen += 1u << TRACE_GEN_BITS;	/* only its bits count */
	EXPECT_EQ(trace_word_unpack(trace_word_pack(some)).gen, 5);
}

static size_t
items(const struct trace_table *t)
{
	size_t n = 0;

	for (const struct trace_block *b = t->blocks; b != NULL; b = b->next)
		for (const struct trace_item *i = wf_trace_item_first(b); i != NULL;
		     i = wf_trace_item_next(b, i))
			n++;
	return n;
}

/* Equal things share a number, as long as they are not forgotten; all have one of their own. */
TEST(a_table_numbers_what_it_holds)
{
	struct trace_table t = { NULL, 0 };
	char text[64] = "";

	EXPECT_EQ(wf_trace_intern(&t, 1, "one", 3), 1);
	EXPECT_EQ(wf_trace_intern(&t, 1, "two", 3), 2);
	EXPECT_EQ(wf_trace_intern(&t, 1, "one", 3), 1);
	EXPECT_EQ(wf_trace_intern(&t, 1, "", 0), 3);
	EXPECT_EQ(items(&t), 3);
	for (uint32_t i = 0; i < 5000; i++) {	/* several blocks */
		memcpy(text, &i, sizeof(i));
		EXPECT_EQ(wf_trace_intern(&t, 1, text, sizeof(text)), 4 + i);
		EXPECT_EQ(wf_trace_intern(&t, 1, text, sizeof(text)), 4 + i);
	}
	EXPECT_EQ(items(&t), 5003);
	EXPECT(t.blocks->next != NULL);
	wf_trace_block_free(t.blocks);
}

TEST(a_thing_too_long_for_a_block_has_no_number)
{
	static char text[TRACE_BLOCK_BYTES];
	struct trace_table t = { NULL, 0 };

	EXPECT_EQ(wf_trace_intern(&t, 1, text, sizeof(text)), 0);
	EXPECT_EQ(wf_trace_intern(&t, 1, text, 1000), 1);
	wf_trace_block_free(t.blocks);
}

/* A reader that does not keep up must not eat all memory. */
TEST(blocks_are_counted_and_bounded)
{
	struct trace_block *list = NULL, *b;
	size_t n = 0;

	EXPECT_EQ(wf_trace_block_used(), 0);
	while ((b = wf_trace_block_new(false)) != NULL) {
		b->next = list;
		list = b;
		n++;
	}
	EXPECT_EQ(n, TRACE_USED_MAX / TRACE_BLOCK_BYTES);
	EXPECT_EQ(wf_trace_block_used(), TRACE_USED_MAX);
	wf_trace_block_free(list);
	EXPECT_EQ(wf_trace_block_used(), 0);
	b = wf_trace_block_new(false);
	EXPECT(b != NULL && b->n == 0 && b->next == NULL);
	wf_trace_block_free(b);
	wf_trace_block_trim();
}
