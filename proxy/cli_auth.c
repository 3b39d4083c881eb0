#include "proxy/cli_auth.h"

#include "proxy/cli.h"
#include "proxy/relay/auth.h"
#include "proxy/relay/tls.h"
#include <string.h>

enum { /* codes of AuthenticationRequest */
	REQUEST_PASSWORD = 3,
	REQUEST_MD5 = 5,
	REQUEST_GSS = 7,
	REQUEST_SSPI = 9,
	REQUEST_SASL = 10,
};

static bool ends_here(const struct config *c)
{
	return strcmp(config_text(c, "primary", NULL, "auth"), "scram") == 0;
}

/* --- one answer --- */

static void say_trust(
	const struct config *c, const char *where, const char *role, struct preflight_findings *f)
{
	const bool allowed =
		config_bool(c, "primary", NULL, "allow_trust") || cli_listens_locally(c);
	const struct preflight_topic open = {allowed ? PREFLIGHT_WARNING : PREFLIGHT_FORBIDS,
		"trust", "whoever reaches pgumbra is in",
		"ask for a password (scram-sha-256) from pgumbra's host in the primary's "
		"pg_hba.conf; or auth = scram; or listen on loopback only; or "
		"primary.allow_trust=on"};
	static const struct preflight_topic proven_here = {PREFLIGHT_INFORMATION, "trust",
		"clients prove their password to pgumbra alone (auth = scram)", ""};

	preflight_say(f, ends_here(c) ? &proven_here : &open, where,
		"lets role %s in from this host without a challenge", role);
}

/* SCRAM binds the password's proof to the certificate that the client saw. */
static void say_binding(const char *where, struct preflight_findings *f)
{
	static const struct preflight_topic topic = {PREFLIGHT_WARNING, "authentication",
		"libpq's clients can't log in over TLS (\"SCRAM channel binding check failed\")",
		"one of four: the primary's own certificate and key as client_tls.cert_file and "
		"key_file; or auth = scram; or sslmode=disable in primary.conninfo, where the way "
		"to the primary is safe; or channel_binding=disable at the clients"};

	preflight_say(f, &topic, where,
		"offers SCRAM with channel binding, and clients see another certificate here than "
		"the primary's");
}

static void say_unbound(const char *where, const char *leg, struct preflight_findings *f)
{
	static const struct preflight_topic topic = {PREFLIGHT_INFORMATION, "authentication",
		"clients with channel_binding=require can't log in", ""};

	preflight_say(f, &topic, where, "no channel can be bound: there is no TLS %s", leg);
}

static const char *method_name(uint32_t request)
{
	switch (request) {
	case REQUEST_PASSWORD: return "a password in clear text";
	case REQUEST_MD5: return "an md5 password";
	case REQUEST_GSS:
	case REQUEST_SSPI: return "GSSAPI";
	case REQUEST_SASL: return "a SASL mechanism other than SCRAM-SHA-256";
	default: return "a method that pgumbra doesn't know";
	}
}

static void say_method(
	const char *where, const char *role, uint32_t request, struct preflight_findings *f)
{
	static const struct preflight_topic topic = {PREFLIGHT_WARNING, "authentication",
		"roles that are asked so can't log in",
		"scram-sha-256 in the primary's pg_hba.conf, "
		"and SCRAM secrets for its roles; or auth = relay"};

	preflight_say(f, &topic, where, "asks role %s for %s, which auth = scram can't answer",
		role, method_name(request));
}

static void say_clear(const char *where, const char *leg, struct preflight_findings *f)
{
	static const struct preflight_topic topic = {PREFLIGHT_WARNING, "authentication",
		"whoever listens on the network reads passwords",
		"scram-sha-256 in the primary's pg_hba.conf; or TLS on both legs"};

	preflight_say(f, &topic, where,
		"asks for passwords in clear text, and the way %s is not encrypted", leg);
}

static void say_gss(const char *where, struct preflight_findings *f)
{
	static const struct preflight_topic topic = {PREFLIGHT_WARNING, "authentication",
		"clients ask for a ticket for the host that they connect to, which is pgumbra's",
		"a key of postgres/<pgumbra's host name> in the primary's keytab"};

	preflight_say(f, &topic, where, "asks for GSSAPI");
}

/* Once each for a host, whatever the number of roles that were tried. */
static bool first_time(bool *told)
{
	const bool first = !*told;

	*told = true;

	return first;
}

static void look_at_scram(const struct config *c, const char *where, const struct auth_facts *a,
	bool clients_tls, struct auth_told *told, struct preflight_findings *f)
{
	if (ends_here(c)) {
		if (!clients_tls && first_time(&told->unbound))
			say_unbound(where, "to clients", f);
		return;
	}
	if (a->plus && clients_tls && !a->our_certificate && first_time(&told->binding))
		say_binding(where, f);
	if (!clients_tls && first_time(&told->unbound))
		say_unbound(where, "to clients", f);
	else if (!a->plus && first_time(&told->unbound))
		say_unbound(where, "to the primary", f);
}

static void look_at_password(const struct config *c, const char *where, const struct auth_facts *a,
	struct auth_told *told, struct preflight_findings *f)
{
	const char *mode = config_text(c, "client_tls", NULL, "sslmode");
	const bool forced = strcmp(mode, "disable") != 0 && strcmp(mode, "allow") != 0;

	if (!forced && !cli_listens_locally(c) && first_time(&told->clear))
		say_clear(where, "from clients", f);
	else if (!a->with_tls && !a->is_local && first_time(&told->clear))
		say_clear(where, "to the primary", f);
}

static void look_at_challenge(const struct config *c, const char *where, const char *role,
	const struct auth_facts *a, bool clients_tls, struct auth_told *told,
	struct preflight_findings *f)
{
	const bool has_scram = a->request == REQUEST_SASL && (a->scram || a->plus);

	if (has_scram)
		look_at_scram(c, where, a, clients_tls, told, f);
	else if (ends_here(c) && first_time(&told->method))
		say_method(where, role, a->request, f);
	else if (!ends_here(c) && a->request == REQUEST_PASSWORD)
		look_at_password(c, where, a, told, f);
	else if (!ends_here(c) && (a->request == REQUEST_GSS || a->request == REQUEST_SSPI) &&
		 first_time(&told->gss))
		say_gss(where, f);
}

void cli_auth_look(const struct config *c, const char *where, const char *role,
	const struct auth_facts *facts, bool clients_tls, struct auth_told *told,
	struct preflight_findings *f)
{
	if (facts->answer == ANSWER_TRUST)
		say_trust(c, where, role, f);
	else if (facts->answer == ANSWER_CHALLENGE)
		look_at_challenge(c, where, role, facts, clients_tls, told, f);
}

void cli_auth_refused(const char *where, const char *why, struct preflight_findings *f)
{
	static const struct preflight_topic topic = {PREFLIGHT_WARNING, "authentication",
		"clients may be refused as well",
		"pg_hba.conf sees pgumbra's address, and cert, peer and ident look at pgumbra's "
		"certificate and user, not at the clients'"};

	preflight_say(f, &topic, where, "refuses every role that was tried: %s", why);
}

/* --- auth = scram --- */

static void look_at_file(const struct config *c, struct preflight_findings *f)
{
	static const struct preflight_topic unread = {PREFLIGHT_FORBIDS, "authentication",
		"nobody could log in", "\"role\" \"SCRAM-SHA-256$...\", one line a role"};
	static const struct preflight_topic useless = {PREFLIGHT_WARNING, "authentication",
		"these roles can't log in",
		"copy pg_authid.rolpassword once they have a SCRAM secret"};
	struct auth_file_account account = {0};
	struct error error = {""};
	struct auth_file *file =
		auth_file_load(config_text(c, "primary", NULL, "auth_file"), &account, &error);

	if (!file)
		preflight_say(f, &unread, "primary.auth_file", "%s", error.text);
	else if (account.roles == 0)
		preflight_say(f, &unread, "primary.auth_file", "holds no SCRAM secret");
	if (account.useless > 0 && file)
		preflight_say(f, &useless, "primary.auth_file",
			"%zu lines without a SCRAM secret, the first is line %u", account.useless,
			account.first_useless);
	auth_file_free(file);
}

/* By libpq's and the server's words. */
static const char *mend_of_query(const char *why)
{
	if (strstr(why, "password"))
		return "auth_user's password in a passfile (~/.pgpass, PGPASSFILE)";
	if (strstr(why, "does not exist"))
		return "primary.auth_dbname: the database in which it was created; names in "
		       "auth_query must be schema-qualified";
	if (strstr(why, "permission denied"))
		return "in that database: grant usage on its schema and execute on the function "
		       "to auth_user";

	return "try it as auth_user in that database: names must be schema-qualified";
}

static void look_at_query(const struct config *c, struct preflight_findings *f)
{
	struct preflight_topic fails = {
		PREFLIGHT_FORBIDS, "authentication", "nobody could log in", NULL};
	static const struct preflight_topic careless = {PREFLIGHT_FORBIDS, "authentication",
		"every name would have one role's password", "where rolname = $1"};
	const struct auth_query_settings settings = auth_query_settings(c);
	struct error error = {""};

	switch (auth_query_once(&settings, "pgumbra_stranger", &error)) {
	case AUTH_FAILED:
		fails.mend = mend_of_query(error.text);
		preflight_say(f, &fails, "primary.auth_query",
			"fails as %s in the database %s (primary.auth_dbname): %s", settings.user,
			settings.dbname, error.text);
		break;
	case AUTH_KNOWN:
		preflight_say(f, &careless, "primary.auth_query",
			"gives a secret for a role that nobody has (pgumbra_stranger)");
		break;
	case AUTH_UNKNOWN: break;
	}
}

/* RFC 5929 has no digest for some certificates: then -PLUS is not offered. */
static void look_at_certificate(const char *cert_file, struct preflight_findings *f)
{
	static const struct preflight_topic topic = {PREFLIGHT_WARNING, "authentication",
		"clients with channel_binding=require can't log in",
		"a certificate signed with RSA or ECDSA"};

	if (!tls_file_has_end_point(cert_file))
		preflight_say(f, &topic, "client_tls.cert_file",
			"SCRAM can't bind a channel to a certificate with this signature");
}

void cli_auth_secrets(
	const struct config *c, bool reached, const char *cert_file, struct preflight_findings *f)
{
	if (!ends_here(c))
		return;
	if (*config_text(c, "primary", NULL, "auth_file"))
		look_at_file(c, f);
	else if (reached)
		look_at_query(c, f);
	if (cert_file)
		look_at_certificate(cert_file, f);
}
