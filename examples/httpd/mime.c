/*
 * Content types, by the end of a name or else by how a file begins. Text says that
 * it is UTF-8: nothing else is written today, and a browser that must guess guesses
 * wrong.
 */
#include "httpd.h"

#include <string.h>
#include <strings.h>

#define UTF8 "; charset=utf-8"

/* Sorted by extension: looked up by bisection. */
static const struct {
	const char *ext, *type;
} types[] = {
	{ "7z", "application/x-7z-compressed" },
	{ "atom", "application/atom+xml" },
	{ "avif", "image/avif" },
	{ "bmp", "image/bmp" },
	{ "bz2", "application/x-bzip2" },
	{ "c", "text/plain" UTF8 },
	{ "cc", "text/plain" UTF8 },
	{ "cmake", "text/plain" UTF8 },
	{ "conf", "text/plain" UTF8 },
	{ "cpp", "text/plain" UTF8 },
	{ "css", "text/css" UTF8 },
	{ "csv", "text/csv" UTF8 },
	{ "deb", "application/vnd.debian.binary-package" },
	{ "eot", "application/vnd.ms-fontobject" },
	{ "epub", "application/epub+zip" },
	{ "flac", "audio/flac" },
	{ "gif", "image/gif" },
	{ "go", "text/plain" UTF8 },
	{ "gz", "application/gzip" },
	{ "h", "text/plain" UTF8 },
	{ "hpp", "text/plain" UTF8 },
	{ "htm", "text/html" UTF8 },
	{ "html", "text/html" UTF8 },
	{ "ico", "image/vnd.microsoft.icon" },
	{ "ics", "text/calendar" UTF8 },
	{ "ini", "text/plain" UTF8 },
	{ "jpeg", "image/jpeg" },
	{ "jpg", "image/jpeg" },
	{ "js", "text/javascript" UTF8 },
	{ "json", "application/json" },
	{ "jsonld", "application/ld+json" },
	{ "jxl", "image/jxl" },
	{ "log", "text/plain" UTF8 },
	{ "m4a", "audio/mp4" },
	{ "map", "application/json" },
	/* Not text/markdown: some browsers would save the page instead of showing it. */
	{ "md", "text/plain" UTF8 },
	{ "mid", "audio/midi" },
	{ "mjs", "text/javascript" UTF8 },
	{ "mkv", "video/matroska" },
	{ "mov", "video/quicktime" },
	{ "mp3", "audio/mpeg" },
	{ "mp4", "video/mp4" },
	{ "mpeg", "video/mpeg" },
	{ "odt", "application/vnd.oasis.opendocument.text" },
	{ "oga", "audio/ogg" },
	{ "ogg", "audio/ogg" },
	{ "ogv", "video/ogg" },
	{ "opus", "audio/ogg" },
	{ "otf", "font/otf" },
	{ "pdf", "application/pdf" },
	{ "png", "image/png" },
	{ "ps", "application/postscript" },
	{ "py", "text/plain" UTF8 },
	{ "rss", "application/rss+xml" },
	{ "rst", "text/plain" UTF8 },
	{ "rtf", "application/rtf" },
	{ "sh", "text/plain" UTF8 },
	{ "svg", "image/svg+xml" },
	{ "tar", "application/x-tar" },
	{ "tgz", "application/gzip" },
	{ "tif", "image/tiff" },
	{ "tiff", "image/tiff" },
	{ "toml", "application/toml" },
	{ "tsv", "text/tab-separated-values" UTF8 },
	{ "ttf", "font/ttf" },
	{ "txt", "text/plain" UTF8 },
	{ "vtt", "text/vtt" UTF8 },
	{ "wasm", "application/wasm" },
	{ "wav", "audio/wav" },
	{ "weba", "audio/webm" },
	{ "webm", "video/webm" },
	{ "webmanifest", "application/manifest+json" },
	{ "webp", "image/webp" },
	{ "woff", "font/woff" },
	{ "woff2", "font/woff2" },
	{ "xhtml", "application/xhtml+xml" },
	{ "xml", "application/xml" },
	{ "xz", "application/x-xz" },
	{ "yaml", "application/yaml" },
	{ "yml", "application/yaml" },
	{ "zip", "application/zip" },
	{ "zst", "application/zstd" },
};

const char *
mime_by_name(const char *name, size_t n)
{
	size_t lo = 0, hi = sizeof(types) / sizeof(types[0]);
	size_t ext = n;

	while (ext > 0 && name[ext - 1] != '.' && name[ext - 1] != '/')
		ext--;
	if (ext == 0 || name[ext - 1] != '.')
		return NULL;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int cmp = strcasecmp(name + ext, types[mid].ext);

		if (cmp == 0)
			return types[mid].type;
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* Text has no control characters but those that lay it out. */
const char *
mime_by_content(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if ((c < 0x20 && !memchr("\t\n\f\r\033", c, 5)) || c == 0x7f)
			return "application/octet-stream";
	}
	return "text/plain" UTF8;
}
