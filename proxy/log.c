#include "proxy/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static char process_name[16] = "pgumbra";
static atomic_int level_limit = LOG_LEVEL_INFO;

void log_init(const char *process, enum log_level level)
{
	snprintf(process_name, sizeof process_name, "%s", process);
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	atomic_store(&level_limit, (int)level);
}

bool log_level_from_name(const char *name, enum log_level *out)
{
	for (unsigned i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
		if (strcmp(level_names[i], name) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}

	return false;
}

/* "2026-11-22 13:00:00.123 UTC relay[42] warning: " */
static size_t put_prefix(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	char clock[32];
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(clock, sizeof clock, "%Y-%m-%d %H:%M:%S", &utc);
	n = snprintf(line, size, "%s.%03ld UTC %s[%ld] %s: ", clock, now.tv_nsec / 1000000,
		process_name, (long)getpid(), level_names[level]);

	return (size_t)n;
}

/* A line stays a line whatever the texts in it hold. */
static void blank_controls(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
	}
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t len;
	int n;
	va_list args;

	if ((int)level > atomic_load_explicit(&level_limit, memory_order_relaxed))
		return;

	len = put_prefix(line, sizeof line, level);
	va_start(args, format);
	n = vsnprintf(line + len, sizeof line - len, format, args);
	va_end(args);
	if (n > 0)
		len = len + (size_t)n < sizeof line ? len + (size_t)n : sizeof line - 1;
	blank_controls(line, len);
	line[len] = '\n'; /* in place of the NUL */
	if (write(STDERR_FILENO, line, len + 1) < 0)
		return; /* nowhere to say it */
}
