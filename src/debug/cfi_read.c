/*
 * Reading .eh_frame: numbers, pointers, and the entry of a function. See cfi.h.
 */
#include "debug/cfi.h"

#include <string.h>

/* Pointer encodings (DW_EH_PE_). */
#define PE_ABSPTR 0x00
#define PE_ULEB 0x01
#define PE_UDATA2 0x02
#define PE_UDATA4 0x03
#define PE_UDATA8 0x04
#define PE_SLEB 0x09
#define PE_SDATA2 0x0a
#define PE_SDATA4 0x0b
#define PE_SDATA8 0x0c
#define PE_FORMAT 0x0f
#define PE_PCREL 0x10
#define PE_DATAREL 0x30
#define PE_BASE 0x70
#define PE_INDIRECT 0x80
#define PE_OMIT 0xff
/* The only sort of search table that linkers write. */
#define PE_TABLE (PE_DATAREL | PE_SDATA4)

uint64_t
wf_cursor_fixed(struct wf_cursor *r, unsigned bytes)
{
	uint64_t v = 0;

	if (r->is_bad || (size_t)(r->end - r->p) < bytes) {
		r->is_bad = true;
		return 0;
	}
	memcpy(&v, r->p, bytes);	/* both processors are little-endian here */
	r->p += bytes;
	return v;
}

uint64_t
wf_cursor_uleb(struct wf_cursor *r)
{
	uint64_t v = 0, byte;
	unsigned shift = 0;

	do {
		byte = wf_cursor_fixed(r, 1);
		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return v;
}

int64_t
wf_cursor_sleb(struct wf_cursor *r)
{
	uint64_t v = 0, byte;
	unsigned shift = 0;

	do {
		byte = wf_cursor_fixed(r, 1);
		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (shift < 64 && (byte & 0x40))
		v |= ~(uint64_t)0 << shift;
	return (int64_t)v;
}

uint64_t
wf_cursor_pointer(struct wf_cursor *r, uint8_t enc, uintptr_t data)
{
	uintptr_t here = (uintptr_t)r->p;
	uint64_t v;

	switch (enc & PE_FORMAT) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		v = wf_cursor_fixed(r, 8);
		break;
	case PE_UDATA2:
		v = wf_cursor_fixed(r, 2);
		break;
	case PE_SDATA2:
		v = (uint64_t)(int64_t)(int16_t)wf_cursor_fixed(r, 2);
		break;
	case PE_UDATA4:
		v = wf_cursor_fixed(r, 4);
		break;
	case PE_SDATA4:
		v = (uint64_t)(int64_t)(int32_t)wf_cursor_fixed(r, 4);
		break;
	case PE_ULEB:
		v = wf_cursor_uleb(r);
		break;
	case PE_SLEB:
		v = (uint64_t)wf_cursor_sleb(r);
		break;
	default:
		r->is_bad = true;
		return 0;
	}
	if ((enc & PE_BASE) == PE_PCREL)
		v += here;
	else if ((enc & PE_BASE) == PE_DATAREL)
		v += data;
	else if ((enc & PE_BASE) != 0)
		r->is_bad = true;
	return v;
}

/* The bytes of the entry at p, after its length and up to its end. */
static struct wf_cursor
entry_at(const struct wf_os_elf *elf, const uint8_t *p)
{
	struct wf_cursor r = {.p = p, .end = (const uint8_t *)elf->hi};
	uint64_t n;

	if ((uintptr_t)p < elf->lo || (uintptr_t)p >= elf->hi)
		r.is_bad = true;
	n = wf_cursor_fixed(&r, 4);
	if (n == 0xffffffff)
		n = wf_cursor_fixed(&r, 8);
	if (n == 0 || n > (uint64_t)(r.end - r.p))
		r.is_bad = true;
	else
		r.end = r.p + n;
	return r;
}

/* The part that functions share: augmentation string, alignments, encodings. */
static bool
read_cie(const struct wf_os_elf *elf, const uint8_t *p, struct wf_fde *f, bool *ret_has_size)
{
	struct wf_cursor r = entry_at(elf, p);
	const char *aug;
	uint8_t version;
	const uint8_t *after = NULL;

	if (wf_cursor_fixed(&r, 4) != 0)
		return false;
	version = (uint8_t)wf_cursor_fixed(&r, 1);
	aug = (const char *)r.p;
	while (wf_cursor_fixed(&r, 1) != 0)
		continue;
	if (r.is_bad || (version != 1 && version != 3))
		return false;
	f->code_align = wf_cursor_uleb(&r);
	f->data_align = wf_cursor_sleb(&r);
	f->ra = version == 1 ? wf_cursor_fixed(&r, 1) : wf_cursor_uleb(&r);
	f->enc = PE_ABSPTR;
	*ret_has_size = aug[0] == 'z';
	if (aug[0] == 'z') {
		uint64_t n = wf_cursor_uleb(&r);

		if (r.is_bad || n > (uint64_t)(r.end - r.p))
			return false;
		after = r.p + n;
		aug++;
	}
	for (; *aug != '\0'; aug++) {
		if (*aug == 'R')
			f->enc = (uint8_t)wf_cursor_fixed(&r, 1);
		else if (*aug == 'L')
			(void)wf_cursor_fixed(&r, 1);
		else if (*aug == 'P')
			(void)wf_cursor_pointer(&r, (uint8_t)wf_cursor_fixed(&r, 1), 0);
		else if (*aug == 'S')
			f->is_signal = true;
		else if (*aug != 'B')
			break;		/* unknown: its data is skipped by the length */
	}
	if (after == NULL && *aug != '\0')
		return false;
	f->cie_code = after != NULL ? after : r.p;
	f->cie_code_end = r.end;
	return !r.is_bad && f->ra < WF_NREGS;
}

static bool
read_fde(const struct wf_os_elf *elf, const uint8_t *p, struct wf_fde *f)
{
	struct wf_cursor r = entry_at(elf, p);
	const uint8_t *here = r.p;
	uint64_t back = wf_cursor_fixed(&r, 4);
	bool has_size;

	if (r.is_bad || back == 0 || back > (uint64_t)((uintptr_t)here - elf->lo))
		return false;
	if (!read_cie(elf, here - back, f, &has_size) || (f->enc & PE_INDIRECT))
		return false;
	f->start = (uintptr_t)wf_cursor_pointer(&r, f->enc, 0);
	f->end = f->start + (uintptr_t)wf_cursor_pointer(&r, f->enc & PE_FORMAT, 0);
	if (has_size) {
		uint64_t n = wf_cursor_uleb(&r);

		if (r.is_bad || n > (uint64_t)(r.end - r.p))
			return false;
		r.p += n;
	}
	f->code = r.p;
	f->code_end = r.end;
	return !r.is_bad;
}

/* .eh_frame_hdr: a sorted table of (function, entry), both relative to the table. */
bool
wf_fde_find(const struct wf_os_elf *elf, uintptr_t pc, struct wf_fde *ret)
{
	uintptr_t hdr = elf->eh_frame_hdr;
	struct wf_cursor r = {.p = (const uint8_t *)hdr, .end = (const uint8_t *)elf->hi};
	uint8_t version, frame_enc, count_enc, table_enc;
	uint64_t n, lo = 0, hi;
	int32_t pair[2];

	if (hdr < elf->lo || hdr >= elf->hi)
		return false;
	version = (uint8_t)wf_cursor_fixed(&r, 1);
	frame_enc = (uint8_t)wf_cursor_fixed(&r, 1);
	count_enc = (uint8_t)wf_cursor_fixed(&r, 1);
	table_enc = (uint8_t)wf_cursor_fixed(&r, 1);
	if (version != 1 || count_enc == PE_OMIT || table_enc != PE_TABLE)
		return false;
	if (frame_enc != PE_OMIT)
		(void)wf_cursor_pointer(&r, frame_enc, hdr);
	n = wf_cursor_pointer(&r, count_enc, hdr);
	if (r.is_bad || n == 0 || n > (uint64_t)(r.end - r.p) / sizeof(pair))
		return false;
	for (hi = n; hi - lo > 1;) {
		uint64_t mid = lo + (hi - lo) / 2;

		memcpy(pair, r.p + mid * sizeof(pair), sizeof(pair));
		if (hdr + (uintptr_t)(intptr_t)pair[0] <= pc)
			lo = mid;
		else
			hi = mid;
	}
	memcpy(pair, r.p + lo * sizeof(pair), sizeof(pair));
	memset(ret, 0, sizeof(*ret));
	if (!read_fde(elf, (const uint8_t *)(hdr + (uintptr_t)(intptr_t)pair[1]), ret))
		return false;
	return pc >= ret->start && pc < ret->end;
}
