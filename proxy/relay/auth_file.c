#include "proxy/relay/auth_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
	char role[AUTH_ROLE_BYTES_MAX];
	uint8_t role_len;
	unsigned line;
	struct scram_secret secret;
};

struct auth_file {
	struct entry *entry; /* owned; by role, each once */
	size_t count, room;
};

static struct span cut(struct span role)
{
	return span_of(role.data, role.len < AUTH_ROLE_BYTES_MAX ? role.len : AUTH_ROLE_BYTES_MAX);
}

static int compare_names(struct span a, struct span b)
{
	const int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static struct span role_of(const struct entry *e)
{
	return span_of(e->role, e->role_len);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *first = a, *second = b;
	const int order = compare_names(role_of(first), role_of(second));

	return order != 0 ? order : (first->line > second->line) - (first->line < second->line);
}

/* --- reading --- */

static void skip_blanks(struct span *rest)
{
	while (rest->len > 0 && (*rest->data == ' ' || *rest->data == '\t'))
		*rest = span_of(rest->data + 1, rest->len - 1);
}

/* A text between double quotes; false when it doesn't end. */
static bool read_quoted(struct span *rest, struct buffer *out)
{
	skip_blanks(rest);
	buffer_clear(out);
	if (rest->len == 0 || *rest->data != '"')
		return false;
	for (size_t i = 1; i < rest->len; i++) {
		if (rest->data[i] != '"') {
			buffer_add_u8(out, rest->data[i]);
		} else if (i + 1 < rest->len && rest->data[i + 1] == '"') {
			buffer_add_u8(out, rest->data[i++]);
		} else {
			*rest = span_of(rest->data + i + 1, rest->len - i - 1);
			return !out->failed;
		}
	}

	return false;
}

/* Grows by hand, so that the old place can be wiped. */
static struct entry *new_entry(struct auth_file *f)
{
	const size_t room = f->room ? 2 * f->room : 64;
	struct entry *grown;

	if (f->count < f->room)
		return &f->entry[f->count++];
	grown = calloc(room, sizeof *grown);
	if (!grown)
		return NULL;
	if (f->count > 0) {
		memcpy(grown, f->entry, f->count * sizeof *grown);
		scram_wipe(f->entry, f->count * sizeof *grown);
	}
	free(f->entry);
	f->entry = grown;
	f->room = room;

	return &f->entry[f->count++];
}

/* False when out of memory. */
static bool add_entry(struct auth_file *f, unsigned line, struct span role, struct span text,
	struct auth_file_account *account)
{
	struct scram_secret secret;
	struct entry *e;

	role = cut(role);
	if (role.len == 0 || !scram_secret_parse(text, &secret)) {
		if (account->useless++ == 0)
			account->first_useless = line;
		return true;
	}
	e = new_entry(f);
	if (e) {
		*e = (struct entry){.line = line, .role_len = (uint8_t)role.len, .secret = secret};
		memcpy(e->role, role.data, role.len);
	}
	scram_wipe(&secret, sizeof secret);

	return e != NULL;
}

static bool read_line(struct auth_file *f, unsigned number, struct span line, const char *name,
	struct buffer parts[2], struct auth_file_account *account, struct error *error)
{
	skip_blanks(&line);
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0 || *line.data == ';')
		return true;
	if (!read_quoted(&line, &parts[0]) || !read_quoted(&line, &parts[1]))
		return error_set(error,
			"%s:%u: not a line of an auth_file: \"role\" \"SCRAM-SHA-256$...\"", name,
			number);
	if (!add_entry(f, number, buffer_span(&parts[0]), buffer_span(&parts[1]), account))
		return error_set(error, "out of memory: could not read \"%s\"", name);

	return true;
}

static bool read_lines(struct auth_file *f, const char *name, struct span text,
	struct auth_file_account *account, struct error *error)
{
	struct buffer parts[2];
	bool ok = true;

	buffer_init(&parts[0], 4096);
	buffer_init(&parts[1], 4096);
	/* all of it at once: growing would leave copies of secrets behind */
	for (int i = 0; i < 2; i++) {
		static const char room[4096];

		buffer_add(&parts[i], room, sizeof room);
		buffer_clear(&parts[i]);
	}
	for (unsigned number = 1; ok && text.len > 0; number++) {
		const uint8_t *end = memchr(text.data, '\n', text.len);
		const size_t len = end ? (size_t)(end - text.data) : text.len;

		ok = read_line(f, number, span_of(text.data, len), name, parts, account, error);
		text = span_of(text.data + len + (end != NULL), text.len - len - (end != NULL));
	}
	for (int i = 0; i < 2; i++) {
		if (parts[i].data)
			scram_wipe(parts[i].data, parts[i].cap);
		buffer_release(&parts[i]);
	}

	return ok;
}

/* The last line of each role stays. */
static void order(struct auth_file *f)
{
	size_t kept = 0;

	if (f->count == 0)
		return;
	qsort(f->entry, f->count, sizeof *f->entry, compare_entries);
	for (size_t i = 0; i < f->count; i++) {
		const bool last = i + 1 == f->count || compare_names(role_of(&f->entry[i]),
							       role_of(&f->entry[i + 1])) != 0;

		if (last && kept != i)
			f->entry[kept] = f->entry[i];
		kept += last;
	}
	scram_wipe(f->entry + kept, (f->count - kept) * sizeof *f->entry);
	f->count = kept;
}

struct auth_file *auth_file_parse(
	const char *name, struct span text, struct auth_file_account *account, struct error *error)
{
	struct auth_file *f = calloc(1, sizeof *f);

	*account = (struct auth_file_account){0};
	if (!f) {
		error_set(error, "out of memory: could not read \"%s\"", name);
		return NULL;
	}
	if (!read_lines(f, name, text, account, error)) {
		auth_file_free(f);
		return NULL;
	}
	order(f);
	account->roles = f->count;

	return f;
}

/* --- the file --- */

static uint8_t *read_all(int fd, size_t size)
{
	uint8_t *text = malloc(size + 1);
	size_t have = 0;

	while (text && have < size) {
		ssize_t n = read(fd, text + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO; /* it shrank */
			scram_wipe(text, size);
			free(text);
			return NULL;
		}
		have += (size_t)n;
	}

	return text;
}

/* For its owner only, or root's and readable by a group: as key files. */
static bool may_be_used(const struct stat *st, const char *path, struct error *error)
{
	if (!S_ISREG(st->st_mode))
		return error_set(error, "not a regular file: auth_file \"%s\"", path);
	if (st->st_mode & (st->st_uid == 0 ? (mode_t)(S_IWGRP | S_IXGRP | S_IRWXO)
					   : (mode_t)(S_IRWXG | S_IRWXO)))
		return error_set(error,
			"others may read it: auth_file \"%s\" must have mode 0600 or less, or 0640 "
			"when root owns it",
			path);
	if (st->st_size > AUTH_FILE_BYTES_MAX)
		return error_set(error, "over 64MB: auth_file \"%s\"", path);

	return true;
}

struct auth_file *auth_file_load(
	const char *path, struct auth_file_account *account, struct error *error)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct auth_file *f = NULL;
	uint8_t *text = NULL;
	struct stat st = {0};

	if (fd < 0 || fstat(fd, &st) < 0) {
		error_set(error, "%s: could not read auth_file \"%s\"", strerror(errno), path);
	} else if (may_be_used(&st, path, error)) {
		text = read_all(fd, (size_t)st.st_size);
		if (text)
			f = auth_file_parse(
				path, span_of(text, (size_t)st.st_size), account, error);
		else
			error_set(error, "%s: could not read auth_file \"%s\"", strerror(errno),
				path);
	}
	if (text)
		scram_wipe(text, (size_t)st.st_size);
	free(text);
	if (fd >= 0)
		close(fd);

	return f;
}

void auth_file_free(struct auth_file *f)
{
	if (!f)
		return;
	if (f->entry)
		scram_wipe(f->entry, f->room * sizeof *f->entry);
	free(f->entry);
	free(f);
}

bool auth_file_find(const struct auth_file *f, struct span role, struct scram_secret *out)
{
	size_t low = 0, high = f->count;

	role = cut(role);
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order = compare_names(role, role_of(&f->entry[middle]));

		if (order == 0) {
			*out = f->entry[middle].secret;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}

	return false;
}
