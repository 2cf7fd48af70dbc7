/*
 * Dates as HTTP writes them. Own arithmetic and not gmtime_r(): that takes the C
 * library's time zone lock, and one date a response is too often for a lock that
 * every thread shares. The calendar is the proleptic Gregorian one.
 */
#include "httpd.h"

#include <string.h>
#include <strings.h>

#define DAY INT64_C(86400)

static const char days[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
	"Oct", "Nov", "Dec" };

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * Days from 1970-01-01 to a date, and back. Years are counted from March, so that
 * the leap day is the last of its year and the lengths of the months before it
 * follow one formula: 153 days each five months.
 */
static int64_t
days_from_date(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = floor_div(y, 400);
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

static void
date_from_days(int64_t z, int64_t *ret_year, int *ret_month, int *ret_day)
{
	int64_t era = floor_div(z + 719468, 146097);
	int64_t doe = z + 719468 - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t m = (5 * doy + 2) / 153;

	*ret_day = (int)(doy - (153 * m + 2) / 5 + 1);
	*ret_month = (int)(m < 10 ? m + 3 : m - 9);
	*ret_year = yoe + era * 400 + (*ret_month <= 2);
}

static void
put2(char *to, int64_t v)
{
	to[0] = (char)('0' + v / 10 % 10);
	to[1] = (char)('0' + v % 10);
}

void
http_date_format(char *to, int64_t t)
{
	int64_t day_number, second, year;
	int month, day;

	/* Four digits is all the format has. */
	if (t < 0)
		t = 0;
	if (t > INT64_C(253402300799))
		t = INT64_C(253402300799);
	day_number = t / DAY;
	second = t % DAY;
	date_from_days(day_number, &year, &month, &day);

	memcpy(to, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_LEN);
	memcpy(to, days[day_number % 7], 3);
	put2(to + 5, day);
	memcpy(to + 8, months[month - 1], 3);
	put2(to + 12, year / 100);
	put2(to + 14, year % 100);
	put2(to + 17, second / 3600);
	put2(to + 20, second / 60 % 60);
	put2(to + 23, second % 60);
}

/* A cursor over the text of a date; every step fails once one has. */
struct scan {
	const char *p, *end;
	bool ok;
};

static void
skip(struct scan *s, const char *chars)
{
	while (s->p < s->end && *s->p && strchr(chars, *s->p))
		s->p++;
}

static int
number(struct scan *s, int width_max)
{
	int v = 0, n = 0;

	while (n < width_max && s->p < s->end && *s->p >= '0' && *s->p <= '9') {
		v = v * 10 + (*s->p++ - '0');
		n++;
	}
	if (n == 0)
		s->ok = false;
	return v;
}

static int
month_name(struct scan *s)
{
	if (s->end - s->p >= 3) {
		for (int m = 0; m < 12; m++) {
			if (!strncasecmp(s->p, months[m], 3)) {
				s->p += 3;
				return m + 1;
			}
		}
	}
	s->ok = false;
	return 1;
}

static int64_t
time_of_day(struct scan *s)
{
	int h = number(s, 2), m, sec;

	skip(s, ":");
	m = number(s, 2);
	skip(s, ":");
	sec = number(s, 2);
	if (h > 23 || m > 59 || sec > 60)
		s->ok = false;
	return h * 3600 + m * 60 + sec;
}

bool
http_date_parse(struct span text, int64_t *ret)
{
	struct scan s = { text.p, text.p + text.n, text.n > 0 };
	int64_t seconds;
	int year, month, day;

	/* The name of the day says nothing that the rest does not. */
	while (s.p < s.end && *s.p != ' ' && *s.p != ',')
		s.p++;
	skip(&s, ", ");
	if (s.p < s.end && *s.p >= '0' && *s.p <= '9') {
		/* "06 Nov 1994 08:49:37 GMT" or "06-Nov-94 08:49:37 GMT" */
		const char *start;

		day = number(&s, 2);
		skip(&s, " -");
		month = month_name(&s);
		skip(&s, " -");
		start = s.p;
		year = number(&s, 4);
		if (s.p - start == 2)
			year += year < 70 ? 2000 : 1900;
		skip(&s, " ");
		seconds = time_of_day(&s);
		skip(&s, " ");
		if (s.end - s.p != 3 || memcmp(s.p, "GMT", 3))
			return false;
	} else {
		/* "Nov  6 08:49:37 1994" */
		month = month_name(&s);
		skip(&s, " ");
		day = number(&s, 2);
		skip(&s, " ");
		seconds = time_of_day(&s);
		skip(&s, " ");
		year = number(&s, 4);
		if (s.p != s.end)
			return false;
	}
	if (!s.ok || day < 1 || day > 31)
		return false;
	*ret = days_from_date(year, month, day) * DAY + seconds;
	return true;
}
