#include "proxy/preflight_questions.h"

#include <stdio.h>
#include <string.h>

bool questions_begin(PGconn *conn)
{
	static const char *const steps[] = {"BEGIN READ ONLY", "SET LOCAL search_path = ''",
		"SET LOCAL statement_timeout = '30s'"};
	bool good = true;

	for (size_t i = 0; good && i < sizeof steps / sizeof *steps; i++) {
		PGresult *answer = PQexec(conn, steps[i]);

		good = PQresultStatus(answer) == PGRES_COMMAND_OK;
		PQclear(answer);
	}

	return good;
}

void questions_end(PGconn *conn)
{
	PQclear(PQexec(conn, "ROLLBACK"));
}

void questions_error(PGconn *conn, char *why, size_t size)
{
	size_t length;

	snprintf(why, size, "%s", PQerrorMessage(conn));
	length = strlen(why);
	while (length > 0 && (why[length - 1] == '\n' || why[length - 1] == ' '))
		why[--length] = '\0';
	for (char *p = why; *p; p++)
		if (*p == '\n')
			*p = ' ';
}
