/* The file of roles' secrets: PgBouncer's lines, quotes, comments, what is no secret, what is no
 * line. */
#include "proxy/relay/auth_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SECRET(iterations) "\"SCRAM-SHA-256$" iterations ":c2FsdA==$" KEY ":" KEY "\""

static struct auth_file *parse(const char *text, struct auth_file_account *account)
{
	struct error error = {""};

	return auth_file_parse("users", span_cstr(text), account, &error);
}

static void expect_iterations(const struct auth_file *f, const char *role, uint32_t wanted)
{
	struct scram_secret secret = {0};

	assert_int_equal(auth_file_find(f, span_cstr(role), &secret), wanted > 0);
	assert_int_equal(secret.iterations, wanted);
}

static void roles_are_found_by_their_whole_name(void **state)
{
	struct auth_file_account account;
	struct auth_file *f = parse(
		"\"b\" " SECRET(
			"2") "\n"
			     "; \"comment\" " SECRET(
				     "9") "\n\n"
					  "  \"a\"\t" SECRET(
						  "1") " further text\r\n"
						       "\"with \"\"quotes\"\" and spaces\" " SECRET(
							       "3") "\n"
								    "\"ab\" " SECRET("4"),
		&account);

	(void)state;
	assert_non_null(f);
	assert_int_equal(account.roles, 4);
	assert_int_equal(account.useless, 0);
	expect_iterations(f, "a", 1);
	expect_iterations(f, "b", 2);
	expect_iterations(f, "with \"quotes\" and spaces", 3);
	expect_iterations(f, "ab", 4);
	expect_iterations(f, "", 0);
	expect_iterations(f, "abc", 0);
	expect_iterations(f, "A", 0);
	expect_iterations(f, "comment", 0);
	auth_file_free(f);
}

static void the_last_line_of_a_role_counts(void **state)
{
	struct auth_file_account account;
	struct auth_file *f = parse("\"a\" " SECRET("1") "\n\"b\" " SECRET("5") "\n\"a\" " SECRET(
					    "2") "\n\"a\" " SECRET("3"),
		&account);

	(void)state;
	assert_non_null(f);
	assert_int_equal(account.roles, 2);
	expect_iterations(f, "a", 3);
	expect_iterations(f, "b", 5);
	auth_file_free(f);
}

static void passwords_are_passed_over_and_counted(void **state)
{
	struct auth_file_account account;
	struct auth_file *f = parse(
		"\"a\" " SECRET("1") "\n\"b\" \"plain\"\n"
				     "\"c\" \"md5d41d8cd98f00b204e9800998ecf8427e\"\n\"d\" \"\"\n"
				     "\"\" " SECRET("1"),
		&account);

	(void)state;
	assert_non_null(f);
	assert_int_equal(account.roles, 1);
	assert_int_equal(account.useless, 4);
	assert_int_equal(account.first_useless, 2);
	expect_iterations(f, "b", 0);
	auth_file_free(f);
}

static void names_are_cut_as_the_server_does(void **state)
{
	char line[400], name[100];
	struct auth_file_account account;
	struct auth_file *f;

	(void)state;
	memset(name, 'x', sizeof name);
	name[80] = '\0';
	snprintf(line, sizeof line, "\"%s\" " SECRET("7"), name);
	f = parse(line, &account);
	assert_non_null(f);
	expect_iterations(f, name, 7);
	name[63] = '\0';
	expect_iterations(f, name, 7);
	name[62] = '\0';
	expect_iterations(f, name, 0);
	auth_file_free(f);
}

static void what_is_no_line_is_named_and_not_shown(void **state)
{
	static const char *const bad[] = {"a \"topsecret\"", "\"a\"", "\"a\" topsecret",
		"\"a\" \"topsecret", "\"a\" \"topsecret\"\"", "\""};
	struct auth_file_account account;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct error error = {""};
		char text[300];

		snprintf(text, sizeof text, "\"a\" " SECRET("1") "\n%s\n", bad[i]);
		assert_null(auth_file_parse("users", span_cstr(text), &account, &error));
		assert_non_null(strstr(error.text, "users:2:"));
		assert_null(strstr(error.text, "topsecret"));
	}
}

static void many_roles_are_all_found(void **state)
{
	enum { ROLES = 3000 };
	struct auth_file_account account;
	struct auth_file *f;
	struct buffer text;

	(void)state;
	buffer_init(&text, 1 << 20);
	for (int i = 0; i < ROLES; i++)
		buffer_printf(&text, "\"role%d\" " SECRET("%d") "\n", i * 7919 % ROLES,
			i * 7919 % ROLES + 1);
	assert_false(text.failed);
	f = auth_file_parse("users", buffer_span(&text), &account, NULL);
	assert_non_null(f);
	assert_int_equal(account.roles, ROLES);
	for (int i = 0; i < ROLES; i++) {
		char name[32];

		snprintf(name, sizeof name, "role%d", i);
		expect_iterations(f, name, (uint32_t)i + 1);
	}
	auth_file_free(f);
	buffer_release(&text);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
	char path[] = "/tmp/pgumbra-auth-file.XXXXXX";
	const int fd = mkstemp(path);
	struct auth_file_account account;
	struct error error = {""};
	struct auth_file *f;

	(void)state;
	assert_true(fd >= 0);
	assert_true(write(fd, "\"a\" " SECRET("1"), strlen("\"a\" " SECRET("1"))) > 0);
	f = auth_file_load(path, &account, &error);
	assert_non_null(f);
	expect_iterations(f, "a", 1);
	auth_file_free(f);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_null(auth_file_load(path, &account, &error));
	assert_non_null(strstr(error.text, "others may read it"));
	close(fd);
	unlink(path);
	assert_null(auth_file_load(path, &account, &error));
	assert_non_null(strstr(error.text, "could not read"));
	assert_null(auth_file_load("/", &account, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(roles_are_found_by_their_whole_name),
		cmocka_unit_test(the_last_line_of_a_role_counts),
		cmocka_unit_test(passwords_are_passed_over_and_counted),
		cmocka_unit_test(names_are_cut_as_the_server_does),
		cmocka_unit_test(what_is_no_line_is_named_and_not_shown),
		cmocka_unit_test(many_roles_are_all_found),
		cmocka_unit_test(a_file_that_others_may_read_is_refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
