#include "proxy/shadow/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_HEX = 2 * JOURNAL_KEY_LEN };

static const char hex_digits[] = "0123456789abcdef";

static void to_hex(const uint8_t *bytes, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = hex_digits[bytes[i] >> 4];
		out[2 * i + 1] = hex_digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

static bool from_hex(const char *hex, uint8_t key[JOURNAL_KEY_LEN])
{
	for (size_t i = 0; i < KEY_HEX; i++) {
		const char *digit = hex[i] ? strchr(hex_digits, hex[i]) : NULL;

		if (!digit)
			return false;
		if (i % 2 == 0)
			key[i / 2] = 0;
		key[i / 2] = (uint8_t)(key[i / 2] << 4 | (digit - hex_digits));
	}

	return true;
}

static bool read_key(int fd, const char *path, uint8_t key[JOURNAL_KEY_LEN], struct error *error)
{
	char text[KEY_HEX + 2];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return error_set(
			error, "cannot look at the key file %s: %s", path, strerror(errno));
	if (st.st_mode & 077)
		return error_set(error,
			"the key file %s can be read by others (mode %04o): make it 0600", path,
			(unsigned)(st.st_mode & 07777));
	n = read(fd, text, sizeof text);
	if (n < 0)
		return error_set(error, "cannot read the key file %s: %s", path, strerror(errno));
	if (n == KEY_HEX + 1 && text[KEY_HEX] == '\n')
		n--;
	if (n != KEY_HEX || !from_hex(text, key))
		return error_set(
			error, "the key file %s does not hold %d hex digits", path, KEY_HEX);

	return true;
}

static bool write_key(
	int fd, const char *path, const uint8_t key[JOURNAL_KEY_LEN], struct error *error)
{
	char text[KEY_HEX + 1];

	to_hex(key, JOURNAL_KEY_LEN, text);
	text[KEY_HEX] = '\n';
	if (write(fd, text, sizeof text) != (ssize_t)sizeof text || fsync(fd) < 0) {
		unlink(path);
		return error_set(error, "cannot write the key file %s: %s", path, strerror(errno));
	}

	return true;
}

bool journal_key_load(const char *path, uint8_t key[JOURNAL_KEY_LEN], struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd >= 0) {
		ok = read_key(fd, path, key, error);
		close(fd);
		return ok;
	}
	if (errno != ENOENT)
		return error_set(error, "cannot open the key file %s: %s", path, strerror(errno));
	if (RAND_bytes(key, JOURNAL_KEY_LEN) != 1)
		return error_set(error, "no random bytes for the key file %s", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(error, "cannot make the key file %s: %s", path, strerror(errno));
	ok = write_key(fd, path, key, error);
	close(fd);

	return ok;
}

bool journal_key_usable(const char *path, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t key[JOURNAL_KEY_LEN];
	bool ok;

	if (fd < 0 && errno == ENOENT)
		return journal_file_creatable(path, error);
	if (fd < 0)
		return error_set(error, "cannot open the key file %s: %s", path, strerror(errno));
	ok = read_key(fd, path, key, error);
	close(fd);
	explicit_bzero(key, sizeof key);

	return ok;
}

void journal_hmac(const uint8_t key[JOURNAL_KEY_LEN], const void *data, size_t len,
	char hex[JOURNAL_HMAC_HEX])
{
	uint8_t mac[EVP_MAX_MD_SIZE] = {0};
	unsigned mac_len = sizeof mac;

	HMAC(EVP_sha256(), key, JOURNAL_KEY_LEN, data, len, mac, &mac_len);
	to_hex(mac, 16, hex);
}
