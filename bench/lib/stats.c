/*
 * What was measured of one case: for each metric, and for each who measured it, a value a round.
 * A ratio is the median of the rounds' ratios, not the ratio of the medians: what disturbs one
 * round disturbs both sides of it.
 */
#include "lib/stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_METRICS = 256, NAME_LEN = 80, BY_LEN = 16, MAX_BYS = 16 };

struct metric {
	char name[NAME_LEN], by[BY_LEN], unit[16];
	double v[STATS_MAX_RUNS];	/* by round; NAN where it has none */
	int rounds;
};

struct spread {
	double median, min, max;
	int n;
};

static struct metric metrics[MAX_METRICS];
static int n_metrics;
static struct { char by[BY_LEN]; double busy; int n; } others[MAX_BYS];

void
stats_reset(void)
{
	n_metrics = 0;
	memset(others, 0, sizeof(others));
}

static struct metric *
find(const char *name, const char *by)
{
	for (int i = 0; i < n_metrics; i++) {
		if (strcmp(metrics[i].name, name) == 0 && strcmp(metrics[i].by, by) == 0)
			return &metrics[i];
	}
	return NULL;
}

static struct metric *
add(const char *name, const char *by, const char *unit)
{
	struct metric *m;

	if (n_metrics == MAX_METRICS)
		return NULL;
	m = &metrics[n_metrics++];
	snprintf(m->name, sizeof(m->name), "%s", name);
	snprintf(m->by, sizeof(m->by), "%s", by);
	snprintf(m->unit, sizeof(m->unit), "%.15s", unit);
	m->rounds = 0;
	for (int i = 0; i < STATS_MAX_RUNS; i++)
		m->v[i] = NAN;
	return m;
}

void
stats_take(const char *case_name, const char *by, int round, char *line)
{
	char *unit = strchr(line, '\t'), *value = unit != NULL ? strchr(unit + 1, '\t') : NULL;
	char name[NAME_LEN];
	struct metric *m;

	if (value == NULL || round >= STATS_MAX_RUNS)
		return;
	*unit++ = '\0';
	*value++ = '\0';
	snprintf(name, sizeof(name), "%.38s%s%.24s", case_name, *line != '\0' ? "." : "", line);
	m = find(name, by);
	if (m == NULL)
		m = add(name, by, unit);
	if (m == NULL)
		return;
	m->v[round] = atof(value);
	m->rounds = round + 1;
}

void
stats_others(const char *by, double busy)
{
	for (int i = 0; i < MAX_BYS; i++) {
		if (others[i].by[0] == '\0')
			snprintf(others[i].by, sizeof(others[i].by), "%s", by);
		if (strcmp(others[i].by, by) == 0) {
			others[i].busy += busy > 0 ? busy : 0;
			others[i].n++;
			return;
		}
	}
}

static double
others_of(const char *by)
{
	for (int i = 0; i < MAX_BYS; i++) {
		if (strcmp(others[i].by, by) == 0 && others[i].n > 0)
			return others[i].busy / others[i].n;
	}
	return 0;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of v[0..n), without those that are not numbers. */
static struct spread
spread_of(const double *v, int n)
{
	double sorted[STATS_MAX_RUNS];
	struct spread s = {NAN, NAN, NAN, 0};

	for (int i = 0; i < n; i++) {
		if (isfinite(v[i]))
			sorted[s.n++] = v[i];
	}
	if (s.n == 0)
		return s;
	qsort(sorted, (size_t)s.n, sizeof(sorted[0]), compare);
	s.min = sorted[0];
	s.max = sorted[s.n - 1];
	s.median = (sorted[(s.n - 1) / 2] + sorted[s.n / 2]) / 2;
	return s;
}

/* weft's value over m's, round by round. Without a value where weft has none. */
static struct spread
ratio_to_weft(const struct metric *m)
{
	const struct metric *w = find(m->name, "weft");
	double v[STATS_MAX_RUNS];

	if (w == NULL || w == m)
		return spread_of(NULL, 0);
	for (int i = 0; i < m->rounds; i++)
		v[i] = w->v[i] / m->v[i];
	return spread_of(v, m->rounds);
}

/* "12.3" or "12345": three digits that mean something, no exponent. */
static const char *
pretty(double v, char *buf, size_t n)
{
	double size = v < 0 ? -v : v;

	snprintf(buf, n, size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.2f", v);
	return buf;
}

static void
print_one(const char *bench, const struct metric *m, FILE *tsv)
{
	struct spread s = spread_of(m->v, m->rounds), r = ratio_to_weft(m);
	double busy = others_of(m->by);
	char median[32], low[32], high[32];

	printf("%-40s %-8s %10s %-5s (%s - %s, n=%d, others %.0f %%)", m->name, m->by,
	    pretty(s.median, median, sizeof(median)), m->unit, pretty(s.min, low, sizeof(low)),
	    pretty(s.max, high, sizeof(high)), s.n, busy * 100);
	if (r.n > 0)
		printf("  weft/%s %.3f (%.3f - %.3f)", m->by, r.median, r.min, r.max);
	putchar('\n');
	if (tsv == NULL)
		return;
	fprintf(tsv, "%s\t%s\t%s\t%s\t%.6g\t%.6g\t%.6g\t%d\t%.2f", bench, m->name, m->by, m->unit,
	    s.median, s.min, s.max, s.n, busy);
	if (r.n > 0)
		fprintf(tsv, "\t%.4g\t%.4g\t%.4g\n", r.median, r.min, r.max);
	else
		fputs("\t\t\t\n", tsv);
}

void
stats_print(const char *bench, FILE *tsv)
{
	/* Whoever measured a metric, side by side, in the order in which they first did. */
	for (int i = 0; i < n_metrics; i++) {
		bool is_first = true;

		for (int k = 0; k < i; k++)
			is_first &= strcmp(metrics[k].name, metrics[i].name) != 0;
		for (int k = i; is_first && k < n_metrics; k++) {
			if (strcmp(metrics[k].name, metrics[i].name) == 0)
				print_one(bench, &metrics[k], tsv);
		}
	}
	fflush(stdout);
	if (tsv != NULL)
		fflush(tsv);
}
