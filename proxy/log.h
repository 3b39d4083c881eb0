/* The operator's log: one line an event on stderr (journald and friends take it from there), with
 * time, level and process. Lower case, cause first; never a value, never a secret. Thread-safe: one
 * write(2) a line. Both processes use it.
 */
#ifndef PGUMBRA_PROXY_LOG_H
#define PGUMBRA_PROXY_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *process, enum log_level level); /* "relay" or "shadow" */
void log_set_level(enum log_level level);		  /* any thread, and signal handlers */
bool log_level_from_name(const char *name, enum log_level *out);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
