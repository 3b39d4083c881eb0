/* SCRAM from both sides: RFC 7677's vector, both sides against each other, every flag of channel
 * binding, every truncation, nobody's secret. */
#include "proxy/relay/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* RFC 7677, section 3 */
static const char vector_salt[] = "W22ZaJ0SNY7soEsUEjb6gQ==";
static const char vector_client_nonce[] = "rOprNGfwEbeRWgbNEkqO";
static const char vector_server_nonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
static const char vector_first[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
static const char vector_challenge[] = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				       "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
static const char vector_final[] = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				   "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
static const char vector_signature[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

struct keys {
	uint8_t client[SCRAM_KEY_BYTES];
	char text[256]; /* the secret as the server keeps it */
};

static void hmac(const uint8_t *key, const char *text, uint8_t out[SCRAM_KEY_BYTES])
{
	assert_non_null(HMAC(EVP_sha256(), key, SCRAM_KEY_BYTES, (const uint8_t *)text,
		strlen(text), out, NULL));
}

/* What a server makes of a password. */
static struct keys keys_of(const char *password, const char *salt_text, int iterations)
{
	struct keys k;
	uint8_t salt[64], salted[32], stored[32], server[32];
	char stored_text[64], server_text[64];
	int padding = 0, len = (int)strlen(salt_text);

	while (salt_text[len - 1 - padding] == '=')
		padding++;
	assert_true(EVP_DecodeBlock(salt, (const uint8_t *)salt_text, len) > 0);
	assert_int_equal(PKCS5_PBKDF2_HMAC(password, -1, salt, len / 4 * 3 - padding, iterations,
				 EVP_sha256(), sizeof salted, salted),
		1);
	hmac(salted, "Client Key", k.client);
	hmac(salted, "Server Key", server);
	SHA256(k.client, sizeof k.client, stored);
	EVP_EncodeBlock((uint8_t *)stored_text, stored, sizeof stored);
	EVP_EncodeBlock((uint8_t *)server_text, server, sizeof server);
	snprintf(k.text, sizeof k.text, "SCRAM-SHA-256$%d:%s$%s:%s", iterations, salt_text,
		stored_text, server_text);

	return k;
}

static struct scram_secret secret_of(const struct keys *k)
{
	struct scram_secret secret;

	assert_true(scram_secret_parse(span_cstr(k->text), &secret));

	return secret;
}

static struct span text_span(const struct scram_text *t)
{
	return span_of(t->data, t->len);
}

static void assert_text(const struct scram_text *t, const char *wanted)
{
	assert_int_equal(t->len, strlen(wanted));
	assert_memory_equal(t->data, wanted, t->len);
}

static void the_server_follows_the_vector_and_recovers_the_client_key(void **state)
{
	const struct keys k = keys_of("pencil", vector_salt, 4096);
	const struct scram_secret secret = secret_of(&k);
	struct scram_server s;

	(void)state;
	scram_server_begin(&s, &secret, false, (struct span){NULL, 0});
	assert_int_equal(
		scram_server_first(&s, false, span_cstr(vector_first), vector_server_nonce),
		SCRAM_GOOD);
	assert_text(&s.first, vector_challenge);
	assert_int_equal(scram_server_final(&s, span_cstr(vector_final)), SCRAM_GOOD);
	assert_text(&s.final, vector_signature);
	assert_memory_equal(s.client_key, k.client, sizeof k.client);
}

static void the_client_follows_the_vector_with_the_key_alone(void **state)
{
	const struct keys k = keys_of("pencil", vector_salt, 4096);
	const struct scram_secret secret = secret_of(&k);
	struct scram_client c;

	(void)state;
	assert_true(scram_client_begin(
		&c, SCRAM_FLAG_NONE, (struct span){NULL, 0}, vector_client_nonce));
	assert_text(&c.header, "n,,");
	assert_text(&c.first_bare, "n=,r=rOprNGfwEbeRWgbNEkqO");
	c.first_bare.len = 0; /* the vector names its user */
	memcpy(c.first_bare.data, vector_first + 3, strlen(vector_first) - 3);
	c.first_bare.len = strlen(vector_first) - 3;
	assert_int_equal(scram_client_challenge(&c, span_cstr(vector_challenge)), SCRAM_GOOD);
	assert_true(scram_client_fits(&c, &secret));
	assert_true(scram_client_prove(&c, &secret, k.client));
	assert_text(&c.final, vector_final);
	assert_true(scram_client_trusts(&c, span_cstr(vector_signature)));
	assert_false(scram_client_trusts(
		&c, span_cstr("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	assert_false(scram_client_trusts(&c, span_cstr("e=other-error")));
	assert_false(scram_client_trusts(&c, span_cstr("v=")));
}

struct legs {
	struct scram_server server;
	struct scram_client client;
	struct span server_binding, client_binding;
	enum scram_flag flag;
	bool plus;
};

/* One whole exchange; the first verdict that isn't good, and where. */
static enum scram_verdict exchange(
	struct legs *l, const struct keys *server_keys, const struct keys *client_keys, bool doomed)
{
	const struct scram_secret theirs = secret_of(server_keys), ours = secret_of(client_keys);
	struct scram_text first;
	enum scram_verdict v;

	scram_server_begin(&l->server, &theirs, doomed, l->server_binding);
	assert_true(scram_client_begin(&l->client, l->flag, l->client_binding, NULL));
	first = l->client.header;
	memcpy(first.data + first.len, l->client.first_bare.data, l->client.first_bare.len);
	first.len += l->client.first_bare.len;
	v = scram_server_first(&l->server, l->plus, text_span(&first), NULL);
	if (v != SCRAM_GOOD)
		return v;
	assert_int_equal(
		scram_client_challenge(&l->client, text_span(&l->server.first)), SCRAM_GOOD);
	assert_true(scram_client_prove(&l->client, &ours, client_keys->client));
	v = scram_server_final(&l->server, text_span(&l->client.final));
	if (v == SCRAM_GOOD) {
		assert_memory_equal(l->server.client_key, client_keys->client, SCRAM_KEY_BYTES);
		assert_true(scram_client_trusts(&l->client, text_span(&l->server.final)));
	} else {
		static const uint8_t zero[SCRAM_KEY_BYTES];

		assert_memory_equal(l->server.client_key, zero, sizeof zero);
		assert_int_equal(l->server.final.len, 0);
	}

	return v;
}

static void every_flag_and_binding_has_its_verdict(void **state)
{
	static const struct {
		enum scram_flag flag;
		const char *client, *server; /* certificates; NULL: none */
		bool plus;
		enum scram_verdict verdict;
	} cases[] = {
		{SCRAM_FLAG_NONE, NULL, NULL, false, SCRAM_GOOD},
		{SCRAM_FLAG_NOT_OFFERED, NULL, NULL, false, SCRAM_GOOD},
		{SCRAM_FLAG_NONE, NULL, "certificate", false, SCRAM_GOOD},
		{SCRAM_FLAG_NOT_OFFERED, NULL, "certificate", false, SCRAM_BINDING_NEGOTIATION},
		{SCRAM_FLAG_BOUND, "certificate", "certificate", true, SCRAM_GOOD},
		{SCRAM_FLAG_BOUND, "another", "certificate", true, SCRAM_BINDING_FAILED},
		{SCRAM_FLAG_BOUND, "certificat", "certificate", true, SCRAM_BINDING_FAILED},
		{SCRAM_FLAG_BOUND, "certificate", "certificate", false, SCRAM_BINDING_UNKNOWN},
		{SCRAM_FLAG_BOUND, "certificate", NULL, true, SCRAM_BINDING_UNKNOWN},
		{SCRAM_FLAG_NONE, NULL, "certificate", true, SCRAM_BINDING_MISSING},
		{SCRAM_FLAG_NOT_OFFERED, NULL, "certificate", true, SCRAM_BINDING_MISSING},
	};
	const struct keys k = keys_of("pencil", vector_salt, 4096);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct legs l = {.flag = cases[i].flag,
			.plus = cases[i].plus,
			.client_binding = span_cstr(cases[i].client),
			.server_binding = span_cstr(cases[i].server)};

		assert_int_equal(exchange(&l, &k, &k, false), cases[i].verdict);
	}
}

static void other_keys_and_nobodys_are_refused(void **state)
{
	const struct keys k = keys_of("pencil", vector_salt, 4096),
			  wrong = keys_of("pencil2", vector_salt, 4096);
	struct legs l = {.flag = SCRAM_FLAG_NONE};

	(void)state;
	assert_int_equal(exchange(&l, &k, &wrong, false), SCRAM_REFUSED);
	assert_int_equal(exchange(&l, &k, &k, true), SCRAM_REFUSED); /* S3 */
	assert_int_equal(exchange(&l, &k, &k, false), SCRAM_GOOD);
}

static void first_messages_that_lie_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum scram_verdict verdict;
	} cases[] = {{"", SCRAM_MALFORMED}, {"n", SCRAM_MALFORMED}, {"n,,", SCRAM_MALFORMED},
		{"x,,n=,r=abc", SCRAM_MALFORMED}, {",,n=,r=abc", SCRAM_MALFORMED},
		{"nn,,n=,r=abc", SCRAM_MALFORMED}, {"n,a=other,n=,r=abc", SCRAM_UNSUPPORTED},
		{"n,,m=ext,n=,r=abc", SCRAM_UNSUPPORTED}, {"n,,r=abc,n=", SCRAM_MALFORMED},
		{"n,,n=,r=", SCRAM_MALFORMED}, {"n,,n=,r=a b", SCRAM_MALFORMED},
		{"n,,n=,r=\xc3\xa4", SCRAM_MALFORMED}, {"p,,n=,r=abc", SCRAM_MALFORMED},
		{"p=tls-unique,,n=,r=abc", SCRAM_BINDING_UNKNOWN},
		{"n,,n=any,r=abc,x=later", SCRAM_GOOD}, {"n,,n=,r=abc", SCRAM_GOOD}};
	const struct keys k = keys_of("pencil", vector_salt, 4096);
	const struct scram_secret secret = secret_of(&k);
	char longest[SCRAM_MESSAGE_MAX + 2];
	struct scram_server s;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		scram_server_begin(&s, &secret, false, (struct span){NULL, 0});
		assert_int_equal(scram_server_first(&s, false, span_cstr(cases[i].text), NULL),
			cases[i].verdict);
	}
	memset(longest, 'a', sizeof longest);
	memcpy(longest, "n,,n=,r=", 8);
	scram_server_begin(&s, &secret, false, (struct span){NULL, 0});
	assert_int_equal(scram_server_first(&s, false, span_of(longest, SCRAM_MESSAGE_MAX), NULL),
		SCRAM_GOOD);
	scram_server_begin(&s, &secret, false, (struct span){NULL, 0});
	assert_int_equal(
		scram_server_first(&s, false, span_of(longest, SCRAM_MESSAGE_MAX + 1), NULL),
		SCRAM_MALFORMED);
}

/* S1: no cut and no changed byte of the vector's last message is good. */
static void only_the_whole_final_message_is_good(void **state)
{
	const struct keys k = keys_of("pencil", vector_salt, 4096);
	const struct scram_secret secret = secret_of(&k);
	struct scram_server s;
	char text[sizeof vector_final];

	(void)state;
	for (size_t len = 0; len <= strlen(vector_final); len++) {
		for (int flip = 0; flip < 2; flip++) {
			struct span said;

			if (flip && len == strlen(vector_final))
				continue;
			memcpy(text, vector_final, sizeof text);
			if (flip)
				text[len] ^= 1;
			/* in memory of its own, so that a read past the end is seen */
			said = span_of(memcpy(malloc(sizeof text), text, sizeof text),
				flip ? strlen(vector_final) : len);
			scram_server_begin(&s, &secret, false, (struct span){NULL, 0});
			assert_int_equal(scram_server_first(&s, false, span_cstr(vector_first),
						 vector_server_nonce),
				SCRAM_GOOD);
			assert_int_equal(scram_server_final(&s, said) == SCRAM_GOOD,
				!flip && len == strlen(vector_final));
			free((void *)said.data);
		}
	}
}

static void challenges_that_lie_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum scram_verdict verdict;
	} cases[] = {{"", SCRAM_MALFORMED}, {"e=other-error", SCRAM_MALFORMED},
		{"r=abcX,s=W22ZaJ0SNY7soEsUEjb6gQ==", SCRAM_MALFORMED},
		{"r=abcX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0", SCRAM_MALFORMED},
		{"r=abcX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1", SCRAM_MALFORMED},
		{"r=abcX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=9999999999", SCRAM_MALFORMED},
		{"r=abcX,s=W22ZaJ0SNY7soEsUEjb6gQ=,i=1", SCRAM_MALFORMED},
		{"r=abcX,s=W22ZaJ0SNY7soEsUEjb6gR==,i=1", SCRAM_MALFORMED},
		{"r=abcX,s=W2=ZaJ0SNY7soEsUEjb6gQ==,i=1", SCRAM_MALFORMED},
		{"r=abcX,s=,i=1", SCRAM_MALFORMED}, {"m=x,r=abcX,s=AAAA,i=1", SCRAM_MALFORMED},
		{"r=abc,s=AAAA,i=1", SCRAM_NONCE}, {"r=abX,s=AAAA,i=1", SCRAM_NONCE},
		{"r=,s=AAAA,i=1", SCRAM_NONCE}, {"r=abcX,s=AAAA,i=1", SCRAM_GOOD},
		{"r=abcX,s=AAAA,i=1,x=later", SCRAM_GOOD}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scram_client c;

		assert_true(scram_client_begin(&c, SCRAM_FLAG_NONE, (struct span){NULL, 0}, "abc"));
		assert_int_equal(
			scram_client_challenge(&c, span_cstr(cases[i].text)), cases[i].verdict);
	}
}

static void only_whole_secrets_are_secrets(void **state)
{
	const struct keys k = keys_of("pencil", vector_salt, 4096);
	static const char *const others[] = {"", "pencil", "md5d41d8cd98f00b204e9800998ecf8427e",
		"SCRAM-SHA-256", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:$:", "SCRAM-SHA-512$1:A$B:C",
		"SCRAM-SHA-256$0:AAAA$AAAA:AAAA"};
	struct scram_secret secret;

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(scram_secret_parse(span_cstr(others[i]), &secret));
	for (size_t len = 0; len < strlen(k.text); len++)
		assert_false(scram_secret_parse(span_of(k.text, len), &secret));
	assert_true(scram_secret_parse(span_cstr(k.text), &secret));
	assert_int_equal(secret.iterations, 4096);
	assert_int_equal(secret.salt_len, 16);
}

static void nobodys_salt_depends_on_name_and_key_only(void **state)
{
	const uint8_t key[SCRAM_KEY_BYTES] = {1}, other_key[SCRAM_KEY_BYTES] = {2};
	struct scram_secret a, again, other_name, other;

	(void)state;
	assert_true(scram_secret_mock(&a, span_cstr("nobody"), key));
	assert_true(scram_secret_mock(&again, span_cstr("nobody"), key));
	assert_true(scram_secret_mock(&other_name, span_cstr("nobody2"), key));
	assert_true(scram_secret_mock(&other, span_cstr("nobody"), other_key));
	assert_int_equal(a.salt_len, 16);
	assert_int_equal(a.iterations, 4096);
	assert_memory_equal(a.salt, again.salt, a.salt_len);
	assert_memory_not_equal(a.salt, other_name.salt, a.salt_len);
	assert_memory_not_equal(a.salt, other.salt, a.salt_len);
	assert_memory_not_equal(a.stored_key, again.stored_key, SCRAM_KEY_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_server_follows_the_vector_and_recovers_the_client_key),
		cmocka_unit_test(the_client_follows_the_vector_with_the_key_alone),
		cmocka_unit_test(every_flag_and_binding_has_its_verdict),
		cmocka_unit_test(other_keys_and_nobodys_are_refused),
		cmocka_unit_test(first_messages_that_lie_are_refused),
		cmocka_unit_test(only_the_whole_final_message_is_good),
		cmocka_unit_test(challenges_that_lie_are_refused),
		cmocka_unit_test(only_whole_secrets_are_secrets),
		cmocka_unit_test(nobodys_salt_depends_on_name_and_key_only)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
