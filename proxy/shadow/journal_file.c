#include "proxy/shadow/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool last_byte_is_newline(int fd, off_t size)
{
	char last = 0;

	return size == 0 || (pread(fd, &last, 1, size - 1) == 1 && last == '\n');
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
