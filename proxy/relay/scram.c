#include "proxy/relay/scram.h"

#include "protocol/reader.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	BASE64_KEY = 44, /* characters of a key */
	NONCE_TEXT_MAX = 1536,
};

static const char binding_type[] = "tls-server-end-point";

void scram_wipe(void *keys, size_t size)
{
	OPENSSL_cleanse(keys, size);
}

/* --- base64 --- */

static size_t encode(const void *bytes, size_t len, char *out)
{
	return (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
}

static bool is_base64(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/';
}

/* Strictly, and only in the one form that encode() gives; -1 when it isn't that, or too long. */
static ssize_t decode(struct span text, uint8_t *out, size_t size)
{
	uint8_t bytes[SCRAM_MESSAGE_MAX];
	char again[SCRAM_MESSAGE_MAX * 2];
	size_t padding = 0, len;
	ssize_t result = -1;

	if (text.len == 0)
		return 0;
	if (text.len % 4 != 0 || text.len / 4 * 3 > sizeof bytes)
		return -1;
	while (padding < 2 && text.data[text.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.len - padding; i++) {
		if (!is_base64(text.data[i]))
			return -1;
	}
	if (EVP_DecodeBlock(bytes, text.data, (int)text.len) < 0)
		return -1;
	len = text.len / 4 * 3 - padding;
	if (len <= size && encode(bytes, len, again) == text.len &&
		memcmp(again, text.data, text.len) == 0) {
		memcpy(out, bytes, len);
		result = (ssize_t)len;
	}
	OPENSSL_cleanse(bytes, sizeof bytes);
	OPENSSL_cleanse(again, sizeof again);

	return result;
}

/* --- texts --- */

static bool text_add(struct scram_text *t, const void *bytes, size_t len)
{
	if (len > sizeof t->data - t->len)
		return false;
	memcpy(t->data + t->len, bytes, len);
	t->len += len;

	return true;
}

static bool text_add_cstr(struct scram_text *t, const char *text)
{
	return text_add(t, text, strlen(text));
}

static bool text_add_base64(struct scram_text *t, const void *bytes, size_t len)
{
	if ((len + 2) / 3 * 4 + 1 > sizeof t->data - t->len) /* with the NUL that is written */
		return false;
	t->len += encode(bytes, len, t->data + t->len);

	return true;
}

/* Attributes: "x=value", divided by commas. */
struct attributes {
	struct span rest;
	bool any; /* one was read: a comma comes before the next */
};

/* The next attribute, which must be this one. */
static bool take(struct attributes *a, char name, struct span *value)
{
	const uint8_t *at = a->rest.data, *end = a->rest.data + a->rest.len, *comma;

	if (a->any) {
		if (at == end || *at != ',')
			return false;
		at++;
	}
	if (end - at < 2 || at[0] != (uint8_t)name || at[1] != '=')
		return false;
	at += 2;
	comma = memchr(at, ',', (size_t)(end - at));
	*value = span_of(at, (size_t)((comma ? comma : end) - at));
	a->rest = span_of(value->data + value->len, (size_t)(end - value->data) - value->len);
	a->any = true;

	return true;
}

/* RFC 5802: printable ASCII but for the comma. */
static bool is_nonce(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] < 0x21 || s.data[i] > 0x7e || s.data[i] == ',')
			return false;
	}

	return s.len > 0 && s.len <= NONCE_TEXT_MAX;
}

static bool random_nonce(char out[SCRAM_NONCE_BYTES * 2])
{
	uint8_t bytes[SCRAM_NONCE_BYTES];

	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	encode(bytes, sizeof bytes, out);

	return true;
}

static bool read_number(struct span s, uint32_t *out)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > 9)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] < '0' || s.data[i] > '9')
			return false;
		n = n * 10 + (s.data[i] - '0');
	}
	*out = (uint32_t)n;

	return n > 0 && n <= SCRAM_ITERATIONS_MAX;
}

/* --- keys --- */

static bool sign(
	const uint8_t key[SCRAM_KEY_BYTES], struct span message, uint8_t out[SCRAM_KEY_BYTES])
{
	unsigned len = 0;

	return HMAC(EVP_sha256(), key, SCRAM_KEY_BYTES, message.data, message.len, out, &len) &&
	       len == SCRAM_KEY_BYTES;
}

/* The keys of one exchange: HMAC(StoredKey, AuthMessage), HMAC(ServerKey, AuthMessage). */
static bool sign_exchange(const struct scram_secret *secret, const struct scram_text *first_bare,
	const struct scram_text *first, struct span without_proof,
	uint8_t client_signature[SCRAM_KEY_BYTES], uint8_t server_signature[SCRAM_KEY_BYTES])
{
	struct buffer all;
	bool ok;

	buffer_init(&all, (size_t)4 * SCRAM_TEXT_MAX);
	buffer_add(&all, first_bare->data, first_bare->len);
	buffer_add_u8(&all, ',');
	buffer_add(&all, first->data, first->len);
	buffer_add_u8(&all, ',');
	buffer_add_span(&all, without_proof);
	ok = !all.failed && sign(secret->stored_key, buffer_span(&all), client_signature) &&
	     sign(secret->server_key, buffer_span(&all), server_signature);
	buffer_release(&all);

	return ok;
}

static void exclusive_or(uint8_t a[SCRAM_KEY_BYTES], const uint8_t b[SCRAM_KEY_BYTES])
{
	for (int i = 0; i < SCRAM_KEY_BYTES; i++)
		a[i] ^= b[i];
}

static bool say_signature(const uint8_t signature[SCRAM_KEY_BYTES], struct scram_text *out)
{
	out->len = 0;

	return text_add_cstr(out, "v=") && text_add_base64(out, signature, SCRAM_KEY_BYTES);
}

/* --- secrets --- */

/* What stands before the next `end`, which is passed over. */
static struct span until(struct span *rest, char end)
{
	const uint8_t *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
	struct span found = {NULL, 0};

	if (!at)
		return found;
	found = span_of(rest->data, (size_t)(at - rest->data));
	*rest = span_of(at + 1, rest->len - found.len - 1);

	return found;
}

bool scram_secret_parse(struct span text, struct scram_secret *out)
{
	struct span rest = text, iterations, salt, stored;
	ssize_t salt_len;

	*out = (struct scram_secret){0};
	if (!span_is(until(&rest, '$'), "SCRAM-SHA-256"))
		return false;
	iterations = until(&rest, ':');
	salt = until(&rest, '$');
	stored = until(&rest, ':');
	if (!iterations.data || !salt.data || !stored.data ||
		!read_number(iterations, &out->iterations))
		return false;
	salt_len = decode(salt, out->salt, sizeof out->salt);
	out->salt_len = salt_len > 0 ? (size_t)salt_len : 0;
	if (salt_len > 0 && decode(stored, out->stored_key, SCRAM_KEY_BYTES) == SCRAM_KEY_BYTES &&
		decode(rest, out->server_key, SCRAM_KEY_BYTES) == SCRAM_KEY_BYTES)
		return true;
	scram_wipe(out, sizeof *out);

	return false;
}

bool scram_secret_mock(
	struct scram_secret *out, struct span user, const uint8_t key[SCRAM_KEY_BYTES])
{
	uint8_t digest[SCRAM_KEY_BYTES];
	bool ok;

	/* what PostgreSQL gives a new role */
	*out = (struct scram_secret){.iterations = 4096, .salt_len = 16};
	ok = sign(key, user, digest) && RAND_bytes(out->stored_key, SCRAM_KEY_BYTES) == 1 &&
	     RAND_bytes(out->server_key, SCRAM_KEY_BYTES) == 1;
	memcpy(out->salt, digest, out->salt_len);

	return ok;
}

/* --- the server's side --- */

void scram_server_begin(
	struct scram_server *s, const struct scram_secret *secret, bool doomed, struct span binding)
{
	assert(binding.len <= SCRAM_BINDING_MAX);
	*s = (struct scram_server){.secret = *secret, .doomed = doomed, .binding_len = binding.len};
	if (binding.len > 0)
		memcpy(s->binding, binding.data, binding.len);
}

/* gs2-header: the flag, and no authorization identity. */
static enum scram_verdict read_header(struct scram_server *s, bool plus, struct span *message)
{
	struct span rest = *message, flag = until(&rest, ','), identity = until(&rest, ',');

	if (!flag.data || !identity.data || flag.len == 0)
		return SCRAM_MALFORMED;
	switch (flag.data[0]) {
	case SCRAM_FLAG_NONE:
	case SCRAM_FLAG_NOT_OFFERED:
		if (flag.len != 1)
			return SCRAM_MALFORMED;
		if (plus)
			return SCRAM_BINDING_MISSING;
		if (flag.data[0] == SCRAM_FLAG_NOT_OFFERED && s->binding_len > 0)
			return SCRAM_BINDING_NEGOTIATION;
		break;
	case SCRAM_FLAG_BOUND:
		if (flag.len < 3 || flag.data[1] != '=')
			return SCRAM_MALFORMED;
		if (!plus || s->binding_len == 0 ||
			!span_is(span_of(flag.data + 2, flag.len - 2), binding_type))
			return SCRAM_BINDING_UNKNOWN;
		break;
	default: return SCRAM_MALFORMED;
	}
	if (identity.len > 0)
		return SCRAM_UNSUPPORTED;
	if (!text_add(&s->header, message->data, message->len - rest.len))
		return SCRAM_MALFORMED;
	*message = rest;

	return SCRAM_GOOD;
}

static bool answer_first(struct scram_server *s, struct span nonce, const char *ours)
{
	char iterations[32], random[SCRAM_NONCE_BYTES * 2];

	if (!ours && !random_nonce(random))
		return false;
	snprintf(iterations, sizeof iterations, ",i=%u", s->secret.iterations);

	return text_add_cstr(&s->first, "r=") && text_add(&s->first, nonce.data, nonce.len) &&
	       text_add_cstr(&s->first, ours ? ours : random) && text_add_cstr(&s->first, ",s=") &&
	       text_add_base64(&s->first, s->secret.salt, s->secret.salt_len) &&
	       text_add_cstr(&s->first, iterations);
}

enum scram_verdict scram_server_first(
	struct scram_server *s, bool plus, struct span message, const char *nonce)
{
	struct attributes bare;
	struct span name, theirs;
	enum scram_verdict v;

	if (message.len > SCRAM_MESSAGE_MAX || memchr(message.data, '\0', message.len))
		return SCRAM_MALFORMED;
	v = read_header(s, plus, &message);
	if (v != SCRAM_GOOD)
		return v;
	if (message.len >= 2 && message.data[0] == 'm')
		return SCRAM_UNSUPPORTED;
	bare = (struct attributes){.rest = message};
	if (!take(&bare, 'n', &name) || !take(&bare, 'r', &theirs) || !is_nonce(theirs))
		return SCRAM_MALFORMED;
	/* extensions that may be passed over may follow */
	if (bare.rest.len > 0 && bare.rest.data[0] != ',')
		return SCRAM_MALFORMED;
	if (!text_add(&s->first_bare, message.data, message.len))
		return SCRAM_MALFORMED;

	return answer_first(s, theirs, nonce) ? SCRAM_GOOD : SCRAM_FAILED;
}

/* c=: the header again, and the certificate where it is bound. */
static bool is_bound(const struct scram_server *s, struct span value)
{
	uint8_t said[SCRAM_TEXT_MAX];
	const bool bound = s->header.data[0] == SCRAM_FLAG_BOUND;
	const size_t len = s->header.len + (bound ? s->binding_len : 0);
	const ssize_t n = decode(value, said, sizeof said);

	return n >= 0 && (size_t)n == len && memcmp(said, s->header.data, s->header.len) == 0 &&
	       (!bound || CRYPTO_memcmp(said + s->header.len, s->binding, s->binding_len) == 0);
}

/* r=: the whole nonce, as server-first-message said it. */
static bool is_our_nonce(const struct scram_server *s, struct span value)
{
	struct attributes first = {.rest = span_of(s->first.data, s->first.len)};
	struct span nonce;

	return take(&first, 'r', &nonce) && span_equal(nonce, value);
}

/* ClientKey = ClientProof XOR ClientSignature, whose hash is StoredKey. */
static bool is_proven(
	struct scram_server *s, struct span without_proof, const uint8_t proof[SCRAM_KEY_BYTES])
{
	uint8_t server_signature[SCRAM_KEY_BYTES], stored[SCRAM_KEY_BYTES];
	bool ok = sign_exchange(&s->secret, &s->first_bare, &s->first, without_proof, s->client_key,
		server_signature);
	int differs;

	exclusive_or(s->client_key, proof);
	ok = ok && SHA256(s->client_key, SCRAM_KEY_BYTES, stored) != NULL &&
	     say_signature(server_signature, &s->final);
	differs = CRYPTO_memcmp(stored, s->secret.stored_key, SCRAM_KEY_BYTES);
	ok = ok && differs == 0 && !s->doomed;
	if (!ok) {
		scram_wipe(s->client_key, sizeof s->client_key);
		scram_wipe(&s->final, sizeof s->final);
	}
	scram_wipe(server_signature, sizeof server_signature);

	return ok;
}

enum scram_verdict scram_server_final(struct scram_server *s, struct span message)
{
	struct attributes all = {.rest = message};
	struct span binding, nonce, proof_text = {NULL, 0};
	uint8_t proof[SCRAM_KEY_BYTES];
	bool good;

	if (message.len > SCRAM_MESSAGE_MAX || memchr(message.data, '\0', message.len) ||
		!take(&all, 'c', &binding))
		return SCRAM_MALFORMED;
	if (!is_bound(s, binding))
		return SCRAM_BINDING_FAILED;
	if (!take(&all, 'r', &nonce))
		return SCRAM_MALFORMED;
	if (!is_our_nonce(s, nonce))
		return SCRAM_NONCE;
	/* the proof is the last attribute; extensions may stand before it */
	if (message.len >= BASE64_KEY + 3)
		proof_text = span_of(message.data + message.len - BASE64_KEY, BASE64_KEY);
	if (!proof_text.data || proof_text.data - 3 < all.rest.data ||
		memcmp(proof_text.data - 3, ",p=", 3) != 0 ||
		decode(proof_text, proof, sizeof proof) != SCRAM_KEY_BYTES)
		return SCRAM_MALFORMED;
	good = is_proven(s, span_of(message.data, message.len - BASE64_KEY - 3), proof);
	scram_wipe(proof, sizeof proof);

	return good ? SCRAM_GOOD : SCRAM_REFUSED;
}

/* --- the client's side --- */

bool scram_client_begin(
	struct scram_client *c, enum scram_flag flag, struct span binding, const char *nonce)
{
	char random[SCRAM_NONCE_BYTES * 2];

	assert(binding.len <= SCRAM_BINDING_MAX);
	*c = (struct scram_client){.binding_len = flag == SCRAM_FLAG_BOUND ? binding.len : 0};
	if (c->binding_len > 0)
		memcpy(c->binding, binding.data, binding.len);
	if (!nonce && !random_nonce(random))
		return false;
	if (flag == SCRAM_FLAG_BOUND)
		return text_add_cstr(&c->header, "p=") && text_add_cstr(&c->header, binding_type) &&
		       text_add_cstr(&c->header, ",,") && text_add_cstr(&c->first_bare, "n=,r=") &&
		       text_add_cstr(&c->first_bare, nonce ? nonce : random);

	return text_add_cstr(&c->header, flag == SCRAM_FLAG_NONE ? "n,," : "y,,") &&
	       text_add_cstr(&c->first_bare, "n=,r=") &&
	       text_add_cstr(&c->first_bare, nonce ? nonce : random);
}

/* The server's nonce begins with ours and goes on. */
static bool continues_nonce(const struct scram_client *c, struct span nonce)
{
	struct attributes bare = {.rest = span_of(c->first_bare.data, c->first_bare.len)};
	struct span name, ours;

	return take(&bare, 'n', &name) && take(&bare, 'r', &ours) && is_nonce(nonce) &&
	       nonce.len > ours.len && memcmp(nonce.data, ours.data, ours.len) == 0;
}

enum scram_verdict scram_client_challenge(struct scram_client *c, struct span message)
{
	struct attributes all = {.rest = message};
	struct span nonce, salt, iterations;
	ssize_t salt_len;

	if (message.len > SCRAM_MESSAGE_MAX || memchr(message.data, '\0', message.len) ||
		!take(&all, 'r', &nonce) || !take(&all, 's', &salt) ||
		!take(&all, 'i', &iterations) || !read_number(iterations, &c->iterations) ||
		(all.rest.len > 0 && all.rest.data[0] != ',') ||
		!text_add(&c->first, message.data, message.len))
		return SCRAM_MALFORMED;
	if (!continues_nonce(c, nonce))
		return SCRAM_NONCE;
	salt_len = decode(salt, c->salt, sizeof c->salt);
	if (salt_len <= 0)
		return SCRAM_MALFORMED;
	c->salt_len = (size_t)salt_len;

	return SCRAM_GOOD;
}

bool scram_client_fits(const struct scram_client *c, const struct scram_secret *secret)
{
	return c->iterations == secret->iterations && c->salt_len == secret->salt_len &&
	       memcmp(c->salt, secret->salt, c->salt_len) == 0;
}

static bool begin_final(struct scram_client *c)
{
	struct attributes all = {.rest = span_of(c->first.data, c->first.len)};
	struct scram_text bound = c->header;
	struct span nonce;

	return text_add(&bound, c->binding, c->binding_len) && take(&all, 'r', &nonce) &&
	       text_add_cstr(&c->final, "c=") &&
	       text_add_base64(&c->final, bound.data, bound.len) &&
	       text_add_cstr(&c->final, ",r=") && text_add(&c->final, nonce.data, nonce.len);
}

bool scram_client_prove(struct scram_client *c, const struct scram_secret *secret,
	const uint8_t client_key[SCRAM_KEY_BYTES])
{
	uint8_t proof[SCRAM_KEY_BYTES], server_signature[SCRAM_KEY_BYTES];
	bool ok;

	ok = begin_final(c) &&
	     sign_exchange(secret, &c->first_bare, &c->first, span_of(c->final.data, c->final.len),
		     proof, server_signature);
	if (ok) {
		exclusive_or(proof, client_key);
		ok = text_add_cstr(&c->final, ",p=") &&
		     text_add_base64(&c->final, proof, sizeof proof) &&
		     say_signature(server_signature, &c->expected);
	}
	scram_wipe(proof, sizeof proof);
	scram_wipe(server_signature, sizeof server_signature);

	return ok;
}

bool scram_client_trusts(const struct scram_client *c, struct span message)
{
	return c->expected.len > 0 && message.len >= c->expected.len &&
	       CRYPTO_memcmp(message.data, c->expected.data, c->expected.len) == 0 &&
	       (message.len == c->expected.len || message.data[c->expected.len] == ',');
}
