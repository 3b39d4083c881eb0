/* SCRAM messages of a hostile peer and files of secrets. The first byte chooses the reader.
 *
 * Laws: no bytes but the right proof are good, and what is refused leaves no key; a challenge that
 * is taken has a salt; a secret or a file that is read is read the same from a second look.
 */
#include "proxy/relay/auth_file.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret_text[] =
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
static const char first[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
static const char server_nonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
static const char final[] = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
			    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

static void read_first(const struct scram_secret *secret, struct span message, bool plus)
{
	struct scram_server s;

	scram_server_begin(&s, secret, false, span_cstr(plus ? "certificate" : NULL));
	if (scram_server_first(&s, plus, message, NULL) == SCRAM_GOOD)
		assert(s.header.len >= 3 && s.first_bare.len > 0 && s.first.len > 0);
}

static void read_final(const struct scram_secret *secret, struct span message)
{
	static const uint8_t zero[SCRAM_KEY_BYTES];
	struct scram_server s;

	scram_server_begin(&s, secret, false, span_cstr(NULL));
	assert(scram_server_first(&s, false, span_cstr(first), server_nonce) == SCRAM_GOOD);
	if (scram_server_final(&s, message) == SCRAM_GOOD)
		assert(span_is(message, final));
	else
		assert(memcmp(s.client_key, zero, sizeof zero) == 0 && s.final.len == 0);
}

static void read_challenge(struct span message)
{
	struct scram_client c;

	assert(scram_client_begin(&c, SCRAM_FLAG_NONE, span_cstr(NULL), "nonce"));
	if (scram_client_challenge(&c, message) == SCRAM_GOOD)
		assert(c.salt_len > 0 && c.iterations > 0);
	assert(!scram_client_trusts(&c, message)); /* nothing was proven yet */
}

static void read_secret(struct span text)
{
	struct scram_secret a, b;
	const bool is = scram_secret_parse(text, &a);

	assert(is == scram_secret_parse(text, &b) && memcmp(&a, &b, sizeof a) == 0);
	assert(!is || (a.salt_len > 0 && a.iterations > 0));
}

static void read_file(struct span text)
{
	struct auth_file_account account;
	struct error error = {""};
	struct auth_file *f = auth_file_parse("fuzz", text, &account, &error);
	struct scram_secret secret;

	assert(f || *error.text);
	if (f && account.roles == 0)
		assert(!auth_file_find(f, span_cstr("role"), &secret));
	auth_file_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span rest = span_of(data + 1, size ? size - 1 : 0);
	struct scram_secret secret;

	if (size == 0)
		return 0;
	assert(scram_secret_parse(span_cstr(secret_text), &secret));
	switch (data[0]) {
	case 'f': read_first(&secret, rest, false); break;
	case 'p': read_first(&secret, rest, true); break;
	case 'l': read_final(&secret, rest); break;
	case 'c': read_challenge(rest); break;
	case 's': read_secret(rest); break;
	default: read_file(rest); break;
	}

	return 0;
}
