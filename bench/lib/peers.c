/*
 * Finds the programs to compare with, beside the one that runs.
 */
#define _GNU_SOURCE
#include "lib/peers.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_BYTES = 16384 };

static struct {
	char path[PATH_MAX];
	const char *by;
	char list[LIST_BYTES];		/* "\nNAME\nNAME\n..." */
} peers[PEERS_MAX];
static int n_peers;

/* What peer i says to --list. Returns false if it cannot be asked. */
static bool
read_list(int i)
{
	char command[PATH_MAX + 16];
	FILE *f;
	size_t n;

	snprintf(command, sizeof(command), "'%s' --list", peers[i].path);
	f = popen(command, "re");
	if (f == NULL)
		return false;
	peers[i].list[0] = '\n';
	n = fread(peers[i].list + 1, 1, LIST_BYTES - 2, f);
	peers[i].list[n + 1] = '\0';
	return pclose(f) == 0;
}

static void
add(const char *path)
{
	if (n_peers == PEERS_MAX || access(path, X_OK) != 0)
		return;
	snprintf(peers[n_peers].path, sizeof(peers[n_peers].path), "%s", path);
	peers[n_peers].by = strrchr(peers[n_peers].path, '/') + 1;
	if (!peers_wanted(peers[n_peers].by))
		return;
	if (read_list(n_peers))
		n_peers++;
	else
		fprintf(stderr, "bench: %s does not answer --list\n", path);
}

void
peers_find(void)
{
	char here[PATH_MAX - 16], text[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);
	glob_t found;

	if (n < 0)
		return;
	here[n] = '\0';
	*strrchr(here, '/') = '\0';
	snprintf(text, sizeof(text), "%s/load/load", here);
	setenv("BENCH_LOAD", text, 0);
	snprintf(text, sizeof(text), "%s/peers/*", here);
	if (glob(text, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		add(found.gl_pathv[i]);
	globfree(&found);
}

bool
peers_wanted(const char *by)
{
	const char *only = getenv("BENCH_BY"), *at;
	size_t n = strlen(by);

	if (only == NULL || *only == '\0' || strcmp(by, "weft") == 0)
		return true;
	for (at = only; (at = strstr(at, by)) != NULL; at += n) {
		if ((at == only || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' '))
			return true;
	}
	return false;
}

int
peers_count(void)
{
	return n_peers;
}

const char *
peers_path(int i)
{
	return peers[i].path;
}

const char *
peers_by(int i)
{
	return peers[i].by;
}

bool
peers_has_case(int i, const char *name)
{
	char line[128];

	snprintf(line, sizeof(line), "\n%s\n", name);
	return strstr(peers[i].list, line) != NULL;
}
