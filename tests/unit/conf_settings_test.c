#include "conf/settings.h"

#include "conf/listen.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PRIMARY "[primary]\nconninfo = host=127.0.0.1\n"

struct fixture {
	struct config *config;
	struct conf_messages messages;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->config = config_new();
	assert_non_null(f->config);
	*state = f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	conf_messages_release(&f->messages);
	config_free(f->config);
	free(f);

	return 0;
}

static bool read_text(struct fixture *f, const char *text)
{
	return config_read_text(f->config, "t.ini", text, &f->messages);
}

static bool set(struct fixture *f, const char *assignment)
{
	return config_set(f->config, assignment, &f->messages);
}

/* The next of the messages so far has all these words. */
static void expect_message(struct fixture *f, size_t index, const char *a, const char *b)
{
	if (index >= f->messages.count)
		fail_msg("there are only %zu messages, wanted: %s", f->messages.count, a);
	if (!strstr(f->messages.text[index], a) || (b && !strstr(f->messages.text[index], b)))
		fail_msg("not '%s' and '%s' in: %s", a, b ? b : "", f->messages.text[index]);
}

static void every_default_parses_and_every_row_has_a_help(void **state)
{
	struct fixture *f = *state;
	size_t count;
	const struct setting_definition *t = settings_table(&count);

	assert_true(set(f, "candidate.a.conninfo=host=x"));
	for (size_t i = 0; i < count; i++) {
		bool named = strcmp(t[i].section, "candidate") == 0;

		assert_true(strlen(t[i].help) > 0);
		if (strcmp(t[i].section, "waiver") == 0 || strcmp(t[i].section, "rewrite") == 0)
			continue;
		if (strcmp(t[i].key, "conninfo") != 0)
			assert_string_equal(
				config_text(f->config, t[i].section, named ? "a" : NULL, t[i].key),
				t[i].default_text);
		for (size_t j = 0; j < i; j++)
			assert_false(strcmp(t[i].section, t[j].section) == 0 &&
				     strcmp(t[i].key, t[j].key) == 0);
	}
}

static void defaults_are_the_documented_ones(void **state)
{
	struct fixture *f = *state;
	struct config *c = f->config;

	assert_string_equal(config_text(c, "pgumbra", NULL, "listen"), "127.0.0.1:6432");
	assert_int_equal(config_integer(c, "shadow", NULL, "tape_size"), 64 << 20);
	assert_int_equal(config_integer(c, "shadow", NULL, "max_sql_bytes"), 65536);
	assert_int_equal(config_integer(c, "verify", NULL, "backoff"), 200000);
	assert_int_equal(config_integer(c, "discrepancies", NULL, "max_bytes"), 1LL << 30);
	assert_true(config_bool(c, "shadow", NULL, "enabled"));
	assert_false(config_bool(c, "primary", NULL, "allow_trust"));
	assert_true(config_real(c, "shadow", NULL, "sample") == 1);
	assert_false(config_is_set(c, "shadow", NULL, "sample"));
}

static void a_whole_file_is_read(void **state)
{
	struct fixture *f = *state;
	const char *names[CONF_MAX_CANDIDATES];

	assert_true(
		read_text(f, "; comment\n# another\n" PRIMARY
			     "\n[candidate new]\n  conninfo = host=b dbname='x y'\n"
			     "pool_size=9\n\tstatement_timeout = 1.5s\n"
			     "[candidate second-one]\nconninfo = host=c\n"
			     "[shadow]\nsample = 0.25\nENABLED = Off\r\nmax_result_bytes=16MB\n"));
	assert_int_equal(config_names(f->config, "candidate", names, CONF_MAX_CANDIDATES), 2);
	assert_string_equal(names[0], "new");
	assert_string_equal(names[1], "second-one");
	assert_string_equal(
		config_text(f->config, "candidate", "new", "conninfo"), "host=b dbname='x y'");
	assert_int_equal(config_integer(f->config, "candidate", "new", "pool_size"), 9);
	assert_int_equal(config_integer(f->config, "candidate", "second-one", "pool_size"), 4);
	assert_int_equal(
		config_integer(f->config, "candidate", "new", "statement_timeout"), 1500000);
	assert_false(config_bool(f->config, "shadow", NULL, "enabled"));
	assert_int_equal(config_integer(f->config, "shadow", NULL, "max_result_bytes"), 16 << 20);
	assert_true(config_is_set(f->config, "shadow", NULL, "sample"));
	assert_true(config_check(f->config, &f->messages));
}

static void long_lines_and_comment_signs_in_values_are_kept_whole(void **state)
{
	struct fixture *f = *state;
	char text[6000], *p = text;

	p += sprintf(p, "[discrepancies]\npath = /a ;b # c = d [e] \"f\" ");
	for (int i = 0; i < 400; i++)
		p += sprintf(p, "segment%d/", i);
	sprintf(p, "end\nkey_file = k\n");
	assert_true(read_text(f, text));
	p = strchr(strchr(text, '/'), '\n');
	*p = '\0';
	assert_string_equal(
		config_text(f->config, "discrepancies", NULL, "path"), strchr(text, '/'));
	assert_string_equal(config_text(f->config, "discrepancies", NULL, "key_file"), "k");
}

static void indented_lines_are_keys_not_continuations(void **state)
{
	struct fixture *f = *state;

	assert_true(read_text(f, "[discrepancies]\npath = /a\n    key_file = /b\n"));
	assert_string_equal(config_text(f->config, "discrepancies", NULL, "path"), "/a");
	assert_string_equal(config_text(f->config, "discrepancies", NULL, "key_file"), "/b");
}

static void all_mistakes_of_a_file_are_shown_with_their_lines(void **state)
{
	struct fixture *f = *state;

	assert_false(read_text(f, "orphan = 1\n"		     /* 1 */
				  "[shadow]\n"			     /* 2 */
				  "sampel = 1\n"		     /* 3 */
				  "sample = 2\n"		     /* 4 */
				  "no equal sign\n"		     /* 5 */
				  "pool_size = 3\n"		     /* 6 */
				  "= 5\n"			     /* 7 */
				  "[shadwo]\nnice = 1\n"	     /* 8, 9 */
				  "[candidate]\npool_size = 1\n"     /* 10, 11 */
				  "[candidate a.b]\npool_size = 1\n" /* 12, 13 */
				  "[unclosed\n"));		     /* 14 */
	expect_message(f, 0, "t.ini:1:", "before the first [section]");
	expect_message(f, 1, "t.ini:5:", "neither");
	expect_message(f, 2, "t.ini:7:", "no key");
	expect_message(f, 3, "t.ini:12:", "letters, digits");
	expect_message(f, 4, "t.ini:14:", "a section is written");
	expect_message(f, 5, "t.ini:3: [shadow]", "did you mean sample?");
	expect_message(f, 6, "t.ini:4: [shadow] sample = 2", "0 to 1");
	expect_message(f, 7, "t.ini:6:", "belongs to [candidate NAME]");
	expect_message(f, 8, "t.ini:9:", "did you mean [shadow]?");
	expect_message(f, 9, "t.ini:11:", "needs a name");
}

static void a_key_given_twice_names_both_lines(void **state)
{
	struct fixture *f = *state;

	assert_false(read_text(
		f, "[shadow]\nsample = 1\nnice = 2\nSample = 0\n[verify]\n[shadow]\nnice = 3\n"));
	expect_message(f, 0, "t.ini:4:", "already on line 2");
	expect_message(f, 1, "t.ini:7:", "already on line 3");
	assert_int_equal(f->messages.count, 2);
}

static void text_that_is_not_utf8_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_false(read_text(f, "[discrepancies]\npath = \xff\xfe\n"));
	expect_message(f, 0, "t.ini", "not UTF-8");
	assert_false(set(f, "discrepancies.path=\xc0\xaf"));
	expect_message(f, 1, "not UTF-8", NULL);
	assert_false(set(f, "discrepancies.path=a\nb"));
	expect_message(f, 2, "control character", NULL);
}

static void a_missing_file_is_named(void **state)
{
	struct fixture *f = *state;

	assert_false(config_read_file(f->config, "/nowhere/at/all.conf", &f->messages));
	expect_message(f, 0, "/nowhere/at/all.conf", "No such file");
}

static void durations_and_sizes_need_their_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t value; /* -1: refused */
	} cases[] = {{"0", 0}, {"250ms", 250000}, {"1.5s", 1500000}, {"2 min", 120000000},
		{"1h", 3600000000}, {"1d", 86400000000}, {"300", -1}, {"3S", -1}, {"s", -1},
		{"", -1}, {"-1s", -1}, {"1e400s", -1}, {"nan s", -1}, {"0x10s", -1}, {"2d", -1},
		{"5 m", -1}, {"1.5us", -1}};
	struct fixture *f = *state;
	char assignment[100];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool good;

		snprintf(assignment, sizeof assignment, "pgumbra.drain_timeout=%s", cases[i].text);
		good = set(f, assignment);
		if (good != (cases[i].value >= 0))
			fail_msg("%s: accepted is %d", assignment, good);
		if (good)
			assert_int_equal(
				config_integer(f->config, "pgumbra", NULL, "drain_timeout"),
				cases[i].value);
	}
	expect_message(f, 0, "a number and a unit: d h min s ms us", NULL);
	assert_true(set(f, "discrepancies.max_bytes=2GB"));
	assert_true(set(f, "discrepancies.max_bytes = 2048 kB"));
	assert_int_equal(config_integer(f->config, "discrepancies", NULL, "max_bytes"), 2 << 20);
	assert_false(set(f, "discrepancies.max_bytes=2mb"));
	assert_false(set(f, "discrepancies.max_bytes=4096"));
	assert_false(set(f, "discrepancies.max_bytes=1kB"));
}

static void numbers_words_and_booleans_are_checked(void **state)
{
	struct fixture *f = *state;

	assert_true(set(f, "pgumbra.relay_threads=64"));
	assert_false(set(f, "pgumbra.relay_threads=65"));
	expect_message(f, 0, "relay_threads = 65", "1 to 64");
	assert_int_equal(config_integer(f->config, "pgumbra", NULL, "relay_threads"), 64);
	assert_false(set(f, "pgumbra.relay_threads=2x"));
	assert_false(set(f, "pgumbra.relay_threads=99999999999999999999"));
	assert_false(set(f, "pgumbra.log_level=loud"));
	expect_message(f, 3, "allowed: error, warning, info, debug", NULL);
	assert_false(set(f, "shadow.enabled=maybe"));
	assert_true(set(f, "shadow.enabled=NO"));
	assert_false(set(f, "shadow.sample=0x1"));
	assert_false(set(f, "shadow.sample=nan"));
}

static void what_this_version_lacks_is_refused_by_name(void **state)
{
	struct fixture *f = *state;

	assert_true(set(f, "shadow.shape_rate=0"));
	assert_false(set(f, "shadow.shape_rate=1"));
	expect_message(f, 0, "[shadow] shape_rate", "does not have it yet");
	assert_false(set(f, "rewrite.w.match=select 1"));
	expect_message(f, 1, "[rewrite w] match", "does not have it yet");
	assert_false(set(f, "admin.database=console"));
	assert_true(set(f, "admin.database=pgumbra"));
}

static void assignments_take_three_forms(void **state)
{
	struct fixture *f = *state;

	assert_true(set(f, "shadow.sample=0.5"));
	assert_true(set(f, "candidate a.conninfo=host=x.y.z port=1"));
	assert_true(set(f, "candidate.b.pool_size=3"));
	assert_string_equal(
		config_text(f->config, "candidate", "a", "conninfo"), "host=x.y.z port=1");
	assert_int_equal(config_integer(f->config, "candidate", "b", "pool_size"), 3);
	assert_false(set(f, "shadow.sample"));
	assert_false(set(f, "sample=1"));
	assert_false(set(f, ".sample=1"));
	assert_false(set(f, "candidate.pool_size=1"));
	assert_false(set(f, "shadow.x.sample=1"));
	assert_false(set(f, "candidate.a b.pool_size=1"));
	assert_false(set(f, "="));
	assert_int_equal(f->messages.count, 7);
}

static void candidates_are_limited_and_share_names_without_case(void **state)
{
	struct fixture *f = *state;
	char assignment[100];

	for (int i = 0; i < CONF_MAX_CANDIDATES; i++) {
		snprintf(assignment, sizeof assignment, "candidate.c%d.pool_size=1", i);
		assert_true(set(f, assignment));
	}
	assert_false(set(f, "candidate.one-more.pool_size=1"));
	expect_message(f, 0, "too many", "8");
	assert_true(set(f, "candidate.C0.pool_size=2"));
	assert_int_equal(config_integer(f->config, "candidate", "c0", "pool_size"), 2);
}

static void the_primary_takes_only_the_keys_of_an_address(void **state)
{
	static const struct {
		const char *conninfo, *named; /* NULL: fine */
	} cases[] = {{"host=a port=5432 connect_timeout=3 keepalives_idle=10 sslmode=prefer", NULL},
		{"host=a,b port=1,2 target_session_attrs=any", NULL}, {"postgresql://a:5433", NULL},
		{"host=/run/postgresql", NULL}, {"hostaddr=127.0.0.1", NULL},
		{"host=a user=u", "user is not allowed"},
		{"host=a password=p", "password is not allowed"},
		{"host=a service=s", "service is not allowed"},
		{"postgresql://u@a/d", "user is not allowed"}, {"host=a sslmode=require", NULL},
		{"host=a sslmode=maybe", "sslmode=maybe: allowed: disable"},
		{"host=a sslrootcert=system", NULL},
		{"host=a sslrootcert=system sslmode=require", "sslmode=verify-full"},
		{"host=a sslcert=c", "needs sslkey"},
		{"host=a target_session_attrs=primary", "target_session_attrs"},
		{"host=a,b,c port=1,2", "2 ports for 3 hosts"}, {"host=a port=0", "port"},
		{"host=a port=70000", "port"}, {"host=a port=5432x", "port"}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture *f;
		char text[300];

		setup((void **)&f);
		snprintf(text, sizeof text, "[primary]\nconninfo=%s\n[shadow]\nenabled=off\n",
			cases[i].conninfo);
		assert_true(read_text(f, text));
		if (config_check(f->config, &f->messages) != !cases[i].named)
			fail_msg("%s: %s", cases[i].conninfo,
				f->messages.count ? f->messages.text[0] : "accepted");
		if (cases[i].named)
			expect_message(f, 0, "[primary] conninfo", cases[i].named);
		teardown((void **)&f);
	}
	(void)state;
}

static void what_is_missing_is_said(void **state)
{
	struct fixture *f = *state;

	assert_false(config_check(f->config, &f->messages));
	expect_message(f, 0, "[primary] conninfo is not set", "--primary");
	expect_message(f, 1, "no candidate", "shadow.enabled=off");
	assert_true(read_text(f, PRIMARY "[candidate a]\n"));
	assert_false(config_check(f->config, &f->messages));
	expect_message(f, 2, "[candidate a] conninfo is not set", NULL);
}

static void what_is_found_between_settings_names_file_and_line(void **state)
{
	struct fixture *f = *state;

	assert_true(read_text(f, "[primary]\nconninfo = host=a user=u port=0\n"
				 "[candidate a]\npool_size = 2\ndatabases = x\n"
				 "[client_tls]\nsslmode = require\n"));
	assert_false(config_check(f->config, &f->messages));
	expect_message(f, 0, "t.ini:2: [primary] conninfo: user is not allowed", NULL);
	expect_message(f, 1, "t.ini:2: [primary] conninfo: port", NULL);
	expect_message(f, 2, "t.ini:4: [candidate a] conninfo is not set", NULL);
	expect_message(f, 3, "t.ini:5: [candidate a] databases, entry 1", NULL);
	expect_message(f, 4, "t.ini:7: [client_tls] sslmode = require needs cert_file", NULL);
	assert_int_equal(f->messages.count, 5);
}

static void what_may_stand_in_a_refused_line_is_not_called_missing(void **state)
{
	static const char *const refused[] = {"[primary]\nconninf = host=a\n",
		"[primary]\nconninfo = host\n", "[primari]\nconninfo = host=a\n",
		"[primary\nconninfo = host=a\n"};
	struct fixture *f;

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char text[200];

		setup((void **)&f);
		snprintf(text, sizeof text, "[candidate a]\nconninfo = host=b\nfence = slot\n%s",
			refused[i]);
		assert_false(read_text(f, text));
		assert_int_equal(f->messages.count, 1);
		assert_false(config_check(f->config, &f->messages));
		expect_message(f, 1, "t.ini:3: [candidate a] fence = slot needs", NULL);
		assert_int_equal(f->messages.count, 2);
		teardown((void **)&f);
	}
	(void)state;
}

static void scram_needs_secrets_from_one_place(void **state)
{
	static const struct {
		const char *given[4], *said;
	} cases[] = {{{"auth=scram"}, "needs auth_file or auth_query"},
		{{"auth=scram", "auth_file=f"}, NULL},
		{{"auth=scram", "auth_query=q", "auth_user=u"}, NULL},
		{{"auth=scram", "auth_query=q"}, "needs auth_user"},
		{{"auth=scram", "auth_file=f", "auth_query=q", "auth_user=u"}, "not both"},
		{{"auth_file=f"}, "auth_file is for auth = scram only"},
		{{"auth=relay", "auth_query=q"}, "auth_query is for auth = scram only"}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		config_free(f->config);
		conf_messages_release(&f->messages);
		f->config = config_new();
		assert_true(set(f, "primary.conninfo=host=a"));
		assert_true(set(f, "shadow.enabled=off"));
		for (size_t k = 0; k < 4 && cases[i].given[k]; k++) {
			char text[64];

			snprintf(text, sizeof text, "primary.%s", cases[i].given[k]);
			assert_true(set(f, text));
		}
		assert_int_equal(config_check(f->config, &f->messages), !cases[i].said);
		if (cases[i].said)
			expect_message(f, 0, "[primary] ", cases[i].said);
	}
}

static void sizes_must_fit_each_other(void **state)
{
	struct fixture *f = *state;

	assert_true(read_text(f, PRIMARY "[shadow]\nenabled=off\ntape_size=1MB\n"));
	assert_false(config_check(f->config, &f->messages));
	expect_message(f, 0, "max_message_bytes", "tape_size");
}

static void passwords_never_stand_in_messages_or_in_the_public_form(void **state)
{
	static const char *const broken[] = {"host=a password=hun ter2hunter2",
		"host=a password='hunter2", "postgresql://u:hunter2@[a/",
		"host=a password=x hunter2=1"};
	struct fixture *f = *state;
	char *ini, text[200], digest[17], other[17];

	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		snprintf(text, sizeof text, "candidate.a.conninfo=%s", broken[i]);
		assert_false(set(f, text));
		assert_null(strstr(f->messages.text[i], "hunter2"));
	}
	assert_true(set(f, "candidate.a.conninfo=host=a password='hun ter2' user='o\\'b'"));
	assert_true(set(f, "control.conninfo=postgresql://joe:hunter2@h:1/d"));
	ini = config_to_ini(f->config, false, false);
	assert_non_null(ini);
	assert_null(strstr(ini, "ter2"));
	assert_non_null(strstr(ini, "password=***"));
	assert_non_null(strstr(ini, "joe"));
	free(ini);
	config_digest(f->config, digest);
	assert_true(set(f, "control.conninfo=postgresql://joe:other@h:1/d"));
	config_digest(f->config, other);
	assert_string_equal(digest, other);
	assert_true(set(f, "control.conninfo=postgresql://jim:other@h:1/d"));
	config_digest(f->config, other);
	assert_string_not_equal(digest, other);
}

static void an_unknown_connection_option_is_named_where_no_password_can_be(void **state)
{
	struct fixture *f = *state;

	assert_false(set(f, "candidate.a.conninfo=hots=a"));
	expect_message(f, 0, "[candidate a] conninfo", "\"hots\"");
}

static void ini_form_reads_back_to_the_same_configuration(void **state)
{
	struct fixture *f = *state;
	struct config *again = config_new();
	char *first, *second, *helped;

	assert_true(
		read_text(f, PRIMARY "[candidate z]\nconninfo = host=b password='a b' \n"
				     "[candidate a]\n[discrepancies]\npath==x;#y\nkey_file=\n"));
	first = config_to_ini(f->config, false, true);
	assert_non_null(strstr(first, "password='a b'"));
	assert_true(config_read_text(again, "again", first, &f->messages));
	second = config_to_ini(again, false, true);
	assert_string_equal(first, second);
	config_free(again);
	again = config_new();
	helped = config_to_ini(f->config, true, true);
	if (!config_read_text(again, "helped", helped, &f->messages))
		fail_msg("%s", f->messages.text[0]);
	free(second);
	second = config_to_ini(again, false, true);
	assert_string_equal(first, second);
	config_free(again);
	free(first);
	free(second);
	free(helped);
}

static void later_sources_win_and_a_wrong_value_keeps_the_former_one(void **state)
{
	struct fixture *f = *state;

	assert_true(read_text(f, "[shadow]\nsample=0.5\nnice=3\n"));
	assert_true(set(f, "shadow.sample=0.25"));
	assert_false(set(f, "shadow.nice=99"));
	assert_true(config_real(f->config, "shadow", NULL, "sample") == 0.25);
	assert_int_equal(config_integer(f->config, "shadow", NULL, "nice"), 3);
}

static void a_reload_reads_the_file_again_and_keeps_the_flags(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/pgumbra-conf-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");
	struct config *fresh;

	fputs(PRIMARY "[shadow]\nenabled=off\nnice=1\nsample=0.5\n", file);
	fflush(file);
	assert_true(config_read_file(f->config, path, &f->messages));
	assert_true(set(f, "shadow.sample=0.25"));
	rewind(file);
	fputs(PRIMARY "[shadow]\nenabled=off\nnice=2\nsample=0.1\n", file);
	fflush(file);
	fresh = config_reload(f->config, path, &f->messages);
	assert_non_null(fresh);
	assert_int_equal(config_integer(fresh, "shadow", NULL, "nice"), 2);
	assert_true(config_real(fresh, "shadow", NULL, "sample") == 0.25);
	config_free(fresh);
	fputs("oops\n", file);
	fclose(file);
	assert_null(config_reload(f->config, path, &f->messages));
	expect_message(f, 0, path, "neither");
	unlink(path);
}

static void a_reload_takes_what_may_change_live_and_names_the_rest(void **state)
{
	struct fixture *f = *state;
	struct conf_messages taken = {0}, kept = {0};
	struct config *now = config_new();

	assert_true(read_text(f, PRIMARY "[shadow]\nnice=1\n[candidate old]\nconninfo=host=a\n"));
	assert_true(set(f, "candidate.both.pool_size=1"));
	assert_true(config_read_text(now, "now",
		PRIMARY "[pgumbra]\nlogin_timeout=7s\nlisten=:1\n[shadow]\nnice=2\n"
			"[candidate both]\npool_size=2\n",
		&f->messages));
	config_take_live(f->config, now, NULL, &taken, &kept);
	assert_int_equal(config_integer(f->config, "pgumbra", NULL, "login_timeout"), 7000000);
	assert_int_equal(config_integer(f->config, "shadow", NULL, "nice"), 1);
	assert_int_equal(taken.count, 1);
	assert_string_equal(taken.text[0], "pgumbra.login_timeout");
	assert_int_equal(kept.count, 4);
	assert_string_equal(kept.text[0], "pgumbra.listen");
	assert_string_equal(kept.text[1], "shadow.nice");
	assert_string_equal(kept.text[2], "candidate.both.pool_size");
	assert_string_equal(kept.text[3], "[candidate old]");
	assert_true(config_set(now, "pgumbra.login_timeout=8s", &f->messages));
	config_take_live(f->config, now, "pgumbra.login_timeout", &taken, &kept);
	assert_int_equal(config_integer(f->config, "pgumbra", NULL, "login_timeout"), 7000000);
	assert_int_equal(taken.count, 1);
	assert_string_equal(kept.text[5], "pgumbra.login_timeout"); /* behind listen, again */
	conf_messages_release(&taken);
	conf_messages_release(&kept);
	config_free(now);
}

static void listen_addresses_are_taken_apart(void **state)
{
	static const struct {
		const char *text, *host; /* host NULL: refused */
		int port;
		bool is_unix, is_local;
	} cases[] = {{"127.0.0.1:6432", "127.0.0.1", 6432, false, true},
		{"127.9.9.9:1", "127.9.9.9", 1, false, true}, {"[::1]:5", "::1", 5, false, true},
		{"[2001:db8::1]:5", "2001:db8::1", 5, false, false},
		{"0.0.0.0:0", "0.0.0.0", 0, false, false},
		{"localhost:1", "localhost", 1, false, true},
		{"db.example:65535", "db.example", 65535, false, false},
		{"/run/x:6432", "/run/x", 6432, true, true}, {"127.0.0.1", NULL, 0, false, false},
		{":6432", "*", 6432, false, false}, {"*:6432", "*", 6432, false, false},
		{"", NULL, 0, false, false}, {":", NULL, 0, false, false},
		{"::1:6432", NULL, 0, false, false}, {"[::1]", NULL, 0, false, false},
		{"[::1]6432", NULL, 0, false, false}, {"[x]:1", NULL, 0, false, false},
		{"h:65536", NULL, 0, false, false}, {"h:1x", NULL, 0, false, false},
		{"h:", NULL, 0, false, false}, {"[]:1", NULL, 0, false, false}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *list = cases[i].text, *why;
		struct listen_address a;
		bool good = listen_next(&list, &a, &why);

		if (good != (cases[i].host != NULL))
			fail_msg("%s: accepted is %d", cases[i].text, good);
		assert_int_equal(*list, '\0');
		if (!good)
			continue;
		assert_string_equal(a.host, cases[i].host);
		assert_int_equal(a.port, cases[i].port);
		assert_int_equal(a.is_unix, cases[i].is_unix);
		assert_int_equal(a.is_local, cases[i].is_local);
	}
	(void)state;
}

static void a_list_of_listen_addresses_is_checked_entry_by_entry(void **state)
{
	struct fixture *f = *state;

	assert_true(read_text(f, PRIMARY "[shadow]\nenabled=off\n"
					 "[pgumbra]\nlisten = 127.0.0.1:1, nonsense ,[::1]:2\n"));
	assert_false(config_check(f->config, &f->messages));
	assert_int_equal(f->messages.count, 1);
	expect_message(f, 0, "entry 2", "host:port");
}

static void the_manual_names_every_key(void **state)
{
	char *text = NULL;
	size_t size, count;
	FILE *out = open_memstream(&text, &size);
	const struct setting_definition *t = settings_table(&count);

	config_print_manual(out);
	fclose(out);
	for (size_t i = 0; i < count; i++) {
		char line[100];

		snprintf(line, sizeof line, "\n  %s\n", t[i].key);
		assert_non_null(strstr(text, line));
	}
	assert_non_null(strstr(text, "NOT IN THIS VERSION"));
	free(text);
	(void)state;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_default_parses_and_every_row_has_a_help),
		TEST(defaults_are_the_documented_ones),
		TEST(a_whole_file_is_read),
		TEST(long_lines_and_comment_signs_in_values_are_kept_whole),
		TEST(indented_lines_are_keys_not_continuations),
		TEST(all_mistakes_of_a_file_are_shown_with_their_lines),
		TEST(a_key_given_twice_names_both_lines),
		TEST(text_that_is_not_utf8_is_refused),
		TEST(a_missing_file_is_named),
		TEST(durations_and_sizes_need_their_unit),
		TEST(numbers_words_and_booleans_are_checked),
		TEST(what_this_version_lacks_is_refused_by_name),
		TEST(assignments_take_three_forms),
		TEST(candidates_are_limited_and_share_names_without_case),
		TEST(the_primary_takes_only_the_keys_of_an_address),
		TEST(what_is_missing_is_said),
		TEST(what_is_found_between_settings_names_file_and_line),
		TEST(what_may_stand_in_a_refused_line_is_not_called_missing),
		TEST(scram_needs_secrets_from_one_place),
		TEST(sizes_must_fit_each_other),
		TEST(passwords_never_stand_in_messages_or_in_the_public_form),
		TEST(an_unknown_connection_option_is_named_where_no_password_can_be),
		TEST(ini_form_reads_back_to_the_same_configuration),
		TEST(later_sources_win_and_a_wrong_value_keeps_the_former_one),
		TEST(a_reload_reads_the_file_again_and_keeps_the_flags),
		TEST(a_reload_takes_what_may_change_live_and_names_the_rest),
		TEST(listen_addresses_are_taken_apart),
		TEST(a_list_of_listen_addresses_is_checked_entry_by_entry),
		TEST(the_manual_names_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
