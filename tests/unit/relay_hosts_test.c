/* Where sessions and cancel requests go: the order of the primary's addresses, and the routes. */
#include "proxy/relay/primary.h"
#include "proxy/relay/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 100000000, LATER = NOW + 5000001 };

static struct primary primary;

static void begin(const char *attrs)
{
	struct error error = {""};
	char conninfo[200];

	snprintf(conninfo, sizeof conninfo,
		"host=127.0.0.1,127.0.0.2,127.0.0.3 port=1,2,3 target_session_attrs=%s", attrs);
	if (!primary_init(&primary, conninfo, &error))
		fail_msg("%s", error.text);
	assert_false(primary.names);
}

static void set_roles(enum endpoint_role a, enum endpoint_role b, enum endpoint_role c)
{
	atomic_store(&primary.list.endpoint[0]->role, a);
	atomic_store(&primary.list.endpoint[1]->role, b);
	atomic_store(&primary.list.endpoint[2]->role, c);
}

/* "213": hosts by their last digit. */
static void assert_order(uint64_t now, const char *wanted)
{
	struct endpoint_list *l = primary_choose(&primary, now);
	char order[8] = "";

	assert_non_null(l);
	for (size_t i = 0; i < l->count; i++)
		order[i] = l->endpoint[i]->address.text[strlen("127.0.0.")];
	assert_string_equal(order, wanted);
	endpoint_list_free(l);
}

static void attributes_choose_and_order(void **state)
{
	static const struct {
		const char *attrs, *wanted;
	} cases[] = {{"any", "123"}, {"read-write", "2"}, {"read-only", "13"}, {"primary", "23"},
		{"standby", "1"}, {"prefer-standby", "123"}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(cases[i].attrs);
		set_roles(ROLE_STANDBY, ROLE_WRITABLE, ROLE_READ_ONLY);
		assert_order(NOW, cases[i].wanted);
		primary_release(&primary);
	}
	begin("prefer-standby");
	set_roles(ROLE_WRITABLE, ROLE_UNKNOWN, ROLE_STANDBY);
	assert_order(NOW, "312");
	set_roles(ROLE_UNKNOWN, ROLE_UNKNOWN, ROLE_UNKNOWN);
	assert_order(NOW, "123");
	primary_release(&primary);
	begin("read-write");
	assert_order(NOW, "");
	primary_release(&primary);
}

static void what_failed_lately_comes_last(void **state)
{
	(void)state;
	begin("any");
	primary_tell(&primary, primary.list.endpoint[0], false, NOW);
	assert_order(NOW + 1, "231");
	assert_order(LATER, "123");
	primary_tell(&primary, primary.list.endpoint[0], true, NOW);
	assert_order(NOW + 1, "123");
	primary_release(&primary);
}

static void addresses_keep_what_is_known_of_them_when_resolved_again(void **state)
{
	struct error error;

	(void)state;
	begin("read-write");
	set_roles(ROLE_STANDBY, ROLE_UNKNOWN, ROLE_WRITABLE);
	assert_true(primary_resolve(&primary, &error));
	assert_order(NOW, "3");
	primary_release(&primary);
}

static void assert_routes(struct routes *r, uint32_t pid, size_t count, struct endpoint *first)
{
	struct endpoint_list *found = routes_find(r, pid);

	assert_int_equal(found ? found->count : 0, count);
	if (count > 0)
		assert_ptr_equal(found->endpoint[0], first);
	endpoint_list_free(found);
}

static void a_cancel_goes_where_its_session_is(void **state)
{
	struct endpoint **e = primary.list.endpoint;
	struct routes r;
	uint32_t a, b, c;

	(void)state;
	begin("any");
	assert_true(routes_init(&r, 3));
	a = routes_add(&r, 77, e[0]);
	b = routes_add(&r, 77, e[1]); /* another server, the same number */
	c = routes_add(&r, 78, e[2]);
	assert_int_equal(routes_add(&r, 79, e[2]), NO_ROUTE);
	assert_routes(&r, 77, 2, e[1]);
	assert_routes(&r, 78, 1, e[2]);
	assert_routes(&r, 79, 0, NULL);
	routes_remove(&r, b);
	assert_routes(&r, 77, 1, e[0]);
	b = routes_add(&r, 79, e[2]);
	assert_int_not_equal(b, NO_ROUTE);
	assert_routes(&r, 79, 1, e[2]);
	routes_remove(&r, a);
	routes_remove(&r, b);
	routes_remove(&r, c);
	assert_routes(&r, 77, 0, NULL);
	routes_release(&r);
	primary_release(&primary);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_choose_and_order),
		cmocka_unit_test(what_failed_lately_comes_last),
		cmocka_unit_test(addresses_keep_what_is_known_of_them_when_resolved_again),
		cmocka_unit_test(a_cancel_goes_where_its_session_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
