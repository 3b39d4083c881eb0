#include "proxy/shadow/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool last_byte_is_newline(int fd, off_t size)
{
	char last = 0;

	return size == 0 || (pread(fd, &last, 1, size - 1) == 1 && last == '\n');
}

/* The first bytes of a record, however a program laid it out: {"v": */
static bool begins_with_record(int fd)
{
	static const char begin[] = "{\"v\":";
	char text[256];
	ssize_t n = pread(fd, text, sizeof text, 0);
	size_t matched = 0;

	for (ssize_t i = 0; i < n && matched < sizeof begin - 1; i++) {
		if (text[i] == begin[matched])
			matched++;
		else if (!strchr(" \t\r\n", text[i]) || text[i] == '\0')
			return false;
	}

	return matched == sizeof begin - 1;
}

static bool refuse_foreign(int fd, const struct stat *st, const char *path, struct error *error)
{
	return !S_ISREG(st->st_mode) || st->st_size == 0 || begins_with_record(fd) ||
	       error_set(error,
		       "%s is not a discrepancy log: it begins with something else than a record "
		       "({\"v\":...})",
		       path);
}

/* A name beside it, because one that is seen might be taken by a run. */
bool journal_file_creatable(const char *path, struct error *error)
{
	char name[4096];
	int fd;

	if ((size_t)snprintf(name, sizeof name, "%s.XXXXXX", path) >= sizeof name)
		return error_set(error, "path %s cannot be written: too long", path);
	fd = mkstemp(name);
	if (fd < 0)
		return error_set(error, "path %s cannot be written: %s", path, strerror(errno));
	unlink(name);
	close(fd);

	return true;
}

bool journal_file_usable(const char *path, bool *foreign, struct error *error)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK);

	*foreign = false;
	if (fd < 0 && errno == ENOENT)
		return journal_file_creatable(path, error);
	if (fd < 0)
		return error_set(error, "path %s cannot be written: %s", path, strerror(errno));
	*foreign = fstat(fd, &st) == 0 && !refuse_foreign(fd, &st, path, error);
	close(fd);

	return !*foreign;
}

bool journal_file_open(struct journal_file *f, const char *path, struct error *error)
{
	struct stat st;
	/* Readable too: the last byte tells whether an earlier process died within a line. */
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set(
			error, "cannot open the discrepancy log %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0) {
		close(fd);
		return error_set(
			error, "cannot look at the discrepancy log %s: %s", path, strerror(errno));
	}
	if (!refuse_foreign(fd, &st, path, error)) {
		close(fd);
		return false;
	}
	*f = (struct journal_file){.fd = fd, .regular = S_ISREG(st.st_mode)};
	if (!f->regular)
		return true;
	if ((st.st_mode & 077) && fchmod(fd, 0600) < 0) {
		close(fd);
		return error_set(error,
			"the discrepancy log %s can be read by others, and that cannot be changed: "
			"%s",
			path, strerror(errno));
	}
	f->size = (uint64_t)st.st_size;
	f->torn = !last_byte_is_newline(fd, st.st_size);

	return true;
}

bool journal_file_lock(struct journal_file *f, const char *path, struct error *error)
{
	if (!f->regular || flock(f->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return true; /* a file system without locks has none to respect */

	return error_set(error, "another pgumbra writes the discrepancy log %s", path);
}

void journal_file_share(struct journal_file *f)
{
	if (f->fd >= 0 && f->regular)
		(void)!flock(f->fd, LOCK_SH | LOCK_NB);
}

bool journal_file_same(const struct journal_file *a, const struct journal_file *b)
{
	struct stat x, y;

	return fstat(a->fd, &x) == 0 && fstat(b->fd, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* ---- before a run ---- */

enum { BUSY_MS = 2000, ENDING_MS = 30000, LOOK_EVERY_MS = 50 };

enum holder { HOLDER_NONE, HOLDER_ENDS, HOLDER_RUNS };

static enum holder holder_of(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return HOLDER_NONE;

	return flock(fd, LOCK_SH | LOCK_NB) == 0 ? HOLDER_ENDS : HOLDER_RUNS;
}

bool journal_log_is_free(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const bool is_free = fd < 0 || holder_of(fd) == HOLDER_NONE;

	if (fd >= 0)
		close(fd); /* and with it the lock */

	return is_free;
}

bool journal_wait_for_log(const char *path, void (*on_wait)(const char *path), struct error *error)
{
	static const struct timespec pause = {0, LOOK_EVERY_MS * 1000000};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum holder holder = HOLDER_NONE;
	bool told = false;

	for (int waited = 0; fd >= 0; waited += LOOK_EVERY_MS) {
		holder = holder_of(fd);
		if (holder == HOLDER_NONE ||
			waited >= (holder == HOLDER_ENDS ? ENDING_MS : BUSY_MS))
			break;
		(void)flock(fd, LOCK_UN);
		if (holder == HOLDER_ENDS && !told)
			on_wait(path);
		told |= holder == HOLDER_ENDS;
		nanosleep(&pause, NULL);
	}
	if (fd >= 0)
		close(fd);

	return holder == HOLDER_NONE ||
	       error_set(error,
		       "another pgumbra writes the discrepancy log %s: give each its own, reports "
		       "add them up",
		       path);
}

/* Returns how much was written; short only with errno set. */
static size_t write_all(int fd, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, data + done, len - done);

		if (n > 0) {
			done += (size_t)n;
		} else if (n == 0) {
			errno = ENOSPC;
			break;
		} else if (errno != EINTR) {
			break;
		}
	}

	return done;
}

/* Takes back a piece of a line at the end; not when somebody else wrote behind it. */
static bool take_back(struct journal_file *f, size_t piece)
{
	struct stat st;

	return f->regular && fstat(f->fd, &st) == 0 && (uint64_t)st.st_size == f->size + piece &&
	       ftruncate(f->fd, (off_t)f->size) == 0;
}

bool journal_file_append(struct journal_file *f, const char *line, size_t len)
{
	size_t done;
	int saved;

	if (f->torn) {
		if (write_all(f->fd, "\n", 1) != 1)
			return false;
		f->torn = false;
		f->size++;
	}
	done = write_all(f->fd, line, len);
	if (done == len) {
		f->size += len;
		return true;
	}
	saved = errno;
	if (done > 0 && !take_back(f, done)) {
		f->torn = true; /* the next line is kept apart from this piece */
		f->size += done;
	}
	errno = saved;

	return false;
}

void journal_file_sync(struct journal_file *f)
{
	if (f->fd >= 0 && f->regular)
		(void)!fsync(f->fd); /* nothing better is left to do when this fails */
}

void journal_file_close(struct journal_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}
