#include "proxy/shadow/dark_read.h"

#include <assert.h>
#include <stdlib.h>

struct dark_read *dark_read_new(void)
{
	struct dark_read *read = calloc(1, sizeof *read);

	if (!read)
		return NULL;
	read->references = 1;
	result_init(&read->primary, 0);

	return read;
}

struct dark_read *dark_read_ref(struct dark_read *read)
{
	assert(read->references > 0);
	read->references++;

	return read;
}

void dark_read_unref(struct dark_read *read)
{
	if (!read)
		return;
	assert(read->references > 0);
	if (--read->references > 0)
		return;

	for (size_t i = 0; i < read->nsettings; i++) {
		free(read->settings[i].name);
		free(read->settings[i].value);
	}
	free(read->settings);
	if (read->statement)
		statement_unref(read->statement);
	result_release(&read->primary);
	free(read->database);
	free(read->user);
	free(read->application_name);
	free(read->role);
	free(read->sql);
	free(read->param_types);
	free(read->value_types);
	free(read->param_formats);
	free(read->params);
	free(read->result_formats);
	free(read->null_as);
	free(read->memory);
	free(read);
}
