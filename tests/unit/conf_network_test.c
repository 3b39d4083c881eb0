/* Lists of networks in settings. */
#include "conf/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool has(const char *list, const char *peer)
{
	struct networks n;
	size_t entry;
	struct sockaddr_storage a = {.ss_family = AF_UNIX};

	if (!networks_parse(list, &n, &entry))
		fail_msg("%s, entry %zu", list, entry);
	if (inet_pton(AF_INET, peer, &((struct sockaddr_in *)&a)->sin_addr) == 1)
		a.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, peer, &((struct sockaddr_in6 *)&a)->sin6_addr) == 1)
		a.ss_family = AF_INET6;

	return networks_have(&n, (const struct sockaddr *)&a);
}

static void networks_have_their_addresses_and_no_others(void **state)
{
	(void)state;
	assert_true(has("192.0.2.1", "192.0.2.1"));
	assert_false(has("192.0.2.1", "192.0.2.2"));
	assert_true(has("10.0.0.0/8, 192.0.2.0/25", "10.255.0.1"));
	assert_true(has("10.0.0.0/8,192.0.2.0/25 ", "192.0.2.127"));
	assert_false(has("10.0.0.0/8,192.0.2.0/25", "192.0.2.128"));
	assert_true(has("0.0.0.0/0", "203.0.113.9"));
	assert_false(has("0.0.0.0/0", "2001:db8::1"));
	assert_true(has("192.0.2.1", "::ffff:192.0.2.1"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
	assert_false(has("::/0", "192.0.2.1"));
	assert_true(has("::1,unix", "unix"));
	assert_false(has("::1", "unix"));
	assert_false(has("", "192.0.2.1"));
}

static void what_is_no_network_is_refused_by_its_number(void **state)
{
	static const char *const bad[] = {"localhost", "10.0.0.0/33", "::/129", "10.0.0.0/",
		"10.0.0.0/-1", "10.0.0/8", "10.0.0.0/8x", "unix/3", "::1/1/1"};
	struct networks n;
	char list[80];
	size_t entry;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(list, sizeof list, "127.0.0.1, %s, ::1", bad[i]);
		assert_false(networks_parse(list, &n, &entry));
		assert_int_equal(entry, 2);
	}
	assert_false(networks_parse("::1,,::2", &n, &entry));
	assert_int_equal(entry, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_have_their_addresses_and_no_others),
		cmocka_unit_test(what_is_no_network_is_refused_by_its_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
